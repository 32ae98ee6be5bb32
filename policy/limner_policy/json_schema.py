"""The JSON Schema of policy files, made of the very shapes that read them: `python -m limner_policy.json_schema`.

For editors (`# yaml-language-server: $schema=…`). It knows less than the readers: not that a source exists, that dates
follow each other, that a pattern compiles. So what it refuses is wrong, and what it takes still has to be loaded.
"""

from __future__ import annotations

import functools
import json
import sys
from typing import Any

from limner_policy import (
    clauses,
    concept_reading,
    handling_reading,
    language,
    listing,
    shapes,
    thresholds,
    when,
    when_text,
)
from limner_policy.duties import KNOWN_DUTIES
from limner_policy.licences import claims, values
from limner_policy.list_files import MAX_LENGTH, SUFFIXES

Schema = dict[str, Any]

# Every scalar of a pack is the text as written; an editor sees numbers and booleans in some of them.
_SCALAR = ["string", "number", "boolean"]
_DAY = r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?$"


def policy_schema() -> Schema:
    """The schema of a policy file as JSON data; the same at every call."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Limner policy pack, language version 1",
        **schema_of(language.PACK),
        "$defs": {"when": _when()},
    }


def _when() -> Schema:
    properties = {name: schema_of(shape) for name, shape in when.PREDICATES.items()}
    return {
        "type": "object",
        "description": "One condition: a mapping with one key.",
        "properties": properties,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


@functools.singledispatch
def schema_of(shape: Any) -> Schema:
    """The schema of what a shape reads.

    Raises:
        TypeError: the shape is of a kind that has none yet.
    """
    raise TypeError(f"{type(shape).__name__} has no JSON Schema.")


@schema_of.register
def _(shape: shapes.Text) -> Schema:
    found: Schema = {"type": _SCALAR, "maxLength": shape.max_length}
    if not shape.may_be_empty:
        found["minLength"] = 1
    if shape.pattern:
        found |= {"pattern": f"^(?:{shape.pattern.pattern})$", "description": f"Has to be {shape.what}."}
    return found


@schema_of.register
def _(shape: shapes.Choice) -> Schema:
    return {"enum": list(shape.words)}


@schema_of.register
def _(_: shapes.Fraction) -> Schema:
    return {"type": ["number", "string"], "minimum": 0, "maximum": 1, "pattern": r"^(0(\.\d{1,6})?|1(\.0{1,6})?)$"}


@schema_of.register
def _(_: shapes.Amount) -> Schema:
    return {"type": ["number", "string"], "minimum": 0, "pattern": r"^(0|[1-9]\d{0,14})(\.\d{1,6})?$"}


@schema_of.register(shapes.Moment)
@schema_of.register(shapes.Day)
def _(_: Any) -> Schema:
    return {"type": "string", "pattern": _DAY, "description": "A day, or an instant such as 2026-12-02T00:00:00Z."}


@schema_of.register
def _(shape: shapes.ListOf) -> Schema:  # type: ignore[type-arg]
    return {"type": "array", "items": schema_of(shape.item), "minItems": 1, "maxItems": shape.at_most}


@schema_of.register
def _(shape: shapes.Record) -> Schema:  # type: ignore[type-arg]
    properties = {name: _described(key) for name, key in shape.keys.items()}
    required = sorted(name for name, key in shape.keys.items() if key.required)
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def _described(key: shapes.Key[Any]) -> Schema:
    found = schema_of(key.shape)
    return {**found, "description": key.help} if key.help else found


@schema_of.register(when.When)
@schema_of.register(when.Negation)
def _(_: Any) -> Schema:
    return {"$ref": "#/$defs/when"}


@schema_of.register
def _(shape: when.Several) -> Schema:
    return schema_of(shape.items)


@schema_of.register
def _(_: when_text.Re2) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": 1_000, "description": "An RE2 pattern, in single quotes."}


@schema_of.register
def _(shape: when_text.Within) -> Schema:
    number = _whole(0, when_text.MAX_WITHIN)
    return {"anyOf": [number, {"enum": list(shape.words)}]} if shape.words else number


def _whole(least: int, most: int) -> Schema:
    return {"type": ["integer", "string"], "minimum": least, "maximum": most, "pattern": r"^\d+$"}


@schema_of.register
def _(_: listing.Term) -> Schema:
    return {"type": _SCALAR, "minLength": 1, "maxLength": MAX_LENGTH}


@schema_of.register
def _(shape: listing.ListName) -> Schema:
    return {"type": _SCALAR, "minLength": 1, "description": f"The name of a list of {shape.what} under `lists`."}


@schema_of.register
def _(_: listing.Days) -> Schema:
    return _whole(1, 3_650)


@schema_of.register
def _(_: listing.Lists) -> Schema:
    one = schema_of(listing.LIST)
    kinds = [{"required": [name]} for name in ("file", "terms", "entities")]
    one["properties"]["file"]["pattern"] = rf"^[^/\\].*({'|'.join(suffix.replace('.', '[.]') for suffix in SUFFIXES)})$"
    return {"type": "object", "additionalProperties": {**one, "oneOf": kinds}, "maxProperties": listing.MAX_LISTS}


@schema_of.register
def _(_: concept_reading.Concepts) -> Schema:
    one = schema_of(concept_reading.CONCEPT)
    return {"type": "object", "additionalProperties": one, "maxProperties": concept_reading.MAX_CONCEPTS}


@schema_of.register
def _(_: concept_reading.Template) -> Schema:
    return {"type": "string", "pattern": r"^[^{}]*\{\}[^{}]*$", "maxLength": 200}


@schema_of.register
def _(shape: concept_reading.Decimals) -> Schema:
    least = {"exclusiveMinimum": 0} if shape.above_zero else {}
    return {"type": ["number", "string"], **least, "pattern": r"^-?(0|[1-9]\d{0,5})(\.\d{1,6})?$"}


@schema_of.register
def _(_: clauses.Sources) -> Schema:
    return {"type": "object", "additionalProperties": schema_of(clauses.SOURCE)}


@schema_of.register
def _(_: clauses.Basis) -> Schema:
    return {"anyOf": [schema_of(clauses.ID), schema_of(clauses.SOURCE)]}


@schema_of.register
def _(_: clauses.DutyShape) -> Schema:
    with_parameters = [
        {
            "type": "object",
            "properties": {name: {"type": "object", "properties": _texts(keys), "additionalProperties": False}},
            "additionalProperties": False,
            "required": [name],
        }
        for name, keys in KNOWN_DUTIES.items()
    ]
    return {"anyOf": [{"enum": list(KNOWN_DUTIES)}, *with_parameters]}


def _texts(names: tuple[str, ...]) -> Schema:
    return {name: schema_of(clauses.PROSE) for name in names}


@schema_of.register
def _(_: clauses.ScoreOrUnknown) -> Schema:
    return {"anyOf": [schema_of(shapes.Fraction()), {"const": "unknown"}]}


@schema_of.register
def _(_: language.Rules) -> Schema:
    return {"type": "array", "items": schema_of(language.RULE), "minItems": 1, "maxItems": language.MAX_RULES}


@schema_of.register
def _(_: values.Whole) -> Schema:
    return _whole(0, 10**15 - 1)


@schema_of.register
def _(_: values.Code) -> Schema:
    return {"type": "string", "description": "A country, a region of one, or EU: DE, US-CA."}


@schema_of.register
def _(_: clauses.HandlingName) -> Schema:
    return {**schema_of(clauses.NAME), "description": "The name of a handling of this pack."}


@schema_of.register
def _(_: handling_reading.Handlings) -> Schema:
    one = schema_of(handling_reading.HANDLING)
    return {"type": "object", "additionalProperties": one, "maxProperties": handling_reading.MAX_HANDLINGS}


@schema_of.register
def _(_: handling_reading.Days) -> Schema:
    return _whole(1, handling_reading.MAX_DAYS)


@schema_of.register
def _(_: thresholds.AtLeast) -> Schema:
    return {"anyOf": [schema_of(shapes.Fraction()), schema_of(thresholds.THRESHOLDS)]}


@schema_of.register
def _(_: thresholds.ByName) -> Schema:
    return {"type": "object", "additionalProperties": schema_of(shapes.Fraction()), "minProperties": 1}


@schema_of.register
def _(_: values.Words) -> Schema:
    return {"type": "array", "items": schema_of(values.NAME)}


@schema_of.register(type(claims.FIGURES))
def _(_: Any) -> Schema:
    found = schema_of(claims.ORGANISATION)
    found.pop("required")
    for name in ("as_of", "claimed_by"):
        del found["properties"][name]
    return found


def text() -> str:
    """The schema as the committed file holds it."""
    return json.dumps(policy_schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
