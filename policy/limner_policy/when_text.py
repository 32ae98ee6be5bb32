"""How conditions on words are written: terms, patterns, entities, words together. The rest of `when` is `when.py`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from limner_policy import yaml_reading as nodes
from limner_policy.conditions import (
    ALWAYS_NEAR,
    AMBIGUOUS_NEAR,
    TEXT_FIELDS,
    WITHIN_SENTENCE,
    WITHIN_TEXT,
    Entities,
    Pattern,
    Terms,
    Together,
)
from limner_policy.inflection import KINDS as INFLECTIONS
from limner_policy.listing import ListName, Term
from limner_policy.patterns import compile_pattern
from limner_policy.shapes import Choice, Key, ListOf, Notes, Reading, Record, Text, suggestion
from limner_policy.wordlists import WordList

MAX_TERMS = 50_000
MAX_WITHIN = 1_000

_FIELDS = ListOf(Choice(TEXT_FIELDS), "fields", len(TEXT_FIELDS))
_DEFAULT_FIELDS = ("prompt",)


def _terms(read: Reading) -> Terms:
    values = read.values
    if "any_of" not in values and "list" not in values:
        raise read.fail("needs `any_of` or `list`", "Write {any_of: [word, two words]}")
    return Terms(
        values.get("any_of", ()),
        values.get("fields", _DEFAULT_FIELDS),
        values.get("except", ()),
        (values["list"],) if "list" in values else (),
        values.get("inflect", ()),
    )


_TERM_KEYS: dict[str, Key[Any]] = {
    "any_of": Key(ListOf(Term(), "terms", MAX_TERMS)),
    "list": Key(ListName("terms")),
    "except": Key(ListOf(Term(), "phrases", MAX_TERMS)),
    "inflect": Key(ListOf(Choice(INFLECTIONS), "kinds of forms", len(INFLECTIONS))),
}
TERMS = Record("terms", {**_TERM_KEYS, "fields": Key(_FIELDS)}, _terms)


class Re2:
    """An RE2 expression that compiles and does not match everything."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> str:
        """Read it."""
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


RE2 = Record("a pattern", {"pattern": Key(Re2(), required=True), "fields": Key(_FIELDS)}, _pattern)


@dataclass(frozen=True)
class Within:
    """A number of words from 0 to 1000, or one of some words."""

    words: tuple[str, ...] = ()

    def read(self, node: nodes.Node, path: str, notes: Notes) -> int | str:
        """Read it."""
        text = Text("a number of words").read(node, path, notes)
        if text in self.words:
            return text
        if not re.fullmatch(r"0|[1-9]\d{0,3}", text, re.ASCII) or int(text) > MAX_WITHIN:
            other = f" or {' or '.join(self.words)}" if self.words else ""
            raise notes.fail(node, path, f"has to be a number of words from 0 to {MAX_WITHIN}{other}")
        return int(text)


def _entities(read: Reading) -> Entities:
    values = read.values
    one: WordList = values["list"]
    near, unless = values.get("near", ()), values.get("unless_near", ())
    if "within" in values and not (near or unless or any(row.near or row.unless_near for row in one.entities)):
        raise read.fail("has `within` and nothing to be near", "Add `near` or `unless_near`, or delete `within`")
    if "near_for" in values and not near:
        raise read.fail("has `near_for` and no `near`", "Add `near`, or delete `near_for`")
    known = {row.kind for row in one.entities if row.kind}
    for kind in values.get("kinds", ()):
        if one.entities and kind not in known:
            raise read.fail(f"no entity of the list has the kind {kind}", suggestion(kind, known))
    return Entities(
        lists=(one,),
        fields=values.get("fields", _DEFAULT_FIELDS),
        kinds=values.get("kinds", ()),
        near=near,
        unless_near=unless,
        within=values.get("within", 6),
        near_for=values.get("near_for", ALWAYS_NEAR),
    )


_CONTEXT = ListOf(Term(), "words or phrases", 1_000)
ENTITY = Record(
    "a condition on entities",
    {
        "list": Key(ListName("entities"), required=True),
        "kinds": Key(ListOf(Text("a kind", 200), "kinds", 100)),
        "near": Key(_CONTEXT),
        "unless_near": Key(_CONTEXT),
        "within": Key(Within()),
        "near_for": Key(Choice((ALWAYS_NEAR, AMBIGUOUS_NEAR))),
        "fields": Key(_FIELDS),
    },
    _entities,
)


def _part(read: Reading) -> Terms | Pattern:
    if "pattern" not in read.values:
        return _terms(read)
    if len(read.values) > 1:
        raise read.fail("is a pattern or words, not both", "Make two parts of it, or put both into the pattern")
    return _pattern(read)


PART = Record("a part", {**_TERM_KEYS, "pattern": Key(Re2())}, _part)


def _together(read: Reading) -> Together:
    parts: tuple[Terms | Pattern, ...] = read.values["parts"]
    if len(parts) < 2:
        raise read.fail("needs two parts at least", "Use `terms` or `re2` for one")
    fields = read.values.get("fields", _DEFAULT_FIELDS)
    return Together(tuple(replace(part, fields=fields) for part in parts), fields, read.values["within"])


TOGETHER = Record(
    "a condition on words together",
    {
        "parts": Key(ListOf(PART, "parts", 8), required=True),
        "within": Key(Within((WITHIN_SENTENCE, WITHIN_TEXT)), required=True),
        "fields": Key(_FIELDS),
    },
    _together,
)
