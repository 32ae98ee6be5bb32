"""The pictures that a CLIP is measured on, and the split of names into calibration and test.

Nothing here was learned from: other augmentations of learned drawings, a design that was held out, generated pictures
of seeds that were held out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from limner_starter.clip_augment import augmented, plain
from limner_starter.clip_data import ClipData
from limner_starter.device import StepRandom
from limner_starter.pictures import Pixels

SEED = 20_261_125
"""Of the measured augmentations; training uses another."""

CALIBRATION, SPLIT, REPORT = "calibration", "split", "report"

_CHUNK = 512
_VIEWS = 3


@dataclass(frozen=True)
class PictureSet:
    """Pictures that are measured together.

    Attributes:
        name: Its name in the figures.
        pictures: ``float32 [N, 3, 64, 64]`` in 0 … 1.
        names: ``int64 [N]``, which name each is of.
        role: ``calibration``, ``report``, or ``split``: one half of the names for each.
    """

    name: str
    pictures: Tensor
    names: npt.NDArray[np.int64]
    role: str


def picture_sets(data: ClipData, generated: Pixels) -> list[PictureSet]:
    """Augmented drawings, those of the first design apart; the held-out design plain and augmented; generated."""
    learned, apart = data.rows(held_out=False), data.rows(held_out=True)
    held = _rgba(data, apart)
    noto = learned[data.design[learned] == 0]
    first = _augmented(_rgba(data, noto), "first design")
    every = np.arange(len(generated), dtype=np.int64)
    made = torch.from_numpy(generated).permute(0, 3, 1, 2).float() / 255
    views = torch.cat([_augmented(held, f"held out {number}") for number in range(_VIEWS)])
    return [
        PictureSet("augmented", _augmented(_rgba(data, learned), "learned"), data.name[learned], role=CALIBRATION),
        PictureSet("augmented, noto", first, data.name[noto], role=REPORT),
        PictureSet("openmoji", plain(held), data.name[apart], role=SPLIT),
        PictureSet("openmoji, augmented", views, np.tile(data.name[apart], _VIEWS), role=SPLIT),
        PictureSet("generated", made, every, role=SPLIT),
    ]


def for_calibration(name: str) -> bool:
    """Whether a name belongs to the half on which thresholds are chosen; it follows from the name alone."""
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 0


def calibration_half(names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """``for_calibration`` of each name."""
    return np.array([for_calibration(name) for name in names])


def _rgba(data: ClipData, rows: npt.NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(data.rgba[rows]).permute(0, 3, 1, 2)


def _augmented(rgba: Tensor, what: str) -> Tensor:
    parts = torch.split(rgba, _CHUNK)
    return torch.cat([augmented(part, StepRandom(SEED, what, number), hard=False) for number, part in enumerate(parts)])
