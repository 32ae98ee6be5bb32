"""One request's life in the audit log: its entries so far, and the way to add the next.

Knows the log and nothing of providers or policy; the provenance leaf derives a record's state from its entries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from limner_provenance.states import derive

if TYPE_CHECKING:
    from limner_provenance import AuditLog
    from limner_provenance.entries import Entry
    from limner_provenance.states import RecordState
    from limner_provenance.writer import Pending

_LARGE = 32_768
"""From this many bytes on, encrypting is left to a worker thread so that the event loop stays free."""


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
        self._pending: list[Pending] = []
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
        context = record.payload("accepted", "context")
        record.subject = context.get("user") if isinstance(context, dict) else None
        return record

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
        self, step: str, data: Mapping[str, Any], payloads: Mapping[str, Any] | None = None, *, durable: bool = False
    ) -> Entry:
        """Append an entry; with `durable` return only once it and all before it are on disk.

        Raises:
            EntryInvalid: The entry is no canonical JSON or too large.
            DatabaseUnavailable: It could not be written.
        """
        payloads = payloads or {}

        def append() -> Pending:
            return self.log.append(step, record=self.id, data=data, payloads=payloads, subject=self.subject)

        large = sum(len(p) for p in payloads.values() if isinstance(p, bytes)) >= _LARGE
        pending = await asyncio.to_thread(append) if large else append()
        self._pending.append(pending)
        self.entries.append(pending.entry)
        if durable:
            await self.settle()
        return pending.entry

    async def settle(self) -> None:
        """Wait until every entry added so far is on disk."""
        while self._pending:
            await asyncio.wrap_future(self._pending[0].durable)
            self._pending.pop(0)
