"""Small readers that turn YAML nodes into typed values and collect every mistake with its place.

Knows YAML nodes and kinds of values, not what a policy is: the language is written with these in `language.py`.
A reader either returns its value or notes a problem and raises `Unreadable`, which the enclosing reader absorbs.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Generic, Protocol, TypeVar

from limner_policy import yaml_reading as nodes
from limner_policy.errors import Problem
from limner_policy.wordlists import WordList

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Unreadable(Exception):
    """The problem has been noted already."""


@dataclass
class Notes:
    """The problems of one file, and where in it one stands (`path`, as `rules[0].then`)."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    lists: dict[str, WordList] = field(default_factory=dict)
    """The pack's lists by name, for whoever refers to them."""

    def add(self, node: nodes.Node, path: str, message: str, remedy: str = "", *, show: bool = True) -> None:
        """Note one problem at `node`, with its value unless `show` is off."""
        value = shown(node) if show else ""
        self.problems.append(Problem(self.file, node.line, node.column, path, message, value, remedy))

    def fail(self, node: nodes.Node, path: str, message: str, remedy: str = "", *, show: bool = True) -> Unreadable:
        """Note the problem and give the signal to raise."""
        self.add(node, path, message, remedy, show=show)
        return Unreadable()


class Shape(Protocol[T_co]):
    """Reads one kind of value."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> T_co:
        """The value at `node`; raises `Unreadable` after noting why there is none."""
        ...


def shown(node: nodes.Node) -> str:
    """A value as a message shows it: at most 60 characters."""
    if isinstance(node, nodes.Scalar):
        text = repr(node.text) if node.quoted or not node.text else node.text
        return text if len(text) <= 60 else text[:57] + "…"
    return "a list" if isinstance(node, nodes.Sequence) else "a mapping"


def suggestion(word: str, known: Iterable[str]) -> str:
    """“Did you mean …?” with the nearest known word, or the list of known words where none is near."""
    words = sorted(known)
    if near := near_word(word, words):
        return f"Did you mean {near}?"
    return f"Known: {', '.join(words)}" if words else ""


def near_word(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` is most likely a slip of."""
    by_fold = {known_word.casefold(): known_word for known_word in sorted(known)}
    near = difflib.get_close_matches(word.casefold()[:64], by_fold, n=1, cutoff=0.6)
    return by_fold[near[0]] if near else None


@dataclass(frozen=True)
class Text:
    """A text, exactly as written. `~`, `null` and nothing at all are no texts."""

    what: str = "a text"
    max_length: int = 2_000
    pattern: re.Pattern[str] | None = None
    may_be_empty: bool = False

    def read(self, node: nodes.Node, path: str, notes: Notes) -> str:
        """Read it."""
        if not isinstance(node, nodes.Scalar):
            raise notes.fail(node, path, f"has to be {self.what}", "Quote it if it holds : # [ or {")
        absent = not node.quoted and node.text in ("", "~", "null")
        if absent or (not node.text.strip() and not self.may_be_empty):
            raise notes.fail(node, path, f"is empty and has to be {self.what}", "Write it, or delete the key")
        if len(node.text) > self.max_length:
            limit = f"at most {self.max_length:,} characters"
            raise notes.fail(node, path, f"has {len(node.text):,} characters and may have {limit}", "Shorten it")
        if self.pattern and not self.pattern.fullmatch(node.text):
            raise notes.fail(node, path, f"has to be {self.what}")
        return node.text


@dataclass(frozen=True)
class Choice:
    """One word of a closed list."""

    words: tuple[str, ...]

    def read(self, node: nodes.Node, path: str, notes: Notes) -> str:
        """Read it."""
        if isinstance(node, nodes.Scalar) and node.text in self.words:
            return node.text
        remedy = f"Write one of: {', '.join(self.words)}"
        if not isinstance(node, nodes.Scalar) or not node.text:
            raise notes.fail(node, path, "has to be one word", remedy)
        if not node.quoted and node.text.casefold() in ("yes", "no", "true", "false", "on", "off"):
            told = "is a plain word here, as there are no booleans, and none of this list"
            raise notes.fail(node, path, told, remedy)
        near = near_word(node.text, self.words)
        raise notes.fail(node, path, "is not a word of this list", f"Did you mean {near}? {remedy}" if near else remedy)


