"""Training batches of the autoencoder: moved, mirrored, recoloured pictures on varied grounds."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from limner_starter.device import StepRandom
from limner_starter.pictures import Pixels
from limner_starter.recipe import PICTURE

_COLOURED_GROUND = 0.25
_RECOLOURED = 0.3


def to_tensor(rgb: Pixels) -> Tensor:
    """``uint8 [N, H, W, 3]`` as ``float32 [N, 3, H, W]`` in -1 … 1."""
    return torch.from_numpy(rgb).permute(0, 3, 1, 2).float() / 127.5 - 1


def premultiplied(rgba: Pixels) -> Tensor:
    """``uint8 [N, H, W, 4]`` as ``float32 [N, 4, H, W]`` in 0 … 1, colour times alpha: scales without fringes."""
    pixels = torch.from_numpy(rgba).permute(0, 3, 1, 2).float() / 255
    pixels[:, :3] *= pixels[:, 3:]
    return pixels


def augmented(rgba: Tensor, batch: int, rng: StepRandom) -> Tensor:
    """``batch`` varied pictures as ``float32 [batch, 3, 64, 64]`` in -1 … 1; ``rgba`` is a ``premultiplied`` tensor."""
    moved = _moved(rgba[rng.integers(len(rgba), batch)], rng)
    small = functional.interpolate(moved, size=(PICTURE, PICTURE), mode="bicubic", antialias=True, align_corners=False)
    flat = small[:, :3] + _ground(batch, rng) * (1 - small[:, 3:])
    return (_recoloured(flat, rng).clamp(0, 1) * 2 - 1).contiguous(memory_format=torch.channels_last)


def _moved(pictures: Tensor, rng: StepRandom) -> Tensor:
    """The second half of a batch is scaled and shifted freely, the first only a little; all may be mirrored."""
    batch = len(pictures)
    calm = torch.arange(batch) < batch // 2
    scale = torch.where(calm, 1.0, rng.uniform(batch, low=0.87, high=1.25))
    mirror = rng.integers(2, batch) * 2 - 1
    shift = rng.uniform(batch, 2, low=-0.12, high=0.12) * torch.where(calm, 0.3, 1.0)[:, None]
    affine = torch.zeros(batch, 2, 3)
    affine[:, 0, 0], affine[:, 1, 1], affine[:, :, 2] = scale * mirror, scale, shift
    grid = functional.affine_grid(affine, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, align_corners=False)


def _ground(batch: int, rng: StepRandom) -> Tensor:
    coloured = rng.uniform(batch, 1, 1, 1) < _COLOURED_GROUND
    return torch.where(coloured, rng.uniform(batch, 3, 1, 1), 1.0)


def _recoloured(flat: Tensor, rng: StepRandom) -> Tensor:
    """Swaps and dims the colour channels of some pictures, so that the autoencoder does not know apples by red."""
    order = rng.uniform(len(flat), 3).argsort(1)
    swapped = flat.gather(1, order[:, :, None, None].expand_as(flat)) * rng.uniform(len(flat), 3, 1, 1, low=0.7)
    return torch.where(rng.uniform(len(flat), 1, 1, 1) < _RECOLOURED, swapped, flat)
