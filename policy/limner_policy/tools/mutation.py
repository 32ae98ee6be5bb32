"""Tests the tests: which small change of a pack would no example notice?

The changes of a rule are judged apart and put together with what the other rules decided, so that a pack with hundreds
of changes takes seconds. A change is noticed where one example, beside whichever rule, fails that held before.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from limner_policy.conditions import Condition, TextCondition, walk
from limner_policy.engine import judge
from limner_policy.example_checks import awake, example_input, failure, judge_example
from limner_policy.licences.organisation import UNSAID
from limner_policy.matching import Matcher
from limner_policy.pack import Pack, Rule
from limner_policy.tools.coverage import Coverage, Ran
from limner_policy.tools.mutants import Mutant, mutants
from limner_policy.types import PolicyInput
from limner_policy.verdicts import Decision, RuleHit, Verdict


@dataclass(frozen=True, slots=True)
class Verdicted:
    """One change of one rule, and the line of the first example that notices it; None: none does."""

    rule: str
    line: int
    kind: str
    what: str
    noticed_by: int | None


@dataclass(frozen=True, slots=True)
class Mutation:
    """All changes of one pack."""

    pack: str
    changes: tuple[Verdicted, ...]

    @property
    def survivors(self) -> list[Verdicted]:
        """Changes that no example notices."""
        return [one for one in self.changes if one.noticed_by is None]

    @property
    def score(self) -> int:
        """Percent of changes that are noticed; rounded down, 100 where there is none."""
        total = len(self.changes)
        return 100 * (total - len(self.survivors)) // total if total else 100

    def by_kind(self) -> dict[str, tuple[int, int]]:
        """Kind → noticed and all."""
        every = Counter(one.kind for one in self.changes)
        noticed = Counter(one.kind for one in self.changes if one.noticed_by is not None)
        return {kind: (noticed[kind], every[kind]) for kind in sorted(every)}

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON data."""
        return {
            "mutants": len(self.changes),
            "noticed": len(self.changes) - len(self.survivors),
            "score_percent": self.score,
            "by_kind": {kind: {"noticed": n, "mutants": of} for kind, (n, of) in self.by_kind().items()},
            "survivors": [dataclasses.asdict(one) for one in self.survivors],
        }


def mutate(covered: Coverage, *, every_word: bool = False) -> Mutation:
    """Make every change of every rule (`mutants.py`) and look for an example that notices it.

    Args:
        covered: The pack with its examples as they ran; examples that fail already notice nothing.
        every_word: Drop words of long lists one by one.
    """
    pack = covered.pack
    cases = [_Case(pack, one) for one in covered.ran if not failure(one.rule, one.example, one.decision)]
    changes: list[Verdicted] = []
    for rule in pack.rules:
        own = [case for case in cases if case.ran.rule.stage == rule.stage]
        # Its own examples first: they notice most.
        own.sort(key=lambda case: case.ran.rule is not rule)
        changes += _changes(pack, rule, own, every_word=every_word)
    return Mutation(pack.name, tuple(changes))


class _Case:
    """An example with its input made once."""

    def __init__(self, pack: Pack, ran: Ran) -> None:
        self.ran = ran
        self.given: PolicyInput = example_input(pack, ran.rule, ran.example)
        self.organisation = dataclasses.replace(pack.organisation or UNSAID, **ran.example.organisation)


def _changes(pack: Pack, rule: Rule, cases: Sequence[_Case], *, every_word: bool) -> Iterator[Verdicted]:
    many = list(mutants(rule, every_word=every_word))
    apart = [one for one in many if one.kind != "date"]
    found = {id(one): _by_dates(pack, rule, one, cases) for one in many if one.kind == "date"}
    noticed = _noticed(pack, rule, apart, cases)
    found |= {id(one): noticed.get(number) for number, one in enumerate(apart)}
    for one in many:
        yield Verdicted(rule.id, rule.lines[0], one.kind, one.what, found[id(one)])


