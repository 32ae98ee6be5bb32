"""Words: the concepts of ``clip_concepts.toml``, and every word that a picture is learned with.

It reads names and tables, and knows nothing about pixels or models.
"""

from __future__ import annotations

import random
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from limner_starter.captions import framed
from limner_starter.packages import NAMES, package
from limner_starter.selection import plain
from limner_starter.workspace import read_json

_BY_NAME = 0.6


@dataclass(frozen=True)
class Concept:
    """One concept and its words.

    Attributes:
        name: As a policy pack calls it.
        names: The pictures that show it.
        unclear: The pictures that may or may not: neither learned nor counted.
        positive: Prompts for it.
        contrast: Prompts for everything else, the easily mistaken first.
    """

    name: str
    names: frozenset[str]
    unclear: frozenset[str]
    positive: tuple[str, ...]
    contrast: tuple[str, ...]

    def label(self, name: str) -> bool | None:
        """Whether the picture called ``name`` shows it; ``None`` where that is unclear."""
        return None if name in self.unclear else name in self.names


@cache
def table() -> Mapping[str, Any]:
    """The shipped ``clip_concepts.toml``, read once: every step of training asks for its sentences."""
    text = resources.files("limner_starter").joinpath("clip_concepts.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def concepts(rows: Mapping[str, Any] | None = None) -> tuple[Concept, ...]:
    """The concepts of a table; of the shipped one where none is given."""
    rows = table() if rows is None else rows
    return tuple(
        Concept(
            name,
            frozenset(row["names"]),
            frozenset(row["unclear"]),
            tuple(row["positive"]),
            (*row["near"], *rows["general"]),
        )
        for name, row in rows["concept"].items()
    )


def templates() -> tuple[str, ...]:
    """The sentences around a concept's words, over which its prompt is averaged."""
    return tuple(table()["templates"])


def words(names: Sequence[str], tags: Sequence[Sequence[str]], packages: Path | None) -> list[tuple[str, ...]]:
    """Every word that each of ``names`` is learned with: itself, keywords, phrases, words of its group."""
    rows = table()
    phrases: dict[str, set[str]] = {}
    for phrase, shown in rows["phrases"].items():
        for name in shown:
            phrases.setdefault(name, set()).add(phrase)
    groups = _groups(rows, packages) if packages else {}
    return [
        tuple(sorted({name, *own, *phrases.get(name, ()), *groups.get(name, ())}))
        for name, own in zip(names, tags, strict=True)
    ]


def _groups(rows: Mapping[str, Any], packages: Path) -> dict[str, list[str]]:
    path = package(packages, NAMES) / "en" / "data.json"
    return {
        plain(row["label"]): [
            *rows["groups"].get(str(row.get("group")), ()),
            *rows["subgroups"].get(str(row.get("subgroup")), ()),
        ]
        for row in read_json(path)
    }


class ClipCaptioner:
    """Draws captions, each with the word it is about.

    A picture and a caption belong together where the picture is learned with that word, so "a drawing of an animal"
    belongs to every animal of a batch and contradicts none.
    """

    def __init__(self, names: Sequence[str], vocabulary: Sequence[Sequence[str]]) -> None:
        self.names = tuple(names)
        self._words = vocabulary
        self._uses = Counter(word for row in vocabulary for word in row)

    def caption(self, index: int, rng: random.Random) -> tuple[str, str]:
        """A caption of the picture called ``names[index]``, and its word: the name, or one of its words."""
        if rng.random() < _BY_NAME:
            return framed(self.names[index], rng), self.names[index]
        row = self._words[index]
        # Rare words say more, but the broad ones must be learned too.
        word = rng.choices(row, [self._uses[word] ** -0.4 for word in row])[0]
        return framed(word, rng), word


def corpus(names: Sequence[str], vocabulary: Sequence[Sequence[str]]) -> list[str]:
    """What the tokenizer learns its merges from."""
    prompts = [word for concept in concepts() for word in (*concept.positive, *concept.contrast)]
    spoken = [framed("", random.Random(number)) for number in range(200)]  # noqa: S311 - training data
    return [*names, *names, *(word for row in vocabulary for word in row), *prompts, *prompts, *spoken, *templates()]
