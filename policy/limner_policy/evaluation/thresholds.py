"""Thresholds: chosen on one half of the source pictures, told on the other; and a band of scores that people look at.

A threshold that is judged on the pictures it was chosen on looks better than it is. Knows columns, no policy.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from limner_policy.evaluation.bootstrap import above, below
from limner_policy.evaluation.column import Column
from limner_policy.evaluation.curves import Flags, Numbers, Ranking, ratio
from limner_policy.evaluation.measures import Measures, counts, measure

RISK = 0.05
"""The guarantees of the band may be wrong with this probability each."""
Aim = Literal["precision", "recall"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A threshold for a target; None with a sentence why where there is none. `told` is measured on the other half."""

    aim: Aim
    target: float
    threshold: float | None
    why_not: str = ""
    told: Measures | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """Below `low` nothing is flagged, from `high` on everything is, and between a person looks.

    The two bounds are exact (Clopper and Pearson), of distinct source pictures of the half that the thresholds were not
    chosen on, and hold with 95 % confidence each. `missed` bounds the share of positive source pictures of which any
    picture scores below `low`; `right` the share of flagged source pictures that are positive. `review` is the share of
    pictures between, among positives and among negatives. A bound is None where too few pictures stand behind it.
    """

    low: float | None
    high: float | None
    missed: float | None
    right: float | None
    review_positives: float
    review_negatives: float
    aim_missed: float
    aim_right: float
    positive_sources: int
    flagged_sources: int

    @property
    def shown(self) -> bool:
        """Whether both guarantees reach their aims."""
        missed_held = self.missed is not None and self.missed <= self.aim_missed
        return missed_held and self.right is not None and self.right >= self.aim_right


def halves(of: Column, seed: int) -> tuple[Column, Column]:
    """Two halves without a common source picture, alike in positives; by a hash of the source, so always the same."""
    positive = set(of.sources[of.labels].tolist())
    names = {int(number): name for number, name in zip(of.sources, of.names, strict=True)}
    order = sorted(names, key=lambda one: (one in positive, hashlib.sha256(f"{seed}\n{names[one]}".encode()).digest()))
    first = np.isin(of.sources, order[::2])
    return of.take(first), of.take(~first)


def choose(of: Column, aim: Aim, target: float, *, rounds: int, seed: int) -> Chosen:
    """Choose a threshold for a target on one half, and measure it on the other.

    For recall it is the highest score that still finds the share; for precision, of those that keep the share, the one
    that finds most.
    """
    choosing, telling = halves(of, seed)
    for part, what in ((choosing, "to choose on"), (telling, "to tell the figures on")):
        if short := counts(part).too_few:
            return Chosen(aim, target, None, f"{short} This is the half {what}.")
    threshold = _for_recall(choosing.known, target) if aim == "recall" else _for_precision(choosing.known, target)
    if threshold is None:
        return Chosen(aim, target, None, f"No threshold reaches a {aim} of {target:g} on the half to choose on.")
    return Chosen(aim, target, threshold, told=measure(telling, [threshold], rounds=rounds, seed=seed))


def _for_recall(of: Column, target: float) -> float | None:
    # Positives without a score are missed, whatever the threshold: counted among the positives they would make the
    # target unreachable, and the figures tell them apart. So the target is of those that have a score.
    found = Ranking(of.scores, of.labels)
    totals = found.weighted(np.ones(len(of)))
    reached = totals.found[0] >= target * totals.found[0, -1] - 1e-9
    return float(found.steps[int(np.argmax(reached))]) if reached.any() else None


def _for_precision(of: Column, target: float) -> float | None:
    found = Ranking(of.scores, of.labels)
    totals = found.weighted(np.ones(len(of)))
    kept = np.flatnonzero(
        (ratio(totals.found, totals.found + totals.wrong)[0] >= target - 1e-12) & (totals.found[0] > 0)
    )
    return float(found.steps[kept[-1]]) if len(kept) else None


def band(of: Column, *, recall: float, precision: float, seed: int) -> Band | str:
    """Propose the band of scores that a person should look at; a sentence where there are too few pictures."""
    choosing, telling = halves(of, seed)
    for part in (choosing, telling):
        if short := counts(part).too_few:
            return f"{short} This is one half of the source pictures; the band needs two."
    chosen, told = choosing.known, telling.known
    low = _lowest(chosen, 1 - recall)
    high = _highest(chosen, precision)
    if low is not None and high is not None and low > high:
        low = high
    missed, positives = _missed(told, low)
    right, flagged = _right(_both_ends(told), high)
    between = (told.scores >= (low or 0)) & (told.scores < (high if high is not None else 2))
    return Band(
        low=low,
        high=high,
        missed=above(missed, positives, RISK) if low is not None else 0.0,
        right=below(right, flagged, RISK) if high is not None and flagged else None,
        review_positives=_share(between, told.labels),
        review_negatives=_share(between, ~told.labels),
        aim_missed=1 - recall,
        aim_right=precision,
        positive_sources=positives,
        flagged_sources=flagged,
    )


def _share(mask: Flags, of: Flags) -> float:
    return float(mask[of].mean()) if of.any() else 0.0


def _ends(of: Column, side: Flags, *, highest: bool) -> Numbers:
    """For each source with pictures on that side of the labels its highest, or lowest, score; sorted."""
    found: dict[int, float] = {}
    pick = max if highest else min
    for source, score in zip(of.sources[side].tolist(), of.scores[side].tolist(), strict=True):
        found[source] = pick(score, found.get(source, score))
    return np.sort(np.array(list(found.values()), dtype=np.float64))


def _missed(of: Column, low: float | None) -> tuple[float, int]:
    ends = _ends(of, of.labels, highest=False)
    return (float((ends < low).mean()) if low is not None else 0.0), len(ends)


def _both_ends(of: Column) -> tuple[Numbers, Numbers]:
    """The highest score of each source on either side of the labels: from which threshold down it is flagged."""
    return _ends(of, of.labels, highest=True), _ends(of, ~of.labels, highest=True)


def _right(ends: tuple[Numbers, Numbers], high: float | None) -> tuple[float, int]:
    if high is None:
        return 0.0, 0
    hit, wrong = (int((side >= high).sum()) for side in ends)
    return (hit / (hit + wrong) if hit + wrong else 0.0), hit + wrong


def _lowest(of: Column, risk: float) -> float | None:
    """The highest score below which, with confidence, at most that share of positive sources falls."""
    ends = _ends(of, of.labels, highest=False)
    fits = [score for score in np.unique(ends).tolist() if above(float((ends < score).mean()), len(ends), RISK) <= risk]
    return max(fits) if fits else None


def _highest(of: Column, precision: float) -> float | None:
    """The lowest score from which on, with confidence, at least that share of flagged sources is positive."""
    ends = _both_ends(of)
    for score in np.unique(of.scores).tolist():
        right, flagged = _right(ends, score)
        if flagged and below(right, flagged, RISK) >= precision:
            return float(score)
    return None
