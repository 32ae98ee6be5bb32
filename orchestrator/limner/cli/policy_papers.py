"""`limner policy diff | book`: what a change says, and a pack to be signed, for people who read papers."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.output import emit_json, out, plain
from limner.cli.policy import StaleDays, Today, day, findings, load
from limner.cli.shared import AsJson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from limner_policy import Pack
    from limner_policy.tools.comparing import PackChange


def diff(
    old: Annotated[Path, typer.Argument(help="A policy file or folder.")],
    new: Annotated[Path, typer.Argument(help="Another.")],
    output: Annotated[Path | None, typer.Option(help="Write a printable page here.", metavar="FILE")] = None,
    as_json: AsJson = False,
) -> None:
    """Say in sentences what differs between two policies; exit code 0 where nothing does, 1 where something does."""
    from limner_policy import load_packs
    from limner_policy.tools.comparing import compare
    from limner_policy.tools.redline import redline

    changes = compare(load_packs([old]), load_packs([new]))
    if output is not None:
        _write(output, redline(changes))
    if as_json:
        emit_json({"differs": bool(changes), "packs": [change.to_json() for change in changes]})
    else:
        _say(changes)
    if changes:
        raise typer.Exit(1)


def _say(changes: Sequence[PackChange]) -> None:
    from limner_policy.tools.redline import lines

    colours = {"+": "green", "-": "red", "~": "yellow"}
    for line in lines(changes):
        colour = colours.get(line.lstrip()[:1], "") if line.startswith("  ") else "bold"
        out().print(plain(line), markup=False, style=colour or None)
    if not changes:
        out().print("Nothing differs: the packs are the same byte for byte.")


def book(
    context: typer.Context,
    path: Annotated[Path | None, typer.Argument(help="A policy file; else that of the configuration.")] = None,
    output: Annotated[Path, typer.Option(help="Where to write the page.", metavar="FILE")] = Path("policy-book.html"),
    as_of: Today = None,
    stale_after: StaleDays = 180,
    quick: Annotated[bool, typer.Option("--quick", help="Leave the mutation score out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a policy as a book to be signed, one HTML file that loads nothing; several packs need a folder."""
    packs = load(context, [path] if path else None)
    one_file = len(packs) == 1 and not output.is_dir()
    files = [output] if one_file else [output / f"{pack.name}.html" for pack in packs]
    for pack, file in zip(packs, files, strict=True):
        _write(file, _book(pack, as_of, stale_after, quick=quick))
    if as_json:
        written = [{"pack": p.name, "sha256": p.sha256, "file": str(f)} for p, f in zip(packs, files, strict=True)]
        emit_json({"books": written})
        return
    for pack, file in zip(packs, files, strict=True):
        out().print(plain(f"{pack.name} {pack.version}, {len(pack.rules)} rules: {file}"), markup=False)


def _book(pack: Pack, as_of: str | None, stale_after: int, *, quick: bool) -> str:
    from limner_policy.tools.book import book as bind
    from limner_policy.tools.coverage import coverage
    from limner_policy.tools.mutation import mutate

    printed: date = day(as_of)
    measured = None if quick else mutate(coverage(pack))
    return bind(pack, printed, findings=findings([pack], as_of, stale_after), measured=measured)


def _write(file: Path, page: str) -> None:
    from limner.errors import ConfigInvalid

    if not file.parent.is_dir():
        raise ConfigInvalid(f"--output {file}: there is no folder {file.parent}.", remedy="Make it first.")
    file.write_text(page, encoding="utf-8")


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("diff")(diff)
    app.command("book")(book)
