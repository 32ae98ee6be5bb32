"""Accidents: clocks that go back, lost -wal files, disks that fail to sync, sixteen writers, restored backups."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from faults.matrix import Row, attack
from faults.world import ERASED, World, open_at, record_id

from limner_provenance.errors import ErasureHeld, LogCorrupt, PayloadErased

VERIFY = "`limner audit verify`"
RESTORER = "who restores a backup"
EACH = 5
VERIFICATIONS = int(os.environ.get("LIMNER_VERIFICATIONS", "4"))

# Appends a few entries a second until its input ends.
SLOW_APPENDER = """
import select, sys
from pathlib import Path
from limner_provenance.log import AuditLog
state, name = Path(sys.argv[1]), sys.argv[2]
with AuditLog.open(f"sqlite:///{state / 'audit.db'}", state=state) as log:
    number = 0
    while not select.select([sys.stdin], [], [], 0.2)[0]:
        record = f"{name}-{number}"
        log.append("accepted", record=record, payloads={"prompt": number}, subject=name)
        log.append("judged", record=record, data={"stage": "request", "verdict": "allow"}).wait(30)
        print(number, flush=True)
        number += 1
"""


@attack(
    "set the clock back (or several machines disagree)",
    who="an accident",
    by=VERIFY + " (information: the order is that of the log)",
    said="Time goes backwards",
)
def test_a_clock_that_goes_back(world: World, row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backward step is said with its entry, and is no alarm."""
    monkeypatch.setattr("limner_provenance.entries.now", lambda: "2001-01-01T00:00:00.000000Z")
    world.append(2)
    report = world.check()
    assert report.ok
    ((severity, text, key),) = [(item.severity, item.what, item.key) for item in report.findings]
    assert (severity, int(key) >= world.size) == ("information", True)
    row.confirm(text)


@attack(
    "lose the -wal file",
    who="an accident, or a bad backup",
    by=VERIFY + ", and the next opening",
    said="its end was cut off",
)
def test_a_lost_wal(world: World, row: Row) -> None:
    """Entries that were only in the -wal file are missed, since the anchor knows of them."""
    with open_at(world.state) as log:
        log.append("opened", data={"n": 1}).wait(10)
        # A copy of the main file alone, as of a backup that forgot the -wal file.
        lost = world.copy("lost")
    (lost.state / "audit.db-wal").unlink()
    (lost.state / "audit.db-shm").unlink(missing_ok=True)
    row.confirm_finding(lost.check(), "anchor", world.size + 1)
    with pytest.raises(LogCorrupt, match="rolled back or cut"):
        open_at(lost.state)


# SQLite's own file methods, with an fsync that fails while a flag file is there.
FAILING_FSYNC = """
import ctypes, os, sys, _sqlite3
from ctypes import CFUNCTYPE, POINTER, Structure, c_int, c_void_p, cast, pointer
flag = sys.argv[2]
class Methods(Structure):
    _fields_ = [("version", c_int)] + [(name, c_void_p) for name in (
        "close", "read", "write", "truncate", "sync", "size", "lock", "unlock", "reserved", "control", "sector",
        "device", "shm_map", "shm_lock", "shm_barrier", "shm_unmap", "fetch", "unfetch")]
class Vfs(Structure):
    _fields_ = [("version", c_int), ("file_size", c_int), ("path", c_int), ("next", c_void_p), ("name", c_void_p),
                ("data", c_void_p), ("open", c_void_p)]
Open = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
Sync = CFUNCTYPE(c_int, c_void_p, c_int)
library = ctypes.CDLL(_sqlite3.__file__)
library.sqlite3_vfs_find.restype = POINTER(Vfs)
vfs = library.sqlite3_vfs_find(None)[0]
really_open, syncs, kept = Open(vfs.open), {}, []
@Sync
def sync(file, flags):
    if os.path.exists(flag):
        return 10 | 4 << 8  # SQLITE_IOERR_FSYNC
    return syncs[file](file, flags)
@Open
def opening(vfs, name, file, flags, out):
    code = really_open(vfs, name, file, flags, out)
    held = cast(file, POINTER(POINTER(Methods)))
    if code == 0 and held[0]:
        mine = Methods()
        ctypes.memmove(pointer(mine), held[0], ctypes.sizeof(Methods))
        syncs[file] = Sync(mine.sync)
        mine.sync = cast(sync, c_void_p).value
        kept.append(mine)
        held[0] = pointer(mine)
    return code
vfs.open = cast(opening, c_void_p).value

from pathlib import Path
from limner_provenance.errors import DatabaseUnavailable
from limner_provenance.log import AuditLog
state = Path(sys.argv[1])
with AuditLog.open(f"sqlite:///{state / 'audit.db'}", state=state) as log:
    log.append("opened", data={"n": "before"}).wait(10)
    Path(flag).touch()
    try:
        log.append("opened", data={"n": "never acknowledged"}).wait(10)
    except DatabaseUnavailable as error:
        print(error, flush=True)
    os.unlink(flag)
    log.append("opened", data={"n": "after"}).wait(10)
"""


