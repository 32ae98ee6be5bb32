"""What an evaluation has to reach: `recall>=0.9`, or `nsfw/nsfw:precision>=0.95` for one category."""

from __future__ import annotations

import re
from dataclasses import dataclass

from limner_policy.errors import EvaluationInvalid

FIGURES = ("recall", "precision", "f1", "fpr", "auroc", "auprc", "fpr_at_95_tpr", "ece", "brier")
_WRITTEN = re.compile(
    r"\s*(?:(?P<category>[^:]+):)?(?P<figure>\w+)\s*(?P<sign>>=|<=)\s*(?P<bound>0(\.\d+)?|1(\.0+)?)\s*"
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """A bound on a figure; `category` is empty for every category, else `category` or `detector/category`."""

    text: str
    category: str
    figure: str
    at_least: bool
    bound: float

    def concerns(self, detector: str, category: str) -> bool:
        """Whether it is about that category."""
        return self.category in {"", category, f"{detector}/{category}"}

    def holds(self, value: float | None) -> bool:
        """Whether a figure reaches it; one that is not there never does."""
        return value is not None and (value >= self.bound if self.at_least else value <= self.bound)


def requirement(text: str) -> Requirement:
    """Read one.

    Raises:
        EvaluationInvalid: it is none; says how one is written.
    """
    found = _WRITTEN.fullmatch(text)
    if found is None or found["figure"] not in FIGURES:
        raise EvaluationInvalid(
            f"--require {text!r} is no requirement.",
            remedy=f"Write FIGURE>=0.9 or CATEGORY:FIGURE<=0.05. Figures: {', '.join(FIGURES)}.",
        )
    return Requirement(
        text.strip(), (found["category"] or "").strip(), found["figure"], found["sign"] == ">=", float(found["bound"])
    )
