"""The address of a PostgreSQL database: taken apart, checked, and shown without its secrets.

Knows nothing of what is stored there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from limner_provenance.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from sqlalchemy import URL

SCHEMA = "limner"
KEYS_SCHEMA = "limner_keys"
_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,47}")
_REMEDY = "Write postgresql+psycopg://USER@HOST/DATABASE, and the password into the environment as PGPASSWORD."
# Whoever is cut off notices within a minute; whoever asks for an address that nobody answers, within ten seconds.
_DEFAULTS = {
    "application_name": "limner",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is.

    Attributes:
        name: host, port, database and schema, for messages.
        schema: the schema that the tables are in.
        options: what libpq is told, secrets included.
    """

    name: str
    schema: str
    options: dict[str, str] = field(repr=False)

    def scrubbed(self, text: str) -> str:
        """Take the password out of a text that the driver or the server wrote."""
        for option in ("password", "sslpassword"):
            secret = self.options.get(option)
            if secret:
                text = text.replace(secret, "***")
        return text


def parse(url: str, *, keys: bool) -> Address:
    """Read an address.

    Raises:
        DatabaseUnavailable: it is none, or psycopg is not installed; the message holds nothing of the address but its
            scheme and names of options, since a wrong address may have its password anywhere.
    """
    found = _taken_apart(url)
    options = {name: ",".join(value) if isinstance(value, tuple) else value for name, value in found.query.items()}
    schema = options.pop("schema", KEYS_SCHEMA if keys else SCHEMA)
    if not _NAME.fullmatch(schema) or schema.startswith("pg_"):
        raise DatabaseUnavailable(
            f"The schema {ascii(schema)[:60]} of the database address is no plain name.",
            remedy="Use lower-case letters, digits and '_', at most 48, not beginning with pg_.",
        )
    _check_options(options)
    parts = {"host": found.host, "port": found.port, "user": found.username, "dbname": found.database}
    options |= {name: str(value) for name, value in parts.items() if value}
    if found.password:
        options["password"] = str(found.password)
    return Address(_shown(options, schema), schema, _DEFAULTS | options)


def _taken_apart(url: str) -> URL:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    scheme = url.split(":", 1)[0]
    if scheme not in _SCHEMES:
        shown = ascii(scheme)[:40]
        raise DatabaseUnavailable(f"Limner reaches PostgreSQL by psycopg 3, not by {shown}.", remedy=_REMEDY)
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        # The library's words quote the address, in which a password with a sign of its own stands in the wrong place.
        message = "The PostgreSQL address cannot be read."
        remedy = f"{_REMEDY} A password in the address has to be percent-encoded."
        raise DatabaseUnavailable(message, remedy=remedy) from None


def _check_options(options: dict[str, Any]) -> None:
    """Refuse options that libpq does not know, by name."""
    try:
        from psycopg import pq
    except ImportError:
        raise DatabaseUnavailable(
            "PostgreSQL needs the psycopg package.", remedy='Install it: pip install "limner[postgres]"'
        ) from None
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    for name in options:
        if name not in known:
            message = f"The database address has an option {ascii(name)[:40]}, which libpq does not know."
            raise DatabaseUnavailable(message, remedy="Use libpq's own words, such as sslmode, or schema.")


def _shown(options: dict[str, str], schema: str) -> str:
    host, port = options.get("host", "the local socket"), options.get("port", "5432")
    return f"{host}:{port}/{options.get('dbname', '')} (schema {schema})"
