"""The log from outside: appending, reading, proofs, keys, opening again."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from servers.postgres import BOTH, Backend

from limner_provenance.audit import verify
from limner_provenance.checkpoint import Verifier
from limner_provenance.errors import (
    AuditError,
    DatabaseUnavailable,
    DatabaseVersion,
    EntryInvalid,
    KeyUnavailable,
    LogCorrupt,
    PayloadCorrupt,
    PayloadErased,
    PayloadMissing,
    RecordNotFound,
)
from limner_provenance.log import AuditLog
from limner_provenance.merkle import root_of

OpenLog = Callable[..., AuditLog]
pytestmark = BOTH
RECORD = "0198f000-0000-7000-8000-000000000001"


def test_a_new_log_begins_with_its_own_identity(log: AuditLog) -> None:
    """Entry 0 states origin, key and format, under a signed checkpoint."""
    entry = log.entry(0)
    assert (entry.step, entry.record) == ("log_created", None)
    assert entry.data == {"origin": log.origin, "key": log.vkey, "format": "limner.audit.v1"}
    assert Verifier(log.vkey).verify(log.head().note).size == log.size == 1


def test_an_appended_entry_comes_back_byte_for_byte(log: AuditLog) -> None:
    """What is known of an entry at once is what is read later; the index comes with the commit."""
    pending = log.append("accepted", record=RECORD, data={"seed": "7", "text": "späte Äpfel 🍎"})
    assert pending.entry.index is None
    stored = pending.wait(10)
    assert stored.index == 1
    assert log.entry(1) == stored
    assert (stored.leaf, stored.leaf_hash) == (pending.entry.leaf, pending.entry.leaf_hash)


def test_payloads_come_back(log: AuditLog) -> None:
    """JSON and bytes payloads are given back, with their facts and salts."""
    entry = log.append("produced", record=RECORD, payloads={"prompt": {"text": "apple"}, "image": b"\x89PNG"}).wait(10)
    assert log.payload(entry.payloads["prompt"]) == {"text": "apple"}
    assert log.payload(entry.payloads["image"]) == b"\x89PNG"
    facts = log.payload_facts(entry.payloads["image"])
    assert (facts.length, facts.salt) == (4, log.salt(entry.payloads["image"]).hex())


def test_many_payloads_come_at_once_and_a_lost_one_costs_the_others_nothing(log: AuditLog, tmp_path: Path) -> None:
    """Values come in the order asked for; an erased one, a missing one and a changed one are errors in their places."""
    data = {"a": {"n": 1}, "b": "text", "gone": b"gone", "torn": b"torn", "c": b"bytes"}
    refs = log.append("accepted", record=RECORD, payloads=data).wait(10).payloads
    other = log.append("accepted", record="r-2", payloads={"erased": 1}, subject="alice").wait(10)
    log.erase(subject="alice")
    objects = tmp_path / "state" / "assets"
    (objects / refs["gone"].id[:2] / refs["gone"].id).unlink()
    (objects / refs["torn"].id[:2] / refs["torn"].id).write_bytes(b"other")
    wanted = [refs["c"], other.payloads["erased"], *(refs[name] for name in ("gone", "b", "torn", "a", "b"))]
    c, erased, gone, b, torn, a, again = log.payloads(wanted)
    assert (a, b, c, again) == ({"n": 1}, "text", b"bytes", "text")
    assert [type(error) for error in (erased, gone, torn)] == [PayloadErased, PayloadMissing, PayloadCorrupt]
    assert list(log.payloads([])) == []


def test_no_plain_text_is_stored(log: AuditLog, tmp_path: Path) -> None:
    """Neither a prompt nor a subject stands readable in any file."""
    log.append(
        "accepted", record=RECORD, payloads={"prompt": "VERYSECRETWORDS", "image": b"VERYSECRETBYTES"}, subject="ALICE"
    ).wait(10)
    log.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for word in (b"VERYSECRET", b"ALICE"):
        assert word not in stored


def test_entries_by_record_step_and_range(log: AuditLog) -> None:
    """Entries are found by record, by step and by index, in the log's order."""
    for number in range(1200):
        log.append("accepted" if number % 2 else "planned", record=f"r-{number % 3}")
    log.flush()
    assert [entry.index for entry in log.entries()] == list(range(1201))
    assert [entry.index for entry in log.entries(start=5, stop=8)] == [5, 6, 7]
    assert {entry.record for entry in log.entries("r-1")} == {"r-1"}
    assert len(list(log.entries(steps=["accepted"]))) == 600
    assert len(log.record("r-2")) == 400
    with pytest.raises(RecordNotFound):
        log.record("r-9")
    with pytest.raises(AuditError, match="no entry 1201"):
        log.entry(1201)


