"""Erasure and holds: what goes, what stays, what is told, what comes back and what does not."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from limner_provenance import holds as holding
from limner_provenance import leftovers
from limner_provenance.assets import FileAssets
from limner_provenance.audit import verify
from limner_provenance.committing import HoldsChanged
from limner_provenance.entries import Entry
from limner_provenance.errors import (
    AuditError,
    DatabaseUnavailable,
    EntryInvalid,
    ErasureHeld,
    KeyUnavailable,
    LogCorrupt,
    PayloadErased,
    PayloadMissing,
    RecordNotFound,
    RecordRunning,
    StorageUnavailable,
)
from limner_provenance.files import TEMPORARY, make_folder
from limner_provenance.locks import exclusive
from limner_provenance.log import AuditLog

OpenLog = Callable[..., AuditLog]
ONE, TWO, THREE = (f"0198f000-0000-7000-8000-00000000000{n}" for n in (1, 2, 3))


def write(log: AuditLog, record: str, subject: str | None) -> Entry:
    """Write a record with a prompt and a picture."""
    payloads = {"prompt": f"of {record}", "image": record.encode() * 10}
    return log.append("accepted", record=record, payloads=payloads, subject=subject).wait(10)


def objects(state: Path) -> list[Path]:
    """Give the stored pictures."""
    return sorted(path for path in (state / "assets").rglob("*") if path.is_file())


@pytest.fixture
def state(tmp_path: Path, open_log: OpenLog) -> Path:
    """Give a log with two records of ann and one of bob."""
    folder = tmp_path / "state"
    with open_log(folder) as log:
        for record, subject in ((ONE, "ann"), (TWO, "ann"), (THREE, "bob")):
            write(log, record, subject)
    return folder


def test_an_erasure_says_what_went_and_the_log_stays_valid(state: Path, open_log: OpenLog) -> None:
    """Records, payloads and pictures are counted, the reason is kept, and the verdict is VALID-WITH-ERASURE."""
    with open_log(state) as log:
        planned = log.erasure_plan(subject="ann")
        done = log.erase(subject="ann", reason="asked on paper")
        assert (planned.keys, planned.payloads, planned.records) == (done.keys, done.payloads, done.records)
        assert (done.records, len(done.payloads), done.objects, done.shared) == ((ONE, TWO), 4, 2, False)
        (entry,) = done.entries
        assert log.payload(entry.payloads["reason"]) == "asked on paper"
        assert "asked" not in entry.leaf
        assert verify(log).verdict == "VALID-WITH-ERASURE"
        assert verify(log).findings == []
    assert len(objects(state)) == 1


def test_a_second_erasure_finds_nothing_and_logs_nothing(state: Path, open_log: OpenLog) -> None:
    """Who has nothing, or nothing any more, leaves no entry behind."""
    with open_log(state) as log:
        log.erase(subject="ann")
        size = log.size
        for name in ("ann", "nobody"):
            assert log.erasure_plan(subject=name).nothing
            assert log.erase(subject=name).nothing
        assert log.size == size


def test_one_record_of_a_user_goes_alone(state: Path, open_log: OpenLog) -> None:
    """Its ciphertexts go, the user's key stays for his other records, and the erasure says that."""
    with open_log(state) as log:
        first, second = log.record(ONE)[0], log.record(TWO)[0]
        done = log.erase(record=ONE)
        assert (done.keys, len(done.payloads), done.objects, done.records, done.shared) == ((), 2, 1, (ONE,), True)
        for ref in first.payloads.values():
            with pytest.raises(PayloadErased):
                log.payload(ref)
        assert log.payload(second.payloads["prompt"]) == f"of {TWO}"
        assert verify(log).findings == []
        assert log.erase(record=ONE).nothing
        with pytest.raises(RecordNotFound):
            log.erase(record="nowhere")


def test_a_running_record_is_not_erased(state: Path, open_log: OpenLog) -> None:
    """Whoever works on a record would go on writing its payloads."""
    with open_log(state) as log, log.lock(ONE), pytest.raises(RecordRunning):
        log.erase(record=ONE)


