"""`limner policy licence NAME…`: what may be done with a model, a licence, a provider, by this organisation, and why."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.cli.output import emit_json, out, paint, plain, table
from limner.cli.policy import AsJson

if TYPE_CHECKING:
    from limner_policy.licences import Book, Organisation
    from limner_policy.licences.report import LicenceReport, Line
    from limner_policy.licences.rows import FactsFile, Licence, Subject

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
    if as_json:
        emit_json(found.to_json() | {"rows": [*_rows_json(book, found, today, stale_days)]})
    else:
        for line in _told(found, book, today, stale_days):
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
    packs = load_packs(paths or load_config(context.obj).policy_paths())
    return agreed(pack.organisation for pack in packs if pack.effective.covers(at))


def _told(found: LicenceReport, book: Book, today: date, stale_days: int) -> Iterator[str]:
    yield f"{plain(' + '.join(part.name for part in found.parts))}: {_VERDICTS[found.commercial]}"
    yield from _indented(f"for {_claimed(found.organisation)}", "  ")
    for line in found.because:
        yield from _line(line, "  ")
    yield "\npermissions"
    for line in found.permissions:
        yield from _line(line, "  ")
    yield "\nlimits"
    for line in found.limits:
        yield from _line(line, "  ", quiet_no=True)
    yield "\nduties"
    for line in found.duties:
        if line.answer == "yes":
            yield from _line(line, "  ")
    for word, answer in (("not imposed", "no"), ("not known", "unknown")):
        rest = [line.term for line in found.duties if line.answer == answer]
        if rest:
            yield from _indented(f"{word}: {', '.join(rest)}", "  ")
    yield "\nrows"
    yield from _rows(found, book, today, stale_days)
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


def _line(line: Line, indent: str, *, quiet_no: bool = False) -> Iterator[str]:
    yield from _indented(f"{line.term:<20} {line.answer:<8} {line.asks}", indent, indent + " " * 30)
    if quiet_no and line.answer == "no":
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


def _rows_of(book: Book, found: LicenceReport) -> Iterator[tuple[Licence | Subject, FactsFile]]:
    for part in found.parts:
        if row := book.subject(part.name, (part.role,)):
            yield row
    for name in dict.fromkeys(one.id for part in found.parts for one in part.licences):
        if known := book.licence(name):
            yield known


def _rows(found: LicenceReport, book: Book, today: date, stale_days: int) -> Iterator[str]:
    for one in _rows_json(book, found, today, stale_days):
        state = f"signed off by {one['signed_off']}" if one["signed_off"] else "provisional: nobody has signed it off"
        stale = ", STALE: read it again" if one["stale"] else ""
        yield from _indented(f"{one['row']}: {one['title']}", "  ")
        yield from _indented(f"{one['cite']}, {one['age_days']} days old{stale}; {state}", "    ")
        yield from _indented(f"{one['facts']}, line {one['line']}", "    ")
        if one["text_sha256"]:
            yield from _indented(f"the text that was read has SHA-256 {one['text_sha256']}", "    ")
        if one["note"]:
            yield from _indented(f"note: {one['note']}", "    ")
        if one["conflict"]:
            yield from _indented(f"CONFLICT: {one['conflict']}", "    ")


def _rows_json(book: Book, found: LicenceReport, today: date, stale_days: int) -> Iterator[dict[str, Any]]:
    return (_row_json(row, file, today, stale_days) for row, file in _rows_of(book, found))


def _row_json(row: Licence | Subject, file: FactsFile, today: date, stale_days: int) -> dict[str, Any]:
    from limner_policy.licences.checking import age, name_of
    from limner_policy.licences.rows import Licence

    is_licence = isinstance(row, Licence)
    source = row.text if isinstance(row, Licence) else row.source
    cite = f"{source.cite}, read {source.read}" + (f" by way of {source.via}" if source.via else "")
    days = age(row, today)
    return {
        "row": name_of(row),
        "aliases": list(row.aliases),
        "kind": "licence" if isinstance(row, Licence) else row.role,
        "title": row.title if isinstance(row, Licence) else _under(row),
        "licences": [] if isinstance(row, Licence) else list(row.licences),
        "cite": cite,
        "url": source.url,
        "age_days": days,
        "stale": days > stale_days,
        "signed_off": f"{row.signed.by} on {row.signed.on}" if row.signed else None,
        "text_sha256": row.text_sha256 if isinstance(row, Licence) else "",
        "conflict": "" if isinstance(row, Licence) else row.conflict,
        "note": row.note,
        "known": bool(row.facts.terms) if is_licence else bool(row.licences or row.hosted_by or row.own_machine),
        "facts": file.identity,
        "line": row.line,
    }


def _under(row: Subject) -> str:
    if row.own_machine:
        return f"{row.role} on your own machine, no terms of its own"
    if row.hosted_by:
        return f"{row.role}, hosted by {row.hosted_by} under its terms"
    return f"{row.role} under {', '.join(row.licences) or 'a licence that is not known'}"


def _list(book: Book, today: date, stale_days: int, *, as_json: bool) -> None:
    rows = [_row_json(row, file, today, stale_days) for file in book.files() for row in file.rows]
    if as_json:
        emit_json({"rows": rows, "sha256": book.sha256})
        return
    columns = ("row", "kind", "under", "days old", "state")
    shown = ((r["row"], r["kind"], r["title"], r["age_days"], paint_state(r)) for r in rows)
    out().print(table("Licence facts, oldest source of each row in days", columns, shown))
    out().print(_summary(rows), markup=False)


def paint_state(row: Mapping[str, Any]) -> str:
    """Say a row's state: what a reader has to look at comes first."""
    words = [word for word, holds in _states(row) if holds]
    return paint("unknown") + f" {', '.join(words)}" if not row["known"] else ", ".join(words)


def _states(row: Mapping[str, Any]) -> Iterable[tuple[str, bool]]:
    yield "STALE", row["stale"]
    yield "conflict", bool(row["conflict"])
    yield "provisional", row["signed_off"] is None
    yield f"signed off by {row['signed_off']}", row["signed_off"] is not None


def _summary(rows: list[dict[str, Any]]) -> str:
    count = len(rows)
    stale, unsigned = (sum(1 for row in rows if holds(row)) for holds in (_is_stale, _is_unsigned))
    conflicts = sum(1 for row in rows if row["conflict"])
    return f"{count} rows: {stale} stale, {unsigned} not signed off, {conflicts} in conflict."


def _is_stale(row: Mapping[str, Any]) -> bool:
    return bool(row["stale"])


def _is_unsigned(row: Mapping[str, Any]) -> bool:
    return row["signed_off"] is None
