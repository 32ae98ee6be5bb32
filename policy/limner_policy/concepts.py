"""Concepts of a pack: what a detector that knows pictures and words is asked for. Plain values; no model, no file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal

CONCEPT_DETECTORS = frozenset({"clip"})
"""Detectors whose categories are concepts of the pack: a rule that names them can name no other category."""

PLACE = "{}"
"""Where a template holds the prompt."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a margin becomes a score: `1 / (1 + exp(-(scale * margin + offset)))`.

    It holds for the detector with the digest `weights` alone, since scores do not carry over from one model to another;
    with `prompts` for that wording alone. `evaluation` names what it was fitted in.
    """

    weights: str
    scale: Decimal
    offset: Decimal
    evaluation: str = ""
    prompts: str = ""


@dataclass(frozen=True, slots=True)
class Concept:
    """One concept: what it looks like, what is easily taken for it, and how both are put into a sentence.

    The score rests on the margin: the likeness of the nearest of `positive` less that of the nearest of `contrast`,
    each prompt being the mean over `templates`, where `{}` stands for it.
    """

    name: str
    positive: tuple[str, ...] = ()
    contrast: tuple[str, ...] = ()
    templates: tuple[str, ...] = (PLACE,)
    calibration: Calibration | None = None

    @property
    def prompts_sha256(self) -> str:
        """SHA-256 of the wording: prompts and templates in their order, as canonical JSON."""
        worded = {"contrast": self.contrast, "positive": self.positive, "templates": self.templates}
        text = json.dumps(worded, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()
