"""Verification in PostgreSQL: whatever is changed in a column, row, table, trigger or function is found and located."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from servers.postgres import Postgres
from sqlalchemy import Table

from limner_provenance import tables
from limner_provenance.audit import AuditReport, verify
from limner_provenance.errors import DatabaseVersion
from limner_provenance.log import AuditLog

pytestmark = pytest.mark.postgres
OpenLog = Callable[..., AuditLog]
AUDIT = [table for table in tables.AuditBase.metadata.sorted_tables if table.name != "alembic_version"]
KEYS = tables.KeyBase.metadata.sorted_tables


@pytest.fixture
def backend(postgres_server: Postgres) -> Postgres:
    """Run on PostgreSQL."""
    return postgres_server


@pytest.fixture(scope="module")
def template(postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a small log once: a full tile, payloads of both kinds, an erased user, several commits."""
    state = tmp_path_factory.mktemp("template") / "state"
    postgres_server.own(state)
    with postgres_server.open(state) as log:
        for number in range(40):
            record, subject = str(uuid.UUID(int=number + 1, version=4)), f"user-{number % 3}"
            log.append("accepted", record=record, payloads={"prompt": f"apple {number}"}, subject=subject)
            log.append("judged", record=record, data={"stage": "request", "verdict": "allow"})
            log.append("planned", record=record)
            log.append("attempted", record=record)
            image = {"image": bytes([number]) * 40} if number % 10 in (0, 4) else {}
            log.append("produced", record=record, payloads=image, subject=subject)
            log.append("judged", record=record, data={"stage": "image", "verdict": "allow"})
            log.append("sealed", record=record, payloads={"manifest": f"M{number}"}, subject=subject).wait(30)
        log.erase(subject="user-2")
        log.append("accepted", record=str(uuid.UUID(int=999, version=4))).wait(30)
    return state


@pytest.fixture(scope="module")
def shared(postgres_server: Postgres, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give one copy of the log that tests put back as it was after each change."""
    state = tmp_path_factory.mktemp("shared") / "state"
    _copy(template, state)
    postgres_server.copy(template, state)
    return state


@pytest.fixture
def ruined(postgres_server: Postgres, template: Path, tmp_path: Path) -> Path:
    """Give a copy of the log for one test alone."""
    _copy(template, tmp_path / "state")
    postgres_server.copy(template, tmp_path / "state")
    return tmp_path / "state"


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)


def check(backend: Postgres, state: Path) -> AuditReport:
    """Verify as an auditor does."""
    with backend.open(state, read_only=True) as log:
        return verify(log)


def errors(report: AuditReport) -> list[tuple[str, str]]:
    """Give place and row of every error."""
    return [(finding.table, finding.key) for finding in report.findings if finding.severity == "error"]


def columns(found: list[Table]) -> list[tuple[str, str]]:
    """Give every stored column of the tables; computed ones cannot be written."""
    return [(table.name, column.name) for table in found for column in table.columns if column.computed is None]


def changed(column: str, kind: str) -> str:
    """Give SQL that changes a value a little."""
    if kind == "bigint":
        return f"{column} + 100000"
    if kind == "bytea":
        return f"set_byte({column}, length({column}) / 2, (get_byte({column}, length({column}) / 2) + 1) % 256)"
    return f"left({column}, -2) || chr(ascii(substr({column}, length({column}) - 1, 1)) + 1) || right({column}, 1)"


def kind_of(backend: Postgres, state: Path, table: str, column: str, *, keys: bool) -> str:
    """Give a column's type."""
    query = "SELECT format_type(atttypid, -1) FROM pg_attribute WHERE attrelid = ?::regclass AND attname = ?"
    return str(backend.sql(state, query, table, column, keys=keys)[0][0])


def rows(table: str) -> list[str]:
    """Give the conditions that name the first and the last row of a table."""
    return [f"ctid = (SELECT {which}(ctid) FROM {table})" for which in ("min", "max")]


def test_a_sound_log_is_valid(backend: Postgres, shared: Path) -> None:
    """Nothing is found in an untouched log, and every payload was opened or is erased."""
    report = check(backend, shared)
    assert report.findings == []
    assert report.verdict == "VALID-WITH-ERASURE"
    assert (report.payloads_opened, report.payloads_not_opened, report.payloads_erased) == (60, 0, 28)


@pytest.mark.parametrize(("table", "column"), columns(AUDIT))
def test_any_changed_column_is_found_and_located(backend: Postgres, shared: Path, table: str, column: str) -> None:
    """A change of any column in the first or the last row of any table is an error that names the table."""
    kind = kind_of(backend, shared, table, column, keys=False)
    for row in rows(table):
        restore = backend.save(shared)
        backend.sql(shared, f"UPDATE {table} SET {column} = {changed(column, kind)} WHERE {row}")
        report = check(backend, shared)
        restore()
        assert any(table == found for found, _ in errors(report)), (row, report.findings)


@pytest.mark.parametrize("table", [table.name for table in AUDIT])
def test_any_deleted_or_inserted_row_is_found(backend: Postgres, shared: Path, table: str) -> None:
    """A row that is gone, and one that Limner did not write, are errors."""
    columns = tables.AuditBase.metadata.tables[table].columns
    key = next(reversed(list(tables.AuditBase.metadata.tables[table].primary_key))).name
    names = [column.name for column in columns if column.computed is None]
    kind = kind_of(backend, shared, table, key, keys=False)
    values = ", ".join(changed(name, kind) if name == key else name for name in names)
    for statement in (
        *(f"DELETE FROM {table} WHERE {row}" for row in rows(table)),
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} ORDER BY {key} DESC LIMIT 1",
    ):
        restore = backend.save(shared)
        backend.sql(shared, statement)
        report = check(backend, shared)
        restore()
        assert errors(report), statement


