"""How conditions are written: the `when` tree of version 1, one key a node.

Reads YAML nodes into `conditions.py`; knows no rules. A new predicate is a new row of `PREDICATES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from limner_policy import yaml_reading as nodes
from limner_policy.amounts import AMOUNTS, INPUT_KINDS, AmountIs, InputsHave, TagsHave
from limner_policy.conditions import (
    FACTS,
    TEXT_FIELDS,
    AllOf,
    AnyOf,
    Condition,
    EvidenceAtLeast,
    FactIn,
    Not,
    Pattern,
    Terms,
    folded_fact,
)
from limner_policy.licences.conditions import LicenceCondition
from limner_policy.licences.terms import CEILINGS, DUTIES, PERMISSIONS
from limner_policy.licences.terms import TERMS as LICENCE_TERMS
from limner_policy.licences.values import LICENCE_ID
from limner_policy.matching import compile_pattern, term_key
from limner_policy.shapes import Amount, Choice, Fraction, Key, ListOf, Notes, Reading, Record, Text, suggestion

MAX_TERMS = 50_000

_VALUES = ListOf(Text("a value", 200), "values", 10_000)
_FIELDS = ListOf(Choice(TEXT_FIELDS), "fields", len(TEXT_FIELDS))
_DEFAULT_FIELDS = ("prompt",)


class _When:
    """One condition: a mapping with exactly one key, the predicate's name."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> Condition:
        if not isinstance(node, nodes.Mapping) or not node.pairs:
            remedy = f"Write one of: {', '.join(sorted(PREDICATES))}"
            raise notes.fail(node, path, "has to be a condition: a mapping with one key", remedy)
        if len(node.pairs) > 1:
            names = ", ".join(key.text for key, _ in node.pairs)
            remedy = f"Write `all:` or `any:` with {names} as its items"
            raise notes.fail(node, path, f"has {len(node.pairs)} keys and a condition has one", remedy, show=False)
        key, value = node.pairs[0]
        if key.text not in PREDICATES:
            raise notes.fail(key, path, f"`{key.text}` is no condition", suggestion(key.text, PREDICATES), show=False)
        return PREDICATES[key.text](value, f"{path}.{key.text}", notes)


WHEN = _When()


def _several(build: Callable[[tuple[Condition, ...]], Condition]) -> Callable[[nodes.Node, str, Notes], Condition]:
    items = ListOf[Condition](WHEN, "conditions")
    return lambda node, path, notes: build(items.read(node, path, notes))


class _Term:
    """A word or phrase that leaves something after folding."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> str:
        text = Text("a word or phrase", 200).read(node, path, notes)
        if not term_key(text):
            raise notes.fail(node, path, "holds no letter and no digit", "Use `re2` for signs")
        return text


def _terms(read: Reading) -> Terms:
    return Terms(read.values["any_of"], read.values.get("fields", _DEFAULT_FIELDS), read.values.get("except", ()))


TERMS = Record(
    "terms",
    {
        "any_of": Key(ListOf(_Term(), "terms", MAX_TERMS), required=True),
        "except": Key(ListOf(_Term(), "phrases", MAX_TERMS)),
        "fields": Key(_FIELDS),
    },
    _terms,
)


class _Re2:
    """An RE2 expression that compiles and does not match everything."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> str:
        text = Text("an RE2 pattern", 1_000).read(node, path, notes)
        try:
            compiled = compile_pattern(text)
        except ValueError as error:
            raise notes.fail(
                node, path, f"is no RE2 pattern: {_pointed(text, str(error))}", _re2_advice(text)
            ) from None
        if compiled.search(""):
            raise notes.fail(
                node, path, "matches the empty text, so it would match every prompt", "Make it need a letter"
            )
        return text


def _pointed(pattern: str, told: str) -> str:
    """RE2 names the broken part and no position; the part's place in the pattern is one."""
    _, _, part = told.rpartition(": ")
    at = pattern.find(part) if part else -1
    return f"{told} at character {at + 1}" if at >= 0 else told


def _re2_advice(pattern: str) -> str:
    if any(sign in pattern for sign in ("(?=", "(?!", "(?<")):
        return "RE2 has no look-around; use `all` and `not` with two patterns"
    return "Write it in single quotes; RE2 has no look-around and no back-references"


