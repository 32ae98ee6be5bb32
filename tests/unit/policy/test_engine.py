"""The judgement: modes, dates, unknowns, failures, and the laws that hold for every pack."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given as each
from hypothesis import settings
from hypothesis import strategies as st

from limner_policy.conditions import NO, UNKNOWN, YES, AllOf, AnyOf, Case, Condition, Finding, Not
from limner_policy.engine import judge, required_detectors
from limner_policy.loading import load_pack_bytes
from limner_policy.matching import Matcher
from limner_policy.pack import Pack
from limner_policy.types import CandidateFacts, ContextFacts, Evidence, PolicyInput, RequestFacts
from limner_policy.verdicts import Duty, Span, Verdict

PackOf = Callable[..., Pack]
WriteRule = Callable[..., str]
Given = Callable[..., PolicyInput]
NSFW = "{evidence: {detector: nsfw, category: nsfw, at_least: 0.80}}"


def test_a_term_denies_and_says_where(pack_of: PackOf, rule: WriteRule, given: Given) -> None:
    """A hit carries the rule's id, title and the span in the original prompt; a clean prompt has no hits."""
    pack = pack_of(rule("R-1"))
    decision = judge([pack], given("two  Swords and a sw\u200bord"))
    assert decision.verdict is Verdict.DENY
    (hit,) = decision.hits
    assert (hit.rule, hit.title, hit.spans) == ("R-1", "Title of R-1", (Span("prompt", 18, 24),))
    assert decision.packs == (pack.identity,)
    clean = judge([pack], given("a red apple"))
    assert (clean.verdict, clean.hits, clean.allowed) == (Verdict.ALLOW, (), True)


@pytest.mark.parametrize("extra", ["mode: off", "effective: {from: 2027-01-01}", "effective: {until: 2026-11-24}"])
def test_without_a_rule_in_force_everything_is_denied(
    pack_of: PackOf, rule: WriteRule, given: Given, extra: str
) -> None:
    """No pack, a pack out of its dates, and packs whose rules all sleep deny with the reason `no policy`."""
    for packs in ([], [pack_of(rule(extra=extra))], [pack_of(rule(), header="effective: {from: 2027-01-01}\n")]):
        decision = judge(packs, given("a red apple"))
        assert (decision.verdict, decision.no_policy) == (Verdict.DENY, True)
        assert "no policy is in force" in decision.reasons[0]
        assert "no policy is in force" in decision.user_message
        assert decision.to_leaf()["no_policy"] is True


def test_a_stage_without_rules_allows(pack_of: PackOf, rule: WriteRule, given: Given) -> None:
    """A policy that says nothing of pictures lets pictures pass, as it is in force."""
    assert judge([pack_of(rule())], given("sword", stage="image")).verdict is Verdict.ALLOW


def test_from_is_inclusive_and_until_exclusive(pack_of: PackOf, rule: WriteRule, given: Given) -> None:
    """A rule applies from its first instant to just before its last."""
    pack = pack_of(
        rule("R-1", extra="effective: {from: 2026-12-02, until: 2026-12-03}"), rule("R-2", when="{task: {in: [x]}}")
    )
    days = ["2026-12-01T23:59:59.999999Z", "2026-12-02T00:00:00Z", "2026-12-02T23:59:59Z", "2026-12-03T00:00:00Z"]
    assert [judge([pack], given("sword", instant=day)).verdict.value for day in days] == [
        "allow",
        "deny",
        "deny",
        "allow",
    ]


@pytest.mark.parametrize("mode", ["audit", "warn"])
def test_audit_and_warn_rules_are_recorded_and_not_combined(
    pack_of: PackOf, rule: WriteRule, given: Given, mode: str
) -> None:
    """Their hits stand in the decision with their mode; verdict and duties come without them."""
    then = "{verdict: deny, duties: [blur]}"
    decision = judge([pack_of(rule(then=then, extra=f"mode: {mode}"))], given("sword"))
    assert (decision.verdict, decision.duties) == (Verdict.ALLOW, ())
    assert [(hit.mode, hit.verdict, hit.combined) for hit in decision.hits] == [(mode, Verdict.DENY, False)]


