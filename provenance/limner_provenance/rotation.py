"""Rotation of the log's key: an entry signed by the old key and by the new one, and the chain of keys this makes.

A checkpoint of more entries than a rotation's index is signed by the new key, any other by the old one. Knows nothing
of writing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from limner_provenance import tables
from limner_provenance.checkpoint import Checkpoint, Signer, Verifier, parse_unverified
from limner_provenance.entries import Entry, read_entry
from limner_provenance.errors import KeyUnavailable, LogCorrupt, ProvenanceError
from limner_provenance.files import read_private

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from limner_provenance.opening import Paths

STEP = "key_rotated"


def rotation_text(old: str, new: str) -> bytes:
    """Give the bytes that both keys sign: a first line of its own, so that they are never taken for a checkpoint."""
    return f"limner.key_rotated.v1\n{old}\n{new}\n".encode()


def rotation_data(old: Signer, new: Signer) -> dict[str, Any]:
    """Give what a `key_rotated` entry says."""
    text = rotation_text(old.vkey, new.vkey)
    signatures = {name: base64.b64encode(key.sign_bytes(text)).decode() for name, key in (("new", new), ("old", old))}
    return {"old": old.vkey, "new": new.vkey, "signatures": signatures}


def rotated_to(before: Verifier, data: dict[str, Any]) -> Verifier:
    """Give the new key that a `key_rotated` entry names.

    Raises:
        LogCorrupt: it does not follow `before`, is of another log, or one of the two signatures is wrong.
    """
    try:
        old, new = str(data["old"]), Verifier(str(data["new"]))
        signed = {name: base64.b64decode(data["signatures"][name], validate=True) for name in ("old", "new")}
    except (KeyError, TypeError, binascii.Error, KeyUnavailable) as error:
        raise LogCorrupt(f"A rotation of the key is malformed: {error!r}.") from None
    if old != before.vkey or new.origin != before.origin:
        raise LogCorrupt("A rotation does not begin with the key before it, or is of another log.")
    text = rotation_text(old, new.vkey)
    if not (before.signed(text, signed["old"]) and new.signed(text, signed["new"])):
        raise LogCorrupt("A rotation is not signed by both keys.")
    return new


@dataclass(slots=True)
class KeyChain:
    """The keys of one log, oldest first; each with the index of the entry it came with (the first with 0).

    It takes the place of a `Verifier`: which key has to have signed a checkpoint follows from its size.
    """

    keys: list[tuple[int, Verifier]]

    @classmethod
    def of(cls, vkey: str) -> KeyChain:
        """Give the chain of a log whose key was never rotated; raises KeyUnavailable."""
        return cls([(0, Verifier(vkey))])

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.keys[0][1].origin

    @property
    def vkey(self) -> str:
        """The newest key."""
        return self.keys[-1][1].vkey

    @property
    def vkeys(self) -> tuple[str, ...]:
        """All keys, oldest first."""
        return tuple(key.vkey for _, key in self.keys)

    def at(self, size: int) -> Verifier:
        """Give the key that signs checkpoints of `size` entries."""
        return next((key for index, key in reversed(self.keys) if index < size), self.keys[0][1])

    def add(self, index: int, data: dict[str, Any]) -> None:
        """Go on with the rotation that the entry `index` states; raises LogCorrupt."""
        self.keys.append((index, rotated_to(self.keys[-1][1], data)))

    def verify(self, note: str) -> Checkpoint:
        """Check a checkpoint by the key of its size, and give what it says.

        Raises:
            LogCorrupt: it is no checkpoint of this log, or not signed by that key.
        """
        return self.at(parse_unverified(note).size).verify(note)


def rotations(connection: Connection, start: int = 0) -> Iterable[Entry]:
    """Give the `key_rotated` entries from `start` on."""
    table = tables.entry
    query = select(table.c.idx, table.c.leaf).where(table.c.step == STEP, table.c.idx >= start).order_by(table.c.idx)
    return [read_entry(row[0], row[1]) for row in connection.execute(query)]


def load_chain(connection: Connection) -> KeyChain:
    """Give the keys of the log in the database.

    Raises:
        LogCorrupt: entry 0 or a rotation is not what it has to be.
        KeyUnavailable: entry 0 states no key.
    """
    from limner_provenance.opening import log_identity

    chain = KeyChain.of(log_identity(connection)[1])
    for entry in rotations(connection):
        chain.add(entry.index or 0, entry.data)
    return chain


def find_signer(paths: Paths, vkey: str) -> Signer:
    """Give the private key that belongs to `vkey`: the key file's, or one that a rotation was about to put there.

    Raises:
        KeyUnavailable: neither is it, or neither can be read; the message names the file.
    """
    signer = Signer.from_skey(read_private(paths.log_key))
    if signer.vkey == vkey:
        return signer
    try:
        following = Signer.from_skey(read_private(paths.next_log_key))
    except ProvenanceError:
        following = signer
    if following.vkey == vkey:
        return following
    message = f"The log's key was rotated, and {paths.log_key} still holds another one."
    raise KeyUnavailable(message, remedy="Copy the new key file from where `limner audit rotate-key` ran.")
