"""Figures of a ranking for many weightings at once: AUROC, average precision, precision and recall at thresholds.

scikit-learn gives the same numbers (the tests hold ours against it), one weighting a call; a bootstrap asks for a
thousand, and sorting once serves them all. Knows numbers only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
TPR = 0.95
"""The share of positives found at which the false positive rate is told."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One number a weighting, shape (weightings,); NaN where a weighting has no positives or no negatives."""

    auroc: Numbers
    auprc: Numbers
    fpr_at_tpr: Numbers


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """What a threshold does, one number a weighting; NaN where there is nothing to divide by."""

    true_positives: Numbers
    false_positives: Numbers
    positives: Numbers
    negatives: Numbers

    @property
    def precision(self) -> Numbers:
        """Of the flagged, the share that is positive; NaN where nothing is flagged."""
        return ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> Numbers:
        """Of the positives, the share that is flagged."""
        return ratio(self.true_positives, self.positives)

    @property
    def fpr(self) -> Numbers:
        """Of the negatives, the share that is flagged."""
        return ratio(self.false_positives, self.negatives)

    @property
    def f1(self) -> Numbers:
        """The harmonic mean of precision and recall; 0 where nothing is found."""
        return ratio(2 * self.true_positives, self.true_positives + self.false_positives + self.positives)


class Ranking:
    """Scores in falling order, equal ones as one step, ready for weightings of shape (weightings, n)."""

    def __init__(self, scores: Numbers, labels: Flags) -> None:
        """Sort once.

        Args:
            scores: shape (n,), no NaN, n ≥ 1.
            labels: shape (n,).
        """
        self._order = np.argsort(-scores, kind="stable")
        falling = scores[self._order]
        self._labels = labels[self._order]
        self._starts = np.flatnonzero(np.append(True, falling[1:] != falling[:-1]))
        self.steps: Numbers = falling[self._starts]
        """The different scores, falling; shape (steps,)."""

    def weighted(self, weights: Any) -> Weighted:
        """The ranking under weightings of shape (weightings, n), or under one of shape (n,)."""
        sorted_weights = np.atleast_2d(np.asarray(weights, dtype=np.float64))[:, self._order]
        found = np.add.reduceat(sorted_weights * self._labels, self._starts, axis=1).cumsum(axis=1)
        every = np.add.reduceat(sorted_weights, self._starts, axis=1).cumsum(axis=1)
        return Weighted(self.steps, found, every - found)


@dataclass(frozen=True, slots=True)
class Weighted:
    """Weights of positives (`found`) and negatives (`wrong`) from the top to each step, (weightings, steps) each."""

    steps: Numbers
    found: Numbers
    wrong: Numbers

    def figures(self) -> Figures:
        """The figures that need no threshold."""
        found, wrong = self.found, self.wrong
        positives, negatives = found[:, -1], wrong[:, -1]
        step_found = np.diff(found, axis=1, prepend=0)
        step_wrong = np.diff(wrong, axis=1, prepend=0)
        # Each negative is outranked by the positives above its step, and by half of those of its own step.
        pairs = (step_wrong * (found - step_found / 2)).sum(axis=1)
        precision = np.nan_to_num(ratio(found, found + wrong))
        return Figures(
            auroc=ratio(pairs, positives * negatives),
            auprc=ratio((step_found * precision).sum(axis=1), positives),
            fpr_at_tpr=self._fpr_at_tpr(positives, negatives),
        )

    def _fpr_at_tpr(self, positives: Numbers, negatives: Numbers) -> Numbers:
        reached = np.argmax(self.found >= TPR * positives[:, None] - 1e-9, axis=1)
        wrong = np.take_along_axis(self.wrong, reached[:, None], axis=1)[:, 0]
        return np.where(positives > 0, ratio(wrong, negatives), np.nan)

    def at(self, threshold: float) -> AtThreshold:
        """What flagging every score ≥ `threshold` does."""
        place = int(np.searchsorted(-self.steps, -threshold, side="right"))
        nothing = np.zeros(self.found.shape[0])
        return AtThreshold(
            self.found[:, place - 1] if place else nothing,
            self.wrong[:, place - 1] if place else nothing,
            self.found[:, -1],
            self.wrong[:, -1],
        )


def ratio(above: Numbers, below: Numbers) -> Numbers:
    """Divide, with NaN where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(below > 0, above / below, np.nan), dtype=np.float64)
