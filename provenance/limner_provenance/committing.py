"""One commit of the log: read the newest checkpoint, add a batch of entries, sign one new checkpoint.

All of it in one database transaction that holds the write lock. Knows nothing of threads and queues.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import select

from limner_provenance import tables
from limner_provenance.checkpoint import Signer, Verifier
from limner_provenance.envelope import key_id_of
from limner_provenance.errors import AuditError, LogCorrupt, PayloadErased
from limner_provenance.tiles import GrowingTree, load_tree

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from limner_provenance.entries import Entry
    from limner_provenance.envelope import Sealed
    from limner_provenance.sqlite import Database

_CHUNK = 400
# Statements are made once: building them again costs as much as running them.
_NEWEST = (
    select(tables.checkpoint.c.size, tables.checkpoint.c.note, tables.checkpoint.c.edge)
    .order_by(tables.checkpoint.c.size.desc())
    .limit(1)
)
_ENTRIES = tables.entry.insert()
_CHECKPOINT = tables.checkpoint.insert()


@dataclass(slots=True)
class Draft:
    """An entry with everything that is stored together with it.

    Attributes:
        entry: the entry, without an index yet.
        sealed: its encrypted payloads.
        key: id of the data key they are sealed under, or None where there are none.
        apart: ids of further data keys, under each of which one of them alone is sealed.
        erased: ids of payloads and keys that this entry (of step `erased`) declares erased.
        holds_seen: size of the log up to which holds were looked for; one that came later refuses this draft.
    """

    entry: Entry
    sealed: Sequence[Sealed] = ()
    key: str | None = None
    apart: Sequence[str] = ()
    erased: Sequence[str] = field(default_factory=tuple)
    holds_seen: int | None = None


    @property
    def keys(self) -> set[str]:
        """The ids of all data keys that its payloads are sealed under."""
        return {*self.apart, *([self.key] if self.key else [])}


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit made: the index of its first entry, the new size and the signed checkpoint."""

    start: int
    size: int
    note: str


def add(connection: Connection, signer: Signer, entry: Entry) -> None:
    """Put the first entry into an empty log, inside the caller's transaction."""
    _write(connection, signer, GrowingTree(), [Draft(entry)])


class Committer:
    """Adds batches to the log of one database under one signing key."""

    def __init__(self, database: Database, signer: Signer) -> None:
        self._database = database
        self._signer = signer
        self._verifier = Verifier(signer.vkey)
        self._tree: GrowingTree | None = None
        self._smallest = 0

    def commit(self, drafts: Sequence[Draft]) -> Committed:
        """Write the drafts in their order; when this returns they are on the disk.

        Raises:
            DatabaseUnavailable: nothing was written (or the disk failed while it was made durable).
            LogCorrupt: the newest checkpoint contradicts the database or goes back behind what was written before.
            PayloadErased: a data key was erased since the payload was sealed; nothing was written.
        """
        tree, self._tree = self._tree, None
        with self._database.write() as connection:
            grown = self._newest(connection, tree)
            refuse_erased(connection, {key for draft in drafts for key in draft.keys})
            _refuse_held(connection, drafts)
            done = _write(connection, self._signer, grown, drafts)
        # Only a tree that is known to be on the disk is kept.
        self._tree, self._smallest = grown, done.size
        return done

    def _newest(self, connection: Connection, tree: GrowingTree | None) -> GrowingTree:
        """Give the tree as the database has it; another process may have written since."""
        row = newest_checkpoint(connection)
        size = row[0] if row else 0
        if size < self._smallest:
            message = f"The log went back from {self._smallest} entries to {size}."
            raise LogCorrupt(message, remedy="Somebody replaced the database: restore it, then `limner audit verify`.")
        if tree is not None and tree.size == size:
            return tree
        if row is None:
            return GrowingTree()
        said = self._verifier.verify(row[1])
        loaded = load_tree(connection, size, row[2])
        if said.size != size or said.root != loaded.edge.root():
            message = f"The checkpoint of size {size} contradicts its row."
            raise LogCorrupt(message, remedy="Run `limner audit verify`.")
        return loaded


