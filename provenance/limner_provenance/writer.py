"""The writer: one thread a process that commits what callers append, many entries at a time (group commit).

Appending never waits; each caller gets a future that is done once its entry is on the disk. Knows nothing of how a
commit is made.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from limner_provenance.committing import Committed, Draft, DraftRefused, KeyErased
from limner_provenance.entries import Entry
from limner_provenance.errors import AuditError, DatabaseUnavailable, ProvenanceError

MAX_BATCH = 512
"""The most entries in one commit."""

MAX_BATCH_BYTES = 64 * 2**20
"""The most payload bytes in one commit (one entry alone may have more)."""

LINGER_SECONDS = 0.001
"""The longest a commit waits for callers that the last one released to append again."""


class Pending:
    """An appended entry that is on its way to the disk.

    Attributes:
        entry: the entry; its leaf and leaf hash are final, its index is known only after the commit.
        durable: done with the entry and its index once it is on the disk; fails with the error that kept it away. It
            cannot be cancelled: an entry that was appended is written.
        after: the entry without which this one is not written either; None once that is settled.
    """

    __slots__ = ("after", "draft", "durable", "entry")

    def __init__(self, draft: Draft, after: Pending | None = None) -> None:
        self.draft = draft
        self.after = after
        self.entry: Entry = draft.entry
        self.durable: Future[Entry] = Future()
        # A future that runs cannot be cancelled, so an awaiting task that is cancelled leaves the write alone.
        self.durable.set_running_or_notify_cancel()

    @property
    def orphaned(self) -> bool:
        """Whether the entry that has to come before could not be written; asked when that one is settled."""
        before, self.after = self.after, None
        return before is not None and before.durable.done() and before.durable.exception() is not None

    def wait(self, timeout: float | None = None) -> Entry:
        """Wait until the entry is on the disk, at most `timeout` seconds, and give it with its index.

        Raises:
            ProvenanceError: what kept it from being written.
            TimeoutError: it is still on its way.
        """
        return self.durable.result(timeout)


class Writer:
    """Queue and thread.

    A failed commit fails the entries in it, and those of the same records that were appended before the failure was
    known: a record's entries are never written with a gap that its caller has not heard of. Later appends try again.
    """

    def __init__(self, commit: Callable[[Sequence[Draft]], Committed], prepare: Callable[[Draft], None]) -> None:
        """Take the function that commits a batch, and the one that first stores what a draft needs outside."""
        self._commit = commit
        self._prepare = prepare
        self._queue: deque[Pending] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._batch: list[Pending] = []
        self._closed = False
        self._process = os.getpid()
        self._last = 1
        atexit.register(_close_at_exit, weakref.ref(self))

    def append(self, draft: Draft, after: Pending | None = None) -> Pending:
        """Queue a draft, to be written only where the entry `after` is.

        Raises:
            DatabaseUnavailable: the log was closed, or opened before this process was forked.
        """
        pending = Pending(draft, after)
        self.check_process()
        with self._changed:
            if self._closed:
                raise DatabaseUnavailable("The audit log was closed.", remedy="Open it again.")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="limner-audit-writer", daemon=True)
                self._thread.start()
            self._queue.append(pending)
            # The writer waits for the first entry, then for as many as came last time; waking it for each one in
            # between would only take the interpreter away from those who append.
            if len(self._queue) == 1 or len(self._queue) >= self._last:
                self._changed.notify_all()
        return pending

    def check_process(self) -> None:
        """Refuse to work in a process that was forked after the log was opened: the thread is not in it.

        Raises:
            DatabaseUnavailable: this is such a process.
        """
        if os.getpid() != self._process:
            message = "The audit log was opened before this process was forked."
            raise DatabaseUnavailable(message, remedy="Open it again after the fork (AuditLog.open).")

    def flush(self) -> None:
        """Wait until everything appended so far is on the disk, or has failed."""
        self.check_process()
        with self._changed:
            waiting = [*self._batch, *self._queue]
            self._changed.wait_for(lambda: all(pending.durable.done() for pending in waiting))

    def close(self) -> None:
        """Write what is queued, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None and os.getpid() == self._process:
            self._thread.join()

    def _run(self) -> None:
        """Commit batches until the log is closed and nothing is queued."""
        while batch := self._next():
            ready = self._prepared(batch)
            if ready:
                self._write(ready)

    def _next(self) -> list[Pending]:
        """Wait for work and take a batch; empty when the log is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            self._linger()
            batch: list[Pending] = []
            size = 0
            while self._queue and len(batch) < MAX_BATCH and size < MAX_BATCH_BYTES:
                batch.append(self._queue.popleft())
                size += sum(len(sealed.blob) for sealed in batch[-1].draft.sealed)
            self._last = len(batch)
            self._batch = batch
            return batch

    def _linger(self) -> None:
        """Wait a moment for as many as came last time: callers released by the last commit are about to append."""
        deadline = time.monotonic() + LINGER_SECONDS
        while len(self._queue) < self._last and not self._closed:
            left = deadline - time.monotonic()
            if left <= 0 or not self._changed.wait(left):
                return

    def _prepared(self, batch: list[Pending]) -> list[Pending]:
        """Store what lies outside the database; who cannot be prepared fails with the rest of his record."""
        ready: list[Pending] = []
        failed: set[str] = set()
        for pending in batch:
            if pending.entry.record in failed or pending.orphaned:
                self._fail_record([pending], failed, DatabaseUnavailable(_AFTER))
                continue
            try:
                self._prepare(pending.draft)
            except Exception as error:  # noqa: BLE001 - the thread must live; the caller gets the error
                self._fail_record([pending], failed, error)
            else:
                ready.append(pending)
        return ready

    def _fail_record(self, batch: list[Pending], failed: set[str], error: Exception) -> None:
        """Fail entries and what is queued behind them; what is appended once that is known is not among it."""
        records = {pending.entry.record for pending in batch if pending.entry.record}
        self._fail_queued(records)
        failed |= records
        self._fail(batch, error)

    def _write(self, batch: list[Pending]) -> None:
        """Commit a batch and tell its callers."""
        try:
            done = self._commit([pending.draft for pending in batch])
        except (DraftRefused, KeyErased) as error:
            self._without(batch, error)
        except Exception as error:  # noqa: BLE001 - the thread must live; the callers get the error
            self._fail_record(batch, set(), error)
        else:
            for offset, pending in enumerate(batch):
                pending.draft.sealed = ()
                pending.durable.set_result(pending.entry.at(done.start + offset))
            self._finished()

    def _without(self, batch: list[Pending], error: DraftRefused | KeyErased) -> None:
        """Fail what the error concerns, whole records, and commit the others."""
        records = {p.entry.record for p in batch if error.concerns(p.draft) and p.entry.record}
        gone = [p for p in batch if error.concerns(p.draft) or p.entry.record in records]
        self._fail_queued(records)
        self._fail(gone, error)
        rest = [p for p in batch if p not in gone]
        if rest:
            self._write(rest)

    def _fail_queued(self, records: set[str]) -> None:
        """Fail what is already queued for records that lost an entry."""
        if not records:
            return
        with self._changed:
            lost = [pending for pending in self._queue if pending.entry.record in records]
            for pending in lost:
                self._queue.remove(pending)
        self._fail(lost, DatabaseUnavailable(_AFTER, remedy="Append the record's missing entries again, in order."))

    def _fail(self, batch: list[Pending], error: Exception) -> None:
        """Tell callers what kept their entries from being written."""
        if not isinstance(error, ProvenanceError):
            message = f"The entry could not be written: {type(error).__name__}: {error}"
            wrapped = AuditError(message)
            wrapped.__cause__ = error
            error = wrapped
        for pending in batch:
            pending.draft.sealed = ()
            pending.durable.set_exception(error)
        self._finished()

    def _finished(self) -> None:
        """Wake those who wait for a flush."""
        with self._changed:
            self._changed.notify_all()


_AFTER = "An earlier entry of the same record could not be written, so this one was not either."


def _close_at_exit(reference: weakref.ref[Writer]) -> None:
    """Write what is queued when the interpreter ends without a close."""
    writer = reference()
    if writer is not None:
        writer.close()
