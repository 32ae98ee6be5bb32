"""Finds detectors by name: the built-in ones, and others by the entry-point group `limner.detectors`.

Knows names and import paths, not what detectors do.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from limner_policy.detectors import credentials
from limner_policy.detectors.base import Detector
from limner_policy.errors import DetectorError

GROUP = "limner.detectors"
BUILT_IN = {
    "near-duplicate": "limner_policy.detectors.near_duplicate:NearDuplicateDetector",
    "nsfw": "limner_policy.detectors.nsfw:NsfwDetector",
    "text": "limner_policy.detectors.text:TextDetector",
}


def load_detectors(names: Iterable[str]) -> tuple[Detector, ...]:
    """Make the detectors of these names, sorted; no model is loaded yet.

    Raises:
        DetectorError: no installed distribution offers a detector of that name, two do, or what is offered is none.
        DetectorUnavailable: an optional dependency is missing; the message names the extra.
    """
    return tuple(_make(name) for name in sorted(set(names)))


def _make(name: str) -> Detector:
    maker = _offered(name).load()
    detector = maker()
    if not isinstance(detector, Detector):
        raise DetectorError(
            f"what is installed as detector {name!r} is no detector.",
            remedy="It needs name, version, digest, stage, categories and score().",
        )
    if detector.name != name:
        raise DetectorError(
            f"the detector installed as {name!r} calls itself {detector.name!r}.", remedy="Give both the same name."
        )
    return detector


def _offered(name: str) -> EntryPoint:
    """The one that is built in or installed; a distribution cannot put its own in the place of a built-in one."""
    every = entry_points(group=GROUP)
    found = {point.value: point for point in every.select(name=name)}
    if name in BUILT_IN:
        found.setdefault(BUILT_IN[name], EntryPoint(name, BUILT_IN[name], GROUP))
    if not found:
        known = ", ".join(sorted({credentials.NAME, *BUILT_IN, *(point.name for point in every)}))
        raise DetectorError(
            f"no detector is called {name!r}.",
            remedy=f"Known: {known}. Install the one that offers it, or correct the rule.",
        )
    if len(found) > 1:
        places = ", ".join(sorted(found))
        raise DetectorError(f"two detectors are called {name!r}: {places}.", remedy="Uninstall one of them.")
    return next(iter(found.values()))
