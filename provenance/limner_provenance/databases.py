"""The databases that a log can live in, and what the log asks of each; SQLite and PostgreSQL answer it.

Knows nothing of entries. What is peculiar to one database stands in `sqlite.py` or in `postgres.py`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from limner_provenance.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection

Item = TypeVar("Item")
Result = TypeVar("Result")

RECONNECT_SECONDS = 15.0
"""How long a commit waits for a database server that went away, as while it restarts."""

_PAUSE = 0.2
_PORTION = 400


class ConnectionLost(DatabaseUnavailable):
    """The server went away; whether a commit that was under way reached the disk is not known."""


class Locks(Protocol):
    """The locks of running records."""

    def hold(self, record: str) -> AbstractContextManager[None]:
        """Hold a record's lock while a block runs; raises RecordRunning where somebody else holds it."""

    def is_running(self, record: str) -> bool:
        """Say whether somebody holds a record's lock."""

    def assure(self, record: str | None) -> None:
        """Make sure that a lock which this process holds is still its own; raises RecordRunning where it was lost."""


class Database(Protocol):
    """One database of tables: the audit log's, or the data keys'.

    Attributes:
        name: where it is, for messages; never a password.
        read_only: whether `write()` is refused.
    """

    name: str
    read_only: bool

    def exists(self) -> bool:
        """Say whether there is something to open; True where only opening tells."""

    def read(self) -> AbstractContextManager[Connection]:
        """Give a connection on one consistent snapshot; raises DatabaseUnavailable, LogCorrupt."""

    def write(self) -> AbstractContextManager[Connection]:
        """Give the one connection that may write now; on the disk when the block ends.

        Raises:
            DatabaseUnavailable: it is read-only, locked, full or cannot be reached.
            ConnectionLost: the server went away in between.
        """

    def lenient(self, connection: Connection) -> AbstractContextManager[None]:
        """Read text that is none so that a verification can go on behind it."""

    def damage(self) -> list[str]:
        """Have the database check what it can check better than we can, and give what it found wrong."""

    def truncate_wal(self) -> None:
        """Leave as few copies of deleted rows in the files as the database allows."""

    def locks(self, folder: Path) -> Locks:
        """Give the locks of running records; `folder` is for those that are files."""

    def alone(self) -> AbstractContextManager[bool]:
        """Say whether nobody on another machine has the log open, and keep it so while a block runs.

        Afterwards others are told that we have it open.
        """

    def copy(self, label: str) -> Path | None:
        """Copy the database before it is migrated; None where that is left to the database's own tools."""

    def close(self) -> None:
        """Close every connection."""


def open_database(url: str, *, read_only: bool = False, keys: bool = False) -> Database:
    """Give the database at an address; nothing is opened yet.

    Args:
        url: `sqlite:///PATH` or `postgresql+psycopg://USER@HOST/DATABASE`.
        read_only: never write.
        keys: it is the database of data keys, which has another default schema in PostgreSQL.

    Raises:
        DatabaseUnavailable: the address names no database that can be used.
    """
    scheme = url.split(":", 1)[0]
    if scheme.startswith("postgres"):
        from limner_provenance.postgres import Database as Postgres

        return Postgres(url, read_only=read_only, keys=keys)
    from limner_provenance.sqlite import Database as Sqlite

    return Sqlite(url, read_only=read_only)


def write_again(database: Database, work: Callable[[Connection, bool], Result]) -> Result:
    """Run `work(connection, again)` in a transaction; where the server goes away, wait for it and run it once more.

    `again` tells `work` that an earlier attempt may have been committed, which it has to look for. By then that attempt
    is over: the log's lock is free only when the session that held it has ended.

    Raises:
        ConnectionLost: the server did not come back in time.
    """

    def once(again: bool) -> Result:
        with database.write() as connection:
            return work(connection, again)

    return patiently(once, RECONNECT_SECONDS)


def patiently(attempt: Callable[[bool], Result], seconds: float) -> Result:
    """Give what `attempt(again)` gives; where the server goes away, try again for so many seconds.

    Raises:
        ConnectionLost: the server did not come back in time.
    """
    deadline, again = time.monotonic() + seconds, False
    while True:
        try:
            return attempt(again)
        except ConnectionLost:
            if time.monotonic() > deadline:
                raise
            again = True
            time.sleep(_PAUSE)


def rows(connection: Connection, sql: str, parameters: tuple[Any, ...] | Mapping[str, Any] = ()) -> list[Any]:
    """Run SQL as it is, and give all rows."""
    return list(connection.exec_driver_sql(sql, parameters).fetchall())


def in_portions(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Give the items 400 at a time: no statement names more."""
    left = iter(items)
    while some := list(itertools.islice(left, _PORTION)):
        yield some


def ids_among(connection: Connection, column: Column[Any], values: Iterable[str]) -> list[str]:
    """Give the ids of the rows whose column holds one of the values."""
    from sqlalchemy import select

    query = select(column.table.c.id)
    return [name for some in in_portions(values) for name in connection.scalars(query.where(column.in_(some)))]
