"""Checkpoints of the log: C2SP tlog-checkpoint in a C2SP signed note, Ed25519.

A checkpoint says "the log of this origin had this many entries and this root", signed. Anyone with the verifier key
(`vkey`) can check one without us. Knows nothing of databases and files.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from limner_provenance.errors import KeyUnavailable, LogCorrupt

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519 = b"\x01"
_MAX_NOTE = 64 * 1024
_LINES = 5
_SIZE_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint says: `origin` of the log, `size` in entries, `root` (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Give the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


class Signer:
    """The log's private key together with its origin."""

    def __init__(self, origin: str, seed: bytes) -> None:
        """Take the origin (no spaces, no plus sign) and the 32 bytes of an Ed25519 private key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self.origin = origin
        self._seed = seed
        self._key: Ed25519PrivateKey = Ed25519PrivateKey.from_private_bytes(seed)
        self._public = self._key.public_key().public_bytes_raw()
        self._hash = key_hash(origin, self._public)

    @property
    def vkey(self) -> str:
        """The verifier key: what an auditor pins."""
        return f"{self.origin}+{self._hash.hex()}+{base64.b64encode(_ED25519 + self._public).decode()}"

    def skey(self) -> str:
        """The signing key as the text that is kept in a private file; never print or log it."""
        return f"PRIVATE+KEY+{self.origin}+{self._hash.hex()}+{base64.b64encode(_ED25519 + self._seed).decode()}"

    def sign_bytes(self, data: bytes) -> bytes:
        """Give the 64 bytes of a signature over something else than a checkpoint, which `data` has to say itself."""
        return self._key.sign(data)

    def sign(self, size: int, root: bytes) -> str:
        """Give the signed note that says: this log has `size` entries and this root."""
        text = Checkpoint(self.origin, size, root).text()
        signature = base64.b64encode(self._hash + self._key.sign(text.encode())).decode()
        return f"{text}\n— {self.origin} {signature}\n"

    @classmethod
    def from_skey(cls, text: str) -> Signer:
        """Read what `skey` gave.

        Raises:
            KeyUnavailable: the text is no signing key, or its hash does not fit.
        """
        prefix = "PRIVATE+KEY+"
        if not text.startswith(prefix):
            raise KeyUnavailable("The log's key file holds no signing key.", remedy="Restore it from your backup.")
        origin, digest, seed = _split_key(text.strip()[len(prefix) :], "the log's key file")
        signer = cls(origin, seed)
        if signer._hash.hex() != digest:
            raise KeyUnavailable("The log's key file is damaged: key and hash differ.", remedy="Restore it.")
        return signer


class Verifier:
    """The log's public key together with its origin."""

    def __init__(self, vkey: str) -> None:
        """Read a verifier key.

        Raises:
            KeyUnavailable: `vkey` is not a verifier key of the C2SP form `NAME+HASH+KEY`.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        self.vkey = vkey.strip()
        self.origin, digest, public = _split_key(self.vkey, "the log key")
        self._hash = key_hash(self.origin, public)
        if self._hash.hex() != digest:
            raise KeyUnavailable("The log key is damaged: key and hash differ.", remedy="Copy it again.")
        self._key: Ed25519PublicKey = Ed25519PublicKey.from_public_bytes(public)

    def signed(self, data: bytes, signature: bytes) -> bool:
        """Say whether this key signed the bytes."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def verify(self, note: str) -> Checkpoint:
        """Check the signature of a checkpoint and give what it says.

        Raises:
            LogCorrupt: it is no checkpoint, is of another log, or its signature by this key is missing or wrong.
        """
        from cryptography.exceptions import InvalidSignature

        text, signatures = _split_note(note)
        checkpoint = _parse(text)
        if checkpoint.origin != self.origin:
            raise LogCorrupt(f"The checkpoint is of the log {checkpoint.origin}, not of {self.origin}.")
        for name, data in signatures:
            if name == self.origin and data[:4] == self._hash:
                try:
                    self._key.verify(data[4:], text.encode())
                except InvalidSignature:
                    raise LogCorrupt("The checkpoint's signature is wrong.") from None
                return checkpoint
        raise LogCorrupt("The checkpoint is not signed by the log's key.")


def is_plain(note: str) -> bool:
    """Say whether a checkpoint's note is what `Signer.sign` gives: one signature and no line besides."""
    return note.count("\n") == _LINES


def parse_unverified(note: str) -> Checkpoint:
    """Read what a checkpoint says without checking who signed it.

    Raises:
        LogCorrupt: it is no checkpoint.
    """
    return _parse(_split_note(note)[0])


def key_hash(name: str, public: bytes) -> bytes:
    """Give the four bytes by which a signature names its key (C2SP signed-note)."""
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def _split_key(text: str, what: str) -> tuple[str, str, bytes]:
    """Split `NAME+HASH+BASE64` into name, hash and the 32 key bytes."""
    parts = text.split("+", 2)
    try:
        name, digest, encoded = parts
        data = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        data, name, digest = b"", "", ""
    if len(data) != 33 or data[:1] != _ED25519 or not name or any(c.isspace() for c in name):
        raise KeyUnavailable(f"{what.capitalize()} is not of the form NAME+HASH+KEY (C2SP, Ed25519).")
    return name, digest, data[1:]


def _split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Split a signed note into its text and its signatures (name, hash and signature bytes)."""
    if len(note) > _MAX_NOTE:
        raise LogCorrupt("The checkpoint is larger than 64 KiB.")
    text, blank, lines = note.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise LogCorrupt("This is no signed checkpoint.", remedy="Give the file as it was exported.")
    return text + "\n", [_signature(line) for line in lines[:-1].split("\n")]


def _signature(line: str) -> tuple[str, bytes]:
    """Read one signature line."""
    parts = line.split(" ")
    try:
        dash, name, encoded = parts
        data = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        raise LogCorrupt("A signature line of the checkpoint is malformed.") from None
    # Encoding back finds base64 whose unused bits were changed.
    if dash != "—" or not name or len(data) < 5 or base64.b64encode(data).decode() != encoded:
        raise LogCorrupt("A signature line of the checkpoint is malformed.")
    return name, data


def _parse(text: str) -> Checkpoint:
    """Read the three lines of a checkpoint; extension lines are allowed and ignored."""
    lines = text.split("\n")
    try:
        origin, size, root = lines[0], lines[1], base64.b64decode(lines[2], validate=True)
    except (IndexError, binascii.Error, ValueError):
        raise LogCorrupt("This is no checkpoint: it lacks origin, size or root.") from None
    number = int(size) if size.isascii() and size.isdigit() and len(size) <= _SIZE_DIGITS else -1
    canonical = str(number) == size and base64.b64encode(root).decode() == lines[2]
    if number < 0 or not canonical or len(root) != 32 or not origin:
        raise LogCorrupt("This is no checkpoint: origin, size or root is malformed.")
    return Checkpoint(origin, number, root)
