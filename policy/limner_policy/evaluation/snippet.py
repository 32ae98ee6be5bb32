"""What a pack can take over from an evaluation: `calibration.yaml`, with thresholds as they stand in rules.

A concept's calibration is written for the margin that its detector measures, and thresholds for the scores it gives
then. Other detectors have no calibration in a pack: their thresholds are of the scores as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

import numpy as np

from limner_policy.concepts import CONCEPT_DETECTORS, Concept
from limner_policy.evaluation.analysing import Analysis
from limner_policy.evaluation.calibrating import logit, sigmoid
from limner_policy.evaluation.measures import Measures
from limner_policy.evaluation.results import Evaluation
from limner_policy.evaluation.thresholds import Band

NAME = "calibration.yaml"
_SIX = Decimal("0.000001")
_MOST = 999_999


@dataclass(frozen=True, slots=True)
class Line:
    """How a concept's detector makes a score of its margin now: sigmoid(scale·margin + offset)."""

    scale: float
    offset: float


def recalibrated(one: Analysis, line: Line | None) -> Line | None:
    """The line that a concept's calibration is to have; None where there is none, or it would turn scores round."""
    found = one.calibration
    if found is None or line is None or found.scale is None or found.offset is None:
        return None
    made = Line(found.scale * line.scale, found.scale * line.offset + found.offset)
    fits = float(_SIX) <= made.scale <= _MOST and abs(made.offset) <= _MOST
    return made if fits else None


def moved(threshold: float, one: Analysis) -> str:
    """A threshold of the scores as they are, as one of calibrated scores; rounded down so that the same is flagged."""
    found = one.calibration
    assert found is not None
    assert found.scale is not None
    assert found.offset is not None
    value = float(sigmoid(found.scale * logit(np.array([threshold])) + found.offset)[0])
    return f"{Decimal(value).quantize(_SIX, ROUND_FLOOR):.6f}"


def snippet(found: Evaluation, lines: Mapping[tuple[str, str], Line], concepts: Mapping[str, Concept]) -> str:
    """The whole file.

    Args:
        found: the evaluation.
        lines: of concepts, by detector and category, where the detector can say them.
        concepts: the packs' concepts by name.
    """
    parts = [_head(found)]
    written = {
        one.target: made
        for one in found.analyses
        if one.target.detector in CONCEPT_DETECTORS
        and one.stamp.digest
        and (made := recalibrated(one, lines.get((one.target.detector, one.target.category))))
    }
    if written:
        calibrated = (one for one in found.analyses if one.target in written)
        rows = (_concept(found.id, one, written[one.target], concepts) for one in calibrated)
        parts.append("concepts:\n" + "".join(rows))
    rules = (row for one in found.analyses for row in _rule(one, calibrated=one.target in written))
    parts.append("# For rules, under `when:`\n" + "".join(f"{row}\n" for row in rules))
    return "\n".join(parts)


def _head(found: Evaluation) -> str:
    return (
        f"# From `limner safety eval`, evaluation {found.id}.\n"
        f"# {found.pictures:,} pictures, data set {found.dataset}.\n"
        "# Merge each calibration into the concept of your pack, and take the thresholds into its rules. It holds for\n"
        "# one model, one wording and pictures like those, and its probabilities for as many positives among them.\n"
    )


def _concept(evaluation: str, one: Analysis, line: Line, concepts: Mapping[str, Concept]) -> str:
    concept = concepts.get(one.target.category)
    prompts = [f"      prompts: {concept.prompts_sha256}"] if concept else []
    rows = [
        f"  {one.target.category}:",
        "    calibration:",
        f"      weights: {one.stamp.digest}",
        f'      scale: "{_decimal(line.scale)}"',
        f'      offset: "{_decimal(line.offset)}"',
        f"      evaluation: {evaluation}",
        *prompts,
    ]
    return "\n".join(rows) + "\n"


def _decimal(value: float) -> str:
    return f"{Decimal(value).quantize(_SIX, ROUND_HALF_EVEN):.6f}"


def _rule(one: Analysis, *, calibrated: bool) -> Iterator[str]:
    def said(threshold: float) -> str:
        return moved(threshold, one) if calibrated else f"{threshold:.6f}"

    yield f"# {one.target}"
    if one.whole.counts.too_few:
        yield f"#   {one.whole.counts.too_few}"
        return
    asked = f"detector: {one.target.detector}, category: {one.target.category}"
    for chosen in one.chosen:
        if chosen.threshold is None:
            yield f"#   {chosen.aim} of {chosen.target:g}: {chosen.why_not}"
            continue
        yield f"#   {chosen.aim} of {chosen.target:g}{_reached(chosen.told)}:"
        yield f'#   evidence: {{{asked}, at_least: "{said(chosen.threshold)}"}}'
    if isinstance(one.band, Band) and one.band.high is not None:
        low, high = said(one.band.low or 0.0), said(one.band.high)
        # Scores of six decimals sort as numbers; a pack refuses a `review_from` that is not below the threshold.
        what, review = ("a band that people look at", f'review_from: "{low}", ') if low < high else ("no band", "")
        yield f"#   {what}{'' if one.band.shown else ' (its guarantees do not reach their aims)'}:"
        yield f'#   evidence: {{{asked}, {review}at_least: "{high}"}}'


def _reached(told: Measures | None) -> str:
    if told is None or not told.at:
        return ""
    (working,) = told.at.values()
    return f" (on the other half: recall {_two(working.recall.value)}, precision {_two(working.precision.value)})"


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
