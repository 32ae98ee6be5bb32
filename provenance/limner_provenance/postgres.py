"""How Limner talks to PostgreSQL: durable settings, one writer at a time, a snapshot a reading, errors in plain words.

The counterpart of `sqlite.py`; everything that is peculiar to PostgreSQL is here and in the modules beside it.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Iterator
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner_provenance.databases import Locks
from limner_provenance.errors import AuditError, DatabaseUnavailable
from limner_provenance.postgres_address import Address, parse
from limner_provenance.postgres_errors import translated

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection, Engine

LOCK_SECONDS = 30.0
"""How long a writer waits for another one's transaction before it gives up."""

IDLE_SECONDS = 20.0
"""After how long the server ends a writer that began a commit and fell silent, so that others can go on."""

OLDEST = 140000
"""The oldest server that is supported, PostgreSQL 14."""

_SETTINGS = """
SELECT set_config('search_path', %(path)s, false), set_config('lock_timeout', %(lock)s, false),
       set_config('idle_in_transaction_session_timeout', %(idle)s, false), set_config('statement_timeout', '0', false),
       set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') = 'remote_apply'
                                             THEN 'remote_apply' ELSE 'on' END, false),
       (SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = %(schema)s),
       current_setting('fsync'), current_setting('full_page_writes')
"""


