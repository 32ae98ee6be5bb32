"""The figures of one set of pictures, or the refusal to give any where too few distinct pictures stand behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from limner_policy.evaluation.bootstrap import Estimate, below, interval, proportion, weightings
from limner_policy.evaluation.column import Column
from limner_policy.evaluation.curves import AtThreshold, Numbers, Ranking

LEAST = 50
"""Distinct positive source pictures, and negative ones, below which no figure is given."""
RARE = (0.01, 0.001)
"""Shares of positives for which precision is told too: a data set is richer in them than daily work."""


NONE = Estimate(None)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many pictures, and how many distinct source pictures behind them; unknown scores apart."""

    pictures: int
    positives: int
    negatives: int
    sources: int
    positive_sources: int
    negative_sources: int
    unknown_positives: int
    unknown_negatives: int

    @property
    def too_few(self) -> str:
        """Why no figure is given, as a sentence; empty where figures are."""
        short = [
            f"{count} distinct {what}"
            for count, what in ((self.positive_sources, "positives"), (self.negative_sources, "negatives"))
            if count < LEAST
        ]
        return f"Too few: {' and '.join(short)} with a score, and {LEAST} of each are needed." if short else ""


@dataclass(frozen=True, slots=True)
class Working:
    """What one threshold does on a set of pictures.

    `worst_recall` counts positives without a score as missed. `rare_precision` is what precision would be where only
    that share of pictures is positive, by the same recall and false positive rate.
    """

    threshold: float
    precision: Estimate
    recall: Estimate
    f1: Estimate
    fpr: Estimate
    worst_recall: float
    counted: tuple[int, int, int, int]
    """True positives, false positives, false negatives, true negatives, in pictures."""
    rare_precision: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Measures:
    """Counts, and figures where there are enough."""

    counts: Counts
    auroc: Estimate = NONE
    auprc: Estimate = NONE
    fpr_at_95_tpr: Estimate = NONE
    at: Mapping[float, Working] = field(default_factory=dict)


def counts(of: Column) -> Counts:
    """Count."""
    unknown = np.isnan(of.scores)
    known = of.known
    return Counts(
        pictures=len(of),
        positives=int(of.labels.sum()),
        negatives=int((~of.labels).sum()),
        sources=of.distinct(np.ones(len(of), dtype=bool)),
        positive_sources=known.distinct(known.labels),
        negative_sources=known.distinct(~known.labels),
        unknown_positives=int((unknown & of.labels).sum()),
        unknown_negatives=int((unknown & ~of.labels).sum()),
    )


def measure(of: Column, thresholds: Iterable[float], *, rounds: int, seed: int) -> Measures:
    """Measure a set of pictures at thresholds, with intervals of `rounds` rounds."""
    counted = counts(of)
    if counted.too_few:
        return Measures(counted)
    known, at = of.known, sorted(set(thresholds))
    ranking = Ranking(known.scores, known.labels)
    ones = np.ones(len(known))
    whole, drawn = ranking.weighted(ones), _Drawn()
    now = whole.figures()
    for weights in weightings(known.sources, rounds, seed):
        part = ranking.weighted(weights)
        some = part.figures()
        drawn.add("auroc", some.auroc)
        drawn.add("auprc", some.auprc)
        drawn.add("fpr", some.fpr_at_tpr)
        for threshold in at:
            drawn.add_working(threshold, part.at(threshold))
    return Measures(
        counts=counted,
        auroc=_auroc(float(now.auroc[0]), drawn["auroc"], counted),
        auprc=interval(float(now.auprc[0]), drawn["auprc"]),
        fpr_at_95_tpr=proportion(float(now.fpr_at_tpr[0]), drawn["fpr"], counted.negative_sources),
        at={one: _working(one, whole.at(one), drawn, known, counted) for one in at},
    )


class _Drawn:
    """The figures of all rounds, by name."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Numbers]] = {}

    def add(self, name: str, values: Numbers) -> None:
        self._parts.setdefault(name, []).append(values)

    def add_working(self, threshold: float, found: AtThreshold) -> None:
        for name in ("precision", "recall", "f1", "fpr"):
            self.add(f"{name}@{threshold}", getattr(found, name))

    def __getitem__(self, name: str) -> Numbers:
        return np.concatenate(self._parts[name])


def _auroc(value: float, drawn: Numbers, counted: Counts) -> Estimate:
    found = interval(value, drawn)
    if found.low is not None or found.value is None or value < 1:
        return found
    # Nothing varies where every positive outranks every negative: as many pairs without a common picture as the
    # smaller side has are independent, and all of them came out right.
    return Estimate(1.0, below(1.0, min(counted.positive_sources, counted.negative_sources), 0.025), 1.0)


def _working(threshold: float, now: AtThreshold, drawn: _Drawn, known: Column, counted: Counts) -> Working:
    flagged = known.scores >= threshold
    hit, wrong = (int((flagged & side).sum()) for side in (known.labels, ~known.labels))
    recall, fpr = float(now.recall[0]), float(now.fpr[0])
    positives, negatives = int(known.labels.sum()), int((~known.labels).sum())
    return Working(
        threshold=threshold,
        precision=proportion(float(now.precision[0]), drawn[f"precision@{threshold}"], known.distinct(flagged)),
        recall=proportion(recall, drawn[f"recall@{threshold}"], counted.positive_sources),
        f1=interval(float(now.f1[0]), drawn[f"f1@{threshold}"]),
        fpr=proportion(fpr, drawn[f"fpr@{threshold}"], counted.negative_sources),
        worst_recall=hit / counted.positives,
        counted=(hit, wrong, positives - hit, negatives - wrong),
        rare_precision={f"{share:g}": _at_share(recall, fpr, share) for share in RARE},
    )


def _at_share(recall: float, fpr: float, share: float) -> float | None:
    flagged = recall * share + fpr * (1 - share)
    return recall * share / flagged if flagged > 0 else None
