"""Lint: what it finds in packs that can be read, what it leaves alone, and that what it calls impossible is."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner_policy.engine import judge
from limner_policy.loading import load_pack_bytes
from limner_policy.pack import Pack
from limner_policy.tools.findings import KINDS, Finding
from limner_policy.tools.lint import Setting, lint
from limner_policy.tools.reach import FALSE, TRUE, UNKNOWN, as_strict, can
from limner_policy.tools.timeline import enforced_within
from limner_policy.types import ContextFacts, Evidence, PolicyInput, RequestFacts

TODAY = date(2026, 11, 25)
HEAD = "policy: t\nversion: '1'\ntitle: T\nowner: o@example.com\n"
SOURCES = "sources:\n  s: {cite: S, read: 2026-11-01}\n"
FIRST = HEAD.count("\n") + SOURCES.count("\n") + 2
"""The line of the first rule."""
GOOD = "    examples:\n      - {prompt: a sword, expect: deny}\n      - {prompt: a pear, expect: allow}\n"


def rule(number: int = 1, when: str = "{terms: {any_of: [sword]}}", more: str = "", **keys: Any) -> str:
    """Give a rule's lines."""
    values = {"severity": "high", "stage": "request", "then": "{verdict: deny}"} | keys
    lines = [f"  - id: R-{number}", "    title: T", "    says: It is so.", "    why: W.", "    basis: [s]"]
    lines += [f"    {key}: {value}" for key, value in values.items()] + [f"    when: {when}"]
    return "\n".join(lines) + "\n" + more


def pack(*rules: str, head: str = "", sources: str = SOURCES, name: str = "t.policy.yaml") -> Pack:
    return load_pack_bytes((HEAD + head + sources + "rules:\n" + "".join(rules)).encode(), name)


def found(*packs: Pack, today: date = TODAY, **setting: object) -> list[Finding]:
    return lint(packs, Setting(today, **setting))  # type: ignore[arg-type]


def kinds(*packs: Pack, today: date = TODAY, **setting: object) -> list[str]:
    return [one.kind for one in found(*packs, today=today, **setting)]


def test_a_good_pack_has_no_finding() -> None:
    """A rule with examples, a fresh source and a real outcome is left alone."""
    assert found(pack(rule(more=GOOD))) == []


@pytest.mark.parametrize(
    ("kind", "keys", "says"),
    [
        ("dead", {"mode": "'off'"}, "mode is `off` for ever"),
        ("dead", {"effective": "{until: 2026-11-01}"}, "not in force any more since 2026-11-01"),
        ("dead", {"then": "{verdict: allow}", "if_unknown": "allow"}, "changes nothing"),
        ("dead", {"when": "{all: [{region: {in: [eu]}}, {region: {in: [us]}}]}"}, "can never hold; only its"),
        ("dead", {"when": "{all: [{n: {over: 3}}, {n: {under: 3}}]}"}, "can never hold"),
        ("dead", {"when": "{all: [{terms: {any_of: [nude beach]}}, {not: {terms: {any_of: [nude]}}}]}"}, "never hold"),
        ("never-true", {"when": "{task: {in: [text2img]}}"}, "no task is called text2img"),
        ("overdue", {"review_by": "2026-11-25"}, "looked at again by 2026-11-25"),
        ("review-soon", {"review_by": "2026-12-20"}, "has to be looked at again by 2026-12-20"),
        ("lenient", {"severity": "critical", "if_unknown": "allow"}, "lets pass what cannot be decided"),
        ("no-executor", {"then": "{verdict: allow_with_duties, duties: [watermark]}"}, "nothing carries out the duty"),
    ],
)
def test_what_is_found_in_one_rule(kind: str, keys: dict[str, Any], says: str) -> None:
    """Each kind of finding names its rule's line, what is the matter and what to do."""
    one = next(f for f in found(pack(rule(more=GOOD, **keys))) if f.kind == kind)
    assert one.rule == "R-1"
    assert one.line == FIRST
    assert says in one.message
    assert one.remedy
    assert str(one).startswith(f"t.policy.yaml:{FIRST}: R-1: ")


