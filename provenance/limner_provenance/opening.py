"""Opening a log: keys, databases, folders, and what has to be checked or repaired before anything is written.

Knows nothing of appending and reading afterwards.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from limner_provenance import schema
from limner_provenance.anchor import Anchor
from limner_provenance.assets import AssetStore, open_assets
from limner_provenance.checkpoint import Checkpoint, Signer, parse_unverified
from limner_provenance.databases import Database, open_database
from limner_provenance.errors import (
    AuditError,
    DatabaseUnavailable,
    KeyUnavailable,
    LogCorrupt,
    ProvenanceError,
)
from limner_provenance.files import make_folder, read_private, sync_folder, unavailable, write_private
from limner_provenance.keys import Kek, KeyStore, load_kek
from limner_provenance.locks import exclusive
from limner_provenance.rotation import KeyChain, find_signer, load_chain

if TYPE_CHECKING:
    from sqlalchemy import Connection

FORMAT = "limner.audit.v1"


@dataclass(frozen=True, slots=True)
class Paths:
    """Where a log's state lies."""

    state: Path

    @property
    def log_key(self) -> Path:
        """The log's signing key."""
        return self.state / "keys" / "log.ed25519"

    @property
    def next_log_key(self) -> Path:
        """The key that a rotation is about to put into its place."""
        return self.state / "keys" / "log.ed25519.next"

    @property
    def kek(self) -> Path:
        """The generated key-encryption key."""
        return self.state / "keys" / "kek"

    @property
    def anchor(self) -> Path:
        """The newest checkpoint outside the database."""
        return self.state / "anchor"

    @property
    def running(self) -> Path:
        """Lock files of running records."""
        return self.state / "run"


@dataclass(slots=True)
class Opened:
    """Everything an open log stands on; `signer` is None where it is read-only, `keys` where there is no key."""

    paths: Paths
    database: Database
    assets: AssetStore
    anchor: Anchor
    key_database: Database | None
    keys: KeyStore | None
    signer: Signer | None
    not_opened: list[str] = field(default_factory=list)
    users: int | None = None
    kek: Kek | None = None


def open_reading(url: str, state: Path, keys_url: str | None, kek: str | None, assets_url: str | None) -> Opened:
    """Open for reading: whatever keys are not at hand is said in `not_opened`, and nothing is written.

    Raises:
        DatabaseUnavailable, DatabaseVersion: the audit database cannot be read.
    """
    paths = Paths(state.absolute())
    with contextlib.ExitStack() as failing:
        database = open_database(url, read_only=True)
        failing.callback(database.close)
        opened = Opened(paths, database, _assets(paths, assets_url), Anchor(paths.anchor), None, None, None)
        with database.read() as connection:
            schema.check_version(connection, database.name)
        failing.pop_all()
    # Either may be missing; a verification makes the best of the other.
    with contextlib.suppress(ProvenanceError):
        opened.kek = load_kek(kek, paths.kek, create=False)
    try:
        opened.key_database = open_database(keys_url or _default_keys(paths), read_only=True, keys=True)
        opened.keys = KeyStore(opened.key_database, opened.kek or load_kek(kek, paths.kek, create=False))
        opened.keys.check_kek(claim=False)
    except ProvenanceError as error:
        opened.keys = None
        opened.not_opened.append(f"payloads: {error}")
    if opened.keys is None and opened.key_database is not None and not _readable(opened.key_database):
        # Who may not read it has no key database: that is how an auditor should be placed.
        opened.key_database.close()
        opened.key_database = None
    return opened


def _readable(database: Database) -> bool:
    """Say whether a database can be read at all; one that is damaged can, and shall be told of."""
    try:
        with database.read() as connection:
            schema.is_empty(connection)
    except DatabaseUnavailable:
        return False
    except ProvenanceError:
        return True
    return True


