"""The lattice of verdicts and what a decision tells whom."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from limner_policy.types import Evidence
from limner_policy.verdicts import LEAF_BYTES, Decision, Duty, EvidenceUse, RuleHit, Span, Verdict

verdicts = st.sampled_from(list(Verdict))


def hit(rule: str = "R-1", verdict: Verdict = Verdict.DENY, **more: object) -> RuleHit:
    values: dict[str, object] = {"mode": "enforce", "stage": "request", "severity": "high", **more}
    return RuleHit(rule, "house", "No swords", "Swords are refused.", verdict=verdict, **values)  # type: ignore[arg-type]


def test_verdicts_are_ordered() -> None:
    """Allow < allow_with_duties < review < deny, and each prints as its word."""
    assert [str(verdict) for verdict in sorted(Verdict)] == ["allow", "allow_with_duties", "review", "deny"]
    assert Verdict.REVIEW > Verdict.ALLOW_WITH_DUTIES
    assert Verdict("deny") is Verdict.DENY


@given(st.lists(verdicts), st.lists(verdicts))
def test_combining_is_a_lattice_join(left: list[Verdict], right: list[Verdict]) -> None:
    """Order, repetition and grouping do not matter; adding a verdict never makes the outcome milder."""
    join = Verdict.combine
    assert join(left + right) is join(right + left) is join([join(left), join(right)])
    assert join(left + left) is join(left)
    assert join(left + right) >= join(left)


def test_a_leaf_holds_places_and_scores_and_no_text() -> None:
    """Rule ids, spans, scores and thresholds go to the log; says and matched text do not."""
    evidence = Evidence(detector="nsfw", version="1", digest="ab", category="nsfw", score="0.900000")
    found = hit(spans=(Span("prompt", 2, 7),), evidence=(EvidenceUse(evidence, "0.800000"),))
    decision = Decision(Verdict.DENY, "image", (found,), (Duty("blur", (("radius", "3"),)),), ({"name": "house"},))
    leaf = decision.to_leaf()
    assert leaf["hits"] == [
        {
            "rule": "R-1",
            "pack": "house",
            "title": "No swords",
            "severity": "high",
            "stage": "request",
            "mode": "enforce",
            "verdict": "deny",
            "spans": [{"field": "prompt", "start": 2, "end": 7}],
            "evidence": [
                {
                    "detector": "nsfw",
                    "version": "1",
                    "digest": "ab",
                    "category": "nsfw",
                    "score": "0.900000",
                    "threshold": "0.800000",
                    "comparison": "reached",
                }
            ],
        }
    ]
    assert leaf["duties"] == [{"name": "blur", "params": {"radius": "3"}}]
    assert json.loads(json.dumps(leaf)) == leaf


def test_a_leaf_stays_below_its_bound_and_counts_what_it_left_out() -> None:
    """Hundreds of hits with many spans give up spans first and the mildest hits last, by number."""
    spans = tuple(Span("prompt", n, n + 1) for n in range(16))
    hits = tuple(hit(f"R-{n}", spans=spans) for n in range(100))
    leaf = Decision(Verdict.DENY, "request", hits).to_leaf()
    assert (leaf["spans_left_out"], len(leaf["hits"])) == (1600, 100)
    leaf = Decision(Verdict.DENY, "request", hits * 10).to_leaf()
    assert leaf["hits_left_out"] + len(leaf["hits"]) == 1000
    assert len(json.dumps(leaf, separators=(",", ":"))) <= LEAF_BYTES


def test_an_end_user_is_told_the_title_and_nothing_to_work_around() -> None:
    """Neither spans, terms, scores nor thresholds reach the user's message; audit hits do not either."""
    evidence = Evidence(detector="nsfw", category="nsfw", score="0.900000")
    shown = hit(spans=(Span("prompt", 2, 7),), evidence=(EvidenceUse(evidence, "0.800000"),))
    quiet = hit("R-2", mode="audit")
    message = Decision(Verdict.DENY, "request", (shown, quiet)).user_message
    assert message == "This request was declined: No swords (rule R-1)."
    unsure = Decision(Verdict.DENY, "image", (hit(unknown=True),)).user_message
    assert unsure == "This image was declined: it could not be checked under “No swords” (rule R-1)."
    assert "person" in Decision(Verdict.REVIEW, "image", (hit(verdict=Verdict.REVIEW),)).user_message
    assert Decision(Verdict.ALLOW, "request").user_message == "This request is allowed."


def test_reasons_tell_operators_scores_and_modes() -> None:
    """One sentence a hit: what the rule says, the score beside its threshold, why unknown, and the mode."""
    ok = Evidence(detector="nsfw", version="1", category="nsfw", score="0.900000")
    dark = Evidence(detector="nsfw", category="nsfw", status="unknown", reason="it did not answer in time")
    decision = Decision(
        Verdict.DENY,
        "image",
        (
            hit(evidence=(EvidenceUse(ok, "0.800000"),)),
            hit("R-2", evidence=(EvidenceUse(dark, "0.800000"),), unknown=True),
            hit("R-3", failed=True),
            hit("R-4", mode="warn"),
        ),
    )
    first, second, third, fourth = decision.reasons
    assert first.endswith("Swords are refused. nsfw/nsfw scored 0.900000 (threshold 0.800000, version 1).")
    assert "could not be decided (nsfw: it did not answer in time)" in second
    assert "engine failure" in third
    assert fourth.endswith("[warn mode: recorded, not combined]")
    assert [h.rule for h in decision.deciding] == ["R-1", "R-2", "R-3"]
