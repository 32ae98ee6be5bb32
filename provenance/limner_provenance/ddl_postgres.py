"""The PostgreSQL databases, frozen: tables, indexes, functions and the triggers by which they refuse changes.

The same tables as `ddl.py` makes in SQLite. They are declared as data, because a verification compares them with the
server's catalogue: a server writes SQL back in words of its own version. A later schema adds a `Schema` of its own and
a revision that makes it; what stands here never changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

PATH = 'pg_catalog, "{schema}", pg_temp'
"""Where functions look names up: what the system calls by a name is its own, and a temporary table hides nothing."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns as name → type (or type and what it is computed from), its primary key, that key's name."""

    columns: Mapping[str, str | tuple[str, str]]
    key: tuple[str, ...]
    key_name: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """A function: arguments, result, language, body; `owner` lets it act as its owner, and closes it to the public."""

    arguments: str
    returns: str
    language: str
    body: str
    volatile: bool = True
    owner: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """What a schema holds, each by its name; a trigger is (table, events, row or statement, function)."""

    tables: Mapping[str, Table]
    indexes: Mapping[str, tuple[str, tuple[str, ...]]]
    functions: Mapping[str, Function] = field(default_factory=dict)
    triggers: Mapping[str, tuple[str, str, str, str]] = field(default_factory=dict)

    def statements(self, schema: str) -> Iterator[str]:
        """Give the SQL that makes everything in the schema of that name."""
        for name, function in self.functions.items():
            # Functions of computed columns come before their tables; bodies of the others are looked at when they run.
            yield from (text.replace("{schema}", schema) for text in _function(name, function))
        for name, table in self.tables.items():
            columns = ", ".join(_column(column, kind, schema) for column, kind in table.columns.items())
            named = f"CONSTRAINT {table.key_name} " if table.key_name else ""
            yield f'CREATE TABLE "{schema}".{name} ({columns}, {named}PRIMARY KEY ({", ".join(table.key)}))'
        for name, (table_name, on) in self.indexes.items():
            yield f'CREATE INDEX {name} ON "{schema}".{table_name} ({", ".join(on)})'
        for name, (table_name, events, level, function_name) in self.triggers.items():
            yield (
                f'CREATE TRIGGER {name} BEFORE {events} ON "{schema}".{table_name} FOR EACH {level} '
                f'EXECUTE FUNCTION "{schema}".{function_name}()'
            )


def _column(name: str, kind: str | tuple[str, str], schema: str) -> str:
    """Write a column; text is compared byte by byte, so that no update of a locale changes an order."""
    plain, source = (kind, "") if isinstance(kind, str) else kind
    collation = ' COLLATE pg_catalog."C"' if plain == "text" else ""
    if not source:
        return f"{name} {plain}{collation} NOT NULL"
    return f'{name} {plain}{collation} GENERATED ALWAYS AS ("{schema}".{source}) STORED'


def _function(name: str, function: Function) -> Iterator[str]:
    volatile = f"VOLATILE SET search_path = {PATH}" if function.volatile else "IMMUTABLE PARALLEL SAFE"
    definer = " SECURITY DEFINER" if function.owner else ""
    signature = f'"{{schema}}".{name}({function.arguments})'
    yield (
        f"CREATE FUNCTION {signature} RETURNS {function.returns} LANGUAGE {function.language} "
        f"{volatile}{definer} AS $limner${function.body}$limner$"
    )
    if function.owner:
        yield f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC"


def _part(number: int) -> str:
    return f"pg_catalog.split_part(pg_catalog.right(leaf, 300), '\"', {number})"


def _from_end(number: int, *, null: bool = False) -> Function:
    """Give the function that cuts one of the last members out of a leaf, which end: record, step, time, v.

    Neither of them holds a quotation mark, and together they are shorter than 300 characters. The server's own JSON
    functions refuse a text with a NUL character anywhere, which a leaf may hold in its escaped form.
    """
    # Where record is null, the part before `,"step"` is `:null,` and not a comma alone.
    body = f"SELECT CASE {_part(-11)} WHEN ',' THEN {_part(number)} END" if null else f"SELECT {_part(number)}"
    return Function("leaf text", "text", "sql", body, volatile=False)


def _guard(condition: str, message: str) -> Function:
    """Give a trigger function that refuses a row where the condition holds."""
    body = f"BEGIN IF {condition} THEN RAISE EXCEPTION 'limner: {message}'; END IF; RETURN NEW; END"
    return Function("", "trigger", "plpgsql", body)


