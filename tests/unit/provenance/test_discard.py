"""Single payloads destroyed for good: their own keys, the log's word for it, holds, crashes, and what stays."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from limner_provenance import leftovers
from limner_provenance.audit import verify
from limner_provenance.entries import Entry
from limner_provenance.errors import PayloadErased
from limner_provenance.log import AuditLog

OpenLog = Callable[..., AuditLog]
RECORD = str(uuid.UUID(int=7, version=4))


def produced(log: AuditLog, *, subject: str | None = "ann", record: str = RECORD) -> Entry:
    """Write an entry with two pictures under keys of their own, and a text under the user's key."""
    payloads = {"image-0": b"denied" * 50, "image-1": b"released" * 50, "prompt": "an apple"}
    log.append("accepted", record=record, payloads={"prompt": "x"}, subject=subject)
    return log.append(
        "produced", record=record, payloads=payloads, subject=subject, apart=["image-0", "image-1"]
    ).wait()


def stored(state: Path) -> set[str]:
    """Name the stored objects."""
    return {path.name for path in (state / "assets").rglob("*") if path.is_file()}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Give the folder of a log."""
    return tmp_path / "state"


@pytest.fixture
def log(state: Path, open_log: OpenLog) -> Iterator[AuditLog]:
    """Give the log in it."""
    with open_log(state) as opened:
        yield opened


@pytest.mark.parametrize("subject", ["ann", None])
def test_one_picture_goes_and_everything_else_stays(log: AuditLog, state: Path, subject: str | None) -> None:
    """Key, ciphertext and salt of that picture are destroyed, the log says so, and verification is clean."""
    entry = produced(log, subject=subject)
    gone, kept = entry.payloads["image-0"], entry.payloads["image-1"]
    assert len(stored(state)) == 2
    done = log.discard(RECORD, [gone], reason="denied by policy")
    assert (len(done.keys), done.payloads, done.objects, done.shared) == (1, (gone.id,), 1, False)
    with pytest.raises(PayloadErased):
        log.payload(gone)
    assert log.payload(kept) == b"released" * 50
    assert log.payload(entry.payloads["prompt"]) == "an apple"
    assert len(stored(state)) == 1
    erased = done.entries[0]
    assert (erased.step, erased.record) == ("erased", None)
    assert erased.data["payloads"] == [gone.id]
    report = verify(log)
    assert (report.ok, report.payloads_erased) == (True, 1)


def test_doing_it_twice_logs_it_once(log: AuditLog) -> None:
    """What is gone is passed over."""
    entry = produced(log)
    log.discard(RECORD, [entry.payloads["image-0"]], reason="r")
    size = log.size
    assert log.discard(RECORD, [entry.payloads["image-0"]], reason="r").nothing
    assert log.size == size


def test_a_copy_of_the_ciphertext_opens_no_more(log: AuditLog, state: Path, open_log: OpenLog) -> None:
    """An object that comes back with a backup of the store, keys included, is not given out again."""
    entry = produced(log)
    log.discard(RECORD, [entry.payloads["prompt"]], reason="made the key that reasons are kept under")
    backup = shutil.copytree(state / "assets", state.parent / "backup")
    keys = {path.name: path.read_bytes() for path in state.glob("keys.db*")}
    log.discard(RECORD, [entry.payloads["image-0"]], reason="r")
    log.close()
    shutil.copytree(backup, state / "assets", dirs_exist_ok=True)
    for name, data in keys.items():
        (state / name).write_bytes(data)
    with open_log(state) as again:
        with pytest.raises(PayloadErased):
            again.payload(entry.payloads["image-0"])
        assert again.payload(entry.payloads["image-1"]) == b"released" * 50
        assert [str(one) for one in verify(again).findings if one.severity == "error"] == []
        assert len(stored(state)) == 1


def test_the_users_erasure_takes_pictures_with_keys_of_their_own_too(log: AuditLog) -> None:
    """A key apart is still that user's key."""
    entry = produced(log)
    other = produced(log, subject="bob", record=str(uuid.UUID(int=8, version=4)))
    log.erase(subject="ann")
    for name in ("image-0", "image-1", "prompt"):
        with pytest.raises(PayloadErased):
            log.payload(entry.payloads[name])
    assert log.payload(other.payloads["image-0"]) == b"denied" * 50
    assert verify(log).ok


def test_a_hold_keeps_the_picture(log: AuditLog) -> None:
    """What a court wants kept is kept, and the answer names the hold; after its end the picture can go."""
    entry = produced(log)
    hold = log.hold(subject="ann", reason="case 7")
    refused = log.discard(RECORD, [entry.payloads["image-0"]], reason="r")
    assert [one.id for one in refused.holds] == [hold.id]
    assert refused.entries == ()
    assert log.payload(entry.payloads["image-0"]) == b"denied" * 50
    log.release(hold.id)
    assert log.discard(RECORD, [entry.payloads["image-0"]], reason="r").objects == 1


def test_a_shared_key_stays(log: AuditLog) -> None:
    """A payload under the key of others loses its ciphertext alone, and the answer says so."""
    entry = produced(log)
    done = log.discard(RECORD, [entry.payloads["prompt"]], reason="r")
    assert (done.keys, done.shared) == ((), True)
    assert log.payload(entry.payloads["image-1"]) == b"released" * 50
    assert verify(log).ok


def test_a_crash_between_the_entry_and_the_removal_is_finished_at_the_next_opening(
    log: AuditLog, state: Path, open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log's word comes first; key and object go when it is opened again."""

    def die(*_: object) -> int:
        raise KeyboardInterrupt

    entry = produced(log)
    with monkeypatch.context() as patch:
        patch.setattr(leftovers, "remove", die)
        with pytest.raises(KeyboardInterrupt):
            log.discard(RECORD, [entry.payloads["image-0"]], reason="r")
    assert len(stored(state)) == 2
    log.close()
    with open_log(state) as again:
        assert len(stored(state)) == 1
        assert verify(again).ok
