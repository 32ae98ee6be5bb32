"""Throw-away PostgreSQL databases for tests, on the server that answers on this machine.

`LIMNER_TEST_POSTGRES` names another one. Without a server the tests that need it are skipped, but fail where CI=true.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    import psycopg

    from limner_provenance import AuditLog

BOTH = pytest.mark.parametrize(
    "backend", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
"""Runs a test, or a module as `pytestmark`, once on each database."""


class Backend(Protocol):
    """One kind of database to test on: every folder of state has an audit and a key database of its own."""

    kind: str

    def urls(self, state: Path) -> tuple[str, str]:
        """Give the addresses of the audit and the key database that belong to a folder of state."""

    def open(self, state: Path, *, read_only: bool = False) -> AuditLog:
        """Open the log of a folder."""

    def sql(self, state: Path, statement: str, *parameters: Any, keys: bool = False) -> list[Any]:
        """Run SQL (parameters as `?`) as somebody who owns the database: no trigger is in his way."""

    def save(self, state: Path, *, keys: bool = False) -> Callable[[], None]:
        """Keep a backup of one of the two databases, and give the function that puts it back."""

    def wipe(self, state: Path, *, keys: bool = False) -> None:
        """Remove one of the two databases with everything in it; nobody may have it open."""


class _Opening:
    def urls(self, state: Path) -> tuple[str, str]:
        raise NotImplementedError

    def open(self, state: Path, *, read_only: bool = False) -> AuditLog:
        """Open the log of a folder."""
        from limner_provenance import AuditLog

        url, keys_url = self.urls(state)
        return AuditLog.open(url, state=state, keys_url=keys_url, read_only=read_only)


class Sqlite(_Opening):
    """Two files in the folder itself."""

    kind = "sqlite"

    def urls(self, state: Path) -> tuple[str, str]:
        """Give the two files."""
        return f"sqlite:///{state / 'audit.db'}", f"sqlite:///{state / 'keys.db'}"

    def sql(self, state: Path, statement: str, *parameters: Any, keys: bool = False) -> list[Any]:
        """Drop the triggers, and make them again afterwards."""
        with contextlib.closing(sqlite3.connect(_file(state, keys))) as connection:
            found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for name, _ in found:
                connection.execute(f"DROP TRIGGER {name}")
            rows = connection.execute(statement, parameters).fetchall()
            for _, text in found:
                connection.execute(text)
            connection.commit()
        return rows

    def save(self, state: Path, *, keys: bool = False) -> Callable[[], None]:
        """Keep the file's bytes; nobody has it open."""
        data = _file(state, keys).read_bytes()

        def restore() -> None:
            self.wipe(state, keys=keys)
            _file(state, keys).write_bytes(data)

        return restore

    def wipe(self, state: Path, *, keys: bool = False) -> None:
        """Remove the file and what lies beside it."""
        for path in state.glob(f"{_file(state, keys).name}*"):
            path.unlink()


