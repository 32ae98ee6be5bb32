"""What a record's entries say: the usual ways, odd orders, and that no order makes it fail."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_provenance.entries import make_entry
from limner_provenance.states import ENDINGS, HOUSE_STEPS, RECORD_STEPS, RecordState, derive


def state_of(*steps: str | tuple[str, dict[str, Any]]) -> RecordState:
    """Derive the state of a record with these steps; `judged:stage:verdict` is a judgement."""
    entries = []
    for index, item in enumerate(steps):
        step, data = item if isinstance(item, tuple) else (item, {})
        if step.startswith("judged:"):
            _, stage, verdict = step.split(":")
            step, data = "judged", {"stage": stage, "verdict": verdict}
        entries.append(make_entry(step, "r", data, {}).at(index))
    return derive(entries)


USUAL = (
    "accepted",
    "judged:request:allow",
    "planned",
    "attempted",
    "produced",
    "judged:image:allow",
    "sealed",
    "delivered",
)
NEXT = ("judged:request", "planned", "attempted", "unknown", "judged:image", "sealed", "delivered", None)


@pytest.mark.parametrize("count", range(1, 9))
def test_the_usual_way_names_the_first_missing_step(count: int) -> None:
    """After each step of an ordinary request, the next one is named and nothing is irregular."""
    state = state_of(*USUAL[:count])
    assert (state.next, state.final, state.irregular) == (NEXT[count - 1], count == 8, ())


@pytest.mark.parametrize(
    ("steps", "ending"),
    [
        (("accepted", "judged:request:deny", "denied"), "denied"),
        (("accepted", "failed"), "failed"),
        ((*USUAL[:4], "unknown"), "unknown"),
        ((*USUAL[:3], "cancelled"), "cancelled"),
        ((*USUAL[:2], "in_review", "rejected"), "denied"),
        ((*USUAL[:2], "in_review", "expired", "denied"), "denied"),
        ((*USUAL[:4], "attempt_failed", "attempted", "attempt_failed", "failed"), "failed"),
        ((*USUAL, "delivered"), "delivered"),
    ],
)
def test_ends(steps: tuple[str, ...], ending: str) -> None:
    """Every way to end is an end, and regular."""
    state = state_of(*steps)
    assert (state.ending, state.final, state.next, state.irregular) == (ending, True, None, ())


def test_a_denied_request_goes_nowhere_else() -> None:
    """After a denial the next step is the record's end."""
    assert state_of("accepted", "judged:request:deny").next == "denied"


def test_a_denied_candidate_does_not_stop_the_others() -> None:
    """Candidates are judged one by one; the plan comes next all the same."""
    assert state_of(*USUAL[:2], "judged:candidate:deny", "judged:candidate:allow").next == "planned"


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [(("deny", "allow"), "sealed"), (("deny", "deny"), "denied"), (("deny", "review"), "in_review")],
)
def test_images_are_judged_one_by_one(verdicts: tuple[str, ...], expected: str) -> None:
    """One released image is enough to seal; where none is, the best verdict says what follows."""
    state = state_of(*USUAL[:5], *(f"judged:image:{verdict}" for verdict in verdicts))
    assert state.next == expected


@pytest.mark.parametrize(("stage", "expected"), [("request", "planned"), ("image", "sealed"), ("release", "delivered")])
def test_an_approval_continues_where_the_review_began(stage: str, expected: str) -> None:
    """A reviewed record waits for a person, and goes on after its stage once approved."""
    before = {"request": USUAL[:1], "image": USUAL[:5], "release": USUAL[:6]}[stage]
    waiting = state_of(*before, f"judged:{stage}:review", ("in_review", {"stage": stage}))
    assert (waiting.waiting, waiting.final, waiting.next) == (True, False, "approved")
    approved = state_of(*before, f"judged:{stage}:review", ("in_review", {"stage": stage}), "approved")
    assert (approved.waiting, approved.next, approved.irregular) == (False, expected, ())


def test_an_open_attempt_is_unknown() -> None:
    """A second attempt without outcome is not forgotten because the first one failed."""
    state = state_of(
        *USUAL[:3], ("attempted", {"attempt": 1}), ("attempted", {"attempt": 2}), ("attempt_failed", {"attempt": 1})
    )
    assert (state.attempts, state.open_attempts, state.next) == (2, ("2",), "unknown")


def test_a_job_that_was_taken_keeps_its_attempt_open() -> None:
    """`submitted` names the engine's job and says nothing of its outcome."""
    taken = (*USUAL[:3], ("attempted", {"attempt": 1}), ("submitted", {"attempt": 1, "job": "j"}))
    state = state_of(*taken)
    assert (state.next, state.final, state.open_attempts, state.irregular) == ("unknown", False, ("1",), ())
    assert state_of(*taken, *USUAL[4:]).irregular == ()
    assert state_of(*taken, *USUAL[4:]).ending == "delivered"


def test_a_result_that_arrived_after_all_opens_an_unknown_record_again() -> None:
    """Fetched pictures are judged, sealed and handed out; no other step opens a record that has ended."""
    lost = (*USUAL[:4], "unknown")
    state = state_of(*lost, ("produced", {"attempt": 1}))
    assert (state.ending, state.final, state.next, state.irregular) == (None, False, "judged:image", ())
    assert state_of(*lost, *USUAL[4:]).ending == "delivered"
    for ending in ("failed", "cancelled", "denied"):
        assert state_of(*USUAL[:4], ending, "produced").ending == ending
    assert state_of(*lost, "judged:image:allow").ending == "unknown"


@pytest.mark.parametrize(
    ("steps", "word"),
    [
        (("planned",), "does not begin with planned"),
        (("accepted", "delivered"), "delivered cannot follow accepted"),
        ((*USUAL[:5], "sealed"), "sealed cannot follow produced"),
        ((*USUAL, "attempted"), "attempted cannot follow delivered"),
        (("accepted", "polished"), "polished is not known"),
    ],
)
def test_odd_orders_are_named(steps: tuple[str, ...], word: str) -> None:
    """What does not fit the order is said, with its index."""
    state = state_of(*steps)
    assert len(state.irregular) == 1
    assert word in state.irregular[0]
    assert f"entry {len(steps) - 1}" in state.irregular[0]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(RECORD_STEPS | HOUSE_STEPS | {"x"})), st.sampled_from(["", "image", "request", "?"])
        )
    )
)
def test_total(steps: list[tuple[str, str]]) -> None:
    """No order of any steps makes it fail, and an end stays an end, but for an unknown one whose result was fetched."""
    ended = False
    for count in range(len(steps) + 1):
        state = state_of(*((step, {"stage": stage, "verdict": "allow"}) for step, stage in steps[:count]))
        assert state.entries == count
        reopened = [step for step, _ in steps[max(count - 2, 0) : count]] == ["unknown", "produced"]
        assert state.final >= (ended and not reopened)
        assert state.final == (state.ending in set(ENDINGS.values()))
        ended = state.final
