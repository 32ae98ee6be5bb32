"""Which detectors active rules need, made ready with the packs' own lists.

Knows packs, rules and the registry; it runs no detector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from limner_policy.concepts import Concept
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
        return detector.with_lists(_defined(detector.name, packs, _LISTS))
    if isinstance(detector, ConceptDetector):
        return detector.with_concepts(concepts_for(detector.name, packs))
    for pack, rule, category in _asked(detector.name, packs):
        if category not in detector.categories:
            raise DetectorError(
                f"rule {pack.name}/{rule} asks detector {detector.name!r} for the category {category!r}.",
                remedy=f"It knows: {', '.join(detector.categories)}.",
            )
    return detector


def concepts_for(name: str, packs: Iterable[Pack]) -> dict[str, Concept]:
    """The concepts that rules of these packs name for a detector.

    Raises:
        DetectorError: a rule names none of its pack's, or two packs have different ones of one name.
    """
    return _defined(name, packs, _CONCEPTS)


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_One = TypeVar("_One", bound=_Named)


@dataclass(frozen=True, slots=True)
class _Kind(Generic[_One]):
    """What packs define for detectors: what it is called, where it stands, and what has to be the same of one name."""

    what: str
    of: Callable[[Pack], Iterable[_One]]
    meaning: Callable[[_One], object]
    clash: str
    """Told of two packs, a category and a detector."""
    rename: str


_LISTS: _Kind[WordList] = _Kind(
    "list",
    lambda pack: pack.lists,
    lambda one: (one.terms, one.entities),
    "packs {} and {} have different lists {!r}, and rules for detector {!r}.",
    "Rename one of the lists: evidence of one name has one meaning.",
)
_CONCEPTS: _Kind[Concept] = _Kind(
    "concept",
    lambda pack: pack.concepts,
    lambda one: one,
    "packs {} and {} have different concepts {!r}.",
    "Rename one of them: evidence of one name has one meaning.",
)


def _defined(name: str, packs: Iterable[Pack], kind: _Kind[_One]) -> dict[str, _One]:
    """What packs define under the categories that their rules ask this detector for."""
    found: dict[str, tuple[str, _One]] = {}
    for pack, rule, category in _asked(name, packs):
        known = {one.name: one for one in kind.of(pack)}
        if category not in known:
            asks = f"rule {pack.name}/{rule} asks detector {name!r} for {category!r}"
            raise DetectorError(
                f"{asks}, which is no {kind.what} of its pack.",
                remedy=f"Name one of its `{kind.what}s:` ({', '.join(known) or 'none'}), or add it there.",
            )
        other, same = found.setdefault(category, (pack.name, known[category]))
        if kind.meaning(same) != kind.meaning(known[category]):
            raise DetectorError(kind.clash.format(other, pack.name, category, name), remedy=kind.rename)
    return {category: one for category, (_, one) in found.items()}


def _asked(name: str, packs: Iterable[Pack]) -> list[tuple[Pack, str, str]]:
    """Every pack, rule and category that asks this detector."""
    return [
        (pack, rule.id, node.category)
        for pack in packs
        for rule in pack.rules
        for node in rule.evidence
        if node.detector == name
    ]
