"""Thresholds by audience and region, the band that a person decides, and what decisions say of every score."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from limner_policy.engine import judge
from limner_policy.errors import Problem
from limner_policy.pack import Pack
from limner_policy.tools.condition_diff import condition_changes
from limner_policy.tools.phrases import phrase
from limner_policy.tools.reach import as_strict
from limner_policy.types import PolicyInput
from limner_policy.verdicts import LEAF_BYTES, Decision, Verdict

PackOf = Callable[..., Pack]
WriteRule = Callable[..., str]
Given = Callable[..., PolicyInput]
ProblemsOf = Callable[[str], tuple[Problem, ...]]

BY = '{default: "0.70", audience: {children: "0.40"}, region: {DE: "0.60", eu: "0.65"}}'


def eye(at_least: str, **more: str) -> str:
    """Write an evidence condition."""
    rest = "".join(f", {name}: {value}" for name, value in more.items())
    return f"{{evidence: {{detector: eye, category: weapon, at_least: {at_least}{rest}}}}}"


def scored(score: str | None, **more: Any) -> dict[str, Any]:
    """Evidence of one score, or of none."""
    told = {"score": score} if score else {"status": "unknown", "reason": "it raised ValueError"}
    return {"detector": "eye", "version": "3", "digest": "ab" * 32, "category": "weapon", **told, **more}


@pytest.mark.parametrize(
    ("score", "audience", "region", "verdict"),
    [
        ("0.700000", "adults", "US", "deny"),
        ("0.699999", "adults", "US", "allow"),
        ("0.400000", "Children", "US", "deny"),
        ("0.399999", "children", "DE", "allow"),
        ("0.600000", "adults", "de", "deny"),
        ("0.600000", "adults", "FR", "allow"),
        ("0.650000", "adults", "FR", "deny"),
        ("0.500000", None, "US", "review"),  # it could be for children
        ("0.620000", "adults", None, "review"),  # it could be in Germany
        ("0.620000", "adults", "EU", "review"),  # a part of it is
        ("0.700000", None, None, "deny"),  # whoever it is for
        ("0.399999", None, None, "allow"),
        (None, "adults", "US", "review"),
    ],
)
def test_the_strictest_threshold_that_applies_wins(
    pack_of: PackOf, rule: WriteRule, given: Given, score: str, audience: str, region: str, verdict: str
) -> None:
    """What nobody said counts as not known: only a score that the answer depends on goes to if_unknown."""
    pack = pack_of(rule(when=eye(BY), stage="image", extra="if_unknown: review\n"))
    facts = given(stage="image", evidence=[scored(score)], audience=audience, region=region)
    assert judge([pack], facts).verdict.value == verdict


@pytest.mark.parametrize(
    ("scores", "if_unknown", "verdict", "between", "unknown"),
    [
        (["0.700000"], "deny", "deny", False, False),
        (["0.699999"], "deny", "review", True, False),
        (["0.500000"], "allow", "review", True, False),
        (["0.499999"], "deny", "allow", None, None),
        ([None], "deny", "deny", False, True),
        ([None], "allow", "allow", False, True),
        (["0.600000", None], "deny", "deny", True, True),
        (["0.600000", None], "allow", "review", True, True),
        (["0.600000", "0.100000"], "deny", "review", True, False),
        ([], "deny", "deny", False, True),
    ],
)
def test_a_score_in_the_band_goes_to_a_person_and_no_score_to_if_unknown(
    pack_of: PackOf,
    rule: WriteRule,
    given: Given,
    scores: list[str | None],
    if_unknown: str,
    verdict: str,
    between: bool | None,
    unknown: bool | None,
) -> None:
    """One rule denies above, asks a person in the band, and says apart what a failing detector means."""
    when = eye('"0.70"', review_from='"0.50"')
    pack = pack_of(rule(when=when, stage="image", extra=f"if_unknown: {if_unknown}\n"))
    decision = judge([pack], given(stage="image", evidence=[scored(one, image=n) for n, one in enumerate(scores)]))
    assert decision.verdict.value == verdict
    assert [(hit.between, hit.unknown) for hit in decision.hits] == ([] if between is None else [(between, unknown)])


def test_a_band_inside_not_all_and_any_stays_open(pack_of: PackOf, rule: WriteRule, given: Given) -> None:
    """Turned round or combined, an open score stays open unless the rest decides."""
    band = eye('"0.70"', review_from='"0.50"')
    for when, verdict in (
        (f"{{not: {band}}}", "review"),
        (f"{{all: [{band}, {{audience: {{in: [teens]}}}}]}}", "allow"),
        (f"{{any: [{band}, {{audience: {{in: [adults]}}}}]}}", "deny"),
        (f"{{any: [{band}, {{audience: {{in: [teens]}}}}]}}", "review"),
    ):
        pack = pack_of(rule(when=when, stage="image"))
        facts = given(stage="image", evidence=[scored("0.600000")], audience="adults")
        assert judge([pack], facts).verdict.value == verdict, when


@pytest.mark.parametrize(
    ("when", "then", "told"),
    [
        (eye('{audience: {children: "0.4"}}'), "deny", "thresholds has no `default`"),
        (eye('{default: "0.7"}'), "deny", "has only a default. Write the score alone"),
        (
            eye('{default: "0.7", audience: {children: "0.8"}}'),
            "deny",
            "0.80 for the audience children is no str",
        ),
        (eye('{default: "0.7", region: {DE: "0.7"}}'), "deny", "0.70 for the region DE is no stricter"),
        (eye('{default: "0.7", region: {Germany: "0.6"}}'), "deny", "is no code of a country or region"),
        (eye('{default: "0.7", audiense: {children: "0.4"}}'), "deny", "is not a key here. Did you mean audience?"),
        (eye('{default: "0.7", audience: {children: 40}}'), "deny", "has to be a number from 0 to 1"),
        (eye('{default: "0.7", audience: {}}'), "deny", "has to be scores by audience"),
        (eye('"0.7"', review_from='"0.7"'), "deny", "`review_from` 0.70 does not lie below the threshold 0.70"),
        (eye('"0.7"', review_from='"0.5"'), "review", "this rule's verdict is review. Lower `at_least`"),
    ],
)
def test_a_threshold_that_means_nothing_is_an_error(
    rule: WriteRule, problems_of: ProblemsOf, when: str, then: str, told: str
) -> None:
    """A looser score, an empty band and a slip of the pen are told with place and remedy."""
    text = "policy: house\nversion: 1\ntitle: H\nowner: legal\nrules:\n"
    found = problems_of(text + rule(when=when, then=f"{{verdict: {then}}}", stage="image"))
    assert len(found) == 1
    assert told in str(found[0])


def test_a_decision_shows_every_score_and_who_held_it_against_what(
    pack_of: PackOf, rule: WriteRule, given: Given
) -> None:
    """Also of a picture that is allowed: detector, version, digest, category, score, threshold, outcome, each rule."""
    pack = pack_of(
        rule("R-1", when=eye('"0.70"', review_from='"0.50"'), stage="image"),
        rule("R-2", when=eye('"0.30"'), stage="image", extra="mode: audit\n"),
    )
    nsfw = {"detector": "nsfw", "version": "1", "category": "nsfw", "score": "0.010000"}
    decision = judge([pack], given(stage="image", evidence=[nsfw, scored("0.400000")]))
    assert decision.verdict is Verdict.ALLOW
    weapon, other = decision.to_leaf()["evidence"]
    assert (other["detector"], other["rules"]) == ("nsfw", [])
    assert weapon == {
        **scored("0.400000"),
        "rules": [
            {
                "rule": "R-1",
                "pack": "house",
                "mode": "enforce",
                "threshold": "0.700000",
                "review_from": "0.500000",
                "comparison": "below",
            },
            {"rule": "R-2", "pack": "house", "mode": "audit", "threshold": "0.300000", "comparison": "reached"},
        ],
    }
    assert "eye/weapon scored 0.400000 (threshold 0.300000, version 3, weights abababababab)" in decision.reasons[0]
    assert "0.4" not in decision.user_message


def test_a_person_is_told_the_band(pack_of: PackOf, rule: WriteRule, given: Given) -> None:
    """The reason names score, band and threshold, and the user's message none of them."""
    pack = pack_of(rule(when=eye('"0.70"', review_from='"0.50"'), stage="image"))
    decision = judge([pack], given(stage="image", evidence=[scored("0.600000")]))
    assert "a person decides, as eye/weapon scored 0.600000 (review from 0.500000, threshold" in decision.reasons[0]
    assert decision.to_leaf()["hits"][0]["between"] is True
    assert "0.6" not in decision.user_message


