"""The writer's promises about order and failure, with commits that fail when told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from limner_provenance.committing import Committed, Draft
from limner_provenance.entries import make_entry
from limner_provenance.errors import AuditError, DatabaseUnavailable, StorageUnavailable
from limner_provenance.writer import Pending, Writer


class Disk:
    """Keeps what is committed, and fails on demand."""

    def __init__(self) -> None:
        self.kept: list[Draft] = []
        self.batches: list[int] = []
        self.fail: Exception | None = None
        self.refuse: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()

    def commit(self, drafts: Sequence[Draft]) -> Committed:
        """Keep the drafts, or fail."""
        self.gate.wait(10)
        if self.fail is not None:
            raise self.fail
        start = len(self.kept)
        self.kept += drafts
        self.batches.append(len(drafts))
        return Committed(start, len(self.kept), "")

    def prepare(self, draft: Draft) -> None:
        """Refuse the pictures of some records."""
        if draft.entry.record in self.refuse and draft.entry.step == "produced":
            raise StorageUnavailable("no room for a picture")


@pytest.fixture
def disk() -> Disk:
    """Give a disk that works."""
    return Disk()


@pytest.fixture
def writer(disk: Disk) -> Iterator[Writer]:
    """Give a writer over that disk."""
    made = Writer(disk.commit, disk.prepare)
    yield made
    made.close()


@pytest.fixture
def append(writer: Writer) -> Callable[..., Pending]:
    """Give the function that appends to the writer."""
    return lambda record, step="planned": writer.append(Draft(make_entry(step, record, {}, {})))


def test_entries_that_come_together_are_committed_together(disk: Disk, append: Callable[..., Pending]) -> None:
    """What is appended during a commit goes into the next one, in order."""
    disk.gate.clear()
    pending = [append(f"r-{number}") for number in range(50)]
    disk.gate.set()
    assert [item.wait(10).index for item in pending] == list(range(50))
    assert len(disk.batches) <= 3


def test_a_failed_commit_fails_its_entries_and_later_ones_try_again(disk: Disk, append: Callable[..., Pending]) -> None:
    """A database error reaches the caller; once it is mended, appending works again."""
    disk.fail = DatabaseUnavailable("disk is full")
    with pytest.raises(DatabaseUnavailable, match="full"):
        append("r-1").wait(10)
    disk.fail = None
    assert append("r-1").wait(10).index == 0


def test_an_unexpected_error_is_given_as_ours(disk: Disk, append: Callable[..., Pending]) -> None:
    """Whatever goes wrong in the thread reaches the caller as an audit error, and the thread lives on."""
    disk.fail = ZeroDivisionError("oops")
    with pytest.raises(AuditError, match="ZeroDivisionError"):
        append("r-1").wait(10)
    disk.fail = None
    assert append("r-1").wait(10).index == 0


def test_a_picture_that_cannot_be_stored_fails_its_record_alone(disk: Disk, append: Callable[..., Pending]) -> None:
    """Entries of other records in the same batch are written; later ones of the same record are not."""
    disk.refuse = {"r-1"}
    disk.gate.clear()
    first = append("r-0")
    produced, sealed, other = append("r-1", "produced"), append("r-1", "sealed"), append("r-2")
    disk.gate.set()
    assert first.wait(10).index == 0
    with pytest.raises(StorageUnavailable, match="no room"):
        produced.wait(10)
    with pytest.raises(DatabaseUnavailable, match="earlier entry of the same record"):
        sealed.wait(10)
    assert other.wait(10).index == 1
    assert [draft.entry.record for draft in disk.kept] == ["r-0", "r-2"]


def test_flush_waits_for_what_is_being_committed(disk: Disk, writer: Writer, append: Callable[..., Pending]) -> None:
    """A flush returns only when every entry appended before it is on the disk, the batch under way included."""
    for number in range(20):
        disk.gate.clear()
        pending = [append(f"r-{number}-{place}") for place in range(3)]
        threading.Timer(0.01, disk.gate.set).start()
        writer.flush()
        assert all(item.durable.done() for item in pending)


@pytest.mark.parametrize("broken", ["commit", "prepare"])
def test_what_is_appended_once_a_failure_is_known_is_written(
    broken: str, disk: Disk, append: Callable[..., Pending]
) -> None:
    """Who hears of a lost entry and appends it again at once is not failed together with what came before."""
    disk.fail = DatabaseUnavailable("disk is full") if broken == "commit" else None
    disk.refuse = {"r-1"} if broken == "prepare" else set()
    again: list[Pending] = []

    def repeat(_: object) -> None:
        disk.fail = None
        disk.refuse = set()
        again.append(append("r-1", "produced"))

    disk.gate.clear()
    append("r-0")
    lost = append("r-1", "produced")
    lost.durable.add_done_callback(repeat)  # runs in the writer's thread, before it does anything else
    disk.gate.set()
    with pytest.raises((DatabaseUnavailable, StorageUnavailable)):
        lost.wait(10)
    assert again[0].wait(10).step == "produced"
