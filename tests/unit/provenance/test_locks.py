"""Locks on records: one holder at a time, freed by death, no file left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from racing import race

from limner_provenance.errors import EntryInvalid, RecordRunning
from limner_provenance.locks import RecordLocks

RECORD = "0198f000-0000-7000-8000-000000000001"


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    """A second task of the same process is refused while the first holds the lock, and only then."""
    locks = RecordLocks(tmp_path / "run")
    assert not locks.is_running(RECORD)
    with locks.hold(RECORD):
        assert locks.is_running(RECORD)
        with pytest.raises(RecordRunning, match=RECORD), RecordLocks(tmp_path / "run").hold(RECORD):
            pass
        with locks.hold("another"):
            pass
    assert not locks.is_running(RECORD)
    assert list((tmp_path / "run").iterdir()) == []


def test_the_lock_is_free_after_an_error(tmp_path: Path) -> None:
    """A block that raises gives its lock back."""
    locks = RecordLocks(tmp_path)
    with pytest.raises(ZeroDivisionError), locks.hold(RECORD):
        raise ZeroDivisionError
    with locks.hold(RECORD):
        pass


def test_a_dead_holder_holds_nothing(tmp_path: Path) -> None:
    """The lock of a process that died is free, and its file is cleared away."""
    locks = RecordLocks(tmp_path)
    child = os.fork()
    if child == 0:
        holding = locks.hold(RECORD)
        holding.__enter__()
        os._exit(0 if locks.is_running(RECORD) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (tmp_path / RECORD).exists()
    assert not locks.is_running(RECORD)
    assert list(tmp_path.iterdir()) == []


def test_many_threads_never_share_a_lock(tmp_path: Path) -> None:
    """However many threads try, files coming and going between them, at most one is inside."""
    locks = RecordLocks(tmp_path)
    most, entered = race(lambda: locks.hold(RECORD), times=200)
    assert most == 1
    assert entered > 0


@pytest.mark.parametrize("record", ["", "../x", "a/b", "a" * 200, "ä", "."])
def test_what_is_no_id_becomes_no_file(tmp_path: Path, record: str) -> None:
    """A record id that could lead out of the folder is refused."""
    with pytest.raises(EntryInvalid, match="is no id"), RecordLocks(tmp_path).hold(record):
        pass
