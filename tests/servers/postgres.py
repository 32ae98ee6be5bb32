"""Throw-away PostgreSQL databases for tests, on the server that answers on this machine.

`LIMNER_TEST_POSTGRES` names another one. Without a server the tests that need it are skipped, but fail where CI=true.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
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

    def drop(self) -> None:
        """Remove everything that was made."""
        with self.session() as session:
            for name in self.made:
                session.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


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
