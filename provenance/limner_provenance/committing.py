"""One commit of the log: read the newest checkpoint, add a batch of entries, sign one new checkpoint.

All of it in one database transaction that holds the write lock. Knows nothing of threads and queues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from limner_provenance import tables
from limner_provenance.checkpoint import Signer
from limner_provenance.databases import Database, ids_among, in_portions, write_again
from limner_provenance.entries import PayloadRef, make_entry
from limner_provenance.envelope import key_id_of
from limner_provenance.errors import AuditError, LogCorrupt, PayloadErased
from limner_provenance.rotation import KeyChain, load_chain, rotations
from limner_provenance.schema import insert, is_postgres
from limner_provenance.tiles import WIDTH, GrowingTree, extend_tree, load_tree

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from limner_provenance.entries import Entry
    from limner_provenance.envelope import Sealed

# Statements are made once: building them again costs as much as running them.
_NEWEST = (
    select(tables.checkpoint.c.size, tables.checkpoint.c.note, tables.checkpoint.c.edge)
    .order_by(tables.checkpoint.c.size.desc())
    .limit(1)
)


@dataclass(slots=True)
class Draft:
    """An entry with everything that is stored together with it.

    Attributes:
        entry: the entry, without an index yet.
        sealed: its encrypted payloads.
        erased: ids of payloads and keys that this entry (of step `erased`) declares erased.
        holds_seen: size of the log up to which holds were looked for; one that came later refuses this draft.
        signer: the log's new key where this entry rotates it: it signs from this commit on.
    """

    entry: Entry
    sealed: Sequence[Sealed] = ()
    erased: Sequence[str] = field(default_factory=tuple)
    holds_seen: int | None = None
    signer: Signer | None = None

    @property
    def keys(self) -> set[str]:
        """The ids of all data keys that its payloads are sealed under."""
        return {key_id_of(item.blob) for item in self.sealed}


def make_draft(step: str, record: str | None, data: Mapping[str, Any], sealed: Mapping[str, Sealed]) -> Draft:
    """Make an entry that refers to encrypted payloads by their names, together with them.

    Raises:
        EntryInvalid: see `make_entry`.
    """
    references = {name: PayloadRef(name, item.id, item.commitment, item.kind) for name, item in sealed.items()}
    return Draft(make_entry(step, record, data, references), list(sealed.values()))


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

    def __init__(self, database: Database, signer: Signer, find: Callable[[str], Signer]) -> None:
        """Take the database, the newest key as far as is known, and what finds the private key of a newer one."""
        self._database = database
        self._signer = signer
        self._find = find
        self._chain: KeyChain | None = None
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

        def work(connection: Connection, again: bool) -> tuple[GrowingTree, Signer, Committed]:
            # A tree that an attempt before has grown is of no use any more.
            grown = self._newest(connection, None if again else tree)
            if again and (done := _find(connection, self._smallest, drafts)) is not None:
                return grown, self._signer, done
            refuse_erased(connection, {key for draft in drafts for key in draft.keys})
            _refuse_held(connection, drafts)
            signer = self._signer_of(drafts)
            return grown, signer, _write(connection, signer, grown, drafts)

        grown, signer, done = write_again(self._database, work)
        # Only what is known to be on the disk is kept.
        self._tree, self._smallest = grown, done.size
        if signer is not self._signer:
            self._signer, self._chain = signer, None
        return done

    @property
    def signer(self) -> Signer:
        """The key that the last commit was signed with."""
        return self._signer

    def _signer_of(self, drafts: Sequence[Draft]) -> Signer:
        """Give the key that signs a batch: the newest one, that of a rotation in the batch included."""
        signer = self._signer
        for draft in drafts:
            if draft.signer is not None:
                if draft.entry.data["old"] != signer.vkey:
                    raise DraftRefused(draft, "The log's key was rotated by another process.", "Try again.")
                signer = draft.signer
        return signer

    def _keys(self, connection: Connection) -> KeyChain:
        """Give the log's keys; where another process rotated the key, go on with the new one.

        Raises:
            KeyUnavailable: the new private key is not at hand.
        """
        if self._chain is None or rotations(connection, self._smallest):
            self._chain = load_chain(connection)
            if self._chain.vkey != self._signer.vkey:
                self._signer = self._find(self._chain.vkey)
        return self._chain

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
        said = self._keys(connection).verify(row[1])
        if tree is not None and size - tree.size <= WIDTH:
            loaded = extend_tree(connection, tree, size)
        else:
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
    insert(connection, tables.entry, rows)
    _insert_payloads(connection, drafts)
    if tree.new_tiles:
        insert(connection, tables.tile, tree.new_tiles)
        tree.new_tiles = []
    for offset, draft in enumerate(drafts):
        if draft.erased:
            _erase(connection, start + offset, draft.erased)
    note = signer.sign(tree.size, tree.edge.root())
    row = {"size": tree.size, "previous": start, "note": note, "edge": tree.edge.to_bytes()}
    insert(connection, tables.checkpoint, [row])
    return Committed(start, tree.size, note)


def _find(connection: Connection, start: int, drafts: Sequence[Draft]) -> Committed | None:
    """Give the commit of a batch whose end nobody heard of, if it was made; entries from `start` on are looked at."""
    table, leaves = tables.entry, [draft.entry.leaf for draft in drafts]
    query = select(table.c.idx).where(table.c.idx >= start, table.c.leaf == leaves[0]).order_by(table.c.idx)
    for index in connection.scalars(query).all():
        those = select(table.c.leaf).where(table.c.idx >= index).order_by(table.c.idx).limit(len(leaves))
        if connection.scalars(those).all() == leaves:
            newest = newest_checkpoint(connection)
            assert newest is not None
            return Committed(index, newest[0], newest[1])
    return None


def newest_checkpoint(connection: Connection) -> tuple[int, str, bytes] | None:
    """Give size, note and edge of the newest checkpoint."""
    row = connection.execute(_NEWEST).first()
    return None if row is None else (row[0], row[1], row[2])


def refuse_erased(connection: Connection, keys: Iterable[str]) -> None:
    """Refuse payloads whose data key was erased after they were sealed.

    Raises:
        PayloadErased: one was.
    """
    erased = ids_among(connection, tables.erasure.c.id, sorted(keys))
    if erased:
        raise KeyErased(erased[0])


class KeyErased(PayloadErased):
    """A data key was erased between sealing and committing; `key` is its id."""

    def __init__(self, key: str) -> None:
        message = f"The data key {key} was erased while a payload sealed under it waited to be written."
        super().__init__(message, remedy="Append the entry again: it will be sealed under a new key.")
        self.key = key

    def concerns(self, draft: Draft) -> bool:
        """Say whether a draft is sealed under the erased key."""
        return self.key in draft.keys


class DraftRefused(AuditError):
    """One draft of a batch does not fit the log as it is by now; `draft` is that one."""

    def __init__(self, draft: Draft, message: str, remedy: str) -> None:
        super().__init__(message, remedy=remedy)
        self.draft = draft

    def concerns(self, draft: Draft) -> bool:
        """Say whether a draft is the one that was refused."""
        return draft is self.draft


class HoldsChanged(DraftRefused):
    """A hold was logged after an erasure had looked for holds."""

    def __init__(self, draft: Draft) -> None:
        super().__init__(draft, "A hold was set while this erasure waited to be written.", "Ask for the erasure again.")


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
        insert(connection, tables.payload, payloads)
    assets = [{"id": s.id, "key_id": key_id_of(s.blob)} for draft in drafts for s in draft.sealed if s.kind == "bytes"]
    if assets:
        insert(connection, tables.asset, assets)


def _erase(connection: Connection, index: int, ids: Sequence[str]) -> None:
    """Record ids as erased by the entry `index`, and delete the rows that are erased."""
    # Two processes may erase the same at once: the first entry that names an id is the one that erased it.
    table = tables.erasure
    known = set(ids_among(connection, table.c.id, ids))
    fresh = [{"id": name, "idx": index} for name in dict.fromkeys(ids) if name not in known]
    if fresh:
        insert(connection, table, fresh)
    if is_postgres(connection):
        # A role that writes may delete nothing; this function of the owner's deletes what the log calls erased.
        connection.exec_driver_sql("SELECT erase_rows(%s)", (list(ids),))
        return
    for table in (tables.payload, tables.asset):
        for some in in_portions(ids):
            connection.execute(table.delete().where(table.c.id.in_(some)))
