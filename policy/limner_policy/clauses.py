"""The clauses of the policy language, version 1: dates, sources, outcomes with duties, examples.

Declares what values they have and builds them; whole rules and packs are `language.py`.
"""

from __future__ import annotations

import itertools
import re
from datetime import datetime

from limner_policy import yaml_reading as nodes
from limner_policy.amounts import INPUT_KINDS
from limner_policy.conditions import FACTS
from limner_policy.duties import KNOWN_DUTIES
from limner_policy.licences.claims import FIGURES
from limner_policy.pack import Effective, Example, Source
from limner_policy.shapes import (
    Amount,
    Choice,
    Day,
    Fraction,
    Key,
    ListOf,
    Moment,
    Notes,
    Reading,
    Record,
    Text,
    Unreadable,
    suggestion,
)
from limner_policy.verdicts import Duty, Verdict

ID = Text("an id of letters, digits, - _ and .", 64, re.compile(r"[A-Za-z][A-Za-z0-9._-]*"))
NAME = Text("a name of small letters, digits and -", 64, re.compile(r"[a-z0-9][a-z0-9-]*"))
LINE = Text("a text", 200)
PROSE = Text("a text", 2_000)
MODES = ("off", "audit", "warn", "enforce")
VERDICT = Choice(tuple(verdict.value for verdict in Verdict))


def _effective(read: Reading) -> Effective:
    start, until = read.values.get("from"), read.values.get("until")
    if start and until and until <= start:
        raise read.fail("ends before it begins", "`until` has to lie after `from`")
    return Effective(start, until)


EFFECTIVE = Record("the dates", {"from": Key(Moment()), "until": Key(Moment())}, _effective)


def _source(read: Reading) -> Source:
    if "url" in read.values and "read" not in read.values:
        raise read.fail("has a url and no `read`", "Add the day on which it was read")
    return Source(**read.values)


SOURCE = Record(
    "a source",
    {
        "cite": Key(PROSE, required=True),
        "url": Key(PROSE),
        "read": Key(Day()),
        "quote": Key(PROSE),
        "via": Key(PROSE),
    },
    _source,
)


def _mode_from(read: Reading) -> tuple[tuple[datetime, str], ...]:
    ordered = sorted((start, mode) for mode, start in read.values.items())
    for (start, mode), (other, twin) in itertools.pairwise(ordered):
        if start == other:
            raise read.fail(f"{mode} and {twin} begin at the same instant", "Give each its own date, or delete one")
    if not ordered:
        raise read.fail("names no mode", "Write {enforce: 2027-01-15}")
    return tuple(ordered)


MODE_FROM = Record("the dates of modes", {mode: Key(Moment()) for mode in MODES}, _mode_from)


class Sources:
    """A mapping from free names to sources."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> dict[str, Source]:
        """Read them."""
        if not isinstance(node, nodes.Mapping):
            raise notes.fail(node, path, "has to be sources by name: a mapping")
        found: dict[str, Source] = {}
        for key, child in node.pairs:
            try:
                found[ID.read(key, path, notes)] = SOURCE.read(child, f"{path}.{key.text}", notes)
            except Unreadable:
                # Noted already. The name stays known, so that whoever refers to it is not blamed too.
                found[key.text] = Source(key.text)
        return found


class Basis:
    """A source's name, kept with its place until the sources are known, or a citation written out."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> tuple[nodes.Node, str, Source | str]:
        """Read it."""
        if isinstance(node, nodes.Mapping):
            return node, path, SOURCE.read(node, path, notes)
        return node, path, ID.read(node, path, notes)


