"""`limner policy licence NAME…`: what this organisation may do with a model, a licence, a provider, and why."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.output import emit_json, out, plain, table
from limner.cli.shared import AsJson

if TYPE_CHECKING:
    from limner_policy.licences import Book, Organisation
    from limner_policy.licences.listing import RowState
    from limner_policy.licences.report import LicenceReport, Line

_WIDTH = 100
_VERDICTS = {
    "yes": "commercial work is allowed, with the duties below",
    "no": "commercial work is NOT allowed",
    "unknown": "whether commercial work is allowed is NOT KNOWN",
}


def licence(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Models, licence ids, provider kinds, detectors; several are taken together."),
    ] = None,
    list_all: Annotated[bool, typer.Option("--list", help="List every row with its age.")] = False,
    region: Annotated[
        str | None, typer.Option(help="Where the pictures are used: DE, US-CA, EU.", metavar="CODE")
    ] = None,
    as_of: Annotated[str | None, typer.Option(help="As of this day or instant.", metavar="INSTANT")] = None,
    facts: Annotated[
        list[Path] | None, typer.Option(help="Facts of your own, file or folder; their rows go first.", metavar="PATH")
    ] = None,
    pack: Annotated[
        list[Path] | None, typer.Option(help="Take `organisation` from these packs.", metavar="PATH")
    ] = None,
    stale_days: Annotated[int, typer.Option(help="A source read longer ago is stale.", min=1)] = 180,
    as_json: AsJson = False,
) -> None:
    """Say what licences and terms allow this organisation, with quotes and dates; exit code 1 unless it is allowed."""
    from limner.errors import ConfigInvalid
    from limner.policy_tools.instants import instant
    from limner_policy.licences import embedded_book, load_book
    from limner_policy.licences.listing import rows_behind

    moment = instant(as_of, "--as-of", end_of_day=True) if as_of is not None else None
    today = date.fromisoformat(moment[:10]) if moment else datetime.now(UTC).date()
    book = load_book(facts) if facts else embedded_book()
    if list_all:
        if names:
            raise ConfigInvalid("--list lists every row.", remedy="Leave the names out, or leave out --list.")
        _list(book, today, stale_days, as_json=as_json)
        return
    if not names:
        raise ConfigInvalid("no model, licence, provider or detector is named.", remedy="Name one, or give --list.")
    _checked_region(region)
    found = _report(context, book, names, region=region, moment=moment, packs=pack)
    rows = rows_behind(found.parts, book, today, stale_days)
    if as_json:
        emit_json(found.to_json() | {"rows": [asdict(row) for row in rows]})
    else:
        for line in _told(found, rows):
            out().print(line, markup=False, highlight=False)
    if found.commercial != "yes":
        raise typer.Exit(1)


def _checked_region(region: str | None) -> None:
    from limner.errors import ConfigInvalid
    from limner_policy.licences.territory import is_code

    if region is not None and not is_code(region):
        raise ConfigInvalid(f"--region {plain(region)!r} is no code.", remedy="Write DE, US-CA or EU.")


def _report(
    context: typer.Context,
    book: Book,
    names: list[str],
    *,
    region: str | None,
    moment: str | None,
    packs: list[Path] | None,
) -> LicenceReport:
    from limner.errors import ConfigInvalid
    from limner_policy.licences import parts_of
    from limner_policy.licences.report import licence_report

    parts, unknown = parts_of(names, instant=moment, book=book)
    if unknown:
        near = difflib.get_close_matches(unknown[0].casefold(), [name.casefold() for name in book.names()], n=3)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise ConfigInvalid(
            f"no row knows {plain(unknown[0])!r}.",
            remedy=f"{hint}`limner policy licence --list` lists them; docs/licences.md says how to add one.",
        )
    return licence_report(parts, _organisation(context, packs, moment), region=region)


def _organisation(context: typer.Context, paths: list[Path] | None, moment: str | None) -> Organisation:
    from limner.config import load_config
    from limner_policy import load_packs
    from limner_policy.licences.organisation import agreed

    at = datetime.fromisoformat(moment) if moment else datetime.now(UTC)
    packs = load_packs(paths or load_config(context.obj, engines=False).policy_paths())
    return agreed(pack.organisation for pack in packs if pack.effective.covers(at))


def _told(found: LicenceReport, rows: Iterable[RowState]) -> Iterator[str]:
    yield f"{plain(' + '.join(part.name for part in found.parts))}: {_VERDICTS[found.commercial]}"
    yield from _indented(f"for {_claimed(found.organisation)}", "  ")
    for line in found.because:
        parts = ", ".join(dict.fromkeys(f"{use['part']} ({use['role']})" for use in line.deciding))
        asked = f" ({line.asked.replace('_', ' ')})" if line.asked else ""
        yield from _indented(f"because {line.term}{asked} is {line.answer}: {parts or 'nothing is known'}", "  ")
    yield "\npermissions"
    for line in found.permissions:
        yield from _line(line, "  ")
    yield "\nlimits"
    for line in found.limits:
        yield from _line(line, "  ", quiet=line.answer == "no" and line.term == "territory_exclude")
    yield "\nduties"
    for line in found.duties:
        if line.answer == "yes":
            yield from _line(line, "  ")
    for word, answer in (("not imposed", "no"), ("not known", "unknown")):
        rest = [line.term for line in found.duties if line.answer == answer]
        if rest:
            yield from _indented(f"{word}: {', '.join(rest)}", "  ")
    yield "\nrows"
    yield from _rows(rows)
    yield "\nNot legal advice: what was read, when and where, as it stands in the facts."


def _claimed(said: Mapping[str, object]) -> str:
    if not said:
        return "an organisation of which nothing is claimed (write `organisation:` into your policy pack)"
    words = {"annual_revenue_usd": "annual revenue in US dollars", "monthly_users": "monthly users"}
    parts = []
    for name, value in said.items():
        if name in words:
            parts.append(f"{words[name]} {value:,}")
        elif name == "holds":
            parts.append(f"holds {', '.join(map(str, value)) or 'nothing'}")  # type: ignore[call-overload]
        else:
            parts.append(f"{name.replace('_', ' ')} {value}")
    return f"an organisation that claims: {'; '.join(parts)}"


def _line(line: Line, indent: str, *, quiet: bool = False) -> Iterator[str]:
    yield from _indented(f"{line.term:<22} {line.answer:<8} {line.asks}", indent, indent + " " * 32)
    if quiet:
        return
    for use in line.deciding:
        yield from _indented(_use(use), indent + "    ")


def _use(use: Mapping[str, str]) -> str:
    where = ", ".join(filter(None, (use.get("licence"), use.get("section"))))
    read = f", read {use['read']}" if "read" in use else ""
    via = f" by way of {use['via']}" if "via" in use else ""
    quote = f": “{use['quote']}”" if "quote" in use else ""
    why = f" ({use['because']})" if "because" in use else ""
    return f"{use['part']}{f', {where}' if where else ''}{read}{via}{quote}{why}"


def _indented(text: str, first: str, rest: str | None = None) -> list[str]:
    return textwrap.wrap(
        plain(text), _WIDTH, initial_indent=first, subsequent_indent=rest or first + "  ", break_on_hyphens=False
    )


def _rows(rows: Iterable[RowState]) -> Iterator[str]:
    for one in rows:
        yield from _indented(f"{one.row}: {one.title}", "  ")
        yield from _indented(f"{one.cite}, {one.age_days} days ago; {one.words}", "    ")
        if one.text_sha256:
            yield from _indented(f"the text that was read has SHA-256 {one.text_sha256}", "    ")
        if one.conflict:
            yield from _indented(f"conflict: {one.conflict}", "    ")
        if one.note:
            yield from _indented(f"note: {one.note}", "    ")
        yield from _indented(f"in {one.facts}, line {one.line}", "    ")


def _list(book: Book, today: date, stale_days: int, *, as_json: bool) -> None:
    from limner_policy.licences.listing import every_row

    rows = every_row(book, today, stale_days)
    if as_json:
        emit_json({"sha256": book.sha256, "rows": [asdict(row) for row in rows]})
        return
    columns = ("row", "kind", "under", "days", "state")
    shown = ((row.row, row.kind, row.title, row.age_days, row.words) for row in rows)
    out().print(table("Licence facts; days since the oldest source of the row was read", columns, shown))
    stale, unsigned = sum(row.stale for row in rows), sum(row.signed_off is None for row in rows)
    conflicts = sum(bool(row.conflict) for row in rows)
    out().print(f"{len(rows)} rows: {stale} stale, {unsigned} not signed off, {conflicts} in conflict.", markup=False)
