"""Two spaces in which pictures are compared: the model's own latents, and plain small pixels that know no model.

The nearest training picture in a space says what a drawn picture looks most like.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from limner_starter.augment import to_tensor
from limner_starter.autoencoder import encode
from limner_starter.pictures import Pixels, TrainingSet
from limner_starter.workspace import replaced

Points = npt.NDArray[np.float32]

LATENT_UNIT = 32
"""A latent is stored as a whole number of 1/32; its values lie within ±4."""

_SMALL = 16


def latent_points(vae: Any, rgb: Pixels) -> Points:
    """``float32 [N, 1024]``: the autoencoder's latents."""
    return np.asarray(encode(vae, to_tensor(rgb)).flatten(1).numpy(), dtype=np.float32)


def pixel_points(rgb: Pixels) -> Points:
    """``float32 [N, 768]``: the means of 4x4 blocks, 0 … 255; where which colour is, and no network's opinion."""
    block = rgb.shape[1] // _SMALL
    means = rgb.reshape(len(rgb), _SMALL, block, _SMALL, block, 3).mean((2, 4))
    return np.asarray(means.reshape(len(rgb), -1), dtype=np.float32)


def nearest(points: Points, references: Points) -> npt.NDArray[np.intp]:
    """For each of ``points``, the index of the closest of ``references`` (Euclidean)."""
    squares = (references**2).sum(1)[None] - 2 * points @ references.T
    return np.asarray(squares.argmin(1))


class Judge:
    """Says which training picture a drawn picture is nearest to."""

    def __init__(self, vae: Any, data: TrainingSet) -> None:
        self._vae = vae
        self._references = {"latents": latent_points(vae, data.rgb), "pixels": pixel_points(data.rgb)}

    def nearest(self, rgb: Pixels) -> Mapping[str, npt.NDArray[np.intp]]:
        """For each space, the index of the nearest training picture of each of ``rgb``."""
        points = {"latents": latent_points(self._vae, rgb), "pixels": pixel_points(rgb)}
        return {space: nearest(points[space], references) for space, references in self._references.items()}


def write_reference(model: Path, data: TrainingSet, file: Path) -> None:
    """Writes the training set's points in both spaces, about 1.6 MB, with the digests of what they were made from."""
    from limner_starter.sampling import Sampler

    latents = latent_points(Sampler(model).vae, data.rgb)
    weights = model / "vae" / "diffusion_pytorch_model.safetensors"
    with replaced(file) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(
            handle,
            latents=(latents * LATENT_UNIT).round().clip(-127, 127).astype(np.int8),
            pixels=pixel_points(data.rgb).round().astype(np.uint8),
            lineage_sha256=np.array(hashlib.sha256((model / "lineage.jsonl").read_bytes()).hexdigest()),
            vae_sha256=np.array(hashlib.sha256(weights.read_bytes()).hexdigest()),
        )
