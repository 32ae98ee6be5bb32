"""Tables of the report as plain HTML without scripts and outer files: digests shortened, verdicts in their colour.

Shows values as they are given; counts nothing.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from limner.report.style import COLOURS, FAINT, INK, SOFT, label, percent

_CELL = f"padding:3px 14px 3px 0;border-bottom:1px solid {FAINT};vertical-align:top;text-align:"
_NUMBERS = (int, float)


@dataclass(frozen=True)
class Table:
    """A table a notebook shows.

    Attributes:
        title: What it says.
        columns: The heads.
        rows: The cells, as values; None is shown as —.
        note: What is counted, and how.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""

    def _repr_html_(self) -> str:
        heads = "".join(
            f'<th style="{_CELL}{self._side(i)};color:{SOFT};font-weight:normal">{html.escape(name)}</th>'
            for i, name in enumerate(self.columns)
        )
        body = "".join(f"<tr>{''.join(self._cell(i, value) for i, value in enumerate(row))}</tr>" for row in self.rows)
        note = (
            f'<div style="color:{SOFT};font-size:12px;margin-top:2px">{html.escape(self.note)}</div>'
            if self.note
            else ""
        )
        title = f'<div style="font-weight:bold;font-size:15px;color:{INK}">{html.escape(self.title)}</div>'
        if not self.rows:
            return f'<div style="margin:8px 0 14px 0">{title}{note}</div>'
        style = "border-collapse:collapse;font-size:13px;margin:6px 0 0 0;border:none"
        return (
            f'<div style="margin:8px 0 14px 0">{title}{note}<table style="{style}"><tr>{heads}</tr>{body}</table></div>'
        )

    def __repr__(self) -> str:
        lines = [self.title, "  ".join(self.columns)]
        return "\n".join([*lines, *("  ".join(_plain(cell) for cell in row) for row in self.rows)])

    def _side(self, column: int) -> str:
        """Numbers stand at the right."""
        values = [row[column] for row in self.rows if row[column] is not None]
        numeric = bool(values) and all(isinstance(v, _NUMBERS) and not isinstance(v, bool) for v in values)
        return "right" if numeric else "left"

    def _cell(self, column: int, value: Any) -> str:
        return f'<td style="{_CELL}{self._side(column)}">{_shown(self.columns[column], value)}</td>'


def table(title: str, rows: Any, *, columns: Sequence[str] | None = None, note: str = "", limit: int = 50) -> Table:
    """Make a table of a polars table.

    Args:
        title: What it says.
        rows: A polars table.
        columns: Which of its columns, in which order; None: all.
        note: What is counted, and how.
        limit: Rows shown at most; the note says how many more there are.
    """
    chosen = rows.select(columns) if columns else rows
    more = f" {chosen.height - limit:,} more rows are not shown." if chosen.height > limit else ""
    heads = tuple(name.replace("_", " ") for name in chosen.columns)
    return Table(title, heads, tuple(chosen.head(limit).rows()), f"{note}{more}".strip())


def _plain(value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _shown(column: str, value: Any) -> str:
    """Write one cell as HTML."""
    special = _SPECIAL.get(column)
    if value is not None and special is not None:
        return special(value)
    if isinstance(value, float):
        return f"{value:,.1f}"
    # What stands between backticks is a command.
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(_plain(value)))


def _chip(value: Any) -> str:
    """A verdict or an outcome with its colour beside the word, never the colour alone."""
    colour = COLOURS.get(str(value))
    dot = f'<span style="color:{colour}">■</span> ' if colour else ""
    return f"{dot}{html.escape(label(str(value)))}"


def _digest(value: Any) -> str:
    text = html.escape(str(value))
    return f'<code title="{text}">{text[:12]}…</code>' if len(text) > 16 else f"<code>{text}</code>"


def _code(value: Any) -> str:
    return f"<code>{html.escape(str(value))}</code>"


_SPECIAL: dict[str, Callable[[Any], str]] = {
    "verdict": _chip,
    "outcome": _chip,
    "sha256": _digest,
    "digest": _digest,
    "record": lambda value: f'<code style="white-space:nowrap">{html.escape(str(value))}</code>',
    "seed": _code,
    "rule": _code,
    "share": lambda value: percent(float(value)),
    "lowest": lambda value: f"{value:.6f}",
    "median": lambda value: f"{value:.6f}",
    "highest": lambda value: f"{value:.6f}",
}
