"""How much of what: the sizes, step budgets and learning rates of a run.

Budgets are steps and not minutes, so that the same recipe gives the same weights on the same machine.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace

from limner_starter.errors import StarterError

PICTURE = 64
"""Width and height of a training picture in pixels."""

LATENT = 16
"""Width and height of a latent (the VAE shrinks by four)."""

TEXT_LENGTH = 32
"""Tokens of a prompt that the model reads."""

TEXT_WIDTH = 160
"""Width of the text encoder, and of the UNet's cross-attention."""


@dataclass(frozen=True)
class Budget:
    """One stage: its optimiser steps, pictures a step and highest learning rate."""

    steps: int
    batch: int
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole run. The defaults are those of the shipped weights: about an hour on two CPU cores.

    Attributes:
        vae: The autoencoder's first stage.
        text: The text encoder learns to predict the picture's latent.
        unet: Text encoder and UNet learn to denoise together.
        decoder: The decoder is polished while the encoder stands still, so that latents stay valid.
        seed: All random numbers follow from it.
    """

    vae: Budget = field(default_factory=lambda: Budget(1830, 16, 1e-3))
    text: Budget = field(default_factory=lambda: Budget(1400, 96, 2e-3))
    unet: Budget = field(default_factory=lambda: Budget(6155, 48, 1e-3))
    decoder: Budget = field(default_factory=lambda: Budget(1620, 16, 7e-4))
    seed: int = 0

    def scaled(self, scale: float) -> Recipe:
        """The same recipe with every step budget multiplied by ``scale`` (0 < scale ≤ 100).

        Raises:
            StarterError: ``scale`` is out of range.
        """
        if not 0 < scale <= 100:
            raise StarterError(
                f"scale is {scale}: give a number above 0 and at most 100 (1 is about an hour on two cores)"
            )

        def times(budget: Budget) -> Budget:
            return replace(budget, steps=max(1, round(budget.steps * scale)))

        return replace(
            self, vae=times(self.vae), text=times(self.text), unet=times(self.unet), decoder=times(self.decoder)
        )

    def digest(self) -> str:
        """SHA-256 over the recipe: a checkpoint belongs to exactly one."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


SMOKE = Recipe(
    vae=Budget(8, 4, 1e-3),
    text=Budget(12, 8, 2e-3),
    unet=Budget(8, 4, 1e-3),
    decoder=Budget(6, 4, 7e-4),
)
"""The whole chain in well under a minute: it shows that everything fits together, and the pictures are noise."""
