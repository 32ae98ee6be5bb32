"""Salted commitments: what an entry says of a value that may have to be disclosed, kept apart or erased one day.

The exact bytes are fixed for ever by the format (`limner.commit.v1`); whoever has salt and value can check one alone.
"""

from __future__ import annotations

import secrets
from hashlib import sha256

SALT_BYTES = 32
_PREFIX = b"limner.commit.v1\n"


def new_salt() -> bytes:
    """Draw the 32 random bytes that keep a short value from being guessed."""
    return secrets.token_bytes(SALT_BYTES)


def commit(name: str, salt: bytes, canonical_value: str) -> str:
    r"""Give the commitment to a named value.

    Args:
        name: the field's name, ASCII, without a line break.
        salt: 32 random bytes, used for this value alone.
        canonical_value: the value as canonical JSON; bytes are committed to as `{"length":…,"sha256":…}`.

    Returns:
        SHA-256(`limner.commit.v1\n` ‖ name ‖ `\n` ‖ salt ‖ canonical JSON), 64 lower-case hex digits.
    """
    return sha256(_PREFIX + name.encode("ascii") + b"\n" + salt + canonical_value.encode()).hexdigest()
