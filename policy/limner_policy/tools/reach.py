"""Whether conditions can hold, and whether one rule is at least as strict as another, over the closed vocabulary.

Every fact, amount and score has few states that a condition can tell apart; a condition is turned into the worlds
(assignments of states) in which it is true, false or unknown. What is said to be impossible is impossible; where the
worlds become too many the answer is None: not known. Words are compared as folded terms, patterns and names as written.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from limner_policy.amounts import AmountIs, InputsHave, TagsHave
from limner_policy.conditions import AllOf, AnyOf, Condition, EvidenceAtLeast, FactIn, Not, Terms, walk
from limner_policy.matching import term_key
from limner_policy.pack import Rule
from limner_policy.tools.shape import shape
from limner_policy.verdicts import Verdict

TASKS = ("txt2img", "img2img", "inpaint", "outpaint", "upscale", "variation")
MOST_WORLDS = 600

TRUE, FALSE, UNKNOWN = 1, 0, -1
State = Hashable
_OTHER, _UNSAID = "\0other", "\0unsaid"
_INTEGERS = ("n", "width", "height", "pixels", "steps")


class _TooMany(Exception):
    """The worlds are too many to be looked at."""


@dataclass(frozen=True, slots=True)
class _World:
    """Which states each variable may still have, and which words have to stand, or must not stand, in the texts."""

    states: Mapping[Hashable, frozenset[State]]
    has: tuple[Terms, ...] = ()
    lacks: tuple[Terms, ...] = ()

    def meet(self, other: _World) -> _World | None:
        """Both at once; None where that cannot be."""
        states = dict(self.states)
        for variable, allowed in other.states.items():
            both = states[variable] & allowed if variable in states else allowed
            if not both:
                return None
            states[variable] = both
        has = tuple(dict.fromkeys((*self.has, *other.has)))
        lacks = tuple(dict.fromkeys((*self.lacks, *other.lacks)))
        return None if any(_covered(terms, lacks) for terms in has) else _World(states, has, lacks)


_ANY = _World({})


class _Space:
    """The states that the conditions of one question can tell apart."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        nodes = [node for condition in conditions for node in walk(condition)]
        self._facts: dict[str, set[str]] = {}
        self._bounds: dict[Hashable, set[Decimal]] = {}
        for node in nodes:
            if isinstance(node, FactIn):
                self._facts.setdefault(node.fact, set()).update(node.values)
            elif isinstance(node, AmountIs):
                bounds = (node.at_least, node.at_most, node.over, node.under)
                self._bounds.setdefault(node.amount, set()).update(b for b in bounds if b is not None)
            elif isinstance(node, EvidenceAtLeast):
                scores = self._bounds.setdefault((node.detector, node.category), set())
                scores.update({Decimal(node.micros), Decimal(node.review_micros)})

    def worlds(self, condition: Condition, truths: frozenset[int]) -> list[_World]:
        """The worlds in which the condition has one of these truths."""
        if isinstance(condition, Not):
            return self.worlds(condition.item, frozenset(t if t == UNKNOWN else 1 - t for t in truths))
        if isinstance(condition, AllOf | AnyOf):
            found: list[_World] = []
            for truth in sorted(truths):
                found += self._several(condition, truth)
            return _few(found)
        return self._leaf(condition, truths)

    def _several(self, condition: AllOf | AnyOf, truth: int) -> list[_World]:
        """`all` has the truth `decided` as soon as one item has it; `any` is its mirror image."""
        decided = FALSE if isinstance(condition, AllOf) else TRUE
        items = condition.items
        if truth == decided:
            return _few([world for item in items for world in self.worlds(item, frozenset({decided}))])
        if truth == 1 - decided:
            return _meet_all([self.worlds(item, frozenset({truth})) for item in items])
        weak = frozenset({UNKNOWN, 1 - decided})
        found: list[_World] = []
        for chosen in items:
            found += _meet_all([self.worlds(item, frozenset({UNKNOWN}) if item is chosen else weak) for item in items])
        return _few(found)

    def _leaf(self, condition: Condition, truths: frozenset[int]) -> list[_World]:
        if isinstance(condition, Terms):
            found = [_World({}, has=(condition,))] if TRUE in truths else []
            return found + ([_World({}, lacks=(condition,))] if FALSE in truths else [])
        if isinstance(condition, TagsHave | InputsHave):
            return self._sets(condition, truths)
        variable, states = self._variable(condition)
        allowed = frozenset(state for state, truth in states if truth in truths)
        return [_World({variable: allowed})] if allowed else []

    @staticmethod
    def _sets(condition: TagsHave | InputsHave, truths: frozenset[int]) -> list[_World]:
        words = condition.values if isinstance(condition, TagsHave) else condition.kinds
        kind = type(condition).__name__
        found = [_World({(kind, word): frozenset({TRUE})}) for word in sorted(words)] if TRUE in truths else []
        none = _World({(kind, word): frozenset({FALSE}) for word in words})
        return found + ([none] if FALSE in truths else [])

    def _variable(self, condition: Condition) -> tuple[Hashable, list[tuple[State, int]]]:
        if isinstance(condition, FactIn):
            return ("fact", condition.fact), [(s, _fact_truth(condition, s)) for s in self._fact_states(condition.fact)]
        if isinstance(condition, AmountIs):
            points = _points(self._bounds[condition.amount], condition.amount)
            truths: list[tuple[State, int]] = [(point, _amount_truth(condition, point)) for point in points]
            return ("amount", condition.amount), truths + ([] if condition.amount == "n" else [(_UNSAID, UNKNOWN)])
        if isinstance(condition, EvidenceAtLeast):
            key = (condition.detector, condition.category)
            return ("score", key), [(s, _score_truth(condition, s)) for s in _score_states(self._bounds[key])]
        known: list[tuple[State, int]] = [(TRUE, TRUE), (FALSE, FALSE)]
        return ("leaf", shape(condition)), known if is_text(condition) else [*known, (UNKNOWN, UNKNOWN)]

    def _fact_states(self, fact: str) -> list[str]:
        if fact == "task":
            return list(TASKS)
        return [*sorted(self._facts[fact]), _OTHER, _UNSAID]