@dataclass
class Postgres(_Opening):
    """Two schemas for each folder, in one database for all tests, or in a copy of another one's.

    Attributes:
        server: the address of the server with a database that everybody has.
        name: the database that is made for the tests.
    """

    server: str
    name: str = field(default_factory=lambda: f"limner_test_{uuid.uuid4().hex[:12]}")
    kind: str = "postgresql"
    made: set[str] = field(default_factory=set)
    moved: dict[Path, tuple[str, str]] = field(default_factory=dict)

    def urls(self, state: Path) -> tuple[str, str]:
        """Give two schemas that are named after the folder."""
        database, short = self.moved.get(state.absolute()) or (self.common, _short(state))
        return f"{self.at(database)}?schema=a_{short}", f"{self.at(database)}?schema=k_{short}"

    @cached_property
    def common(self) -> str:
        """The database for all tests, made when the first one asks."""
        return self.create(self.name)

    def at(self, database: str) -> str:
        """Give the address of a database."""
        return self.server.rsplit("/", 1)[0] + f"/{database}"

    def create(self, name: str, template: str = "template0") -> str:
        """Make a database, perhaps as a copy of another one that nobody is connected to."""
        with self.session() as session:
            session.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' LOCALE 'C' TEMPLATE {template}")
        self.made.add(name)
        return name

    def own(self, state: Path) -> str:
        """Give a folder a database of its own, which can be copied, and its name."""
        name = self.create(f"limner_test_{uuid.uuid4().hex[:12]}")
        self.moved[state.absolute()] = (name, _short(state))
        return name

    def copy(self, source: Path, target: Path) -> None:
        """Give a folder a copy of another one's own database, as it stands now."""
        database, short = self.moved[source.absolute()]
        with self.session() as session:
            session.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,))
        name = self.create(f"limner_test_{uuid.uuid4().hex[:12]}", template=database)
        self.moved[target.absolute()] = (name, short)

    @contextlib.contextmanager
    def session(self, state: Path | None = None, *, keys: bool = False) -> Iterator[psycopg.Connection[Any]]:
        """Connect as the superuser who owns everything: to the server, or into a folder's schema."""
        import psycopg

        url = self.server if state is None else self.urls(state)[keys]
        plain, _, schema = url.replace("+psycopg", "").partition("?schema=")
        with psycopg.connect(plain, autocommit=True) as session:
            if schema:
                session.execute(f'SET search_path = "{schema}"')
            yield session

    def sql(self, state: Path, statement: str, *parameters: Any, keys: bool = False) -> list[Any]:
        """Run it in the session role that fires no trigger."""
        with self.session(state, keys=keys) as session:
            session.execute("SET session_replication_role = replica")
            cursor = session.execute(statement.replace("?", "%s"), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def save(self, state: Path, *, keys: bool = False) -> Callable[[], None]:
        """Keep a copy of each table in a schema beside it."""
        kept = f"saved_{uuid.uuid4().hex[:12]}"
        with self.session(state, keys=keys) as session:
            names = _tables(session)
            session.execute(f"CREATE SCHEMA {kept}")
            for table in names:
                session.execute(f"CREATE TABLE {kept}.{table} AS TABLE {table}")

        def restore() -> None:
            with self.session(state, keys=keys) as session, session.transaction():
                session.execute("SET LOCAL session_replication_role = replica")
                for table, columns in names.items():
                    session.execute(f"TRUNCATE {table}")
                    session.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {kept}.{table}")

        return restore

    def wipe(self, state: Path, *, keys: bool = False) -> None:
        """Drop the schema."""
        with self.session(state, keys=keys) as session:
            session.execute(f'DROP SCHEMA IF EXISTS "{self.urls(state)[keys].partition("schema=")[2]}" CASCADE')

    def drop(self) -> None:
        """Remove everything that was made."""
        with self.session() as session:
            for name in self.made:
                session.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _file(state: Path, keys: bool) -> Path:
    return state / ("keys.db" if keys else "audit.db")


def _tables(session: psycopg.Connection[Any]) -> dict[str, str]:
    """Give each table of the schema with its columns that can be written, as SQL lists them."""
    query = """
        SELECT c.relname, string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' GROUP BY c.relname
    """
    return dict(session.execute(query).fetchall())


def _short(state: Path) -> str:
    return sha256(str(state.absolute()).encode()).hexdigest()[:16]


def _server() -> str | None:
    """Give the address of a server that answers, or None."""
    import psycopg

    given = os.environ.get("LIMNER_TEST_POSTGRES")
    users = dict.fromkeys([os.environ.get("PGUSER", "root"), "root", "postgres"])
    for url in [given] if given else [f"postgresql+psycopg://{user}@127.0.0.1:5432/postgres" for user in users]:
        with contextlib.suppress(psycopg.Error):
            psycopg.connect(url.replace("+psycopg", ""), connect_timeout=3).close()
            return url
    return None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """Give the server's databases for this run; they are removed at its end."""
    found = _server()
    if found is None:
        why = "no PostgreSQL answers on 127.0.0.1:5432 for root or postgres (or at LIMNER_TEST_POSTGRES)"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    made = Postgres(found)
    yield made
    made.drop()


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Backend:
    """Give the database to test on: SQLite, unless a test asks for another one, or for both."""
    kind = getattr(request, "param", "sqlite")
    return request.getfixturevalue("postgres_server") if kind == "postgresql" else Sqlite()
