"""What becomes of pictures that policy denies: destroyed, kept or preserved, as the decision says.

Until an image is judged its bytes lie encrypted in the store, so that a crash loses nothing that is paid for; each is
under a key of its own, which is destroyed with it. Called again after a crash, it finishes what is left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from limner.steps.inspecting import EMBEDDINGS
from limner_policy.handling import DESTROY, KEEP, PRESERVE
from limner_provenance.entries import now
from limner_provenance.errors import PayloadErased

if TYPE_CHECKING:
    from limner.records import Record
    from limner.steps.pictures import Picture
    from limner_policy.handling import Handling
    from limner_policy.verdicts import Decision
    from limner_provenance import AuditLog
    from limner_provenance.entries import Entry, PayloadRef

_LOG = logging.getLogger("limner.handling")

_DESTROYED = "denied by policy: no picture is kept"
_OVER = "denied by policy: the days for which its pictures were kept are over"
_PRESERVED = "preserved for an authority under the policy's handling "


def may_keep_what_was_seen(decision: Decision) -> bool:
    """Say whether the vectors of a picture may be written down: they are as telling as the picture itself."""
    return decision.handling is None or decision.handling.pictures == KEEP


async def dispose_of_made(record: Record, denied: dict[int, Decision], made: Iterable[Picture]) -> None:
    """Treat the denied ones among a record's images as their decisions say.

    Args:
        record: The record.
        denied: Decisions that deny, by image.
        made: All images of the record; those that are destroyed lose their bytes here too.
    """
    if not denied:
        return
    for index, decision in denied.items():
        _tell(record, decision, f"image {index}")
    gone = {index for index, decision in denied.items() if _handling(decision).pictures == DESTROY}
    judged = [entry for entry in record.all("judged", stage="image") if entry.data["image"] in gone]
    await _destroy(record, _made(record.entries, judged))
    for picture in made:
        if picture.index in gone:
            picture.forget()
    for index, decision in denied.items():
        await _preserve(record, decision, _judged_at(record, index))


async def dispose_of_given(record: Record, decision: Decision) -> None:
    """Treat the pictures that a denied request brought as its decision says."""
    given = _given(record.entries)
    if not given:
        return
    if decision.stage != "image":
        _tell(record, decision, "a given picture")
    if _handling(decision).pictures == DESTROY:
        await _destroy(record, given)
    await _preserve(record, decision, record.entries[-1].time)


def overdue(log: AuditLog) -> Iterator[str]:
    """Name the records that still hold denied pictures whose days are over; looks at every judgement of the log."""
    found = {str(entry.record) for entry in log.entries(steps=["judged"]) if _is_over(entry)}
    for name in sorted(found):
        record = log.record(name)
        if any(_is_there(log, ref) for ref in _over(record)):
            yield name


async def dispose_of_overdue(record: Record) -> int:
    """Destroy a record's denied pictures that were kept, and whose days are over; say how many payloads went."""
    done = await asyncio.to_thread(record.log.discard, record.id, _over(record.entries), reason=_OVER)
    return 0 if done.holds else len(done.payloads)


def _is_over(entry: Entry) -> bool:
    """Say whether a judgement denied, let its pictures be kept for some days, and these are over."""
    handling = entry.data.get("handling", {})
    if handling.get("pictures") != KEEP:
        return False
    until = datetime.fromisoformat(entry.time) + timedelta(days=handling["days"])
    return until <= datetime.fromisoformat(now())


def _over(entries: Sequence[Entry]) -> list[PayloadRef]:
    """Give the payloads of a record that have to go: denied images, and what a denied request brought."""
    judged = [entry for entry in entries if entry.step == "judged" and _is_over(entry)]
    denied = judged and any(entry.step == "denied" for entry in entries)
    return _made(entries, judged) + (_given(entries) if denied else [])


def _made(entries: Sequence[Entry], judged: Sequence[Entry]) -> list[PayloadRef]:
    """Give the payloads that hold the images of these judgements, and those that tell what was seen for them."""
    names = {f"image-{entry.data['image']}" for entry in judged if "image" in entry.data}
    made = [ref for e in entries if e.step == "produced" for name, ref in e.payloads.items() if name in names]
    return made + [entry.payloads[EMBEDDINGS] for entry in judged if EMBEDDINGS in entry.payloads]


def _given(entries: Sequence[Entry]) -> list[PayloadRef]:
    """Give the payloads of the pictures that a request brought."""
    return [ref for e in entries if e.step == "accepted" for ref in e.payloads.values() if ref.kind == "bytes"]


def _is_there(log: AuditLog, ref: PayloadRef) -> bool:
    try:
        log.payload_facts(ref) if ref.kind == "bytes" else log.salt(ref)
    except PayloadErased:
        return False
    return True


def _handling(decision: Decision) -> Handling:
    assert decision.handling is not None
    return decision.handling


async def _destroy(record: Record, refs: list[PayloadRef]) -> None:
    """Destroy payloads; under a hold they stay, and a warning says so."""
    if not refs:
        return
    await record.settle()
    done = await asyncio.to_thread(record.log.discard, record.id, refs, reason=_DESTROYED)
    if done.holds:
        held = ", ".join(hold.what for hold in done.holds)
        record.memory.setdefault("warnings", []).append(f"denied pictures were not destroyed: {held}")


async def _preserve(record: Record, decision: Decision, since: str) -> None:
    """Hold a record against every erasure, once, until its handling's days are over."""
    handling = _handling(decision)
    if handling.pictures != PRESERVE or handling.days is None:
        return
    until = datetime.fromisoformat(since) + timedelta(days=handling.days)
    await record.settle()
    await asyncio.to_thread(_hold, record, _PRESERVED + handling.name, f"{until:%Y-%m-%dT%H:%M:%S.%f}Z")


def _hold(record: Record, reason: str, until: str) -> None:
    standing = (hold for hold in record.log.holds() if hold.released is None)
    if not any((hold.record, hold.reason, hold.until) == (record.id, reason, until) for hold in standing):
        record.log.hold(record=record.id, reason=reason, until=until)


def _judged_at(record: Record, image: int) -> str:
    return record.entry("judged", stage="image", image=image).time


def _tell(record: Record, decision: Decision, what: str) -> None:
    """Say it in the operator's log where somebody has to be told; ids and the pack's own words, nothing of the request.

    Nobody is written to.
    """
    handling = _handling(decision)
    if handling.tell:
        rules = ", ".join(f"{hit.pack}/{hit.rule}" for hit in decision.deciding)
        _LOG.critical("Record %s, %s: denied by %s. %s", record.id, what, rules, handling.told)