FUNCTIONS = {
    "leaf_record": _from_end(-12, null=True),
    "leaf_step": _from_end(-8),
    "leaf_time": _from_end(-4),
    "blob_key": Function(
        "blob bytea",
        "text",
        "sql",
        "SELECT pg_catalog.encode(pg_catalog.substr(blob, 6, 16), 'hex')",
        volatile=False,
    ),
    "refuse": Function(
        "", "trigger", "plpgsql", "BEGIN RAISE EXCEPTION 'limner: % of % is refused', TG_OP, TG_TABLE_NAME; END"
    ),
    "only_erased": Function(
        "",
        "trigger",
        "plpgsql",
        "BEGIN IF NOT EXISTS (SELECT 1 FROM erasure WHERE erasure.id = OLD.id) THEN "
        "RAISE EXCEPTION 'limner: rows of % go only by erasure', TG_TABLE_NAME; END IF; RETURN OLD; END",
    ),
    "entry_in_order": _guard(
        "NEW.idx IS DISTINCT FROM (SELECT COALESCE(MAX(idx) + 1, 0) FROM entry)", "entries follow in order"
    ),
    "checkpoint_grows": _guard("NEW.size <= (SELECT COALESCE(MAX(size), 0) FROM checkpoint)", "checkpoints only grow"),
    "erasure_has_entry": _guard(
        "NOT EXISTS (SELECT 1 FROM entry WHERE entry.idx = NEW.idx AND entry.step = 'erased' "
        "AND position('\"' || NEW.id || '\"' IN entry.leaf) > 0)",
        "an erasure needs its entry",
    ),
    "erase_rows": Function(
        "ids text[]",
        "void",
        "plpgsql",
        "BEGIN DELETE FROM payload USING erasure WHERE payload.id = ANY (ids) AND erasure.id = payload.id; "
        "DELETE FROM asset USING erasure WHERE asset.id = ANY (ids) AND erasure.id = asset.id; END",
        owner=True,
    ),
}


def _triggers() -> dict[str, tuple[str, str, str, str]]:
    """Nothing is changed or emptied, and only what the log calls erased is deleted; new rows come in order."""
    found: dict[str, tuple[str, str, str, str]] = {
        "entry_insert": ("entry", "INSERT", "ROW", "entry_in_order"),
        "checkpoint_insert": ("checkpoint", "INSERT", "ROW", "checkpoint_grows"),
        "erasure_insert": ("erasure", "INSERT", "ROW", "erasure_has_entry"),
    }
    for table in ("asset", "checkpoint", "entry", "erasure", "payload", "tile"):
        found[f"{table}_update"] = (table, "UPDATE", "ROW", "refuse")
        found[f"{table}_truncate"] = (table, "TRUNCATE", "STATEMENT", "refuse")
        erasable = table in ("asset", "payload")
        found[f"{table}_delete"] = (table, "DELETE", "ROW", "only_erased" if erasable else "refuse")
    return found


VERSION = Schema(
    {"alembic_version": Table({"version_num": "character varying(32)"}, ("version_num",), "alembic_version_pkc")}, {}
)
"""alembic's own table, as alembic makes it."""

FIRST = Schema(
    tables={
        "asset": Table({"id": "text", "key_id": "text"}, ("id",)),
        "checkpoint": Table({"size": "bigint", "previous": "bigint", "note": "text", "edge": "bytea"}, ("size",)),
        "entry": Table(
            {
                "idx": "bigint",
                "leaf": "text",
                "record": ("text", "leaf_record(leaf)"),
                "step": ("text", "leaf_step(leaf)"),
                "time": ("text", "leaf_time(leaf)"),
            },
            ("idx",),
        ),
        "erasure": Table({"id": "text", "idx": "bigint"}, ("id",)),
        "payload": Table({"id": "text", "blob": "bytea", "key_id": ("text", "blob_key(blob)")}, ("id",)),
        "tile": Table({"level": "bigint", "idx": "bigint", "root": "bytea", "hashes": "bytea"}, ("level", "idx")),
    },
    indexes={
        "asset_key_id": ("asset", ("key_id",)),
        "entry_record": ("entry", ("record", "idx")),
        "entry_step": ("entry", ("step", "idx")),
        "entry_time": ("entry", ("time", "idx")),
        "payload_key_id": ("payload", ("key_id",)),
    },
    functions=FUNCTIONS,
    triggers=_triggers(),
)
"""The audit database of revision 0001. Its owner can switch triggers off: `audit verify` says so, and the tree says
what was changed; roles without ownership cannot (`limner audit roles`)."""

KEYS = Schema(
    tables={
        "data_key": Table({"id": "text", "subject": "text", "wrapped": "bytea"}, ("id",)),
        "kek": Table({"fingerprint": "text"}, ("fingerprint",)),
    },
    indexes={"data_key_subject": ("data_key", ("subject",))},
)
"""The key database."""
