"""One request's life in the audit log: its entries so far, and the way to add the next.

Knows the log and nothing of providers or policy; the provenance leaf derives a record's state from its entries.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limner_provenance.errors import ProvenanceError
from limner_provenance.states import derive

if TYPE_CHECKING:
    from limner_provenance import AuditLog
    from limner_provenance.entries import Entry
    from limner_provenance.states import RecordState
    from limner_provenance.writer import Pending

_LARGE = 32_768
"""From this many bytes on, encrypting is left to a worker thread so that the event loop stays free."""


_NEVER_AGAIN = ("attempted", "sealed", "delivered")
"""Steps that are not written a second time: nothing was sent, or a manifest names an entry that was lost."""


@dataclass(slots=True)
class _Waiting:
    """An entry on its way to the disk, and what it was made from."""

    pending: Pending
    step: str
    data: Mapping[str, Any]
    payloads: Mapping[str, Any]
    apart: Collection[str] = ()

    @property
    def lost(self) -> bool:
        """Whether it is known that it could not be written."""
        return self.pending.durable.done() and self.pending.durable.exception() is not None


class Record:
    """The entries of one request, in order, and the only way to add to them."""

    def __init__(
        self, log: AuditLog, record_id: str, *, subject: str | None, entries: list[Entry] | None = None
    ) -> None:
        """Open a record; `subject` is whose data key protects its payloads (None: the record's own)."""
        self.id = record_id
        self.log = log
        self.subject = subject
        self.entries: list[Entry] = list(entries or ())
        self._waiting: list[_Waiting] = []
        self.memory: dict[str, Any] = {}

    @classmethod
    def load(cls, log: AuditLog, record_id: str) -> Record:
        """Read a record back from the log.

        Raises:
            RecordNotFound: No entry has this record id.
        """
        entries = list(log.entries(record=record_id))
        if not entries:
            from limner.errors import RecordNotFound

            raise RecordNotFound(
                f"No record {record_id!r} is in this log.", remedy="See `limner audit show` for the records."
            )
        record = cls(log, record_id, subject=None, entries=entries)
        # An erased record, or one whose keys are elsewhere, can still be shown; it cannot be gone on with.
        with contextlib.suppress(ProvenanceError):
            context = record.payload("accepted", "context")
            record.subject = context.get("user") if isinstance(context, dict) else None
        return record

    async def refresh(self) -> None:
        """Read the entries again; under the record's lock nobody adds to what is read then.

        Whoever held the lock before may have gone on since this record was loaded, and sent it to an engine.
        """
        if self.entries:
            await self.settle()
            await asyncio.to_thread(self._read_again)

    def _read_again(self) -> None:
        self.log.flush()
        self.entries = list(self.log.entries(record=self.id))

    @property
    def state(self) -> RecordState:
        """The state that the entries so far derive."""
        return derive(self.entries)

    @property
    def standing(self) -> str:
        """How it ended, else its newest step, e.g. `delivered`, `denied`, `produced` or `in_review`."""
        state = self.state
        return state.ending or state.state.partition(":")[0]

    def all(self, step: str, **data: Any) -> list[Entry]:
        """Give the entries of a step whose data holds these values."""
        return [e for e in self.entries if e.step == step and all(e.data.get(k) == v for k, v in data.items())]

    def find(self, step: str, **data: Any) -> Entry | None:
        """Give the newest entry of a step whose data holds these values, or None."""
        found = self.all(step, **data)
        return found[-1] if found else None

    def entry(self, step: str, **data: Any) -> Entry:
        """Give the newest entry of a step, which the order of the pipeline promises to be there.

        Raises:
            LookupError: It is not there: the record is irregular.
        """
        found = self.find(step, **data)
        if found is None:
            message = f"record {self.id} has no entry {step!r}"
            raise LookupError(message)
        return found

    def payload(self, step: str, name: str, **data: Any) -> Any:
        """Open a payload of the newest entry of a step; None where there is none."""
        entry = self.find(step, **data)
        return self.log.payload(entry.payloads[name]) if entry and name in entry.payloads else None

    async def add(
        self,
        step: str,
        data: Mapping[str, Any],
        payloads: Mapping[str, Any] | None = None,
        *,
        durable: bool = False,
        apart: Collection[str] = (),
    ) -> Entry:
        """Append an entry; with `durable` return only once it and all before it are on disk.

        The payloads named by `apart` get a key of their own, so that each can be destroyed alone.

        Raises:
            EntryInvalid: The entry is no canonical JSON or too large.
            DatabaseUnavailable: It could not be written.
        """
        payloads = payloads or {}
        # Nothing follows an entry that was lost: the log would tell of a step without the one before it.
        after = self._waiting[-1].pending if self._waiting else None

        def append() -> Pending:
            return self.log.append(
                step, record=self.id, data=data, payloads=payloads, subject=self.subject, after=after, apart=apart
            )

        large = sum(len(p) for p in payloads.values() if isinstance(p, bytes)) >= _LARGE
        pending = await asyncio.to_thread(append) if large else append()
        self._waiting.append(_Waiting(pending, step, data, payloads, apart))
        self.entries.append(pending.entry)
        if durable:
            await self.settle()
        return pending.entry

    def note(self, step: str, data: Mapping[str, Any]) -> None:
        """Append a small entry without waiting for it; what comes after it follows it on the disk too.

        For a listener that must not hold up who calls it: where the log cannot take it, the next entry says so.
        """
        after = self._waiting[-1].pending if self._waiting else None
        with contextlib.suppress(ProvenanceError):
            pending = self.log.append(step, record=self.id, data=data, subject=self.subject, after=after)
            self._waiting.append(_Waiting(pending, step, data, {}))
            self.entries.append(pending.entry)

    async def settle(self) -> None:
        """Wait until every entry added so far is on disk."""
        while self._waiting:
            await asyncio.wrap_future(self._waiting[0].pending.durable)
            self._waiting.pop(0)

    async def rescue(self) -> None:
        """Write entries that were lost once more, in their order, up to one that may not be written again.

        A disk that was full for a moment must not cost a picture that is paid for.

        Raises:
            ProvenanceError: They cannot be written now either; the record is as the log has it.
        """
        waiting, self._waiting = self._waiting, []
        await asyncio.gather(*(asyncio.wrap_future(w.pending.durable) for w in waiting), return_exceptions=True)
        lost = [w for w in waiting if w.lost]
        gone = {w.pending.entry.leaf_hash for w in lost}
        self.entries = [entry for entry in self.entries if entry.leaf_hash not in gone]
        for one in itertools.takewhile(lambda w: w.step not in _NEVER_AGAIN, lost):
            await self.add(one.step, one.data, one.payloads, apart=one.apart)
        await self.settle()