def test_dates_that_never_meet() -> None:
    """A rule that begins after its pack has ended is in force at no instant."""
    [one] = [
        f
        for f in found(pack(rule(more=GOOD, effective="{from: 2026-06-01}"), head="effective: {until: 2026-01-01}\n"))
        if f.kind == "dead"
    ]
    assert "in force at no instant" in one.message


def test_a_part_that_can_never_hold_is_found_inside_a_condition_that_can() -> None:
    """An alternative that excludes itself is named, and the rule is not called dead."""
    when = "{any: [{terms: {any_of: [sword]}}, {all: [{region: {in: [eu]}}, {region: {in: [us]}}]}]}"
    [one] = found(pack(rule(when=when, more=GOOD)))
    assert one.kind == "never-true"
    assert "the region is eu" in one.message


def test_a_score_cannot_be_high_and_low() -> None:
    """A threshold inside another one's opposite is impossible, also where pictures have no score."""
    low = "{not: {evidence: {detector: nsfw, category: nsfw, at_least: '0.5'}}}"
    high = "{evidence: {detector: nsfw, category: nsfw, at_least: '0.9'}}"
    assert "dead" in kinds(pack(rule(when=f"{{all: [{high}, {low}]}}", stage="image", more=GOOD)))
    assert "dead" not in kinds(pack(rule(when=f"{{any: [{high}, {low}]}}", stage="image", more=GOOD)))


def test_a_shadowed_rule_is_named_with_its_shadow() -> None:
    """A rule that holds only where a stricter one does changes no decision; the stricter one is not blamed."""
    narrow = rule(
        2,
        "{all: [{terms: {any_of: [long sword]}}, {region: {in: [eu]}}]}",
        GOOD,
        then="{verdict: review}",
        if_unknown="review",
    )
    [one] = found(pack(rule(more=GOOD), narrow))
    assert (one.kind, one.rule) == ("shadowed", "R-2")
    assert f"R-1 (line {FIRST}) holds too" in one.message


@pytest.mark.parametrize(
    "other",
    [
        {"when": "{terms: {any_of: [sword, lance]}}"},
        {
            "when": "{terms: {any_of: [long sword]}}",
            "then": "{verdict: review, duties: [human_review]}",
            "mode": "audit",
        },
        {"when": "{terms: {any_of: [long sword], fields: [negative_prompt]}}"},
        {"when": "{terms: {any_of: [swordfish]}}"},
    ],
)
def test_a_rule_that_adds_something_is_not_shadowed(other: dict[str, Any]) -> None:
    """Another word, another field, a rule that only records: none of them is needless."""
    strict = rule(more=GOOD, when="{terms: {any_of: [sword], except: [sword lily]}}")
    assert ("shadowed", "R-2") not in {(f.kind, f.rule) for f in found(pack(strict, rule(2, more=GOOD, **other)))}


def test_a_shadow_needs_the_time_too() -> None:
    """A stricter rule that ends before the milder one does not make it needless."""
    strict = rule(more=GOOD, effective="{until: 2027-01-01}")
    mild = rule(2, more=GOOD, then="{verdict: review}")
    assert "shadowed" not in kinds(pack(strict, mild))
    assert "shadowed" in kinds(pack(rule(more=GOOD), mild))


def test_of_twins_the_later_one_is_named() -> None:
    """Two rules that ask for the same are one finding, in whichever files they stand."""
    one, other = (
        pack(rule(more=GOOD), name="a.yaml"),
        pack(rule(7, more=GOOD), head="effective: {from: 2020-01-01}\n", name="b.yaml"),
    )
    shadows = [f for f in found(one, other) if f.kind == "shadowed"]
    assert [(f.file, f.rule) for f in shadows] == [("b.yaml", "R-7")]


