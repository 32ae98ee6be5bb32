"""How a picture came to be, by IPTC's vocabulary: one table of all our cases (docs/credentials.md shows it).

Data and one look-up. Must not know manifests, engines or files.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple

_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


class DigitalSourceType(StrEnum):
    """How a picture came to be (https://cv.iptc.org/newscodes/digitalsourcetype/, read in November 2026)."""

    TRAINED_ALGORITHMIC_MEDIA = _IPTC + "trainedAlgorithmicMedia"
    COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA = _IPTC + "compositeWithTrainedAlgorithmicMedia"
    ALGORITHMIC_MEDIA = _IPTC + "algorithmicMedia"
    ALGORITHMICALLY_ENHANCED = _IPTC + "algorithmicallyEnhanced"
    COMPOSITE = _IPTC + "composite"


Start = Literal["nothing", "model", "algorithm", "other"]
"""What a picture was made from: no picture; one that a model alone made; one that a plain algorithm made; any other.

`other` is a photograph or a drawing, and every picture of which nothing is known: without whole credentials it may
be one.
"""
Engine = Literal["model", "test"]
"""What made it: a trained model, or the `test` provider's plain algorithm."""


class Case(NamedTuple):
    """One row: engine and start, and what the picture is then."""

    engine: Engine
    start: Start
    type: DigitalSourceType


_T = DigitalSourceType
CASES = (
    Case("model", "nothing", _T.TRAINED_ALGORITHMIC_MEDIA),
    Case("model", "model", _T.TRAINED_ALGORITHMIC_MEDIA),
    Case("model", "algorithm", _T.TRAINED_ALGORITHMIC_MEDIA),
    Case("model", "other", _T.COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA),
    Case("test", "nothing", _T.ALGORITHMIC_MEDIA),
    Case("test", "algorithm", _T.ALGORITHMIC_MEDIA),
    Case("test", "model", _T.COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA),
    Case("test", "other", _T.COMPOSITE),
)
"""Every engine with every start. The task decides nothing beyond these two: img2img, inpaint, outpaint, variation and
upscale all start from a picture that shows in the result, and our upscalers are models that draw new detail."""

_BY = {(case.engine, case.start): case.type for case in CASES}
_STARTS: dict[str, Start] = {_T.TRAINED_ALGORITHMIC_MEDIA: "model", _T.ALGORITHMIC_MEDIA: "algorithm"}


def source_type_for(*, start: Start = "nothing", test_provider: bool = False) -> DigitalSourceType:
    """Choose the digital source type.

    Args:
        start: What the picture was made from.
        test_provider: It was drawn by a plain algorithm.
    """
    return _BY["test" if test_provider else "model", start]


def start_of(state: str, source_type: str | None) -> Start:
    """Say what a given picture is to start from, by its credentials.

    Args:
        state: Their state; only those that are whole (`valid` or `trusted`) are believed.
        source_type: What they state.
    """
    whole = state in {"valid", "trusted"}
    return _STARTS.get(source_type or "", "other") if whole else "other"
