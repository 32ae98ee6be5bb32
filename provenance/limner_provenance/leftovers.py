"""What an erasure that was cut short left behind: notes of objects still to remove, and the removal itself.

Before the `erased` entry is written, the names of the objects it will take stand durably in a note under
`<state>/erasing/`. Whoever opens the log next removes what the log calls erased by now. Knows nothing of keys.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from limner_provenance import tables
from limner_provenance.databases import ids_among, in_portions
from limner_provenance.entries import is_digest
from limner_provenance.files import TEMPORARY, make_folder, unavailable, write_durably
from limner_provenance.locks import exclusive

if TYPE_CHECKING:
    from limner_provenance.assets import AssetStore
    from limner_provenance.databases import Database
    from limner_provenance.opening import Opened


def folder(state: Path) -> Path:
    """Give the folder of notes."""
    return state / "erasing"


def note(state: Path, objects: Sequence[str]) -> Path | None:
    """Write the names of objects that are about to be erased, and wait for the disk; None where there are none.

    Raises:
        StorageUnavailable: the note cannot be written.
    """
    if not objects:
        return None
    path = make_folder(folder(state), private=True) / uuid.uuid4().hex
    try:
        write_durably(path, "".join(f"{name}\n" for name in objects).encode(), mode=0o600)
    except OSError as error:
        raise unavailable(path, error) from error
    return path


def settle(opened: Opened, *, alone: bool) -> None:
    """Finish erasures that were cut short, by their notes.

    Args:
        opened: the log's parts.
        alone: nobody else has the log open, so that a note whose erasure was never written can go too.
    """
    notes = folder(opened.paths.state)
    for path in sorted(notes.iterdir()) if notes.is_dir() else ():
        if path.name.startswith(TEMPORARY) and not alone:
            continue  # another process is writing it
        names = _noted(path)
        gone = erased_among(opened.database, names)
        remove(opened.assets, gone)
        if alone or len(gone) == len(names):
            path.unlink(missing_ok=True)


def _noted(path: Path) -> list[str]:
    """Read a note; it is empty where another process finished its erasure a moment ago."""
    try:
        text = path.read_text("ascii", "replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unavailable(path, error) from error
    return [name for name in text.split("\n") if is_digest(name)]


def erased_among(database: Database, names: Sequence[str]) -> list[str]:
    """Give those of the ids that the log calls erased."""
    with database.read() as connection:
        return ids_among(connection, tables.erasure.c.id, names)


def remove(assets: AssetStore, names: Iterable[str]) -> int:
    """Remove objects; give how many were there."""
    count = 0
    for name in names:
        if assets.has(name):
            assets.remove(name)
            count += 1
    return count


def erased_objects(opened: Opened) -> Iterator[str]:
    """Give the names of stored objects that the log calls erased: a backup of the store brought them back."""
    for some in in_portions(opened.assets.names()):
        yield from erased_among(opened.database, some)


def unreferenced_objects(opened: Opened) -> Iterator[str]:
    """Give the names of stored objects that no entry refers to; while somebody writes, some are about to be."""
    for some in in_portions(opened.assets.names()):
        with opened.database.read() as connection:
            known = set(ids_among(connection, tables.asset.c.id, some))
        yield from (name for name in some if is_digest(name) and name not in known)


def erased_keys(database: Database) -> list[str]:
    """Give the ids of all data keys that the log calls erased; key ids have 32 digits, payload ids 64."""
    table = tables.erasure
    with database.read() as connection:
        return list(connection.scalars(select(table.c.id).where(func.length(table.c.id) == 32)))


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep removed: pictures that the log calls erased, and ones that no entry refers to.

    `alone` is False where another process has the log open: then the latter, which may be being written, all stayed.
    """

    erased: int
    unreferenced: int
    alone: bool


def sweep(opened: Opened) -> Swept:
    """Remove every object that the log calls erased and, where nobody else writes, those no entry refers to."""
    erased = remove(opened.assets, erased_objects(opened))
    with alone(opened) as nobody_else:
        unreferenced = remove(opened.assets, list(unreferenced_objects(opened))) if nobody_else else 0
    return Swept(erased, unreferenced, nobody_else)


@contextlib.contextmanager
def alone(opened: Opened) -> Iterator[bool]:
    """Keep others from opening the log while a block runs; False where one has it open, or where nobody can know."""
    import fcntl

    if opened.users is None:
        yield False
        return
    here = exclusive(opened.users, wait=False)
    try:
        # Hosts that share a server share no lock file.
        with opened.database.alone() as everywhere:
            yield here and everywhere
    finally:
        # A shared lock tells later openers that somebody may be writing.
        fcntl.flock(opened.users, fcntl.LOCK_SH)


def forget(path: Path | None) -> None:
    """Take a note away whose erasure is done; one that cannot go is taken away at the next opening."""
    if path is not None:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
