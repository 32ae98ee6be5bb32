"""Several licences together: the most restrictive applies, whatever the order, and unknown hides no prohibition."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner_policy.licences import Answers, Organisation
from limner_policy.licences.answers import MAX_USES, Answer
from limner_policy.licences.organisation import agreed
from limner_policy.licences.terms import CEILINGS, DUTIES, PERMISSIONS, TERMS
from limner_policy.licences.territory import lies_in
from limner_policy.types import CandidateFacts, LicenceFacts, PartFacts, PolicyInput, RequestFacts, TermFact

ROLES = ("model", "lora", "control", "adapter", "provider", "detector")
PLACES = ["DE", "FR", "US", "US-CA", "GB", "EU", "KR", None]

held = st.lists(st.sampled_from(["plan-a", "plan-b"]), max_size=2, unique=True).map(tuple)
says = st.sampled_from(["yes", "no", "unknown"])


def fact(term: str) -> st.SearchStrategy[TermFact]:
    values: dict[str, Any] = {"term": st.just(term), "says": says, "unless_held": held}
    if term in CEILINGS:
        values |= {"limit": st.sampled_from([10, 20]), "border": st.sampled_from(["exclusive", "inclusive"])}
    if term == "territory_exclude":
        values |= {"regions": st.lists(st.sampled_from(["EU", "GB", "US-CA", "KR"]), min_size=1, max_size=3).map(tuple)}
    return st.builds(TermFact, **values)


@st.composite
def licences(draw: st.DrawFn) -> LicenceFacts:
    stated = draw(st.lists(st.sampled_from(sorted(TERMS)), max_size=8, unique=True))
    silent = draw(st.lists(st.sampled_from(sorted(set(TERMS) - set(stated))), max_size=5, unique=True))
    terms = tuple(draw(fact(term)) for term in stated)
    name = draw(st.sampled_from(["L-1", "L-2", "L-3"]))
    return LicenceFacts(id=name, terms=terms, silent=tuple(silent), signed=draw(st.booleans()))


parts = st.builds(
    PartFacts,
    role=st.sampled_from(ROLES),
    name=st.sampled_from(["a", "b", "c"]),
    licences=st.lists(licences(), max_size=2).map(tuple),
    conflict=st.sampled_from(["", "card and file differ"]),
    signed=st.booleans(),
)
organisations = st.builds(
    Organisation,
    annual_revenue_usd=st.none() | st.sampled_from([9, 10, 11, 20, 21]),
    monthly_users=st.none() | st.sampled_from([9, 10, 11, 20, 21]),
    principal_place=st.sampled_from(PLACES),
    holds=st.none() | st.frozensets(st.sampled_from(["plan-a", "plan-b"])),
)
places = st.sampled_from(PLACES)


def every_answer(given_parts: list[PartFacts], organisation: Organisation, place: str | None) -> dict[str, Answer]:
    """All answers, each turned so that True is free, None unknown and False bound."""
    answers = Answers(given_parts, organisation)

    def turned(answer: Answer) -> Answer:
        return answer if answer.truth is None else Answer(not answer.truth, answer.claims)

    return {
        **{name: answers.allowed(name) for name in PERMISSIONS},
        **{name: turned(answers.required(name)) for name in DUTIES},
        **{name: turned(answers.over((name,))) for name in CEILINGS},
        "territory": turned(answers.excluded(place)),
        "conflict": turned(answers.conflict()),
        "known": answers.known(),
        "signed_off": answers.signed_off(),
    }


RANK: dict[bool | None, int] = {True: 0, None: 1, False: 2}


@given(st.lists(parts, min_size=1, max_size=4), organisations, places, st.randoms())
def test_the_order_of_parts_is_nothing(
    several: list[PartFacts], organisation: Organisation, place: str | None, chance: Any
) -> None:
    """The same parts in another order give the same answers, resting on the same quotes."""
    shuffled = list(several)
    chance.shuffle(shuffled)
    before, after = (every_answer(one, organisation, place) for one in (several, shuffled))
    assert {name: (one.truth, one.uses) for name, one in before.items()} == {
        name: (one.truth, one.uses) for name, one in after.items()
    }


@given(st.lists(parts, min_size=1, max_size=3), organisations, places)
def test_the_same_part_twice_is_one(several: list[PartFacts], organisation: Organisation, place: str | None) -> None:
    """Combining is idempotent, in the answers and in what they rest on."""
    once, twice = (every_answer(one, organisation, place) for one in (several, several * 2))
    assert {name: (one.truth, one.uses) for name, one in once.items()} == {
        name: (one.truth, one.uses) for name, one in twice.items()
    }


@given(st.lists(parts, min_size=1, max_size=3), parts, organisations, places)
def test_another_part_never_loosens(
    several: list[PartFacts], another: PartFacts, organisation: Organisation, place: str | None
) -> None:
    """What was bound stays bound, what was unknown becomes at most bound: never free."""
    before, after = (every_answer(one, organisation, place) for one in (several, [*several, another]))
    assert all(RANK[after[name].truth] >= RANK[before[name].truth] for name in before)


@given(st.lists(parts, min_size=1, max_size=3), organisations, places)
def test_unknown_never_beats_a_known_prohibition(
    several: list[PartFacts], organisation: Organisation, place: str | None
) -> None:
    """A part of which nothing is known turns free into unknown, and leaves a prohibition one."""
    nothing_known = PartFacts(role="lora", name="nobody knows")
    before, after = (every_answer(one, organisation, place) for one in (several, [*several, nothing_known]))
    for name, answer in before.items():
        assert answer.truth is not False or after[name].truth is False, name


@given(st.lists(parts, min_size=1, max_size=3), organisations, st.sampled_from(["plan-a", "plan-b"]))
def test_holding_more_never_binds_more(several: list[PartFacts], organisation: Organisation, more: str) -> None:
    """A registration, plan or licence that is bought can only free."""
    richer = Organisation(
        annual_revenue_usd=organisation.annual_revenue_usd,
        monthly_users=organisation.monthly_users,
        principal_place=organisation.principal_place,
        holds=(organisation.holds or frozenset()) | {more},
    )
    before, after = every_answer(several, organisation, "DE"), every_answer(several, richer, "DE")
    assert all(RANK[after[name].truth] <= RANK[before[name].truth] for name in before)


@given(st.lists(parts, max_size=3), organisations, places)
def test_a_refusal_names_the_part_that_decides(
    several: list[PartFacts], organisation: Organisation, place: str | None
) -> None:
    """Whatever is bound or unknown rests on at least one part that is there, and on no more than a reader can use."""
    for name, answer in every_answer(several, organisation, place).items():
        assert len(answer.uses) <= MAX_USES
        assert {use.part for use in answer.uses} <= {part.name for part in several}
        if several and answer.truth is not True:
            assert answer.uses, name


@given(st.lists(parts, max_size=3).map(tuple))
@settings(max_examples=50)
def test_parts_come_back_from_a_recorded_input(several: tuple[PartFacts, ...]) -> None:
    """The facts that a judgement used are in its input, and JSON gives them back exactly."""
    value = PolicyInput(
        instant="2026-11-24T12:00:00Z",
        stage="candidate",
        request=RequestFacts(task="txt2img"),
        candidate=CandidateFacts(model="m", parts=several),
    )
    text = json.dumps(value.to_json(), sort_keys=True)
    assert PolicyInput.from_json(json.loads(text)) == value


def licence_of(term: str, **values: Any) -> PartFacts:
    terms = (
        TermFact(term="commercial_use", says="yes"),
        TermFact.model_validate({"term": term, "says": "yes", **values}),
    )
    return PartFacts(role="model", name="m", licences=(LicenceFacts(id="L", terms=terms),))


@pytest.mark.parametrize(
    ("border", "revenue", "truth"),
    [
        ("exclusive", 999_999, True),
        ("exclusive", 1_000_000, True),
        ("exclusive", 1_000_001, False),
        ("inclusive", 999_999, True),
        ("inclusive", 1_000_000, False),
        ("inclusive", 1_000_001, False),
        ("exclusive", None, None),
    ],
)
def test_a_ceiling_ends_at_its_border(border: str, revenue: int | None, truth: bool | None) -> None:
    """With “more than” the amount itself is allowed, with “meet or exceed” not; an unsaid revenue is unknown."""
    part = licence_of("revenue_ceiling", limit=1_000_000, border=border)
    answers = Answers([part], Organisation(annual_revenue_usd=revenue))
    assert answers.allowed("commercial_use").truth is truth
    assert answers.over(("revenue_ceiling",)).truth is (None if truth is None else not truth)
    if truth is not True:
        assert "1,000,000" in answers.allowed("commercial_use").uses[0].because


def test_the_organisations_figure_is_not_told() -> None:
    """A decision names the ceiling and which side of it, never the revenue itself: it goes to the log in clear."""
    part = licence_of("revenue_ceiling", limit=1_000_000, border="exclusive")
    (use,) = Answers([part], Organisation(annual_revenue_usd=7_654_321)).over().uses
    assert "over the ceiling of 1,000,000" in use.because
    assert "7" not in str(use)


def test_what_is_held_lifts_a_ceiling_a_ban_and_a_registration() -> None:
    """A plan that the terms accept frees from what they would impose; another one does not."""
    terms = (
        TermFact(term="commercial_use", says="no", unless_held=("bought",)),
        TermFact(term="revenue_ceiling", says="yes", limit=1, border="inclusive", unless_held=("bought", "pro")),
        TermFact(term="registration", says="yes", unless_held=("registered",)),
    )
    part = PartFacts(role="model", name="m", licences=(LicenceFacts(id="L", terms=terms),))

    def truths(*holds: str) -> tuple[bool | None, ...]:
        answers = Answers([part], Organisation(annual_revenue_usd=5, holds=frozenset(holds)))
        return answers.allowed("commercial_use").truth, answers.over().truth, answers.required("registration").truth

    assert truths() == (False, True, True)
    assert truths("pro", "registered") == (False, False, False)
    assert truths("bought") == (True, False, True)
    assert truths("other") == (False, True, True)


def test_silence_is_no_permission_and_no_duty() -> None:
    """A text that says nothing of a permission leaves it unknown; one that says nothing of a duty imposes none."""
    silent = LicenceFacts(
        id="L", terms=(TermFact(term="commercial_use", says="yes"),), silent=("commercial_outputs", "attribution")
    )
    answers = Answers([PartFacts(role="model", name="m", licences=(silent,))])
    assert answers.allowed("commercial_outputs").truth is None
    assert "says nothing" in answers.allowed("commercial_outputs").uses[0].because
    assert answers.required("attribution").truth is False
    assert answers.required("registration").truth is None
    assert "do not record" in answers.required("registration").uses[0].because


def test_a_detector_does_not_decide_about_pictures() -> None:
    """The licence of what only looks at pictures binds its own use, not the pictures."""
    banned = (TermFact(term="commercial_outputs", says="no"), TermFact(term="commercial_use", says="no"))
    detector = PartFacts(role="detector", name="d", licences=(LicenceFacts(id="L", terms=banned),))
    answers = Answers([detector])
    assert answers.allowed("commercial_outputs").truth is True
    assert answers.allowed("commercial_use").truth is False


@pytest.mark.parametrize(
    ("place", "territory", "inside"),
    [
        ("DE", "EU", True),
        ("de", "EU", True),
        ("EU", "EU", True),
        ("GB", "EU", False),
        ("UK", "GB", True),
        ("US-CA", "US", True),
        ("US", "US-CA", None),
        ("EU", "DE", None),
        ("US", "EU", False),
        ("Germany", "EU", None),
        (None, "EU", None),
    ],
)
def test_places_and_territories(place: str | None, territory: str, inside: bool | None) -> None:
    """Codes are compared; a larger place, a word and nothing at all are unknown, never outside."""
    assert lies_in(place, territory) is inside


def test_packs_that_contradict_each_other_claim_nothing() -> None:
    """What several packs claim of the organisation counts where they agree, in any order."""
    one = Organisation(as_of="2026-11-01", annual_revenue_usd=1, monthly_users=5)
    other = Organisation(as_of="2026-11-01", annual_revenue_usd=2, principal_place="DE")
    expected = Organisation(as_of="2026-11-01", monthly_users=5, principal_place="DE")
    assert agreed([one, None, other]) == agreed([other, one]) == expected
    assert agreed([]) == Organisation()
