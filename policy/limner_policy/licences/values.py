"""Kinds of values that only licence facts have: ids, amounts, quotes, codes of places. Knows no keys and no files."""

from __future__ import annotations

import re
from dataclasses import dataclass

from limner_policy import yaml_reading as nodes
from limner_policy.licences.territory import is_code
from limner_policy.shapes import Choice, ListOf, Notes, Text

MAX_QUOTE_WORDS = 25

SUBJECT_ID = Text("a name of letters, digits and . _ / : @ + -", 200, re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@+-]*"))
LICENCE_ID = Text("a licence id of letters, digits and . + -", 120, re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*"))
NAME = Text("a name of small letters, digits and -", 64, re.compile(r"[a-z0-9][a-z0-9-]*"))
PROSE = Text("a text", 2_000)
HELD = ListOf(NAME, "names of what may be held", 20)
SHA256 = Text("a SHA-256 of 64 small hex digits", 64, re.compile(r"[0-9a-f]{64}"))
YES_NO = Choice(("yes", "no"))


@dataclass(frozen=True)
class Whole:
    """A whole number from 0 on, written in digits alone."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> int:
        """Read it."""
        text = Text("a whole number").read(node, path, notes)
        if not re.fullmatch(r"0|[1-9]\d{0,14}", text, re.ASCII):
            raise notes.fail(node, path, "has to be a whole number", "Write the digits alone, such as 1000000")
        return int(text)


@dataclass(frozen=True)
class Quote:
    """Words of the source itself, few enough to be a quotation."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> str:
        """Read it."""
        text = " ".join(PROSE.read(node, path, notes).split())
        if (count := len(text.split())) > MAX_QUOTE_WORDS:
            remedy = f"Quote at most {MAX_QUOTE_WORDS} words, with … for what is left out"
            raise notes.fail(node, path, f"has {count} words", remedy, show=False)
        return text


@dataclass(frozen=True)
class Code:
    """A country, a region of one, or EU, as a code."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> str:
        """Read it."""
        text = Text("the code of a country or region").read(node, path, notes)
        if not is_code(text):
            raise notes.fail(node, path, "is no code of a country or region", "Write DE, US-CA or EU")
        return text.upper()


@dataclass(frozen=True)
class Words:
    """A list of names that may be empty."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> tuple[str, ...]:
        """Read it."""
        if isinstance(node, nodes.Sequence) and not node.items:
            return ()
        return HELD.read(node, path, notes)
