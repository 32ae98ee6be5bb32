"""Pictures that the starter diffusion model draws: some to train the CLIP on, others, with other seeds, to measure it.

A seed is the name's place plus an offset that no other purpose uses, so no measured picture was ever trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from limner_starter.pictures import Pixels
from limner_starter.workspace import replaced

_BATCH = 48


@dataclass(frozen=True)
class Purpose:
    """Which pictures are drawn for what.

    Attributes:
        name: Names the file in the work folder.
        first_seed: Added to a name's place in the list of names.
        steps: Denoising steps; fewer steps give rougher pictures, which is good to learn from.
    """

    name: str
    first_seed: int
    steps: int


TRAINING = (Purpose("learned", 3_000_000, 8),)
MEASURING = Purpose("measured", 5_000_000, 20)


def generated(
    model: Path, names: Sequence[str], purpose: Purpose, work: Path, console: Console, *, guidance: float = 3.0
) -> Pixels:
    """One picture of each name, ``uint8 [N, 64, 64, 3]``; drawn once and kept in ``work`` by the model's digest."""
    from limner_starter.sampling import Sampler

    sampler = Sampler(model, steps=purpose.steps, guidance=guidance)
    file = work / f"generated-{purpose.name}-{sampler.digest[:16]}.npy"
    if not file.is_file():
        seeds = [purpose.first_seed + place for place in range(len(names))]
        starts = range(0, len(names), _BATCH)
        parts = [
            sampler.draw(names[start : start + _BATCH], seeds[start : start + _BATCH])
            for start in track(starts, f"generated pictures ({purpose.name})", console=console)
        ]
        with replaced(file) as temporary, temporary.open("wb") as handle:
            np.save(handle, np.concatenate(parts))
    return np.asarray(np.load(file), dtype=np.uint8)
