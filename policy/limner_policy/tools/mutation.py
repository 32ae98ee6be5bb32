"""Tests the tests: which small change of a pack would no example notice?

A changed rule is judged alone and put together with what the other rules decided, so that a pack with hundreds of
changes takes seconds. A change is noticed where one example, beside whichever rule, fails that held before.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from limner_policy.engine import judge
from limner_policy.example_checks import awake, example_input, failure
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
    for mutant in mutants(rule, every_word=every_word):
        yield Verdicted(rule.id, rule.lines[0], mutant.kind, mutant.what, _noticed(pack, rule, mutant, cases))


def _noticed(pack: Pack, rule: Rule, mutant: Mutant, cases: Sequence[_Case]) -> int | None:
    matcher = Matcher([mutant.rule.when]) if mutant.rule else None
    for case in cases:
        hits = _hits(pack, mutant.rule, matcher, rule, case) if mutant.rule and matcher else ()
        if failure(case.ran.rule, case.ran.example, _instead(pack, rule, mutant, case.ran, hits)):
            return case.ran.example.line
    return None


def _hits(pack: Pack, changed: Rule, matcher: Matcher, rule: Rule, case: _Case) -> tuple[RuleHit, ...]:
    shown = awake(changed, case.ran.example) if case.ran.rule is rule else changed
    alone = dataclasses.replace(pack, rules=(shown,), matcher=matcher, organisation=case.organisation)
    return judge([alone], case.given).hits


def _instead(pack: Pack, rule: Rule, mutant: Mutant, ran: Ran, hits: tuple[RuleHit, ...]) -> Decision:
    """The example's decision with this rule's part in it taken out and `hits` put in."""
    others = [hit for hit in ran.decision.hits if hit.rule != rule.id]
    every = sorted((*others, *hits), key=RuleHit.sort_key)
    changed = [one for one in (mutant.rule, *(other for other in pack.rules if other is not rule)) if one]
    if not every and not any(one.in_force(ran.instant) for one in changed):
        return dataclasses.replace(ran.decision, verdict=Verdict.DENY, hits=(), no_policy=True)
    verdict = Verdict.combine(hit.verdict for hit in every if hit.combined)
    return dataclasses.replace(ran.decision, verdict=verdict, hits=tuple(every), no_policy=False)
