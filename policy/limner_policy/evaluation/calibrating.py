"""Turns scores into probabilities by scikit-learn: logistic, temperature, isotonic; measured on pictures not fitted on.

Each method is fitted on four fifths of the source pictures and applied to the last fifth, five times (cross-fitting),
so that what is told of it was never calculated on pictures it has seen. What is stored is fitted on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from limner_policy.errors import EvaluationUnavailable
from limner_policy.evaluation.column import Column
from limner_policy.evaluation.curves import Flags, Numbers
from limner_policy.evaluation.reliability import Reliability, reliability

FOLDS = 5
_EDGE = 1e-6
"""Scores have six decimals: nearer to 0 or 1 than this they are not told apart."""
_WEAK = 100.0
"""Inverse strength of the penalty, on a feature of unit width: it only holds perfectly parted scores back."""

Curve = Callable[[Numbers], Numbers]


@dataclass(frozen=True, slots=True)
class Calibration:
    """One method: what it gives on pictures that it was not fitted on, and the curve fitted on all of them.

    `scale` and `offset` say the curve of `logistic` and `temperature`: sigmoid(scale·logit(score) + offset); `steps`
    the one of `isotonic`: (score, probability) pairs, straight lines between.
    """

    method: str
    reliability: Reliability
    scores: Numbers
    scale: float | None = None
    offset: float | None = None
    steps: tuple[tuple[float, float], ...] = ()


def logit(scores: Numbers) -> Numbers:
    """log(p ÷ (1-p)) of scores kept 1e-6 from 0 and 1."""
    kept = np.clip(scores, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(kept / (1 - kept)), dtype=np.float64)


def sigmoid(values: Numbers) -> Numbers:
    """1 ÷ (1 + exp(-x))."""
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -700, 700))), dtype=np.float64)


def calibrate(of: Column, *, rounds: int, seed: int) -> dict[str, Calibration]:
    """Calibrate the scores of pictures that all have one, with enough distinct positives and negatives.

    Raises:
        EvaluationUnavailable: scikit-learn is not installed.
    """
    _need()
    parts = list(_folds(of, seed))
    return {name: _cross_fitted(of, name, parts, rounds=rounds, seed=seed) for name in _METHODS}


def best(found: Mapping[str, Calibration]) -> Calibration:
    """The one that a pack can say (scale and offset) with the smaller loss on pictures it was not fitted on."""
    return min((found["logistic"], found["temperature"]), key=lambda one: one.reliability.log_loss)


def _need() -> None:
    try:
        import sklearn  # noqa: F401 -- asked for here, so that its absence is told in our words
    except ImportError as error:
        raise EvaluationUnavailable(
            f"calibrating needs {error.name}, which is not installed.",
            remedy="Install it: pip install 'limner[evaluation]'.",
        ) from None


def _folds(of: Column, seed: int) -> Any:
    from sklearn.model_selection import StratifiedGroupKFold

    made = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    return made.split(of.scores, of.labels, groups=of.sources)


def _cross_fitted(of: Column, method: str, parts: Any, *, rounds: int, seed: int) -> Calibration:
    fit = _METHODS[method]
    scores = np.empty(len(of))
    for learnt, held in parts:
        curve, _ = fit(of.scores[learnt], of.labels[learnt])
        scores[held] = curve(of.scores[held])
    scores = np.clip(scores, 0, 1)
    _, numbers = fit(of.scores, of.labels)
    measured = reliability(scores, of.labels, of.sources, rounds=rounds, seed=seed)
    return Calibration(method, measured, scores, **numbers)


def _logistic(scores: Numbers, labels: Flags) -> tuple[Curve, dict[str, Any]]:
    return _line(scores, labels, offset=True)


def _temperature(scores: Numbers, labels: Flags) -> tuple[Curve, dict[str, Any]]:
    return _line(scores, labels, offset=False)


def _line(scores: Numbers, labels: Flags, *, offset: bool) -> tuple[Curve, dict[str, Any]]:
    from sklearn.linear_model import LogisticRegression

    values = logit(scores)
    width = float(np.sqrt(np.mean((values - (values.mean() if offset else 0)) ** 2))) or 1.0
    model = LogisticRegression(C=_WEAK, fit_intercept=offset, tol=1e-8, max_iter=1000)
    model.fit((values / width)[:, None], labels)
    scale, moved = float(model.coef_[0, 0]) / width, float(model.intercept_[0]) if offset else 0.0
    return (lambda given: sigmoid(scale * logit(given) + moved)), {"scale": scale, "offset": moved}


def _isotonic(scores: Numbers, labels: Flags) -> tuple[Curve, dict[str, Any]]:
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, labels)
    pairs = zip(model.X_thresholds_.tolist(), model.y_thresholds_.tolist(), strict=True)
    return model.predict, {"steps": tuple(pairs)}


_METHODS = {"logistic": _logistic, "temperature": _temperature, "isotonic": _isotonic}
