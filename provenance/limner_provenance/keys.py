"""Data keys, one or more a subject, wrapped under the key-encryption key (KEK) in a database apart from the log.

Destroying a subject's keys erases every payload sealed under them, wherever copies of the ciphertext lie. Knows nothing
of entries and payloads.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from limner_provenance.databases import Database, ids_among, in_portions, write_again
from limner_provenance.envelope import KEY_BYTES, DataKey
from limner_provenance.errors import KeyUnavailable
from limner_provenance.files import read_private, write_private
from limner_provenance.schema import insert

if TYPE_CHECKING:
    from sqlalchemy import Connection

_CACHED = 4096


class Kek:
    """The key-encryption key: wraps data keys, and names subjects so that nobody reads them."""

    def __init__(self, secret: bytes) -> None:
        """Take 32 secret bytes."""
        if len(secret) != KEY_BYTES:
            message = f"The key-encryption key has {len(secret)} bytes, not {KEY_BYTES}."
            raise KeyUnavailable(message, remedy="Set keys.kek to 32 random bytes in base64 or hex.")
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._wrapping = AESGCM(_derive(secret, b"limner.wrap.v1"))
        self._subjects = _derive(secret, b"limner.subject.v1")
        self.fingerprint = _derive(secret, b"limner.fingerprint.v1").hex()

    def tag(self, subject: str) -> str:
        """Give the keyed hash (64 hex digits) under which a subject's keys are kept."""
        import hmac

        return hmac.new(self._subjects, subject.encode("utf-8", "surrogatepass"), "sha256").hexdigest()

    def wrap(self, key: DataKey, tag: str) -> bytes:
        """Encrypt a data key, bound to its id and its subject's tag."""
        nonce = secrets.token_bytes(12)
        return nonce + self._wrapping.encrypt(nonce, key.secret, _bound(key.id, tag))

    def unwrap(self, key_id: str, tag: str, wrapped: bytes) -> DataKey:
        """Decrypt a data key.

        Raises:
            KeyUnavailable: the row was changed, or wrapped under another key-encryption key.
        """
        from cryptography.exceptions import InvalidTag

        try:
            secret = self._wrapping.decrypt(wrapped[:12], wrapped[12:], _bound(key_id, tag))
        except (InvalidTag, ValueError, TypeError):
            message = f"The data key {key_id} does not open: its row was changed, or the KEK is another one."
            raise KeyUnavailable(message, remedy="Restore the key database, or give the right keys.kek.") from None
        return DataKey(key_id, secret)


