"""Reading the log: entries, payloads, proofs, records. Works with read access alone, and without keys but for payloads.

Knows nothing of writing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, and_, bindparam, func, select

from limner_provenance import merkle, tables
from limner_provenance.checkpoint import parse_unverified
from limner_provenance.committing import newest_checkpoint
from limner_provenance.databases import in_portions
from limner_provenance.entries import Entry, PayloadRef, read_entry
from limner_provenance.envelope import Opened, bytes_facts, key_id_of, key_in, open_payload
from limner_provenance.errors import (
    AuditError,
    KeyUnavailable,
    LogCorrupt,
    PayloadCorrupt,
    PayloadErased,
    PayloadMissing,
    ProvenanceError,
    RecordNotFound,
)
from limner_provenance.states import ENDINGS, RecordState, derive
from limner_provenance.tiles import subtrees

if TYPE_CHECKING:
    from limner_provenance.assets import AssetStore
    from limner_provenance.databases import Database
    from limner_provenance.keys import KeyStore

_CHUNK = 1000
_LEAF = select(tables.entry.c.leaf).where(tables.entry.c.idx == bindparam("idx"))


@dataclass(frozen=True, slots=True)
class Head:
    """The newest checkpoint: `size` in entries, `root` (32 bytes), and `note`, its signed text."""

    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """Shows that the entry `index` with `leaf_hash` is in the tree of `size` entries with `root`; 32-byte hashes."""

    index: int
    size: int
    leaf_hash: bytes
    root: bytes
    hashes: tuple[bytes, ...]

    def holds(self) -> bool:
        """Say whether the proof is right."""
        return merkle.check_inclusion(self.leaf_hash, self.index, self.size, self.hashes, self.root)


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """Shows that the tree of `new` entries begins with the tree of `old` entries."""

    old: int
    new: int
    old_root: bytes
    new_root: bytes
    hashes: tuple[bytes, ...]

    def holds(self) -> bool:
        """Say whether the proof is right."""
        return merkle.check_consistency(self.old, self.new, self.old_root, self.new_root, self.hashes)


@dataclass(frozen=True, slots=True)
class PayloadFacts:
    """What a bytes payload is committed as: `sha256` (hex) and `length`, with the `salt` (hex) that discloses it."""

    sha256: str
    length: int
    salt: str


class Reader:
    """Reads one log."""

    def __init__(self, database: Database, assets: AssetStore, keys: KeyStore | None) -> None:
        self._database = database
        self._assets = assets
        self._keys = keys

    def head(self) -> Head:
        """Give the newest checkpoint as it is stored; `audit verify` says whether it is right."""
        with self._database.read() as connection:
            row = newest_checkpoint(connection)
        if row is None:
            raise LogCorrupt("The log has no checkpoint.", remedy="Restore the database, then `limner audit verify`.")
        return Head(row[0], parse_unverified(row[1]).root, row[1])

    def checkpoint(self, size: int) -> str | None:
        """Give the stored checkpoint of exactly `size` entries, or None."""
        table = tables.checkpoint
        with self._database.read() as connection:
            row = connection.execute(select(table.c.note).where(table.c.size == size)).first()
        return None if row is None else str(row[0])

    def entry(self, index: int) -> Entry:
        """Give one entry.

        Raises:
            AuditError: there is none of that index.
        """
        found = next(self.entries(start=index, stop=index + 1), None)
        if found is None:
            raise AuditError(f"The log has no entry {index}.", remedy=f"It has {self.head().size} entries, from 0.")
        return found

    def entries(
        self,
        *,
        record: str | None = None,
        steps: Iterable[str] | None = None,
        start: int = 0,
        stop: int | None = None,
    ) -> Iterator[Entry]:
        """Give entries in the log's order, a thousand in memory at a time.

        Args:
            record: only those of this record.
            steps: only those of these steps.
            start: the first index.
            stop: the index to stop before, or None for all.
        """
        table = tables.entry
        conditions = [] if stop is None else [table.c.idx < stop]
        if record is not None:
            conditions.append(table.c.record == record)
        if steps is not None:
            conditions.append(table.c.step.in_(sorted(steps)))
        at = start
        while True:
            query = select(table.c.idx, table.c.leaf).where(table.c.idx >= at, *conditions)
            with self._database.read() as connection:
                rows = connection.execute(query.order_by(table.c.idx).limit(_CHUNK)).all()
            for row in rows:
                yield read_entry(row[0], row[1])
            if len(rows) < _CHUNK:
                return
            at = rows[-1][0] + 1

    def payload(self, ref: PayloadRef) -> Any:
        """Give a payload's value: JSON, or bytes.

        Raises:
            PayloadErased: the log says it was erased.
            PayloadMissing: it is not there, and no erasure explains that.
            PayloadCorrupt: its bytes do not fit its id or its commitment.
            KeyUnavailable: its data key is not at hand.
            StorageUnavailable: the asset store cannot be read.
        """
        return self._open(ref).value()

    def payloads(self, refs: Sequence[PayloadRef]) -> Iterator[Any]:
        """Give many payloads' values in the order of `refs`, with a few queries for each 400.

        One that cannot be opened is given as the error that `payload` raises, so that it costs the others nothing.
        """
        for some in in_portions(refs):
            blobs = self._rows([ref.id for ref in some if ref.kind == "json"])
            if self._keys is not None:
                self._keys.preload(key for blob in blobs.values() if (key := key_in(blob)))
            for ref in some:
                try:
                    yield self._open(ref, blobs.get(ref.id)).value()
                except ProvenanceError as error:
                    yield error

    def payload_facts(self, ref: PayloadRef) -> PayloadFacts:
        """Give what a payload is committed as; raises what `payload` raises."""
        opened = self._open(ref)
        facts = bytes_facts(opened.body)
        return PayloadFacts(facts["sha256"], facts["length"], opened.salt.hex())

    def salt(self, ref: PayloadRef) -> bytes:
        """Give the 32 bytes that, with the value, disclose a commitment; raises what `payload` raises."""
        return self._open(ref).salt

    def _open(self, ref: PayloadRef, blob: bytes | None = None) -> Opened:
        """Fetch unless the ciphertext is at hand, check and decrypt."""
        ids = [ref.id]
        try:
            blob = self._blob(ref) if blob is None else blob
            ids.append(check_blob(ref, blob))
            return open_blob(ref, blob, ids[-1], self._keys)
        except (PayloadMissing, KeyUnavailable):
            index = self.erased_by(ids)
            if index is None:
                raise
            raise PayloadErased(f"The payload {ref.name} was erased; entry {index} says so.") from None

    def _blob(self, ref: PayloadRef) -> bytes:
        """Fetch the ciphertext."""
        if ref.kind == "bytes":
            # An object that came back with a backup of the store is as erased as before.
            if self.erased_by([ref.id]) is not None:
                raise PayloadMissing(f"The payload {ref.name} ({ref.id}) was erased.")
            return self._assets.read(ref.id)
        blob = self._rows([ref.id]).get(ref.id)
        if blob is None:
            message = f"The payload {ref.name} ({ref.id}) is missing."
            raise PayloadMissing(message, remedy="Restore the database, then run `limner audit verify`.")
        return blob

    def _rows(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Fetch the ciphertexts of JSON payloads by their ids."""
        table = tables.payload
        with self._database.read() as connection:
            found = connection.execute(select(table.c.id, table.c.blob).where(table.c.id.in_(ids)))
            # Text where bytes belong is nothing that fits its id.
            return {row[0]: row[1] if isinstance(row[1], bytes) else b"" for row in found}

    def erased_by(self, ids: Sequence[str]) -> int | None:
        """Give the index of the `erased` entry that names one of the ids of payloads or keys, or None."""
        table = tables.erasure
        with self._database.read() as connection:
            row = connection.execute(select(table.c.idx).where(table.c.id.in_(list(ids))).limit(1)).first()
        return None if row is None else int(row[0])

    def inclusion(self, index: int, *, size: int | None = None) -> InclusionProof:
        """Prove that entry `index` is in the log of `size` entries (None: as of the newest checkpoint).

        Raises:
            AuditError: there is no such entry, or the log is smaller than `size`.
        """
        with self._database.read() as connection:
            row = newest_checkpoint(connection)
            size = _within(size, row[0] if row else 0)
            leaf = connection.execute(_LEAF, {"idx": index}).scalar()
            if leaf is None or not 0 <= index < size:
                raise AuditError(f"The log of {size} entries has no entry {index}.", remedy="Indexes begin at 0.")
            subtree = subtrees(connection, size, _edge(row, size))
            hashes = merkle.inclusion_proof(index, size, subtree)
            root = _root(row, size, subtree)
        return InclusionProof(index, size, merkle.leaf_hash(leaf.encode()), root, tuple(hashes))

    def consistency(self, old: int, new: int | None = None) -> ConsistencyProof:
        """Prove that the log of `new` entries (None: the newest checkpoint) begins with the log of `old` entries.

        Raises:
            AuditError: the log is smaller than that, or `old` is larger than `new`.
        """
        with self._database.read() as connection:
            row = newest_checkpoint(connection)
            new = _within(new, row[0] if row else 0)
            if not 0 <= old <= new:
                raise AuditError(f"A log of {new} entries has no older state of {old} entries.")
            subtree = subtrees(connection, new, _edge(row, new))
            hashes = merkle.consistency_proof(old, new, subtree)
            old_root = merkle.range_root(0, old, subtree)
            return ConsistencyProof(old, new, old_root, _root(row, new, subtree), tuple(hashes))

    def record(self, record: str) -> list[Entry]:
        """Give all entries of a record.

        Raises:
            RecordNotFound: there are none.
        """
        found = list(self.entries(record=record))
        if not found:
            shown = ascii(record)[:60]
            raise RecordNotFound(f"No entry of the record {shown} is in the log.", remedy="See `limner audit show`.")
        return found

    def records(self, *, after: str | None = None, limit: int = 100, newest_first: bool = False) -> list[RecordState]:
        """Give the states of records, in the order of their ids (UUIDv7: of their making), a page at a time.

        Args:
            after: the id of the last record of the page before.
            limit: records in a page.
            newest_first: the newest record first.
        """
        column = tables.entry.c.record
        query = select(column).where(column.is_not(None)).distinct().limit(limit)
        if after is not None:
            query = query.where(column < after if newest_first else column > after)
        return self._states(query.order_by(column.desc() if newest_first else column))

    def unended(self) -> list[RecordState]:
        """Give the states of all records that have not ended, running ones included."""
        table = tables.entry
        other, later = table.alias("other"), table.alias("later")
        fetched = select(later.c.idx).where(
            later.c.record == other.c.record, later.c.step == "produced", later.c.idx > other.c.idx
        )
        ended = select(other.c.idx).where(
            other.c.record == table.c.record, other.c.step.in_(sorted(ENDINGS)), ~fetched.exists()
        )
        query = select(table.c.record).where(table.c.step == "accepted", ~ended.exists()).order_by(table.c.idx)
        return [state for state in self._states(query) if not state.final]

    def _states(self, query: Select[Any]) -> list[RecordState]:
        """Derive the states of the records that a query names."""
        with self._database.read() as connection:
            records = [row[0] for row in connection.execute(query)]
        return [derive(self.entries(record=record)) for record in records]

    def count(self, *, step: str | None = None) -> int:
        """Count entries, or those of one step."""
        table = tables.entry
        condition = and_(True) if step is None else table.c.step == step
        with self._database.read() as connection:
            return int(connection.execute(select(func.count()).select_from(table).where(condition)).scalar() or 0)


