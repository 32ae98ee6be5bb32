"""Rows as a reader wants to see them: what they are under, how old they are, who signed them off. Data, no layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from limner_policy.licences.book import Book
from limner_policy.licences.checking import age, name_of
from limner_policy.licences.rows import FactsFile, Licence, Subject
from limner_policy.types import PartFacts


@dataclass(frozen=True, slots=True)
class RowState:
    """One row.

    Attributes:
        row, aliases: Its names.
        kind: `licence`, or a subject's role.
        title: A licence's name, or what a subject is under.
        licences: Ids of a subject's licences.
        cite: Where and when it was read, and by way of what.
        url: The source's address, if one is recorded.
        age_days: Days since the oldest of its sources was read.
        stale: Whether that is more than was asked for.
        signed_off: Who signed it off and when; None: provisional.
        text_sha256: Digest of a licence's text as read; empty where none was at hand.
        conflict, note: As recorded.
        known: Whether anything follows of it: a licence has terms, a subject has licences or needs none.
        facts, line: The facts file with version and digest, and where the row begins.
    """

    row: str
    aliases: tuple[str, ...]
    kind: str
    title: str
    licences: tuple[str, ...]
    cite: str
    url: str | None
    age_days: int
    stale: bool
    signed_off: str | None
    text_sha256: str
    conflict: str
    note: str
    known: bool
    facts: str
    line: int

    @property
    def words(self) -> str:
        """Its state in a few words, the worst first."""
        signed = f"signed off by {self.signed_off}" if self.signed_off else "provisional"
        flags = (("NOT KNOWN", not self.known), ("STALE", self.stale), ("CONFLICT", bool(self.conflict)))
        return ", ".join([word for word, holds in flags if holds] + [signed])


def every_row(book: Book, today: date, stale_days: int) -> list[RowState]:
    """All rows, in the order of the files.

    Raises:
        PolicyFileError: a facts file is broken.
    """
    return [_state(row, file, today, stale_days) for file in book.files() for row in file.rows]


def rows_behind(parts: Iterable[PartFacts], book: Book, today: date, stale_days: int) -> list[RowState]:
    """The rows that these parts came from: subjects, then licences, each once."""
    found = list(_behind(list(parts), book))
    return [_state(row, file, today, stale_days) for row, file in found]


def _behind(parts: list[PartFacts], book: Book) -> Iterator[tuple[Licence | Subject, FactsFile]]:
    for part in parts:
        if subject := book.subject(part.name, (part.role,)):
            yield subject
    for name in dict.fromkeys(one.id for part in parts for one in part.licences):
        if licence := book.licence(name):
            yield licence


def _state(row: Licence | Subject, file: FactsFile, today: date, stale_days: int) -> RowState:
    source = row.text if isinstance(row, Licence) else row.source
    days = age(row, today)
    return RowState(
        row=name_of(row),
        aliases=row.aliases,
        kind="licence" if isinstance(row, Licence) else row.role,
        title=row.title if isinstance(row, Licence) else _under(row),
        licences=() if isinstance(row, Licence) else row.licences,
        cite=f"{source.cite}, read {source.read}" + (f" by way of {source.via}" if source.via else ""),
        url=source.url,
        age_days=days,
        stale=days > stale_days,
        signed_off=f"{row.signed.by} on {row.signed.on}" if row.signed else None,
        text_sha256=row.text_sha256 if isinstance(row, Licence) else "",
        conflict="" if isinstance(row, Licence) else row.conflict,
        note=row.note,
        known=bool(row.facts.terms if isinstance(row, Licence) else row.licences or row.hosted_by or row.own_machine),
        facts=file.identity,
        line=row.line,
    )


def _under(row: Subject) -> str:
    if row.own_machine:
        return "your own machine: no terms of its own"
    if row.hosted_by:
        return f"the terms of {row.hosted_by}, which hosts it"
    return ", ".join(row.licences) or "a licence that is not known"
