"""`limner get RECORD`: the pictures of an earlier request once more, whoever waited for them then."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limner.cli.generate import check_output
from limner.cli.results import save, show, show_json
from limner.cli.shared import AsJson


def get(
    context: typer.Context,
    record: Annotated[str, typer.Argument(help="A record id, as `limner audit show` lists them.", metavar="RECORD")],
    output: Annotated[
        Path | None,
        typer.Option(help="File to write; with several images a number is put before its ending.", metavar="FILE"),
    ] = None,
    surplus: Annotated[
        bool, typer.Option("--surplus", help="Write also the images beyond the number that was asked for.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the plan, the attempts and each rule that spoke.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the signed images of an earlier request again; no engine is asked for anything."""
    from limner import Limner
    from limner.config import load_config

    check_output(output)
    with Limner.open(load_config(context.obj, engines=False)) as limner:
        result = limner.get(record)
    files = save(result, output, surplus=surplus)
    if as_json:
        show_json(result, files)
    else:
        show(result, files, explain=explain)
