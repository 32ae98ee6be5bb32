"""What common changes of a picture do to recall, F1 and false alarms, on the same pictures before and after."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from limner_policy.evaluation.bootstrap import Estimate, interval, weightings
from limner_policy.evaluation.column import Column
from limner_policy.evaluation.curves import AtThreshold, Numbers, Ranking
from limner_policy.evaluation.judged import Judged, Target
from limner_policy.evaluation.measures import NONE, Counts, counts

MOST = 200
"""Source pictures that are changed, a category, half of them positive where there are as many."""
_NAMES = ("recall", "f1", "fpr")


@dataclass(frozen=True, slots=True)
class Changed:
    """One change at one threshold: the figures after it, and after less before."""

    change: str
    threshold: float
    counts: Counts
    after: Mapping[str, Estimate]
    moved: Mapping[str, Estimate]


def chosen(judged: Mapping[Target, Sequence[Judged]], most: int, seed: int) -> dict[Target, tuple[Judged, ...]]:
    """Of each category some source pictures, the first picture of each, positives first; always the same ones."""
    found: dict[Target, tuple[Judged, ...]] = {}
    for target, rows in judged.items():
        positives = list(_first(row for row in rows if row.label))
        taken = {row.source_id for row in positives}
        negatives = list(_first(row for row in rows if not row.label and row.source_id not in taken))
        ordered = [sorted(side, key=lambda row: _place(row, seed)) for side in (positives, negatives)]
        half = most // 2
        some = ordered[0][: max(half, most - len(negatives))] + ordered[1][: max(half, most - len(positives))]
        picked = set(map(id, some))
        found[target] = tuple(row for row in rows if id(row) in picked)
    return found


def _first(rows: Iterable[Judged]) -> Iterable[Judged]:
    return {row.source_id: row for row in reversed(list(rows))}.values()


def _place(row: Judged, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\n{row.source_id}".encode()).digest()


def compare(before: Column, after: Column, change: str, threshold: float, *, rounds: int, seed: int) -> Changed:
    """Compare two columns of the same pictures; what is unknown in one is left out of both, and counted."""
    both = ~np.isnan(before.scores) & ~np.isnan(after.scores)
    kept = Column(np.where(both, after.scores, np.nan), after.labels, after.sources, after.names)
    counted = counts(kept)
    if counted.too_few:
        return Changed(change, threshold, counted, dict.fromkeys(_NAMES, NONE), dict.fromkeys(_NAMES, NONE))
    old, new = (Ranking(one.scores[both], one.labels[both]) for one in (before, after))
    ones = np.ones(int(both.sum()))
    pairs = [
        (old.weighted(w).at(threshold), new.weighted(w).at(threshold))
        for w in weightings(after.sources[both], rounds, seed)
    ]
    now = (old.weighted(ones).at(threshold), new.weighted(ones).at(threshold))
    told: dict[str, Estimate] = {}
    moved: dict[str, Estimate] = {}
    for name in _NAMES:
        told[name] = _estimate(name, [now], pairs, lambda _, b: b)
        moved[name] = _estimate(name, [now], pairs, lambda a, b: b - a)
    return Changed(change, threshold, counted, told, moved)


Pair = tuple[AtThreshold, AtThreshold]


def _estimate(
    name: str, now: Sequence[Pair], drawn: Sequence[Pair], how: Callable[[Numbers, Numbers], Numbers]
) -> Estimate:
    value, rounds = (
        np.concatenate([how(getattr(before, name), getattr(after, name)) for before, after in some])
        for some in (now, drawn)
    )
    return interval(float(value[0]), rounds)