def test_a_picture_that_came_back_stays_erased(state: Path, open_log: OpenLog) -> None:
    """Objects from a backup are not opened even where the key is still there; a sweep removes them."""
    backup = Path(shutil.copytree(state / "assets", state.with_name("backup")))
    with open_log(state) as log:
        ref = log.record(ONE)[0].payloads["image"]
        log.erase(record=ONE)
        shutil.copytree(backup, state / "assets", dirs_exist_ok=True)
        with pytest.raises(PayloadErased):
            log.payload(ref)
        (found,) = verify(log).findings
        assert (found.severity, found.key) == ("error", ref.id)
        assert log.sweep() == leftovers.Swept(erased=1, unreferenced=0, alone=True)
        assert verify(log).findings == []


def test_a_sweep_takes_strays_only_while_nobody_else_writes(state: Path, open_log: OpenLog) -> None:
    """An object that no entry refers to may be one that is being written."""
    stray = state / "assets" / "ab" / ("ab" + "0" * 62)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"x")
    with open_log(state) as log:
        with open_log(state):
            assert log.sweep() == leftovers.Swept(0, 0, alone=False)
        assert stray.exists()
        assert log.sweep() == leftovers.Swept(0, 1, alone=True)
    assert len(objects(state)) == 3
    with open_log(state, read_only=True) as reading, pytest.raises(DatabaseUnavailable):
        reading.sweep()


def test_without_keys_nobody_knows_whose_a_key_is(state: Path, open_log: OpenLog) -> None:
    """A plan without the key database is refused, and not told as nothing held."""
    (state / "keys.db").unlink()
    with open_log(state, read_only=True) as log, pytest.raises(KeyUnavailable):
        log.erasure_plan(subject="ann")


# -- backups -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "restored",
    [
        ("keys.db",),
        ("assets",),
        ("keys.db", "assets"),
    ],
)
def test_a_restored_key_store_or_asset_store_does_not_resurrect(
    restored: tuple[str, ...], state: Path, open_log: OpenLog
) -> None:
    """Keys go again at the next opening, and pictures with them; pictures alone stay closed until they are swept."""
    backup = Path(shutil.copytree(state, state.with_name("backup")))
    with open_log(state) as log:
        refs = log.record(ONE)[0].payloads
        log.erase(subject="ann")
    restore(backup, state, restored)
    with open_log(state) as log:
        for ref in refs.values():
            with pytest.raises(PayloadErased):
                log.payload(ref)
        report = verify(log)
        assert report.ok
        assert [finding.severity for finding in report.findings] == ([] if "keys.db" in restored else ["warning"] * 2)
        assert log.sweep().erased == len(report.findings)
        assert verify(log).findings == []
    assert len(objects(state)) == 1


def restore(backup: Path, state: Path, names: tuple[str, ...]) -> None:
    """Copy files and folders back as they were."""
    for name in names:
        if (backup / name).is_dir():
            shutil.copytree(backup / name, state / name, dirs_exist_ok=True)
        else:
            for path in state.glob(f"{name}*"):
                path.unlink()
            shutil.copy(backup / name, state / name)


def test_a_database_rolled_back_before_an_erasure_is_found(state: Path, open_log: OpenLog) -> None:
    """The anchor refuses the old database; with the anchor rolled back too, a kept checkpoint tells."""
    backup = Path(shutil.copytree(state, state.with_name("backup")))
    with open_log(state) as log:
        log.erase(subject="ann")
        kept = log.head().note
    everything = ("audit.db", "keys.db", "assets")
    restore(backup, state, everything)
    with pytest.raises(LogCorrupt, match="rolled back"):
        open_log(state)
    with open_log(state, read_only=True) as log:
        assert [finding.table for finding in verify(log).findings] == ["anchor"]
    restore(backup, state, ("anchor",))
    with open_log(state, read_only=True) as log:
        assert verify(log).ok  # nothing inside can tell: the docs say so
        assert [finding.table for finding in verify(log, checkpoint=kept).findings] == ["checkpoint file"]


