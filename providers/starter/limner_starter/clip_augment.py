"""Training batches of the CLIP: pictures moved, recoloured, outlined, blurred and compressed.

The harder changes stand for what another hand would draw differently: colours, outlines, thickness, the ground.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from limner_starter.device import StepRandom
from limner_starter.recipe import PICTURE

MEAN = (0.5, 0.5, 0.5)
STD = (0.25, 0.25, 0.25)

_LUMA = (0.3, 0.59, 0.11)


def augmented(rgba: Tensor, rng: StepRandom, *, hard: bool = True) -> Tensor:
    """Varied pictures ``float32 [B, 3, 64, 64]`` in 0 … 1 of premultiplied ``uint8 [B, 4, 80, 80]``.

    Args:
        rgba: The pictures.
        rng: All chance comes from it.
        hard: Also change style (outlines, mixed colours, grey), which is for training only.
    """
    moved = _moved(rgba.float() / 255, rng)
    if hard:
        moved = _outlined(moved, rng)
    flat = moved[:, :3] + _ground(len(moved), rng) * (1 - moved[:, 3:])
    if hard:
        flat = _mixed(flat, rng)
    return _spoiled(_jittered(flat, rng), rng).clamp(0, 1)


def normalised(pictures: Tensor, mean: Sequence[float] = MEAN, std: Sequence[float] = STD) -> Tensor:
    """Pictures in 0 … 1 as the model reads them."""
    middle, spread = torch.tensor(mean).view(1, 3, 1, 1), torch.tensor(std).view(1, 3, 1, 1)
    return ((pictures - middle) / spread).contiguous(memory_format=torch.channels_last)


def plain(rgba: Tensor) -> Tensor:
    """The pictures unchanged on white: ``float32 [B, 3, 64, 64]`` in 0 … 1."""
    pixels = rgba.float() / 255
    flat = pixels[:, :3] + 1 - pixels[:, 3:]
    return functional.interpolate(flat, size=(PICTURE, PICTURE), mode="bilinear", antialias=True).clamp(0, 1)


def _chosen(count: int, share: float, rng: StepRandom) -> Tensor:
    return rng.uniform(count, 1, 1, 1) < share


def _moved(pixels: Tensor, rng: StepRandom) -> Tensor:
    """Scaled, stretched a little, turned, mirrored and shifted."""
    count = len(pixels)
    scale = rng.uniform(count, low=0.88, high=1.4)
    stretch = rng.uniform(count, low=0.88, high=1.14)
    mirror = torch.where(rng.uniform(count) < 0.3, -1.0, 1.0)
    turn = rng.uniform(count, low=-0.3, high=0.3) * (rng.uniform(count) < 0.4)
    shift = rng.uniform(count, 2, low=-0.17, high=0.17)
    across, down = scale * stretch, scale / stretch
    first = torch.stack([across * mirror * turn.cos(), -down * turn.sin(), shift[:, 0]], 1)
    second = torch.stack([across * mirror * turn.sin(), down * turn.cos(), shift[:, 1]], 1)
    grid = functional.affine_grid(torch.stack([first, second], 1), [count, 4, PICTURE, PICTURE], align_corners=False)
    return functional.grid_sample(pixels, grid, align_corners=False)


def _outlined(pixels: Tensor, rng: StepRandom) -> Tensor:
    """Draws dark lines along the edges of some pictures, as designs with outlines have them."""
    chosen = (rng.uniform(len(pixels)) < 0.2).nonzero().flatten()
    if not len(chosen):
        return pixels
    part = pixels[chosen]
    spread = functional.max_pool2d(part, 3, 1, 1)
    edge = (spread + functional.max_pool2d(-part, 3, 1, 1)).amax(1, keepdim=True)
    line = (edge * rng.uniform(len(part), 1, 1, 1, low=1.2, high=2.5) - 0.25).clamp(0, 1)
    ink = rng.uniform(len(part), 1, 1, 1, high=0.2)
    alpha = torch.maximum(part[:, 3:], line * spread[:, 3:])
    drawn = torch.cat([part[:, :3] * (1 - line) + ink * line * alpha, alpha], 1)
    result = pixels.clone()
    result[chosen] = drawn
    return result


def _ground(count: int, rng: StepRandom) -> Tensor:
    """White, or a colour, some with a slope from top to bottom."""
    colour = torch.where(_chosen(count, 0.4, rng), rng.uniform(count, 3, 1, 1), 1.0)
    slope = rng.uniform(count, 3, 1, 1, low=-0.3, high=0.3) * _chosen(count, 0.25, rng)
    return (colour + slope * torch.linspace(-1, 1, PICTURE).view(1, 1, PICTURE, 1)).clamp(0, 1)


def _mixed(flat: Tensor, rng: StepRandom) -> Tensor:
    """Mixes the colour channels of some pictures, and takes the colour out of a few."""
    count = len(flat)
    mix = torch.eye(3) + rng.uniform(count, 3, 3, low=-0.35, high=0.35) * (rng.uniform(count, 1, 1) < 0.25)
    mix = mix / mix.sum(2, keepdim=True).clamp(min=0.3)
    mixed = torch.einsum("bij,bjhw->bihw", mix, flat).clamp(0, 1)
    grey = (mixed * torch.tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return torch.where(_chosen(count, 0.08, rng), grey.expand_as(mixed), mixed)


def _jittered(flat: Tensor, rng: StepRandom) -> Tensor:
    """Saturation, contrast, brightness and the gain of each channel."""
    count = len(flat)
    amount = _chosen(count, 0.6, rng).float()
    grey = flat.mean(1, keepdim=True)
    flat = grey + (flat - grey) * (1 + amount * rng.uniform(count, 1, 1, 1, low=-0.5, high=0.4))
    contrast = 1 + amount * rng.uniform(count, 1, 1, 1, low=-0.3, high=0.2)
    flat = (flat - 0.5) * contrast + 0.5 + amount * rng.uniform(count, 1, 1, 1, low=-0.12, high=0.12)
    return flat * (1 + amount * rng.uniform(count, 3, 1, 1, low=-0.1, high=0.1))


def _spoiled(flat: Tensor, rng: StepRandom) -> Tensor:
    """Blur, a loss of resolution, noise, and JPEG on a few."""
    count = len(flat)
    blurred = functional.avg_pool2d(functional.pad(flat, (1, 1, 1, 1), mode="replicate"), 3, 1)
    flat = torch.where(_chosen(count, 0.3, rng), blurred * 0.8 + flat * 0.2, flat)
    small = functional.interpolate(functional.avg_pool2d(flat, 2), scale_factor=2.0, mode="bilinear")
    flat = torch.where(_chosen(count, 0.12, rng), small, flat)
    flat = (flat + rng.normal(*flat.shape) * rng.uniform(count, 1, 1, 1, high=0.05)).clamp(0, 1)
    return _compressed(flat, rng)


def _compressed(flat: Tensor, rng: StepRandom) -> Tensor:
    import io

    import numpy as np
    from PIL import Image

    for place in (rng.uniform(len(flat)) < 0.06).nonzero().flatten().tolist():
        pixels = (flat[place].permute(1, 2, 0) * 255).byte().numpy()
        packed = io.BytesIO()
        Image.fromarray(pixels).save(packed, format="JPEG", quality=int(rng.words.uniform(30, 90)))
        flat[place] = torch.from_numpy(np.array(Image.open(packed))).permute(2, 0, 1) / 255
    return flat