def check_blob(ref: PayloadRef, blob: bytes) -> str:
    """Check a ciphertext against its id, and give the id of the data key it is sealed under.

    Raises:
        PayloadCorrupt: it was changed, or is no ciphertext of ours.
    """
    from limner_provenance.assets import checked

    if not checked(ref.id, blob):
        raise PayloadCorrupt(f"The payload {ref.name} was changed: its SHA-256 is not its id {ref.id}.")
    return key_id_of(blob)


def open_blob(ref: PayloadRef, blob: bytes, key_id: str, keys: KeyStore | None) -> Opened:
    """Decrypt a ciphertext that `check_blob` found unchanged, and check it against its commitment.

    Raises:
        PayloadCorrupt: it does not open, or is not what was committed to.
        KeyUnavailable: the data key is not at hand.
    """
    if keys is None:
        raise KeyUnavailable("No data keys are at hand.", remedy="Give the key database and its key-encryption key.")
    opened = open_payload(blob, keys.get(key_id))
    if (opened.name, opened.kind, opened.commitment) != (ref.name, ref.kind, ref.commitment):
        raise PayloadCorrupt(f"The payload {ref.name} ({ref.id}) is not what its entry commits to.")
    return opened


def _within(size: int | None, newest: int) -> int:
    """Give the size asked for, or the newest."""
    if size is None:
        return newest
    if not 0 <= size <= newest:
        raise AuditError(f"The log has {newest} entries, not {size}.", remedy="Ask for a smaller size.")
    return size


def _edge(row: tuple[int, str, bytes] | None, size: int) -> merkle.Edge | None:
    """Give the newest checkpoint's edge where it is that of `size` entries and has the right length."""
    if row is None or row[0] != size or len(row[2]) != size.bit_count() * merkle.HASH_BYTES:
        return None
    return merkle.Edge.from_bytes(size, row[2])


def _root(row: tuple[int, str, bytes] | None, size: int, subtree: merkle.Subtree) -> bytes:
    """Give the root at `size`: the newest checkpoint's where it is that one, recomputed otherwise."""
    if row is not None and row[0] == size:
        return parse_unverified(row[1]).root
    return merkle.range_root(0, size, subtree)