def test_opposite_outcomes_and_duties_that_exclude_each_other() -> None:
    """The same condition allowed and refused, and two retentions, are contradictions."""
    soft = rule(
        2, "{terms: {any_of: [sword]}}", GOOD, then="{verdict: allow_with_duties, duties: [{retention: {days: 30}}]}"
    )
    hard = rule(
        3, "{terms: {any_of: [pear]}}", GOOD, then="{verdict: allow_with_duties, duties: [{retention: {days: 10}}]}"
    )
    messages = [f.message for f in found(pack(rule(more=GOOD), soft, hard)) if f.kind == "contradictory"]
    assert any("R-1 says deny and this rule allow_with_duties" in told for told in messages)
    assert any("retention (days 10) and R-2's retention (days 30)" in told for told in messages)


def test_a_rule_that_always_holds_is_a_note() -> None:
    """A condition that cannot fail is told, and is no reason to stop."""
    when = "{any: [{tags: {has: [a]}}, {not: {tags: {has: [a]}}}]}"
    [one] = [f for f in found(pack(rule(when=when, more=GOOD))) if f.kind == "contradictory"]
    assert one.note
    assert "always holds" in one.message


def test_sources_lists_and_claims_age() -> None:
    """A source older than asked for, a list older than its owner allows, claims that are old, a day to come."""
    old = "sources:\n  s: {cite: S, read: 2025-01-01}\n  x: {cite: X, read: 2027-01-01}\n"
    head = (
        "organisation: {as_of: 2024-01-01, claimed_by: cfo@example.com}\n"
        "lists:\n  words: {terms: [sword], refreshed: 2026-01-01, max_age_days: 30}\n"
    )
    given_pack = pack(rule(when="{terms: {list: words}}", more=GOOD), head=head, sources=old)
    told = {(one.kind, one.line) for one in found(given_pack)}
    assert {("stale-source", 5), ("stale-source", 7), ("stale-source", 9), ("read-later", 10), ("unused", 10)} <= told
    assert ("stale-source", 9) not in {(f.kind, f.line) for f in found(given_pack, stale_days=800)}


def test_old_licence_facts_are_a_note_where_a_rule_rests_on_them() -> None:
    """A rule about licences is told that the facts behind it are old; other rules are not."""
    asks = rule(when="{licence: {forbids: commercial_use}}", stage="candidate", more=GOOD)
    later = date(2028, 1, 1)
    told = [f for f in found(pack(asks), today=later) if "licence facts" in f.message]
    assert [(f.kind, f.note, f.rule) for f in told] == [("stale-source", True, "R-1")]
    assert not [f for f in found(pack(asks)) if "licence facts" in f.message]
    assert not [f for f in found(pack(rule(more=GOOD)), today=later) if "licence facts" in f.message]


def test_an_unsafe_pack_and_a_rule_without_examples() -> None:
    """A pack that can refuse nothing is a finding at its rules; so is a rule without examples."""
    bare = pack(rule(mode="audit"))
    assert kinds(bare) == ["unsafe", "no-example"]


def test_a_duty_that_can_be_done_is_no_finding() -> None:
    """Duties that are carried out are left alone; one in audit mode is a note."""
    asks: dict[str, Any] = {"then": "{verdict: allow_with_duties, duties: [watermark]}"}
    assert "no-executor" not in kinds(pack(rule(more=GOOD, **asks)), executed={"watermark"})
    noted = [f for f in found(pack(rule(more=GOOD, mode="audit", **asks))) if f.kind == "no-executor"]
    assert [f.note for f in noted] == [True]


def test_a_detector_that_is_not_installed() -> None:
    """Where it is known what is installed, another detector's name is a finding that names the known ones."""
    when = "{evidence: {detector: blood, category: blood, at_least: '0.5'}}"
    asking = pack(rule(when=when, stage="image", more=GOOD))
    [one] = [f for f in found(asking, detectors={"nsfw"}) if f.kind == "no-detector"]
    assert "nsfw" in one.remedy
    assert "no-detector" not in kinds(asking)


def test_every_kind_is_described() -> None:
    """Each kind that lint can give stands in the table of kinds."""
    assert set(KINDS) >= {"dead", "shadowed", "contradictory", "overdue", "stale-source", "no-executor"}