def load_kek(configured: str | None, path: Path, *, create: bool) -> Kek:
    """Give the configured key-encryption key, else the one in the file `path`, which is made where allowed.

    Args:
        configured: 32 bytes as base64 or hex, or None.
        path: the key file (mode 0600).
        create: make the file where there is none.

    Raises:
        KeyUnavailable: no key, or one of a wrong form; the message does not hold it.
    """
    if configured is not None:
        return Kek(_decode(configured, "keys.kek"))
    if create and not path.exists():
        write_private(path, base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n")
    return Kek(_decode(read_private(path), f"The key file {path}"))


class KeyStore:
    """Data keys in memory and in their database.

    New keys are made in memory at once; `make_durable` stores them before anything sealed under them is committed.
    """

    def __init__(self, database: Database, kek: Kek) -> None:
        self._database = database
        self._kek = kek
        self._lock = threading.Lock()
        self._current: OrderedDict[str, DataKey] = OrderedDict()
        self._fresh: dict[str, tuple[DataKey, str]] = {}
        self._known: OrderedDict[str, DataKey] = OrderedDict()

    def check_kek(self, *, claim: bool) -> None:
        """Compare the key-encryption key with the one the database belongs to; a new database is claimed for it.

        Raises:
            KeyUnavailable: the database belongs to another key.
        """
        from limner_provenance import tables

        with self._database.write() if claim else self._database.read() as connection:
            known = [row[0] for row in connection.execute(tables.kek.select())]
            if not known and claim:
                connection.execute(tables.kek.insert(), {"fingerprint": self._kek.fingerprint})
                return
        if known != [self._kek.fingerprint]:
            message = f"The key database {self._database.name} belongs to another key-encryption key."
            raise KeyUnavailable(message, remedy="Give the keys.kek (or restore the keys/kek file) it was made with.")

    def key_for(self, subject: str) -> DataKey:
        """Give the key that this process seals a subject's payloads under; no I/O."""
        tag = self._kek.tag(subject)
        with self._lock:
            key = self._current.get(tag)
            if key is None:
                key = self._current[tag] = DataKey.new()
                self._fresh[key.id] = (key, tag)
                if len(self._current) > _CACHED:
                    self._current.popitem(last=False)
            else:
                self._current.move_to_end(tag)
            return key

    def key_apart(self, subject: str) -> DataKey:
        """Give a new key of a subject for one payload alone, so that this one can be destroyed before the others."""
        tag = self._kek.tag(subject)
        with self._lock:
            key = DataKey.new()
            self._fresh[key.id] = (key, tag)
            return key

    def make_durable(self, key_ids: Iterable[str]) -> None:
        """Store those of the given keys that are not stored yet."""
        from limner_provenance import tables

        with self._lock:
            fresh = [self._fresh[key_id] for key_id in set(key_ids) if key_id in self._fresh]
        if not fresh:
            return
        rows = [{"id": key.id, "subject": tag, "wrapped": self._kek.wrap(key, tag)} for key, tag in fresh]
        table = tables.data_key

        def work(connection: Connection, again: bool) -> None:
            stored = set(ids_among(connection, table.c.id, [str(row["id"]) for row in rows])) if again else set()
            if left := [row for row in rows if row["id"] not in stored]:
                insert(connection, table, left)

        write_again(self._database, work)
        with self._lock:
            for row in rows:
                self._fresh.pop(str(row["id"]), None)

    def get(self, key_id: str) -> DataKey:
        """Give a key by its id.

        Raises:
            KeyUnavailable: it is not there, or does not open under the key-encryption key.
        """
        from sqlalchemy import select

        from limner_provenance import tables

        with self._lock:
            known = self._known.get(key_id) or (self._fresh[key_id][0] if key_id in self._fresh else None)
        if known is not None:
            return known
        table = tables.data_key
        with self._database.read() as connection:
            row = connection.execute(select(table.c.subject, table.c.wrapped).where(table.c.id == key_id)).first()
        if row is None:
            message = f"The data key {key_id} is not in {self._database.name}."
            raise KeyUnavailable(message, remedy="Restore the key database that belongs to this log.")
        key = self._kek.unwrap(key_id, row[0], row[1])
        self._remember(key)
        return key

    def preload(self, key_ids: Iterable[str]) -> None:
        """Read many keys at once into memory; those that are not there or do not open are left out."""
        from sqlalchemy import select

        from limner_provenance import tables

        with self._lock:
            wanted = sorted(set(key_ids) - self._known.keys() - self._fresh.keys())
        table = tables.data_key
        for some in in_portions(wanted):
            query = select(table.c.id, table.c.subject, table.c.wrapped).where(table.c.id.in_(some))
            with self._database.read() as connection:
                rows = connection.execute(query).all()
            for row in rows:
                with contextlib.suppress(KeyUnavailable):
                    self._remember(self._kek.unwrap(row[0], row[1], row[2]))

    def _remember(self, key: DataKey) -> None:
        with self._lock:
            self._known[key.id] = key
            if len(self._known) > _CACHED:
                self._known.popitem(last=False)

    def check_rows(self) -> Iterator[tuple[str, str | None]]:
        """Give the id of every stored key, with what is wrong with its row (None: nothing)."""
        from sqlalchemy import select

        from limner_provenance import tables

        table = tables.data_key
        with self._database.read() as connection:
            for row in connection.execute(select(table.c.id, table.c.subject, table.c.wrapped)):
                try:
                    self._kek.unwrap(row[0], row[1], row[2])
                except KeyUnavailable as error:
                    yield row[0], str(error)
                else:
                    yield row[0], None

    def of_subject(self, subject: str) -> list[str]:
        """Give the ids of every key of a subject, those not stored yet included."""
        from sqlalchemy import select

        from limner_provenance import tables

        tag = self._kek.tag(subject)
        table = tables.data_key
        with self._database.read() as connection:
            stored = {row[0] for row in connection.execute(select(table.c.id).where(table.c.subject == tag))}
        with self._lock:
            return sorted(stored | {key_id for key_id, (_, held) in self._fresh.items() if held == tag})

    def forget(self, key_ids: Iterable[str]) -> None:
        """Drop keys from memory, so that the next payload of their subject gets a new key."""
        gone = set(key_ids)
        with self._lock:
            for key_id in gone:
                self._known.pop(key_id, None)
                self._fresh.pop(key_id, None)
            for tag in [tag for tag, key in self._current.items() if key.id in gone]:
                del self._current[tag]

    def destroy(self, key_ids: Sequence[str]) -> int:
        """Destroy keys in memory and database, so that no free page keeps them; give how many the database held."""
        from limner_provenance import tables

        self.forget(key_ids)
        table = tables.data_key
        count = 0
        for some in in_portions(key_ids):
            with self._database.read() as connection:
                held = connection.execute(table.select().where(table.c.id.in_(some))).first()
            if held is not None:
                with self._database.write() as connection:
                    count += connection.execute(table.delete().where(table.c.id.in_(some))).rowcount
        if count:
            self._database.truncate_wal()
        return count


def _derive(secret: bytes, purpose: bytes) -> bytes:
    """Derive a 32-byte key for one purpose (HKDF-SHA256, RFC 5869)."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY_BYTES, None, purpose).derive(secret)


def _bound(key_id: str, tag: str) -> bytes:
    return f"limner.key.v1\n{key_id}\n{tag}".encode()


def _decode(text: str, what: str) -> bytes:
    """Read 32 bytes written in hex or base64."""
    text = text.strip()
    try:
        if len(text) == 2 * KEY_BYTES:
            return bytes.fromhex(text)
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        data = b""
    if len(data) != KEY_BYTES:
        raise KeyUnavailable(
            f"{what} is not {KEY_BYTES} bytes in base64 or hex.", remedy="Make one: openssl rand -hex 32"
        )
    return data
