"""Whether a score of 0.8 is right eight times of ten: reliability by bins, expected calibration error, Brier score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from limner_policy.evaluation.bootstrap import Estimate, interval, weightings
from limner_policy.evaluation.column import Codes
from limner_policy.evaluation.curves import Flags, Numbers

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Pictures whose score lies in one tenth: their number, mean score, and share that is positive."""

    count: int
    score: float
    share: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """The filled bins, falling in none; the error and Brier score (mean squared error) of the scores as probabilities.

    `ece` is the mean distance of score and share over bins, weighted by pictures; 0 is perfect, and few pictures make
    it too large. `log_loss` is in nats, scores being kept 1e-6 from 0 and 1.
    """

    bins: tuple[Bin, ...]
    ece: Estimate
    brier: Estimate
    log_loss: float


def reliability(scores: Numbers, labels: Flags, sources: Codes, *, rounds: int, seed: int) -> Reliability:
    """Hold scores, shape (n,), against labels as if they were probabilities.

    Args:
        scores: 0…1, no NaN.
        labels: shape (n,).
        sources: shape (n,): the distinct source picture of each.
        rounds: of the bootstrap.
        seed: of the bootstrap.
    """
    places = np.minimum((scores * BINS).astype(int), BINS - 1)
    ones = np.ones((1, len(scores)))
    drawn = [_errors(scores, labels, places, some) for some in weightings(sources, rounds, seed)]
    (ece,), (brier,) = _errors(scores, labels, places, ones)
    clipped = np.clip(scores, 1e-6, 1 - 1e-6)
    return Reliability(
        bins=tuple(
            Bin(int(kept.sum()), float(scores[kept].mean()), float(labels[kept].mean()))
            for kept in (places == number for number in range(BINS))
            if kept.any()
        ),
        ece=interval(float(ece), np.concatenate([one for one, _ in drawn])),
        brier=interval(float(brier), np.concatenate([one for _, one in drawn])),
        log_loss=float(-np.log(np.where(labels, clipped, 1 - clipped)).mean()),
    )


def _errors(scores: Numbers, labels: Flags, places: Codes, weights: Numbers) -> tuple[Numbers, Numbers]:
    """Calibration error and Brier score of each weighting, shape (weightings,) each."""
    total = weights.sum(axis=1)
    gaps = np.stack([(weights * (places == one) * (scores - labels)).sum(axis=1) for one in np.unique(places)])
    brier = (weights * (scores - labels) ** 2).sum(axis=1)
    return np.abs(gaps).sum(axis=0) / total, brier / total
