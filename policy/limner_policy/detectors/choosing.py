"""Which detectors active rules need, made ready with the packs' own lists.

Knows packs, rules and the registry; it runs no detector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from limner_policy.conditions import EvidenceAtLeast, walk
from limner_policy.detectors import credentials
from limner_policy.detectors.base import Detector, ListDetector
from limner_policy.detectors.registry import load_detectors
from limner_policy.engine import required_detectors
from limner_policy.errors import DetectorError
from limner_policy.pack import Pack
from limner_policy.types import Stage
from limner_policy.wordlists import WordList


def detectors_for(
    packs: Iterable[Pack], stage: Stage, instant: str, *, made: Mapping[str, Detector] | None = None
) -> tuple[Detector, ...]:
    """The detectors that rules of `stage` in force at `instant` name, sorted by name.

    A detector whose categories are lists (`ListDetector`) gets every list that a rule of these packs names for it,
    whatever its dates, so that one made today serves tomorrow's rules. `credentials` is no detector of pixels and is
    left out: see `detectors/credentials.py`.

    Args:
        packs: the loaded packs.
        stage: `image`, for pictures given and pictures made.
        instant: UTC, RFC 3339.
        made: detectors by name that were made before, for these very packs; they are not made again.

    Raises:
        DetectorError: no such detector is installed; a rule asks for a category that is no list of its pack, or no
            category of the detector; or two packs have different lists of one name.
        DetectorUnavailable: an optional dependency is missing; the message names the extra.
    """
    packs, before = tuple(packs), made or {}
    names = required_detectors(packs, stage, instant) - {credentials.NAME}
    found = {detector.name: _ready(detector, packs) for detector in load_detectors(names - before.keys())}
    return tuple(found.get(name) or before[name] for name in sorted(names))


def _ready(detector: Detector, packs: tuple[Pack, ...]) -> Detector:
    if isinstance(detector, ListDetector):
        return detector.with_lists(_lists_for(detector.name, packs))
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


def _asked(name: str, packs: tuple[Pack, ...]) -> list[tuple[Pack, str, str]]:
    """Every pack, rule and category that asks this detector."""
    return [
        (pack, rule.id, node.category)
        for pack in packs
        for rule in pack.rules
        for node in walk(rule.when)
        if isinstance(node, EvidenceAtLeast) and node.detector == name
    ]