def is_text(condition: Condition) -> bool:
    """Whether the condition is one on words, which is never unknown."""
    return hasattr(condition, "fields")


def _fact_truth(condition: FactIn, state: str) -> int:
    if state == _UNSAID:
        return UNKNOWN
    return int((state in condition.values) is not condition.negated)


def _points(bounds: set[Decimal], amount: str) -> list[Decimal]:
    """Each bound and what lies just beside it, as far as the amount can have such a value."""
    step = Decimal(1) if amount in _INTEGERS else Decimal("0.000001")
    near = {bound + move for bound in bounds for move in (-step, Decimal(0), step)}
    if amount in _INTEGERS:
        near = {whole for point in near for whole in (Decimal(int(point)), Decimal(int(point) + 1)) if whole >= 1}
    upper = Decimal(1) if amount == "strength" else None
    return sorted(point for point in near if point >= 0 and (upper is None or point <= upper))


def _amount_truth(condition: AmountIs, value: Decimal) -> int:
    return int(
        (condition.at_least is None or value >= condition.at_least)
        and (condition.at_most is None or value <= condition.at_most)
        and (condition.over is None or value > condition.over)
        and (condition.under is None or value < condition.under)
    )


def _score_states(bounds: set[Decimal]) -> list[tuple[int, bool]]:
    """The highest known score, and whether a picture has none beside it; -1 is no known score at all."""
    near = {int(bound) + move for bound in bounds for move in (-1, 0)}
    points = sorted(point for point in near if 0 <= point <= 1_000_000)
    return [(point, gap) for point in points for gap in (False, True)] + [(-1, True)]


def _score_truth(condition: EvidenceAtLeast, state: tuple[int, bool]) -> int:
    point, gap = state
    # Where a person decides it is open too; what a rule asks for then is told in `_asked`.
    return TRUE if point >= condition.micros else UNKNOWN if gap or point >= condition.review_micros else FALSE


def _few(worlds: list[_World]) -> list[_World]:
    if len(worlds) > MOST_WORLDS:
        raise _TooMany
    return worlds


def _meet_all(choices: list[list[_World]]) -> list[_World]:
    found = [_ANY]
    for worlds in sorted(choices, key=len):
        found = _few([both for one in found for other in worlds if (both := one.meet(other)) is not None])
    return found


@functools.lru_cache(maxsize=4_096)
def _keys(terms: Terms) -> frozenset[str]:
    words = (*terms.any_of, *(word for one in terms.lists for word in one.terms))
    return frozenset(filter(None, map(term_key, words)))


@functools.lru_cache(maxsize=4_096)
def _shields(terms: Terms) -> frozenset[str]:
    return frozenset(map(term_key, terms.excepted))


