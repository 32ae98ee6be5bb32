"""Erasure: destroying a subject's data keys and ciphertexts, and saying so in the log.

The log entry comes first: should the machine die in between, the next opening destroys the keys it names. Knows nothing
of who asks for it, and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Table, select

from limner_provenance import tables
from limner_provenance.committing import Draft
from limner_provenance.entries import Entry, make_entry

if TYPE_CHECKING:
    from limner_provenance.opening import Opened
    from limner_provenance.sqlite import Database
    from limner_provenance.writer import Writer

_IDS = 800
"""Ids in one `erased` entry, so that it stays below 64 KiB."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure did.

    Attributes:
        entries: the `erased` entries that record it; none where nothing was held.
        keys: ids of the destroyed data keys.
        payloads: ids of the erased payloads, objects included.
        objects: how many of them were stored objects.
    """

    entries: tuple[Entry, ...]
    keys: tuple[str, ...]
    payloads: tuple[str, ...]
    objects: int


def erase(opened: Opened, writer: Writer, subject: str) -> Erasure:
    """Erase what is sealed under the keys of `subject` (the name that keys are kept under).

    Raises:
        DatabaseUnavailable, StorageUnavailable: it stopped there; calling it again goes on.
    """
    assert opened.keys is not None
    keys = opened.keys.of_subject(subject)
    # From here on this process seals under new keys; what is under the old ones and still queued is written first.
    opened.keys.forget(keys)
    writer.flush()
    objects = _sealed_under(opened.database, tables.asset, keys)
    payloads = _sealed_under(opened.database, tables.payload, keys) + objects
    pending = []
    for some_keys, some_payloads in _portions(keys, payloads):
        entry = make_entry("erased", None, {"keys": some_keys, "payloads": some_payloads}, {})
        pending.append(writer.append(Draft(entry, erased=[*some_keys, *some_payloads])))
    entries = tuple(item.wait() for item in pending)
    opened.keys.destroy(keys)
    for name in objects:
        opened.assets.remove(name)
    if entries:
        opened.database.truncate_wal()
    return Erasure(entries, tuple(keys), tuple(payloads), len(objects))


def _sealed_under(database: Database, table: Table, keys: Sequence[str]) -> list[str]:
    """Give the ids of the payloads or objects under any of the keys."""
    found: list[str] = []
    with database.read() as connection:
        for key in keys:
            found += [row[0] for row in connection.execute(select(table.c.id).where(table.c.key_id == key))]
    return sorted(found)


def _portions(keys: list[str], payloads: list[str]) -> list[tuple[list[str], list[str]]]:
    """Cut ids into entries; the keys come first, since they matter most."""
    items = [(key, True) for key in keys] + [(name, False) for name in payloads]
    cut = [items[start : start + _IDS] for start in range(0, len(items), _IDS)]
    return [([name for name, is_key in part if is_key], [name for name, is_key in part if not is_key]) for part in cut]
