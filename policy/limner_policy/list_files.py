"""Reads list files: one term a line (`.txt`), or a table of terms or entities (`.csv`).

Knows bytes and lines; where they come from is `loading.py`. Every mistake is told with file, line and column; a file
with very many is told by its first ones.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from limner_policy.errors import Problem
from limner_policy.matching import holds_word
from limner_policy.shapes import suggestion
from limner_policy.wordlists import Entity

MAX_LIST_BYTES = 8 * 1024 * 1024
MAX_ROWS = 200_000
MAX_TOLD = 50
"""Most problems told of one file."""
MAX_LENGTH = 200
SUFFIXES = (".txt", ".csv")

_ODD_BREAK = re.compile("[\x85\u2028\u2029]|\r(?!\n)")
# Signs that turn what a reviewer sees into something else than what is compared, and signs no list needs.
_FORBIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b\x0c\x0e-\x1f\x7f\t]")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}")

_NOTES = ("language", "note", "read", "source")
TERM_COLUMNS = ("term", *_NOTES)
ENTITY_COLUMNS = ("id", "name", "aliases", "kind", "near", "unless_near", "ambiguous", *_NOTES)


class _Enough(Exception):
    """What follows cannot, or need not, be read any more."""


@dataclass
class ListFile:
    """What one file holds: `terms` or `entities`, and every problem found."""

    file: str
    terms: list[str] = field(default_factory=list)
    entities: list[Entity] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def fail(self, line: int, column: int, message: str, remedy: str, value: str = "") -> None:
        """Note a problem; the value is shown cut to 60 characters."""
        shown = value if len(value) <= 60 else value[:57] + "…"
        self.problems.append(Problem(self.file, line, column, "", message, shown, remedy))
        if len(self.problems) >= MAX_TOLD:
            raise _Enough


def read_list_file(data: bytes, file: str) -> ListFile:
    """Read one list.

    Args:
        data: UTF-8 (a byte order mark and CRLF are accepted), at most `MAX_LIST_BYTES` and `MAX_ROWS`.
        file: its path to report; its suffix says which of the two formats it has.
    """
    found = ListFile(file)
    try:
        text = _decoded(data, found)
        _read_table(text, found) if file.endswith(".csv") else _read_lines(text, found)
        if not (found.terms or found.entities or found.problems):
            found.fail(1, 1, "the list is empty", "Write at least one row, or delete the list")
    except _Enough:
        pass
    return found


def _decoded(data: bytes, found: ListFile) -> str:
    if len(data) > MAX_LIST_BYTES:
        told = f"the list has {len(data):,} bytes and may have {MAX_LIST_BYTES:,}"
        found.fail(1, 1, told, "Split it into several lists")
        raise _Enough
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        found.fail(1, 1, "the list is UTF-16", "Save it as UTF-8")
        raise _Enough
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _place(data[: error.start].decode(), len(data[: error.start].decode()))
        found.fail(line, column, "the list is not UTF-8 here", "Save it as UTF-8")
        raise _Enough from None
    for pattern, told, remedy in (
        (_ODD_BREAK, "line ends like U+{:04X} are not accepted", "Use LF or CRLF"),
        (_FORBIDDEN, "the sign U+{:04X} is not shown, or has no place in a list", "Delete it"),
    ):
        if odd := pattern.search(text):
            found.fail(*_place(text, odd.start()), told.format(ord(odd[0])), remedy)
            raise _Enough
    return text.replace("\r\n", "\n")


def _place(text: str, position: int) -> tuple[int, int]:
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def _read_lines(text: str, found: ListFile) -> None:
    for line, row in enumerate(text.split("\n"), start=1):
        term = row.strip()
        if term and not term.startswith("#") and _is_term(term, line, 1, found):
            _count(found, line)
            found.terms.append(term)


def _count(found: ListFile, line: int) -> None:
    if len(found.terms) + len(found.entities) >= MAX_ROWS:
        found.fail(line, 1, f"the list has more than {MAX_ROWS:,} rows", "Split it into several lists")
        raise _Enough


def _is_term(term: str, line: int, column: int, found: ListFile) -> bool:
    if len(term) > MAX_LENGTH:
        told = f"the row has {len(term):,} characters and may have {MAX_LENGTH}"
        found.fail(line, column, told, "One term or name a row", term)
        return False
    if not holds_word(term):
        found.fail(line, column, "holds no letter and no digit", "Delete the row, or use `re2` for signs", term)
        return False
    return True


def _read_table(text: str, found: ListFile) -> None:
    rows = _rows(text, found)
    line, header = next(rows, (1, []))
    columns = [name.strip() for name in header]
    known = ENTITY_COLUMNS if "id" in columns or "name" in columns else TERM_COLUMNS
    _check_header(columns, known, line, found)
    take = _take_entity if known is ENTITY_COLUMNS else _take_term
    ids: dict[str, int] = {}
    for line, row in rows:
        if len(row) != len(columns):
            told = f"the row has {len(row)} columns and the first line {len(columns)}"
            found.fail(line, 1, told, 'Put texts with a comma into "…"')
        else:
            _count(found, line)
            take(dict(zip(columns, map(str.strip, row), strict=True)), line, ids, found)


def _rows(text: str, found: ListFile) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    behind = 0
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            found.fail(reader.line_num, 1, f"this is no row of a table: {error}", 'Write " inside a text as ""')
            raise _Enough from None
        if row is None:
            return
        if row:
            yield behind + 1, row
        behind = reader.line_num


def _check_header(columns: list[str], known: tuple[str, ...], line: int, found: ListFile) -> None:
    wanted = ", ".join(known)
    if len(columns) == 1 and ";" in columns[0]:
        found.fail(line, 1, "the columns are separated by ;", "Save the table with commas")
        raise _Enough
    for place, name in enumerate(columns):
        if name not in known:
            found.fail(line, 1, "is no column", suggestion(name, known) or f"Columns: {wanted}", name)
        elif name in columns[:place]:
            found.fail(line, 1, "the column stands twice", "Keep one of them", name)
    missing = [name for name in ("id", "name") if name not in columns] if known is ENTITY_COLUMNS else []
    missing += ["term"] if known is TERM_COLUMNS and "term" not in columns else []
    if missing:
        found.fail(line, 1, f"the first line names no column {' and '.join(missing)}", f"Columns: {wanted}")
    if found.problems:
        raise _Enough


def _take_term(row: dict[str, str], line: int, _: dict[str, int], found: ListFile) -> None:
    if _is_term(row["term"], line, 1, found):
        found.terms.append(row["term"])


def _take_entity(row: dict[str, str], line: int, ids: dict[str, int], found: ListFile) -> None:
    own, ambiguous = row["id"], row.get("ambiguous", "")
    if not _ID.fullmatch(own):
        found.fail(line, 1, "is no id", "Write letters, digits and . _ : / -", own)
    elif own in ids:
        found.fail(line, 1, f"the id stands in line {ids[own]} too", "Give each its own", own)
    elif ambiguous not in ("", "yes", "no"):
        found.fail(line, 1, "`ambiguous` is yes, no or empty", "Write one of them", ambiguous)
    else:
        ids[own] = line
        texts = {key: _several(row.get(key, "")) for key in ("aliases", "near", "unless_near")}
        names = (row["name"], *texts["aliases"])
        wrong = [text for text in (*names, *texts["near"], *texts["unless_near"]) if not _is_term(text, line, 1, found)]
        if not wrong:
            kind = row.get("kind", "")
            near, unless = texts["near"], texts["unless_near"]
            found.entities.append(Entity(own, names, kind, near, unless, ambiguous == "yes"))


def _several(cell: str) -> tuple[str, ...]:
    """The texts of one cell, separated by `|`."""
    return tuple(text.strip() for text in cell.split("|") if text.strip()) if cell else ()
