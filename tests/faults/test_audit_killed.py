"""The audit log under faults: killed writers, full disks, read-only folders, locked databases, many processes.

`LIMNER_KILLS=1000` makes the killing longer (`make soak`).
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from faults.matrix import Row, attack

from limner_provenance.audit import verify
from limner_provenance.errors import DatabaseUnavailable, StorageUnavailable
from limner_provenance.log import AuditLog

KILLS = int(os.environ.get("LIMNER_KILLS", "20"))

# Appends until it is killed; prints the number of each entry once it is on the disk.
APPENDER = """
import sys
from pathlib import Path
from limner_provenance.log import AuditLog
state, name = Path(sys.argv[1]), sys.argv[2]
count = int(sys.argv[3])
with AuditLog.open(f"sqlite:///{state / 'audit.db'}", state=state) as log:
    print("open", flush=True)
    number = 0
    while number < count:
        several = []
        for _ in range(1 + number % 5):
            payloads = {"prompt": f"{name} {number}"} if number % 3 == 0 else {}
            if number % 11 == 0:
                payloads["image"] = bytes(3000)
            several.append(log.append("planned", record=f"{name}-{number}", data={"n": number}, payloads=payloads))
            number += 1
        for pending in several:
            print(pending.wait().data["n"], flush=True)
