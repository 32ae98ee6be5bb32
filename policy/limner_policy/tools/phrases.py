"""Conditions, outcomes and dates as plain English, for people who do not read YAML.

Says exactly what the machine part says and adds nothing to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from limner_policy.amounts import AmountIs, InputsHave, RegionWithin, TagsHave
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
from limner_policy.pack import Effective, Example, Rule, Source
from limner_policy.verdicts import Duty, Verdict
from limner_policy.wordlists import WordList

MOST_WORDS = 12
"""How many words of a list are named before the rest is counted."""

VERDICTS = {
    Verdict.ALLOW: "allowed",
    Verdict.ALLOW_WITH_DUTIES: "allowed with duties",
    Verdict.REVIEW: "held for a person to decide",
    Verdict.DENY: "refused",
}
STAGES = {
    "request": "what is asked for",
    "candidate": "each engine that could do it",
    "image": "each picture that was made",
    "release": "each picture before it is released",
}
MODES = {
    "enforce": "in force",
    "warn": "recorded as a warning, decides nothing",
    "audit": "recorded only, decides nothing",
    "off": "asleep",
}
FACT_NAMES = {
    "task": "the task",
    "provider": "the engine",
    "kind": "the kind of engine",
    "model": "the model",
    "licence": "the model's licence",
    "tenant": "the tenant",
    "project": "the project",
    "purpose": "the purpose",
    "audience": "the audience",
    "region": "the region",
}
AMOUNT_NAMES = {
    "n": "the number of pictures",
    "width": "the width in pixels",
    "height": "the height in pixels",
    "pixels": "the number of pixels",
    "steps": "the number of steps",
    "guidance_scale": "the guidance scale",
    "strength": "the strength",
}
_FIELDS = {"prompt": "the prompt", "negative_prompt": "the negative prompt"}
_INPUTS = {
    "image": "a picture to start from",
    "mask": "a mask",
    "reference": "a reference picture",
    "control": "a control picture",
}


@dataclass(frozen=True, slots=True)
class Phrase:
    """A condition in words: `text` alone, or `text` as the head of `parts`."""

    text: str
    parts: tuple[Phrase, ...] = ()

    def lines(self, depth: int = 0) -> Iterator[tuple[int, str]]:
        """Give each line with its depth, from 0."""
        yield depth, self.text
        for part in self.parts:
            yield from part.lines(depth + 1)

    @property
    def line(self) -> str:
        """All of it on one line."""
        return self.text + (f" ({'; '.join(part.line for part in self.parts)})" if self.parts else "")


def phrase(condition: Condition, *, most: int = MOST_WORDS) -> Phrase:
    """Give a condition in words; of word lists at most `most` words are named."""
    if isinstance(condition, AllOf):
        return Phrase("all of these hold:", tuple(phrase(item, most=most) for item in condition.items))
    if isinstance(condition, AnyOf):
        return Phrase("at least one of these holds:", tuple(phrase(item, most=most) for item in condition.items))
    if isinstance(condition, Not):
        return Phrase("this does not hold:", (phrase(condition.item, most=most),))
    return Phrase(_leaf(condition, most))


def _leaf(condition: Condition, most: int) -> str:
    if isinstance(condition, Terms | Pattern | Entities | Together):
        return _words(condition, most)
    if isinstance(condition, EvidenceAtLeast):
        score = f"{shorter(condition.at_least)} or more"
        told = f"the detector {condition.detector} scores {score} for {condition.category}"
        return told + (f" (from {shorter(condition.review_from)} on a person decides)" if condition.review_from else "")
    if isinstance(condition, FactIn):
        told = "is none of" if condition.negated else "is one of"
        if len(condition.values) == 1:
            told = "is not" if condition.negated else "is"
        return f"{FACT_NAMES[condition.fact]} {told} {some(sorted(condition.values), most)}"
    return _other_leaf(condition, most)


def _words(condition: Terms | Pattern | Entities | Together, most: int) -> str:
    if isinstance(condition, Terms):
        return _terms(condition, most, _in_fields(condition.fields))
    if isinstance(condition, Pattern):
        return f"{_in_fields(condition.fields)} matches the pattern {condition.pattern}"
    return _entities(condition, most) if isinstance(condition, Entities) else _together(condition, most)


def _other_leaf(condition: Condition, most: int) -> str:
    if isinstance(condition, AmountIs):
        return f"{AMOUNT_NAMES[condition.amount]} is {_bounds(condition)}"
    if isinstance(condition, RegionWithin):
        return f"the region lies in {some(condition.territories, most, last='or')}"
    if isinstance(condition, TagsHave):
        return f"the request carries the tag {some(sorted(condition.values), most, last='or')}"
    if isinstance(condition, InputsHave):
        return f"the request brings {some([_INPUTS[kind] for kind in sorted(condition.kinds)], most, last='or')}"
    if isinstance(condition, LicenceCondition):
        return _licence(condition)
    return f"{type(condition).__name__} holds"


def _in_fields(fields: Sequence[str]) -> str:
    return " or ".join(_FIELDS[field] for field in fields)


def _terms(condition: Terms, most: int, where: str) -> str:
    forms = f" (also as {', '.join(condition.inflect)})" if condition.inflect else ""
    told = f"{where} names {_listed(condition.any_of, condition.lists, most)}{forms}"
    if condition.excepted:
        told += f", other than in {quoted(condition.excepted, most, last='or')}"
    return told


def _listed(words: Sequence[str], lists: Sequence[WordList], most: int) -> str:
    told = [quoted(words, most, last="or")] if words else []
    return " or ".join(told + [f"a word of the list {one.name} ({len(one):,} rows)" for one in lists])


def _entities(condition: Entities, most: int) -> str:
    names = " or ".join(f"{one.name} ({len(one):,} rows)" for one in condition.lists)
    kinds = f" of kind {some(condition.kinds, most, last='or')}" if condition.kinds else ""
    told = f"{_in_fields(condition.fields)} names somebody or something{kinds} on the list {names}"
    if condition.near:
        whom = " where the name is also a common word" if condition.near_for == "ambiguous" else ""
        told += f", at most {condition.within} words from {quoted(condition.near, most, last='or')}{whom}"
    if condition.unless_near:
        told += (
            f", unless {quoted(condition.unless_near, most, last='or')} stands at most {condition.within} words away"
        )
    return told


def _together(condition: Together, most: int) -> str:
    close = {"text": "anywhere in it", "sentence": "in one sentence"}
    where = close.get(str(condition.within), f"with at most {condition.within} words between them")
    parts = [
        f"a match of {part.pattern}"
        if isinstance(part, Pattern)
        else _terms(part, most, "").strip().removeprefix("names ")
        for part in condition.parts
    ]
    return f"{_in_fields(condition.fields)} holds together, {where}: {'; and '.join(parts)}"


def _bounds(condition: AmountIs) -> str:
    named = (
        ("at least", condition.at_least),
        ("over", condition.over),
        ("at most", condition.at_most),
        ("under", condition.under),
    )
    return " and ".join(f"{word} {bound}" for word, bound in named if bound is not None)


_LICENCE = {
    "allows": "the licences of all parts together allow {0}",
    "forbids": "a licence of the parts forbids {0}",
    "requires": "a licence of the parts requires {0}",
    "over": "the organisation is above a licence's {0}",
    "states": "a licence of the parts says something of {0}",
    "any_of": "a part is under {0}",
}
_YES_NO = {
    "conflict": "the sources of a part's licence contradict each other",
    "known": "the licences of all parts are known",
    "signed_off": "a person has signed off the licence facts of all parts",
}
_PLACES = {"region": "the region of use", "principal_place": "the organisation's principal place"}


def _licence(condition: LicenceCondition) -> str:
    if condition.key in _YES_NO:
        return _YES_NO[condition.key] if condition.values[0] == "yes" else f"it is not so that {_YES_NO[condition.key]}"
    if condition.key == "excludes":
        return f"a licence of the parts leaves out {_PLACES[condition.values[0]]}"
    values = some([value.replace("_", " ") for value in condition.values], MOST_WORDS, last="or")
    return _LICENCE[condition.key].format(values) if condition.key in _LICENCE else f"licence {condition.key}: {values}"


def some(words: Iterable[str], most: int = MOST_WORDS, *, last: str = "or") -> str:
    """Give the first words of a list in a sentence, and how many more there are."""
    known = list(words)
    shown, more = known[:most], len(known) - most
    if more > 0:
        return f"{', '.join(shown)} {last} {more:,} more"
    return f" {last} ".join([*([", ".join(shown[:-1])] if len(shown) > 1 else []), *shown[-1:]])


def quoted(words: Iterable[str], most: int = MOST_WORDS, *, last: str = "and") -> str:
    """`some`, each word in quotation marks."""
    return some([f"“{word}”" for word in words], most, last=last)


def shorter(score: str) -> str:
    """A score of 6 decimals with two at least: 0.850000 is 0.85."""
    whole, _, decimals = score.partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def outcome(verdict: Verdict, duties: Iterable[Duty] = ()) -> str:
    """What follows, as the end of a sentence."""
    told = VERDICTS[verdict]
    named = [duty_words(duty) for duty in duties]
    return f"{told}: {', '.join(named)}" if named else told


def duty_words(duty: Duty) -> str:
    """A duty with its parameters."""
    params = ", ".join(f"{name} {value}" for name, value in duty.params)
    name = duty.name.replace("_", " ")
    return f"{name} ({params})" if params else name


def moment(instant: datetime) -> str:
    """A day where it is the day's first instant (UTC), else the instant."""
    if instant == instant.replace(hour=0, minute=0, second=0, microsecond=0):
        return instant.strftime("%Y-%m-%d")
    return instant.strftime("%Y-%m-%d %H:%M:%S UTC")


