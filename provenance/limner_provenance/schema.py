"""The schema at head: making a new database, checking the version of one that is there, what it must look like.

alembic is imported by `migrate.py` alone: opening a database must be quick.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from limner_provenance import ddl, postgres_schema
from limner_provenance.databases import rows
from limner_provenance.errors import DatabaseVersion

if TYPE_CHECKING:
    from sqlalchemy import Connection, Insert, Table

    from limner_provenance.databases import Database

REVISIONS = ("0001",)
"""Every revision of the audit database, oldest first; the last is the one this version works with."""

HEAD = REVISIONS[-1]


TRIGGERS = tuple(statement for statement in ddl.FIRST if statement.startswith("CREATE TRIGGER"))


def create(connection: Connection) -> None:
    """Make tables, indexes and triggers of an audit database at head, inside the caller's transaction."""
    from limner_provenance import tables

    if is_postgres(connection):
        postgres_schema.create(connection)
    else:
        _run(connection, (ddl.VERSION, *ddl.FIRST))
    connection.execute(tables.version.insert(), {"version_num": HEAD})


def is_postgres(connection: Connection) -> bool:
    """Say whether the database is PostgreSQL; else it is SQLite."""
    return connection.dialect.name == "postgresql"


def _run(connection: Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of the same columns; the statement is kept, since building it again costs as much as running it."""
    if is_postgres(connection):
        postgres_schema.insert(connection, table.name, rows)
    else:
        connection.execute(_inserting(table), rows)


@functools.cache
def _inserting(table: Table) -> Insert:
    return table.insert()


def create_keys(database: Database) -> None:
    """Make the tables of a key database that has none."""
    with database.write() as connection:
        if not is_empty(connection):
            return
        if is_postgres(connection):
            postgres_schema.create(connection, keys=True)
        else:
            _run(connection, ddl.KEYS)


def is_empty(connection: Connection) -> bool:
    """Say whether a database holds no table at all."""
    if is_postgres(connection):
        return postgres_schema.is_empty(connection)
    return rows(connection, "SELECT COUNT(*) FROM sqlite_master") == [(0,)]


def check_version(connection: Connection, name: str) -> None:
    """Check that the database is of the version that this program works with.

    Raises:
        DatabaseVersion: it is older, newer, or no audit database.
    """
    found = revisions(connection)
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


def revisions(connection: Connection) -> list[str]:
    """Give the revision that alembic's table names; more or fewer than one where the database is not ours."""
    if is_postgres(connection):
        held = rows(connection, "SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL")
    else:
        held = rows(connection, "SELECT name FROM sqlite_master WHERE name = 'alembic_version'")
    return [row[0] for row in rows(connection, "SELECT version_num FROM alembic_version")] if held else []


def described(connection: Connection) -> dict[tuple[str, str], str]:
    """Give every object of a database by (type, name): its SQL, or in PostgreSQL what it is made of.

    SQLite's own indexes and statistics are left out.
    """
    if is_postgres(connection):
        return postgres_schema.described(connection)
    found: list[Any] = rows(connection, "SELECT type, name, sql FROM sqlite_master")
    return {(row[0], row[1]): " ".join(str(row[2]).split()) for row in found if not _own(*row)}


def _own(kind: str, name: str, sql: str | None) -> bool:
    """Say whether an object is SQLite's own: it is known by its kind too, since a name alone can hide a trigger."""
    if kind == "index":
        return sql is None and name.startswith("sqlite_autoindex_")
    return kind == "table" and name in _STATISTICS


_STATISTICS = ("sqlite_stat1", "sqlite_stat4")
"""What ANALYZE makes: it guides the order of reading, and no answer depends on it."""


def expected_of(connection: Connection, *, keys: bool = False) -> dict[tuple[str, str], str]:
    """Give what `described` gives for a new database of the same kind (the audit database, or the key database)."""
    return postgres_schema.expected(keys=keys) if is_postgres(connection) else expected(keys=keys)


@functools.cache
def expected(*, keys: bool = False) -> dict[tuple[str, str], str]:
    """Give what `described` gives for a new SQLite database (the audit database, or the key database)."""
    from sqlalchemy import create_engine

    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            if keys:
                _run(connection, ddl.KEYS)
            else:
                create(connection)
            return described(connection)
    finally:
        engine.dispose()
