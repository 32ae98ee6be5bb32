"""`limner audit migrate`: brings an older audit database to this version's schema, after copying it.

The only module that imports alembic. Knows nothing of what the revisions do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from limner_provenance import schema
from limner_provenance.databases import Database, open_database
from limner_provenance.errors import DatabaseUnavailable, DatabaseVersion

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Migration:
    """What a migration did: from which revision to which; `copy` is the old SQLite database, if it was changed."""

    old: str
    new: str
    copy: Path | None


def migrate(url: str) -> Migration:
    """Bring the audit database at `url` to this version's schema; nobody else may be using it.

    Raises:
        DatabaseUnavailable: it is not there, locked, or its folder cannot hold the copy.
        DatabaseVersion: it is newer than this version, or no audit database.
    """
    database = open_database(url)
    if not database.exists():
        raise DatabaseUnavailable(f"There is no audit database at {database.name}.", remedy="Check audit.url.")
    try:
        old = _revision(database)
        if old == schema.HEAD:
            return Migration(old, old, None)
        copy = database.copy(f"before-{schema.HEAD}-was-{old}")
        with database.write() as connection:
            upgrade(connection)
        return Migration(old, schema.HEAD, copy)
    finally:
        database.close()


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the revisions that are missing inside the caller's transaction."""
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "limner_provenance:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _revision(database: Database) -> str:
    """Give the revision of the database, if this version knows it."""
    with database.read() as connection:
        found = schema.revisions(connection)
    if len(found) == 1 and found[0] in schema.REVISIONS:
        return str(found[0])
    if not found:
        raise DatabaseVersion(f"{database.name} is no audit database of Limner.", remedy="Check audit.url.")
    shown = ", ".join(ascii(value)[:40] for value in found)
    raise DatabaseVersion(f"{database.name} is of version {shown}, newer than {schema.HEAD}.", remedy="Update Limner.")
