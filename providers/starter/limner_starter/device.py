"""Chooses the device and the number format of the heavy arithmetic.

Random numbers are always drawn on the CPU, so that a step's batch does not depend on the device.
"""

from __future__ import annotations

import hashlib
import random
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from limner_starter.errors import StarterError

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = {"bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass(frozen=True)
class Compute:
    """Where and in which precision a run computes."""

    device: torch.device
    dtype: torch.dtype

    def autocast(self) -> AbstractContextManager[None]:
        """Lower precision for the operations that bear it; nothing where the precision is fp32."""
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32)


def choose(device: str, precision: str, threads: int | None) -> Compute:
    """The compute for ``--device``, ``--precision`` and ``--threads``.

    Raises:
        StarterError: A name is unknown, or this machine has no such device.
    """
    if precision not in PRECISIONS:
        raise StarterError(f"precision is {precision!r}: give one of {', '.join(PRECISIONS)}")
    if threads is not None:
        if threads < 1:
            raise StarterError(f"threads is {threads}: give 1 or more")
        torch.set_num_threads(threads)
    return Compute(torch.device(_device(device)), PRECISIONS[precision])


def _device(name: str) -> str:
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return "cuda" if there["cuda"] else "cpu"
    if name not in there:
        raise StarterError(f"device is {name!r}: give one of {', '.join(DEVICES)}")
    if not there[name]:
        raise StarterError(f"device is {name!r}, which this machine does not have: give auto or cpu")
    return name


class StepRandom:
    """The random numbers of one step; they follow from seed, stage and step alone.

    So a resumed run draws what an uninterrupted one would have drawn, without storing any generator's state.
    """

    def __init__(self, seed: int, stage: str, step: int) -> None:
        digest = hashlib.sha256(f"{seed}/{stage}/{step}".encode()).digest()
        self.words = random.Random(digest)  # noqa: S311 - training data, no secret
        self.torch = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)

    def integers(self, high: int, count: int) -> torch.Tensor:
        """``count`` whole numbers in 0 … ``high`` - 1."""
        return torch.randint(high, (count,), generator=self.torch)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        """Even numbers in [low, high)."""
        return torch.rand(*shape, generator=self.torch) * (high - low) + low

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal numbers."""
        return torch.randn(*shape, generator=self.torch)
