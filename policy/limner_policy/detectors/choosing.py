"""Which detectors active rules need, made ready with the packs' own lists.

Knows packs, rules and the registry; it runs no detector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from limner_policy.concepts import Concept
from limner_policy.conditions import EvidenceAtLeast, walk
from limner_policy.detectors import credentials
from limner_policy.detectors.base import ConceptDetector, Detector, ListDetector
from limner_policy.detectors.registry import load_detectors
from limner_policy.detectors.settings import Place
from limner_policy.engine import required_detectors
from limner_policy.errors import DetectorError
from limner_policy.pack import Pack
from limner_policy.types import Stage
from limner_policy.wordlists import WordList


def detectors_for(
    packs: Iterable[Pack],
    stage: Stage,
    instant: str,
    *,
    made: Mapping[str, Detector] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    place: Place | None = None,
) -> tuple[Detector, ...]:
    """The detectors that rules of `stage` in force at `instant` name, sorted by name.

    A detector whose categories are lists (`ListDetector`) or concepts (`ConceptDetector`) gets every one that a rule of
    these packs names for it, whatever its dates, so that one made today serves tomorrow's rules. What can be prepared
    is: a model that cannot be loaded is told here, before anything is spent. `credentials` is no detector of pixels and
    is left out: see `detectors/credentials.py`.

    Args:
        packs: the loaded packs.
        stage: `image`, for pictures given and pictures made.
        instant: UTC, RFC 3339.
        made: detectors by name that were made before, for these very packs; they are not made again.
        settings: of detectors, by name, as they were written.
        place: where they find things.

    Raises:
        DetectorError: no such detector is installed, or its settings are wrong; a rule asks for a category that is no
            list or concept of its pack, or no category of the detector; or two packs have different ones of one name.
        DetectorUnavailable: an optional dependency or a model is missing; the message names what to do.
        WeightsMismatch: a model is not the one whose digest is given.
    """
    packs, before = tuple(packs), made or {}
    names = required_detectors(packs, stage, instant) - {credentials.NAME}
    loaded = load_detectors(names - before.keys(), settings=settings, place=place)
    found = {detector.name: _prepared(_ready(detector, packs)) for detector in loaded}
    return tuple(found.get(name) or before[name] for name in sorted(names))


def _prepared(detector: Detector) -> Detector:
    if prepare := getattr(detector, "prepare", None):
        prepare()
    return detector


def _ready(detector: Detector, packs: tuple[Pack, ...]) -> Detector:
    if isinstance(detector, ListDetector):
        return detector.with_lists(_lists_for(detector.name, packs))
    if isinstance(detector, ConceptDetector):
        return detector.with_concepts(concepts_for(detector.name, packs))
    for pack, rule, category in _asked(detector.name, packs):
        if category not in detector.categories:
            raise DetectorError(
                f"rule {pack.name}/{rule} asks detector {detector.name!r} for the category {category!r}.",
                remedy=f"It knows: {', '.join(detector.categories)}.",
            )
    return detector


def _lists_for(name: str, packs: tuple[Pack, ...]) -> dict[str, WordList]:
    found: dict[str, tuple[str, WordList]] = {}
    for pack, rule, category in _asked(name, packs):
        listed = next((one for one in pack.lists if one.name == category), None)
        if listed is None:
            known = ", ".join(one.name for one in pack.lists) or "none"
            raise DetectorError(
                f"rule {pack.name}/{rule} asks detector {name!r} for {category!r}, which is no list of its pack.",
                remedy=f"Name one of its `lists:` ({known}), or add it there.",
            )
        other, same = found.setdefault(category, (pack.name, listed))
        if (same.terms, same.entities) != (listed.terms, listed.entities):
            raise DetectorError(
                f"packs {other} and {pack.name} have different lists {category!r}, and rules for detector {name!r}.",
                remedy="Rename one of the lists: evidence of one name has one meaning.",
            )
    return {category: listed for category, (_, listed) in found.items()}


def concepts_for(name: str, packs: Iterable[Pack]) -> dict[str, Concept]:
    """The concepts that rules of these packs name for a detector.

    Raises:
        DetectorError: a rule names none of its pack's, or two packs have different ones of one name.
    """
    found: dict[str, tuple[str, Concept]] = {}
    for pack, rule, category in _asked(name, tuple(packs)):
        concept = next((one for one in pack.concepts if one.name == category), None)
        if concept is None:
            known = ", ".join(one.name for one in pack.concepts) or "none"
            raise DetectorError(
                f"rule {pack.name}/{rule} asks detector {name!r} for {category!r}, which is no concept of its pack.",
                remedy=f"Name one of its `concepts:` ({known}), or add it there.",
            )
        other, same = found.setdefault(category, (pack.name, concept))
        if same != concept:
            raise DetectorError(
                f"packs {other} and {pack.name} have different concepts {category!r}.",
                remedy="Rename one of them: evidence of one name has one meaning.",
            )
    return {category: concept for category, (_, concept) in found.items()}


def _asked(name: str, packs: tuple[Pack, ...]) -> list[tuple[Pack, str, str]]:
    """Every pack, rule and category that asks this detector."""
    return [
        (pack, rule.id, node.category)
        for pack in packs
        for rule in pack.rules
        for node in walk(rule.when)
        if isinstance(node, EvidenceAtLeast) and node.detector == name
    ]
