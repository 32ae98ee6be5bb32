"""The PostgreSQL schema at head: making it, and describing what is there in words that do not depend on the server.

Knows nothing of what is stored in the tables.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from limner_provenance import ddl_postgres as ddl
from limner_provenance.databases import rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEADS = (ddl.VERSION, ddl.FIRST)
"""What an audit database of this version is made of, in order."""

Described = dict[tuple[str, str], str]


def schema_of(connection: Connection) -> str:
    """Give the schema that a connection works in: the one behind the system's own in its search path."""
    path = str(connection.exec_driver_sql("SHOW search_path").scalar())
    return path.split(",")[1].strip().strip('"')


def is_empty(connection: Connection) -> bool:
    """Say whether the schema is missing or holds no table at all."""
    query = "SELECT count(*) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE n.nspname = %s"
    return connection.exec_driver_sql(query, (schema_of(connection),)).scalar() == 0


def create(connection: Connection, *, keys: bool = False) -> None:
    """Make the schema where it is missing, and everything in it, inside the caller's transaction."""
    schema = schema_of(connection)
    there = connection.exec_driver_sql("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)).first()
    if there is None:
        connection.exec_driver_sql(f'CREATE SCHEMA "{schema}"')
    for part in (ddl.KEYS,) if keys else HEADS:
        run(connection, part)


def run(connection: Connection, part: ddl.Schema) -> None:
    """Make a part of the schema."""
    for statement in part.statements(schema_of(connection)):
        connection.exec_driver_sql(statement.replace("%", "%%"))


def insert(connection: Connection, table: str, values: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of the same columns in one statement, which costs a third of one for each row (measured)."""
    columns = list(values[0])
    arrays = ", ".join(f"%b::{_ARRAYS[type(values[0][column])]}[]" for column in columns)
    statement = f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({arrays})"  # noqa: S608 - our names
    connection.exec_driver_sql(statement, tuple([row[column] for row in values] for column in columns))


_ARRAYS = {int: "bigint", str: "text", bytes: "bytea"}


@functools.cache
def expected(*, keys: bool = False) -> Described:
    """Give what `described` gives for a new database."""
    found: Described = {}
    for part in (ddl.KEYS,) if keys else HEADS:
        found |= {("table", name): _table(table) for name, table in part.tables.items()}
        found |= {("index", name): f"{table} btree ({', '.join(on)})" for name, (table, on) in part.indexes.items()}
        found |= {
            ("index", t.key_name or f"{name}_pkey"): f"{name} btree ({', '.join(t.key)}) primary key unique"
            for name, t in part.tables.items()
        }
        found |= {
            ("function", f"{name}({function.arguments})"): _function(function)
            for name, function in part.functions.items()
        }
        found |= {
            ("trigger", name): f"{table} BEFORE {events} {level} {function}"
            for name, (table, events, level, function) in part.triggers.items()
        }
    return found


def _table(table: ddl.Table) -> str:
    columns = []
    for name, kind in table.columns.items():
        plain, source = (kind, "") if isinstance(kind, str) else kind
        collation = " C" if plain == "text" else ""
        columns.append(f"{name} {plain}{collation} = {source}" if source else f"{name} {plain}{collation} not null")
    return ", ".join(columns)


def _function(function: ddl.Function) -> str:
    kind = "volatile" if function.volatile else "immutable"
    path = f"search_path={ddl.PATH}" if function.volatile else ""
    definer = "definer" if function.owner else "invoker"
    return " ".join((function.returns, function.language, kind, definer, path, function.body))


def described(connection: Connection) -> Described:
    """Give a description of everything in the schema by (kind, name), whatever the server's version."""
    schema = schema_of(connection)
    found: Described = {}
    for query in (_TABLES, _INDEXES, _FUNCTIONS, _TRIGGERS, _OTHERS):
        for kind, name, text in rows(connection, query, {"schema": schema}):
            found[kind, name] = _PATH.sub(lambda m: ddl.PATH if m[1] == schema else m[0], str(text))
    return found


_PATH = re.compile(r'pg_catalog, "?(\w+)"?, pg_temp')
"""The path of a function, which the server writes with the schema's own name."""


_TABLES = """
SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                      WHEN 'S' THEN 'sequence' WHEN 'p' THEN 'partitioned table' WHEN 'f' THEN 'foreign table'
                      ELSE 'relation' END,
       c.relname,
       COALESCE((SELECT string_agg(
           a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
           || CASE WHEN a.attcollation <> 0 AND l.collname <> 'default' THEN ' ' || l.collname ELSE '' END
           || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
           || CASE WHEN d.adbin IS NULL THEN '' WHEN a.attgenerated = 's' THEN ' = '
                   WHEN a.attgenerated = '' THEN ' default ' ELSE ' virtual ' END
           || COALESCE(pg_get_expr(d.adbin, d.adrelid), ''), ', ' ORDER BY a.attnum)
         FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         LEFT JOIN pg_collation l ON l.oid = a.attcollation
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '')
       || CASE WHEN c.relpersistence <> 'p' THEN ' unlogged' ELSE '' END
       || CASE WHEN c.relrowsecurity OR c.relforcerowsecurity THEN ' row security' ELSE '' END
       || CASE WHEN c.relispartition OR EXISTS (SELECT 1 FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent))
               THEN ' inheritance' ELSE '' END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relkind NOT IN ('i', 'I', 'c')
"""

_INDEXES = """
SELECT 'index', c.relname,
       t.relname || ' ' || m.amname || ' ('
       || (SELECT string_agg(replace(pg_get_indexdef(x.indexrelid, k::int, true), '"', ''), ', ' ORDER BY k)
           FROM generate_series(1, x.indnatts) k) || ')'
       || CASE WHEN x.indisprimary THEN ' primary key' ELSE '' END || CASE WHEN x.indisunique THEN ' unique' ELSE '' END
       || CASE WHEN NOT x.indisvalid OR NOT x.indisready OR NOT x.indislive THEN ' not valid' ELSE '' END
       || CASE WHEN x.indpred IS NOT NULL THEN ' partial' ELSE '' END
FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
JOIN pg_am m ON m.oid = c.relam JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname = %(schema)s
"""

_FUNCTIONS = """
SELECT 'function', p.proname || '(' || pg_get_function_arguments(p.oid) || ')',
       concat_ws(' ', pg_get_function_result(p.oid), l.lanname,
                 CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
                 CASE WHEN p.prosecdef THEN 'definer' ELSE 'invoker' END,
                 COALESCE(array_to_string(p.proconfig, ' '), ''), p.prosrc)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE n.nspname = %(schema)s
"""

# The bits of tgtype: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate, 64 instead.
_TRIGGERS = """
SELECT 'trigger', t.tgname,
       c.relname || CASE t.tgtype & 66 WHEN 2 THEN ' BEFORE ' WHEN 64 THEN ' INSTEAD OF ' ELSE ' AFTER ' END
       || concat_ws(' OR ', CASE WHEN t.tgtype & 4 > 0 THEN 'INSERT' END, CASE WHEN t.tgtype & 8 > 0 THEN 'DELETE' END,
                    CASE WHEN t.tgtype & 16 > 0 THEN 'UPDATE' END, CASE WHEN t.tgtype & 32 > 0 THEN 'TRUNCATE' END)
       || CASE WHEN t.tgtype & 1 > 0 THEN ' ROW ' ELSE ' STATEMENT ' END
       || CASE WHEN f.nspname = n.nspname THEN '' ELSE f.nspname || '.' END || p.proname
       || CASE WHEN t.tgenabled <> 'O' THEN ' not enabled' ELSE '' END
       || CASE WHEN t.tgqual IS NOT NULL THEN ' with a condition' ELSE '' END
       || CASE WHEN array_length(t.tgattr::int2[], 1) > 0 THEN ' of some columns' ELSE '' END
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace f ON f.oid = p.pronamespace
WHERE n.nspname = %(schema)s
"""

_OTHERS = """
SELECT 'rule', r.rulename, c.relname FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s AND c.relkind NOT IN ('v', 'm')
UNION ALL SELECT 'policy', o.polname, c.relname FROM pg_policy o JOIN pg_class c ON c.oid = o.polrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s
UNION ALL SELECT 'constraint', k.conname, c.relname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s AND k.contype NOT IN ('p', 'n', 't')
UNION ALL SELECT 'operator', o.oprname, '' FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
WHERE n.nspname = %(schema)s
UNION ALL SELECT 'type', t.typname, '' FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = %(schema)s AND t.typelem = 0 AND (t.typrelid = 0 OR EXISTS (
    SELECT 1 FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
"""
