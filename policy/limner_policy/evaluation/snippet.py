"""What a pack can take over from an evaluation: `calibration.yaml`, with thresholds as they stand in rules.

A concept's calibration is written for the margin that its detector measures, and thresholds for the scores it gives
then. Other detectors have no calibration in a pack: their thresholds are of the scores as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

import numpy as np

from limner_policy.concepts import CONCEPT_DETECTORS, Concept
from limner_policy.evaluation.analysing import Analysis
from limner_policy.evaluation.calibrating import logit, sigmoid
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


def moved(threshold: float, one: Analysis, *, up: bool = False) -> str:
    """A threshold of the scores as they are, as one of the calibrated scores; rounded so that the same is flagged."""
    found = one.calibration
    assert found is not None
    assert found.scale is not None
    assert found.offset is not None
    value = float(sigmoid(found.scale * logit(np.array([threshold])) + found.offset)[0])
    return f"{Decimal(value).quantize(_SIX, ROUND_CEILING if up else ROUND_FLOOR):.6f}"


def snippet(found: Evaluation, lines: Mapping[tuple[str, str], Line], concepts: Mapping[str, Concept]) -> str:
    """The whole file.

    Args:
        found: the evaluation.
        lines: of concepts, by detector and category, where the detector can say them.
        concepts: the packs' concepts by name.
    """
    parts = [_head(found)]
    written = {
        one.target.category: made
        for one in found.analyses
        if one.target.detector in CONCEPT_DETECTORS
        and one.stamp.digest
        and (made := recalibrated(one, lines.get((one.target.detector, one.target.category))))
    }
    if written:
        parts.append("concepts:\n" + "".join(_concept(found, one, written, concepts) for one in found.analyses))
    parts.append("# For rules, under `when:`\n" + "".join(_rule(one, written) for one in found.analyses))
    return "\n".join(parts)


def _head(found: Evaluation) -> str:
    return (
        f"# From `limner safety eval`, evaluation {found.id}.\n"
        f"# {found.pictures:,} pictures, data set {found.dataset}.\n"
        "# Merge each calibration into the concept of your pack, and take the thresholds into its rules. It holds for\n"
        "# one model, one wording and pictures like those, and its probabilities for as many positives among them.\n"
    )


def _concept(found: Evaluation, one: Analysis, written: Mapping[str, Line], concepts: Mapping[str, Concept]) -> str:
    line = written.get(one.target.category)
    if line is None or one.target.detector not in CONCEPT_DETECTORS:
        return ""
    concept = concepts.get(one.target.category)
    prompts = [f"      prompts: {concept.prompts_sha256}"] if concept else []
    rows = [
        f"  {one.target.category}:",
        "    calibration:",
        f"      weights: {one.stamp.digest}",
        f'      scale: "{_decimal(line.scale)}"',
        f'      offset: "{_decimal(line.offset)}"',
        f"      evaluation: {found.id}",
        *prompts,
    ]
    return "\n".join(rows) + "\n"


def _decimal(value: float) -> str:
    return f"{Decimal(value).quantize(_SIX, ROUND_HALF_EVEN):.6f}"


def _rule(one: Analysis, written: Mapping[str, Line]) -> str:
    rows = list(_rule_lines(one, calibrated=one.target.category in written))
    return "".join(f"{row}\n" for row in rows)


def _rule_lines(one: Analysis, *, calibrated: bool) -> Iterable[str]:
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
        yield f"#   a band that people look at{'' if one.band.shown else ' (its guarantees do not reach their aims)'}:"
        yield f'#   evidence: {{{asked}, review_from: "{low}", at_least: "{high}"}}'


def _reached(told: object) -> str:
    from limner_policy.evaluation.measures import Measures

    if not isinstance(told, Measures) or not told.at:
        return ""
    (working,) = told.at.values()
    return f" (on the other half: recall {_two(working.recall.value)}, precision {_two(working.precision.value)})"


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
