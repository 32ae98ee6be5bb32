"""How a pack's `concepts:` are written, and how rules name them.

Knows the shapes of YAML values, no picture and no model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

from limner_policy import yaml_reading as nodes
from limner_policy.clauses import LINE
from limner_policy.concepts import CONCEPT_DETECTORS, PLACE, Calibration, Concept
from limner_policy.conditions import Condition, EvidenceAtLeast, walk
from limner_policy.listing import NAME
from limner_policy.pack import Example
from limner_policy.shapes import Key, ListOf, Notes, Reading, Record, Text, Unreadable, suggestion

MAX_CONCEPTS = 200
MAX_PROMPTS = 100
MAX_TEMPLATES = 20

_SHA256 = Text("a SHA-256 of 64 small hex digits", 64, re.compile(r"[0-9a-f]{64}"))
_PROMPTS = ListOf(Text("a few words", 200), "prompts", MAX_PROMPTS)


class Template:
    """A sentence with one `{}` in it, where the prompt goes."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> str:
        """Read it."""
        text = Text("a sentence with {} in it", 200).read(node, path, notes)
        if text.count(PLACE) != 1 or "{" in text.replace(PLACE, "") or "}" in text.replace(PLACE, ""):
            raise notes.fail(node, path, "needs {} once, where the prompt goes", 'Write "a picture of {}"')
        return text


@dataclass(frozen=True)
class Decimals:
    """A number in digits, with a sign and up to 6 decimals; exact."""

    what: str
    above_zero: bool = False

    def read(self, node: nodes.Node, path: str, notes: Notes) -> Decimal:
        """Read it."""
        text = Text(self.what).read(node, path, notes)
        if not re.fullmatch(r"-?(0|[1-9]\d{0,5})(\.\d{1,6})?", text, re.ASCII):
            raise notes.fail(node, path, f"has to be {self.what} with at most 6 decimals", 'Write it as "12.5"')
        value = Decimal(text)
        if self.above_zero and value <= 0:
            # A scale of 0 gives every picture one score, and one below 0 calls what looks like it harmless.
            raise notes.fail(node, path, "has to be above 0", 'Write it as "12.5"')
        return value


CALIBRATION = Record(
    "a calibration",
    {
        "weights": Key(_SHA256, required=True, help="The detector's digest, as its evidence carries it."),
        "scale": Key(Decimals("a number", above_zero=True), required=True),
        "offset": Key(Decimals("a number"), required=True),
        "evaluation": Key(LINE, help="The id of the evaluation that it was fitted in."),
        "prompts": Key(_SHA256, help="SHA-256 of the wording that it was fitted for; another wording is an error."),
    },
    lambda read: Calibration(**read.values),
)


def _concept(read: Reading) -> Concept:
    values = read.values
    for kind in ("positive", "contrast", "templates"):
        _check_once(read, kind)
    both = set(values["positive"]) & set(values.get("contrast", ()))
    if both:
        raise read.fail(f"{min(both)!r} is both a positive and a contrast prompt", "Delete it in one of them")
    found = Concept("", **values)
    if found.calibration and found.calibration.prompts not in ("", found.prompts_sha256):
        told = f"the prompts have changed since the calibration; their SHA-256 is {found.prompts_sha256} now"
        raise read.fail(told, "Calibrate again (`limner safety eval`), or delete `calibration`")
    return found


def _check_once(read: Reading, kind: str) -> None:
    given = read.values.get(kind, ())
    if len(set(given)) < len(given):
        raise read.fail(f"`{kind}` holds {max(given, key=given.count)!r} twice", "Delete one of them")


CONCEPT = Record(
    "a concept",
    {
        "positive": Key(_PROMPTS, required=True, help="What it looks like, in a few words each."),
        "contrast": Key(_PROMPTS, help="What is easily taken for it, and what pictures show otherwise."),
        "templates": Key(
            ListOf(Template(), "templates", MAX_TEMPLATES), help='Sentences around each prompt: "a picture of {}".'
        ),
        "calibration": Key(CALIBRATION, help="From an evaluation; it holds for one model's weights."),
    },
    _concept,
)


class Missing(NamedTuple):
    """A concept that is named and not there, as `Notes.add` takes it."""

    node: nodes.Node
    path: str
    message: str
    remedy: str


class Concepts:
    """The concepts by name."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> dict[str, Concept]:
        """Read them."""
        if not isinstance(node, nodes.Mapping):
            raise notes.fail(node, path, "has to be concepts by name: a mapping")
        if len(node.pairs) > MAX_CONCEPTS:
            told = f"has {len(node.pairs)} concepts and may have {MAX_CONCEPTS}"
            raise notes.fail(node, path, told, "Split the pack", show=False)
        found: dict[str, Concept] = {}
        for key, child in node.pairs:
            # The name stays known even where the concept is broken, so that whoever refers to it is not blamed too.
            found[key.text] = Concept(key.text)
            try:
                name = NAME.read(key, path, notes)
                found[name] = replace(CONCEPT.read(child, f"{path}.{name}", notes), name=name)
            except Unreadable:
                continue
        return found


def check_named(
    rule: nodes.Mapping, path: str, named: Iterable[tuple[str, Iterable[tuple[str, str]]]], known: Iterable[str]
) -> Iterator[Missing]:
    """Give every concept that a rule names and its pack does not have.

    Args:
        rule: the rule's node.
        path: where it stands.
        named: each of its keys with the detectors and categories that are named there.
        known: the pack's concepts.
    """
    known = tuple(known)
    for key, pairs in named:
        for detector, category in dict.fromkeys(pairs):
            if detector in CONCEPT_DETECTORS and category not in known:
                remedy = f"Add it under `concepts`. {suggestion(category, known)}"
                told = f"names no concept of this pack: {category}"
                yield Missing(_place(rule, key, category), f"{path}.{key}", told, remedy.strip())


def named_in(when: Condition, examples: Iterable[Example]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The detectors and categories that a condition asks for, and those that examples give scores of, by key."""
    asked = [(node.detector, node.category) for node in walk(when) if isinstance(node, EvidenceAtLeast)]
    return [("when", asked), ("examples", [score for example in examples for score in example.scores])]


def _place(rule: nodes.Mapping, key: str, category: str) -> nodes.Node:
    """Where the category stands; the whole clause where it is not found."""
    clause = next(value for name, value in rule.pairs if name.text == key)
    return next((node for node in _categories(clause) if node.text == category), clause)


def _categories(node: nodes.Node) -> Iterator[nodes.Scalar]:
    if isinstance(node, nodes.Sequence):
        for item in node.items:
            yield from _categories(item)
    elif isinstance(node, nodes.Mapping):
        for key, value in node.pairs:
            if key.text == "category" and isinstance(value, nodes.Scalar):
                yield value
            else:
                yield from _categories(value)
