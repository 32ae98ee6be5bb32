"""What is peculiar to PostgreSQL: addresses without secrets, errors in plain words, schema, commits made again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psycopg
import pytest
from racing import race
from servers.postgres import Postgres
from sqlalchemy import Computed

from limner_provenance import databases, ddl_postgres, postgres_schema, schema, tables
from limner_provenance.databases import ConnectionLost, open_database, write_again
from limner_provenance.errors import DatabaseUnavailable, DatabaseVersion, LogCorrupt
from limner_provenance.migrate import migrate, upgrade
from limner_provenance.postgres import number
from limner_provenance.postgres_address import parse
from limner_provenance.postgres_errors import translated
from limner_provenance.postgres_roles import grants, quoted

SECRET = "hunter2/@x"
ENCODED = "hunter2%2F%40x"


def test_an_address_is_taken_apart() -> None:
    """Host, port, database, user, password and libpq's options go to the driver; the schema is ours."""
    url = f"postgresql+psycopg://limner:{ENCODED}@db.example:6432/records?sslmode=verify-full&schema=eu"
    found = parse(url, keys=False)
    assert found.name == "db.example:6432/records (schema eu)"
    wanted = {"host": "db.example", "port": "6432", "user": "limner", "dbname": "records", "sslmode": "verify-full"}
    assert wanted.items() <= found.options.items()
    assert found.options["password"] == SECRET
    assert "schema" not in found.options
    for keys, name in ((False, "limner"), (True, "limner_keys")):
        assert parse("postgresql://h/d", keys=keys).schema == name


def test_a_password_is_never_shown() -> None:
    """No representation of an address or a database holds it, and what the driver says is scrubbed."""
    url = f"postgresql+psycopg://limner:{ENCODED}@h/d"
    database = open_database(url)
    address = parse(url, keys=False)
    said = psycopg.OperationalError(f'connection to server at "h" failed: no "{SECRET}"\nmore')
    error = translated(address, said)
    database.close()
    for text in (repr(address), repr(database), str(vars(database)["name"]), str(error)):
        assert "hunter2" not in text
    assert isinstance(error, ConnectionLost)


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("postgresql+psycopg2://limner:hunter2@h/d", "psycopg 3"),
        ("postgresql+psycopg://limner:hunter2/x@h:p/d", "cannot be read"),
        ("postgresql+psycopg://limner:hunter2@h/d?sslmod=require", "'sslmod'"),
        ("postgresql+psycopg://limner:hunter2@h/d?schema=Big", "'Big'"),
        ("postgresql+psycopg://limner:hunter2@h/d?schema=pg_own", "'pg_own'"),
    ],
)
def test_wrong_addresses_are_refused_without_their_secrets(url: str, word: str) -> None:
    """What is wrong is named, with a remedy, and nothing else of the address."""
    with pytest.raises(DatabaseUnavailable, match=word) as caught:
        open_database(url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (psycopg.errors.DiskFull, DatabaseUnavailable, "disk is full"),
        (psycopg.errors.LockNotAvailable, DatabaseUnavailable, "locked by another program"),
        (psycopg.errors.ReadOnlySqlTransaction, DatabaseUnavailable, "standby"),
        (psycopg.errors.InsufficientPrivilege, DatabaseUnavailable, "limner audit roles"),
        (psycopg.errors.InvalidPassword, DatabaseUnavailable, "refuses the login"),
        (psycopg.errors.DataCorrupted, LogCorrupt, "is damaged"),
        (psycopg.errors.UniqueViolation, LogCorrupt, "append-only"),
        (psycopg.errors.RaiseException, LogCorrupt, "append-only"),
        (psycopg.errors.UndefinedTable, LogCorrupt, "lacks a table"),
        (psycopg.errors.AdminShutdown, ConnectionLost, "ended the connection"),
        (psycopg.errors.TooManyConnections, ConnectionLost, "ended the connection"),
        (psycopg.errors.InvalidTextRepresentation, DatabaseUnavailable, "22P02"),
    ],
)
def test_the_server_s_words_are_not_repeated(error: type[psycopg.Error], kind: type[Exception], words: str) -> None:
    """A message of the server can quote a row, so only its code decides what is said."""
    found = translated(parse("postgresql://h/d", keys=False), error("Failing row contains (a private prompt)"))
    assert type(found) is kind
    assert words in str(found)
    assert "private prompt" not in str(found)