class DutyShape:
    """A duty's name, or its name with parameters: `{visible_label: {text: AI}}`."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> Duty:
        """Read it."""
        if isinstance(node, nodes.Scalar):
            return Duty(self._name(node, path, notes))
        if not isinstance(node, nodes.Mapping) or len(node.pairs) != 1:
            raise notes.fail(node, path, "has to be one duty", "Write `name` or `{name: {parameter: value}}`")
        key, params = node.pairs[0]
        name = self._name(key, path, notes)
        keys = {param: Key(PROSE) for param in KNOWN_DUTIES[name]}
        shape = Record(f"the parameters of {name}", keys, lambda read: Duty(name, tuple(sorted(read.values.items()))))
        return shape.read(params, f"{path}.{name}", notes)

    @staticmethod
    def _name(node: nodes.Scalar, path: str, notes: Notes) -> str:
        if node.text not in KNOWN_DUTIES:
            raise notes.fail(node, path, "is no known duty", suggestion(node.text, KNOWN_DUTIES))
        return node.text


class HandlingName:
    """The name of a handling, kept with its place until the pack's are known."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> tuple[nodes.Node, str, str]:
        """Read it."""
        return node, path, NAME.read(node, path, notes)


Then = tuple[Verdict, tuple[Duty, ...], tuple[nodes.Node, str, str] | None]


def _then(read: Reading) -> Then:
    verdict, duties = Verdict(read.values["verdict"]), read.values.get("duties", ())
    handling = read.values.get("handling")
    if handling and verdict is not Verdict.DENY:
        raise read.fail(
            f"`{verdict}` has no handling of denied pictures", "Write `verdict: deny`, or delete `handling`"
        )
    if verdict is Verdict.ALLOW and duties:
        raise read.fail("`allow` has no duties", "Write allow_with_duties, or delete them")
    if verdict is Verdict.ALLOW_WITH_DUTIES and not duties:
        raise read.fail("`allow_with_duties` names no duty", "Add `duties: […]`")
    return verdict, duties, handling


THEN = Record(
    "the outcome",
    {
        "verdict": Key(VERDICT, required=True),
        "duties": Key(ListOf(DutyShape(), "duties", 50)),
        "handling": Key(HandlingName(), help="A name under `handling`: what becomes of the pictures."),
    },
    _then,
)


class ScoreOrUnknown:
    """A score from 0 to 1, or the word unknown."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> str | None:
        """Read it."""
        if isinstance(node, nodes.Scalar) and node.text == "unknown":
            return None
        return Fraction().read(node, path, notes)


EXAMPLE_SCORE = Record(
    "a score",
    {
        "detector": Key(NAME, required=True),
        "category": Key(LINE, required=True),
        "score": Key(ScoreOrUnknown(), required=True),
    },
    lambda read: ((read.values["detector"], read.values["category"]), read.values["score"]),
)
EXAMPLE_AMOUNTS = ("n", "steps", "guidance_scale", "strength")
_SIZE = Text("a size such as 1024x768", 19, re.compile(r"\d{1,9}x\d{1,9}", re.ASCII))
_EXAMPLE_TEXT = Text("a text", 20_000, may_be_empty=True)


def _example(read: Reading) -> Example:
    facts = dict(read.values)
    expect, scores, as_of = facts.pop("expect"), dict(facts.pop("evidence", ())), facts.pop("as_of", None)
    parts, organisation = facts.pop("parts", ()), facts.pop("organisation", {})
    tags, inputs = facts.pop("tags", ()), facts.pop("inputs", ())
    facts |= {name: str(facts[name]) for name in EXAMPLE_AMOUNTS if name in facts}
    return Example(
        Verdict(expect),
        facts,
        scores,
        as_of,
        read.node.line,
        parts,
        tags=tags,
        inputs=inputs,
        organisation=organisation,
    )


EXAMPLE = Record(
    "an example",
    {
        "expect": Key(VERDICT, required=True),
        "prompt": Key(_EXAMPLE_TEXT),
        "negative_prompt": Key(_EXAMPLE_TEXT),
        "evidence": Key(ListOf(EXAMPLE_SCORE, "scores", 100)),
        "as_of": Key(Moment()),
        "parts": Key(ListOf(LINE, "names", 50)),
        "organisation": Key(FIGURES),
        **{fact: Key(LINE) for fact in FACTS},
        "tags": Key(ListOf(LINE, "tags", 50)),
        "inputs": Key(ListOf(Choice(INPUT_KINDS), "kinds of pictures", len(INPUT_KINDS))),
        "size": Key(_SIZE),
        **{name: Key(Amount()) for name in EXAMPLE_AMOUNTS},
    },
    _example,
)
