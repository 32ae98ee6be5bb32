"""Finds detectors by name: the built-in ones, and others by the entry-point group `limner.detectors`.

Knows names and import paths, not what detectors do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from limner_policy.detectors import credentials
from limner_policy.detectors.base import Detector
from limner_policy.detectors.settings import ConfigurableDetector, Place, checked_settings
from limner_policy.errors import DetectorError

GROUP = "limner.detectors"
BUILT_IN = {
    "clip": "limner_policy.detectors.clip:ClipDetector",
    "near-duplicate": "limner_policy.detectors.near_duplicate:NearDuplicateDetector",
    "nsfw": "limner_policy.detectors.nsfw:NsfwDetector",
    "text": "limner_policy.detectors.text:TextDetector",
}


def load_detectors(
    names: Iterable[str], *, settings: Mapping[str, Mapping[str, Any]] | None = None, place: Place | None = None
) -> tuple[Detector, ...]:
    """Make the detectors of these names, sorted; no model is loaded yet.

    Args:
        names: as rules use them.
        settings: what somebody wrote for detectors, by name; of others than these it is not looked at.
        place: where they find things.

    Raises:
        DetectorError: no installed distribution offers a detector of that name, two do, what is offered is none, or its
            settings are wrong.
        DetectorUnavailable: an optional dependency, or a model, is missing; the message names what to do.
    """
    every = settings or {}
    return tuple(_make(name, every.get(name), place or Place()) for name in sorted(set(names)))


def check_settings(settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Check what somebody wrote for detectors, whether or not a rule names them; nothing is loaded.

    Raises:
        DetectorError: no detector has such a name, or a setting is unknown or wrong.
    """
    for name, values in settings.items():
        checked_settings(name, _offered(name).load(), values)


def _make(name: str, values: Mapping[str, Any] | None, place: Place) -> Detector:
    maker = _offered(name).load()
    detector = maker()
    if isinstance(detector, ConfigurableDetector):
        detector = detector.with_settings(checked_settings(name, maker, values or {}), place)
    elif values:
        checked_settings(name, maker, values)
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
