"""Locks on records in PostgreSQL: session advisory locks, which the server frees when the session ends.

One session of its own a process. Knows nothing of what a record is.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from limner_provenance import databases
from limner_provenance.databases import ConnectionLost
from limner_provenance.entries import check_record
from limner_provenance.errors import DatabaseUnavailable
from limner_provenance.locks import running

if TYPE_CHECKING:
    import psycopg

    from limner_provenance.postgres import Database

_HELD = """
SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND classid::bigint = %s AND objid::bigint = %s)
"""


class Session:
    """The locks of all running records of one process; the session is opened when the first lock is asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._guard = threading.RLock()
        self._connection: psycopg.Connection[Any] | None = None
        self._process = os.getpid()
        self._held: dict[str, int] = {}
        self._lost: set[str] = set()
        self._user = False

    @contextlib.contextmanager
    def hold(self, record: str) -> Iterator[None]:
        """Hold a record's lock while the block runs; it excludes other processes and other tasks of this one.

        Raises:
            RecordRunning: somebody else holds it.
            DatabaseUnavailable: the server cannot be asked.
        """
        number = self._number(record)
        with self._guard:
            # The server would give a session its own lock twice.
            if record in self._held or not self._ask("SELECT pg_try_advisory_lock(%s)", number):
                raise running(record)
            self._held[record] = number
        try:
            yield
        finally:
            self._free(record)

    def _free(self, record: str) -> None:
        with self._guard:
            number = self._held.pop(record)
            lost = record in self._lost
            self._lost.discard(record)
            # A session that is gone holds nothing.
            if not lost and self._connection is not None and not self._gone():
                with contextlib.suppress(DatabaseUnavailable), self._database.translated():
                    self._connection.execute("SELECT pg_advisory_unlock(%s)", (number,))

    def is_running(self, record: str) -> bool:
        """Say whether somebody holds a record's lock."""
        number = self._number(record)
        with self._guard:
            if record in self._held:
                return True
        with self._database.read() as connection:
            return bool(connection.exec_driver_sql(_HELD, (number >> 32, number & 0xFFFFFFFF)).scalar())

    def assure(self, record: str | None) -> None:
        """Take locks again that ended with a lost session, before anything is written for a record under its lock.

        Raises:
            RecordRunning: somebody else took the record's lock meanwhile.
            ConnectionLost: the server did not come back.
        """
        if record not in self._held:
            return
        with self._guard:
            if record in self._held and self._gone():
                self._take_again()
            if record in self._lost:
                raise running(record)

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Say whether no other session has the log open; while the block runs then, none is opened for writing.

        From then on our session says to others that we have it open.
        """
        with self._guard:
            number = self._number("users")
            if self._user:
                self._ask("SELECT pg_advisory_unlock_shared(%s)", number)
            alone = self._ask("SELECT pg_try_advisory_lock(%s)", number)
            try:
                yield alone
            finally:
                self._ask("SELECT pg_advisory_lock_shared(%s) IS NULL", number)
                self._user = True
                if alone:
                    self._ask("SELECT pg_advisory_unlock(%s)", number)

    def close(self) -> None:
        """End the session, and so free its locks."""
        with self._guard:
            if self._connection is not None and os.getpid() == self._process:
                self._connection.close()
            self._connection = None

    def _number(self, record: str) -> int:
        from limner_provenance.postgres import number

        return number(self._database.schema, f"record/{check_record(record)}")

    def _ask(self, query: str, number: int) -> bool:
        """Ask the session something; where it turns out to be gone, a new one is asked, which holds the same locks."""
        if self._connection is None or self._gone():
            self._take_again()
        assert self._connection is not None
        try:
            with self._database.translated():
                row = self._connection.execute(query, (number,)).fetchone()
        except ConnectionLost:
            self._take_again()
            with self._database.translated():
                row = self._connection.execute(query, (number,)).fetchone()
        return bool(row and row[0])

    def _gone(self) -> bool:
        from limner_provenance.postgres import ended

        if os.getpid() != self._process:
            message = "The audit log was opened before this process was forked."
            raise DatabaseUnavailable(message, remedy="Open it again after the fork (AuditLog.open).")
        return self._connection is None or ended(self._connection)

    def _take_again(self) -> None:
        """Open a new session and take every lock that the old one held; what somebody else took is noted as lost."""
        first = self._connection is None
        if self._connection is not None:
            self._connection.close()
        self._connection = connection = self._open(patient=not first)
        with self._database.translated():
            if self._user:
                connection.execute("SELECT pg_advisory_lock_shared(%s)", (self._number("users"),))
            for record, number in self._held.items():
                row = connection.execute("SELECT pg_try_advisory_lock(%s)", (number,)).fetchone()
                if row != (True,):
                    self._lost.add(record)

    def _open(self, *, patient: bool) -> psycopg.Connection[Any]:
        """Open a session; one that was there before is waited for, as while the server restarts."""

        def once(_again: bool) -> psycopg.Connection[Any]:
            with self._database.translated():
                connection = self._database.connect(writing=False)
            connection.autocommit = True
            return connection

        return databases.patiently(once, databases.RECONNECT_SECONDS if patient else 0)
