"""Rotation of the log's key: both keys sign, later checkpoints are by the new one, and the chain is followed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from limner_provenance import opening
from limner_provenance.audit import verify
from limner_provenance.checkpoint import Signer, Verifier
from limner_provenance.errors import KeyUnavailable, LogCorrupt, StorageUnavailable
from limner_provenance.log import AuditLog
from limner_provenance.rotation import KeyChain, rotated_to, rotation_data, rotation_text

OpenLog = Callable[..., AuditLog]
OLD, NEW, OTHER = (Signer("limner/test", bytes([n]) * 32) for n in (1, 2, 3))


def keep(state: Path) -> Path:
    """Copy a log aside."""
    return Path(shutil.copytree(state, state.with_name("kept")))


def test_later_checkpoints_are_by_the_new_key(tmp_path: Path, open_log: OpenLog) -> None:
    """The checkpoint that holds the rotation is the first of the new key; older ones stay valid."""
    with open_log(tmp_path) as log:
        first, old = log.head().note, log.vkey
        entry = log.rotate_key()
        after, new = log.head().note, log.vkey
        log.append("opened").wait(10)
        assert (entry.step, entry.record, entry.index) == ("key_rotated", None, 1)
        assert log.keys().vkeys == (old, new)
        assert Verifier(old).verify(first).size == 1
        assert Verifier(new).verify(after).size == 2
        with pytest.raises(LogCorrupt, match="not signed by"):
            Verifier(old).verify(after)
        report = verify(log)
        assert (report.findings, report.rotations, report.vkey) == ([], 1, new)
        log.check_head(log.head())
    with open_log(tmp_path) as log:
        assert log.vkey == new
        log.append("opened").wait(10)
        log.rotate_key()
        assert verify(log).ok
        assert len(log.keys().vkeys) == 3


@pytest.mark.parametrize("which", [0, 1, 2])
def test_any_key_of_the_chain_can_be_pinned(which: int, tmp_path: Path, open_log: OpenLog) -> None:
    """Who pinned the first key follows the rotations; a checkpoint exported under an old key still counts."""
    with open_log(tmp_path) as log:
        kept = log.head().note
        log.rotate_key()
        log.rotate_key()
        pinned = log.keys().vkeys[which]
    with open_log(tmp_path, read_only=True) as log:
        report = verify(log, vkey=pinned, checkpoint=kept)
        assert (report.findings, report.trust, report.rotations) == ([], "pinned", 2)
        assert not verify(log, vkey=OTHER.vkey).ok


def test_a_process_that_holds_the_old_key_goes_on_with_the_new_one(tmp_path: Path, open_log: OpenLog) -> None:
    """Another process's rotation is noticed at the next commit, before and after the key file is in its place."""
    with open_log(tmp_path) as one, open_log(tmp_path) as two:
        two.append("opened").wait(10)
        one.rotate_key()
        two.append("opened").wait(10)
        assert two.vkey == one.vkey
        one.append("opened").wait(10)
        two.rotate_key()
        one.rotate_key()
        assert verify(two).counts["error"] == 0
        assert len(two.keys().vkeys) == 4


def test_a_host_without_the_new_key_file_is_told(tmp_path: Path, open_log: OpenLog) -> None:
    """A key file that is older than the log is refused by name at opening, and nothing is written under it."""
    with open_log(tmp_path) as log:
        old = (tmp_path / "keys" / "log.ed25519").read_text()
        log.rotate_key()
    (tmp_path / "keys" / "log.ed25519").write_text(old)
    with pytest.raises(KeyUnavailable, match=r"log\.ed25519 still holds another one"):
        open_log(tmp_path)
    with open_log(tmp_path, read_only=True) as log:
        assert verify(log).ok


