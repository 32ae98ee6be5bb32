"""What the commands print: tables and sentences for people, one JSON document for scripts, errors in one shape."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from limner.verification import Verification
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
    "delivered": "green",
    "denied": "red",
    "failed": "red",
    "unknown": "red",
}


def out() -> Console:
    """Give the console for answers (standard output)."""
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)


def err() -> Console:
    """Give the console for progress and errors (standard error)."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def paint(word: str) -> str:
    """Give a verdict or state its colour."""
    colour = COLOURS.get(word)
    return f"[{colour}]{word}[/{colour}]" if colour else word


def emit_json(value: Mapping[str, Any]) -> None:
    """Print one JSON document."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))  # noqa: T201  # the answer itself


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    """Make a plain table; every cell is turned to text."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column == "record")
    for row in rows:
        made.add_row(*(str(cell) for cell in row))
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
        emit_json(body)
        return code
    console = err()
    console.print(f"[bold red]{type(error).__name__}[/bold red]", end=" ")
    console.print(str(error), markup=False)
    for note in getattr(error, "__notes__", ()):
        console.print(f"  {note}", markup=False)
    if record_id:
        console.print(f"  record {record_id} (see `limner audit show {record_id}`)", markup=False)
    return code


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


_MARKS = {"good": "[green]✓[/green]", "bad": "[red]✗[/red]", "skipped": "[dim]–[/dim]"}


def show_verification(console: Console, found: Verification) -> None:
    """Print what a file proves: its numbered steps, what its credentials state, and the verdict."""
    console.print(f"[bold]{escape(str(found.file))}[/bold] => {paint(found.verdict)}")
    for number, step in enumerate(found.steps, start=1):
        console.print(f"  {number}. {_MARKS[step.result]} {step.title}: {escape(step.says)}")
    for name, value in found.states.items():
        console.print(f"     [dim]{name}: {escape(value)}[/dim]")
    for warning in found.warnings:
        console.print(f"     [yellow]note[/yellow] {escape(warning)}")
