"""Who may do what in PostgreSQL: a role that appends, and a role that reads, each with no right more than it needs.

The roles themselves are made by whoever administers the server; here they are given their rights. Knows nothing of
what is stored in the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner_provenance import ddl_postgres as ddl
from limner_provenance.databases import open_database
from limner_provenance.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from limner_provenance.postgres import Database


@dataclass(frozen=True, slots=True)
class Grants:
    """The statements for one database, and where it is."""

    database: str
    statements: tuple[str, ...]


def grants(url: str, keys_url: str, *, writers: tuple[str, ...], auditors: tuple[str, ...]) -> list[Grants]:
    """Give the SQL that lets roles append, or read, and nothing else; keys are for writers alone.

    Args:
        url: the audit database.
        keys_url: the database of data keys; one in SQLite has no roles and is left out.
        writers: roles that append and erase.
        auditors: roles that read the log.

    Raises:
        DatabaseUnavailable: the audit database is no PostgreSQL, or a role's name is none.
    """
    audit = _postgres(url, keys=False)
    audit.close()
    found = [Grants(audit.name, tuple(_audit(audit.schema, writers, auditors)))]
    if keys_url.startswith("postgres") and writers:
        keys = _postgres(keys_url, keys=True)
        keys.close()
        found.append(Grants(keys.name, tuple(_keys(keys.schema, writers))))
    return found


def apply(url: str, keys_url: str, *, writers: tuple[str, ...], auditors: tuple[str, ...]) -> list[str]:
    """Give roles their rights, as the owner of the tables, and say what limits nothing all the same.

    Raises:
        DatabaseUnavailable: a database cannot be reached, a role does not exist, or we do not own the tables.
    """
    told: list[str] = []
    wanted = grants(url, keys_url, writers=writers, auditors=auditors)
    for part, address in zip(wanted, (url, keys_url), strict=False):
        database = _postgres(address, keys=address is keys_url)
        try:
            with database.write() as connection:
                told += _check_roles(connection, database.name, (*writers, *auditors))
                for statement in part.statements:
                    connection.exec_driver_sql(statement)
        finally:
            database.close()
    return list(dict.fromkeys(told))


def _postgres(url: str, *, keys: bool) -> Database:
    if not url.startswith("postgres"):
        message = "Roles are PostgreSQL's, and audit.url names another kind of database."
        raise DatabaseUnavailable(message, remedy="In SQLite the permissions of the files say who may do what.")
    from limner_provenance.postgres import Database

    database = open_database(url, keys=keys)
    assert isinstance(database, Database)
    return database


def _check_roles(connection: Connection, name: str, roles: tuple[str, ...]) -> list[str]:
    """Refuse roles that are not there; say of whom no grant takes anything away."""
    told = []
    for role in roles:
        query = "SELECT rolsuper, pg_has_role(oid, current_user, 'MEMBER') FROM pg_roles WHERE rolname = %s"
        row = connection.exec_driver_sql(query, (role,)).first()
        if row is None:
            message = f"The server of {name} has no role {ascii(role)[:70]}."
            raise DatabaseUnavailable(message, remedy=f"Make it first: CREATE ROLE {quoted(role)} LOGIN")
        if row[0]:
            told.append(f"{role} is a superuser: nothing limits what it may do.")
        elif row[1]:
            told.append(f"{role} owns the tables, or is a member of their owner: it may switch triggers off.")
    return told


def _audit(schema: str, writers: tuple[str, ...], auditors: tuple[str, ...]) -> Iterator[str]:
    tables = ddl.FIRST.tables
    for role in writers:
        yield from _start(schema, role)
        yield f"GRANT SELECT, INSERT ON {_names(schema, tables)} TO {quoted(role)}"
        yield f"GRANT SELECT ON {_names(schema, ddl.VERSION.tables)} TO {quoted(role)}"
        # The one way to delete rows: it takes away what an `erased` entry names, and nothing else.
        yield f"GRANT EXECUTE ON FUNCTION {quoted(schema)}.erase_rows(text[]) TO {quoted(role)}"
    for role in auditors:
        yield from _start(schema, role)
        yield f"GRANT SELECT ON {_names(schema, tables)}, {_names(schema, ddl.VERSION.tables)} TO {quoted(role)}"


def _keys(schema: str, writers: tuple[str, ...]) -> Iterator[str]:
    for role in writers:
        yield from _start(schema, role)
        yield f"GRANT SELECT, INSERT, DELETE ON {_names(schema, ('data_key',))} TO {quoted(role)}"
        yield f"GRANT SELECT, INSERT ON {_names(schema, ('kek',))} TO {quoted(role)}"


def _start(schema: str, role: str) -> Iterator[str]:
    """Take away whatever the role had before, and let it see the schema."""
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA {quoted(schema)} FROM {quoted(role)}"
    yield f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {quoted(role)}"


def _names(schema: str, tables: Iterable[str]) -> str:
    return ", ".join(f"{quoted(schema)}.{name}" for name in sorted(tables))


def quoted(name: str) -> str:
    """Write a name as SQL does.

    Raises:
        DatabaseUnavailable: it is none.
    """
    if not name or len(name.encode()) > 63 or not name.isprintable():
        raise DatabaseUnavailable(f"{ascii(name)[:70]} is no name of a role.", remedy="Use at most 63 bytes.")
    return '"' + name.replace('"', '""') + '"'