@pytest.mark.parametrize(("table", "column"), columns(KEYS))
def test_the_key_database_is_checked_too(backend: Postgres, shared: Path, table: str, column: str) -> None:
    """A change of any column of the key database is an error that names it."""
    kind = kind_of(backend, shared, table, column, keys=True)
    for row in rows(table):
        restore = backend.save(shared, keys=True)
        backend.sql(shared, f"UPDATE {table} SET {column} = {changed(column, kind)} WHERE {row}", keys=True)
        report = check(backend, shared)
        restore()
        assert any(found.startswith("keys") for found, _ in errors(report)), report.findings


def test_a_well_formed_lie_is_located(backend: Postgres, shared: Path) -> None:
    """A canonical entry with another content is found by the tree alone, and named."""
    restore = backend.save(shared)
    backend.sql(shared, "UPDATE entry SET leaf = replace(leaf, '\"allow\"', '\"denied\"') WHERE idx = 2")
    report = check(backend, shared)
    restore()
    assert errors(report) == [("entry", "2")]


def test_a_cut_tail_is_caught_by_the_anchor(backend: Postgres, shared: Path) -> None:
    """Entries cut off together with their checkpoints leave a sound database, and an anchor that knows better."""
    restore = backend.save(shared)
    backend.sql(shared, "DELETE FROM checkpoint WHERE size > 270")
    backend.sql(shared, "DELETE FROM entry WHERE idx >= (SELECT MAX(size) FROM checkpoint)")
    backend.sql(shared, "DELETE FROM erasure WHERE idx >= (SELECT MAX(size) FROM checkpoint)")
    report = check(backend, shared)
    restore()
    assert "anchor" in [place for place, _ in errors(report)]


SCHEMA_CHANGES = [
    ("DROP TRIGGER entry_update ON entry", "entry_update"),
    ("ALTER TABLE entry DISABLE TRIGGER entry_delete", "entry_delete"),
    ("ALTER TABLE payload ENABLE REPLICA TRIGGER payload_delete", "payload_delete"),
    ("DROP INDEX entry_record", "entry_record"),
    ("CREATE TABLE extra (x int)", "extra"),
    ("CREATE VIEW extra AS SELECT * FROM entry", "extra"),
    ("CREATE SEQUENCE extra", "extra"),
    ("CREATE TYPE extra AS ENUM ('x')", "extra"),
    ("CREATE DOMAIN extra AS text", "extra"),
    ("ALTER TABLE payload ADD COLUMN note text", "payload"),
    ("ALTER TABLE payload ALTER COLUMN id SET DEFAULT 'x'", "payload"),
    ("ALTER TABLE payload ALTER COLUMN blob DROP NOT NULL", "payload"),
    ("ALTER TABLE asset ALTER COLUMN key_id TYPE varchar(200)", "asset"),
    ('ALTER TABLE asset ALTER COLUMN key_id TYPE text COLLATE "POSIX"', "asset"),
    ("ALTER TABLE entry ALTER COLUMN step DROP EXPRESSION", "entry"),
    ("ALTER TABLE tile SET UNLOGGED", "tile"),
    ("ALTER TABLE asset ENABLE ROW LEVEL SECURITY", "asset"),
    ("CREATE POLICY sly ON asset USING (false)", "sly"),
    ("CREATE RULE sly AS ON INSERT TO payload DO INSTEAD NOTHING", "sly"),
    ("CREATE TABLE child () INHERITS (entry)", "child"),
    ("ALTER TABLE asset ADD CONSTRAINT sly CHECK (id <> 'x')", "sly"),
    ("CREATE UNIQUE INDEX sly ON entry (leaf) WHERE idx < 0", "sly"),
    (
        "CREATE FUNCTION sly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM payload; RETURN NULL; END'",
        "sly()",
    ),
    ("CREATE TRIGGER sly AFTER INSERT ON entry FOR EACH ROW EXECUTE FUNCTION refuse()", "sly"),
    (
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "refuse()",
    ),
    ("ALTER FUNCTION only_erased() SET search_path = pg_temp", "only_erased()"),
    ("ALTER FUNCTION erase_rows(text[]) SECURITY INVOKER", "erase_rows(ids text[])"),
    (
        "CREATE OR REPLACE FUNCTION leaf_step(leaf text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT leaf'",
        "leaf_step(leaf text)",
    ),
]


