"""The structure of a condition as plain nested values, so that two conditions can be compared.

Conditions are compared by identity elsewhere, as each has its own place in the matcher; a comparison of two packs needs
what they say.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterator

from limner_policy.conditions import AllOf, AnyOf, Condition, Not
from limner_policy.wordlists import WordList


def shape(value: object) -> Hashable:
    """Give the structure: equal for two conditions that say the same. The order of items and words does not matter."""
    if isinstance(value, WordList):
        return ("list", value.name, frozenset(value.terms), frozenset(value.entities))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner = tuple((f.name, shape(getattr(value, f.name))) for f in dataclasses.fields(value))
        return (type(value).__name__, *inner)
    if isinstance(value, tuple | frozenset | set):
        return frozenset(shape(item) for item in value)
    assert isinstance(value, Hashable)
    return value


def inner(condition: Condition) -> Iterator[Condition]:
    """Give what stands directly inside `all`, `any` and `not`."""
    if isinstance(condition, AllOf | AnyOf):
        yield from condition.items
    elif isinstance(condition, Not):
        yield condition.item