def _write(connection: Connection, signer: Signer, tree: GrowingTree, drafts: Sequence[Draft]) -> Committed:
    """Insert everything, growing `tree`."""
    start = tree.size
    rows = []
    for draft in drafts:
        rows.append({"idx": tree.size, "leaf": draft.entry.leaf})
        tree.append(draft.entry.leaf_hash)
    connection.execute(_ENTRIES, rows)
    _insert_payloads(connection, drafts)
    if tree.new_tiles:
        connection.execute(tables.tile.insert(), tree.new_tiles)
        tree.new_tiles = []
    for offset, draft in enumerate(drafts):
        if draft.erased:
            _erase(connection, start + offset, draft.erased)
    note = signer.sign(tree.size, tree.edge.root())
    row = {"size": tree.size, "previous": start, "note": note, "edge": tree.edge.to_bytes()}
    connection.execute(_CHECKPOINT, row)
    return Committed(start, tree.size, note)


def newest_checkpoint(connection: Connection) -> tuple[int, str, bytes] | None:
    """Give size, note and edge of the newest checkpoint."""
    row = connection.execute(_NEWEST).first()
    return None if row is None else (row[0], row[1], row[2])


def refuse_erased(connection: Connection, keys: Iterable[str]) -> None:
    """Refuse payloads whose data key was erased after they were sealed.

    Raises:
        PayloadErased: one was.
    """
    wanted = sorted(keys)
    table = tables.erasure
    for start in range(0, len(wanted), _CHUNK):
        query = select(table.c.id).where(table.c.id.in_(wanted[start : start + _CHUNK]))
        row = connection.execute(query).first()
        if row is not None:
            raise KeyErased(row[0])


class KeyErased(PayloadErased):
    """A data key was erased between sealing and committing; `key` is its id."""

    def __init__(self, key: str) -> None:
        message = f"The data key {key} was erased while a payload sealed under it waited to be written."
        super().__init__(message, remedy="Append the entry again: it will be sealed under a new key.")
        self.key = key

    def concerns(self, draft: Draft) -> bool:
        """Say whether a draft is sealed under the erased key."""
        return self.key in draft.keys


class HoldsChanged(AuditError):
    """A hold was logged after an erasure had looked for holds; `draft` is the erasure's."""

    def __init__(self, draft: Draft) -> None:
        super().__init__("A hold was set while this erasure waited to be written.", remedy="Ask for the erasure again.")
        self.draft = draft

    def concerns(self, draft: Draft) -> bool:
        """Say whether a draft is the one that was refused."""
        return draft is self.draft


def _refuse_held(connection: Connection, drafts: Sequence[Draft]) -> None:
    """Refuse an erasure that could not know of a hold set meanwhile, by another process or in the same batch.

    Raises:
        HoldsChanged: there is such a hold.
    """
    table = tables.entry
    for draft in drafts:
        if draft.holds_seen is None:
            continue
        query = select(table.c.idx).where(table.c.step == "held", table.c.idx >= draft.holds_seen).limit(1)
        beside = any(other.entry.step == "held" for other in drafts)
        if beside or connection.execute(query).first() is not None:
            raise HoldsChanged(draft)


def _insert_payloads(connection: Connection, drafts: Sequence[Draft]) -> None:
    """Insert the JSON payloads, and the rows that say which key a stored object is under."""
    payloads = [{"id": s.id, "blob": s.blob} for draft in drafts for s in draft.sealed if s.kind == "json"]
    if payloads:
        connection.execute(tables.payload.insert(), payloads)
    assets = [{"id": s.id, "key_id": key_id_of(s.blob)} for draft in drafts for s in draft.sealed if s.kind == "bytes"]
    if assets:
        connection.execute(tables.asset.insert(), assets)


def _erase(connection: Connection, index: int, ids: Sequence[str]) -> None:
    """Record ids as erased by the entry `index`, and delete the rows that are erased."""
    # Two processes may erase the same at once: the first entry that names an id is the one that erased it.
    table = tables.erasure
    known: set[str] = set()
    for start in range(0, len(ids), _CHUNK):
        known.update(connection.scalars(select(table.c.id).where(table.c.id.in_(ids[start : start + _CHUNK]))))
    fresh = [{"id": name, "idx": index} for name in dict.fromkeys(ids) if name not in known]
    if fresh:
        connection.execute(table.insert(), fresh)
    for table in (tables.payload, tables.asset):
        for start in range(0, len(ids), _CHUNK):
            connection.execute(table.delete().where(table.c.id.in_(ids[start : start + _CHUNK])))
