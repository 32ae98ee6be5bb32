"""Intervals of 95 % by drawing distinct source pictures anew, each with all pictures made from it.

Ten copies of one photograph are one observation, not ten: drawing pictures would make intervals too narrow. Proportions
never get a narrower interval than the exact one of Clopper and Pearson on the number of source pictures, since a
bootstrap of a proportion without a single miss says that no miss can happen. Knows numbers only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from limner_policy.errors import EvaluationUnavailable
from limner_policy.evaluation.column import Codes
from limner_policy.evaluation.curves import Numbers

LEVEL = 0.95
_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval; `low` and `high` are None where it has none, `value` where there is no figure."""

    value: float | None
    low: float | None = None
    high: float | None = None


def weightings(sources: Codes, rounds: int, seed: int) -> Iterator[Numbers]:
    """How often each picture is drawn, in blocks of shape (some rounds, n), `rounds` in all.

    Every source is as likely as any other; a source that is drawn brings all its pictures.
    """
    distinct, place = np.unique(sources, return_inverse=True)
    count = len(distinct)
    chance = np.random.default_rng(seed)
    block = max(1, min(rounds, _CELLS // max(len(sources), 1)))
    for start in range(0, rounds, block):
        drawn = chance.multinomial(count, np.full(count, 1 / count), size=min(block, rounds - start))
        yield drawn[:, place].astype(np.float64)


def interval(value: float, drawn: Numbers) -> Estimate:
    """The percentile interval of a figure, of the rounds in which it could be calculated.

    None where every round gives the same: such a bootstrap has seen no variation and can tell none.
    """
    if not np.isfinite(value):
        return Estimate(None)
    kept = drawn[np.isfinite(drawn)]
    if len(kept) < max(len(drawn) // 2, 2) or np.ptp(kept) == 0:
        return Estimate(float(value))
    low, high = np.quantile(kept, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(value), float(min(low, value)), float(max(high, value)))


def exact(share: float, count: int, level: float = LEVEL) -> tuple[float, float]:
    """The interval of Clopper and Pearson for a share of `count` observations, two-sided."""
    return below(share, count, (1 - level) / 2), above(share, count, (1 - level) / 2)


def above(share: float, count: int, risk: float) -> float:
    """The exact upper bound of a share that was seen in `count` observations, wrong with probability `risk`."""
    hits = share * count
    return 1.0 if hits >= count else float(_beta(hits + 1, count - hits, 1 - risk))


def below(share: float, count: int, risk: float) -> float:
    """The exact lower bound."""
    hits = share * count
    return 0.0 if hits <= 0 else float(_beta(hits, count - hits + 1, risk))


def _beta(a: float, b: float, at: float) -> float:
    try:
        from scipy.special import betaincinv
    except ImportError as error:
        raise EvaluationUnavailable(
            f"evaluating needs {error.name}, which is not installed.",
            remedy="Install it: pip install 'limner[evaluation]'.",
        ) from None
    return float(betaincinv(a, b, at))


def proportion(value: float, drawn: Numbers, count: int) -> Estimate:
    """The wider of both intervals for a share whose denominator rests on `count` source pictures."""
    found = interval(value, drawn)
    if found.value is None or count < 1:
        return found
    low, high = exact(value, count)
    return Estimate(
        found.value,
        low if found.low is None else min(low, found.low),
        high if found.high is None else max(high, found.high),
    )
