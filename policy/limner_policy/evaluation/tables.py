"""Reads a CSV strictly: every mistake is told with file, row and column. Knows no data set and no score.

Rows count as an editor counts lines, the head being line 1, so that a mistake is found where it stands.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limner_policy.errors import EvaluationInvalid

MAX_BYTES = 512 * 1024 * 1024
_MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: its number, and each cell by its column, without spaces around it."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


@dataclass(slots=True)
class Problems:
    """Collects the mistakes of one file, so that all of them are told at once."""

    file: str
    found: list[str] = field(default_factory=list)

    def add(self, line: int, column: str, message: str) -> None:
        """Note one mistake; `column` may be empty where it is the whole row's."""
        self.found.append(f"{self.file}:{line}: {f'column {column!r}: ' if column else ''}{message}")

    def stop(self, remedy: str = "") -> None:
        """End here where anything was noted.

        Raises:
            EvaluationInvalid: with each mistake on a line of its own, the first 20 of them.
        """
        if not self.found:
            return
        more = len(self.found) - _MOST_TOLD
        told = [*self.found[:_MOST_TOLD], *([f"and {more:,} more"] if more > 0 else [])]
        raise EvaluationInvalid("\n".join(told), remedy=remedy)


@dataclass(frozen=True, slots=True)
class Table:
    """A whole file: its columns in order, and its rows."""

    file: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def need(self, *columns: str) -> None:
        """Ask for columns.

        Raises:
            EvaluationInvalid: one is missing; names it and those that are there.
        """
        missing = [column for column in columns if column not in self.columns]
        if missing:
            raise EvaluationInvalid(
                f"{self.file}:1: there is no column {missing[0]!r}.", remedy=f"It has: {', '.join(self.columns)}."
            )


def read_table(path: Path) -> Table:
    """Read a CSV of UTF-8 with commas and a head.

    Raises:
        EvaluationInvalid: it cannot be read, is no CSV, has a column twice or without a name, a row of another length,
            or no row; names file, line and column.
    """
    lines = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    problems = Problems(str(path))
    try:
        columns = _head(path, next(lines, []))
        rows = tuple(_rows(lines, columns, problems))
    except csv.Error as error:
        raise EvaluationInvalid(f"{path} is no CSV: {error}.", remedy="Mend the quotes, or write it anew.") from None
    problems.stop("Give every row as many cells as the head; put a cell with a comma in double quotes.")
    if not rows:
        raise EvaluationInvalid(f"{path} has a head and no row.", remedy="Write one row a picture.")
    return Table(str(path), columns, rows)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise EvaluationInvalid(f"{path} has more than {MAX_BYTES:,} bytes.", remedy="Split it.")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise EvaluationInvalid(f"{path} cannot be read: {error.strerror}.", remedy="Check the path.") from None
    except UnicodeDecodeError as error:
        raise EvaluationInvalid(f"{path} is not UTF-8 (byte {error.start}).", remedy="Save it as UTF-8.") from None


def _head(path: Path, cells: list[str]) -> tuple[str, ...]:
    columns = tuple(cell.strip() for cell in cells)
    if not columns:
        raise EvaluationInvalid(f"{path} is empty.", remedy="Write a head and one row a picture.")
    if len(columns) == 1 and ";" in columns[0]:
        raise EvaluationInvalid(f"{path}:1: its columns are parted by semicolons.", remedy="Save it with commas.")
    if "" in columns:
        number = columns.index("") + 1
        raise EvaluationInvalid(f"{path}:1: column {number} has no name.", remedy="Name it, or take it out.")
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise EvaluationInvalid(f"{path}:1: column {twice!r} stands there twice.", remedy="Rename one of them.")
    return columns


def _rows(lines: Any, columns: tuple[str, ...], problems: Problems) -> Iterator[Row]:
    end = lines.line_num
    for cells in lines:
        line, end = end + 1, lines.line_num
        if not any(cells):
            continue
        if len(cells) != len(columns):
            problems.add(line, "", f"{len(cells)} cells, and the head has {len(columns)}")
            continue
        yield Row(line, {column: cell.strip() for column, cell in zip(columns, cells, strict=True)})