def _pattern(read: Reading) -> Pattern:
    return Pattern(read.values["pattern"], read.values.get("fields", _DEFAULT_FIELDS))


RE2 = Record("a pattern", {"pattern": Key(_Re2(), required=True), "fields": Key(_FIELDS)}, _pattern)

EVIDENCE = Record(
    "an evidence condition",
    {
        "detector": Key(Text("a detector's name", 64), required=True),
        "category": Key(Text("a category", 64), required=True),
        "at_least": Key(Fraction(), required=True),
    },
    lambda read: EvidenceAtLeast(**read.values),
)


def _fact(name: str) -> Callable[[nodes.Node, str, Notes], Condition]:
    def build(read: Reading) -> FactIn:
        if len(read.values) != 1:
            raise read.fail("needs exactly one of `in` and `not_in`", "Write {in: [one, two]}")
        ((key, chosen),) = read.values.items()
        return FactIn(name, frozenset(map(folded_fact, chosen)), negated=key == "not_in")

    return Record(f"a condition on {name}", {"in": Key(_VALUES), "not_in": Key(_VALUES)}, build).read


def _amount(name: str) -> Record[Condition]:
    def build(read: Reading) -> AmountIs:
        bounds = read.values
        if not bounds:
            raise read.fail("needs a bound", "Write one of: at_least, at_most, over, under")
        lower = max((bounds[key] for key in ("at_least", "over") if key in bounds), default=None)
        upper = min((bounds[key] for key in ("at_most", "under") if key in bounds), default=None)
        if lower is not None and upper is not None and lower > upper:
            raise read.fail("no number lies inside these bounds", "The upper one has to be the greater")
        return AmountIs(name, **bounds)

    keys = {key: Key(Amount()) for key in ("at_least", "at_most", "over", "under")}
    return Record(f"a condition on {name}", keys, build)


TAGS = Record(
    "a condition on tags",
    {"has": Key(_VALUES, required=True)},
    lambda read: TagsHave(frozenset(map(folded_fact, read.values["has"]))),
)
INPUTS = Record(
    "a condition on the pictures that were given",
    {"has": Key(ListOf(Choice(INPUT_KINDS), "kinds", len(INPUT_KINDS)), required=True)},
    lambda read: InputsHave(frozenset(read.values["has"])),
)

_YES_NO = Choice(("yes", "no"))
_LICENCE_KEYS: dict[str, Key[Any]] = {
    "allows": Key(Choice(PERMISSIONS)),
    "forbids": Key(Choice(PERMISSIONS)),
    "requires": Key(Choice(DUTIES)),
    "over": Key(ListOf(Choice(CEILINGS), "ceilings", len(CEILINGS))),
    "excludes": Key(Choice(("region", "principal_place"))),
    "states": Key(Choice(tuple(LICENCE_TERMS))),
    "conflict": Key(_YES_NO),
    "known": Key(_YES_NO),
    "signed_off": Key(_YES_NO),
    "any_of": Key(ListOf(LICENCE_ID, "licence ids", 1_000)),
}


def _licence(read: Reading) -> Condition:
    """The candidate's licence id in a list, as any fact, or one question to the licences of all its parts."""
    if len(read.values) != 1:
        raise read.fail("needs exactly one key", f"Write one of: in, not_in, {', '.join(_LICENCE_KEYS)}")
    ((key, value),) = read.values.items()
    if key in ("in", "not_in"):
        return FactIn("licence", frozenset(map(folded_fact, value)), negated=key == "not_in")
    return LicenceCondition(key, (value,) if isinstance(value, str) else value)


LICENCE = Record("a condition on licences", {"in": Key(_VALUES), "not_in": Key(_VALUES), **_LICENCE_KEYS}, _licence)

PREDICATES: dict[str, Callable[[nodes.Node, str, Notes], Condition]] = {
    "all": _several(AllOf),
    "any": _several(AnyOf),
    "not": lambda node, path, notes: Not(WHEN.read(node, path, notes)),
    "terms": TERMS.read,
    "re2": RE2.read,
    "evidence": EVIDENCE.read,
    **{name: _fact(name) for name in FACTS},
    "licence": LICENCE.read,
    **{name: _amount(name).read for name in AMOUNTS},
    "tags": TAGS.read,
    "inputs": INPUTS.read,
}
"""Predicate → its reader."""
