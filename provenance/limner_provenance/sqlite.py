"""How Limner talks to SQLite: durable settings, explicit transactions, errors in plain words.

Everything that is peculiar to SQLite is here, so that the log itself can run on another database.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from limner_provenance.databases import rows
from limner_provenance.errors import AuditError, DatabaseUnavailable, LogCorrupt
from limner_provenance.files import make_folder
from limner_provenance.locks import RecordLocks

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

BUSY_SECONDS = 30.0
"""How long a writer waits for another process's transaction before it gives up."""

_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "ceph", "lustre", "beegfs", "glusterfs", "gpfs"}
_NETWORK_FUSE = {
    "fuse.sshfs",
    "fuse.glusterfs",
    "fuse.s3fs",
    "fuse.rclone",
    "fuse.gcsfuse",
    "fuse.ceph",
    "fuse.juicefs",
}


class Database:
    """One SQLite file: `read()` and `write()` give transactions.

    Attributes:
        name: the file's path, for messages.
        path: the file.
        read_only: whether `write()` is refused.
    """

    def __init__(self, url: str, *, read_only: bool = False, busy_seconds: float | None = None) -> None:
        """Take `sqlite:///relative/path` or `sqlite:////absolute/path`; nothing is opened yet.

        Raises:
            DatabaseUnavailable: the address is no SQLite file, or lies on a network file system.
        """
        self.path = database_path(url)
        self.name = str(self.path)
        self.read_only = read_only
        self._busy = BUSY_SECONDS if busy_seconds is None else busy_seconds
        self._immutable = False
        if read_only:
            self._check_readable()
        else:
            make_folder(self.path.parent)
        refuse_network(self.path)
        self._writer = None if read_only else self._engine("BEGIN IMMEDIATE", writing=True)
        self._reader = self._engine("BEGIN", writing=False)

    def exists(self) -> bool:
        """Say whether the file is there."""
        return self.path.is_file()

    def _check_readable(self) -> None:
        """Find out how a database can be read by somebody who may not write beside it."""
        if not self.path.is_file():
            raise DatabaseUnavailable(f"There is no audit database at {self.name}.", remedy="Check audit.url.")
        wal = self.path.with_name(self.path.name + "-wal")
        beside = os.access(self.path.parent, os.W_OK)
        if beside and os.access(self.path, os.R_OK):
            return
        # Without -wal and -shm files nobody writes and nothing is pending: the file alone is the whole database.
        self._immutable = not wal.exists() and not self.path.with_name(self.path.name + "-shm").exists()

    def _engine(self, begin: str, *, writing: bool) -> Engine:
        """Make the engine; the two events are SQLAlchemy's documented way to own BEGIN with pysqlite."""
        from sqlalchemy import create_engine, event
        from sqlalchemy.pool import QueuePool

        engine = create_engine(
            "sqlite://",
            creator=lambda: self._connect(writing=writing),
            poolclass=QueuePool,
            pool_size=4,
            max_overflow=-1,
        )

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        return engine

    def _connect(self, *, writing: bool) -> sqlite3.Connection:
        """Open one connection with the settings that durability and caution ask for."""
        mode = "rwc" if writing else "ro"
        options = "&immutable=1" if self._immutable else ""
        address = f"file:{quote(str(self.path.absolute()))}?mode={mode}{options}"
        connection = sqlite3.connect(
            address, uri=True, timeout=self._busy, isolation_level=None, check_same_thread=False
        )
        pragmas = ["cell_size_check=ON"]
        if writing:
            pragmas += ["journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"]
        try:
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}").fetchall()
        except BaseException:
            connection.close()
            raise
        return connection

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection on one consistent snapshot.

        Raises:
            DatabaseUnavailable: the database cannot be read now.
            LogCorrupt: the file is damaged.
        """
        with self.translated(), self._reader.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection that holds the write lock; committed and on the disk when the block ends.

        Raises:
            DatabaseUnavailable: the database is read-only, locked, full or cannot be opened.
            LogCorrupt: the file is damaged.
        """
        if self._writer is None:
            raise DatabaseUnavailable(f"{self.name} was opened read-only.", remedy="Open it with read_only=False.")
        with self.translated(), self._writer.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the database's errors into ours."""
        from sqlalchemy.exc import DBAPIError

        try:
            yield
        except DBAPIError as error:
            raise self._error(error.orig) from error
        except sqlite3.Error as error:
            raise self._error(error) from error

    def _error(self, error: BaseException | None) -> AuditError:
        """Say in plain words what SQLite says in its own; parameters (which may be private) are never shown."""
        code = getattr(error, "sqlite_errorname", "") or ""
        for start, message, remedy in _MESSAGES:
            if code.startswith(start):
                kind = LogCorrupt if start in _DAMAGED else DatabaseUnavailable
                return kind(f"The database {self.name} {message}.", remedy=remedy)
        if isinstance(error, sqlite3.OperationalError) and not code:
            # The driver's own complaint about text that is no UTF-8; it would quote what is stored.
            return LogCorrupt(f"The database {self.name} holds text that is no UTF-8.", remedy=_MESSAGES[-1][2])
        return DatabaseUnavailable(f"The database {self.name} cannot be used: {error} ({code or 'no code'}).")

    @contextlib.contextmanager
    def lenient(self, connection: Connection) -> Iterator[None]:
        """Read text that is no UTF-8 as text that equals nothing, so that a verification can go on behind it."""
        raw: Any = connection.connection.driver_connection
        raw.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        try:
            yield
        finally:
            raw.text_factory = str

    def damage(self) -> list[str]:
        """Have SQLite compare its pages and indexes (an index may lie although its table is right).

        Works on a connection of its own, outside Python's lock, so that it can run beside a pass over the entries.
        """
        try:
            with self.read() as connection:
                said = [str(row[0]) for row in rows(connection, "PRAGMA integrity_check(20)")]
        except Exception as error:  # noqa: BLE001 - a damaged file has many ways to fail, each of them a finding
            said = [f"{type(error).__name__} during the integrity check"]
        return [f"SQLite says: {line}" for line in said if line != "ok"]

    def locks(self, folder: Path) -> RecordLocks:
        """Give the locks of running records: files in a folder, which the operating system frees."""
        return RecordLocks(folder)

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Nobody on another machine can have the log open."""
        yield True

    def copy(self, label: str) -> Path:
        """Copy the database beside itself, the pages of its -wal file included.

        Raises:
            DatabaseUnavailable: a copy of that name is there, or cannot be made.
        """
        copy = self.path.with_name(f"{self.path.name}.{label}")
        if copy.exists():
            message = f"The copy {copy} is there from an earlier attempt."
            raise DatabaseUnavailable(message, remedy="Move it away, then migrate again.")
        try:
            with (
                contextlib.closing(sqlite3.connect(self.path)) as source,
                contextlib.closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
        except sqlite3.Error as error:
            copy.unlink(missing_ok=True)
            message = f"{self.name} cannot be copied to {copy}: {error}."
            raise DatabaseUnavailable(message, remedy="Make room.") from error
        return copy

    def truncate_wal(self) -> None:
        """Move everything into the database file and empty the -wal file, so that no old page stays there.

        While somebody reads an older state it can only be tried; the next writer to close the database does it.
        """
        if self._writer is not None:
            with self.translated(), contextlib.closing(self._connect(writing=True)) as connection:
                connection.execute("PRAGMA busy_timeout=1000").fetchall()
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close every connection; a writer's closes last, and so moves the -wal file into the database."""
        for engine in (self._reader, self._writer):
            if engine is not None:
                engine.dispose()


