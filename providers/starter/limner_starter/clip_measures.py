"""Figures of scores: AUROC, average precision, calibration, thresholds, bootstrap intervals over distinct pictures.

It knows arrays, not pictures. Several views of one picture are one picture: intervals draw names, not views.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

RECALL = 0.95
PRECISION = 0.9
_DRAWS = 500
_FEW = 3


@dataclass(frozen=True)
class Scored:
    """Margins of one concept over one set of pictures.

    Attributes:
        margin: ``[N]``.
        shown: ``[N]``, whether the picture shows the concept.
        name: ``[N]``, which name the picture is of.
    """

    margin: Numbers
    shown: Flags
    name: Places

    def only(self, keep: Flags) -> Scored:
        """A part of it."""
        return Scored(self.margin[keep], self.shown[keep], self.name[keep])

    def distinct(self) -> tuple[int, int]:
        """How many different names show it, and do not."""
        return len(set(self.name[self.shown].tolist())), len(set(self.name[~self.shown].tolist()))


@dataclass(frozen=True)
class Calibration:
    """``score = sigmoid(scale * margin + offset)``."""

    scale: float
    offset: float

    def score(self, margin: Numbers) -> Numbers:
        """Scores in 0 … 1."""
        return np.asarray(1 / (1 + np.exp(-np.clip(self.scale * margin + self.offset, -700, 700))))


def auroc(scored: Scored) -> float:
    """The chance that a picture that shows the concept has the higher margin (ties count half)."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(scored.shown, scored.margin))


def average_precision(scored: Scored) -> float:
    """The area under precision against recall, at the set's own share of positives."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(scored.shown, scored.margin))


def calibrated(parts: list[Scored]) -> Calibration:
    """Logistic regression of "shows it" on the margin; both answers and all ``parts`` weigh the same.

    With equal weights a score of one half means: as likely as not, had half of all pictures shown the concept.
    """
    from sklearn.linear_model import LogisticRegression

    margin = np.concatenate([part.margin for part in parts])
    shown = np.concatenate([part.shown for part in parts])
    weight = np.concatenate([_even(part.shown) / len(parts) for part in parts])
    unit = 0.1  # A margin is a small number; regularisation should not flatten it.
    model = LogisticRegression(C=1.0).fit(margin[:, None] / unit, shown, sample_weight=weight * len(margin) / 2)
    return Calibration(float(model.coef_[0, 0]) / unit, float(model.intercept_[0]))


def _even(shown: Flags) -> Numbers:
    share = np.where(shown, 1 / max(int(shown.sum()), 1), 1 / max(int((~shown).sum()), 1))
    return np.asarray(share, dtype=np.float64)


def thresholds(parts: list[Scored], calibration: Calibration) -> dict[str, float]:
    """``deny``: the lowest score with the target precision; ``review``: the highest with the target recall.

    ``review`` is never above ``deny``. Every name weighs the same in each part, whatever its number of views.
    """
    score = np.concatenate([calibration.score(part.margin) for part in parts])
    shown = np.concatenate([part.shown for part in parts])
    weight = np.concatenate([_by_name(part) for part in parts])
    order = np.argsort(-score)
    score, hits, misses = score[order], (weight * shown)[order].cumsum(), (weight * ~shown)[order].cumsum()
    recall, precision = hits / hits[-1], hits / (hits + misses)
    good = np.flatnonzero(precision >= PRECISION)
    deny = float(score[good[-1]]) if len(good) else 1.0
    review = float(score[np.flatnonzero(recall >= RECALL)[0]])
    return {"deny": deny, "review": min(review, deny)}


def _by_name(part: Scored) -> Numbers:
    counts = np.bincount(part.name)
    return np.asarray(1 / counts[part.name], dtype=np.float64)


def at_threshold(scored: Scored, calibration: Calibration, threshold: float, seed: int = 0) -> dict[str, Any]:
    """Precision and recall of ``score ≥ threshold``, with 95 % bootstrap intervals over distinct names."""
    found = calibration.score(scored.margin) >= threshold
    weight = _by_name(scored)
    few = scored.distinct()[0] < _FEW
    figures: dict[str, Any] = {}
    for what, measure in (("precision", _precision), ("recall", _recall)):
        value = measure(found, scored.shown, weight)
        interval = None if few else _interval(scored, found, weight, measure, seed)
        figures[what] = {"value": _rounded(value), "interval": interval}
    figures["found"] = int(found.sum())
    return figures


Measure = Callable[[Flags, Flags, Numbers], float]


def _precision(found: Flags, shown: Flags, weight: Numbers) -> float:
    total = float(weight[found].sum())
    return float(weight[found & shown].sum()) / total if total else float("nan")


def _recall(found: Flags, shown: Flags, weight: Numbers) -> float:
    total = float(weight[shown].sum())
    return float(weight[found & shown].sum()) / total if total else float("nan")


def _interval(scored: Scored, found: Flags, weight: Numbers, measure: Measure, seed: int) -> list[float | None] | None:
    """Draws the names that show it, and those that do not, apart, so that no draw is without either."""
    rng = np.random.default_rng(seed)
    groups = [np.unique(scored.name[side]) for side in (scored.shown, ~scored.shown)]
    values = []
    for _ in range(_DRAWS):
        times = np.zeros(int(scored.name.max()) + 1)
        for group in groups:
            times += np.bincount(rng.choice(group, len(group)), minlength=len(times))
        values.append(measure(found, scored.shown, weight * times[scored.name]))
    known = [value for value in values if not np.isnan(value)]
    return [_rounded(float(np.percentile(known, at))) for at in (2.5, 97.5)] if known else None


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)