def open_writing(url: str, state: Path, keys_url: str | None, kek: str | None, assets_url: str | None) -> Opened:
    """Open for writing, making what is not there.

    Raises:
        DatabaseUnavailable, DatabaseVersion, LogCorrupt, KeyUnavailable, StorageUnavailable: see each class.
    """
    paths = Paths(state.absolute())
    make_folder(paths.state)
    _ignore_in_git(paths.state)
    with contextlib.ExitStack() as failing, setup_lock(paths):
        database = open_database(url)
        failing.callback(database.close)
        key_database = open_database(keys_url or _default_keys(paths), keys=True)
        failing.callback(key_database.close)
        if database.name == key_database.name:
            message = f"audit.url and keys.url both name {database.name}."
            raise DatabaseUnavailable(message, remedy="Keep the data keys apart from the log: name another one.")
        signer = _open_log(database, paths)
        schema.create_keys(key_database)
        found = load_kek(kek, paths.kek, create=True)
        keys = KeyStore(key_database, found)
        keys.check_kek(claim=True)
        opened = Opened(
            paths, database, _assets(paths, assets_url), Anchor(paths.anchor), key_database, keys, signer, kek=found
        )
        _catch_up(opened)
        opened.users = _lock_file(paths.state / "users.lock")
        failing.callback(os.close, opened.users)
        _sweep_when_alone(opened)
        failing.pop_all()
    return opened


def _assets(paths: Paths, url: str | None) -> AssetStore:
    return open_assets(url or f"file://{paths.state / 'assets'}")


def _default_keys(paths: Paths) -> str:
    return f"sqlite:///{paths.state / 'keys.db'}"


def _open_log(database: Database, paths: Paths) -> Signer:
    """Give the signer of the log in the database; an empty database becomes a new log."""
    with database.write() as connection:
        if schema.is_empty(connection):
            return _create(connection, database, paths)
        schema.check_version(connection, database.name)
    signer = Signer.from_skey(read_private(paths.log_key))
    # Read before the snapshot is taken: another process may commit, and move the anchor on, at any moment.
    note = Anchor(paths.anchor).read()
    with database.read() as connection:
        chain = load_chain(connection)
        signer = _own(chain, signer, paths)
        _check_anchor(connection, chain, note, paths.anchor)
    return signer


def _create(connection: Connection, database: Database, paths: Paths) -> Signer:
    """Make a new log: key, tables, entry 0 and its checkpoint, all or nothing."""
    from limner_provenance.committing import add
    from limner_provenance.entries import make_entry

    known = Anchor(paths.anchor).read()
    if known is not None:
        said = parse_unverified(known)
        message = f"{database.name} is empty, but the anchor {paths.anchor} tells of a log of {said.size} entries."
        raise LogCorrupt(message, remedy="Restore the database; to begin a new log, move the anchor away.")
    signer = Signer(f"limner/{uuid.uuid4()}", os.urandom(32))
    if paths.log_key.exists():
        # A key signs one log only: a second tree of the same origin would look like a forged history.
        paths.log_key.rename(paths.log_key.with_name(f"{paths.log_key.name}.unused-{uuid.uuid4().hex[:8]}"))
    write_private(paths.log_key, signer.skey() + "\n")
    schema.create(connection)
    data = {"origin": signer.origin, "key": signer.vkey, "format": FORMAT}
    add(connection, signer, make_entry("log_created", None, data, {}))
    return signer


def log_identity(connection: Connection) -> tuple[str, str]:
    """Give origin and verifier key as entry 0 states them.

    Raises:
        LogCorrupt: entry 0 is missing or no `log_created`.
    """
    from sqlalchemy import select

    from limner_provenance import tables
    from limner_provenance.entries import read_entry

    leaf = connection.execute(select(tables.entry.c.leaf).where(tables.entry.c.idx == 0)).scalar()
    if not isinstance(leaf, str):
        raise LogCorrupt("Entry 0 is missing.", remedy="Run `limner audit verify`.")
    entry = read_entry(0, leaf)
    origin, key = entry.data.get("origin"), entry.data.get("key")
    if entry.step != "log_created" or not isinstance(origin, str) or not isinstance(key, str):
        raise LogCorrupt("Entry 0 is no log_created entry.", remedy="Run `limner audit verify`.")
    return origin, key


def trusted_vkey(opened: Opened, stated: str) -> str:
    """Give the verifier key to believe: that of the key file at hand, else the one that entry 0 states."""
    if opened.signer is not None:
        return opened.signer.vkey
    try:
        return Signer.from_skey(read_private(opened.paths.log_key)).vkey
    except (ProvenanceError, ValueError):
        return stated


