"""From vectors to scores: how near a picture is to a concept's prompts, less how near it is to what contrasts.

Arithmetic alone, in float64; knows no model and no picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from limner_policy.concepts import Concept

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]
else:
    Array = Any

UNCALIBRATED = "not calibrated: the softmax of the nearest prompt against the nearest contrast"


@dataclass(frozen=True, slots=True, eq=False)
class Aim:
    """One concept ready to be scored: `prompts` are unit vectors, of the positive prompts first."""

    name: str
    prompts: Array
    positives: int
    scale: float
    offset: float
    reason: str = ""
    """Why there is no score, where `scale` is 0; else what is to be known of it."""


def aim(concept: Concept, prompts: Array, digest: str, logit_scale: float) -> Aim:
    """Make a concept ready.

    Args:
        concept: as the pack has it.
        prompts: float64 of shape (prompts, dimensions), the positive ones first, each of length 1.
        digest: that of the detector; a calibration for another one is not used, and no score is given.
        logit_scale: that of the model, for a concept without calibration.
    """
    positives, made = len(concept.positive), concept.calibration
    if made is None:
        reason = UNCALIBRATED if concept.contrast else "the concept has neither contrast prompts nor a calibration"
        return Aim(concept.name, prompts, positives, logit_scale if concept.contrast else 0.0, 0.0, reason)
    if made.weights != digest:
        reason = f"it is calibrated for other weights ({made.weights[:12]}…), and scores do not carry over"
        return Aim(concept.name, prompts, positives, 0.0, 0.0, reason)
    return Aim(concept.name, prompts, positives, float(made.scale), float(made.offset))


class Aims:
    """All concepts together: one product of matrices a picture, however many there are."""

    def __init__(self, aims: Sequence[Aim]) -> None:
        """Stack their prompts."""
        import numpy as np

        self.each = tuple(aims)
        self._prompts = np.concatenate([one.prompts for one in aims]) if aims else np.zeros((0, 1))
        ends = pairwise(accumulate((len(one.prompts) for one in aims), initial=0))
        self._bounds = [(start, start + one.positives, end) for one, (start, end) in zip(aims, ends, strict=True)]

    def values(self, vectors: Any) -> list[float]:
        """The score of each concept, 0…1; NaN where it has none. Of several views the highest counts.

        Args:
            vectors: float32 of shape (views, dimensions), each of length 1.
        """
        import numpy as np

        if not self.each:
            return []
        likeness = vectors.astype(np.float64) @ self._prompts.T
        return [
            max(_score(one, float(margin)) for margin in _margins(likeness, bounds))
            for one, bounds in zip(self.each, self._bounds, strict=True)
        ]


def _margins(likeness: Array, bounds: tuple[int, int, int]) -> Array:
    start, middle, end = bounds
    nearest: Array = likeness[:, start:middle].max(axis=1)
    return nearest - likeness[:, middle:end].max(axis=1) if end > middle else nearest


def _score(one: Aim, margin: float) -> float:
    if one.scale == 0.0 or not math.isfinite(margin):
        return math.nan
    # Beyond 700 exp() overflows, and the sixth decimal has been reached long before.
    return 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, one.scale * margin + one.offset))))
