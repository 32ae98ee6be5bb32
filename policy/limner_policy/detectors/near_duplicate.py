"""The detector `near-duplicate`: how close a picture is to one of a list of perceptual hashes (see `perceptual.py`).

Its categories are lists of the pack, of hashes instead of words; the pictures behind the hashes are not needed.
Knows hashes and lists, no thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from limner_policy.detectors import perceptual
from limner_policy.detectors.base import Pixels, scored
from limner_policy.detectors.perceptual import Bits
from limner_policy.errors import DetectorError
from limner_policy.types import Evidence
from limner_policy.wordlists import WordList

_REMEDY = "Make the list with `python -m limner_policy.detectors.phash FOLDER`."


class NearDuplicateDetector:
    """Scores a picture against each list: 1 for an equal hash, 0 for what differs as unrelated pictures do.

    The score is that of the nearest hash, the picture being held against it in its eight mirrored and quarter-turned
    forms: `1 - distance / 128`, distance in bits of 256. A picture of one colour is like nothing.
    """

    name = "near-duplicate"
    version = perceptual.VERSION
    digest = ""
    stage = "image"
    batch = 32

    def __init__(self, lists: Mapping[str, Bits] | None = None) -> None:
        """Keep the hashes of each category: uint8 arrays of shape (n, 32); without any, it answers nothing."""
        self._lists = dict(sorted((lists or {}).items()))

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of its lists."""
        return tuple(self._lists)

    def with_lists(self, lists: Mapping[str, WordList]) -> Self:
        """The detector with these lists as its categories.

        Raises:
            DetectorError: a list holds something else than hashes.
        """
        return type(self)({name: read_hashes(one) for name, one in lists.items()})

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score uint8 RGB arrays of shape (height, width, 3)."""
        return [self._score(perceptual.hashes(image)) for image in images]

    def _score(self, found: Bits | None) -> list[Evidence]:
        return [scored(self, name, _nearest(found, known)) for name, known in self._lists.items()]


def read_hashes(listed: WordList) -> Bits:
    """The hashes of a list: a uint8 array of shape (n, 32).

    Raises:
        DetectorError: the list holds something else; names the first such row.
    """
    import numpy as np

    where = f"list {listed.name}" + (f" ({listed.file})" if listed.file else "")
    if listed.entities:
        raise DetectorError(f"{where} holds entities and no hashes.", remedy=_REMEDY)
    rows = [_read_hash(text, number, where) for number, text in enumerate(listed.terms, start=1)]
    return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(-1, 32)


def _read_hash(text: str, number: int, where: str) -> bytes:
    try:
        if len(text) == perceptual.HEX_LENGTH:
            return bytes.fromhex(text)
    except ValueError:
        pass
    shown = text if len(text) <= 40 else text[:40] + "…"
    raise DetectorError(
        f"{where}: row {number} is no hash of {perceptual.HEX_LENGTH} hex digits: {shown}", remedy=_REMEDY
    )


def _nearest(found: Bits | None, known: Bits) -> float:
    return (
        0.0 if found is None or not len(known) else perceptual.likeness(int(perceptual.distances(found, known).min()))
    )
