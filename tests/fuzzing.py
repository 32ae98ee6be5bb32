"""How deep property tests go: quick in the suite, much deeper in `make soak`."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings

SOAK = bool(os.environ.get("LIMNER_SOAK"))


def depth(examples: int) -> Callable[[Any], Any]:
    """Give the settings of a property test: this many examples in the suite, a hundred times as many in `make soak`.

    No example may take longer than 20 seconds, so that a reader that hangs is found, whatever else the machine does.
    """
    return settings(
        max_examples=examples * 100 if SOAK else examples,
        deadline=timedelta(seconds=20),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
    )


def mutate(data: bytes, seed: int) -> bytes:
    """Change bytes as an attacker would: bits, runs, lengths, cuts, doublings; the same seed makes the same change."""
    chance = random.Random(seed)
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        if not changed:
            break
        at, size = chance.randrange(len(changed)), chance.choice((1, 1, 2, 4, 8, 40))
        piece = changed[at : at + size]
        kind = chance.randrange(7)
        if kind == 0:
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            changed[at : at + size] = chance.randbytes(len(piece))
        elif kind == 2:
            changed[at : at + size] = chance.choice((b"\xff", b"\x00", b"\x7f")) * len(piece)
        elif kind == 3:
            del changed[at : at + size]
        elif kind == 4:
            changed[at:at] = piece * chance.choice((1, 3, 50))
        elif kind == 5:
            del changed[at:]
        else:
            other = chance.randrange(len(changed))
            changed[at : at + size], changed[other : other + size] = changed[other : other + size], piece
    return bytes(changed)
