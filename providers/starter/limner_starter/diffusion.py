"""The diffusion stage: UNet and text encoder learn together to remove noise from latents (v-prediction)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from limner_starter.averaging import SlowAverage
from limner_starter.captions import Captioner
from limner_starter.device import Compute, StepRandom
from limner_starter.loop import learning_rate, set_learning_rate
from limner_starter.recipe import LATENT, TEXT_WIDTH, Recipe
from limner_starter.tokenizer import encode_texts

TIMESTEPS = 1000
NOISE_SCHEDULE = {
    "num_train_timesteps": TIMESTEPS,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
}
"""Stable Diffusion's own noise schedule."""


def new_unet() -> Any:
    """An untrained ``UNet2DConditionModel`` of 9.5 million parameters.

    Attention stays at 8x8 and 4x4: at 16x16 it would cost half as much again. (``attention_head_dim`` of this class is
    the number of heads.)
    """
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=LATENT,
        in_channels=4,
        out_channels=4,
        block_out_channels=(96, 128, 160),
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    ).to(memory_format=torch.channels_last)


def new_scheduler() -> Any:
    """The sampler saved in the model folder.

    ``trailing`` steps start from pure noise; ``leading`` ones do not, and gave a broken picture now and then.
    """
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        **NOISE_SCHEDULE, clip_sample=False, set_alpha_to_one=False, steps_offset=1, timestep_spacing="trailing"
    )


def spread_timesteps(count: int, rng: StepRandom) -> Tensor:
    """``count`` time steps, one from each equal part of 0 … 999, in random order: less noise in the loss."""
    spread = (torch.arange(count) + rng.uniform(count)) / count * TIMESTEPS
    return spread.long().clamp(0, TIMESTEPS - 1)[torch.randperm(count, generator=rng.torch)]


class DiffusionStage:
    """Trains UNet and text encoder; float32 master weights, forward and backward in the run's precision."""

    name = "unet"
    title = "UNet and text encoder"

    def __init__(
        self, latents: Tensor, captioner: Captioner, tokenizer: Any, text: Any, *, recipe: Recipe, compute: Compute
    ) -> None:
        self.budget = recipe.unet
        self._seed, self._compute = recipe.seed, compute
        self._latents, self._captioner, self._tokenizer = latents, captioner, tokenizer
        torch.manual_seed(recipe.seed)
        self.unet, self.text = new_unet().to(compute.device), text.to(compute.device)
        self._master = [weight for _, weight in self._named()]
        self._optimiser = self._new_optimiser()
        self.average = SlowAverage(self._named(), 0.999)
        self._fast_unet, self._fast_text = self._fast_copy()
        self._fast = [*self._fast_unet.parameters(), *self._fast_text.parameters()]
        self._kept = new_scheduler().alphas_cumprod

    def _named(self) -> Iterator[tuple[str, Any]]:
        for part, module in (("unet", self.unet), ("text", self.text)):
            for name, weight in module.named_parameters():
                yield f"{part}.{name}", weight

    def _new_optimiser(self) -> torch.optim.AdamW:
        matrices = [weight for weight in self._master if weight.ndim > 1]
        vectors = [weight for weight in self._master if weight.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": 1e-2}, {"params": vectors, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, betas=(0.9, 0.99), fused=True)

    def _fast_copy(self) -> tuple[Any, Any]:
        from diffusers.models.attention_processor import AttnProcessor

        unet, text = (copy.deepcopy(module).to(self._compute.dtype).train() for module in (self.unet, self.text))
        # On a CPU the backward pass of fused attention took a third of a step; the plain one is far quicker.
        unet.set_attn_processor(AttnProcessor())
        return unet, text

    def step(self, number: int) -> Mapping[str, float]:
        """One step of the loop's protocol."""
        rng = StepRandom(self._seed, self.name, number)
        set_learning_rate(self._optimiser, learning_rate(self.budget, number, warm_up=200, floor=0.01))
        chosen = rng.integers(len(self._latents), self.budget.batch)
        noisy, times, velocity = self._noised(self._latents[chosen], rng)
        predicted = self._predict(
            noisy, times, [self._captioner.training_caption(i, rng.words) for i in chosen.tolist()]
        )
        loss = (predicted - velocity).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        self._update(number)
        return {"loss": loss.item()}

    def _noised(self, clean: Tensor, rng: StepRandom) -> tuple[Tensor, Tensor, Tensor]:
        """Noisy latents, their time steps, and the velocity that the UNet has to predict."""
        times = spread_timesteps(len(clean), rng)
        noise = rng.normal(*clean.shape)
        kept = self._kept[times].view(-1, 1, 1, 1)
        signal, spread = kept.sqrt(), (1 - kept).sqrt()
        noisy, velocity = signal * clean + spread * noise, signal * noise - spread * clean
        device = self._compute.device
        return noisy.to(device), times.to(device), velocity.to(device)

    def _predict(self, noisy: Tensor, times: Tensor, captions: list[str]) -> Tensor:
        tokens = encode_texts(self._tokenizer, captions).to(self._compute.device)
        hidden = self._fast_text(tokens).last_hidden_state
        sample = noisy.to(self._compute.dtype).contiguous(memory_format=torch.channels_last)
        predicted: Tensor = self._fast_unet(sample, times, hidden).sample
        return predicted.float()

    @torch.no_grad()
    def _update(self, number: int) -> None:
        """Carries the gradients to the master weights, steps them, and copies them back."""
        for master, fast in zip(self._master, self._fast, strict=True):
            master.grad = None if fast.grad is None else fast.grad.float()
            fast.grad = None
        torch.nn.utils.clip_grad_norm_(self._master, 1.0)
        self._optimiser.step()
        self._copy_to_fast()
        self.average.update(number + 1)

    @torch.no_grad()
    def _copy_to_fast(self) -> None:
        torch._foreach_copy_(self._fast, self._master)  # one call for 300 tensors

    def state(self) -> dict[str, Any]:
        """Weights, averages and optimiser."""
        return {
            "unet": self.unet.state_dict(),
            "text": self.text.state_dict(),
            "average": self.average.values,
            "optimiser": self._optimiser.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over what ``state`` gave."""
        self.unet.load_state_dict(state["unet"])
        self.text.load_state_dict(state["text"])
        self.average.restore(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._copy_to_fast()

    @torch.no_grad()
    def result(self) -> tuple[Any, Any]:
        """UNet and text encoder with the averaged weights, on the CPU."""
        for name, weight in self._named():
            weight.copy_(self.average.values[name])
        return self.unet.cpu().eval(), self.text.cpu().eval()