@dataclass(frozen=True)
class Fraction:
    """A number from 0 to 1 with at most 6 decimals, kept as the text of 6 decimals."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> str:
        """Read it."""
        text = Text("a number from 0 to 1").read(node, path, notes)
        if not re.fullmatch(r"0(\.\d{1,6})?|1(\.0{1,6})?", text, re.ASCII):
            raise notes.fail(node, path, "has to be a number from 0 to 1 with at most 6 decimals", 'Write it as "0.80"')
        whole, _, decimals = text.partition(".")
        return f"{whole}.{decimals:0<6}"


@dataclass(frozen=True)
class Amount:
    """A number from 0 on in digits, with at most 6 decimals; exact."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> Decimal:
        """Read it."""
        text = Text("a number").read(node, path, notes)
        if not re.fullmatch(r"(0|[1-9]\d{0,14})(\.\d{1,6})?", text, re.ASCII):
            raise notes.fail(node, path, "has to be a number from 0 on", "Write the digits alone, such as 1024 or 7.5")
        return Decimal(text)


@dataclass(frozen=True)
class Moment:
    """A day (its first instant, UTC) or an instant such as 2026-12-02T00:00:00Z."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> datetime:
        """Read it."""
        text = Text("a date").read(node, path, notes)
        try:
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
                return datetime.combine(date.fromisoformat(text), datetime.min.time(), tzinfo=UTC)
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", text, re.ASCII):
                return datetime.fromisoformat(text)
        except ValueError as error:
            raise notes.fail(node, path, f"is no date of the calendar: {error}") from None
        raise notes.fail(node, path, "has to be a date", "Write 2026-12-02 or 2026-12-02T00:00:00Z (UTC)")


@dataclass(frozen=True)
class Day:
    """A calendar day, kept as its text."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> str:
        """Read it."""
        return Moment().read(node, path, notes).date().isoformat()


@dataclass(frozen=True)
class ListOf(Generic[T]):
    """A list of one kind of value, at least one and at most `at_most`.

    A broken item spoils the list and not its peers' problems; a `tolerant` list is what could be read.
    """

    item: Shape[T]
    what: str = "a list"
    at_most: int = 1_000
    tolerant: bool = False

    def read(self, node: nodes.Node, path: str, notes: Notes) -> tuple[T, ...]:
        """Read it."""
        if not isinstance(node, nodes.Sequence):
            raise notes.fail(node, path, f"has to be {self.what}", "Write [one, two] or one `- item` a line")
        if not 1 <= len(node.items) <= self.at_most:
            raise notes.fail(node, path, f"has {len(node.items)} items and may have 1 to {self.at_most:,}", show=False)
        values: list[T] = []
        broken = False
        for index, item in enumerate(node.items):
            try:
                values.append(self.item.read(item, f"{path}[{index}]", notes))
            except Unreadable:
                broken = True
        if broken and not self.tolerant:
            raise Unreadable
        return tuple(values)


@dataclass(frozen=True)
class Reading:
    """A mapping as read: where it stands, and its values by key."""

    node: nodes.Mapping
    values: dict[str, Any]
    path: str
    notes: Notes

    def fail(self, message: str, remedy: str = "") -> Unreadable:
        """Note a problem of the mapping as a whole and give the signal to raise."""
        return self.notes.fail(self.node, self.path, message, remedy, show=False)


@dataclass(frozen=True)
class Key(Generic[T]):
    """One key of a record."""

    shape: Shape[T]
    required: bool = False
    help: str = ""
    """One line for editors."""


@dataclass(frozen=True)
class Record(Generic[T]):
    """A mapping with a closed set of keys; `build` makes the value of what was read.

    A `tolerant` record is built of what could be read, so that checks across its parts still run; the problems stand.
    """

    what: str
    keys: Mapping[str, Key[Any]]
    build: Callable[[Reading], T]
    tolerant: bool = False

    def read(self, node: nodes.Node, path: str, notes: Notes) -> T:
        """Read it."""
        if not isinstance(node, nodes.Mapping):
            raise notes.fail(node, path, f"has to be {self.what}: a mapping", f"Known keys: {', '.join(self.keys)}")
        values: dict[str, Any] = {}
        broken = self._missing(node, path, notes)
        for key, child in node.pairs:
            at = f"{path}.{key.text}" if path else key.text
            if key.text not in self.keys:
                notes.add(key, at, "is not a key here", suggestion(key.text, self.keys), show=False)
                broken = True
                continue
            try:
                values[key.text] = self.keys[key.text].shape.read(child, at, notes)
            except Unreadable:
                broken = True
        if broken and not self.tolerant:
            raise Unreadable
        return self.build(Reading(node, values, path, notes))

    def _missing(self, node: nodes.Mapping, path: str, notes: Notes) -> bool:
        there = {key.text for key, _ in node.pairs}
        missing = [name for name, key in self.keys.items() if key.required and name not in there]
        # A misspelt key is told once, where it stands, and not as missing too.
        misspelt = {near_word(word, self.keys) for word in there - set(self.keys)}
        told = [f"`{name}`" for name in missing if name not in misspelt]
        if told:
            notes.add(node, path, f"{self.what} has no {', '.join(told)}", "Add what is missing", show=False)
        return bool(missing)