def identity_for_reading(opened: Opened) -> tuple[str, str]:
    """Give origin and newest key as the log states them, or empty texts: a damaged log has to be readable."""
    try:
        with opened.database.read() as connection:
            chain = load_chain(connection)
            return chain.origin, chain.vkey
    except (LogCorrupt, KeyUnavailable) as error:
        opened.not_opened.append(f"entry 0: {error}")
        return "", ""


def _own(chain: KeyChain, signer: Signer, paths: Paths) -> Signer:
    """Give the log's newest key; a rotation that was cut short before it put the new key in its place is finished.

    Raises:
        KeyUnavailable: the key at hand is another log's, or an older one.
    """
    if signer.vkey == chain.vkey:
        return signer
    if signer.vkey not in chain.vkeys:
        message = f"The log's key file is of another log ({signer.origin})."
        raise KeyUnavailable(message, remedy="Restore the key file that belongs to this database.")
    found = find_signer(paths, chain.vkey)
    promote_key(paths)
    return found


def promote_key(paths: Paths) -> None:
    """Put the key of a rotation that is in the log into the old key's place, durably."""
    try:
        paths.next_log_key.replace(paths.log_key)
        sync_folder(paths.log_key.parent)
    except FileNotFoundError:
        return  # another process did it
    except OSError as error:
        raise unavailable(paths.log_key, error) from error


def _check_anchor(connection: Connection, chain: KeyChain, note: str | None, path: Path) -> None:
    """Refuse to append to a database that is older than its anchor, which holds `note`."""
    from limner_provenance.committing import newest_checkpoint

    newest = newest_checkpoint(connection)
    if newest is None:
        raise LogCorrupt("The log has no checkpoint.", remedy="Restore the database, then `limner audit verify`.")
    if note is None:
        return
    said = _anchored(note, chain, path)
    if said.size > newest[0]:
        message = f"The anchor {path} tells of {said.size} entries, the database has {newest[0]}."
        raise LogCorrupt(message, remedy="The database was rolled back or cut: restore it.")


def _anchored(note: str, chain: KeyChain, path: Path) -> Checkpoint:
    """Read the anchor's checkpoint."""
    try:
        return chain.verify(note)
    except AuditError as error:
        message = f"The anchor {path} does not belong to this log: {error}"
        raise LogCorrupt(message, remedy="Run `limner audit verify`; restore the anchor or move it away.") from None


def _catch_up(opened: Opened) -> None:
    """Bring to its end what a crash or a restored backup left: the anchor, and keys that the log calls erased."""
    from limner_provenance import leftovers
    from limner_provenance.committing import newest_checkpoint

    with opened.database.read() as connection:
        newest = newest_checkpoint(connection)
    if newest is not None:
        opened.anchor.replace(newest[1], newest[0])
    erased = leftovers.erased_keys(opened.database)
    if erased and opened.keys is not None and opened.keys.destroy(erased):
        # Keys that were back tell of a backup; pictures may have come back with them.
        leftovers.remove(opened.assets, leftovers.erased_objects(opened))


def _sweep_when_alone(opened: Opened) -> None:
    """Clear half-written objects away if no other process has the log open; others see from then on that we have."""
    from limner_provenance import leftovers

    with leftovers.alone(opened) as alone:
        if alone:
            opened.assets.sweep()
        leftovers.settle(opened, alone=alone)


@contextlib.contextmanager
def setup_lock(paths: Paths) -> Iterator[None]:
    """Keep other processes from opening the log for writing, or rotating its key, while a block runs."""
    setup = _lock_file(paths.state / "setup.lock")
    try:
        exclusive(setup, wait=True)
        yield
    finally:
        os.close(setup)


def _lock_file(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise unavailable(path, error) from error


def _ignore_in_git(state: Path) -> None:
    """Keep keys and databases out of version control."""
    path = state / ".gitignore"
    try:
        if not path.exists():
            path.write_text("*\n")
    except OSError as error:
        raise unavailable(path, error) from error
