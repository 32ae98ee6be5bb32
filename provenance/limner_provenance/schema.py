"""The schema at head: making a new database, checking the version of one that is there, what it must look like.

alembic is imported by `migrate.py` alone: opening a database must be quick.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from limner_provenance.errors import DatabaseVersion
from limner_provenance.sqlite import rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from limner_provenance.sqlite import Database

REVISIONS = ("0001",)
"""Every revision of the audit database, oldest first; the last is the one this version works with."""

HEAD = REVISIONS[-1]


def _forbid(table: str, action: str, condition: str, message: str) -> str:
    return (
        f"CREATE TRIGGER {table}_{action.lower()} BEFORE {action} ON {table} "
        f"WHEN {condition} BEGIN SELECT RAISE(ABORT, 'limner: {message}'); END"
    )


_NOT_ERASED = "NOT EXISTS (SELECT 1 FROM erasure WHERE erasure.id = OLD.id)"
_TAKEN = "EXISTS (SELECT 1 FROM {0} WHERE {0}.id = NEW.id)"

TRIGGERS = (
    # INSERT OR REPLACE deletes without firing a delete trigger, hence the conditions on inserts.
    _forbid(
        "entry", "INSERT", "NEW.idx IS NOT (SELECT COALESCE(MAX(idx) + 1, 0) FROM entry)", "entries follow in order"
    ),
    _forbid("entry", "UPDATE", "1", "entries never change"),
    _forbid("entry", "DELETE", "1", "entries are never deleted"),
    _forbid("payload", "INSERT", _TAKEN.format("payload"), "payloads never change"),
    _forbid("payload", "UPDATE", "1", "payloads never change"),
    _forbid("payload", "DELETE", _NOT_ERASED, "payloads go only by erasure"),
    _forbid("asset", "INSERT", _TAKEN.format("asset"), "assets never change"),
    _forbid("asset", "UPDATE", "1", "assets never change"),
    _forbid("asset", "DELETE", _NOT_ERASED, "assets go only by erasure"),
    _forbid(
        "tile",
        "INSERT",
        "EXISTS (SELECT 1 FROM tile WHERE tile.level = NEW.level AND tile.idx = NEW.idx)",
        "tiles never change",
    ),
    _forbid("tile", "UPDATE", "1", "tiles never change"),
    _forbid("tile", "DELETE", "1", "tiles are never deleted"),
    _forbid(
        "checkpoint",
        "INSERT",
        "NEW.size <= (SELECT COALESCE(MAX(size), 0) FROM checkpoint)",
        "checkpoints only grow",
    ),
    _forbid("checkpoint", "UPDATE", "1", "checkpoints never change"),
    _forbid("checkpoint", "DELETE", "1", "checkpoints are never deleted"),
    _forbid(
        "erasure",
        "INSERT",
        "NOT EXISTS (SELECT 1 FROM entry WHERE entry.idx = NEW.idx AND entry.step = 'erased' "
        "AND instr(entry.leaf, '\"' || NEW.id || '\"') > 0) "
        "OR EXISTS (SELECT 1 FROM erasure WHERE erasure.id = NEW.id)",
        "an erasure needs its entry",
    ),
    _forbid("erasure", "UPDATE", "1", "erasures never change"),
    _forbid("erasure", "DELETE", "1", "erasures are never deleted"),
)
"""What the database itself refuses, whoever is connected. Somebody who owns the file can drop them: `audit verify` says
so, and the tree says what was changed."""


def create(connection: Connection) -> None:
    """Make tables, indexes and triggers of an audit database at head, inside the caller's transaction."""
    from limner_provenance import tables

    tables.AuditBase.metadata.create_all(connection, checkfirst=False)
    for trigger in TRIGGERS:
        connection.exec_driver_sql(trigger)
    connection.execute(tables.version.insert(), {"version_num": HEAD})


def create_keys(database: Database) -> None:
    """Make the tables of a key database that has none."""
    from limner_provenance import tables

    with database.write() as connection:
        tables.KeyBase.metadata.create_all(connection)


def is_empty(connection: Connection) -> bool:
    """Say whether a database holds no table at all."""
    return rows(connection, "SELECT COUNT(*) FROM sqlite_master") == [(0,)]


def check_version(connection: Connection, name: str) -> None:
    """Check that the database is of the version that this program works with.

    Raises:
        DatabaseVersion: it is older, newer, or no audit database.
    """
    held = rows(connection, "SELECT name FROM sqlite_master WHERE name = 'alembic_version'")
    found = [row[0] for row in rows(connection, "SELECT version_num FROM alembic_version")] if held else []
    if found == [HEAD]:
        return
    if len(found) == 1 and found[0] in REVISIONS:
        message = f"The audit database {name} is of version {found[0]}, older than {HEAD}."
        raise DatabaseVersion(message, remedy="Run `limner audit migrate`; it copies the database first.")
    if not found:
        raise DatabaseVersion(f"{name} is no audit database of Limner.", remedy="Check audit.url.")
    shown = ", ".join(ascii(value)[:40] for value in found)
    message = f"The audit database {name} is of version {shown}, which this Limner does not know (it knows {HEAD})."
    raise DatabaseVersion(message, remedy="Update Limner.")


def described(connection: Connection) -> dict[tuple[str, str], str]:
    """Give the SQL of every object of a database by (type, name)."""
    found: list[Any] = rows(connection, "SELECT type, name, sql FROM sqlite_master")
    return {
        (row[0], row[1]): " ".join(str(row[2]).split())
        for row in found
        if not row[1].startswith(("sqlite_autoindex", "sqlite_stat"))
    }


@functools.cache
def expected(*, keys: bool = False) -> dict[tuple[str, str], str]:
    """Give what `described` gives for a new database (the audit database, or the key database)."""
    from sqlalchemy import create_engine

    from limner_provenance import tables

    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            if keys:
                tables.KeyBase.metadata.create_all(connection)
            else:
                create(connection)
            return described(connection)
    finally:
        engine.dispose()