def test_roles_are_quoted() -> None:
    """A role's name cannot become SQL, and only PostgreSQL has roles."""
    assert quoted('a"; DROP TABLE entry') == '"a""; DROP TABLE entry"'
    for wrong in ("", "x" * 64, "a\0b"):
        with pytest.raises(DatabaseUnavailable, match="no name of a role"):
            quoted(wrong)
    with pytest.raises(DatabaseUnavailable, match="another kind of database"):
        grants("sqlite:///a.db", "sqlite:///k.db", writers=(), auditors=("jane",))


def test_auditors_get_no_rights_on_keys() -> None:
    """The statements for an auditor speak of the log alone and grant nothing but reading."""
    url = "postgresql://h/d"
    (only,) = grants(url, url, writers=(), auditors=("jane",))
    assert [line.split(" ON ")[0] for line in only.statements] == ["REVOKE ALL", "GRANT USAGE", "GRANT SELECT"]
    audit, keys = grants(url, url, writers=("app",), auditors=("jane",))
    assert "limner_keys" not in "".join(audit.statements)
    assert "jane" not in "".join(keys.statements)


def test_the_declared_tables_are_the_frozen_ones() -> None:
    """The tables that SQLAlchemy works with have exactly the columns, keys and indexes that are made in PostgreSQL."""
    for base, part in ((tables.AuditBase, ddl_postgres.FIRST), (tables.KeyBase, ddl_postgres.KEYS)):
        declared = {name: table for name, table in base.metadata.tables.items() if name != "alembic_version"}
        assert declared.keys() == part.tables.keys()
        for name, table in declared.items():
            frozen = part.tables[name]
            assert [column.name for column in table.columns] == list(frozen.columns)
            assert tuple(column.name for column in table.primary_key) == frozen.key
            for column in table.columns:
                assert isinstance(column.computed, Computed) == isinstance(frozen.columns[column.name], tuple)
        indexes: dict[str, Any] = {
            str(index.name): (table.name, tuple(column.name for column in index.columns))
            for table in declared.values()
            for index in table.indexes
        }
        assert indexes == dict(part.indexes)


def test_lock_numbers_are_their_own() -> None:
    """Two records, or two schemas, do not share a lock, and every number fits the server's 64 bits."""
    found = {number(name, what) for name in ("a", "b") for what in ("turn", "record/1", "record/2")}
    assert len(found) == 6
    assert all(0 <= value < 2**63 for value in found)


class Flaky:
    """A database whose connection breaks some times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def write(self) -> Any:
        """Break, or give no connection in particular."""
        import contextlib

        @contextlib.contextmanager
        def block() -> Any:
            self.times -= 1
            if self.times >= 0:
                raise ConnectionLost("gone")
            yield None

        return block()


def test_work_is_done_again_and_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work is repeated until the server is back, told so, and given up when the time is over."""
    monkeypatch.setattr(databases, "_PAUSE", 0.001)
    assert write_again(Flaky(0), lambda _, again: again) is False  # type: ignore[arg-type]
    assert write_again(Flaky(3), lambda _, again: again) is True  # type: ignore[arg-type]
    monkeypatch.setattr(databases, "RECONNECT_SECONDS", 0.01)
    with pytest.raises(ConnectionLost):
        write_again(Flaky(10**9), lambda _, again: again)  # type: ignore[arg-type]


# -- with a server ---------------------------------------------------------------------------------------------------


@pytest.mark.postgres
def test_migrations_lead_to_what_new_databases_have(postgres_server: Postgres, tmp_path: Path) -> None:
    """Running every revision on nothing gives what a new database has: tables, indexes, functions and triggers."""
    database = open_database(postgres_server.urls(tmp_path)[0])
    with database.write() as connection:
        connection.exec_driver_sql(f'CREATE SCHEMA "{postgres_schema.schema_of(connection)}"')
        upgrade(connection)
        assert schema.described(connection) == postgres_schema.expected()
        assert schema.revisions(connection) == [schema.HEAD]
    database.close()


@pytest.mark.postgres
def test_migrating_at_head_does_nothing(postgres_server: Postgres, tmp_path: Path) -> None:
    """A database of this version is left alone; a newer one, and one that is none of ours, are refused."""
    url = postgres_server.urls(tmp_path)[0]
    with pytest.raises(DatabaseVersion, match="no audit database"):
        migrate(url)
    postgres_server.open(tmp_path).close()
    assert migrate(url).copy is None
    postgres_server.sql(tmp_path, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseVersion, match="newer"):
        migrate(url)


