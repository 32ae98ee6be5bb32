"""The text encoder and its first lessons: from a caption it learns to predict the picture's latent.

That is cheap, and the UNet then starts with text features that already tell the pictures apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from limner_starter.captions import Captioner
from limner_starter.device import Compute, StepRandom
from limner_starter.loop import set_learning_rate
from limner_starter.recipe import TEXT_LENGTH, TEXT_WIDTH, Recipe
from limner_starter.tokenizer import encode_texts

_COMPONENTS = 128


def new_text_encoder(tokenizer: Any) -> Any:
    """An untrained ``CLIPTextModel`` of two layers (1.3 million parameters with the full vocabulary)."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=TEXT_LENGTH,
            hidden_act="gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.eos_token_id,
            projection_dim=TEXT_WIDTH,
        )
    )


def whitened_components(latents: Tensor) -> Tensor:
    """The first principal components of ``[N, …]`` latents, each with unit variance: ``[N, min(128, N)]``."""
    flat = latents.reshape(len(latents), -1)
    left, _, _ = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    components: Tensor = left[:, :_COMPONENTS] * math.sqrt(len(latents))
    return components


class TextStage:
    """Trains the text encoder to predict the whitened components of a caption's picture."""

    name = "text"
    title = "text encoder"

    def __init__(self, latents: Tensor, captioner: Captioner, tokenizer: Any, recipe: Recipe, compute: Compute) -> None:
        self.budget = recipe.text
        self._seed, self._compute = recipe.seed, compute
        self._captioner, self._tokenizer = captioner, tokenizer
        self._target = whitened_components(latents).to(compute.device)
        torch.manual_seed(recipe.seed)
        self.encoder = new_text_encoder(tokenizer).to(compute.device).train()
        self._head = torch.nn.Linear(TEXT_WIDTH, self._target.shape[1]).to(compute.device)
        self._weights = [*self.encoder.parameters(), *self._head.parameters()]
        self._optimiser = torch.optim.AdamW(self._weights, weight_decay=1e-4, fused=True)

    def step(self, number: int) -> Mapping[str, float]:
        """One step of the loop's protocol."""
        rng = StepRandom(self._seed, self.name, number)
        set_learning_rate(self._optimiser, self._rate(number))
        chosen = rng.integers(len(self._target), self.budget.batch)
        captions = [self._captioner.caption(index, rng.words) for index in chosen.tolist()]
        tokens = encode_texts(self._tokenizer, captions).to(self._compute.device)
        with self._compute.autocast():
            hidden = self.encoder(tokens).last_hidden_state
        loss = functional.mse_loss(self._head(hidden.float().mean(1)), self._target[chosen.to(self._compute.device)])
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._weights, 1.0)
        self._optimiser.step()
        return {"loss": loss.item()}

    def _rate(self, number: int) -> float:
        """Warm-up over 50 steps, then straight down to a tenth."""
        left = 1 - number / self.budget.steps
        return self.budget.learning_rate * min(1.0, (number + 1) / 50) * (0.1 + 0.9 * left)

    def state(self) -> dict[str, Any]:
        """Weights and optimiser."""
        return {
            "encoder": self.encoder.state_dict(),
            "head": self._head.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over what ``state`` gave."""
        self.encoder.load_state_dict(state["encoder"])
        self._head.load_state_dict(state["head"])
        self._optimiser.load_state_dict(state["optimiser"])

    def result(self) -> Any:
        """The trained encoder, on the CPU."""
        return self.encoder.cpu()
