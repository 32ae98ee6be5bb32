"""The autoencoder (64x64x3 to 16x16x4 and back): its shape, loss, training stages and latent normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from limner_starter.augment import augmented, premultiplied, to_tensor
from limner_starter.averaging import SlowAverage
from limner_starter.device import Compute, StepRandom
from limner_starter.loop import learning_rate, set_learning_rate
from limner_starter.pictures import Pixels, TrainingSet
from limner_starter.recipe import PICTURE, Recipe

_KL = 1e-6
_NOISE = 0.12
_CHUNK = 64


def new_autoencoder() -> Any:
    """An untrained ``AutoencoderKL`` of 0.92 million parameters."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(32, 64, 64),
        layers_per_block=1,
        norm_num_groups=16,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        sample_size=PICTURE,
        mid_block_add_attention=False,
    ).to(memory_format=torch.channels_last)


@torch.no_grad()
def encode(vae: Any, pictures: Tensor) -> Tensor:
    """Mean latents ``[N, 4, 16, 16]`` of pictures ``[N, 3, 64, 64]`` in -1 … 1."""
    parts = torch.split(pictures, _CHUNK)
    return torch.cat(
        [vae.encode(part.contiguous(memory_format=torch.channels_last)).latent_dist.mean for part in parts]
    )


@torch.no_grad()
def decode(vae: Any, latents: Tensor) -> Tensor:
    """Pictures ``[N, 3, 64, 64]`` in -1 … 1 of latents ``[N, 4, 16, 16]``."""
    return torch.cat([vae.decode(part).sample.clamp(-1, 1) for part in torch.split(latents, _CHUNK)])


@torch.no_grad()
def normalise(vae: Any, pictures: Tensor) -> Tensor:
    """Makes the latents of ``pictures`` zero-mean and unit-variance per channel; returns them.

    Stable Diffusion's pipeline has one scaling factor and knows no shift, so both are folded into the convolutions
    beside the latent; ``scaling_factor`` is then exactly 1.
    """
    raw = encode(vae, pictures)
    mean, std = raw.mean((0, 2, 3)), raw.std((0, 2, 3))
    inward, outward = vae.quant_conv, vae.post_quant_conv
    inward.weight[:4] /= std.view(-1, 1, 1, 1)
    inward.bias[:4] = (inward.bias[:4] - mean) / std
    inward.bias[4:] -= 2 * std.log()  # the log variances of the posterior
    outward.bias += outward.weight[:, :, 0, 0] @ mean
    outward.weight *= std.view(1, -1, 1, 1)
    vae.register_to_config(scaling_factor=1.0)
    return encode(vae, pictures).contiguous()


def psnr(vae: Any, rgb: Pixels) -> float:
    """Mean peak signal-to-noise ratio of encoding and decoding ``uint8 [N, 64, 64, 3]``, in dB."""
    pictures = to_tensor(rgb)
    error = (decode(vae, encode(vae, pictures)) - pictures) / 2
    return float((-10 * error.pow(2).mean((1, 2, 3)).log10()).mean())


def reconstruction_loss(made: Tensor, real: Tensor) -> Tensor:
    """Absolute error, absolute error of the gradients, of 4x4 means, and a little squared error."""
    difference = made - real
    edges = difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean()
    coarse = functional.avg_pool2d(difference, 4).abs().mean()
    return difference.abs().mean() + edges + 0.5 * coarse + 0.5 * difference.pow(2).mean()


class AutoencoderStage:
    """Trains encoder and decoder on augmented pictures."""

    name = "vae"
    title = "autoencoder"

    def __init__(self, data: TrainingSet, recipe: Recipe, compute: Compute) -> None:
        self.budget = recipe.vae
        self._seed, self._compute = recipe.seed, compute
        torch.manual_seed(recipe.seed)
        self.vae = new_autoencoder().to(compute.device)
        self._rgba = premultiplied(data.rgba)
        self._prepare()

    def _prepare(self) -> None:
        trained = [weight for weight in self.vae.parameters() if weight.requires_grad]
        self._optimiser = torch.optim.AdamW(trained, betas=(0.9, 0.99), weight_decay=1e-3, fused=True)
        self.average = SlowAverage(self.vae.state_dict().items(), 0.998)

    def step(self, number: int) -> Mapping[str, float]:
        """One step of the loop's protocol."""
        rng = StepRandom(self._seed, self.name, number)
        set_learning_rate(self._optimiser, learning_rate(self.budget, number, warm_up=100, floor=0.02))
        real = self._batch(rng).to(self._compute.device)
        with self._compute.autocast():
            made, divergence = self._through(real, rng)
        made = made.float()
        loss = reconstruction_loss(made, real) + divergence
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        self._optimiser.step()
        self.average.update(number + 1)
        return {"loss": loss.item(), "l1": (made - real).abs().mean().item()}

    def _batch(self, rng: StepRandom) -> Tensor:
        return augmented(self._rgba, self.budget.batch, rng)

    def _through(self, real: Tensor, rng: StepRandom) -> tuple[Tensor, Tensor]:
        """The pictures after encoding, sampling and decoding, and the weighted divergence from a normal latent."""
        posterior = self.vae.encode(real).latent_dist
        mean, log_variance = posterior.mean.float(), posterior.logvar.float()
        noise = rng.normal(*mean.shape).to(mean)
        made = self.vae.decode(mean + (0.5 * log_variance).exp() * noise).sample
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum((1, 2, 3)).mean()
        return made, _KL * divergence

    def state(self) -> dict[str, Any]:
        """Weights, averages and optimiser."""
        return {
            "vae": self.vae.state_dict(),
            "average": self.average.values,
            "optimiser": self._optimiser.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over what ``state`` gave."""
        self.vae.load_state_dict(state["vae"])
        self.average.restore(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])

    def result(self) -> Any:
        """The averaged autoencoder on the CPU, ready for use, its latents not yet normalised."""
        vae = new_autoencoder()
        vae.load_state_dict(self.average.values)
        return vae.eval()


class DecoderStage(AutoencoderStage):
    """Trains the decoder alone, on mostly unchanged pictures and slightly noisy latents.

    The encoder stands still, so the latents that the UNet learned stay valid. The UNet's own latents are never exact:
    the noise teaches the decoder to draw clean pictures of inexact ones.
    """

    name = "decoder"
    title = "decoder, second pass"

    def __init__(self, data: TrainingSet, recipe: Recipe, compute: Compute, trained: Any) -> None:
        self._trained = trained
        super().__init__(data, recipe, compute)
        self.budget = recipe.decoder
        self._real = to_tensor(data.rgb)
        self._spread = encode(trained, self._real).std((0, 2, 3)).view(1, 4, 1, 1).to(compute.device)

    def _prepare(self) -> None:
        self.vae.load_state_dict(self._trained.state_dict())
        for part in (self.vae.encoder, self.vae.quant_conv):
            part.requires_grad_(False)
        super()._prepare()

    def _batch(self, rng: StepRandom) -> Tensor:
        batch = super()._batch(rng)
        plain = 2 * self.budget.batch // 3
        batch[:plain] = self._real[rng.integers(len(self._real), plain)]
        return batch

    def _through(self, real: Tensor, rng: StepRandom) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            mean = self.vae.encode(real).latent_dist.mean
        noise = (rng.normal(*mean.shape) * rng.uniform(len(real), 1, 1, 1) * _NOISE).to(mean)
        made = self.vae.decode(mean + self._spread * noise).sample
        return made, torch.zeros((), device=made.device)
