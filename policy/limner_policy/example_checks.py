"""Runs the examples that stand beside rules: a policy's own tests.

An example is judged by the whole pack at its rule's stage, with its rule enforced even where its mode is milder; only
one that gives a day (`as_of`) to a rule with dated modes shows that day's mode. What an example does not mention is a
clean picture (score 0) and a fact that is not known.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from limner_policy.conditions import CANDIDATE_FACTS, CONTEXT_FACTS
from limner_policy.engine import judge
from limner_policy.licences.organisation import UNSAID
from limner_policy.licences.resolving import asks_for_licences, facts_for, parts_of
from limner_policy.pack import Example, Pack, Rule
from limner_policy.types import CandidateFacts, ContextFacts, Evidence, PartFacts, PolicyInput, RequestFacts
from limner_policy.verdicts import Decision, Verdict

EXAMPLE_PARAMETERS = {"steps": "num_inference_steps", "guidance_scale": "guidance_scale", "strength": "strength"}
"""An example's key → the parameter of the request that it stands for."""

_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ExampleFailure:
    """An example that came out differently. `got` is the decision; `line` counts from 1."""

    pack: str
    rule: str
    file: str
    line: int
    expected: Verdict
    got: Decision
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.pack}/{self.rule}: {self.message}"


def check_examples(pack: Pack) -> list[ExampleFailure]:
    """Judge every example of the pack; the failures, in the order of the file.

    An example fails where the pack's verdict is another than expected, or where it is as expected (and not `allow`) but
    the rule it stands beside did not hold: then some other rule made it.
    """
    failures = []
    for rule in pack.rules:
        for example in rule.examples:
            decision = judge_example(pack, rule, example)
            if message := failure(rule, example, decision):
                failures.append(
                    ExampleFailure(pack.name, rule.id, pack.file, example.line, example.expect, decision, message)
                )
    return failures


def judge_example(pack: Pack, rule: Rule, example: Example) -> Decision:
    """The decision on one example of `rule`, as `check_examples` makes it."""
    rules = tuple(awake(other, example) if other is rule else other for other in pack.rules)
    organisation = dataclasses.replace(pack.organisation or UNSAID, **example.organisation)
    staged = dataclasses.replace(pack, rules=rules, organisation=organisation)
    return judge([staged], example_input(pack, rule, example))


def awake(rule: Rule, example: Example) -> Rule:
    """The rule as `example` shows it: enforced, unless the example asks for a day of a rule whose mode has dates."""
    if example.as_of is not None and rule.mode_from:
        return rule
    return dataclasses.replace(rule, mode="enforce", mode_from=())


def example_input(pack: Pack, rule: Rule, example: Example) -> PolicyInput:
    """The judgement input that an example stands for."""
    instant = example.as_of or instant_in_force(pack, rule)
    facts = dict(example.facts)
    candidate = {name: facts[name] for name in CANDIDATE_FACTS if name in facts}
    return PolicyInput(
        instant=instant.strftime("%Y-%m-%dT%H:%M:%SZ"),
        stage=rule.stage,
        request=RequestFacts(
            prompt=facts.get("prompt", ""),
            negative_prompt=facts.get("negative_prompt", ""),
            task=facts.get("task", "txt2img"),
            size=facts.get("size"),
            n=facts.get("n", "1"),
            parameters={parameter: facts[name] for name, parameter in EXAMPLE_PARAMETERS.items() if name in facts},
            inputs=example.inputs,
        ),
        context=ContextFacts(**{name: facts[name] for name in CONTEXT_FACTS if name in facts}, tags=example.tags),
        candidate=_candidate(pack, rule, example, candidate),
        evidence=_evidence(pack, example),
    )


def _candidate(pack: Pack, rule: Rule, example: Example, facts: dict[str, str]) -> CandidateFacts | None:
    """The engine; what the embedded facts know of its parts is looked up where a rule of the pack asks for it."""
    if not facts and not example.parts and rule.stage == "request":
        return None
    return CandidateFacts(**facts, parts=_parts(example, facts) if asks_for_licences([pack]) else ())


def _parts(example: Example, facts: dict[str, str]) -> tuple[PartFacts, ...]:
    engine = facts_for(kind=facts.get("kind"), model=facts.get("model"), licence=facts.get("licence"))
    named, unknown = parts_of(example.parts)
    return (*engine, *named, *(PartFacts(role="model", name=name) for name in unknown))


def instant_in_force(pack: Pack, rule: Rule) -> datetime:
    """An instant at which pack and rule are both in force, as far as their dates meet."""
    starts = [dates.start for dates in (pack.effective, rule.effective) if dates.start]
    ends = [dates.until for dates in (pack.effective, rule.effective) if dates.until]
    if starts:
        return max(starts)
    return min(ends) - timedelta(seconds=1) if ends else _SOME_DAY


def _evidence(pack: Pack, example: Example) -> tuple[Evidence, ...]:
    asked = {(node.detector, node.category) for rule in pack.rules for node in rule.evidence}
    scores = dict.fromkeys(asked, "0.000000") | dict(example.scores)
    return tuple(_one(detector, category, score) for (detector, category), score in sorted(scores.items()))


def _one(detector: str, category: str, score: str | None) -> Evidence:
    if score is None:
        return Evidence(detector=detector, category=category, status="unknown", reason="the example says so")
    return Evidence(detector=detector, category=category, score=score)


def failure(rule: Rule, example: Example, decision: Decision) -> str:
    """Why the decision is not what the example expects of this rule; empty where it is."""
    if decision.verdict is not example.expect:
        why = f" ({decision.reasons[0]})" if decision.reasons else ""
        return f"expected {example.expect}, got {decision.verdict}{why}"
    if decision.no_policy:
        # Outside all dates nothing is in force, which refuses; an example that gives its day may show that.
        return "" if example.as_of else f"{decision.verdict} as expected, but because no policy is in force"
    if example.expect is not Verdict.ALLOW and rule.id not in {hit.rule for hit in decision.hits}:
        return f"{decision.verdict} as expected, but by {decision.deciding[0].rule} and not by this rule"
    return ""
