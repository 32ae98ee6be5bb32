"""Turns the bytes of one YAML 1.2 file into a tree of nodes with places, within bounded time and memory.

Knows YAML and nothing of policies: every scalar stays the text that was written (`NO` is "NO"), its reader types it.
Anchors, aliases, tags, directives, merge keys and second documents are refused where they stand, so no file can expand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from limner_policy.errors import PolicyFileError, Problem

MAX_BYTES = 1_048_576
MAX_DEPTH = 24
MAX_NODES = 200_000

# ruamel counts these as line ends, editors do not: a place would be reported on a wrong line.
# A reviewer would see other words than those that are compared.
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ODD_BREAK = re.compile("[\x85\u2028\u2029]|\r(?!\n)")


@dataclass(frozen=True, slots=True)
class Node:
    """Where something stands: lines and columns count from 1, `last_line` is the last line with content."""

    line: int
    column: int
    last_line: int


@dataclass(frozen=True, slots=True)
class Scalar(Node):
    """One text exactly as written; `quoted` says whether quotes or a block style stood around it."""

    text: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Sequence(Node):
    """A list."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Mapping(Node):
    """Keys and values in the order of the file; keys are unique."""

    pairs: tuple[tuple[Scalar, Node], ...]


class _Refused(Exception):
    """What follows cannot be read any more."""


def read_yaml(data: bytes, *, file: str) -> tuple[Node | None, list[Problem]]:
    """Read one document.

    Args:
        data: the file's bytes, UTF-8 (a byte order mark and CRLF line ends are accepted), at most `MAX_BYTES`.
        file: the name to report.

    Returns:
        The root node and the problems found. The root is None where reading could not go on to the end.
    """
    reader = _Reader(file)
    try:
        return reader.document(reader.decode(data)), reader.problems
    except _Refused:
        return None, reader.problems


def read_yaml_strictly(data: bytes, *, file: str) -> Node:
    """As `read_yaml`, but any problem is an error.

    Raises:
        PolicyFileError: with all problems.
    """
    root, problems = read_yaml(data, file=file)
    if problems or root is None:
        raise PolicyFileError(problems)
    return root


