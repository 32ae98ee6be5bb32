"""The calls of a record as its entries tell of them: which engine, how it came out, what it cost.

Reads only; what one call does is in `calling`, and which call comes next in `attempting`.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from limner.result import Attempt
from limner_provenance.errors import ProvenanceError

if TYPE_CHECKING:
    from limner.records import Record
    from limner_provenance.entries import Entry
    from limner_providers.base import Cost

_OUTCOMES = ("produced", "attempt_failed")


def sent(record: Record, attempt: int) -> Entry:
    """Give the `attempted` entry of a call."""
    return record.find("attempted", attempt=attempt) or record.entry("attempted")


def produced(record: Record, attempt: int) -> Entry:
    """Give the `produced` entry of a call; release 0.1 made one call and did not number what came of it."""
    return record.find("produced", attempt=attempt) or record.entry("produced")


def attempts(record: Record) -> tuple[Attempt, ...]:
    """Give every call of a record, in order."""
    return tuple(_attempt(record, entry) for entry in record.all("attempted"))


def _attempt(record: Record, entry: Entry) -> Attempt:
    number = entry.data["attempt"]
    job = record.find("submitted", attempt=number)
    asked = {
        "number": number,
        "provider": entry.data["provider"],
        "model": entry.data["model"],
        "n": entry.data.get("n", len(entry.data["seeds"])),
        "job": job.data["job"] if job else None,
    }
    outcome = _outcome(record, number)
    if outcome is None:
        return Attempt(**asked, error="OutcomeUnknown")
    data = outcome.data
    told = {
        "cost": as_cost(data.get("cost")),
        "duration": data.get("timings_us", {}).get("attempt"),
        "request_id": data.get("request_id"),
    }
    if outcome.step == "produced":
        return Attempt(**asked, **told, images=len(data["images"]))
    return Attempt(
        **asked | {"job": asked["job"] or data.get("job")},
        **told,
        error=data["error"],
        message=_message(record, outcome),
        may_have_billed=data["may_have_billed"],
        moderation=_moderation(record, outcome),
    )


def _outcome(record: Record, attempt: int) -> Entry | None:
    """Give the newest entry that says how a call came out: a result that was fetched later comes after a failure."""
    found = [e for e in record.entries if e.step in _OUTCOMES and e.data.get("attempt", 1) == attempt]
    return found[-1] if found else None


def _message(record: Record, entry: Entry) -> str:
    return _kept(record, entry, "message")


def _moderation(record: Record, entry: Entry) -> dict[str, Any]:
    """Give what an engine's moderation said; the words of the request that it named, where they were not erased."""
    found: dict[str, Any] = dict(entry.data.get("moderation", {}))
    matched = _kept(record, entry, "matched") if found else ""
    return found | ({"matched": json.loads(matched)} if matched else {})


def _kept(record: Record, entry: Entry, name: str) -> str:
    """Open a text that is kept beside an entry; empty where there is none, or it was erased."""
    try:
        return str(record.log.payload(entry.payloads[name])) if name in entry.payloads else ""
    except ProvenanceError:
        return ""


def total_cost(record: Record) -> Cost | None:
    """Add up what all calls cost; None where one of them is not known, or they are in several currencies."""
    from limner_providers.base import Cost

    spent = [a.cost for a in attempts(record) if a.error is None or a.may_have_billed]
    known = [cost for cost in spent if cost is not None]
    if len(known) < len(spent) or len({cost.currency for cost in known}) != 1:
        return None
    return Cost(amount=sum((cost.amount for cost in known), Decimal(0)), currency=known[0].currency)


def as_cost(cost: dict[str, Any] | None) -> Cost | None:
    """Give the cost that an entry states."""
    from limner_providers.base import Cost

    return None if cost is None else Cost(amount=Decimal(cost["amount"]), currency=cost["currency"])
