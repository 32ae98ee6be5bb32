"""Small changes of a rule, each of which a good example would notice. Makes them; who notices is `mutation.py`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from limner_policy.amounts import AmountIs, InputsHave, TagsHave
from limner_policy.conditions import (
    AllOf,
    AnyOf,
    Condition,
    Entities,
    EvidenceAtLeast,
    FactIn,
    Not,
    Pattern,
    Terms,
    Together,
)
from limner_policy.pack import Effective, Rule
from limner_policy.tools.phrases import moment, phrase, quoted, shorter, some
from limner_policy.tools.reach import UNKNOWN, can
from limner_policy.verdicts import Verdict
from limner_policy.wordlists import WordList

RUNS = 8
"""A longer list of words is not thinned word by word but in so many runs of neighbours, unless every word is wanted."""
_HUNDREDTH = 10_000
_DAY = timedelta(days=1)
_DOWN = {Verdict.DENY: Verdict.REVIEW, Verdict.REVIEW: Verdict.ALLOW, Verdict.ALLOW_WITH_DUTIES: Verdict.ALLOW}
_UP = {Verdict.ALLOW: Verdict.REVIEW, Verdict.ALLOW_WITH_DUTIES: Verdict.REVIEW, Verdict.REVIEW: Verdict.DENY}

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one rule: its `kind`, what was done in words, and the changed rule; None where it was dropped."""

    kind: str
    what: str
    rule: Rule | None


def mutants(rule: Rule, *, every_word: bool = False) -> Iterator[Mutant]:
    """Give all changes of one rule.

    Args:
        rule: The rule.
        every_word: Drop words of long lists one by one instead of in `RUNS` runs.
    """
    yield Mutant("rule", "the rule dropped", None)
    yield from _outcomes(rule)
    yield from _dates(rule)
    seen: set[str] = set()
    for kind, what, changed in _conditions(rule.when, every_word):
        name = f"{kind}{what}"
        if name not in seen:
            seen.add(name)
            yield Mutant(kind, what, dataclasses.replace(rule, when=changed))


def _outcomes(rule: Rule) -> Iterator[Mutant]:
    if rule.verdict in _DOWN:
        milder = _DOWN[rule.verdict]
        duties = rule.duties if milder is not Verdict.ALLOW else ()
        yield Mutant(
            "verdict",
            f"verdict {rule.verdict} → {milder}",
            dataclasses.replace(rule, verdict=milder, duties=duties),
        )
    if can(rule.when, UNKNOWN) is False:
        return
    for other in (_DOWN.get(rule.if_unknown), _UP.get(rule.if_unknown)):
        if other is not None:
            what = f"if_unknown {rule.if_unknown} → {other}"
            yield Mutant("if_unknown", what, dataclasses.replace(rule, if_unknown=other))


def _dates(rule: Rule) -> Iterator[Mutant]:
    dates = rule.effective
    for name, start, until in _moved(dates):
        if start is None or until is None or start < until:
            yield Mutant("date", name, dataclasses.replace(rule, effective=Effective(start, until)))
    for number, (start, mode) in enumerate(rule.mode_from):
        for move, word in ((-_DAY, "a day earlier"), (_DAY, "a day later")):
            changed = (*rule.mode_from[:number], (start + move, mode), *rule.mode_from[number + 1 :])
            what = f"mode_from.{mode} {moment(start)} {word}"
            yield Mutant("date", what, dataclasses.replace(rule, mode_from=tuple(sorted(changed))))


def _moved(dates: Effective) -> Iterator[tuple[str, datetime | None, datetime | None]]:
    for move, word in ((-_DAY, "a day earlier"), (_DAY, "a day later")):
        if dates.start:
            yield f"effective.from {moment(dates.start)} {word}", dates.start + move, dates.until
        if dates.until:
            yield f"effective.until {moment(dates.until)} {word}", dates.start, dates.until + move


Changed = Iterator[tuple[str, str, Condition]]


def _conditions(condition: Condition, every_word: bool) -> Changed:
    """Each changed condition: this node changed, or one inside it."""
    yield "negate", f"turned round: {_short(condition)}", Not(condition)
    if isinstance(condition, AllOf | AnyOf):
        yield from _several(condition, every_word)
    elif isinstance(condition, Not):
        for kind, what, item in _conditions(condition.item, every_word):
            if kind != "negate" or item.item is not condition.item:  # type: ignore[attr-defined]
                yield kind, what, Not(item)
    else:
        yield from _leaves(condition, every_word)


def _several(condition: AllOf | AnyOf, every_word: bool) -> Changed:
    kind, other, word = (AllOf, AnyOf, "all → any") if isinstance(condition, AllOf) else (AnyOf, AllOf, "any → all")
    if len(condition.items) > 1:
        yield "logic", f"{word}: {_short(condition)}", other(condition.items)
    for number, item in enumerate(condition.items):
        rest = (*condition.items[:number], *condition.items[number + 1 :])
        if rest:
            yield "part", f"part dropped: {_short(item)}", kind(rest)
        for what, told, changed in _conditions(item, every_word):
            yield what, told, kind((*condition.items[:number], changed, *condition.items[number + 1 :]))


def _leaves(condition: Condition, every_word: bool) -> Changed:
    if isinstance(condition, Terms):
        yield from _terms(condition, every_word)
    elif isinstance(condition, Pattern):
        yield from _fields(condition)
    elif isinstance(condition, Entities):
        yield from _entities(condition)
    elif isinstance(condition, Together):
        yield from _together(condition, every_word)
    else:
        yield from _facts(condition, every_word)


