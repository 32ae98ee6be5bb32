"""What holds for every policy: the lattice of verdicts, three-valued logic, and that another rule never loosens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given as such
from hypothesis import strategies as st

from limner_policy import Pack, PolicyInput, RequestFacts, Verdict, judge
from limner_policy.conditions import AllOf, AnyOf, Case, Finding, Not
from limner_policy.matching import Matcher
from limner_policy.pack import ALWAYS, Effective, Rule
from limner_policy.types import ContextFacts
from limner_policy.verdicts import Duty

VERDICTS = st.sampled_from(Verdict)
TRUTHS = st.sampled_from((True, False, None))
ORDER = {False: 0, None: 1, True: 2}


class Fixed:
    """A condition of a known truth."""

    def __init__(self, truth: bool | None) -> None:
        self.truth = truth

    def find(self, _: Case) -> Finding:
        """The truth, whatever the case."""
        return Finding(self.truth)


def all_of(truths: list[bool | None]) -> bool | None:
    """The truth of `all`."""
    return AllOf(tuple(map(Fixed, truths))).find(None).truth  # type: ignore[arg-type]


def any_of(truths: list[bool | None]) -> bool | None:
    """The truth of `any`."""
    return AnyOf(tuple(map(Fixed, truths))).find(None).truth  # type: ignore[arg-type]


def negated(truth: bool | None) -> bool | None:
    """The truth of `not`."""
    return Not(Fixed(truth)).find(None).truth  # type: ignore[arg-type]


@such(st.lists(TRUTHS, min_size=1), st.randoms(use_true_random=False))
def test_all_and_any_are_minimum_and_maximum_in_any_order(truths: list[bool | None], chance: object) -> None:
    """False < unknown < true; order and repetition never matter."""
    shuffled = [*truths, truths[0]]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert all_of(truths) is all_of(shuffled) is min(truths, key=ORDER.__getitem__)
    assert any_of(truths) is any_of(shuffled) is max(truths, key=ORDER.__getitem__)


@such(st.lists(TRUTHS, min_size=1))
def test_de_morgan_holds_in_three_values(truths: list[bool | None]) -> None:
    """Not all is any not; and twice not is nothing."""
    assert negated(all_of(truths)) is any_of([negated(truth) for truth in truths])
    assert negated(any_of(truths)) is all_of([negated(truth) for truth in truths])
    assert all(negated(negated(truth)) is truth for truth in truths)


@such(st.lists(TRUTHS, min_size=1), st.integers(0, 20), st.booleans())
def test_learning_something_never_contradicts(truths: list[bool | None], place: int, learnt: bool) -> None:
    """What was decided while something was unknown stays so whatever that turns out to be (Kleene)."""
    known = [learnt if truth is None and index == place % len(truths) else truth for index, truth in enumerate(truths)]
    for combine in (all_of, any_of):
        assert combine(truths) in (None, combine(known))


@such(st.lists(VERDICTS), st.lists(VERDICTS), st.randoms(use_true_random=False))
def test_verdicts_are_a_lattice(one: list[Verdict], two: list[Verdict], chance: object) -> None:
    """Combining is commutative, associative and idempotent, allow is neutral and deny absorbs."""
    together = [*one, *two]
    chance.shuffle(together)  # type: ignore[attr-defined]
    assert Verdict.combine(together) is Verdict.combine([Verdict.combine(one), Verdict.combine(two)])
    assert Verdict.combine([*one, *one]) is Verdict.combine(one)
    assert Verdict.combine([*one, Verdict.ALLOW]) is Verdict.combine(one)
    assert Verdict.combine([*one, Verdict.DENY]) is Verdict.DENY


DAYS = st.integers(1, 28).map(lambda day: datetime(2026, 11, day, tzinfo=UTC))


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """A rule of a known truth, in some mode, with dates."""
    verdict = draw(VERDICTS)
    duties = (Duty(draw(st.sampled_from(("notify", "blur")))),) if verdict is not Verdict.ALLOW else ()
    first, last = sorted((draw(DAYS), draw(DAYS)))
    return Rule(
        id=f"R-{draw(st.integers(0, 10**6))}",
        title="t",
        says="s",
        why="w",
        basis=(),
        owner="o",
        severity="low",
        stage=draw(st.sampled_from(("request", "image"))),
        mode=draw(st.sampled_from(("off", "audit", "warn", "enforce"))),
        effective=draw(st.sampled_from((ALWAYS, Effective(first, last), Effective(first), Effective(None, last)))),
        when=Fixed(draw(TRUTHS)),
        verdict=verdict,
        duties=duties,
        if_unknown=draw(VERDICTS),
        examples=(),
        lines=(1, 1),
        mode_from=tuple(sorted(draw(st.dictionaries(DAYS, st.sampled_from(("off", "audit", "enforce")))).items())),
    )


def pack(*members: Rule, name: str = "p") -> Pack:
    """A pack of these rules."""
    names = ",".join(f"{rule.id}:{id(rule)}" for rule in members)
    return Pack(name, "1", "t", "o", ALWAYS, members, b"", f"{name} {names}", "p.yaml", Matcher(()))


ASKED = PolicyInput(
    instant="2026-11-15T12:00:00Z", stage="request", request=RequestFacts(prompt="x", task="t"), context=ContextFacts()
)
AWAKE = Rule(
    id="R-0",
    title="t",
    says="s",
    why="w",
    basis=(),
    owner="o",
    severity="low",
    stage="request",
    mode="audit",
    effective=ALWAYS,
    when=Fixed(truth=False),
    verdict=Verdict.ALLOW,
    duties=(),
    if_unknown=Verdict.DENY,
    examples=(),
    lines=(1, 1),
)


@such(st.lists(rules(), max_size=6), rules())
def test_another_rule_never_loosens(members: list[Rule], more: Rule) -> None:
    """With some rule in force, adding one keeps or sharpens the verdict, and takes no duty away."""
    before = judge([pack(AWAKE, *members)], ASKED)
    after = judge([pack(AWAKE, *members, more)], ASKED)
    assert after.verdict >= before.verdict
    assert set(after.duties) >= set(before.duties)


@such(st.lists(rules(), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_neither_order_nor_files_matter(members: list[Rule], chance: object) -> None:
    """Rules in another order, or spread over packs, give the same verdict and duties."""
    shuffled = list(members)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = judge([pack(AWAKE, *members)], ASKED), judge([pack(AWAKE, *shuffled)], ASKED)
    spread = judge([pack(AWAKE, name="q"), *(pack(rule, name=f"n{i}") for i, rule in enumerate(members))], ASKED)
    assert (one.verdict, one.duties) == (other.verdict, other.duties) == (spread.verdict, spread.duties)


@such(rules(), st.lists(DAYS, min_size=1))
def test_a_mode_holds_from_its_day_on(rule: Rule, days: list[datetime]) -> None:
    """Before the first date the rule's own mode, from each date on that date's."""
    for day in days:
        expected = rule.mode
        for start, mode in rule.mode_from:
            if start <= day:
                expected = mode
        assert rule.mode_at(day) == expected
        assert rule.in_force(day) == (expected != "off" and rule.effective.covers(day))


def test_a_roll_out_turns_on_its_day(
    pack_of: Callable[..., Pack], rule: Callable[..., str], given: Callable[..., PolicyInput]
) -> None:
    """A rule in warn mode records and allows, and refuses from the first instant of its day (UTC) on."""
    staged = pack_of(
        rule("R-1", extra="mode: warn\nmode_from: {enforce: 2027-01-15}\n"), rule("R-2", when="{n: {over: 9}}")
    )
    before = judge([staged], given("sword", instant="2027-01-14T23:59:59Z"))
    after = judge([staged], given("sword", instant="2027-01-15T00:00:00Z"))
    assert (before.verdict, before.hits[0].mode) == (Verdict.ALLOW, "warn")
    assert (after.verdict, after.hits[0].mode) == (Verdict.DENY, "enforce")
    assert replace(staged.rule("R-1"), mode_from=()).mode_at(datetime(2028, 1, 1, tzinfo=UTC)) == "warn"