def _covered(terms: Terms, lacks: tuple[Terms, ...]) -> bool:
    """Whether every match of `terms` would be a match of one of `lacks` too."""
    able = [one for one in lacks if _shields(one) <= _shields(terms)]
    return bool(able) and all(
        any(field in one.fields and set(terms.inflect) <= set(one.inflect) and _inside(key, _keys(one)) for one in able)
        for field in terms.fields
        for key in _keys(terms)
    )


def _inside(key: str, wanted: frozenset[str]) -> bool:
    """Whether one of the wanted terms stands in this one, as whole words."""
    if key in wanted:
        return True
    words = key.split()
    runs = (words[i:j] for i in range(len(words)) for j in range(i + 1, len(words) + 1))
    return any(f" {' '.join(run)} " in wanted for run in runs)


def can(condition: Condition, *truths: int) -> bool | None:
    """Whether the condition can have one of these truths (`TRUE`, `FALSE`, `UNKNOWN`); None: not known."""
    try:
        return bool(_Space([condition]).worlds(condition, frozenset(truths)))
    except _TooMany:
        return None


def as_strict(strict: Rule, mild: Rule) -> bool | None:
    """Whether `strict` asks for at least as much as `mild` in every case, dates and modes apart; None: not known.

    Verdicts and duties count, also those where a condition cannot be decided.
    """
    if strict.stage != mild.stage:
        return False
    if shape(strict.when) == shape(mild.when):
        # The same condition needs no worlds, however many it has.
        truths = [TRUE] if can(mild.when, UNKNOWN) is False else [TRUE, UNKNOWN]
        return all(_reaches(_asked(strict, truth), _asked(mild, truth)) for truth in truths)
    try:
        found = not any(_escapes(strict, mild))
    except _TooMany:
        return None
    # A band asks for a review and what is unknown for `if_unknown`; where they differ, a "no" here is not certain.
    return found if found or not (_has_band(strict) or _has_band(mild)) else None


def _escapes(strict: Rule, mild: Rule) -> Iterator[_World]:
    """Worlds in which `mild` asks for more than `strict` does."""
    space = _Space([strict.when, mild.when])
    for truth in (TRUE, UNKNOWN):
        asked = _asked(mild, truth, most=True)
        short = frozenset(t for t in (TRUE, FALSE, UNKNOWN) if not _reaches(_asked(strict, t), asked))
        if short and asked[0] is not Verdict.ALLOW:
            theirs = space.worlds(mild.when, frozenset({truth}))
            yield from _meet_all([theirs, space.worlds(strict.when, short)]) if theirs else ()


def _has_band(rule: Rule) -> bool:
    """Whether an open score asks for something else than `if_unknown`."""
    return rule.if_unknown is not Verdict.REVIEW and any(one.review_from for one in rule.evidence)


def _asked(rule: Rule, truth: int, *, most: bool = False) -> tuple[Verdict, frozenset[Any]]:
    """Verdict and duties that a rule asks for where its condition has this truth; the least, or the most, if open."""
    if truth == FALSE:
        return Verdict.ALLOW, frozenset()
    verdict = rule.verdict if truth == TRUE else rule.if_unknown
    if truth == UNKNOWN and _has_band(rule):
        verdict = (max if most else min)(verdict, Verdict.REVIEW)
    return verdict, frozenset(rule.duties) if verdict is not Verdict.ALLOW else frozenset()


def _reaches(given: tuple[Verdict, frozenset[Any]], asked: tuple[Verdict, frozenset[Any]]) -> bool:
    # A refusal needs no duties: nothing is released that they could be done on.
    return given[0] >= asked[0] and (asked[1] <= given[1] or given[0] is Verdict.DENY)


def variables(condition: Condition) -> frozenset[Hashable]:
    """What a condition looks at: two rules without a common variable say nothing of each other. Words count singly."""
    found: set[Hashable] = set()
    for node in walk(condition):
        if isinstance(node, Terms):
            found.update(("word", word) for key in _keys(node) for word in key.split())
        elif isinstance(node, FactIn):
            found.add(("fact", node.fact))
        elif isinstance(node, AmountIs):
            found.add(("amount", node.amount))
        elif isinstance(node, EvidenceAtLeast):
            found.add(("score", node.detector, node.category))
        elif isinstance(node, TagsHave | InputsHave):
            found.add(type(node).__name__)
        elif not isinstance(node, AllOf | AnyOf | Not):
            found.add(("leaf", shape(node)))
    return frozenset(found)
