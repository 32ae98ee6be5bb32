"""One picture's score for one category beside its label: what figures, files and columns are made of."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from limner_policy.evaluation.column import Column, column

_SHORT = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """A detector's category, held against one label of the data set."""

    detector: str
    category: str
    label: str

    def __str__(self) -> str:
        return f"{self.detector}/{self.category}"


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which detector gave scores: name, version, SHA-256 of its weights (empty: not told, or without weights)."""

    name: str
    version: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A picture, its label, and its score as text of six decimals, or None with the reason why there is none.

    `picture` is the SHA-256 of its file, where that is known; `source_id` stands for the distinct source picture (see
    `source_id`); `file` is only for who asks for names.
    """

    picture: str
    file: str
    source_id: str
    label: bool
    score: str | None
    reason: str = ""
    slices: Mapping[str, str] = field(default_factory=dict)


def source_id(source: str) -> str:
    """Sixteen hex digits that stand for a source picture and tell nothing of its name; such digits stay as they are."""
    return source if _SHORT.fullmatch(source) else hashlib.sha256(source.encode()).hexdigest()[:16]


def to_column(rows: Sequence[Judged]) -> Column:
    """The numbers of one target's rows."""
    names = sorted({name for row in rows for name in row.slices})
    return column(
        [None if row.score is None else float(row.score) for row in rows],
        [row.label for row in rows],
        [row.source_id for row in rows],
        {name: [row.slices.get(name, "") for row in rows] for name in names},
    )


def canonical(value: Any) -> str:
    """Canonical JSON of data without floats."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any) -> str:
    """SHA-256 of canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def dataset_digest(judged: Mapping[Target, Sequence[Judged]]) -> str:
    """SHA-256 over what each row says: picture (or file), source, slices and labels, in no order."""
    return digest(sorted(_said(judged)))


def _said(judged: Mapping[Target, Sequence[Judged]]) -> Iterable[list[Any]]:
    seen: dict[str, list[Any]] = {}
    for target, rows in judged.items():
        for row in rows:
            said = [row.picture or row.file, row.source_id, sorted(row.slices.items()), target.label, row.label]
            seen[canonical(said)] = said
    return seen.values()