# -- what a crash left ---------------------------------------------------------------------------------------------


def test_a_note_outlives_a_crash_between_the_entry_and_the_removal(state: Path, open_log: OpenLog) -> None:
    """Objects that a dead erasure had still to remove go at the next opening; the note goes with them."""
    assets = {path: path.read_bytes() for path in objects(state)}
    with open_log(state) as log:
        names = [path.name for path in assets if path.name in log.erasure_plan(subject="ann").payloads]
        log.erase(subject="ann")
    for path, data in assets.items():
        path.write_bytes(data)
    assert leftovers.note(state, names) is not None
    open_log(state).close()
    assert len(objects(state)) == 1
    assert list(leftovers.folder(state).iterdir()) == []


def test_a_note_of_an_erasure_that_was_never_written_takes_nothing(state: Path, open_log: OpenLog) -> None:
    """The entry decides: without it the pictures stay, and the note goes."""
    leftovers.note(state, [path.name for path in objects(state)])
    with open_log(state), open_log(state):
        pass
    assert len(objects(state)) == 3
    assert list(leftovers.folder(state).iterdir()) == []


def test_notes_of_an_erasure_in_another_process_do_not_disturb_an_opening(state: Path, open_log: OpenLog) -> None:
    """One that is finished between listing and reading is passed over; one that is being written stays where it is."""
    notes = make_folder(leftovers.folder(state), private=True)
    written = notes / f"{TEMPORARY}1-note"
    with open_log(state):
        (notes / "finished").symlink_to(notes / "gone")
        written.touch()
        open_log(state).close()
        assert written.exists()
    open_log(state).close()
    assert list(notes.iterdir()) == []


