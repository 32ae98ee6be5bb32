"""A finding of lint: where, of which rule, what is the matter, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

KINDS: Mapping[str, str] = {
    "dead": "a rule that can never act, or will never act again",
    "never-true": "a part of a condition that can never hold",
    "shadowed": "a rule that never changes a decision, since another asks for at least as much wherever it holds",
    "contradictory": "rules, or a rule and its own outcome, that say opposite things",
    "overdue": "a rule or pack whose `review_by` is over",
    "review-soon": "a rule or pack whose `review_by` is near",
    "stale-source": "a source that was read long ago, or a list that is older than its owner allows",
    "read-later": "a source whose day of reading lies in the future",
    "no-executor": "a duty that this version knows and cannot carry out",
    "unsafe": "a pack that can refuse nothing",
    "no-example": "a rule without examples",
    "unused": "a source, list, concept or handling that no rule uses",
    "lenient": "a severe rule that lets pass what cannot be decided",
    "no-detector": "a detector that is not installed here",
    "no-contrast": "a concept that is held against nothing",
    "no-calibration": "a concept whose score is not held against an evaluation",
}


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One finding. `line` counts from 1; `kind` is one of `KINDS`; a `note` alone leaves lint's answer good."""

    file: str
    line: int
    rule: str
    kind: str
    message: str
    remedy: str
    note: bool = False

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: {self.rule + ': ' if self.rule else ''}"
        return f"{where}{'note: ' if self.note else ''}{self.message} [{self.kind}]. {self.remedy}."

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON data."""
        return asdict(self)