class Database:
    """One schema of a PostgreSQL database: `read()` and `write()` give transactions.

    Attributes:
        name: host, port, database and schema, for messages.
        schema: the schema that the tables are in.
        read_only: whether `write()` is refused.
    """

    def __init__(self, url: str, *, read_only: bool = False, keys: bool = False) -> None:
        """Take `postgresql+psycopg://USER@HOST/DATABASE`; nothing is opened yet.

        Raises:
            DatabaseUnavailable: the address cannot be read, or psycopg is not installed.
        """
        from limner_provenance.postgres_locks import Session

        self.address: Address = parse(url, keys=keys)
        self.name = self.address.name
        self.schema = self.address.schema
        self.read_only = read_only
        self._turn = number(self.schema, "turn")
        self._writer = None if read_only else self._engine(writing=True)
        self._reader = self._engine(writing=False)
        self._session = Session(self)

    def exists(self) -> bool:
        """Only the server knows."""
        return True

    def connect(self, *, writing: bool) -> psycopg.Connection[Any]:
        """Open one connection with the settings that durability and caution ask for.

        Raises:
            psycopg.Error: it cannot be opened.
            DatabaseUnavailable: the server is too old, not in UTF-8, or does not keep what it commits.
        """
        import psycopg

        connection = psycopg.connect(**self.address.options)  # type: ignore[arg-type]  # libpq's own words
        try:
            self._check_server(connection)
            self._set_up(connection, writing=writing)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_server(self, connection: psycopg.Connection[Any]) -> None:
        if connection.info.server_version < OLDEST:
            found = connection.info.parameter_status("server_version")
            raise DatabaseUnavailable(
                f"The server of {self.name} is PostgreSQL {found}.", remedy="Limner needs PostgreSQL 14 or newer."
            )
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            message = f"The database {self.name} is encoded in {encoding}, not in UTF8."
            raise DatabaseUnavailable(message, remedy="Make one: createdb --encoding=UTF8 --template=template0 NAME")

    def _set_up(self, connection: psycopg.Connection[Any], *, writing: bool) -> None:
        """Say in which schema we work, and how long to wait; a server that forgets what it committed is refused."""
        import psycopg

        # What the system calls by a name is its own, whatever else is called so; a temporary table hides nothing.
        wanted = {
            "schema": self.schema,
            "path": f'pg_catalog, "{self.schema}", pg_temp',
            "lock": str(round(LOCK_SECONDS * 1000)),
            "idle": str(round(IDLE_SECONDS * 1000)) if writing else "0",
        }
        row = connection.execute(_SETTINGS, wanted).fetchone()
        connection.commit()
        assert row is not None
        if row[-3] is False:
            # The server would only say that there is no such table.
            message = f"The role of {self.name} may not look into this schema."
            raise DatabaseUnavailable(message, remedy="Its owner can allow that: `limner audit roles`.")
        for setting, value in zip(("fsync", "full_page_writes"), row[-2:], strict=True):
            if writing and value != "on":
                message = f"The server of {self.name} runs with {setting}={value} and can lose what it committed."
                raise DatabaseUnavailable(message, remedy=f"Set {setting} = on in postgresql.conf and restart it.")
        connection.isolation_level = (
            psycopg.IsolationLevel.READ_COMMITTED if writing else psycopg.IsolationLevel.REPEATABLE_READ
        )
        connection.read_only = not writing

    def _engine(self, *, writing: bool) -> Engine:
        """Make an engine whose pool throws away connections that the server has ended."""
        from sqlalchemy import create_engine, event
        from sqlalchemy.exc import DisconnectionError

        engine = create_engine(
            "postgresql+psycopg://",
            creator=lambda: self.connect(writing=writing),
            use_native_hstore=False,
            hide_parameters=True,
            pool_size=4,
            max_overflow=8,
        )

        @event.listens_for(engine, "checkout")
        def _checkout(raw: psycopg.Connection[Any], _record: object, _proxy: object) -> None:
            if ended(raw):
                raise DisconnectionError

        return engine

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection on one consistent snapshot, in a transaction that cannot write.

        Raises:
            DatabaseUnavailable: the database cannot be read now.
            LogCorrupt: tables are missing or damaged.
        """
        with self.translated(), self._reader.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection whose turn it is to write; committed and on the server's disk when the block ends.

        Raises:
            DatabaseUnavailable: the database is read-only, locked, full or cannot be reached.
            ConnectionLost: the server went away; where that was at the end, the commit may have been made.
            LogCorrupt: the database refused a row.
        """
        if self._writer is None:
            raise DatabaseUnavailable(f"{self.name} was opened read-only.", remedy="Open it with read_only=False.")
        with self.translated(), self._writer.begin() as connection:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (self._turn,))
            yield connection

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the driver's errors into ours; theirs can quote rows and addresses, and are not kept."""
        import psycopg
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError

        error: AuditError
        try:
            yield
            return
        except DBAPIError as found:
            error = translated(self.address, found.orig, broken=found.connection_invalidated)
        except psycopg.Error as found:
            error = translated(self.address, found)
        except SQLAlchemyError as found:
            error = DatabaseUnavailable(f"The database {self.name} cannot be used: {type(found).__name__}.")
        raise error from None

    @contextlib.contextmanager
    def lenient(self, connection: Connection) -> Iterator[None]:  # noqa: ARG002 - the server lets no other text in
        """Nothing to do: PostgreSQL stores no text that is not UTF-8."""
        yield

    def damage(self) -> list[str]:
        """Have the server compare computed columns with what they are computed from, and its indexes with the rows."""
        from limner_provenance.postgres_checks import damage

        try:
            return damage(self)
        except Exception as error:  # noqa: BLE001 - a damaged database has many ways to fail, each of them a finding
            return [f"{type(error).__name__} during the server's own check"]

    def truncate_wal(self) -> None:
        """Rewrite the small table of data keys, so that no page of it keeps a deleted one.

        Only its owner may; where the role is not, the server's own vacuum does it later. The write-ahead log, archives
        and backups keep what they have: that is what the key-encryption key is apart for.
        """
        with self.translated(), contextlib.closing(self.connect(writing=True)) as connection:
            connection.autocommit = True
            connection.add_notice_handler(lambda _: None)
            if connection.execute("SELECT to_regclass('data_key')").fetchone() != (None,):
                connection.execute("VACUUM (FULL) data_key")

    def locks(self, folder: Path) -> Locks:  # noqa: ARG002 - the server keeps them
        """Give the locks of running records, which the server keeps as long as our session lives."""
        return self._session

    def alone(self) -> AbstractContextManager[bool]:
        """Say whether no other session has the log open, and keep it so while a block runs."""
        return self._session.alone()

    def copy(self, label: str) -> Path | None:  # noqa: ARG002 - there is no file to copy
        """Leave copying to pg_dump; a migration is one transaction, which is made whole or not at all."""
        return None

    def close(self) -> None:
        """Close every connection."""
        self._session.close()
        for engine in (self._reader, self._writer):
            if engine is not None:
                engine.dispose()


def ended(raw: psycopg.Connection[Any]) -> bool:
    """Say whether the server ended a connection that nobody used just now: its farewell can be read, without asking."""
    if raw.closed:
        return True
    poll = select.poll()
    poll.register(raw.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def number(schema: str, what: str) -> int:
    """Give the number of an advisory lock: 63 bits of a hash, since the server has no names for them."""
    return int.from_bytes(sha256(f"limner.lock.v1\n{schema}\n{what}".encode()).digest()[:8], "big") >> 1