def test_an_opening_that_fails_while_it_clears_up_holds_no_lock(
    state: Path, open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that is away fails the opening, and nobody has to wait for it afterwards, this process included."""

    def away(_self: FileAssets) -> None:
        raise StorageUnavailable("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(FileAssets, "sweep", away)
        with pytest.raises(StorageUnavailable, match="away"):
            open_log(state)
    users = os.open(state / "users.lock", os.O_RDWR)
    assert exclusive(users, wait=False)
    os.close(users)
    with open_log(state) as log:
        assert log.sweep().alone


def test_an_erasure_goes_on_where_it_was_cut_short(
    state: Path, open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an error between two of its parts the same call finishes, and nothing is logged twice."""
    with open_log(state) as log:
        with monkeypatch.context() as broken:
            broken.setattr(log._opened.keys, "destroy", lambda _keys: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                log.erase(subject="ann")
        size = log.size
        done = log.erase(subject="ann")
        assert (done.entries, len(done.keys), log.size) == ((), 1, size)
        assert log.erasure_plan(subject="ann").nothing
        assert verify(log).ok


def test_two_processes_may_erase_the_same(state: Path, open_log: OpenLog) -> None:
    """Whoever comes second is no error, and the log stays valid."""
    with open_log(state) as one, open_log(state) as two:
        threads = [threading.Thread(target=log.erase, kwargs={"subject": "ann"}) for log in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert one.erasure_plan(subject="ann").nothing
        assert verify(one).counts["error"] == 0


# -- holds ---------------------------------------------------------------------------------------------------------


def test_a_hold_forbids_and_the_attempt_is_logged(state: Path, open_log: OpenLog) -> None:
    """Nothing goes, the refusal stands in the log without the name, and other people are not held."""
    with open_log(state) as log:
        hold = log.hold(subject="ann", reason="court order 7")
        assert (hold.subject, hold.reason, hold.stands("2026")) == ("ann", "court order 7", True)
        with pytest.raises(ErasureHeld, match=hold.id) as caught:
            log.erase(subject="ann")
        assert caught.value.holds == (hold.id,)
        (refused,) = log.entries(steps=["erasure_refused"])
        assert refused.data == {"holds": [hold.id]}
        assert log.payload(refused.payloads["request"])["subject"] == "ann"
        text = "".join(entry.leaf for entry in log.entries())
        assert "ann" not in text
        assert "court" not in text
        assert log.erase(subject="bob").records == (THREE,)
        assert log.payload(log.record(ONE)[0].payloads["prompt"])


def test_a_hold_covers_the_records_of_a_user_and_the_user_of_a_record(state: Path, open_log: OpenLog) -> None:
    """A record is not erased from under a held user, nor a user whose record is held; his other records may be."""
    with open_log(state) as log:
        first = log.hold(subject="ann", reason="r")
        with pytest.raises(ErasureHeld):
            log.erase(record=ONE)
        log.release(first.id, reason="over")
        log.hold(record=ONE, reason="r")
        for whom in ({"subject": "ann"}, {"record": ONE}):
            assert log.erasure_plan(**whom).holds
            with pytest.raises(ErasureHeld):
                log.erase(**whom)
        assert log.erase(record=TWO).records == (TWO,)


def test_a_hold_ends_by_release_or_by_its_date(state: Path, open_log: OpenLog) -> None:
    """Then the erasure goes through, and takes the hold's own words along."""
    with open_log(state) as log:
        log.hold(subject="ann", reason="r", until="2020-01-01T00:00:00.000000Z")
        hold = log.hold(subject="ann", reason="secret reason")
        released = log.release(hold.id)
        assert released.released is not None
        log.erase(subject="ann")
        assert [(held.readable, held.reason) for held in log.holds()] == [(False, None)] * 2
        with pytest.raises(AuditError, match="was released on"):
            log.release(hold.id)
        with pytest.raises(AuditError, match="no hold"):
            log.release("nothing")
        assert verify(log).ok


def test_a_hold_that_cannot_be_read_forbids_everything(state: Path, open_log: OpenLog) -> None:
    """It could be about anybody: an erasure is refused until it is released by its id."""
    with open_log(state) as log:
        hold = log.hold(subject="ann", reason="r")
        log._opened.keys.destroy(log._opened.keys.of_subject("subject/ann"))  # type: ignore[union-attr]
        assert not log.holds()[0].readable
        with pytest.raises(ErasureHeld):
            log.erase(subject="bob")
        log.release(hold.id)
        log.erase(subject="bob")


def test_a_hold_set_at_the_last_moment_still_forbids(
    state: Path, open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hold that another process logs after the erasure looked is found inside the commit; nothing goes."""
    with open_log(state) as log, open_log(state) as other:

        def late(*arguments: object) -> object:
            other.hold(subject="ann", reason="just now")
            return noted(*arguments)  # type: ignore[arg-type]

        noted = leftovers.note
        monkeypatch.setattr(leftovers, "note", late)
        with pytest.raises(HoldsChanged):
            log.erase(subject="ann")
        assert log.payload(log.record(ONE)[0].payloads["prompt"])
        assert list(log.entries(steps=["erased"])) == []


@pytest.mark.parametrize("whom", [{}, {"subject": "ann", "record": ONE}])
def test_a_hold_is_about_one_thing(state: Path, open_log: OpenLog, whom: dict[str, str]) -> None:
    """Neither nobody nor two at once, and no record that is not there."""
    with open_log(state) as log:
        with pytest.raises(EntryInvalid, match="either subject or record"):
            log.hold(reason="r", **whom)
        with pytest.raises(RecordNotFound):
            log.hold(reason="r", record="nowhere")
        assert log.holds() == []


def test_a_missing_object_without_erasure_is_still_missing(state: Path, open_log: OpenLog) -> None:
    """Erased and lost are told apart."""
    objects(state)[0].unlink()
    with open_log(state) as log:
        kinds = set()
        for record in (ONE, TWO, THREE):
            try:
                log.payload(log.record(record)[0].payloads["image"])
            except PayloadMissing as error:
                kinds.add(type(error))
        assert kinds == {PayloadMissing}
        assert holding.all_holds(log._reader) == []
