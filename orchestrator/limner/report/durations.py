"""Where a request's time went, from the times and timings of its entries; microseconds throughout.

Knows entries only. A clock that was set backwards between two entries gives no duration (None), never a negative one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from limner_provenance.states import label_of

if TYPE_CHECKING:
    from limner_provenance.entries import Entry

STEPS = ("judge request", "plan", "check", "commit, attempt", "judge images", "seal", "commit, deliver")
"""The steps of a request that take time, in the order of the pipeline; a commit is the wait for the disk."""

_LEADS_TO = {
    "judged:request": "judge request",
    "planned": "plan",
    "attempted": "check",
    "submitted": "commit, attempt",
    "produced": "commit, attempt",
    "attempt_failed": "commit, attempt",
    "judged:image": "judge images",
    "sealed": "seal",
    "delivered": "commit, deliver",
}


def step_rows(entries: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    """Give a row for each step between two entries: the time from the one to the other, waiting for the disk included.

    Times that a person took to decide are no step of the machine and left out.
    """
    for before, after in itertools.pairwise(entries):
        step = _LEADS_TO.get(_label(after))
        if step is not None and before.step not in {"in_review", "approved"}:
            yield {"record": after.record, "step": step, "us": _between(before.time, after.time)}


def part_rows(entries: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    """Give a row for each duration that an entry states: the engine's own parts, and the detectors'.

    Detectors look at all pictures of a request together, and each picture's entry repeats that one duration: one row.
    """
    detectors: int | None = None
    for entry in entries:
        for part, us in entry.data.get("timings_us", {}).items():
            yield {"record": entry.record, "part": part, "us": int(us)}
        if "detectors_us" in entry.data and detectors != entry.data["detectors_us"]:
            detectors = entry.data["detectors_us"]
            yield {"record": entry.record, "part": "detectors", "us": detectors}


def _label(entry: Entry) -> str:
    return label_of(entry.step, entry.data)


def _between(before: str, after: str) -> int | None:
    spent = datetime.fromisoformat(after) - datetime.fromisoformat(before)
    microseconds = round(spent.total_seconds() * 1_000_000)
    return microseconds if microseconds >= 0 else None