_ADDRESSES = "Use sqlite:///relative/path, sqlite:////absolute/path or postgresql+psycopg://USER@HOST/DATABASE."


def database_path(url: str) -> Path:
    """Give the file that an address names.

    Raises:
        DatabaseUnavailable: it names none.
    """
    prefix = "sqlite:///"
    name = url.removeprefix(prefix)
    if not url.startswith(prefix) or not name or name.startswith(":memory:"):
        shown = url.split(":", 1)[0]
        message = f"The database address begins with {shown!r} and names no SQLite file."
        raise DatabaseUnavailable(message, remedy=_ADDRESSES)
    return Path(name)


def refuse_network(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> None:
    """Refuse a database on a network file system, where SQLite's locks and its -wal file do not work.

    Raises:
        DatabaseUnavailable: the file would lie on one.
    """
    kind = _file_system(path.absolute(), mounts)
    if kind in _NETWORK or kind in _NETWORK_FUSE:
        message = f"{path} lies on a network file system ({kind}), where SQLite can lose or mix up entries."
        raise DatabaseUnavailable(message, remedy="Keep it on a local disk, or use PostgreSQL.")


def _file_system(path: Path, mounts: Path) -> str:
    """Give the type of the file system that holds `path`; empty where the system does not tell."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
        resolved = path.resolve()
    except OSError:
        return ""
    best, kind = -1, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        point = Path(fields[4].encode().decode("unicode_escape")) if len(fields) > 4 else None
        # A later mount on the same point hides an earlier one.
        if point is not None and resolved.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), rest[0]
    return kind


_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CONSTRAINT")
_MESSAGES = (
    ("SQLITE_BUSY", "is locked by another program", "End the program that holds it, or try again."),
    ("SQLITE_LOCKED", "is locked by another program", "End the program that holds it, or try again."),
    ("SQLITE_READONLY", "may not be written to", "Give this user write permission on the file and its folder."),
    ("SQLITE_FULL", "cannot grow: the disk is full", "Make room on the disk."),
    ("SQLITE_CANTOPEN", "cannot be opened", "Check the path and the permissions of file and folder."),
    ("SQLITE_PERM", "may not be opened", "Check the permissions of file and folder."),
    ("SQLITE_IOERR", "cannot be read or written: the disk reports an error", "Check the disk and its free space."),
    ("SQLITE_CORRUPT", "is damaged", "Restore it from a backup, then run `limner audit verify`."),
    ("SQLITE_NOTADB", "is no SQLite database", "Restore it from a backup, or check audit.url."),
    ("SQLITE_CONSTRAINT", "refused a row: the log is append-only", "Run `limner audit verify`."),
)
