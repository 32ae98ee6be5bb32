"""What PostgreSQL itself is asked during a verification: computed columns, indexes, and who may change what.

Knows nothing of entries and trees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from limner_provenance import ddl_postgres as ddl
from limner_provenance.databases import rows
from limner_provenance.postgres_schema import schema_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from limner_provenance.postgres import Database

_SHOWN = 20


def damage(database: Database) -> list[str]:
    """Compare computed columns with what they are computed from, and every index with its table's rows.

    The owner can make a column hold something else; an index can lie although its table is right.
    """
    found: list[str] = []
    with database.read() as connection:
        tables = _present(connection)
        for part in (ddl.FIRST, ddl.KEYS):
            for name, table in part.tables.items():
                if name in tables:
                    found += _computed(connection, name, table)
                    found += _indexed(connection, name, table, part)
    return found


def _present(connection: Connection) -> set[str]:
    query = "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE n.nspname = %s"
    return {row[0] for row in rows(connection, query, (schema_of(connection),))}


def _computed(connection: Connection, name: str, table: ddl.Table) -> list[str]:
    """Compute columns anew with the functions' own bodies, since the functions that are stored may be others."""
    key = " || ' ' || ".join(f"{column}::text" for column in table.key)
    found = []
    for column, kind in table.columns.items():
        if isinstance(kind, tuple):
            body = ddl.FUNCTIONS[kind[1].partition("(")[0]].body.removeprefix("SELECT ")
            query = f"SELECT {key} FROM {name} WHERE {column} IS DISTINCT FROM ({body}) LIMIT {_SHOWN}"  # noqa: S608
            found += [f"{name} {row[0]}.{column} is not what it is computed from." for row in rows(connection, query)]
    return found


def _indexed(connection: Connection, name: str, table: ddl.Table, part: ddl.Schema) -> list[str]:
    """Count the rows by the table alone and by each index alone; what only one of them knows makes a difference."""
    keys = {f"{name}_pkey": table.key}
    keys |= {index: on for index, (owner, on) in part.indexes.items() if owner == name}
    return [
        f"The index {index} and the table {name} differ."
        for index, columns in keys.items()
        if _summed(connection, name, columns, by="table") != _summed(connection, name, columns, by="index")
    ]


def _summed(connection: Connection, name: str, columns: tuple[str, ...], *, by: str) -> Any:
    """Count the rows and add up hashes of these columns, read from the table alone or from the index alone."""
    on = ", ".join(columns)
    for setting in ("enable_seqscan", "enable_sort"):
        connection.exec_driver_sql(f"SET LOCAL {setting} = {'on' if by == 'table' else 'off'}")
    for setting in ("enable_indexscan", "enable_indexonlyscan"):
        connection.exec_driver_sql(f"SET LOCAL {setting} = {'off' if by == 'table' else 'on'}")
    connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
    inner = f"SELECT {on} FROM {name}" + (f" ORDER BY {on}" if by == "index" else "")  # noqa: S608 - our own names
    hashed = f"sum(hashtextextended(concat_ws(' ', {on}), 0)::numeric)"
    return rows(connection, f"SELECT count(*), {hashed} FROM ({inner} OFFSET 0) AS held")  # noqa: S608 - our own names


def rights(connection: Connection) -> list[tuple[str, str, str]]:
    """Give (table, role, rights) for every role besides the owner that could change rows or hang code to a table."""
    return [tuple(row) for row in rows(connection, _RIGHTS, (schema_of(connection),))]


_RIGHTS = """
SELECT c.relname, COALESCE(r.rolname, 'PUBLIC'), string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL aclexplode(c.relacl) a
LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE n.nspname = %s AND c.relkind = 'r' AND a.grantee <> c.relowner
  AND a.privilege_type IN ('UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER')
GROUP BY c.relname, r.rolname ORDER BY 1, 2
"""