"""


def start(state: Path, name: str, count: int = 10**9) -> subprocess.Popen[str]:
    """Start a process that appends."""
    command = [sys.executable, "-c", APPENDER, str(state), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def open_at(state: Path, *, read_only: bool = False) -> AuditLog:
    """Open the log whose whole state lies in one folder."""
    return AuditLog.open(f"sqlite:///{state / 'audit.db'}", state=state, read_only=read_only)


def errors(log: AuditLog) -> list[str]:
    """Give what a verification finds wrong, the usual odd steps of these records left out."""
    return [str(finding) for finding in verify(log).findings if finding.severity == "error"]


@attack(
    "`kill -9` at a random point",
    who="an accident",
    by="nothing to find: `limner audit verify` stays VALID, and what was acknowledged is there (1,000 in `make soak`)",
    said="VALID",
)
def test_killed_at_random_points(tmp_path: Path, row: Row) -> None:
    """A killed writer leaves a log that opens, verifies and holds what was acknowledged, nothing half-written."""
    dice = random.Random(20261124)
    acknowledged: set[tuple[str, int]] = set()
    for round_number in range(KILLS):
        name = f"k{round_number}"
        process = start(tmp_path, name)
        assert process.stdout is not None
        if dice.random() < 0.8:
            assert process.stdout.readline() == "open\n"
        time.sleep(dice.random() * 0.15)
        process.send_signal(signal.SIGKILL)
        said = process.stdout.read().splitlines()
        process.wait()
        process.stdout.close()
        acknowledged |= {(name, int(line)) for line in said if line.isdigit()}
        if round_number % 5 == 4:
            check_after_kill(tmp_path, acknowledged)
    check_after_kill(tmp_path, acknowledged)
    assert len(acknowledged) > KILLS
    with open_at(tmp_path, read_only=True) as log:
        row.confirm(verify(log).verdict)


def check_after_kill(state: Path, acknowledged: set[tuple[str, int]]) -> None:
    """Open, verify, and look for every acknowledged entry."""
    with open_at(state) as log:
        assert errors(log) == []
        there = {
            (entry.record.split("-")[0], entry.data["n"]) for entry in log.entries(steps=["planned"]) if entry.record
        }
        assert acknowledged <= there
        assert log.unfinished() == []
    assert list(state.rglob(".part-*")) == []


def test_four_processes_append_at_once(tmp_path: Path) -> None:
    """Processes share one log without losing or mixing anything, and verifications meanwhile raise no false alarm."""
    open_at(tmp_path).close()
    processes = [start(tmp_path, f"p{number}", 150) for number in range(4)]
    try:
        while any(process.poll() is None for process in processes):
            with open_at(tmp_path, read_only=True) as log:
                assert errors(log) == []
        for process in processes:
            assert process.wait() == 0
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    with open_at(tmp_path) as log:
        assert errors(log) == []
        for number in range(4):
            own = [
                entry.data["n"]
                for entry in log.entries(steps=["planned"])
                if str(entry.record).startswith(f"p{number}-")
            ]
            assert own == sorted(own)
            assert set(range(150)) <= set(own)


@attack(
    "another program holds the database",
    who="a backup or an open SQL shell",
    by="the append: it fails after its patience, and works again afterwards",
    said="is locked by another program",
)
def test_a_locked_database_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: Row) -> None:
    """While another program holds the database, appending fails in plain words, and works again afterwards."""
    monkeypatch.setattr("limner_provenance.sqlite.BUSY_SECONDS", 0.2)
    with open_at(tmp_path) as log, closing(sqlite3.connect(tmp_path / "audit.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable) as caught:
            log.append("accepted", record="r-1").wait(10)
        row.confirm(str(caught.value))
        other.execute("ROLLBACK")
        assert log.append("accepted", record="r-1").wait(10).index == 1


def test_queued_entries_of_a_failed_record_fail_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No entry of a record is written behind one that was lost, unless its caller has heard of the loss."""
    monkeypatch.setattr("limner_provenance.sqlite.BUSY_SECONDS", 1.0)
    with open_at(tmp_path) as log, closing(sqlite3.connect(tmp_path / "audit.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        first = log.append("accepted", record="r-1")
        time.sleep(0.3)
        later, stranger = log.append("planned", record="r-1"), log.append("accepted", record="r-2")
        with pytest.raises(DatabaseUnavailable, match="locked"):
            first.wait(10)
        other.execute("ROLLBACK")
        with pytest.raises(DatabaseUnavailable, match="earlier entry of the same record"):
            later.wait(10)
        assert stranger.wait(10).index == 1
        assert [entry.record for entry in log.entries(start=1)] == ["r-2"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on a file system of two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@attack(
    "the disk is full",
    who="an accident",
    by="the append: it is not acknowledged; the log stays VALID",
    said="cannot grow: the disk is full",
)
def test_a_full_disk_is_a_clear_error_and_loses_nothing(small_disk: Path, row: Row) -> None:
    """When the disk is full, appending says so; what was acknowledged is there, and there is a way on."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(400_000))
    written = 0
    with open_at(small_disk) as log:
        error = None
        while error is None and written < 10_000:
            error = log.append("planned", record="r-1", payloads={"p": "x" * 20_000}).durable.exception(10)
            written += error is None
        assert isinstance(error, DatabaseUnavailable)
        row.confirm(str(error))
        assert error.remedy
        ballast.unlink()
        log.append("planned", record="r-1", data={"n": "after"}).wait(10)
    with open_at(small_disk, read_only=True) as log:
        assert errors(log) == []
        assert log.size == written + 2


@attack(
    "the asset store is full",
    who="an accident",
    by="the append of that picture, and it alone; nothing half-written is left",
    said="No space left",
)
def test_a_full_asset_store_is_a_clear_error(small_disk: Path, row: Row) -> None:
    """A picture that does not fit fails its own entry, and leaves nothing half-written behind."""
    with open_at(small_disk) as log:
        with pytest.raises(StorageUnavailable) as caught:
            log.append("produced", record="r-1", payloads={"image": bytes(4_000_000)}).wait(10)
        row.confirm(str(caught.value))
        assert log.append("failed", record="r-1").wait(10).index == 1
        assert [path for path in (small_disk / "assets").rglob("*") if path.is_file()] == []


READ_ONLY = """
import os, sys
from pathlib import Path
from limner_provenance.log import AuditLog
from limner_provenance.audit import verify
from limner_provenance.errors import ProvenanceError
state = Path(sys.argv[1])
# Load whatever is loaded lazily while the interpreter's own files can still be read.
with AuditLog.open(f"sqlite:///{state / 'audit.db'}", state=state) as log:
    verify(log)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    AuditLog.open(f"sqlite:///{state / 'audit.db'}", state=state)
except ProvenanceError as error:
    print(type(error).__name__, error)
with AuditLog.open(f"sqlite:///{state / 'audit.db'}", state=state, read_only=True) as log:
    report = verify(log)
    print(report.verdict, log.size, report.payloads_not_opened, bool(log.not_opened))
"""


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become another user")
def test_an_auditor_without_write_permission(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Another user who may only read gets a clear refusal to write, and verifies without writing and without keys."""
    state = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    try:
        with open_at(state) as log:
            log.append("accepted", record="r-1", payloads={"p": 1}).wait(10)
        for path in (state, *state.rglob("*")):
            if "keys" not in path.relative_to(state).parts:
                path.chmod(0o755 if path.is_dir() else 0o644)
        before = sorted(path.name for path in state.iterdir())
        ran = subprocess.run([sys.executable, "-c", READ_ONLY, str(state)], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        refusal, verdict = ran.stdout.splitlines()
        assert refusal.startswith(("StorageUnavailable", "DatabaseUnavailable"))
        assert verdict == "VALID 2 1 True"
        assert sorted(path.name for path in state.iterdir()) == before
    finally:
        subprocess.run(["rm", "-r", str(state)], check=True)


def test_keys_stay_private_under_a_loose_umask(tmp_path: Path) -> None:
    """Whatever the umask, keys, key database and pictures are not left open to others."""
    old = os.umask(0)
    try:
        with open_at(tmp_path / "s") as log:
            log.append("produced", record="r-1", payloads={"image": b"x"}).wait(10)
    finally:
        os.umask(old)
    for path in [*(tmp_path / "s" / "keys").rglob("*"), *(tmp_path / "s" / "assets").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