def test_pages_of_records(log: AuditLog) -> None:
    """Records come a page at a time in both directions, with their states."""
    for number in range(7):
        log.append("accepted", record=f"r-{number}")
    log.append("failed", record="r-6").wait(10)
    first = log.records(limit=3)
    assert [state.record for state in first] == ["r-0", "r-1", "r-2"]
    assert [state.record for state in log.records(after="r-2", limit=3)] == ["r-3", "r-4", "r-5"]
    newest = log.records(limit=2, newest_first=True)
    assert [(state.record, state.ending) for state in newest] == [("r-6", "failed"), ("r-5", None)]


def test_unfinished_leaves_running_and_ended_records_out(log: AuditLog) -> None:
    """Only records without an end whose lock is free are unfinished."""
    for number in range(3):
        log.append("accepted", record=f"r-{number}")
    log.append("cancelled", record="r-0").wait(10)
    with log.lock("r-1"):
        assert [state.record for state in log.unfinished()] == ["r-2"]
    assert [state.record for state in log.unfinished()] == ["r-1", "r-2"]


def test_proofs_over_several_tiles(sample: Path, open_log: OpenLog) -> None:
    """Inclusion and consistency proofs hold for every kind of place, now and for older sizes."""
    with open_log(sample, read_only=True) as log:
        size = log.size
        hashes = [entry.leaf_hash for entry in log.entries()]
        assert log.head().root == root_of(hashes)
        for index in (0, 1, 255, 256, 300, 511, 512, size - 1):
            proof = log.inclusion(index)
            assert proof.holds()
            assert proof.leaf_hash == hashes[index]
        for old in (1, 255, 256, 257, 512, size):
            assert log.inclusion(old - 1, old).holds()
            assert log.inclusion(0, old).root == root_of(hashes[:old])
            assert log.consistency(old).holds()
            assert log.consistency(1, old).holds()
        with pytest.raises(AuditError, match="has no entry"):
            log.inclusion(size)
        with pytest.raises(AuditError, match=f"The log has {size} entries"):
            log.inclusion(0, size + 1)
        with pytest.raises(AuditError, match="no older state"):
            log.consistency(5, 4)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"step": "two words"}, "The step"),
        ({"step": ""}, "The step"),
        ({"step": "x", "record": "../../etc"}, "is no id"),
        ({"step": "x", "data": {"score": 0.5}}, r"entry.data.score"),
        ({"step": "x", "payloads": {"a b": 1}}, "The payload"),
        ({"step": "x", "data": {"small": 1, "big": "y" * 70_000}}, r"data\.big with 70002 bytes"),
    ],
)
def test_wrong_entries_are_refused_at_once(log: AuditLog, options: dict[str, object], word: str) -> None:
    """What cannot be an entry is refused before anything is queued, and the field is named."""
    with pytest.raises(EntryInvalid, match=word):
        log.append(**options)  # type: ignore[arg-type]
    assert log.size == 1