class _Reader:
    """One pass over the parser's events."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.nodes = 0
        self.lines: list[str] = []

    def refuse(self, line: int, column: int, message: str, remedy: str = "", value: str = "") -> None:
        self.problems.append(Problem(self.file, line, column, "", message, value, remedy))

    def decode(self, data: bytes) -> str:
        if len(data) > MAX_BYTES:
            self.refuse(
                1, 1, f"the file has {len(data):,} bytes and may have {MAX_BYTES:,}", "Split it into several files"
            )
            raise _Refused
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            self.refuse(1, 1, "the file is UTF-16", "Save it as UTF-8")
            raise _Refused
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = data[: error.start].decode()
            self.refuse(*_place(before, len(before)), "the file is not UTF-8 here", "Save it as UTF-8")
            raise _Refused from None
        if odd := _ODD_BREAK.search(text):
            place = _place(text, odd.start())
            self.refuse(*place, f"line ends like U+{ord(odd[0]):04X} are not accepted", "Use LF or CRLF")
            raise _Refused
        if turning := _TURNING.search(text):
            place, code = _place(text, turning.start()), f"{ord(turning[0]):04X}"
            told = f"the sign U+{code} is not shown and turns the text behind it round"
            self.refuse(*place, told, f'Delete it; in an example write "\\u{code.lower()}" in double quotes')
            raise _Refused
        return text

    def document(self, text: str) -> Node | None:
        self.lines = text.split("\n")
        events = self.events(text)
        root: Node | None = None
        documents = 0
        for event in events:
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    self.at(event, "a second document begins here", "Put it into a file of its own")
                    raise _Refused
                if event.version or event.tags:
                    self.refuse(1, 1, "YAML directives (%…) are not accepted", "Delete the lines before ---")
                    raise _Refused
            elif kind.startswith(("Scalar", "Sequence", "Mapping", "Alias")):
                root = self.node(event, events, 1)
        if root is None and not self.problems:
            self.refuse(1, 1, "the file is empty", "A pack begins with policy, version, title, owner and rules")
        return root

    def events(self, text: str) -> Iterator[Any]:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        yaml = YAML(typ="safe", pure=True)
        try:
            yield from yaml.parse(text)
        except MarkedYAMLError as error:
            self.syntax(error)
            raise _Refused from None
        except (YAMLError, ValueError, RecursionError) as error:
            position = getattr(error, "position", 0)
            place = _place(text, position if isinstance(position, int) else 0)
            self.refuse(*place, "a character that YAML does not allow, or text it cannot read", "Delete it")
            raise _Refused from None

    def syntax(self, error: Any) -> None:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = str(error.problem or error.context)
        if "\\t" in problem:
            self.refuse(line, column, "a tab stands where only spaces may", "Indent with spaces")
        elif "mapping values are not allowed" in problem:
            self.refuse(line, column, "a colon stands where no key can be", "Quote the text, or indent it correctly")
        else:
            context = f" {error.context}" if error.context and error.problem else ""
            self.refuse(line, column, f"this is not YAML:{context} {problem}", "Check quotes, brackets and indentation")

    def at(self, event: Any, message: str, remedy: str, value: str = "") -> None:
        self.refuse(event.start_mark.line + 1, event.start_mark.column + 1, message, remedy, value)

    def node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            bound = f"{MAX_NODES:,} values" if self.nodes > MAX_NODES else f"{MAX_DEPTH} levels of nesting"
            self.at(event, f"the file has more than {bound}", "Split or flatten it")
            raise _Refused
        self.no_sharing(event)
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        kind = type(event).__name__
        if kind == "SequenceStartEvent":
            return self.sequence(line, column, events, depth)
        if kind == "MappingStartEvent":
            return self.mapping(line, column, events, depth)
        text = getattr(event, "value", "")
        quoted = getattr(event, "style", None) is not None
        if half := _SURROGATE.search(text):
            told = f"\\u{ord(half[0]):04x} is half a character, which no text can hold"
            self.at(event, told, "Write the character itself, or \\U and eight digits")
        return Scalar(line, column, self.last_line(event), text, quoted)

    def last_line(self, event: Any) -> int:
        """The scalar's last line with content: a block's end mark lies behind its blank lines and comments."""
        start, end = int(event.start_mark.line), int(event.end_mark.line)
        if getattr(event, "style", None) not in ("|", ">"):
            return end + 1
        block = self.lines[start + 1 : end + (event.end_mark.column > 0)]
        indent = next((_indent(text) for text in block if text.strip()), 0)
        while block and (not block[-1].strip() or _indent(block[-1]) < indent):
            block.pop()
        return start + 1 + len(block)

    def no_sharing(self, event: Any) -> None:
        alias = type(event).__name__ == "AliasEvent"
        if event.anchor:
            sign = "*" if alias else "&"
            word = "aliases" if alias else "anchors"
            self.at(event, f"{word} ({sign}name) are not accepted", "Write the value out", f"{sign}{event.anchor}")
        if getattr(event, "tag", None):
            self.at(event, "tags (!name) are not accepted", "Delete the tag and quote the text", str(event.tag))

    def sequence(self, line: int, column: int, events: Iterator[Any], depth: int) -> Sequence:
        items: list[Node] = []
        for event in events:
            if type(event).__name__ == "SequenceEndEvent":
                break
            items.append(self.node(event, events, depth + 1))
        return Sequence(line, column, max([line, *(item.last_line for item in items)]), tuple(items))

    def mapping(self, line: int, column: int, events: Iterator[Any], depth: int) -> Mapping:
        pairs: dict[str, tuple[Scalar, Node]] = {}
        last = line
        for event in events:
            if type(event).__name__ == "MappingEndEvent":
                break
            key = self.node(event, events, depth + 1)
            value = self.node(next(events), events, depth + 1)
            if isinstance(value, Scalar) and not value.text and not value.quoted:
                # An absent value is marked where the next token stands, perhaps many lines below.
                value = Scalar(key.line, key.column, key.last_line, "", quoted=False)
            last = max(last, value.last_line, key.last_line)
            self.enter(pairs, key, value)
        return Mapping(line, column, last, tuple(pairs.values()))

    def enter(self, pairs: dict[str, tuple[Scalar, Node]], key: Node, value: Node) -> None:
        if not isinstance(key, Scalar):
            self.refuse(key.line, key.column, "a key has to be a plain word", "Write `name: value`")
        elif key.text == "<<" and not key.quoted:
            self.refuse(key.line, key.column, "merge keys (<<) are not accepted", "Write the keys out")
        elif key.text in pairs:
            first = pairs[key.text][0].line
            remedy = f"Keep one of them; the first stands in line {first}"
            self.refuse(key.line, key.column, "the key stands twice in one mapping", remedy, key.text)
        else:
            pairs[key.text] = (key, value)


def _place(text: str, position: int) -> tuple[int, int]:
    line_start = text.rfind("\n", 0, position) + 1
    return text.count("\n", 0, position) + 1, position - line_start + 1


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
