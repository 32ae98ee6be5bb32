"""Draws pictures with a finished model folder as the SDK's provider does: float32 on a CPU, one seed a picture."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limner_starter.errors import BadWorkFolder
from limner_starter.libraries import quiet_libraries
from limner_starter.pictures import Pixels
from limner_starter.recipe import PICTURE


class Sampler:
    """A loaded model.

    Attributes:
        load_seconds: How long loading took, without the import of the libraries.
        digest: SHA-256 over the model's files and the settings: what a picture depends on beside prompt and seed.
    """

    def __init__(self, folder: Path, *, steps: int = 20, guidance: float = 3.0) -> None:
        from diffusers import StableDiffusionPipeline

        quiet_libraries()
        if not (folder / "model_index.json").is_file():
            raise BadWorkFolder(f"{folder} is no model folder: it has no model_index.json")
        started = time.perf_counter()
        self._pipeline: Any = StableDiffusionPipeline.from_pretrained(str(folder), local_files_only=True)
        self.load_seconds = time.perf_counter() - started
        self._pipeline.set_progress_bar_config(disable=True)
        self.digest = _digest(folder, steps, guidance)
        self._settings = {"num_inference_steps": steps, "guidance_scale": guidance, "height": PICTURE, "width": PICTURE}

    @property
    def vae(self) -> Any:
        """The model's autoencoder."""
        return self._pipeline.vae

    def draw(self, prompts: Sequence[str], seeds: Sequence[int]) -> Pixels:
        """One picture for each prompt and seed: ``uint8 [N, 64, 64, 3]``."""
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        images = self._pipeline(list(prompts), generator=generators, output_type="np", **self._settings).images
        return np.asarray((images * 255).round(), dtype=np.uint8)


def _digest(folder: Path, steps: int, guidance: float) -> str:
    digest = hashlib.sha256(f"{steps}/{guidance}/{torch.__version__}".encode())
    for file in sorted([*folder.rglob("*.safetensors"), *folder.rglob("*.json")]):
        digest.update(file.read_bytes())
    return digest.hexdigest()
