"""`limner verify FILE`: what a file proves, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limner.cli.output import emit_json, out, paint
from limner.verification import Verification, verify_file

_MARK = {"good": "[green]✓[/green]", "bad": "[red]✗[/red]", "skipped": "[dim]–[/dim]"}


def verify(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="An image file.")],
    trust: Annotated[Path | None, typer.Option(help="Further trust anchors, PEM.", metavar="FILE")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say what FILE proves: its credentials, its record, that the bytes are the record's, that the log includes it."""
    found = verify_file(file, config=context.obj, trust=trust)
    if as_json:
        emit_json(found.to_json())
    else:
        _show(found)
    if not found.good:
        raise typer.Exit(1)


def _show(found: Verification) -> None:
    console = out()
    console.print(f"[bold]{found.file}[/bold]", highlight=False)
    for number, step in enumerate(found.steps, start=1):
        console.print(f"  {number}. {_MARK[step.result]} {step.title}: {step.says}")
    for warning in found.warnings:
        console.print(f"     [yellow]note[/yellow] {warning}")
    console.print(f"  => {paint(found.verdict)}")
