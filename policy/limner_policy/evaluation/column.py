"""The pictures of one category as numbers: what every figure is calculated from. Knows no file and no detector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from limner_policy.evaluation.curves import Flags, Numbers

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Column:
    """Labelled pictures of one category, all arrays of one length n, in the order of the data set.

    `scores` lie in 0…1 with 6 decimals, NaN where unknown; `sources` numbers the distinct source pictures from 0;
    `slices` gives for a slice's name each picture's value, empty where it has none.
    """

    scores: Numbers
    labels: Flags
    sources: Codes
    names: tuple[str, ...]
    slices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, mask: Flags) -> Column:
        """The pictures where `mask` holds."""
        kept = np.flatnonzero(mask)
        slices = {name: tuple(values[place] for place in kept) for name, values in self.slices.items()}
        names = tuple(self.names[place] for place in kept)
        return Column(self.scores[kept], self.labels[kept], self.sources[kept], names, slices)

    @property
    def known(self) -> Column:
        """Those that have a score."""
        return self.take(~np.isnan(self.scores))

    def distinct(self, mask: Flags) -> int:
        """How many source pictures stand behind the pictures where `mask` holds."""
        return len(np.unique(self.sources[mask]))

    def parts(self) -> Iterator[tuple[str, str, Column]]:
        """Every slice with every value it has, sorted: name, value, pictures."""
        for name, values in sorted(self.slices.items()):
            for value in sorted(set(values) - {""}):
                yield name, value, self.take(np.array([one == value for one in values]))


def column(
    scores: Sequence[float | None],
    labels: Sequence[bool],
    sources: Sequence[str],
    slices: Mapping[str, Sequence[str]] | None = None,
) -> Column:
    """Make a column of plain values; None is an unknown score."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(sources))}
    return Column(
        np.array([np.nan if score is None else score for score in scores], dtype=np.float64),
        np.array(labels, dtype=bool),
        np.array([numbers[source] for source in sources], dtype=np.int64),
        tuple(sources),
        {name: tuple(values) for name, values in (slices or {}).items()},
    )
