"""Payloads against the entries that commit to them: there, unchanged, and, where keys are at hand, what was committed.

Knows nothing of trees and signatures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, select

from limner_provenance import tables
from limner_provenance.audit.report import AuditReport
from limner_provenance.databases import ids_among, in_portions
from limner_provenance.entries import PayloadRef, is_digest
from limner_provenance.envelope import key_in
from limner_provenance.errors import KeyUnavailable, PayloadCorrupt, ProvenanceError
from limner_provenance.reading import check_blob, open_blob

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from limner_provenance.opening import Opened

_MODULUS = 1 << 128


class PayloadCheck:
    """Follows the entries in order; `references` for each chunk, `finish` at the end."""

    def __init__(self, connection: Connection, opened: Opened, report: AuditReport) -> None:
        self._connection = connection
        self._opened = opened
        self._report = report
        # Sums over ids tell in constant memory whether what is referenced and what is stored are the same.
        self._sums = {"payload": [0, 0], "asset": [0, 0]}
        self.keys_used: set[str] = set()

    def references(self, found: Sequence[tuple[int, PayloadRef]]) -> None:
        """Check the payloads that some entries refer to."""
        for some in in_portions(item for item in found if item[1].kind == "json"):
            self._json(some)
        for some in in_portions(item for item in found if item[1].kind == "bytes"):
            self._binary(some)

    def _json(self, items: Sequence[tuple[int, PayloadRef]]) -> None:
        """Check payloads that are rows."""
        rows = self._rows(tables.payload, tables.payload.c.blob, [ref.id for _, ref in items])
        if self._opened.keys is not None:
            self._opened.keys.preload(key for blob in rows.values() if (key := key_in(blob)))
        missing = []
        for index, ref in items:
            blob = rows.get(ref.id)
            if blob is None:
                missing.append((index, ref))
                continue
            self._count("payload", ref.id)
            self._blob("payload", index, ref, blob, "blob")
        self._missing("payload", missing)

    def _binary(self, items: Sequence[tuple[int, PayloadRef]]) -> None:
        """Check payloads that are objects, and the rows that say which key each is under."""
        rows = self._rows(tables.asset, tables.asset.c.key_id, [ref.id for _, ref in items])
        missing = []
        for index, ref in items:
            key = rows.get(ref.id)
            if key is None:
                missing.append((index, ref))
                continue
            self._count("asset", ref.id)
            try:
                blob = self._opened.assets.read(ref.id)
            except ProvenanceError as error:
                self._no_object(ref, error)
                continue
            if self._blob("objects", index, ref, blob, "") not in ("", key):
                self._report.error("The object is sealed under another key.", "asset", ref.id, "key_id")
        self._missing("asset", missing)

    def _no_object(self, ref: PayloadRef, error: ProvenanceError) -> None:
        """An object that cannot be read is an error, unless it was erased since this verification began."""
        if self._erased_meanwhile([ref.id]):
            self._report.payloads_erased += 1
        else:
            self._report.error(str(error), "objects", ref.id)

    def _rows(self, table: Table, column: Any, ids: Sequence[str]) -> dict[str, Any]:
        query = select(table.c.id, column).where(table.c.id.in_(ids))
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def _count(self, table: str, name: str) -> None:
        held = self._sums[table]
        self._sums[table] = [held[0] + 1, (held[1] + int(name[:32], 16)) % _MODULUS]

    def _blob(self, table: str, index: int, ref: PayloadRef, blob: Any, column: str) -> str:
        """Check one ciphertext, and give the id of its data key; empty where it is not the one committed to."""
        key = ""
        if not isinstance(blob, bytes):
            self._report.error("The ciphertext is stored as text.", table, ref.id, column)
            return key
        try:
            key = check_blob(ref, blob)
            self.keys_used.add(key)
            open_blob(ref, blob, key, self._opened.keys)
        except PayloadCorrupt as error:
            self._report.error(f"Entry {index}: {error}", table, ref.id, column)
        except KeyUnavailable as error:
            self._without_key(index, ref, key, error)
        else:
            self._report.payloads_opened += 1
        return key

    def _without_key(self, index: int, ref: PayloadRef, key: str, error: KeyUnavailable) -> None:
        """The ciphertext is unchanged, and its key is not at hand: erased, lost, or not given to us."""
        if self._erased([key]) or self._erased_meanwhile([ref.id, key]):
            self._report.payloads_erased += 1
        elif self._opened.keys is None:
            self._report.payloads_not_opened += 1
        else:
            self._report.payloads_not_opened += 1
            self._report.error(f"Entry {index}, payload {ref.name}: {error}", "keys.db/data_key", key)

    def _missing(self, table: str, items: Sequence[tuple[int, PayloadRef]]) -> None:
        """Payloads without a row: the log says they were erased, or something is wrong."""
        erased = self._erased([ref.id for _, ref in items]) if items else set()
        for index, ref in items:
            if ref.id in erased:
                self._report.payloads_erased += 1
            else:
                what = f"The payload {ref.name} of entry {index} is missing, and no erasure explains that."
                self._report.error(what, table, ref.id)

    def _erased(self, ids: Sequence[str]) -> set[str]:
        return set(ids_among(self._connection, tables.erasure.c.id, ids))

    def _erased_meanwhile(self, ids: Sequence[str]) -> bool:
        """Say whether ids were erased by now; objects and keys are not part of the snapshot that is verified."""
        with self._opened.database.read() as fresh:
            return bool(ids_among(fresh, tables.erasure.c.id, ids))

    def finish(self) -> None:
        """Find rows and objects that no entry refers to."""
        for table in (tables.payload, tables.asset):
            self._unreferenced(table)
            self._resurrected(table)
        self._objects()

    def _resurrected(self, table: Table) -> None:
        """Find rows that an erasure took away and that are back, as after a backup was mixed in."""
        gone = tables.erasure
        query = select(gone.c.id, gone.c.idx).where(gone.c.id.in_(select(table.c.id)))
        for name, index in self._connection.execute(query):
            self._report.error(f"Entry {index} erased this row, and it is back.", table.name, name, "id")

    def _unreferenced(self, table: Table) -> None:
        """Compare number and sum of the stored ids with those referred to; only a difference costs a second look."""
        count, total = 0, 0
        strange: list[Any] = []
        for row in self._connection.execute(select(table.c.id), execution_options={"yield_per": 1000}):
            if is_digest(row[0]):
                count, total = count + 1, (total + int(row[0][:32], 16)) % _MODULUS
            else:
                strange.append(row[0])
        if strange or [count, total] != self._sums[table.name]:
            for name in [*strange, *_orphans(self._connection, table)]:
                self._report.error("No entry refers to this row.", table.name, name, "id")

    def _objects(self) -> None:
        """Look for objects that no row speaks of."""
        for some in in_portions(self._opened.assets.names()):
            known = set(ids_among(self._connection, tables.asset.c.id, some))
            strange = [name for name in some if name not in known]
            erased = self._erased(strange)
            for name in strange:
                if name in erased:
                    self._came_back(name)
                else:
                    what = "No entry refers to this object: an interrupted write left it, or it is being written."
                    self._report.add("information", what, "objects", name)

    def _came_back(self, name: str) -> None:
        """Tell of an object that was erased and lies in the store: with its key gone nobody can open it."""
        try:
            key = key_in(self._opened.assets.read(name))
        except ProvenanceError:
            return  # erased while this verification runs
        closed = self._opened.keys is None or key in self._erased([key])
        what = "It was erased, and lies in the store again; `limner audit sweep` removes it."
        self._report.add("warning" if closed else "error", what, "objects", name)


def _orphans(connection: Connection, table: Table) -> Iterator[str]:
    """Give the ids in `table` that no entry names, looking each of them up in the entries."""
    entry = tables.entry
    named: set[str] = set()
    for row in connection.execute(select(entry.c.leaf).where(entry.c.leaf.contains('"commitment"'))):
        named.update(part[:64] for part in str(row[0]).split('"id":"')[1:])
    for row in connection.execute(select(table.c.id)):
        if is_digest(row[0]) and row[0] not in named:
            yield row[0]
