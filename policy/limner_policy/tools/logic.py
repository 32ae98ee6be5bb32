"""Findings that need reasoning: conditions that cannot hold, rules that another one makes needless, contradictions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import datetime

from limner_policy.conditions import AllOf, AnyOf, walk
from limner_policy.pack import Pack, Rule
from limner_policy.tools.findings import Finding
from limner_policy.tools.phrases import duty_words, phrase
from limner_policy.tools.reach import FALSE, TASKS, TRUE, UNKNOWN, as_strict, can, variables
from limner_policy.tools.timeline import enforced_within, spans
from limner_policy.verdicts import Duty, Verdict

__all__ = ["TASKS", "contradictory", "impossible", "shadowed"]

Place = tuple[Pack, Rule]


def impossible(pack: Pack, rule: Rule) -> Iterator[Finding]:
    """A condition that can never hold, or always does; else its innermost parts of which that is true."""
    file, line = pack.file, rule.lines[0]
    if can(rule.when, TRUE) is False:
        rest = "" if can(rule.when, UNKNOWN) is False else f"; only its `if_unknown` ({rule.if_unknown}) can apply"
        told = f"the rule's condition can never hold{rest}"
        yield Finding(file, line, rule.id, "dead", told, "Its parts exclude each other: correct one of them")
        return
    if can(rule.when, FALSE, UNKNOWN) is False:
        told = f"the rule's condition always holds, so everything at the stage {rule.stage} is {rule.verdict}"
        yield Finding(
            file, line, rule.id, "contradictory", told, "Narrow it, or say in `says` that it is meant", note=True
        )
    for node in walk(rule.when):
        if isinstance(node, AllOf | AnyOf) and node is not rule.when and can(node, TRUE) is False:
            told = f"a part of the condition can never hold: {phrase(node).line[:160]}"
            yield Finding(file, line, rule.id, "never-true", told, "Correct or delete it")


def shadowed(packs: Sequence[Pack], today: datetime) -> Iterator[Finding]:
    """Rules that never change a decision from `today` on. Of two that ask for the same, the later one is named."""
    places = [(pack, rule) for pack in packs for rule in pack.rules]
    known = {id(rule): variables(rule.when) for _, rule in places}
    for number, (pack, rule) in enumerate(places):
        if all(span.mode == "off" for span in spans(pack, rule)) or can(rule.when, TRUE, UNKNOWN) is False:
            continue
        for other_number, other in enumerate(places):
            strict = other[1]
            if strict is rule or strict.stage != rule.stage or not known[id(strict)] & known[id(rule)]:
                continue
            if not as_strict(strict, rule) or not enforced_within(other, (pack, rule), today):
                continue
            twins = as_strict(rule, strict) and enforced_within((pack, rule), other, today)
            if twins and number < other_number:
                continue
            yield _shadow((pack, rule), other, twins=bool(twins))
            break


def _shadow(mild: Place, strict: Place, *, twins: bool) -> Finding:
    pack, rule = mild
    name = strict[1].id if strict[0] is pack else f"{strict[0].name}/{strict[1].id}"
    where = f"{name} (line {strict[1].lines[0]})"
    told = (
        f"the rule asks for exactly what {where} asks for"
        if twins
        else f"the rule changes no decision: wherever it holds, {where} holds too and asks for as much or more"
    )
    return Finding(
        pack.file, rule.lines[0], rule.id, "shadowed", told, "Delete it, or make it stricter or wider than the other"
    )


def contradictory(packs: Sequence[Pack], today: datetime) -> Iterator[Finding]:
    """Rules with the same condition and opposite outcomes, and duties that exclude each other."""
    places = [(pack, rule) for pack in packs for rule in pack.rules]
    for number, (pack, rule) in enumerate(places):
        for other_pack, other in places[:number]:
            if rule.stage != other.stage or not _meet((pack, rule), (other_pack, other), today):
                continue
            where = other.id if other_pack is pack else f"{other_pack.name}/{other.id}"
            if _opposite(rule, other):
                told = f"under the same condition {where} says {other.verdict} and this rule {rule.verdict}"
                yield Finding(
                    pack.file,
                    rule.lines[0],
                    rule.id,
                    "contradictory",
                    told,
                    "Keep one, or give them different conditions",
                )
            for mine, theirs in _clashes(rule, other):
                told = f"{duty_words(mine)} and {where}'s {duty_words(theirs)} can fall together and exclude each other"
                yield Finding(pack.file, rule.lines[0], rule.id, "contradictory", told, "Agree on one of them")


def _meet(one: Place, other: Place, today: datetime) -> bool:
    """Whether both are in force together at some instant from today on."""
    both = [span for pair in (one, other) for span in spans(*pair)]
    instants = {today, *(span.start for span in both if span.start > today)}
    return any(all(_in_force(*pair, instant) for pair in (one, other)) for instant in instants)


def _in_force(pack: Pack, rule: Rule, instant: datetime) -> bool:
    return pack.effective.covers(instant) and rule.in_force(instant)


def _opposite(rule: Rule, other: Rule) -> bool:
    mild, strict = sorted((rule, other), key=lambda one: one.verdict)
    if mild.verdict > Verdict.ALLOW_WITH_DUTIES or strict.verdict < Verdict.REVIEW:
        return False
    if not variables(mild.when) & variables(strict.when):
        return False
    return bool(as_strict(_asking(mild), _asking(strict)) and as_strict(_asking(strict), _asking(mild)))


def _asking(rule: Rule) -> Rule:
    """The rule with one outcome for all, so that only conditions are compared."""
    return dataclasses.replace(rule, verdict=Verdict.DENY, if_unknown=Verdict.DENY, duties=())


_EXCLUSIVE = {frozenset({"no_store", "retention"})}


def _clashes(rule: Rule, other: Rule) -> Iterator[tuple[Duty, Duty]]:
    for mine in rule.duties:
        for theirs in other.duties:
            differ = mine.name == theirs.name and _differ(mine, theirs)
            if (differ or frozenset({mine.name, theirs.name}) in _EXCLUSIVE) and _can_meet(rule, other):
                yield mine, theirs


_ONE_VALUE = {"retention": ("days", "class"), "visible_label": ("text", "position"), "watermark": ("method",)}
"""Parameters of which one picture can have one value only."""


def _differ(mine: Duty, theirs: Duty) -> bool:
    given, other = dict(mine.params), dict(theirs.params)
    return any(name in given and name in other and given[name] != other[name] for name in _ONE_VALUE.get(mine.name, ()))


def _can_meet(rule: Rule, other: Rule) -> bool:
    return can(AllOf((rule.when, other.when)), TRUE) is not False
