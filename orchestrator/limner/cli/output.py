"""What the commands print: tables and sentences for people, one JSON document for scripts, errors in one shape."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from limner_provenance.audit import AuditReport

COLOURS = {
    "allow": "green",
    "allow_with_duties": "yellow",
    "review": "yellow",
    "deny": "red",
    "trusted": "green",
    "valid": "green",
    "invalid": "red",
    "absent": "red",
    "unreadable": "red",
    "delivered": "green",
    "denied": "red",
    "failed": "red",
    "unknown": "red",
}


_STEERS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control and direction characters and lone surrogates: what acts on a terminal, or cannot be shown."""


INTERRUPTED = 130
"""The exit code after Ctrl-C."""


class Interrupted(Exception):
    """Ctrl-C in a command that has something of its own to say of what is kept."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command line, which knows the exit code."""
        raise BrokenPipeError


class Painted(str):
    """Text of ours that is markup; every other text is shown as it is written."""

    __slots__ = ()


def out() -> Console:
    """Give the console for answers (standard output); a table keeps its width, and a narrow terminal wraps the line."""
    console = _Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, 120) if console.is_terminal else 200
    return console


def err() -> Console:
    """Give the console for progress and errors (standard error)."""
    return _Console(stderr=True, highlight=False, soft_wrap=True)


def plain(text: str, *, lines: bool = False) -> str:
    """Show as escapes what would steer a terminal; with `lines` line ends stay."""
    return _STEERS.sub(lambda m: m[0] if lines and m[0] == "\n" else m[0].encode("unicode_escape").decode(), text)


def paint(word: str) -> Painted:
    """Give a verdict or state its colour."""
    colour = COLOURS.get(word)
    return Painted(f"[{colour}]{word}[/{colour}]" if colour else escape(word))


def emit_json(value: Mapping[str, Any]) -> None:
    """Print one JSON document, which any encoding of the output can carry."""
    print(_as_json(value, indent=2))  # noqa: T201  # the answer itself


def emit_line(value: Mapping[str, Any]) -> None:
    """Print one document on one line (JSON Lines), at once."""
    print(_as_json(value), flush=True)  # noqa: T201  # the answer itself


def _as_json(value: Mapping[str, Any], indent: int | None = None) -> str:
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return json.dumps(value, ensure_ascii=not utf8, indent=indent, default=str)


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    """Make a plain table; every cell is turned to text, and only what `paint` made is read as markup."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column == "record")
    for row in rows:
        made.add_row(*(Text.from_markup(c) if isinstance(c, Painted) else Text(plain(str(c))) for c in row))
    return made


def fail(error: Exception, *, as_json: bool) -> int:
    """Print an error of ours and give its exit code."""
    from limner.errors import exit_code

    code = exit_code(error)
    record_id = getattr(error, "record_id", None)
    if as_json:
        body: dict[str, Any] = {
            "error": type(error).__name__,
            "message": str(error),
            "record_id": record_id,
            "exit_code": code,
        }
        decision = getattr(error, "decision", None)
        if decision is not None:
            body |= {"decision": decision.to_leaf(), "user_message": getattr(error, "user_message", "")}
        emit_json(body | _details(error))
        return code
    console = err()
    console.print(f"[bold red]{type(error).__name__}[/bold red]", end=" ")
    console.print(_as_options(plain(str(error), lines=True)), markup=False)
    for note in (*_moderation(error), *getattr(error, "__notes__", ())):
        console.print(f"  {plain(note)}", markup=False)
    for name in ("request_id", "job"):
        if told := getattr(error, name, None):
            console.print(f"  the engine's {name.partition('_')[0]} {plain(str(told))}", markup=False)
    if record_id:
        console.print(f"  what was recorded: limner audit show {record_id}", markup=False)
    return code


def interrupted(says: str, *, more: str = "", as_json: bool) -> int:
    """Say after Ctrl-C what is kept, once, and give the exit code; `more` is for people only."""
    if as_json:
        emit_json({"error": "Interrupted", "message": says, "record_id": None, "exit_code": INTERRUPTED})
    else:
        err().print(plain(says + more), markup=False)
    return INTERRUPTED


_OPTIONS = {
    'on_unsupported="adapt"': "--on-unsupported adapt",
    "num_inference_steps": "--steps",
    "output_format": "--format",
    "output_compression": "--compression",
}


_WRITTEN = (
    (re.compile(r'Limner\.get\("([0-9a-f-]+)"\)'), r"`limner get \1`"),
    (re.compile(r'\bextra=\{"(\w+)": \{"(\w+)": "?([^"}]+)"?\}\}'), r"--extra \1.\2=\3"),
    (re.compile(r'\bsize="([^"]+)"'), r"--size \1"),
    (re.compile(r'\baspect_ratio="([^"]+)"'), r"--aspect-ratio \1"),
)


def _as_options(message: str) -> str:
    """Write in the command line's words what the SDK calls otherwise."""
    for field, option in _OPTIONS.items():
        message = message.replace(field, option)
    for written, typed in _WRITTEN:
        message = written.sub(typed, message)
    return message


def _moderation(error: Exception) -> tuple[str, ...]:
    """Say at which stage an engine's own moderation refused, and for what."""
    from limner.errors import ModerationBlocked

    if not isinstance(error, ModerationBlocked):
        return ()
    found = ", ".join((*error.categories, *(f'"{word}"' for word in error.matched))) or "no category named"
    return (f"refused at the {error.stage or 'unnamed'} stage: {found}",)


def _details(error: Exception) -> dict[str, Any]:
    """What an error of an engine says beside its message, for scripts."""
    from limner.errors import ModelRetired, ModerationBlocked, ProviderError, UnsupportedRequest

    if not isinstance(error, ProviderError):
        return {}
    found: dict[str, Any] = {"provider": error.provider, "request_id": error.request_id, "job": error.job}
    found |= {"may_have_billed": error.may_have_billed, "notes": list(getattr(error, "__notes__", ()))}
    if isinstance(error, UnsupportedRequest):
        found |= {"field": error.field, "able": list(error.able)}
    if isinstance(error, ModerationBlocked):
        found["moderation"] = {"stage": error.stage, "categories": list(error.categories)}
        found["moderation"] |= {"matched": list(error.matched)} if error.matched else {}
    if isinstance(error, ModelRetired):
        found["successor"] = error.successor
    return found


def report_json(report: AuditReport) -> dict[str, Any]:
    """Give a verification of the log as one JSON document."""
    return {"verdict": report.verdict, "ok": report.ok} | dataclasses.asdict(report)


def show_report(console: Console, report: AuditReport) -> None:
    """Print what a verification of the log says: what was checked, each finding with its place, and the verdict."""
    pinned = "pinned by you" if report.trust == "pinned" else "as the log states it itself: pin it with --log-key"
    console.print(
        f"log {report.origin}: {report.size:,} entries, {report.checkpoints:,} signed checkpoints", markup=False
    )
    console.print(f"root {report.root}", markup=False)
    console.print(f"key {report.vkey} ({pinned})", markup=False)
    console.print(
        f"payloads: {report.payloads_opened:,} opened and fit their commitments, "
        f"{report.payloads_not_opened:,} unchanged and not opened, {report.payloads_erased:,} erased"
    )
    colours = {"error": "red", "warning": "yellow", "information": "dim"}
    for finding in report.findings:
        console.print(f"[{colours[finding.severity]}]{escape(str(finding))}[/]")
    colour = "green" if report.ok else "red"
    console.print(f"[{colour}]{report.verdict}[/{colour}] in {report.seconds:.2f} s")
