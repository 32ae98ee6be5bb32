"""Entries one by one: bytes, canonical form, shape, order of a record's steps, what they say was erased.

Knows nothing of trees and signatures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, LargeBinary, cast, func, literal, select, type_coerce

from limner_provenance import tables
from limner_provenance.audit.report import AuditReport
from limner_provenance.canonical import read_canonical
from limner_provenance.entries import MAX_ENTRY_BYTES, PayloadRef, check_shape
from limner_provenance.schema import is_postgres
from limner_provenance.states import label_of, misfit

if TYPE_CHECKING:
    from sqlalchemy import Connection

CHUNK = 1000


class EntryCheck:
    """Follows the entries in order."""

    def __init__(self, report: AuditReport) -> None:
        self._report = report
        self._labels: dict[str, str] = {}
        self._time = ""
        self._backwards: list[int] = []
        self.erased: dict[str, int] = {}

    def entry(self, index: int, leaf: bytes, is_text: int) -> list[PayloadRef]:
        """Check one stored entry and give its references to payloads."""
        if not is_text:
            self._report.error("The leaf is stored as another type than text.", "entry", index, "leaf")
        if len(leaf) >= MAX_ENTRY_BYTES:
            self._report.error("The entry is larger than 64 KiB.", "entry", index, "leaf")
        try:
            content = read_canonical(leaf)
            references = check_shape(content)
        except (ValueError, RecursionError) as error:
            self._report.error(f"The entry is not in Limner's format: {error}.", "entry", index, "leaf")
            return []
        self._order(index, content)
        if content["step"] == "erased":
            self._note_erased(index, content["data"])
        return list(references.values())

    def finish(self) -> None:
        """Say what is only information."""
        if self._backwards:
            count, first = len(self._backwards), self._backwards[0]
            what = f"Time goes backwards {count} times, first here (several processes, or a clock that was set)."
            self._report.add("information", what, "entry", first, "time")

    def _order(self, index: int, content: dict[str, Any]) -> None:
        """Check that the step fits the record's steps before it."""
        if content["time"] < self._time:
            self._backwards.append(index)
        self._time = content["time"]
        record = content["record"]
        if record is None:
            return
        label = label_of(content["step"], content["data"])
        odd = misfit(self._labels.get(record, ""), label)
        if odd:
            self._report.add("warning", f"Record {record}: {odd}.", "entry", index, "step")
        self._labels[record] = label

    def _note_erased(self, index: int, data: dict[str, Any]) -> None:
        for field in ("keys", "payloads"):
            values = data.get(field)
            if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
                self._report.error(f"An erased entry without a list of {field}.", "entry", index, "leaf")
                continue
            for value in values:
                self.erased.setdefault(value, index)


def stored_entries(connection: Connection, report: AuditReport) -> Iterator[Sequence[Any]]:
    """Give index, bytes and whether they are stored as text of all entries, a thousand at a time; gaps are reported."""
    table = tables.entry
    # A number, since SQLite's texts pass through Python one by one. PostgreSQL's columns have one type, the schema's.
    is_text = literal(1) if is_postgres(connection) else type_coerce(func.typeof(table.c.leaf) == "text", Integer)
    leaf = func.convert_to(table.c.leaf, "UTF8") if is_postgres(connection) else cast(table.c.leaf, LargeBinary)
    query = select(table.c.idx, leaf, is_text).order_by(table.c.idx)
    expected = 0
    with connection.execute(query, execution_options={"yield_per": CHUNK}) as result:
        for rows in result.partitions(CHUNK):
            for index, _, _ in rows:
                if index != expected:
                    what = f"Entries are missing: after {expected - 1} comes {index}."
                    report.error(what, "entry", min(expected, index), "idx")
                    expected = index
                expected += 1
            yield rows


def compare_erasures(connection: Connection, report: AuditReport, erased: dict[str, int]) -> None:
    """Compare the table of erasures with the `erased` entries it is made from."""
    left = dict(erased)
    table = tables.erasure
    for name, index in connection.execute(select(table.c.id, table.c.idx), execution_options={"yield_per": CHUNK}):
        if name not in left:
            report.error("No entry says that this was erased.", "erasure", name, "id")
        elif left[name] != index:
            report.error(f"It was erased by entry {left[name]}, not {index}.", "erasure", name, "idx")
        left.pop(name, None)
    for name, index in left.items():
        report.error(f"Entry {index} erased this, but the row is missing.", "erasure", name)
