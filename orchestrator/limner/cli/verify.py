"""`limner verify FILE|FOLDER`: what a file proves, step by step; or each picture of a folder, on a line of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.output import emit_json, emit_line, err, out
from limner.verification import Verifier

if TYPE_CHECKING:
    from limner.verification_folder import Looked


def verify(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE|FOLDER", help="An image file, or a folder of them.")],
    trust: Annotated[Path | None, typer.Option(help="Further trust anchors, PEM.", metavar="FILE")] = None,
    bad: Annotated[bool, typer.Option("--bad", help="Of a folder, print only the files that are not good.")] = False,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Files of a folder that are looked at at once.")] = 2,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document; of a folder, one a line and a summary last.")
    ] = False,
) -> None:
    """Say what FILE proves: its credentials, its record, that the bytes are the record's, that the log includes it.

    Of a FOLDER say so of each PNG, JPEG and WebP in it and below it.
    """
    with Verifier(context.obj, trust=trust) as verifier:
        if file.is_dir():
            good = _folder(verifier, file, bad=bad, threads=threads, as_json=as_json)
        else:
            good = _file(verifier, file, as_json=as_json)
    if not good:
        raise typer.Exit(1)


def _file(verifier: Verifier, file: Path, *, as_json: bool) -> bool:
    from limner.cli.verification_output import show_verification

    found = verifier.verify(file)
    if as_json:
        emit_json(found.to_json())
    else:
        show_verification(out(), found)
    return found.good


def _folder(verifier: Verifier, folder: Path, *, bad: bool, threads: int, as_json: bool) -> bool:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from limner.cli.verification_output import show_summary
    from limner.verification_folder import verify_folder

    tell = _teller(bad=bad, as_json=as_json)
    columns = (TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = err()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("verifying", total=None)

        def each(looked: Looked, total: int) -> None:
            tell(looked)
            progress.update(task, advance=1, total=total)

        summary = verify_folder(verifier, folder, each, threads=threads)
    if as_json:
        emit_line({"summary": summary.to_json()})
    else:
        show_summary(out(), summary)
    return summary.good


def _teller(*, bad: bool, as_json: bool) -> Callable[[Looked], None]:
    from limner.cli.verification_output import show_line

    console = out()

    def tell(looked: Looked) -> None:
        if bad and looked.good:
            return
        if as_json:
            emit_line(looked.to_json())
        else:
            show_line(console, looked)

    return tell