def test_duties_are_united(pack_of: PackOf, rule: WriteRule, given: Given) -> None:
    """Duties of all combined hits, each once, whatever the verdict of the others."""
    label = "{verdict: allow_with_duties, duties: [{visible_label: {text: AI}}, blur]}"
    pack = pack_of(rule("R-1", then=label), rule("R-2", then="{verdict: review, duties: [blur, no_store]}"))
    decision = judge([pack], given("sword"))
    assert decision.verdict is Verdict.REVIEW
    assert decision.duties == (Duty("blur"), Duty("no_store"), Duty("visible_label", (("text", "AI"),)))


@pytest.mark.parametrize(
    ("scores", "verdict"),
    [
        (["0.799999"], "allow"),
        (["0.800000"], "deny"),
        (["0.100000", "0.900000"], "deny"),
        ([None], "review"),
        (["0.100000", None], "review"),
        (["0.900000", None], "deny"),
        ([], "review"),
    ],
)
def test_evidence_escalates_and_never_clears(
    pack_of: PackOf, rule: WriteRule, given: Given, scores: list[str | None], verdict: str
) -> None:
    """At the threshold it holds; without a score, or without evidence at all, the rule's if_unknown applies."""
    pack = pack_of(rule(stage="image", when=NSFW, extra="if_unknown: review"))
    evidence = [
        {"detector": "nsfw", "category": "nsfw", **({"score": s} if s else {"status": "unknown", "reason": "off"})}
        for s in scores
    ]
    other = {"detector": "nsfw", "category": "other", "score": "1.000000"}
    decision = judge([pack], given(stage="image", evidence=[*evidence, other]))
    assert decision.verdict.value == verdict
    assert all(use.threshold == "0.800000" for hit in decision.hits for use in hit.evidence)


def test_an_unknown_fact_gives_if_unknown_and_the_packs_default(pack_of: PackOf, rule: WriteRule, given: Given) -> None:
    """A region that nobody claimed is unknown, not absent; the default denies, an own if_unknown wins."""
    when = "{region: {in: [EU]}}"
    assert judge([pack_of(rule(when=when))], given()).verdict is Verdict.DENY
    assert judge([pack_of(rule(when=when), header="unknown_evidence: review\n")], given()).verdict is Verdict.REVIEW
    decision = judge([pack_of(rule(when=when, extra="if_unknown: allow"))], given())
    assert (decision.verdict, decision.hits[0].unknown) == (Verdict.ALLOW, True)
    assert judge([pack_of(rule(when=when))], given(region="US")).verdict is Verdict.ALLOW
    assert judge([pack_of(rule(when="{region: {not_in: [EU]}}"))], given(region=" eu ")).verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    "fact", ["provider", "kind", "model", "licence", "task", "tenant", "project", "purpose", "audience"]
)
def test_every_fact_can_be_asked_for(pack_of: PackOf, rule: WriteRule, given: Given, fact: str) -> None:
    """Candidate and context facts compare by value, without regard to case."""
    pack = pack_of(rule(stage="candidate", when=f"{{{fact}: {{in: [Acme]}}}}", extra="if_unknown: review"))
    assert judge([pack], given(stage="candidate", **{fact: "ACME"})).verdict is Verdict.DENY
    assert judge([pack], given(stage="candidate", **{fact: "other"})).verdict is Verdict.ALLOW


class Broken:
    """A condition that raises, as a fault of the engine would."""

    def find(self, case: Case) -> Finding:
        """Break."""
        raise ZeroDivisionError("boom")