def _sqlite_can_be_patched() -> bool:
    """Say whether SQLite's functions can be reached in this build of Python."""
    import _sqlite3
    import ctypes

    return sys.platform.startswith("linux") and hasattr(ctypes.CDLL(_sqlite3.__file__), "sqlite3_vfs_find")


@pytest.mark.skipif(not _sqlite_can_be_patched(), reason="this build of Python hides SQLite's functions")
@attack(
    "the disk fails to sync (fsync returns an error)",
    who="a broken disk",
    by="the append itself: it is not acknowledged",
    said="cannot be read or written: the disk reports an error",
)
def test_a_failing_fsync(world: World, row: Row, tmp_path: Path) -> None:
    """An entry whose fsync failed is not acknowledged, and the log is sound before and after."""
    command = [sys.executable, "-c", FAILING_FSYNC, str(world.state), str(tmp_path / "flag")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    row.confirm(ran.stdout)
    assert world.check(checkpoint=world.exported).ok
    with open_at(world.state, read_only=True) as log:
        said = [entry.data["n"] for entry in log.entries(start=world.size)]
    assert [word for word in said if word != "never acknowledged"] == ["before", "after"]


@attack(
    "sixteen writers at once",
    who="a busy service",
    by="nothing to find: " + VERIFY + " stays VALID, and every entry is there",
    said="VALID",
)
def test_sixteen_writers(world: World, row: Row) -> None:
    """Sixteen writers of one database lose, double and reorder nothing of what each of them appended."""
    failed: list[BaseException] = []

    def write(name: int) -> None:
        try:
            with open_at(world.state) as log:
                for number in range(EACH):
                    log.append("opened", data={"writer": name, "n": number}).wait(60)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
            failed.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    report = world.check(checkpoint=world.exported)
    assert [item for item in report.findings if item.severity == "error"] == []
    row.confirm(report.verdict)
    with open_at(world.state, read_only=True) as log:
        written = [(entry.data["writer"], entry.data["n"]) for entry in log.entries(start=world.size)]
    assert sorted(written) == [(name, number) for name in range(16) for number in range(EACH)]
    for name in range(16):
        assert [number for writer, number in written if writer == name] == list(range(EACH))


@attack(
    "verify while four processes append",
    who="an auditor of a running service",
    by="nothing to find: 1,000 verifications in `make soak` without a false alarm",
    said="VALID",
)
def test_no_false_alarm_while_four_processes_append(world: World, row: Row) -> None:
    """Verifications beside running writers find nothing, each of them sees the log at least as large as before."""
    command = [sys.executable, "-c", SLOW_APPENDER, str(world.state)]
    writers = [
        subprocess.Popen([*command, f"p{number}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number in range(4)
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "0\n"
        sizes = []
        for number in range(VERIFICATIONS):
            report = world.check(checkpoint=world.exported)
            alarms = [str(item) for item in report.findings if item.severity != "information"]
            assert alarms == [], f"verification {number}"
            row.confirm(report.verdict)
            sizes.append(report.size)
            time.sleep(0.02)
    finally:
        said = [writer.communicate("\n", timeout=60)[0] for writer in writers]
    assert sizes == sorted(sizes)
    assert sizes[-1] > world.size
    assert [writer.returncode for writer in writers] == [0] * 4
    with open_at(world.state, read_only=True) as log:
        last = {entry.record for entry in log.entries(start=world.size)}
    assert all(f"p{number}-{text.split()[-1]}" in last for number, text in enumerate(said) if text.split())


@attack(
    "restore the key database from before an erasure",
    who=RESTORER,
    by=VERIFY + " (a warning), and the next opening destroys the keys again",
    said="says that this key was erased; opening the log for writing destroys it again",
)
def test_restored_keys_after_an_erasure(world: World, row: Row) -> None:
    """Erased keys that come back with a backup are named, and gone once the log was opened."""
    backup = world.copy("backup")
    with open_at(world.state) as log:
        assert log.erase(subject="user-1").keys
    world.take_from(backup, "keys.db")
    report = world.check()
    assert report.ok
    row.confirm("".join(str(item) for item in report.findings if item.severity == "warning"))
    open_at(world.state).close()
    assert world.check().findings == []
    _assert_gone(world, 1)


@attack(
    "restore erased ciphertext into the database",
    who=RESTORER,
    by=VERIFY,
    said="erased this row, and it is back.",
)
def test_restored_ciphertext_after_an_erasure(world: World, row: Row) -> None:
    """A payload that an erasure took away and that is back is an error."""
    name = world.payload_of(1, "prompt")
    blob = world.sql("SELECT blob FROM payload WHERE id = ?", name)[0][0]
    with open_at(world.state) as log:
        log.erase(subject="user-1")
    world.sql("INSERT INTO payload (id, blob) VALUES (?, ?)", name, blob)
    row.confirm_finding(world.check(), "payload", name, "id")


@attack(
    "restore database, keys and pictures from before an erasure, without the state folder",
    who=RESTORER,
    by=VERIFY + " (the anchor file), and the next opening",
    said="its end was cut off",
)
def test_a_restored_backup_after_an_erasure(world: World, row: Row) -> None:
    """The anchor is ahead of the restored database, so the log is not opened for writing with the erased data back."""
    backup = world.copy("backup")
    with open_at(world.state) as log:
        log.erase(subject="user-1")
        size = log.size
    world.take_from(backup, "audit.db", "keys.db", "assets")
    row.confirm_finding(world.check(), "anchor", size)
    with pytest.raises(LogCorrupt, match="rolled back or cut"):
        open_at(world.state)


@attack(
    "restore everything, the anchor included, from before an erasure (what was erased can be read again)",
    who=RESTORER,
    by="`limner audit verify --checkpoint FILE`, with a checkpoint exported after the erasure",
    said="its end was cut off",
)
def test_everything_restored_after_an_erasure(world: World, row: Row) -> None:
    """Nothing on the machine knows of the erasure any more; a checkpoint from after it tells that something is gone."""
    backup = world.copy("backup")
    with open_at(world.state) as log:
        log.erase(subject="user-1")
        exported = log.head().note
    shutil.rmtree(world.state)
    backup.state.rename(world.state)
    assert world.check().ok
    report = world.check(checkpoint=exported)
    row.confirm_finding(report, "checkpoint file")


def _assert_gone(world: World, number: int) -> None:
    """Assert that a record's prompt cannot be read any more."""
    with open_at(world.state, read_only=True) as log:
        ref = log.record(record_id(number))[0].payloads["prompt"]
        with pytest.raises(PayloadErased):
            log.payload(ref)
        assert f"user-{number}" != ERASED


@attack(
    "erase somebody whose data a court wants kept",
    who="the operator, by mistake or on purpose",
    by="the erasure itself: it is refused while a hold stands, and the attempt is logged",
    said="Nothing was erased: hold … The attempt is in the log.",
)
def test_an_erasure_under_a_hold(world: World, row: Row) -> None:
    """While a hold stands nothing of its subject is erased."""
    with open_at(world.state) as log:
        log.hold(subject="user-1", reason="case 7")
        with pytest.raises(ErasureHeld) as caught:
            log.erase(subject="user-1")
    row.confirm(str(caught.value))
    assert world.check().ok
    with open_at(world.state, read_only=True) as log:
        assert log.payload(log.record(record_id(1))[0].payloads["prompt"]) == "apple 1"