@pytest.mark.postgres
def test_a_leaf_s_columns_are_right_whatever_it_holds(postgres_server: Postgres, tmp_path: Path) -> None:
    """Record, step and time are cut out of a leaf rightly beside NUL characters, quotation marks and no record."""
    like_the_end = '"},"payloads":{},"record":"x","step":"y","time":"z","v":1}'
    nasty = {"a": like_the_end, "nul": "\0", "back": '\\"\\', "apple": "🍎"}
    with postgres_server.open(tmp_path) as log:
        for record in ("r-1", None, "0" * 100):
            entry = log.append("s" * 64, record=record, data=nasty).wait(30)
            row = postgres_server.sql(tmp_path, "SELECT record, step, time FROM entry WHERE idx = ?", entry.index)
            assert row == [(record, "s" * 64, entry.time)]
        assert [entry.record for entry in log.entries("r-1")] == ["r-1"]


@pytest.mark.postgres
def test_reading_is_one_snapshot_that_cannot_write(postgres_server: Postgres, tmp_path: Path) -> None:
    """What is committed while somebody reads is not seen by him, and his transaction may change nothing."""
    with postgres_server.open(tmp_path) as log:
        with log._opened.database.read() as connection:
            before = connection.exec_driver_sql("SELECT count(*) FROM entry").scalar()
            log.append("opened", data={"n": 1}).wait(30)
            assert connection.exec_driver_sql("SELECT count(*) FROM entry").scalar() == before
        assert log.size == 2
        with pytest.raises(DatabaseUnavailable, match="read-only"), log._opened.database.read() as connection:
            connection.exec_driver_sql("INSERT INTO erasure VALUES ('x', 1)")


@pytest.mark.postgres
def test_a_writer_that_falls_silent_does_not_stop_the_others(
    postgres_server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who begins a commit and stops is thrown out by the server, and the others go on."""
    monkeypatch.setattr("limner_provenance.postgres.IDLE_SECONDS", 0.3)
    with postgres_server.open(tmp_path) as silent, postgres_server.open(tmp_path) as other:
        with pytest.raises(ConnectionLost), silent._opened.database.write():
            assert other.append("opened", data={"n": 1}).wait(30).index == 1
        assert silent.append("opened", data={"n": 2}).wait(30).index == 2


@pytest.mark.postgres
def test_another_program_s_lock_is_a_clear_error(
    postgres_server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where somebody holds a table for too long, appending fails in plain words, and works again afterwards."""
    monkeypatch.setattr("limner_provenance.postgres.LOCK_SECONDS", 0.3)
    with postgres_server.open(tmp_path) as log:
        with postgres_server.session(tmp_path) as session, session.transaction():
            session.execute("LOCK TABLE entry IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(DatabaseUnavailable, match="is locked by another program"):
                log.append("accepted", record="r-1").wait(30)
        assert log.append("accepted", record="r-1").wait(30).index == 1


@pytest.mark.postgres
def test_a_name_in_the_way_hides_nothing(postgres_server: Postgres, tmp_path: Path) -> None:
    """A temporary table, or an operator of somebody else's, is not taken for the log's or the system's own."""
    with postgres_server.open(tmp_path) as log, log._opened.database.write() as connection:
        connection.exec_driver_sql("CREATE TEMP TABLE entry (idx bigint, leaf text)")
        assert connection.exec_driver_sql("SELECT count(*) FROM entry").scalar() == 1


@pytest.mark.postgres
def test_many_threads_never_share_a_lock(postgres_server: Postgres, tmp_path: Path) -> None:
    """However many threads try, at most one is inside."""
    with postgres_server.open(tmp_path) as log:
        most, entered = race(lambda: log.lock("r-1"), times=30)
    assert most == 1
    assert entered > 0


@pytest.mark.postgres
def test_locks_after_a_fork_are_refused(postgres_server: Postgres, tmp_path: Path) -> None:
    """A forked child does not talk into its parent's session."""
    with postgres_server.open(tmp_path) as log:
        child = os.fork()
        if child == 0:
            try:
                with log.lock("r-1"):
                    os._exit(1)
            except DatabaseUnavailable as error:
                os._exit(7 if "forked" in str(error) else 2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        with log.lock("r-1"):
            assert log.is_running("r-1")
