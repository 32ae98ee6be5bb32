"""What is the matter with a pack's concepts: unused, without contrast, or without a calibration.

Pure, like all of lint; which weights will look at pictures is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator

from limner_policy.concepts import CONCEPT_DETECTORS, Concept
from limner_policy.pack import Pack
from limner_policy.tools.findings import Finding
from limner_policy.tools.outline import Outline


def concept_findings(pack: Pack, lines: Outline) -> Iterator[Finding]:
    """Give the findings about the concepts of one pack."""
    asked = {node.category for rule in pack.rules for node in rule.evidence if node.detector in CONCEPT_DETECTORS}
    for concept in pack.concepts:
        line = lines.of("concepts", concept.name)
        if concept.name not in asked:
            told = f"no rule asks for concept {concept.name}"
            remedy = "Delete it, or use it in an `evidence` of the detector clip"
            yield Finding(pack.file, line, "", "unused", told, remedy, note=True)
            continue
        yield from _of_concept(pack, concept, line)


def _of_concept(pack: Pack, concept: Concept, line: int) -> Iterator[Finding]:
    if not concept.contrast:
        told = f"concept {concept.name} has no contrast prompts"
        if concept.calibration is None:
            told += " and no calibration, so its score is always unknown"
        remedy = "Write under `contrast` what is easily taken for it, and what pictures show otherwise"
        yield Finding(pack.file, line, "", "no-contrast", told, remedy, note=concept.calibration is not None)
    elif concept.calibration is None:
        told = f"concept {concept.name} has no calibration: its score says which prompt is nearer, not how sure that is"
        yield Finding(
            pack.file, line, "", "no-calibration", told, "Run `limner safety eval` on your pictures", note=True
        )
    elif not concept.calibration.evaluation:
        told = f"the calibration of concept {concept.name} names no evaluation"
        yield Finding(pack.file, line, "", "no-calibration", told, "Write its id under `evaluation`", note=True)
