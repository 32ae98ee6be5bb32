"""Erasure: destroying data keys and ciphertexts of a user or a record, and saying so in the log.

The log entry comes first: should the machine die in between, the next opening destroys the keys it names and removes
the objects it took. Knows nothing of who asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, select

from limner_provenance import leftovers, tables
from limner_provenance.committing import make_draft
from limner_provenance.databases import ids_among
from limner_provenance.entries import Entry, PayloadRef, now
from limner_provenance.envelope import key_in, seal_payload
from limner_provenance.errors import ErasureHeld
from limner_provenance.holds import Hold, all_holds, forbidding

if TYPE_CHECKING:
    from limner_provenance.committing import Draft
    from limner_provenance.databases import Database
    from limner_provenance.keys import KeyStore
    from limner_provenance.opening import Opened
    from limner_provenance.reading import Reader
    from limner_provenance.writer import Pending, Writer

_IDS = 800
"""Ids in one `erased` entry, so that it stays below 64 KiB."""

_NAMED = re.compile(r'"id":"([0-9a-f]{64})"')


def key_name(subject: str | None, record: str | None) -> str:
    """Give the name that data keys are kept under; users, records and the house cannot be taken for each other."""
    if subject is not None:
        return f"subject/{subject}"
    return "house" if record is None else f"record/{record}"


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure did, or would do.

    Attributes:
        entries: the `erased` entries that record it; none where nothing was held, or nothing was done yet.
        keys: ids of the data keys that are destroyed.
        payloads: ids of the erased payloads, objects included.
        objects: how many of them are stored objects (pictures).
        records: ids of the records that lose something.
        shared: whether ciphertexts go whose key stays, since other records of that user are under it.
        holds: the holds that forbid it.
    """

    entries: tuple[Entry, ...] = ()
    keys: tuple[str, ...] = ()
    payloads: tuple[str, ...] = ()
    objects: int = 0
    records: tuple[str, ...] = ()
    shared: bool = False
    holds: tuple[Hold, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether nothing is held that could be erased."""
        return not self.keys and not self.payloads


@dataclass(frozen=True, slots=True)
class _Found:
    """What an erasure takes: keys, rows and objects, the records they belong to, and keys that stay."""

    keys: list[str]
    rows: list[str]
    objects: list[str]
    records: list[str]
    shared: bool

    @property
    def payloads(self) -> list[str]:
        return self.rows + self.objects


def plan(opened: Opened, reader: Reader, subject: str | None, record: str | None) -> Erasure:
    """Say what an erasure would take, and which holds forbid it; nothing is changed.

    Raises:
        RecordNotFound: there is no such record.
    """
    found = _find(opened, reader, subject, record)
    return _told(found, holds=_forbidding(opened, reader, found, subject, record))


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom an erasure is about (a user or a record), and why."""

    subject: str | None
    record: str | None
    reason: str | None


def erase(opened: Opened, reader: Reader, writer: Writer, asked: Asked) -> Erasure:
    """Erase what is kept about a user, or of one record.

    Raises:
        ErasureHeld: a hold forbids it; that it was asked for and refused is logged.
        RecordNotFound: there is no such record.
        DatabaseUnavailable, StorageUnavailable: it stopped there; calling it again goes on.
    """
    assert opened.keys is not None
    subject, record = asked.subject, asked.record
    writer.flush()
    seen = reader.head().size
    found = _find(opened, reader, subject, record)
    holds = _forbidding(opened, reader, found, subject, record)
    if holds:
        raise _refused(opened.keys, writer, holds, asked)
    # From here on this process seals under new keys; what is under the old ones and still queued is written first.
    opened.keys.forget(found.keys)
    writer.flush()
    found = _find(opened, reader, subject, record, keys=found.keys)
    return _take(opened, writer, found, asked, seen)


def discard(opened: Opened, reader: Reader, writer: Writer, asked: Asked, refs: Sequence[PayloadRef]) -> Erasure:
    """Destroy some payloads of a record; where a hold forbids it nothing is done, and the answer names the holds.

    Raises:
        DatabaseUnavailable, StorageUnavailable: it stopped there; calling it again goes on.
    """
    assert opened.keys is not None
    record = str(asked.record)
    writer.flush()
    seen = reader.head().size
    rows, objects = _stored(opened.database, refs)
    keys, shared = _alone(opened, [ref for ref in refs if ref.id in {*rows, *objects}])
    found = _Found(keys, rows, objects, [record], shared)
    holds = _forbidding(opened, reader, found, None, record)
    if holds or not found.payloads:
        return _told(found, holds=holds)
    return _take(opened, writer, found, asked, seen)


def _take(opened: Opened, writer: Writer, found: _Found, asked: Asked, seen: int) -> Erasure:
    """Log what is erased, then destroy it: from the entry on, an opening finishes what is cut short here."""
    assert opened.keys is not None
    noted = leftovers.note(opened.paths.state, found.objects)
    entries = _log(opened, writer, found, asked.reason, seen)
    opened.keys.destroy(found.keys)
    leftovers.remove(opened.assets, found.objects)
    leftovers.forget(noted)
    told = _told(found, entries=entries)
    if not told.nothing:
        opened.database.truncate_wal()
    return told


def _alone(opened: Opened, refs: Sequence[PayloadRef]) -> tuple[list[str], bool]:
    """Give the keys under which nothing but these payloads is sealed, and whether others are shared."""
    ids = {ref.id for ref in refs}
    used = _keys_of(opened, refs)
    alone = [
        key
        for key in sorted(used)
        if ids.issuperset(_under(opened.database, tables.payload, [key]))
        and ids.issuperset(_under(opened.database, tables.asset, [key]))
    ]
    return alone, len(alone) < len(used)


def _told(found: _Found, **more: Any) -> Erasure:
    """Put into words what was found."""
    told = Erasure(
        keys=tuple(found.keys),
        payloads=tuple(found.payloads),
        objects=len(found.objects),
        records=tuple(found.records),
        shared=found.shared,
    )
    return replace(told, **more)


def _find(opened: Opened, reader: Reader, subject: str | None, record: str | None, keys: Sequence[str] = ()) -> _Found:
    """Find what is kept about a user, or of a record; `keys` are further ones known to be theirs."""
    assert opened.keys is not None
    own = sorted({*keys, *opened.keys.of_subject(key_name(subject, record))})
    rows, objects = _under(opened.database, tables.payload, own), _under(opened.database, tables.asset, own)
    if record is not None:
        return _of_record(opened.database, reader.record(record), own, {*rows, *objects})
    records = sorted(_records_of(opened.database, {*rows, *objects})) if own else []
    # A hold on one of these records keeps its reason under the record's own key.
    beside = [key for name in records for key in opened.keys.of_subject(key_name(None, name)) if key not in own]
    rows += _under(opened.database, tables.payload, beside)
    objects += _under(opened.database, tables.asset, beside)
    return _Found([*own, *beside], rows, objects, records, shared=False)


def _of_record(database: Database, entries: Sequence[Entry], own: list[str], under: set[str]) -> _Found:
    """Find what one record refers to; under a user's key that other records share the ciphertext alone can go."""
    rows, objects = _stored(database, [ref for entry in entries for ref in entry.payloads.values()])
    rest = sorted(under.difference(rows, objects))
    shared = bool({*rows, *objects} - under)
    return _Found(own, sorted({*rows, *rest}), objects, [str(entries[0].record)], shared)


def _under(database: Database, table: Table, keys: Sequence[str]) -> list[str]:
    """Give the ids of the payloads or objects under any of the keys."""
    with database.read() as connection:
        return sorted(ids_among(connection, table.c.key_id, keys))


def _stored(database: Database, refs: Sequence[PayloadRef]) -> tuple[list[str], list[str]]:
    """Give the ids of those payloads that are there: of rows, and of objects."""
    rows, objects = ([ref.id for ref in refs if ref.kind == kind] for kind in ("json", "bytes"))
    with database.read() as connection:
        return (
            sorted(ids_among(connection, tables.payload.c.id, rows)),
            sorted(ids_among(connection, tables.asset.c.id, objects)),
        )


def _records_of(database: Database, ids: set[str]) -> Iterator[str]:
    """Give the records whose entries refer to any of the ids; nothing but the leaves says that."""
    if not ids:
        return
    table = tables.entry
    query = select(table.c.record, table.c.leaf).where(table.c.record.is_not(None)).order_by(table.c.idx)
    known: set[str] = set()
    with database.read() as connection:
        for name, leaf in connection.execution_options(yield_per=1000).execute(query):
            if name not in known and not ids.isdisjoint(_NAMED.findall(leaf)):
                known.add(name)
                yield str(name)


def _forbidding(
    opened: Opened, reader: Reader, found: _Found, subject: str | None, record: str | None
) -> tuple[Hold, ...]:
    """Give the holds that forbid it: on this user or record, on a record of this user, on the user of this record."""
    holds = all_holds(reader)
    if not holds:
        return ()
    subjects = [subject] if subject is not None else _owners(opened, reader, holds, str(record))
    return forbidding(holds, now(), subjects=subjects, records=found.records)


def _owners(opened: Opened, reader: Reader, holds: Iterable[Hold], record: str) -> list[str]:
    """Give those of the held users under whose keys something of a record is sealed."""
    assert opened.keys is not None
    used = {key for entry in reader.record(record) for key in _keys_of(opened, entry.payloads.values())}
    return [
        hold.subject
        for hold in holds
        if hold.subject is not None and used.intersection(opened.keys.of_subject(key_name(hold.subject, None)))
    ]


def _keys_of(opened: Opened, refs: Iterable[PayloadRef]) -> set[str]:
    """Give the ids of the keys that payloads are sealed under."""
    ids = [ref.id for ref in refs]
    payload, asset = tables.payload, tables.asset
    with opened.database.read() as connection:
        blobs = connection.scalars(select(payload.c.blob).where(payload.c.id.in_(ids)))
        return {key_in(blob) for blob in blobs} | set(
            connection.scalars(select(asset.c.key_id).where(asset.c.id.in_(ids)))
        )


def _refused(keys: KeyStore, writer: Writer, holds: tuple[Hold, ...], asked: Asked) -> ErasureHeld:
    """Log that an erasure was refused; what was asked for stands under the key of whom it was about."""
    whom = (asked.subject, asked.record)
    said = {"request": {"subject": whom[0], "record": whom[1], "reason": asked.reason}}
    draft = sealed_draft("erasure_refused", {"holds": [hold.id for hold in holds]}, said, keys, whom)
    writer.append(draft).wait()
    return ErasureHeld(
        f"Nothing was erased: {', '.join(hold.what for hold in holds)}.",
        remedy="The attempt is in the log. See `limner audit hold --list`; --release HOLD ends a hold.",
        holds=tuple(hold.id for hold in holds),
    )


def sealed_draft(
    step: str, data: dict[str, Any], payloads: dict[str, Any], keys: KeyStore, whom: tuple[str | None, str | None]
) -> Draft:
    """Make an entry of the house whose payloads are under the key of `whom` (user, record; none: the house)."""
    sealed = {name: seal_payload(name, value, keys.key_for(key_name(*whom))) for name, value in payloads.items()}
    return make_draft(step, None, data, sealed)


def _log(opened: Opened, writer: Writer, found: _Found, reason: str | None, seen: int) -> tuple[Entry, ...]:
    """Write the `erased` entries; what an earlier attempt that was cut short has logged is not logged again."""
    assert opened.keys is not None
    done = set(leftovers.erased_among(opened.database, [*found.keys, *found.payloads]))
    keys = [name for name in found.keys if name not in done]
    payloads = [name for name in found.payloads if name not in done]
    pending: list[Pending] = []
    for some_keys, some_payloads in _portions(keys, payloads):
        said = {} if reason is None or pending else {"reason": reason}
        data = {"keys": some_keys, "payloads": some_payloads}
        draft = sealed_draft("erased", data, said, opened.keys, (None, None))
        draft.erased, draft.holds_seen = [*some_keys, *some_payloads], seen
        pending.append(writer.append(draft))
    return tuple(item.wait() for item in pending)


def _portions(keys: list[str], payloads: list[str]) -> list[tuple[list[str], list[str]]]:
    """Cut ids into entries; the keys come first, since they matter most."""
    items = [(key, True) for key in keys] + [(name, False) for name in payloads]
    cut = [items[start : start + _IDS] for start in range(0, len(items), _IDS)]
    return [([name for name, is_key in part if is_key], [name for name, is_key in part if not is_key]) for part in cut]