@pytest.mark.parametrize("mode", ["enforce", "audit"])
def test_a_failing_rule_denies_under_its_id(
    pack_of: PackOf, rule: WriteRule, given: Given, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Whatever raises inside a rule is a denial that names it and hides what was raised, even in audit mode."""
    pack = pack_of(rule("R-1", extra=f"mode: {mode}"), rule("R-2", when="{task: {in: [x]}}"))
    object.__setattr__(pack.rules[0], "when", AnyOf((YES_NODE, Broken())))
    decision = judge([pack], given("apple"))
    assert decision.verdict is Verdict.DENY
    assert [(hit.rule, hit.failed, hit.combined) for hit in decision.hits] == [("R-1", True, True)]
    assert "boom" not in str(decision)

    def search(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Matcher, "search", search)
    assert judge([pack_of(rule("R-1"))], given("apple")).hits[0].failed


def test_only_detectors_of_rules_in_force_are_required(pack_of: PackOf, rule: WriteRule) -> None:
    """Sleeping rules, other stages and other dates ask for nothing; audit rules do."""
    other = NSFW.replace("nsfw", "eyes")
    pack = pack_of(
        rule("R-1", stage="image", when=f"{{any: [{{not: {NSFW}}}, {{task: {{in: [x]}}}}]}}"),
        rule("R-2", stage="image", when=other, extra="mode: audit\neffective: {from: 2027-01-01}"),
        rule("R-3", stage="release", when=NSFW.replace("nsfw", "ocr")),
        rule("R-4", stage="image", when=NSFW.replace("nsfw", "hash"), extra="mode: off"),
    )
    assert required_detectors([pack], "image", "2026-11-24T00:00:00Z") == {"nsfw"}
    assert required_detectors([pack], "image", "2027-01-01T00:00:00Z") == {"nsfw", "eyes"}
    assert required_detectors([], "image", "2026-11-24T00:00:00Z") == set()


class Always:
    """A condition of fixed truth."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding

    def find(self, case: Case) -> Finding:
        """Say what was put in."""
        return self.finding


YES_NODE, NO_NODE, UNKNOWN_NODE = Always(YES), Always(NO), Always(UNKNOWN)
leaves = st.sampled_from([YES_NODE, NO_NODE, UNKNOWN_NODE])
trees: st.SearchStrategy[Condition] = st.recursive(
    leaves,
    lambda child: (
        st.lists(child, min_size=1, max_size=4).map(lambda items: AllOf(tuple(items)))
        | st.lists(child, min_size=1, max_size=4).map(lambda items: AnyOf(tuple(items)))
        | child.map(Not)
    ),
)


def truth(node: Condition) -> bool | None:
    return node.find(None).truth  # type: ignore[arg-type]


def kleene(node: Condition) -> float:
    """The textbook definition: false 0, unknown ½, true 1; all is min, any is max, not is 1-x."""
    if isinstance(node, Not):
        return 1 - kleene(node.item)
    if isinstance(node, AllOf):
        return min(map(kleene, node.items))
    if isinstance(node, AnyOf):
        return max(map(kleene, node.items))
    return {True: 1.0, None: 0.5, False: 0.0}[truth(node)]


@each(trees)
def test_conditions_follow_kleenes_logic(tree: Condition) -> None:
    """Against min, max and 1-x over {0, ½, 1}."""
    assert {True: 1.0, None: 0.5, False: 0.0}[truth(tree)] == kleene(tree)


RULES = [
    ("request", "{terms: {any_of: [sword, gun]}}"),
    ("request", "{re2: {pattern: '(?i)fake \\w+'}}"),
    ("request", "{all: [{terms: {any_of: [gun]}}, {not: {region: {in: [EU]}}}]}"),
    ("request", "{any: [{purpose: {in: [ads]}}, {terms: {any_of: [logo], except: [my logo]}}]}"),
    ("candidate", "{licence: {not_in: [mit]}}"),
    ("image", "{evidence: {detector: nsfw, category: nsfw, at_least: 0.5}}"),
    ("image", "{not: {evidence: {detector: eyes, category: gun, at_least: 0.5}}}"),
]
THENS = [
    "{verdict: allow}",
    "{verdict: review}",
    "{verdict: deny, duties: [blur]}",
    "{verdict: allow_with_duties, duties: [no_store]}",
]


@st.composite
def packs(draw: st.DrawFn) -> list[Pack]:
    texts = []
    for number in range(draw(st.integers(1, 3))):
        text = f"policy: p{number}\nversion: 1\ntitle: t\nowner: o\nrules:\n"
        for index in range(draw(st.integers(1, 4))):
            stage, when = draw(st.sampled_from(RULES))
            mode = draw(st.sampled_from(["off", "audit", "warn", "enforce", "enforce"]))
            unknown = draw(st.sampled_from(["allow", "review", "deny"]))
            text += (
                f"  - {{id: R-{index}, title: t, says: s, why: w, basis: [{{cite: c}}], severity: low, stage: {stage},"
                f" mode: {mode}, if_unknown: {unknown}, when: {when}, then: {draw(st.sampled_from(THENS))}}}\n"
            )
        texts.append(text)
    return [load_pack_bytes(text.encode(), "p.yaml") for text in texts]


scores = st.sampled_from(["0.000000", "0.500000", "1.000000", None])


@st.composite
def inputs(draw: st.DrawFn) -> PolicyInput:
    evidence = [
        Evidence(detector=d, category=c, score=s)
        if s
        else Evidence(detector=d, category=c, status="unknown", reason="r")
        for d, c in (("nsfw", "nsfw"), ("eyes", "gun"))
        for s in draw(st.lists(scores, max_size=2))
    ]
    words = draw(
        st.lists(st.sampled_from(["sword", "GUN", "g\u200bun", "fake", "logo", "my", "é", "5word"]), max_size=5)
    )
    return PolicyInput(
        instant="2026-11-24T00:00:00Z",
        stage=draw(st.sampled_from(["request", "candidate", "image", "release"])),
        request=RequestFacts(prompt=" ".join(words), task="txt2img"),
        context=ContextFacts(
            region=draw(st.sampled_from([None, "EU", "US"])), purpose=draw(st.sampled_from([None, "ads"]))
        ),
        candidate=draw(st.none() | st.builds(CandidateFacts, licence=st.sampled_from([None, "mit", "gpl"]))),
        evidence=tuple(evidence),
    )


@settings(max_examples=40)
@each(packs(), inputs(), st.randoms())
def test_order_and_repetition_never_matter(loaded: list[Pack], value: PolicyInput, chance: random.Random) -> None:
    """Shuffled, doubled packs and shuffled evidence give an equal decision with an equal leaf."""
    first = judge(loaded, value)
    shuffled = [*loaded, chance.choice(loaded)]
    chance.shuffle(shuffled)
    assert judge(shuffled, value) == first
    evidence = list(value.evidence)
    chance.shuffle(evidence)
    again = judge(tuple(shuffled), value.model_copy(update={"evidence": tuple(evidence)}))
    assert again.to_leaf() == first.to_leaf()


@settings(max_examples=40)
@each(packs(), inputs())
def test_a_recorded_judgement_replays_exactly(loaded: list[Pack], value: PolicyInput) -> None:
    """From the packs' bytes and the input's JSON alone the same decision is made again."""
    packs_again = [load_pack_bytes(pack.source, pack.file) for pack in loaded]
    assert judge(packs_again, PolicyInput.from_json(value.to_json())).to_leaf() == judge(loaded, value).to_leaf()


@settings(max_examples=40)
@each(packs(), packs(), inputs())
def test_adding_rules_never_loosens(loaded: list[Pack], more: list[Pack], value: PolicyInput) -> None:
    """Where some policy is in force, more packs make the verdict the same or more severe, and keep every duty."""
    before = judge(loaded, value)
    after = judge([*loaded, *more], value)
    if not before.no_policy:
        assert after.verdict >= before.verdict
        assert set(before.duties) <= set(after.duties)
