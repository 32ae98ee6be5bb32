"""What is wrong with facts though they can be read: old sources, rows nobody signed off, gaps. For lint and lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from limner_policy.licences.book import Book
from limner_policy.licences.rows import FactsFile, Licence, Subject
from limner_policy.licences.terms import CEILINGS, COMMERCIAL
from limner_policy.pack import Pack

MAX_AGE_DAYS = 180
"""A source that was read longer ago is stale, unless another age is asked for."""

What = Literal["stale", "unsigned", "conflict", "unread", "no_row", "gap", "second_hand", "read_later"]


@dataclass(frozen=True, slots=True, order=True)
class Remark:
    """One finding about one row; `what` is its kind, `line` counts from 1."""

    file: str
    line: int
    row: str
    what: What
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.row}: {self.message}"


def remarks(book: Book, today: date, *, max_age_days: int = MAX_AGE_DAYS) -> list[Remark]:
    """Everything that a reader of the facts should look at, sorted by place.

    Args:
        book: the facts.
        today: the day to count ages from.
        max_age_days: a source read longer ago is stale.

    Raises:
        PolicyFileError: a facts file is broken.
    """
    files = book.files()
    found = [remark for file in files for row in file.rows for remark in _common(file, row, today, max_age_days)]
    found += [remark for file in files for row in file.licences for remark in _licence(file, row)]
    found += [remark for file in files for row in file.subjects for remark in _subject(book, file, row)]
    return sorted(found)


def claims(packs: Iterable[Pack], today: date, *, max_age_days: int = MAX_AGE_DAYS) -> list[Remark]:
    """Packs whose claims of the organisation are old, sorted by place: a revenue of two years ago decides nothing."""
    found = []
    for pack in packs:
        if pack.organisation is None or pack.organisation.as_of is None:
            continue
        days = (today - date.fromisoformat(pack.organisation.as_of)).days
        if days > max_age_days:
            told = f"is claimed as of {days} days ago by {pack.organisation.claimed_by}: have it confirmed"
            found.append(Remark(pack.file, 1, "organisation", "stale", told))
    return sorted(found)


def age(row: Licence | Subject, today: date) -> int:
    """Days since the row's oldest source was read."""
    return max((today - date.fromisoformat(day)).days for day in days_read(row))


def days_read(row: Licence | Subject) -> set[str]:
    """The days on which what the row says was read."""
    if isinstance(row, Subject):
        return {row.source.read or ""}
    return {row.text.read or "", *(fact.read for fact in row.facts.terms)}


def name_of(row: Licence | Subject) -> str:
    """The row's id."""
    return row.facts.id if isinstance(row, Licence) else row.id


def _common(file: FactsFile, row: Licence | Subject, today: date, max_age_days: int) -> Iterator[Remark]:
    name = name_of(row)
    if (days := age(row, today)) > max_age_days:
        yield Remark(file.file, row.line, name, "stale", f"was read {days} days ago: read its source again")
    if any(date.fromisoformat(day) > today for day in days_read(row)):
        yield Remark(file.file, row.line, name, "read_later", "was read on a day that has not come yet")
    if row.signed is None:
        yield Remark(file.file, row.line, name, "unsigned", "is provisional: nobody has signed it off")


def _licence(file: FactsFile, row: Licence) -> Iterator[Remark]:
    facts = row.facts
    if not facts.terms:
        yield Remark(file.file, row.line, facts.id, "unread", "has no terms: its text was not read")
        return
    recorded = {*facts.silent, *(fact.term for fact in facts.terms)}
    commercial = any(fact.term in COMMERCIAL and fact.says == "yes" for fact in facts.terms)
    gaps = [term for term in (*CEILINGS, "territory_exclude") if term not in recorded]
    if commercial and gaps:
        told = f"allows commercial use and records nothing of {', '.join(gaps)}: state them, or call the text silent"
        yield Remark(file.file, row.line, facts.id, "gap", told)
    if second_hand := sorted({fact.via for fact in facts.terms if fact.via}):
        yield Remark(file.file, row.line, facts.id, "second_hand", f"was read by way of {'; '.join(second_hand)}")


def _subject(book: Book, file: FactsFile, row: Subject) -> Iterator[Remark]:
    if row.conflict:
        yield Remark(file.file, row.line, row.id, "conflict", row.conflict)
    for name in row.licences:
        if book.licence(name) is None:
            yield Remark(file.file, row.line, row.id, "no_row", f"names the licence {name}, which has no row")
    if row.hosted_by and book.subject(row.hosted_by, ("provider",)) is None:
        yield Remark(file.file, row.line, row.id, "no_row", f"is hosted by {row.hosted_by}, which has no row")
    if not (row.licences or row.hosted_by or row.own_machine):
        yield Remark(file.file, row.line, row.id, "unread", "names no licence: which one it is under is not known")
    if row.source.via:
        yield Remark(file.file, row.line, row.id, "second_hand", f"was read by way of {row.source.via}")
