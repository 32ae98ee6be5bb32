"""`limner verify FILE`: what a file proves, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limner.cli.output import emit_json, out, show_verification
from limner.verification import verify_file


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
        show_verification(out(), found)
    if not found.good:
        raise typer.Exit(1)