def test_a_changed_schema_is_found(backend: Postgres, shared: Path) -> None:
    """Hidden, missing, disabled and changed triggers, rules, policies, functions, tables and columns are errors."""
    from limner_provenance import postgres_schema
    from limner_provenance.databases import open_database

    database = open_database(backend.urls(shared)[0])
    missed = []
    for statement, name in SCHEMA_CHANGES:
        with database.write() as connection:
            schema = postgres_schema.schema_of(connection)
            connection.exec_driver_sql(f'SET LOCAL search_path = "{schema}", pg_catalog')
            connection.exec_driver_sql(statement.replace("%", "%%"))
            connection.exec_driver_sql(f'SET LOCAL search_path = pg_catalog, "{schema}", pg_temp')
            found, expected = postgres_schema.described(connection), postgres_schema.expected()
            differ = {key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)}
            connection.rollback()
        if name not in {key[1] for key in differ}:
            missed.append((statement, differ))
    database.close()
    assert missed == []


def test_a_disabled_trigger_is_told(backend: Postgres, ruined: Path) -> None:
    """What the comparison of schemas finds is an error of the verification."""
    with backend.session(ruined) as session:
        session.execute("ALTER TABLE entry DISABLE TRIGGER entry_update")
    assert ("schema", "entry_update") in errors(check(backend, ruined))


def test_a_column_that_lies_is_found(backend: Postgres, ruined: Path) -> None:
    """A computed column that the owner made an ordinary one, to hide a record, is found by what it should be."""
    with backend.session(ruined) as session:
        session.execute("ALTER TABLE entry ALTER COLUMN record DROP EXPRESSION")
        session.execute("SET session_replication_role = replica")
        session.execute("UPDATE entry SET record = NULL WHERE idx = 8")
    report = check(backend, ruined)
    assert any("entry 8.record is not what it is computed from" in finding.what for finding in report.findings)


def test_an_index_that_lies_is_found(backend: Postgres, ruined: Path) -> None:
    """A row that an index was made to forget is found, although its table is right."""
    with backend.session(ruined) as session:
        session.execute("SET session_replication_role = replica")
        session.execute("CREATE TABLE kept AS SELECT idx, leaf FROM entry WHERE idx = 8")
        session.execute("DELETE FROM entry WHERE idx = 8")
        session.execute("UPDATE pg_index SET indisready = false WHERE indexrelid = 'entry_record'::regclass")
        session.execute("INSERT INTO entry (idx, leaf) SELECT * FROM kept")
        session.execute("UPDATE pg_index SET indisready = true WHERE indexrelid = 'entry_record'::regclass")
        session.execute("DROP TABLE kept")
    report = check(backend, ruined)
    assert [finding.what for finding in report.findings] == ["The index entry_record and the table entry differ."]


REFUSED = """
UPDATE entry SET leaf = '{}' WHERE idx = 1
DELETE FROM entry WHERE idx = 1
TRUNCATE entry
INSERT INTO entry (idx, leaf) VALUES (1, '{}') ON CONFLICT (idx) DO UPDATE SET leaf = '{}'
INSERT INTO entry (idx, leaf) VALUES (5000, '{}')
UPDATE payload SET blob = '\\x00'
DELETE FROM payload
TRUNCATE payload
UPDATE checkpoint SET note = ''
DELETE FROM checkpoint
TRUNCATE checkpoint
INSERT INTO checkpoint SELECT 1, previous, note, edge FROM checkpoint LIMIT 1
UPDATE tile SET root = '\\x00'
DELETE FROM tile
TRUNCATE tile
INSERT INTO erasure (id, idx) VALUES ('x', 1)
UPDATE erasure SET idx = 1
DELETE FROM erasure
TRUNCATE erasure
UPDATE asset SET key_id = ''
DELETE FROM asset
TRUNCATE asset
""".strip().splitlines()


@pytest.mark.parametrize("statement", REFUSED)
def test_the_database_itself_refuses_changes(backend: Postgres, shared: Path, statement: str) -> None:
    """Even the owner, and a superuser, have to switch triggers off before they can change or remove anything."""
    import psycopg

    with backend.session(shared) as session, pytest.raises(psycopg.Error, match="limner: "):
        session.execute(statement)


def test_the_version_row_is_guarded_by_opening(backend: Postgres, ruined: Path) -> None:
    """A changed version is refused by name before anything else is read."""
    backend.sql(ruined, "UPDATE alembic_version SET version_num = '0007'")
    with pytest.raises(DatabaseVersion, match="'0007'"):
        backend.open(ruined, read_only=True)


@pytest.mark.parametrize("table", ["checkpoint", "payload"])
def test_a_lost_table_is_told(backend: Postgres, ruined: Path, table: str) -> None:
    """A table that was dropped is a finding, and the verification ends there in plain words."""
    with backend.session(ruined) as session:
        session.execute(f"DROP TABLE {table} CASCADE")
    assert ("schema", table) in errors(check(backend, ruined))