def test_a_leaf_with_thousands_of_scores_stays_below_its_bound(pack_of: PackOf, rule: WriteRule, given: Given) -> None:
    """Hits and scores get half of the room each, and what is left out is counted."""
    rules = [rule(f"R-{n}", when=eye('"0.10"'), stage="image") for n in range(60)]
    evidence = [scored("0.900000", image=n) for n in range(300)]
    leaf = judge([pack_of(*rules)], given(stage="image", evidence=evidence)).to_leaf()
    assert len(json.dumps(leaf, separators=(",", ":"), ensure_ascii=False)) <= LEAF_BYTES
    assert leaf["evidence_left_out"] + len(leaf["evidence"]) == 300


def test_a_decision_without_evidence_has_the_leaf_of_before(pack_of: PackOf, rule: WriteRule, given: Given) -> None:
    """Where no detector ran, nothing is said of scores."""
    assert "evidence" not in judge([pack_of(rule())], given("a sword")).to_leaf()
    assert Decision(Verdict.ALLOW, "image").evidence == ()


def test_thresholds_are_told_and_compared_in_plain_words(pack_of: PackOf, rule: WriteRule) -> None:
    """Book, explain and diff say who gets which threshold, and which change is stricter."""
    old = pack_of(rule(when=eye('"0.70"', review_from='"0.50"'), stage="image"))
    new = pack_of(rule(when=eye('{default: "0.70", audience: {children: "0.40"}}'), stage="image"))
    told = phrase(new.rules[0].when).line
    assert "the detector eye scores 0.70 or more for weapon; all of these hold: (the audience is children" in told
    assert "scores 0.70 or more for weapon (from 0.50 on a person decides)" in phrase(old.rules[0].when).line
    lower = pack_of(rule(when=eye('"0.70"', review_from='"0.45"'), stage="image"))
    assert list(condition_changes(old.rules[0].when, lower.rules[0].when)) == [
        "a person decides about eye/weapon from: 0.50 → 0.45"
    ]
    plain = pack_of(rule(when=eye('"0.70"'), stage="image"))
    assert as_strict(new.rules[0], plain.rules[0]) is True
    assert as_strict(plain.rules[0], new.rules[0]) is False
    assert as_strict(old.rules[0], plain.rules[0]) is not False
