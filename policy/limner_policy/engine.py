"""The judgement: packs and one input in, one decision out.

Pure: no clock, no I/O, no state, no randomness. The same packs and input give the same decision, always.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from limner_policy.conditions import Condition, Finding
from limner_policy.handling import Handling
from limner_policy.licences.answers import Answers
from limner_policy.licences.organisation import Organisation, agreed
from limner_policy.matching import Texts
from limner_policy.pack import Pack, Rule
from limner_policy.types import Evidence, PolicyInput, Stage
from limner_policy.verdicts import Decision, Looked, RuleHit, Span, Verdict


class _Case:
    """The input as one pack's conditions see it; its texts are searched once, when the first rule asks."""

    def __init__(self, pack: Pack, given: PolicyInput, texts: Texts, organisation: Organisation) -> None:
        self.given = given
        self.organisation = organisation
        self._pack = pack
        self._texts = texts

    @functools.cached_property
    def text_hits(self) -> Mapping[Condition, tuple[Span, ...]]:
        return self._pack.matcher.search(self._texts)

    @functools.cached_property
    def licences(self) -> Answers:
        return Answers(self.given.candidate.parts if self.given.candidate else (), self.organisation)


def judge(packs: Iterable[Pack], given: PolicyInput) -> Decision:
    """Decide.

    Every rule of `given.stage` that is in force at `given.instant` is evaluated. The verdict is the most severe of
    those that hold or cannot be decided, in `enforce` mode; `audit` and `warn` rules are recorded only. Where no
    pack, or no rule of any stage, is in force, the decision is a denial (`no_policy`).

    At the stage `request`, evidence of pictures that the request brings (`of` is `input`) is held against the rules of
    the stage `image` that ask a detector: what may not come out may not go in.

    A rule whose evaluation raises is a denial under that rule's id, whatever its mode.
    """
    instant = datetime.fromisoformat(given.instant)
    in_force = _in_force(packs, instant)
    identities = tuple(pack.identity for pack in in_force)
    if not any(rule.in_force(instant) for pack in in_force for rule in pack.rules):
        return Decision(Verdict.DENY, given.stage, packs=identities, no_policy=True)
    hits: list[RuleHit] = []
    looked: list[Looked] = []
    texts = Texts(given.request)
    # A pack that claims nothing of the organisation goes by what the others claim.
    claimed = agreed(pack.organisation for pack in in_force)
    for pack in in_force:
        case = _Case(pack, given, texts, pack.organisation or claimed)
        for rule, always in _rules(pack, given):
            if always or rule.in_force(instant):
                looked += _looked(pack, rule, instant, given)
                hit = _judged(pack, rule, instant, case)
                if hit is not None:
                    hits.append(hit)
    hits.sort(key=RuleHit.sort_key)
    combined = [hit for hit in hits if hit.combined]
    return Decision(
        verdict=Verdict.combine(hit.verdict for hit in combined),
        stage=given.stage,
        hits=tuple(hits),
        duties=tuple(sorted({duty for hit in combined for duty in hit.duties})),
        packs=identities,
        evidence=tuple(sorted(set(given.evidence), key=_place)),
        looked=tuple(sorted(looked, key=lambda one: (one.pack, one.rule, _place(one.use.evidence), one.use.threshold))),
    )


def _place(evidence: Evidence) -> tuple[str, ...]:
    """An order of evidence that does not depend on who gave it first."""
    one = evidence
    where = (one.of, f"{one.image:08}", one.detector, one.category)
    return (*where, one.score or "", one.version, one.digest, one.reason)


def _looked(pack: Pack, rule: Rule, instant: datetime, given: PolicyInput) -> Iterable[Looked]:
    """What the rule held against which threshold, whether it came to hold or not."""
    if rule.evidence and given.evidence:
        mode = rule.mode_at(instant)
        for use in dict.fromkeys(use for node in rule.evidence for use in node.uses(given)):
            yield Looked(pack.name, rule.id, mode, use)


def _rules(pack: Pack, given: PolicyInput) -> Iterable[tuple[Rule, bool]]:
    """The rules of the input's stage; where a request brings pictures with evidence, those too that ask detectors."""
    rules = pack.rules_of(given.stage)
    if given.stage == "request" and any(one.of == "input" for one in given.evidence):
        return (*rules, *(pair for pair in pack.rules_of("image") if pair[0].detectors))
    return rules


def required_detectors(packs: Iterable[Pack], stage: Stage, instant: str) -> set[str]:
    """The names of the detectors whose evidence rules of `stage` in force at `instant` ask for."""
    moment = datetime.fromisoformat(instant)
    rules = (rule for pack in _in_force(packs, moment) for rule in pack.rules)
    return {name for rule in rules if rule.stage == stage and rule.in_force(moment) for name in rule.detectors}


def _in_force(packs: Iterable[Pack], instant: datetime) -> list[Pack]:
    once = {pack.sha256: pack for pack in packs if pack.effective.covers(instant)}
    return sorted(once.values(), key=lambda pack: (pack.name, pack.version, pack.sha256))


def _judged(pack: Pack, rule: Rule, instant: datetime, case: _Case) -> RuleHit | None:
    try:
        finding = rule.when.find(case)
    except Exception:  # noqa: BLE001 -- whatever breaks here must never become a pass
        return _hit(pack, rule, rule.mode_at(instant), Finding(None), failed=True)
    return None if finding.truth is False else _hit(pack, rule, rule.mode_at(instant), finding)


def _hit(pack: Pack, rule: Rule, mode: str, finding: Finding, *, failed: bool = False) -> RuleHit:
    open_ = finding.truth is None and not failed
    unknown, between = open_ and finding.missing, open_ and finding.between
    verdict = Verdict.DENY if failed else rule.verdict
    if open_:
        asked = ((rule.if_unknown, unknown), (Verdict.REVIEW, between))
        verdict = Verdict.combine(verdict for verdict, holds in asked if holds)
    return RuleHit(
        rule=rule.id,
        pack=pack.name,
        title=rule.title,
        says=rule.says,
        severity=rule.severity,
        stage=rule.stage,
        mode=mode,
        verdict=verdict,
        spans=finding.spans,
        evidence=finding.evidence,
        licences=finding.licences,
        duties=() if verdict is Verdict.ALLOW else rule.duties,
        unknown=unknown,
        failed=failed,
        between=between,
        handling=_handling(pack, rule, found=finding.truth is True) if verdict is Verdict.DENY else None,
    )


def _handling(pack: Pack, rule: Rule, *, found: bool) -> Handling:
    """What becomes of the pictures; a rule that could not be decided has found nothing, and still sends nothing on."""
    handling = rule.handling if found else replace(rule.otherwise, send_on=rule.handling.send_on)
    return replace(handling, name=f"{pack.name}/{handling.name}")
