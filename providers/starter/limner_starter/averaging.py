"""Keeps a slow average of weights while they are trained (EMA): what a run delivers."""

from __future__ import annotations

from collections.abc import Iterable

import torch


class SlowAverage:
    """The exponential moving average of named tensors.

    Args:
        tensors: The named tensors to follow; they must be the live ones at each ``update``.
        decay: Share of the old average that a step keeps, reached slowly from below.
    """

    def __init__(self, tensors: Iterable[tuple[str, torch.Tensor]], decay: float) -> None:
        self._live = {name: tensor for name, tensor in tensors if tensor.dtype.is_floating_point}
        self.values = {name: tensor.detach().clone() for name, tensor in self._live.items()}
        self._decay = decay

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes in the live tensors after the ``step``-th step (from 1)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        live = [tensor.detach() for tensor in self._live.values()]
        torch._foreach_lerp_(list(self.values.values()), live, 1 - decay)  # one call for 200 tensors

    @torch.no_grad()
    def restore(self, values: dict[str, torch.Tensor]) -> None:
        """Takes over saved averages."""
        for name, tensor in self.values.items():
            tensor.copy_(values[name])
