"""What changed between two conditions, as sentences: nodes are paired by what they say, then by what they are about."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from decimal import Decimal

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
from limner_policy.licences.conditions import LicenceCondition
from limner_policy.tools.phrases import AMOUNT_NAMES, FACT_NAMES, phrase, quoted, shorter, some
from limner_policy.tools.shape import shape
from limner_policy.wordlists import WordList

FEW = 6
"""How many words of a long list are named."""


def condition_changes(old: Condition, new: Condition) -> Iterator[str]:
    """Give each difference as a sentence without its full stop; nothing where both say the same."""
    if shape(old) == shape(new):
        return
    if isinstance(old, Not) and isinstance(new, Not):
        yield from (f"inside “does not hold”: {told}" for told in condition_changes(old.item, new.item))
    elif isinstance(old, AllOf | AnyOf) and isinstance(new, AllOf | AnyOf):
        if type(old) is not type(new):
            words = ("all of these", "at least one of these")
            was, now = words if isinstance(old, AllOf) else words[::-1]
            yield f"“{was}” became “{now}”"
        yield from _items(old.items, new.items)
    elif _about(old) == _about(new):
        yield from _leaf(old, new)
    elif isinstance(old, AllOf | AnyOf) or isinstance(new, AllOf | AnyOf):
        yield from _wrapped(old, new)
    else:
        yield f"the condition was: {phrase(old, most=FEW).line}"
        yield f"the condition is: {phrase(new, most=FEW).line}"


def _wrapped(old: Condition, new: Condition) -> Iterator[str]:
    """One of them is a single condition, which counts as `all` or `any` of itself."""
    both: list[tuple[Condition, ...]] = [one.items if isinstance(one, AllOf | AnyOf) else (one,) for one in (old, new)]
    group = new if isinstance(new, AllOf | AnyOf) else old
    how = "in addition to" if isinstance(group, AllOf) else "as an alternative to"
    yield f"a condition now stands {how} others" if group is new else f"a condition that stood {how} others is alone"
    yield from _items(*both)


def _items(old: Sequence[Condition], new: Sequence[Condition]) -> Iterator[str]:
    left, right = list(old), list(new)
    for one in old:
        twin = next((other for other in right if shape(other) == shape(one)), None)
        if twin is not None:
            left.remove(one)
            right.remove(twin)
    for one in list(left):
        near = _nearest(one, right)
        if near is not None:
            left.remove(one)
            right.remove(near)
            yield from condition_changes(one, near)
    yield from (f"condition dropped: {phrase(one, most=FEW).line}" for one in left)
    yield from (f"condition added: {phrase(one, most=FEW).line}" for one in right)


def _nearest(one: Condition, others: Sequence[Condition]) -> Condition | None:
    """The one about the same thing that says most of the same."""
    alike = [other for other in others if _about(other) == _about(one)]
    said = phrase(one, most=200).line
    return max(
        alike,
        key=lambda other: difflib.SequenceMatcher(None, said[:400], phrase(other, most=200).line[:400]).ratio(),
        default=None,
    )


def _about(condition: Condition) -> tuple[str, ...]:
    """What a condition is about, whatever it asks of it."""
    name = type(condition).__name__
    if isinstance(condition, FactIn):
        return name, condition.fact
    if isinstance(condition, AmountIs):
        return name, condition.amount
    if isinstance(condition, EvidenceAtLeast):
        return name, condition.detector, condition.category
    if isinstance(condition, LicenceCondition):
        return name, condition.key
    return (name,)


def _leaf(old: Condition, new: Condition) -> Iterator[str]:
    if isinstance(old, Terms) and isinstance(new, Terms):
        yield from _terms(old, new)
    elif isinstance(old, EvidenceAtLeast) and isinstance(new, EvidenceAtLeast):
        what = f"{old.detector}/{old.category}"
        if old.at_least != new.at_least:
            yield f"threshold of {what}: {shorter(old.at_least)} → {shorter(new.at_least)}"
        if old.review_from != new.review_from:
            was, now = (shorter(one.review_from) if one.review_from else "nowhere" for one in (old, new))
            yield f"a person decides about {what} from: {was} → {now}"
    elif isinstance(old, Entities) and isinstance(new, Entities):
        yield from _entities(old, new)
    elif isinstance(old, Together) and isinstance(new, Together):
        if old.within != new.within:
            yield f"words together: within {old.within} → {new.within}"
        yield from _items(old.parts, new.parts)
    elif isinstance(old, Pattern) and isinstance(new, Pattern):
        yield from _pattern(old, new)
    else:
        yield from _values(old, new)


def _pattern(old: Pattern, new: Pattern) -> Iterator[str]:
    if old.pattern != new.pattern:
        yield f"pattern was {old.pattern}"
        yield f"pattern is {new.pattern}"
    yield from _words("looked for in", old.fields, new.fields, marks=False)


def _terms(old: Terms, new: Terms) -> Iterator[str]:
    yield from _words("terms", old.any_of, new.any_of)
    yield from _words("exceptions", old.excepted, new.excepted)
    yield from _words("word forms", old.inflect, new.inflect)
    yield from _lists(old.lists, new.lists)
    yield from _words("looked for in", old.fields, new.fields, marks=False)


def _entities(old: Entities, new: Entities) -> Iterator[str]:
    yield from _lists(old.lists, new.lists)
    yield from _words("kinds", old.kinds, new.kinds)
    yield from _words("words that have to be near", old.near, new.near)
    yield from _words("words that must not be near", old.unless_near, new.unless_near)
    if old.within != new.within:
        yield f"near means within {old.within} → {new.within} words"
    if old.near_for != new.near_for:
        yield f"context is asked for: {old.near_for} → {new.near_for}"
    yield from _words("looked for in", old.fields, new.fields, marks=False)


def _lists(old: Sequence[WordList], new: Sequence[WordList]) -> Iterator[str]:
    before, after = {one.name: one for one in old}, {one.name: one for one in new}
    for name in sorted(before.keys() | after.keys()):
        if name not in after or name not in before:
            yield f"list {name} {'dropped' if name in before else 'added'}"
            continue
        was, now = before[name], after[name]
        yield from _words(f"list {name}: terms", was.terms, now.terms)
        yield from _words(
            f"list {name}: entities", [e.names[0] for e in was.entities], [e.names[0] for e in now.entities]
        )
        old_rows, new_rows = {e.id: e for e in was.entities}, {e.id: e for e in now.entities}
        changed = [e.names[0] for key, e in new_rows.items() if key in old_rows and old_rows[key] != e]
        if changed:
            yield f"list {name}: entities changed ({len(changed):,}): {quoted(changed, FEW)}"


def _values(old: Condition, new: Condition) -> Iterator[str]:
    if isinstance(old, FactIn) and isinstance(new, FactIn):
        name = FACT_NAMES[old.fact]
        if old.negated is not new.negated:
            yield f"{name}: “{'is none of' if old.negated else 'is one of'}” turned round"
        yield from _words(name, sorted(old.values), sorted(new.values), marks=False)
    elif isinstance(old, TagsHave) and isinstance(new, TagsHave):
        yield from _words("tags", sorted(old.values), sorted(new.values))
    elif isinstance(old, InputsHave) and isinstance(new, InputsHave):
        yield from _words("given pictures", sorted(old.kinds), sorted(new.kinds), marks=False)
    elif isinstance(old, AmountIs) and isinstance(new, AmountIs):
        yield from _bounds(old, new)
    else:
        yield f"was: {phrase(old, most=FEW).line}"
        yield f"is: {phrase(new, most=FEW).line}"


def _bounds(old: AmountIs, new: AmountIs) -> Iterator[str]:
    for name in ("at_least", "over", "at_most", "under"):
        was: Decimal | None = getattr(old, name)
        now: Decimal | None = getattr(new, name)
        if was != now:
            shown = " → ".join("no bound" if one is None else str(one) for one in (was, now))
            yield f"{AMOUNT_NAMES[old.amount]}, {name.replace('_', ' ')}: {shown}"


def _words(what: str, old: Sequence[str], new: Sequence[str], *, marks: bool = True) -> Iterator[str]:
    before, after = set(old), set(new)
    added = [word for word in dict.fromkeys(new) if word not in before]
    dropped = [word for word in dict.fromkeys(old) if word not in after]
    for word, found in (("added", added), ("dropped", dropped)):
        if found:
            shown = quoted(found, FEW) if marks else some([one.replace("_", " ") for one in found], FEW, last="and")
            yield f"{what} {word} ({len(found):,}): {shown}"