def _by_dates(pack: Pack, rule: Rule, mutant: Mutant, cases: Sequence[_Case]) -> int | None:
    """The line of the first example that notices another date.

    An example without a day of its own is judged on a day on which its rule is in force, so its day moves with the
    rule's dates, and the whole pack is judged again.
    """
    assert mutant.rule is not None
    changed = dataclasses.replace(pack, rules=tuple(mutant.rule if one is rule else one for one in pack.rules))
    for case in cases:
        beside = mutant.rule if case.ran.rule is rule else case.ran.rule
        if failure(beside, case.ran.example, judge_example(changed, beside, case.ran.example)):
            return case.ran.example.line
    return None


def _noticed(pack: Pack, rule: Rule, many: Sequence[Mutant], cases: Sequence[_Case]) -> dict[int, int]:
    """Number of a change → line of the first example that notices it.

    All changes of the rule are judged at once, each under its number as its id, so that a prompt is read once.
    """
    changed = [dataclasses.replace(one.rule, id=str(number)) for number, one in enumerate(many) if one.rule]
    matcher = Matcher(_text_conditions(changed))
    noticed: dict[int, int] = {}
    for case in cases:
        if len(noticed) == len(many):
            break
        hits = _hits(pack, changed, matcher, rule, case)
        for number, mutant in enumerate(many):
            if number not in noticed and _fails(pack, rule, mutant, case.ran, hits.get(str(number), ())):
                noticed[number] = case.ran.example.line
    return noticed


def _text_conditions(rules: Sequence[Rule]) -> list[Condition]:
    """What has to be searched for, each once: changes of one rule share most of their conditions."""
    once = {id(node): node for rule in rules for node in walk(rule.when) if isinstance(node, TextCondition)}
    return list(once.values())


def _hits(
    pack: Pack, changed: Sequence[Rule], matcher: Matcher, rule: Rule, case: _Case
) -> dict[str, tuple[RuleHit, ...]]:
    own = case.ran.rule is rule
    rules = tuple(awake(one, case.ran.example) for one in changed) if own else tuple(changed)
    alone = dataclasses.replace(pack, rules=rules, matcher=matcher, organisation=case.organisation)
    return {hit.rule: (dataclasses.replace(hit, rule=rule.id),) for hit in judge([alone], case.given).hits}


def _fails(pack: Pack, rule: Rule, mutant: Mutant, ran: Ran, hits: tuple[RuleHit, ...]) -> bool:
    # Where the rule says what it said before, so does the pack; only a date, or a rule that is gone, can still matter.
    if (
        mutant.rule
        and mutant.kind != "date"
        and _said(hits) == _said(h for h in ran.decision.hits if h.rule == rule.id)
    ):
        return False
    return bool(failure(ran.rule, ran.example, _instead(pack, rule, mutant, ran, hits)))


def _said(hits: Iterable[RuleHit]) -> list[tuple[Verdict, bool]]:
    return [(hit.verdict, hit.combined) for hit in hits]


def _instead(pack: Pack, rule: Rule, mutant: Mutant, ran: Ran, hits: tuple[RuleHit, ...]) -> Decision:
    """The example's decision with this rule's part in it taken out and `hits` put in."""
    others = [hit for hit in ran.decision.hits if hit.rule != rule.id]
    every = sorted((*others, *hits), key=RuleHit.sort_key)
    changed = [one for one in (mutant.rule, *(other for other in pack.rules if other is not rule)) if one]
    if not every and not any(one.in_force(ran.instant) for one in changed):
        return dataclasses.replace(ran.decision, verdict=Verdict.DENY, hits=(), no_policy=True)
    verdict = Verdict.combine(hit.verdict for hit in every if hit.combined)
    return dataclasses.replace(ran.decision, verdict=verdict, hits=tuple(every), no_policy=False)