def test_a_crash_before_the_key_is_in_its_place_is_finished(
    tmp_path: Path, open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry is in the log, the new key beside the old one: the next opening puts it there."""
    log = open_log(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(opening, "promote_key", lambda _paths: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            log.rotate_key()
    log.append("opened").wait(10)
    log.close()
    assert (tmp_path / "keys" / "log.ed25519.next").exists()
    with open_log(tmp_path) as again:
        assert again.vkey == log.vkey
        assert not (tmp_path / "keys" / "log.ed25519.next").exists()
        again.append("opened").wait(10)
        assert verify(again).ok


def test_a_key_that_was_made_and_not_logged_changes_nothing(
    tmp_path: Path, open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the new key cannot be stored, or the entry was never written, the old key goes on."""
    with open_log(tmp_path) as log:
        old = log.vkey

        def full(*_: object) -> None:
            raise StorageUnavailable("full")

        monkeypatch.setattr("limner_provenance.log.write_private", full)
        with pytest.raises(StorageUnavailable):
            log.rotate_key()
        log.append("opened").wait(10)
    (tmp_path / "keys" / "log.ed25519.next").write_text(OTHER.skey())
    (tmp_path / "keys" / "log.ed25519.next").chmod(0o600)
    with open_log(tmp_path) as log:
        log.append("opened").wait(10)
        assert (log.vkey, verify(log).ok) == (old, True)


def test_an_anchor_that_lags_behind_a_rotation_is_this_logs(tmp_path: Path, open_log: OpenLog) -> None:
    """A crash may leave the anchor at a checkpoint of the old key."""
    with open_log(tmp_path) as log:
        note = log.head().note
        log.rotate_key()
    (tmp_path / "anchor").write_text(note)
    with open_log(tmp_path, read_only=True) as log:
        assert verify(log).ok
    with open_log(tmp_path) as log:
        assert (tmp_path / "anchor").read_text() == log.head().note


def test_a_roll_back_to_before_the_rotation_is_found(tmp_path: Path, open_log: OpenLog) -> None:
    """Database, anchor and key file rolled back together: the new key, pinned, is not the log's any more."""
    state = tmp_path / "state"
    open_log(state).close()
    kept = keep(state)
    with open_log(state) as log:
        log.rotate_key()
        new = log.vkey
    with open_log(kept, read_only=True) as log:
        assert verify(log).ok
        assert "not the pinned key" in str(verify(log, vkey=new).first_error)


@pytest.mark.parametrize(
    "change",
    [
        {"old": OTHER.vkey},
        {"new": OTHER.vkey},
        {"new": "nonsense"},
        {"new": Signer("limner/else", bytes(32)).vkey},
        {"signatures": {}},
        {"signatures": None},
        {"signatures": {"old": "AAAA", "new": "!"}},
        {"signatures": rotation_data(OTHER, NEW)["signatures"]},
        {"signatures": rotation_data(OLD, OTHER)["signatures"]},
    ],
)
def test_a_rotation_that_both_keys_did_not_sign_is_none(change: dict[str, object]) -> None:
    """Only a whole statement, signed by the key before and by the new one, goes on with the chain."""
    data = rotation_data(OLD, NEW)
    assert rotated_to(Verifier(OLD.vkey), data).vkey == NEW.vkey
    with pytest.raises(LogCorrupt, match="rotation"):
        rotated_to(Verifier(OLD.vkey), data | change)


def test_the_key_follows_from_the_size() -> None:
    """Each key signs from the checkpoint on that holds its rotation."""
    chain = KeyChain.of(OLD.vkey)
    chain.add(5, rotation_data(OLD, NEW))
    assert [chain.at(size).vkey for size in (0, 1, 5, 6, 100)] == [OLD.vkey] * 3 + [NEW.vkey] * 2
    assert chain.verify(OLD.sign(5, bytes(32))).size == 5
    with pytest.raises(LogCorrupt):
        chain.verify(OLD.sign(6, bytes(32)))
    assert not rotation_text(OLD.vkey, NEW.vkey).startswith(b"limner/")


def test_a_forged_rotation_in_the_log_is_located(tmp_path: Path, open_log: OpenLog) -> None:
    """A program of ours that lies about a rotation makes an entry that verification names, and opening refuses."""
    with open_log(tmp_path) as log:
        log.append("key_rotated", data=rotation_data(OTHER, NEW)).wait(10)
    with open_log(tmp_path, read_only=True) as log:
        first = verify(log).first_error
        assert first is not None
        assert (first.table, first.key) == ("entry", "1")
    with pytest.raises(LogCorrupt, match="rotation"):
        open_log(tmp_path)
