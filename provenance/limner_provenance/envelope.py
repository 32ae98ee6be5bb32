"""Encrypted payloads: what may have to be erased one day, sealed with AES-256-GCM under a subject's data key.

A blob is named by its own SHA-256, so that a changed one is found without any key. Name and salt of the commitment are
inside: they die with the ciphertext. Knows nothing of where blobs and keys are kept.

    blob  = "lmnr" ‖ version (1 byte) ‖ key id (16) ‖ nonce (12) ‖ AES-256-GCM(inner, associated data = all before it)
    inner = length of head (4, big-endian) ‖ head (canonical JSON) ‖ body (canonical JSON of the value, or the bytes)
    head  = {"kind","name","salt"} and, for bytes, {"length","sha256"}
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from limner_provenance.canonical import canonical, read_canonical
from limner_provenance.commitment import commit, new_salt
from limner_provenance.errors import EntryInvalid, PayloadCorrupt

_MAGIC = b"lmnr\x01"
_KEY_ID = slice(5, 21)
_NONCE = slice(21, 33)
_HEADER = 33
KEY_ID_BYTES = 16
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key: `id` (32 hex digits) and its 32 secret bytes."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"DataKey(id={self.id!r})"

    @classmethod
    def new(cls) -> DataKey:
        """Draw a new key."""
        return cls(secrets.token_hex(KEY_ID_BYTES), secrets.token_bytes(KEY_BYTES))


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted payload before it is stored: its `id` (SHA-256 of `blob`), `commitment`, `kind` and the blob."""

    id: str
    commitment: str
    kind: str
    blob: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """A decrypted payload: its `name`, `salt`, `kind`, `body`, and the `commitment` that follows from them."""

    name: str
    salt: bytes
    kind: str
    body: bytes
    committed: str

    @property
    def commitment(self) -> str:
        """The commitment to name, salt and value."""
        return commit(self.name, self.salt, self.committed)

    def value(self) -> Any:
        """Give the JSON value, or the bytes.

        Raises:
            PayloadCorrupt: it is to be JSON and is none, as only somebody with the data key can make it.
        """
        try:
            return self.body if self.kind == "bytes" else json.loads(self.body)
        except (ValueError, RecursionError):
            raise PayloadCorrupt("A payload opens, but holds no JSON.") from None


def bytes_facts(data: bytes) -> dict[str, Any]:
    """Give what a commitment to bytes commits to: their SHA-256 (hex) and their length."""
    return {"length": len(data), "sha256": sha256(data).hexdigest()}


def seal_payload(name: str, value: Any, key: DataKey) -> Sealed:
    """Encrypt a named value, and commit to it under a fresh salt.

    Args:
        name: the field's name (ASCII, at most 64 characters).
        value: bytes, or a value that has a canonical JSON form.
        key: the subject's data key.

    Raises:
        EntryInvalid: the value has no canonical form.
    """
    salt = new_salt()
    if isinstance(value, bytes | bytearray | memoryview):
        body = bytes(value)
        facts = bytes_facts(body)
        head = {"kind": "bytes", "name": name, "salt": salt.hex(), **facts}
        committed = canonical(facts)
    else:
        committed = canonical(value, where=f"payloads.{name}")
        body = committed.encode()
        head = {"kind": "json", "name": name, "salt": salt.hex()}
    start = canonical(head).encode()
    blob = _encrypt(len(start).to_bytes(4, "big") + start + body, key)
    return Sealed(sha256(blob).hexdigest(), commit(name, salt, committed), str(head["kind"]), blob)


def _encrypt(inner: bytes, key: DataKey) -> bytes:
    """Seal `inner` under `key`, bound to the header before it."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(12)
    header = _MAGIC + bytes.fromhex(key.id) + nonce
    try:
        return header + AESGCM(key.secret).encrypt(nonce, inner, header)
    except OverflowError:
        raise EntryInvalid("A payload is larger than 2 GiB.", remedy="Store it in parts.") from None


def key_id_of(blob: bytes) -> str:
    """Give the id of the key that a blob was sealed with, without opening it.

    Raises:
        PayloadCorrupt: it is no blob of ours.
    """
    if len(blob) < _HEADER + 16 or blob[:5] != _MAGIC:
        raise PayloadCorrupt("The stored payload is not in Limner's format, or cut short.")
    return blob[_KEY_ID].hex()


def key_in(blob: object) -> str:
    """Give the id of the key that a stored blob was sealed with; empty where it is no blob of ours."""
    try:
        return key_id_of(blob) if isinstance(blob, bytes) else ""
    except PayloadCorrupt:
        return ""


def open_payload(blob: bytes, key: DataKey) -> Opened:
    """Decrypt a blob.

    Raises:
        PayloadCorrupt: it was changed, or is not sealed under this key.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key_id_of(blob)
    try:
        inner = AESGCM(key.secret).decrypt(blob[_NONCE], blob[_HEADER:], blob[:_HEADER])
    except InvalidTag:
        raise PayloadCorrupt("A payload does not open under its data key.") from None
    return _read_inner(inner)


def _read_inner(inner: bytes) -> Opened:
    """Take head and body apart; what was committed to is derived from the body, never believed."""
    stop = 4 + int.from_bytes(inner[:4], "big")
    try:
        head = read_canonical(inner[4:stop])
        name, salt, kind = head["name"], bytes.fromhex(head["salt"]), head["kind"]
        name.encode("ascii")
        body = inner[stop:]
        committed = canonical(bytes_facts(body)) if kind == "bytes" else body.decode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise PayloadCorrupt("A payload opens, but its inside is not in Limner's format.") from None
    return Opened(name, salt, kind, body, committed)
