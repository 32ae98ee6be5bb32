"""What a record's entries say about it: where it stands, whether it has ended, what comes next, what is odd.

Pure and total: any entries in any order give an answer. Knows nothing of databases; policy and providers only as words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner_provenance.entries import Entry

STAGES = ("request", "candidate", "image", "release")
ENDINGS = {
    "delivered": "delivered",
    "denied": "denied",
    "rejected": "denied",
    "expired": "denied",
    "failed": "failed",
    "unknown": "unknown",
    "cancelled": "cancelled",
}
"""Steps that end a record, and the ending each one means."""

HOUSE_STEPS = frozenset(
    {"log_created", "opened", "policy_loaded", "erased", "erasure_refused", "held", "released", "key_rotated"}
)
"""Steps about the log itself, of no record."""

_STOPS = ("denied", "in_review", "failed", "cancelled")
_WORK = ("attempted", "attempt_failed", "produced", "unknown", *_STOPS)
_FOLLOWERS: dict[str, frozenset[str]] = {
    step: frozenset(after)
    for step, after in {
        "": ("accepted",),
        "accepted": ("judged:request", "denied", "failed", "cancelled"),
        "judged:request": ("judged:request", "judged:candidate", "planned", *_STOPS),
        "judged:candidate": ("judged:candidate", "planned", "attempted", *_STOPS),
        "planned": ("judged:candidate", "attempted", *_STOPS),
        "attempted": (*_WORK, "submitted"),
        # The engine took the work and named it; the attempt stays open until its outcome is known.
        "submitted": (*_WORK, "submitted"),
        "attempt_failed": (*_WORK, "judged:candidate", "planned", "judged:image"),
        "produced": (*_WORK, "judged:image"),
        "judged:image": (*_WORK, "judged:image", "judged:release", "sealed"),
        "judged:release": ("judged:release", "sealed", "delivered", *_STOPS),
        "sealed": ("judged:image", "judged:release", "sealed", "delivered", *_STOPS),
        "in_review": ("approved", "rejected", "expired", *_STOPS),
        "approved": (
            "approved",
            *(f"judged:{s}" for s in STAGES),
            "planned",
            "attempted",
            "sealed",
            "delivered",
            *_STOPS,
        ),
        "rejected": ("denied",),
        "expired": ("denied",),
        "delivered": ("delivered",),
        # What was given up for lost was fetched by its name after all.
        "unknown": ("produced",),
    }.items()
}
RECORD_STEPS = frozenset(step.partition(":")[0] for after in _FOLLOWERS.values() for step in after)
"""Every step of a record."""

_NEXT = {
    "accepted": "judged:request",
    "judged:request": "planned",
    "judged:candidate": "planned",
    "planned": "attempted",
    # Nobody knows what became of it: asking again could bill twice.
    "attempted": "unknown",
    "submitted": "unknown",
    "attempt_failed": "attempted",
    "produced": "judged:image",
    "judged:image": "sealed",
    "judged:release": "delivered",
    "sealed": "delivered",
}
_AFTER_APPROVAL = {"request": "planned", "candidate": "planned", "image": "sealed", "release": "delivered"}


@dataclass(frozen=True, slots=True)
class RecordState:
    """Where a record stands after its entries so far.

    Attributes:
        record: its id, or None before the first entry.
        state: the last step, with its stage where it was a judgement (`judged:image`); empty before the first entry.
        final: whether the record has ended; only an unknown one may be opened again, by a result that was fetched.
        ending: delivered, denied, failed, unknown or cancelled; None while it has not ended.
        next: the step the pipeline takes next (`judged:request`, `attempted`, …); `approved` while a person is
            awaited; None where it has ended.
        waiting: whether a person is awaited (in_review).
        irregular: what does not fit the order of steps, each with the entry's index.
        entries: number of entries.
        attempts: number of `attempted` entries.
        open_attempts: attempts without a recorded outcome, by `data.attempt` (else by their number in the record).
        first: index of the first entry; last: of the last one; None where they have none.
        started: time of the first entry; updated: of the last one.
    """

    record: str | None = None
    state: str = ""
    final: bool = False
    ending: str | None = None
    next: str | None = "accepted"
    waiting: bool = False
    irregular: tuple[str, ...] = ()
    entries: int = 0
    attempts: int = 0
    open_attempts: tuple[str, ...] = ()
    first: int | None = None
    last: int | None = None
    started: str | None = None
    updated: str | None = None
    stage: str | None = None
    worst: str | None = None

    def after(self, entry: Entry) -> RecordState:
        """Give the state after one more entry."""
        return advance(self, entry.step, entry.data, record=entry.record, index=entry.index, time=entry.time)


def derive(entries: Iterable[Entry]) -> RecordState:
    """Give the state that a record's entries, in the log's order, lead to; never raises."""
    state = RecordState()
    for entry in entries:
        state = state.after(entry)
    return state


def advance(
    state: RecordState,
    step: str,
    data: dict[str, Any],
    *,
    record: str | None = None,
    index: int | None = None,
    time: str | None = None,
) -> RecordState:
    """Give the state after a step; the same as `RecordState.after` without an `Entry` at hand."""
    label, stage = _label(step, data)
    odd = _odd(state, label, record, index)
    # What comes after an end is irregular and does not open the record again, but for a result that arrived after all.
    ending = None if (state.state, label) == _REOPENED else ENDINGS.get(step, state.ending)
    worst = _worst(state, label, data)
    still_open = _open_attempts(state, step, data)
    return replace(
        state,
        record=state.record or record,
        state=label,
        final=ending is not None,
        ending=ending,
        next=None if ending else _next(state, label, worst, still_open),
        waiting=step == "in_review",
        irregular=(*state.irregular, odd) if odd else state.irregular,
        entries=state.entries + 1,
        attempts=state.attempts + (step == "attempted"),
        open_attempts=still_open,
        first=index if state.first is None else state.first,
        last=index,
        started=state.started or time,
        updated=time,
        stage=stage or (None if step in _RESETS else state.stage),
        worst=worst,
    )


_RESETS = ("accepted", "planned", "attempted", "submitted", "produced", "sealed")
_REOPENED = ("unknown", "produced")
_BEST_FIRST = ("allow", "allow_with_duties", "review", "deny")


def _label(step: str, data: dict[str, Any]) -> tuple[str, str | None]:
    """Give the step with its stage where it is a judgement, and the stage alone."""
    stage = data.get("stage")
    if step in ("judged", "in_review") and isinstance(stage, str):
        return (f"judged:{stage}" if step == "judged" else step), stage
    return step, None


def _odd(state: RecordState, label: str, record: str | None, index: int | None) -> str | None:
    """Say what is irregular about a step, if anything."""
    where = f"entry {index}: " if index is not None else ""
    if state.record is not None and record != state.record:
        return f"{where}belongs to another record"
    odd = misfit(state.state, label)
    return f"{where}{odd}" if odd else None


def label_of(step: str, data: dict[str, Any]) -> str:
    """Give the word that the order of steps is told in: the step, with its stage where it is a judgement."""
    return _label(step, data)[0]


def misfit(before: str, label: str) -> str | None:
    """Say why `label` cannot follow `before` (empty: the beginning) in a record; None where it can."""
    if label in _FOLLOWERS.get(before, frozenset()):
        return None
    if label.partition(":")[0] not in RECORD_STEPS:
        return f"the step {label} is not known"
    return f"{label} cannot follow {before}" if before else f"a record does not begin with {label}"


def _open_attempts(state: RecordState, step: str, data: dict[str, Any]) -> tuple[str, ...]:
    """Follow the attempts whose outcome is not recorded; an outcome that names none closes the newest."""
    held = state.open_attempts
    named = data.get("attempt")
    if step == "attempted":
        return (*held, str(state.attempts if named is None else named))
    if step not in ("attempt_failed", "produced", "unknown") or not held:
        return held
    closed = held[-1] if named is None else str(named)
    return tuple(name for name in held if name != closed)


def _worst(state: RecordState, label: str, data: dict[str, Any]) -> str | None:
    """Keep what the judgements of the running stage mean together.

    Images and candidates are judged one by one and the best one goes on; request and release have one judgement.
    """
    verdict = data.get("verdict")
    if not label.startswith("judged:") or verdict not in _BEST_FIRST:
        return state.worst if label in ("in_review", "approved") else None
    if state.state == label and label in ("judged:image", "judged:candidate") and state.worst is not None:
        return min(state.worst, str(verdict), key=_BEST_FIRST.index)
    return str(verdict)


def _next(state: RecordState, label: str, verdict: str | None, still_open: tuple[str, ...]) -> str | None:
    """Give the step that follows regularly."""
    if label == "in_review":
        return "approved"
    if label == "approved":
        return _AFTER_APPROVAL.get(state.stage or "", "planned")
    if label.startswith("judged:") and verdict == "deny" and label != "judged:candidate":
        return "denied"
    if label.startswith("judged:") and verdict == "review":
        return "in_review"
    if still_open and label in ("attempt_failed", "produced"):
        return "unknown"
    return _NEXT.get(label, state.next)
