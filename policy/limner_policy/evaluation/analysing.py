"""Everything that is calculated of one category: figures, slices, calibration, thresholds, band."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from limner_policy.evaluation.calibrating import Calibration, best, calibrate
from limner_policy.evaluation.column import Column
from limner_policy.evaluation.judged import Judged, Stamp, Target, to_column
from limner_policy.evaluation.measures import Measures, measure
from limner_policy.evaluation.reliability import Reliability, reliability
from limner_policy.evaluation.robustness import Changed
from limner_policy.evaluation.thresholds import Band, Chosen, band, choose

USUAL = 0.5
"""The threshold where neither a pack nor the caller names one."""
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Settings:
    """What an evaluation rests on beside scores and labels.

    `rounds` and `seed` are those of the bootstrap; the seed parts the halves too. `at` are thresholds to tell figures
    at, beside the pack's.
    """

    precision: float = 0.95
    recall: float = 0.95
    at: tuple[float, ...] = ()
    rounds: int = 1000
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Analysis:
    """One category; where its pictures are too few, only counts."""

    target: Target
    stamp: Stamp
    column: Column
    thresholds: tuple[float, ...]
    whole: Measures
    slices: tuple[tuple[str, str, Measures], ...]
    unknown: Mapping[str, int]
    reliability: Reliability | None = None
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    chosen: tuple[Chosen, ...] = ()
    band: Band | str = ""
    surprises: tuple[tuple[str, Judged], ...] = ()
    robustness: tuple[Changed, ...] = ()
    named: bool = True
    """Whether a pack or the caller named thresholds; else `thresholds` holds the usual one alone."""

    @property
    def calibration(self) -> Calibration | None:
        """The calibration that a pack can take over."""
        return best(self.calibrations) if self.calibrations else None

    @property
    def working_threshold(self) -> float:
        """Where changes of pictures are tried: at the highest named threshold, else the one chosen for recall."""
        if self.named:
            return self.thresholds[-1]
        found = [one.threshold for one in self.chosen if one.aim == "recall" and one.threshold is not None]
        return found[0] if found else USUAL


def analyse(
    target: Target, stamp: Stamp, rows: Sequence[Judged], written: Sequence[float], settings: Settings
) -> Analysis:
    """Calculate everything of one category but what changes of its pictures do.

    Args:
        target: the category.
        stamp: its detector.
        rows: its labelled pictures.
        written: thresholds of the pack for it.
        settings: see there.
    """
    of = to_column(rows)
    named = tuple(sorted({*written, *settings.at}))
    thresholds = named or (USUAL,)
    drawn = {"rounds": settings.rounds, "seed": settings.seed}
    whole = measure(of, thresholds, **drawn)
    slices = tuple((name, value, measure(part, thresholds, **drawn)) for name, value, part in of.parts())
    unknown = Counter(row.reason for row in rows if row.score is None)
    bare = Analysis(
        *(target, stamp, of, thresholds, whole, slices),
        unknown=dict(sorted(unknown.items())),
        named=bool(named),
    )
    if whole.counts.too_few:
        return bare
    known = of.known
    return replace(
        bare,
        reliability=reliability(known.scores, known.labels, known.sources, **drawn),
        calibrations=calibrate(known, **drawn),
        chosen=(
            choose(of, "recall", settings.recall, **drawn),
            choose(of, "precision", settings.precision, **drawn),
        ),
        band=band(of, recall=settings.recall, precision=settings.precision, seed=settings.seed),
        surprises=tuple(_surprises(rows)),
    )


def _surprises(rows: Sequence[Judged]) -> list[tuple[str, Judged]]:
    """The positives with the lowest scores, and the negatives with the highest."""
    known = [row for row in rows if row.score is not None]
    low = sorted((row for row in known if row.label), key=lambda row: (row.score or "", row.picture, row.file))
    high = sorted((row for row in known if not row.label), key=lambda row: (row.score or "", row.picture, row.file))
    missed = [("positive with a low score", row) for row in low[:_SHOWN]]
    return missed + [("negative with a high score", row) for row in reversed(high[-_SHOWN:])]
