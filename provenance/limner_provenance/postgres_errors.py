"""What PostgreSQL and its driver say, in plain words and without anything that may be private.

A server's message can quote a row, a driver's an address: only the code decides what is said here.
"""

from __future__ import annotations

from limner_provenance.databases import ConnectionLost
from limner_provenance.errors import AuditError, DatabaseUnavailable, LogCorrupt
from limner_provenance.postgres_address import Address

_AWAY = "Start the server, or check audit.url and keys.url."
_ROLES = "Give it what it needs: `limner audit roles` prints the statements."
_RESTORE = "Run `limner audit verify`, and restore the database where it is damaged."

# The longest prefix counts, so these stand before their shorter ones.
_LOST = ("57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "53300", "08")
_MESSAGES: tuple[tuple[str, type[AuditError], str, str], ...] = (
    ("55P03", DatabaseUnavailable, "is locked by another program", "End the program that holds it, or try again."),
    ("57014", DatabaseUnavailable, "cancelled the statement", "Try again; raise statement_timeout for this role."),
    ("53100", DatabaseUnavailable, "cannot grow: the disk is full", "Make room on the server's disk."),
    ("53200", DatabaseUnavailable, "is out of memory", "Give the server more memory."),
    ("25006", DatabaseUnavailable, "may not be written to: it is read-only or a standby", "Name the primary server."),
    ("42501", DatabaseUnavailable, "does not allow this to the role", _ROLES),
    ("28", DatabaseUnavailable, "refuses the login", "Check user and password; PGPASSWORD holds the latter."),
    ("3D000", DatabaseUnavailable, "does not exist", "Create it: createdb NAME"),
    ("58", DatabaseUnavailable, "cannot be read or written: the server's disk reports an error", "Check its disk."),
    ("XX", LogCorrupt, "is damaged", "Restore it from a backup, then run `limner audit verify`."),
    ("23", LogCorrupt, "refused a row: the log is append-only", _RESTORE),
    ("P0001", LogCorrupt, "refused a change: the log is append-only", _RESTORE),
    ("3F000", LogCorrupt, "lacks its schema", _RESTORE),
    ("42P01", LogCorrupt, "lacks a table", _RESTORE),
    ("42703", LogCorrupt, "lacks a column", _RESTORE),
    ("42883", LogCorrupt, "lacks a function", _RESTORE),
)


def translated(address: Address, error: BaseException | None, *, broken: bool = False) -> AuditError:
    """Give our error for one of the driver's.

    Args:
        address: where the database is.
        error: what psycopg raised.
        broken: whether the connection is gone.
    """
    code = getattr(error, "sqlstate", None) or ""
    name = f"The database {address.name}"
    if broken or code.startswith(_LOST):
        return ConnectionLost(f"{name} ended the connection.", remedy=_AWAY)
    if not code:
        return _without_code(address, error)
    for start, kind, message, remedy in _MESSAGES:
        if code.startswith(start):
            return kind(f"{name} {message}.", remedy=remedy)
    return DatabaseUnavailable(f"{name} cannot be used: {type(error).__name__} ({code}).")


def _without_code(address: Address, error: BaseException | None) -> AuditError:
    """Tell of an error that came before the server spoke: the driver's first line, without the password."""
    from psycopg import OperationalError, ProgrammingError

    if not isinstance(error, OperationalError | ProgrammingError):
        return DatabaseUnavailable(f"The database {address.name} cannot be used: {type(error).__name__}.")
    said = address.scrubbed(str(error).strip().partition("\n")[0])
    said = said.removeprefix("connection failed: ").removesuffix(".")
    if isinstance(error, ProgrammingError):
        return DatabaseUnavailable(f"The database address of {address.name} is refused: {said}.", remedy=_AWAY)
    return ConnectionLost(f"The database {address.name} cannot be reached: {said}.", remedy=_AWAY)
