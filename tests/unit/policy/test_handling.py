"""What a pack says about the pictures of a denied request: how it is written, told, combined and decided."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given as each
from hypothesis import strategies as st

from limner_policy.engine import judge
from limner_policy.errors import Problem
from limner_policy.handling import PICTURES, Handling, combined
from limner_policy.pack import Pack
from limner_policy.tools.comparing import compare
from limner_policy.types import PolicyInput

PackOf = Callable[..., Pack]
WriteRule = Callable[..., str]
Given = Callable[..., PolicyInput]
ProblemsOf = Callable[[str], tuple[Problem, ...]]

HEADER = """\
handling:
  denied: {pictures: keep, days: 30}
  csam:
    pictures: preserve
    days: 365
    send_on: never
    tell: child-safety@example.com
    says: It is reported by people, and nobody looks at it here.
"""
EYE = '{evidence: {detector: eye, category: x, at_least: "0.8"}}'


def seen(given: Given, score: str | None) -> PolicyInput:
    """A picture with that score, or with none."""
    one = {"score": score} if score else {"status": "unknown"}
    return given(stage="image", evidence=[{"detector": "eye", "category": "x", **one}])


def test_nothing_is_kept_where_a_pack_says_nothing(pack_of: PackOf, rule: WriteRule, given: Given) -> None:
    """The default is said in the decision and its leaf; an allowed request has no handling."""
    pack = pack_of(rule())
    denied = judge([pack], given("a sword"))
    assert denied.handling == Handling("house/denied")
    assert denied.to_leaf()["handling"] == {"names": ["house/denied"], "pictures": "destroy"}
    allowed = judge([pack], given("an apple"))
    assert allowed.handling is None
    assert "handling" not in allowed.to_leaf()
    assert judge([], given("an apple")).to_leaf()["handling"]["pictures"] == "destroy"


def test_a_rule_names_what_becomes_of_its_pictures(pack_of: PackOf, rule: WriteRule, given: Given) -> None:
    """A named handling for what was found; the pack's default where a failing detector found nothing."""
    named = rule("R-1", when=EYE, stage="image", then="{verdict: deny, handling: csam}")
    pack = pack_of(named, header=HEADER)
    found = judge([pack], seen(given, "0.900000"))
    assert found.to_leaf()["handling"] == {
        "names": ["house/csam"],
        "pictures": "preserve",
        "days": 365,
        "send_on": "never",
        "tell": "child-safety@example.com",
    }
    assert found.handling is not None
    assert found.handling.told == (
        "It is reported by people, and nobody looks at it here. Its pictures are preserved, encrypted, for 365 days: "
        "do not open, copy or send them. Tell child-safety@example.com."
    )
    unknown = judge([pack], seen(given, None)).handling
    assert unknown is not None
    assert (unknown.name, unknown.pictures, unknown.days, unknown.send_on) == ("house/denied", "keep", 30, False)
    assert "child-safety" not in found.user_message


handlings = st.builds(
    Handling, st.sampled_from("abc"), st.sampled_from(PICTURES), st.none() | st.integers(1, 9), st.booleans()
)


@each(st.lists(handlings, min_size=1))
def test_several_packs_agree_on_the_most_careful(found: list[Handling]) -> None:
    """Order and repetition do not matter; preserve beats destroy, destroy beats keep."""
    one = combined(found)
    assert combined([*reversed(found), *found]) == one
    kinds = {handling.pictures for handling in found}
    assert one.pictures == next(kind for kind in ("preserve", "destroy", "keep") if kind in kinds)
    assert one.send_on is all(handling.send_on for handling in found)


def test_what_is_kept_for_the_house_goes_early_and_what_is_preserved_stays_long() -> None:
    """Of two numbers of days the careful one holds."""
    assert combined([Handling("a", "keep", 30), Handling("b", "keep", 10)]).days == 10
    assert combined([Handling("a", "preserve", 30), Handling("b", "preserve", 365), Handling("c")]).days == 365
    assert combined([Handling("a", "destroy"), Handling("b", "keep", 10)]).days is None


@pytest.mark.parametrize(
    ("handling", "then", "told"),
    [
        ("{x: {pictures: burn}}", "{verdict: deny}", "is not a word of this list (found burn)"),
        ("{x: {pictures: keep}}", "{verdict: deny}", "says `keep` and not for how long. Add `days`"),
        ("{x: {pictures: destroy, days: 3}}", "{verdict: deny}", "destroys its pictures and says for how many days"),
        ("{x: {pictures: preserve, days: 365}}", "{verdict: deny}", "names nobody who is told. Add `tell`"),
        ("{x: {pictures: keep, days: 3, send_on: never}}", "{verdict: deny}", "kept like any other picture"),
        ("{x: {pictures: keep, days: 0}}", "{verdict: deny}", "has to be a number of days from 1 to 3,650"),
        ("{x: {pictures: keep, days: 3651}}", "{verdict: deny}", "has to be a number of days from 1 to 3,650"),
        ("{X y: {pictures: destroy}}", "{verdict: deny}", "has to be a name of small letters"),
        ("{}", "{verdict: deny}", "has to be handlings by name"),
        ("{denied: {pictures: preserve, days: 9, tell: a}}", "{verdict: deny}", "would hold every denied picture"),
        ("{csam: {pictures: destroy}}", "{verdict: deny, handling: csem}", "Did you mean csam?"),
        ("{csam: {pictures: destroy}}", "{verdict: review, handling: csam}", "`review` has no handling of denied"),
    ],
)
def test_a_handling_that_means_nothing_is_an_error(
    rule: WriteRule, problems_of: ProblemsOf, handling: str, then: str, told: str
) -> None:
    """Each mistake is told once, with what to do."""
    header = f"policy: house\nversion: 1\ntitle: H\nowner: legal\nhandling: {handling}\nrules:\n"
    found = problems_of(header + rule(then=then))
    assert len(found) == 1
    assert told in str(found[0])


def test_a_change_of_the_handling_is_told(pack_of: PackOf, rule: WriteRule) -> None:
    """A diff says in plain words what becomes of pictures now."""
    (change,) = compare([pack_of(rule())], [pack_of(rule(), header=HEADER)])
    told = [sentence.text for sentence in change.sentences]
    assert "handling.denied: nothing of its own → Its pictures are kept, encrypted, for 30 days." in told
    (ruled,) = change.rules
    assert "No picture is kept: commitments and scores only. → Its pictures are kept" in ruled.sentences[0].text