def _facts(condition: Condition, every_word: bool) -> Changed:
    if isinstance(condition, EvidenceAtLeast):
        yield from _threshold(condition)
    elif isinstance(condition, AmountIs):
        yield from _amount(condition)
    elif isinstance(condition, FactIn | TagsHave):
        for run in _runs(tuple(sorted(condition.values)), every_word):
            yield "value", f"dropped {some(run, 4)}", dataclasses.replace(condition, values=condition.values - set(run))
    elif isinstance(condition, InputsHave) and len(condition.kinds) > 1:
        for kind in sorted(condition.kinds):
            yield "value", f"dropped {kind}", dataclasses.replace(condition, kinds=condition.kinds - {kind})


def _runs(words: Sequence[Item], every_word: bool) -> Iterator[Sequence[Item]]:
    """Words to be dropped together, always leaving one."""
    if len(words) < 2:
        return
    size = 1 if every_word or len(words) <= RUNS else -(-len(words) // RUNS)
    for start in range(0, len(words), size):
        yield words[start : start + size]


def _without(words: tuple[str, ...], run: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in set(run))


def _terms(condition: Terms, every_word: bool) -> Changed:
    for run in _runs(condition.any_of, every_word):
        yield (
            "term",
            f"dropped {quoted(run, 3)}",
            dataclasses.replace(condition, any_of=_without(condition.any_of, run)),
        )
    for number, one in enumerate(condition.lists):
        for run in _runs(one.terms, every_word=False):
            thin = dataclasses.replace(one, terms=_without(one.terms, run))
            lists: tuple[WordList, ...] = (*condition.lists[:number], thin, *condition.lists[number + 1 :])
            yield "term", f"list {one.name} without {quoted(run, 3)}", dataclasses.replace(condition, lists=lists)
    runs = _runs(condition.excepted, every_word) if len(condition.excepted) > 1 else [condition.excepted]
    for run in runs:
        if run:
            left = _without(condition.excepted, run)
            yield "exception", f"exception dropped: {quoted(run, 3)}", dataclasses.replace(condition, excepted=left)
    for form in condition.inflect:
        left = tuple(one for one in condition.inflect if one != form)
        yield "term", f"forms dropped: {form}", dataclasses.replace(condition, inflect=left)
    yield from _fields(condition)


def _fields(condition: Terms | Pattern | Entities) -> Changed:
    for name in condition.fields if len(condition.fields) > 1 else ():
        left = tuple(field for field in condition.fields if field != name)
        yield "field", f"not looked for in {name}: {_short(condition)}", dataclasses.replace(condition, fields=left)


def _entities(condition: Entities) -> Changed:
    for name in ("near", "unless_near"):
        if getattr(condition, name):
            changed: dict[str, tuple[str, ...]] = {name: ()}
            yield "context", f"{name} dropped: {_short(condition)}", dataclasses.replace(condition, **changed)  # type: ignore[arg-type]
    if condition.within and (condition.near or condition.unless_near):
        half = condition.within // 2
        yield "context", f"within {condition.within} → {half}", dataclasses.replace(condition, within=half)
    for kind in condition.kinds if len(condition.kinds) > 1 else ():
        left = tuple(one for one in condition.kinds if one != kind)
        yield "value", f"kind dropped: {kind}", dataclasses.replace(condition, kinds=left)
    yield from _fields(condition)


def _together(condition: Together, every_word: bool) -> Changed:
    for number, part in enumerate(condition.parts):
        if len(condition.parts) > 2:
            rest = (*condition.parts[:number], *condition.parts[number + 1 :])
            yield "part", f"part dropped: {_short(part)}", dataclasses.replace(condition, parts=rest)
        if isinstance(part, Terms):
            for kind, what, changed in _terms(dataclasses.replace(part, fields=part.fields[:1]), every_word):
                assert isinstance(changed, Terms)
                thin = dataclasses.replace(changed, fields=part.fields)
                parts = (*condition.parts[:number], thin, *condition.parts[number + 1 :])
                yield kind, what, dataclasses.replace(condition, parts=parts)
    if isinstance(condition.within, int) and condition.within:
        half = condition.within // 2
        yield "context", f"within {condition.within} → {half}", dataclasses.replace(condition, within=half)


def _threshold(condition: EvidenceAtLeast) -> Changed:
    for move, word in ((_HUNDREDTH, "stricter evidence"), (-_HUNDREDTH, "weaker evidence")):
        micros = min(1_000_000, max(0, condition.micros + move))
        if micros != condition.micros:
            value = f"{micros // 1_000_000}.{micros % 1_000_000:06}"
            what = f"threshold {shorter(condition.at_least)} → {shorter(value)} ({word})"
            if not condition.review_from or value > condition.review_from:
                yield "threshold", what, dataclasses.replace(condition, at_least=value)
    if condition.review_from:
        what = f"nobody is asked from {shorter(condition.review_from)} on"
        yield "threshold", what, dataclasses.replace(condition, review_from="")


def _amount(condition: AmountIs) -> Changed:
    for name in ("at_least", "at_most", "over", "under"):
        bound: Decimal | None = getattr(condition, name)
        if bound is None:
            continue
        step = Decimal(1) if bound == bound.to_integral_value() and condition.amount != "strength" else Decimal("0.01")
        for moved in (bound - step, bound + step):
            if moved >= 0:
                changed: dict[str, Decimal] = {name: moved}
                what = f"{condition.amount} {name} {bound} → {moved}"
                yield "threshold", what, dataclasses.replace(condition, **changed)  # type: ignore[arg-type]


def _short(condition: Condition) -> str:
    told = phrase(condition, most=3).line
    return told if len(told) <= 90 else told[:89] + "…"