WORDS = st.sampled_from(["sword", "long sword", "lance", "sword lily", "pear"])
FACTS = st.sampled_from(["eu", "us", "de"])


def _text(words: list[str], but: list[str]) -> str:
    excepted = f", except: [{', '.join(but)}]" if but else ""
    return f"{{terms: {{any_of: [{', '.join(sorted(set(words)))}]{excepted}}}}}"


LEAVES = st.one_of(
    st.builds(_text, st.lists(WORDS, min_size=1, max_size=3), st.lists(WORDS, max_size=1)),
    st.builds("{{region: {{in: [{}]}}}}".format, FACTS),
    st.builds("{{region: {{not_in: [{}]}}}}".format, FACTS),
    st.builds("{{n: {{{}: {}}}}}".format, st.sampled_from(["over", "under", "at_least", "at_most"]), st.integers(1, 4)),
    st.builds("{{steps: {{over: {}}}}}".format, st.integers(1, 4)),
    st.builds("{{tags: {{has: [{}]}}}}".format, FACTS),
    st.builds(
        "{{evidence: {{detector: d, category: c, at_least: '{}'}}}}".format, st.sampled_from(["0.3", "0.5", "0.7"])
    ),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds("{{not: {}}}".format, inner),
        st.builds("{{all: [{}, {}]}}".format, inner, inner),
        st.builds("{{any: [{}, {}]}}".format, inner, inner),
    ),
    max_leaves=4,
)
VERDICTS = st.sampled_from(["review", "deny"])
RULES = st.builds(
    lambda when, verdict, unknown: rule(when=when, stage="image", then=f"{{verdict: {verdict}}}", if_unknown=unknown),
    CONDITIONS,
    VERDICTS,
    st.sampled_from(["allow", "review", "deny"]),
)
SCORES = st.sampled_from([None, "0.299999", "0.300000", "0.500000", "0.800000"])


def _evidence(scores: list[str | None]) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(detector="d", category="c", image=i, score=s, status="ok" if s else "unknown")
        for i, s in enumerate(scores)
    )


INPUTS = st.builds(
    lambda words, region, n, steps, tags, scores: PolicyInput(
        instant="2026-11-25T00:00:00Z",
        stage="image",
        request=RequestFacts(prompt=" and a ".join(words), task="txt2img", n=str(n), parameters=steps),
        context=ContextFacts(region=region, tags=tuple(tags)),
        evidence=_evidence(scores),
    ),
    st.lists(WORDS, max_size=2),
    st.one_of(st.none(), FACTS),
    st.integers(1, 5),
    st.one_of(st.just({}), st.builds(lambda n: {"num_inference_steps": str(n)}, st.integers(1, 5))),
    st.lists(FACTS, max_size=2),
    st.lists(SCORES, max_size=2),
)


def _seen(one: Pack, given_input: PolicyInput) -> int:
    hits = judge([one], given_input).hits
    return FALSE if not hits else UNKNOWN if hits[0].unknown else TRUE


@settings(max_examples=150, deadline=None)
@given(RULES, RULES, st.lists(INPUTS, min_size=1, max_size=8))
def test_what_is_called_impossible_or_stricter_is_so(one: str, other: str, inputs: list[PolicyInput]) -> None:
    """No input has a truth that was called impossible; a rule called as strict as another is never the milder one."""
    strict, mild = pack(one), pack(other)
    as_much = as_strict(strict.rules[0], mild.rules[0])
    for given_input in inputs:
        assert can(strict.rules[0].when, _seen(strict, given_input)) is not False
        if as_much:
            assert judge([strict], given_input).verdict >= judge([mild], given_input).verdict


def test_a_rule_is_as_strict_as_itself() -> None:
    """Comparing a rule with itself says so, and time is part of the question."""
    one = pack(rule(more=GOOD))
    assert as_strict(one.rules[0], one.rules[0])
    assert enforced_within((one, one.rules[0]), (one, one.rules[0]), Setting(TODAY).instant)