def dates(effective: Effective) -> str:
    """From when until when, as a reader says it: the last day is named, not the one after."""
    if effective.start and effective.until:
        return f"from {moment(effective.start)} {_until(effective.until)}"
    if effective.start:
        return f"from {moment(effective.start)} on"
    return _until(effective.until) if effective.until else "without an end"


def _until(until: datetime) -> str:
    day = until.replace(hour=0, minute=0, second=0, microsecond=0)
    return f"to {moment(until - timedelta(days=1))} inclusive" if until == day else f"until {moment(until)}"


def modes(rule: Rule) -> str:
    """The rule's mode, and from which day another."""
    later = "".join(f"; from {moment(start)}: {MODES[mode]}" for start, mode in rule.mode_from)
    return MODES[rule.mode] + later


def source_words(source: Source) -> str:
    """A citation with the day it was read and by way of what."""
    read = f", read {source.read}" if source.read else ""
    via = f", by way of {source.via}" if source.via else ""
    quote = f": “{source.quote}”" if source.quote else ""
    return f"{source.cite}{read}{via}{quote}"


def example_words(example: Example) -> str:
    """An example's case in words, without what is expected of it."""
    facts = dict(example.facts)
    told = [f"“{facts.pop('prompt')}”"] if "prompt" in facts else []
    if "negative_prompt" in facts:
        told.append(f"without “{facts.pop('negative_prompt')}”")
    told += [
        f"{FACT_NAMES.get(name, name.replace('_', ' ')).removeprefix('the ')} {value}" for name, value in facts.items()
    ]
    told += [f"tags {some(example.tags, last='and')}"] if example.tags else []
    told += [f"with {some([_INPUTS[kind] for kind in example.inputs], last='and')}"] if example.inputs else []
    told += [f"parts {some(example.parts, last='and')}"] if example.parts else []
    told += [
        f"the organisation's {name.replace('_', ' ')} {_claim(value)}" for name, value in example.organisation.items()
    ]
    for (detector, category), score in example.scores.items():
        told.append(f"{detector}/{category} {'not known' if score is None else 'scores ' + shorter(score)}")
    told += [f"as of {moment(example.as_of)}"] if example.as_of else []
    return ", ".join(told) or "nothing said"


def _claim(value: object) -> str:
    return some(sorted(value), last="and") if isinstance(value, frozenset) else str(value)
