"""Holds: what a court or a regulator wants kept is not erased while a hold stands.

A hold is an entry of the log. Whom it is about and why stands in an encrypted payload under that subject's own key, so
that it goes when the subject is erased after the hold; the leaf names the hold's id and its end alone. Knows nothing of
how an erasure is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner_provenance.errors import EntryInvalid, ProvenanceError

if TYPE_CHECKING:
    from limner_provenance.entries import Entry
    from limner_provenance.reading import Reader

STEPS = ("held", "released")
PAYLOAD = "hold"
"""The name of the payload that says whom a hold is about, and why."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold that was set.

    Attributes:
        id: its id, a UUIDv7, by which it is released.
        index: the `held` entry; time: its time.
        until: the instant at which it ends by itself (RFC 3339, UTC), or None.
        subject: the user it is about, or None where it is about a record or cannot be read.
        record: the record it is about, or None.
        reason: why; None where it cannot be read.
        released: time of the `released` entry, or None.
        readable: whether the payload could be opened.
    """

    id: str
    index: int
    time: str
    until: str | None
    subject: str | None
    record: str | None
    reason: str | None
    released: str | None
    readable: bool

    def stands(self, now: str) -> bool:
        """Say whether it forbids erasures at an instant, given as entries write it."""
        return self.released is None and (self.until is None or now < self.until)

    @property
    def what(self) -> str:
        """Say in words what forbids the erasure, without naming anybody."""
        end = f"until {self.until}" if self.until else "without an end"
        return f"hold {self.id} ({end})"


def all_holds(reader: Reader) -> list[Hold]:
    """Give every hold that was ever set, in the log's order."""
    held: list[Entry] = []
    released: dict[str, str] = {}
    for entry in reader.entries(steps=STEPS):
        if entry.step == "held":
            held.append(entry)
        else:
            released.setdefault(str(entry.data.get("hold")), entry.time)
    return [_hold(reader, entry, released.get(str(entry.data.get("hold")))) for entry in held]


def _hold(reader: Reader, entry: Entry, released: str | None) -> Hold:
    """Read one `held` entry."""
    try:
        said = reader.payload(entry.payloads[PAYLOAD])
        readable = isinstance(said, dict)
    except (ProvenanceError, KeyError):
        said, readable = {}, False
    told = said if readable else {}
    until = entry.data.get("until")
    return Hold(
        id=str(entry.data.get("hold")),
        index=entry.index or 0,
        time=entry.time,
        until=until if isinstance(until, str) else None,
        subject=told.get("subject"),
        record=told.get("record"),
        reason=told.get("reason"),
        released=released,
        readable=readable,
    )


def forbidding(holds: Iterable[Hold], now: str, *, subjects: Sequence[str], records: Sequence[str]) -> tuple[Hold, ...]:
    """Give the holds that stand and forbid an erasure that touches these subjects and records.

    One that cannot be read could be about anybody, and forbids every erasure.
    """
    return tuple(
        hold
        for hold in holds
        if hold.stands(now) and (not hold.readable or hold.subject in subjects or hold.record in records)
    )


def find(holds: Iterable[Hold], hold_id: str) -> Hold:
    """Give the hold of an id.

    Raises:
        EntryInvalid: there is none, or it was released before.
    """
    found = next((hold for hold in holds if hold.id == hold_id), None)
    if found is None:
        raise EntryInvalid(f"The log has no hold {ascii(hold_id)[:60]}.", remedy="See `limner audit hold --list`.")
    if found.released is not None:
        raise EntryInvalid(f"The hold {hold_id} was released on {found.released}.", remedy="Nothing is left to do.")
    return found
