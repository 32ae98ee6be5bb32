"""`limner policy lint | test PATH…`: is a policy file whole, and do its own examples hold?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.cli.output import emit_json, err, out, table

if TYPE_CHECKING:
    from limner_policy import Pack

app = typer.Typer(help="Read policy files and run the examples beside their rules.", no_args_is_help=True)

Paths = Annotated[
    list[Path] | None, typer.Argument(help="Files or folders; else those of the configuration, else the embedded pack.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def lint(context: typer.Context, paths: Paths = None, as_json: AsJson = False) -> None:
    """Read policy files; each mistake is named with file, line and column, and exit code 2."""
    packs = _load(context, paths)
    if as_json:
        emit_json({"packs": [_pack_json(pack) for pack in packs]})
        return
    rows = ((p.file, p.name, p.version, len(p.rules), p.sha256[:16] + "…") for p in packs)
    out().print(table("Whole, and ready to be put in force", ("file", "pack", "version", "rules", "sha256"), rows))


@app.command("test")
def run_examples(context: typer.Context, paths: Paths = None, as_json: AsJson = False) -> None:
    """Run the examples beside the rules; exit code 1 where one comes out differently, or a rule has none."""
    from limner_policy import check_examples

    packs = _load(context, paths)
    failures = [failure for pack in packs for failure in check_examples(pack)]
    bare = [f"{pack.name}/{rule.id}" for pack in packs for rule in pack.rules if not rule.examples]
    if as_json:
        emit_json(
            {
                "packs": [_pack_json(pack) for pack in packs],
                "failures": [str(failure) for failure in failures],
                "rules_without_examples": bare,
            }
        )
    else:
        _show(packs, [str(failure) for failure in failures], bare)
    if failures or bare:
        raise typer.Exit(1)


def _load(context: typer.Context, paths: Sequence[Path] | None) -> tuple[Pack, ...]:
    from limner.config import load_config
    from limner_policy import load_packs

    return load_packs(paths or load_config(context.obj).policy_paths())


def _pack_json(pack: Pack) -> dict[str, Any]:
    examples = sum(len(rule.examples) for rule in pack.rules)
    named = {"file": pack.file, "name": pack.name, "version": pack.version, "sha256": pack.sha256}
    return named | {"rules": len(pack.rules), "examples": examples}


def _show(packs: Sequence[Pack], failures: list[str], bare: list[str]) -> None:
    for failure in failures:
        err().print(failure, markup=False)
    for rule in bare:
        err().print(f"{rule}: has no example; write one that fires and one that does not", markup=False)
    total = sum(len(rule.examples) for pack in packs for rule in pack.rules)
    out().print(f"{total - len(failures)} of {total} examples of {sum(len(p.rules) for p in packs)} rules hold.")
