"""How conditions are written: the `when` tree of version 1, one key a node.

Reads YAML nodes into `conditions.py`; knows no rules. A new predicate is a new row of `PREDICATES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from limner_policy import yaml_reading as nodes
from limner_policy.amounts import AMOUNTS, INPUT_KINDS, AmountIs, InputsHave, RegionWithin, TagsHave
from limner_policy.conditions import (
    FACTS,
    AllOf,
    AnyOf,
    Condition,
    FactIn,
    Not,
    folded_fact,
)
from limner_policy.licences.conditions import LicenceCondition
from limner_policy.licences.terms import CEILINGS, DUTIES, PERMISSIONS
from limner_policy.licences.terms import TERMS as LICENCE_TERMS
from limner_policy.licences.values import LICENCE_ID, Code
from limner_policy.shapes import Amount, Choice, Key, ListOf, Notes, Reading, Record, Shape, Text, suggestion
from limner_policy.thresholds import EVIDENCE
from limner_policy.when_text import ENTITY, RE2, TERMS, TOGETHER

_VALUES = ListOf(Text("a value", 200), "values", 10_000)


class When:
    """One condition: a mapping with exactly one key, the predicate's name."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> Condition:
        """Read it."""
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
        return PREDICATES[key.text].read(value, f"{path}.{key.text}", notes)


WHEN = When()


@dataclass(frozen=True)
class Several:
    """A list of conditions as one."""

    build: Callable[[tuple[Condition, ...]], Condition]
    items = ListOf[Condition](WHEN, "conditions")

    def read(self, node: nodes.Node, path: str, notes: Notes) -> Condition:
        """Read it."""
        return self.build(self.items.read(node, path, notes))


class Negation:
    """One condition, turned round."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> Condition:
        """Read it."""
        return Not(WHEN.read(node, path, notes))


def _fact(name: str) -> Record[Condition]:
    def build(read: Reading) -> FactIn:
        if len(read.values) != 1:
            raise read.fail("needs exactly one of `in` and `not_in`", "Write {in: [one, two]}")
        ((key, chosen),) = read.values.items()
        return FactIn(name, frozenset(map(folded_fact, chosen)), negated=key == "not_in")

    return Record(f"a condition on {name}", {"in": Key(_VALUES), "not_in": Key(_VALUES)}, build)


def _region(read: Reading) -> Condition:
    """The region as any fact, or by the territory that it lies in."""
    if list(read.values) == ["within"]:
        return RegionWithin(read.values["within"])
    if len(read.values) != 1:
        raise read.fail("needs exactly one of `in`, `not_in` and `within`", "Write {within: [EU, US-CA]}")
    ((key, chosen),) = read.values.items()
    return FactIn("region", frozenset(map(folded_fact, chosen)), negated=key == "not_in")


REGION = Record(
    "a condition on region",
    {"in": Key(_VALUES), "not_in": Key(_VALUES), "within": Key(ListOf(Code(), "territories", 300))},
    _region,
)


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

PREDICATES: dict[str, Shape[Condition]] = {
    "all": Several(AllOf),
    "any": Several(AnyOf),
    "not": Negation(),
    "terms": TERMS,
    "re2": RE2,
    "entity": ENTITY,
    "together": TOGETHER,
    "evidence": EVIDENCE,
    **{name: _fact(name) for name in FACTS},
    "licence": LICENCE,
    "region": REGION,
    **{name: _amount(name) for name in AMOUNTS},
    "tags": TAGS,
    "inputs": INPUTS,
}
"""Predicate → its reader."""