def test_order_of_one_thread_and_no_loss_of_many(log: AuditLog) -> None:
    """Entries of a thread stand in its order, whatever other threads append meanwhile."""

    def work(name: str) -> None:
        for number in range(200):
            log.append("planned", record=name, data={"n": number})

    threads = [threading.Thread(target=work, args=(f"t-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.flush()
    for number in range(4):
        assert [entry.data["n"] for entry in log.record(f"t-{number}")] == list(range(200))
    assert log.size == 801


def test_a_cancelled_wait_does_not_cancel_the_write(log: AuditLog) -> None:
    """An asyncio task that is cancelled while it waits leaves its entry to be written."""

    async def append() -> None:
        pending = log.append("accepted", record=RECORD)
        waiting = asyncio.ensure_future(asyncio.wrap_future(pending.durable))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert pending.wait(10).index == 1

    asyncio.run(append())


def test_a_closed_log_says_so(log: AuditLog) -> None:
    """Appending after close is a clear error; closing twice is none."""
    log.append("accepted", record=RECORD)
    log.close()
    log.close()
    with pytest.raises(DatabaseUnavailable, match="was closed"):
        log.append("planned", record=RECORD)


def test_close_writes_what_is_queued(tmp_path: Path, open_log: OpenLog) -> None:
    """Nothing that was appended before close is lost."""
    with open_log(tmp_path) as log:
        for _ in range(300):
            log.append("planned", record=RECORD)
    with open_log(tmp_path) as log:
        assert log.size == 301


def test_two_openings_share_one_log(tmp_path: Path, open_log: OpenLog) -> None:
    """A second opening goes on with what the first one wrote, and the other way round."""
    with open_log(tmp_path) as one, open_log(tmp_path) as two:
        for _ in range(300):
            one.append("planned", record="a").wait(10)
            two.append("planned", record="b").wait(10)
        assert one.size == two.size == 601
        assert one.vkey == two.vkey
        assert two.consistency(1).holds()


def test_after_a_fork_the_error_is_clear(log: AuditLog) -> None:
    """A forked child is told to open the log again, and does not hang."""
    log.append("accepted", record=RECORD).wait(10)
    child = os.fork()
    if child == 0:
        try:
            log.append("planned", record=RECORD)
        except DatabaseUnavailable as error:
            os._exit(7 if "forked" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


# -- erasure -------------------------------------------------------------------------------------------------------


def test_erasure_takes_the_subject_s_payloads_and_nothing_else(log: AuditLog, tmp_path: Path) -> None:
    """Keys, rows and objects of a subject go; another subject's stay; the log names ids, never the subject."""
    alice = log.append("accepted", record="r-1", payloads={"prompt": "a", "image": b"pixels"}, subject="alice").wait(10)
    bob = log.append("accepted", record="r-2", payloads={"prompt": "b"}, subject="bob").wait(10)
    erasure = log.erase(subject="alice")
    (erased,) = erasure.entries
    assert "alice" not in erased.leaf
    assert (len(erasure.keys), len(erasure.payloads), erasure.objects) == (1, 2, 1)
    for ref in alice.payloads.values():
        assert ref.id in erased.data["payloads"]
        with pytest.raises(PayloadErased, match=f"entry {erased.index}"):
            log.payload(ref)
    assert log.payload(bob.payloads["prompt"]) == "b"
    objects = [path for path in (tmp_path / "state" / "assets").rglob("*") if path.is_file()]
    assert objects == []
    assert log.erase(subject="nobody").entries == ()


def test_a_subject_can_come_back_after_erasure(log: AuditLog) -> None:
    """What is appended for an erased subject later is under a new key and stays readable."""
    log.append("accepted", record="r-1", payloads={"prompt": "old"}, subject="alice").wait(10)
    log.erase(subject="alice")
    entry = log.append("accepted", record="r-2", payloads={"prompt": "new"}, subject="alice").wait(10)
    assert log.payload(entry.payloads["prompt"]) == "new"


def test_a_key_erased_elsewhere_is_not_used_any_more(tmp_path: Path, open_log: OpenLog) -> None:
    """A process that still holds an erased key is told, writes nothing under it, and then uses a new one."""
    with open_log(tmp_path) as one, open_log(tmp_path) as two:
        one.append("accepted", record="r-1", payloads={"p": 1}, subject="alice").wait(10)
        two.erase(subject="alice")
        with pytest.raises(PayloadErased, match="erased while"):
            one.append("accepted", record="r-2", payloads={"p": 2}, subject="alice").wait(10)
        entry = one.append("accepted", record="r-3", payloads={"p": 3}, subject="alice").wait(10)
        assert one.payload(entry.payloads["p"]) == 3


def test_a_restored_key_database_does_not_resurrect(tmp_path: Path, open_log: OpenLog, backend: Backend) -> None:
    """A backup of the keys from before an erasure loses the erased keys when the log is opened again."""
    with open_log(tmp_path) as log:
        entry = log.append("accepted", record="r-1", payloads={"p": 1}, subject="alice").wait(10)
    restore = backend.save(tmp_path, keys=True)
    with open_log(tmp_path) as log:
        log.erase(subject="alice")
    restore()
    with open_log(tmp_path) as log, pytest.raises(PayloadErased):
        log.payload(entry.payloads["p"])
    assert backend.sql(tmp_path, "SELECT COUNT(*) FROM data_key", keys=True) == [(0,)]


# -- opening -------------------------------------------------------------------------------------------------------


def test_keys_and_folders_are_private(log: AuditLog, tmp_path: Path) -> None:
    """Key files are for the owner alone, and the folder is kept out of git."""
    state = tmp_path / "state"
    assert (state / "keys").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (state / "keys").iterdir()} == {0o600}
    assert (state / ".gitignore").read_text() == "*\n"


def test_an_open_key_file_is_refused(tmp_path: Path, open_log: OpenLog) -> None:
    """A key that others can read is refused with the command that mends it."""
    open_log(tmp_path).close()
    (tmp_path / "keys" / "log.ed25519").chmod(0o644)
    with pytest.raises(KeyUnavailable, match="chmod 600"):
        open_log(tmp_path)


def test_a_configured_kek_is_needed_again(tmp_path: Path, backend: Backend) -> None:
    """A log made with one key-encryption key is not opened with another, and errors never show the key."""
    (url, keys_url), good, bad = backend.urls(tmp_path), "ab" * 32, "cd" * 32
    AuditLog.open(url, state=tmp_path, keys_url=keys_url, kek=good).close()
    assert not (tmp_path / "keys" / "kek").exists()
    with pytest.raises(KeyUnavailable, match="another key-encryption key") as caught:
        AuditLog.open(url, state=tmp_path, keys_url=keys_url, kek=bad)
    assert bad not in str(caught.value)
    with pytest.raises(KeyUnavailable, match="not 32 bytes") as caught:
        AuditLog.open(url, state=tmp_path, keys_url=keys_url, kek="tooshort")
    assert "tooshort" not in str(caught.value)


def test_a_missing_or_foreign_log_key_is_refused(tmp_path: Path, open_log: OpenLog) -> None:
    """Without its key, or with another log's, nothing is appended."""
    open_log(tmp_path / "a").close()
    open_log(tmp_path / "b").close()
    key = tmp_path / "a" / "keys" / "log.ed25519"
    key.write_bytes((tmp_path / "b" / "keys" / "log.ed25519").read_bytes())
    with pytest.raises(KeyUnavailable, match="of another log"):
        open_log(tmp_path / "a")
    key.unlink()
    with pytest.raises(KeyUnavailable, match="is missing"):
        open_log(tmp_path / "a")


def test_an_emptied_database_beside_an_anchor_is_refused(tmp_path: Path, open_log: OpenLog, backend: Backend) -> None:
    """A log that vanished is not quietly begun again."""
    open_log(tmp_path).close()
    backend.wipe(tmp_path)
    with pytest.raises(LogCorrupt, match="tells of a log of 1 entries"):
        open_log(tmp_path)


def test_a_rolled_back_database_is_refused(tmp_path: Path, open_log: OpenLog, backend: Backend) -> None:
    """An older copy of the database is noticed by the anchor before anything is appended."""
    open_log(tmp_path).close()
    restore = backend.save(tmp_path)
    with open_log(tmp_path) as log:
        log.append("accepted", record=RECORD).wait(10)
    restore()
    with pytest.raises(LogCorrupt, match="tells of 2 entries, the database has 1"):
        open_log(tmp_path)


@pytest.mark.parametrize(("version", "word"), [("9999", "Update Limner"), (None, "no audit database")])
def test_other_versions_are_refused(
    tmp_path: Path, open_log: OpenLog, backend: Backend, version: str | None, word: str
) -> None:
    """A newer database, or one that is none of ours, is refused with what to do."""
    open_log(tmp_path).close()
    backend.sql(tmp_path, "DELETE FROM alembic_version")
    if version:
        backend.sql(tmp_path, "INSERT INTO alembic_version VALUES (?)", version)
    for read_only in (False, True):
        with pytest.raises(DatabaseVersion, match=word):
            open_log(tmp_path, read_only=read_only)


def test_reading_needs_no_keys(sample: Path, open_log: OpenLog, backend: Backend) -> None:
    """An auditor with database and assets alone reads entries and is told that payloads stay closed."""
    for path in (sample / "keys").iterdir():
        path.unlink()
    backend.wipe(sample, keys=True)
    with open_log(sample, read_only=True) as log:
        entry = log.entry(1)
        assert log.not_opened[0].startswith("payloads: ")
        with pytest.raises(KeyUnavailable, match="No data keys"):
            log.payload(entry.payloads["prompt"])
        with pytest.raises(DatabaseUnavailable, match="read-only"):
            log.append("accepted", record=RECORD)


# -- damaged payloads ----------------------------------------------------------------------------------------------


def test_a_missing_and_a_changed_object(log: AuditLog, tmp_path: Path) -> None:
    """A picture that is gone is missing, one that was changed is corrupt; neither is taken for the other."""
    entry = log.append("produced", record=RECORD, payloads={"image": b"pixels"}).wait(10)
    ref = entry.payloads["image"]
    path = tmp_path / "state" / "assets" / ref.id[:2] / ref.id
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(PayloadCorrupt, match="was changed"):
        log.payload(ref)
    path.unlink()
    with pytest.raises(PayloadMissing):
        log.payload(ref)


def test_a_large_erasure_fits_its_entries(log: AuditLog) -> None:
    """An erasure of thousands of payloads is told in several entries, and every payload is gone."""
    for number in range(1000):
        log.append("planned", record=f"r-{number}", payloads={"a": 1, "b": 2}, subject="alice")
    erasure = log.erase(subject="alice")
    assert (len(erasure.entries), len(erasure.keys), len(erasure.payloads)) == (3, 1, 2000)
    report = verify(log, payloads=True)
    assert (report.ok, report.payloads_erased, report.payloads_opened) == (True, 2000, 0)


def test_one_record_can_be_erased_alone(log: AuditLog) -> None:
    """Payloads without a subject belong to their record, which can be erased without touching others."""
    first = log.append("accepted", record="r-1", payloads={"p": 1}).wait(10)
    second = log.append("accepted", record="r-2", payloads={"p": 2}).wait(10)
    log.erase(record="r-1")
    with pytest.raises(PayloadErased):
        log.payload(first.payloads["p"])
    assert log.payload(second.payloads["p"]) == 2
    for wrong in ({}, {"subject": "a", "record": "b"}):
        with pytest.raises(EntryInvalid, match="either subject or record"):
            log.erase(**wrong)
