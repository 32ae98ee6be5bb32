"""Which label of a data set tells whether a detector's category is right, and at which thresholds it is held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from limner_policy.detectors.base import Detector
from limner_policy.errors import EvaluationInvalid
from limner_policy.evaluation.judged import Target
from limner_policy.pack import Pack


def read_maps(texts: Iterable[str]) -> dict[str, str]:
    """Read `LABEL=CATEGORY` or `LABEL=DETECTOR/CATEGORY`, into category → label.

    Raises:
        EvaluationInvalid: one is written otherwise, or two are about one category.
    """
    found: dict[str, str] = {}
    for text in texts:
        label, _, category = (part.strip() for part in text.rpartition("="))
        if not label or not category:
            raise EvaluationInvalid(f"--map {text!r} maps nothing.", remedy="Write LABEL=CATEGORY, as sexual=nsfw.")
        if category in found:
            raise EvaluationInvalid(f"--map gives {category!r} two labels.", remedy="Give one.")
        found[category] = label
    return found


def targets(detectors: Sequence[Detector], labels: Sequence[str], maps: Mapping[str, str]) -> tuple[Target, ...]:
    """Every category of these detectors that a label fits: by `maps`, else by its name, case and dashes aside.

    Raises:
        EvaluationInvalid: a map names a label or category that is not there, or no category has a label.
    """
    every = [(detector.name, category) for detector in detectors for category in detector.categories]
    known = {name for detector, category in every for name in (category, f"{detector}/{category}")}
    for category, label in maps.items():
        _among(label, labels, "label of the data set")
        _among(category, sorted(known), "category of these detectors")
    plain = {_plain(label): label for label in labels}
    found: list[Target] = []
    for detector, category in every:
        full = f"{detector}/{category}"
        fits = maps.get(full) or maps.get(category) or plain.get(_plain(full)) or plain.get(_plain(category))
        if fits is not None:
            found.append(Target(detector, category, fits))
    if not found:
        raise EvaluationInvalid(
            f"no label fits a category. Labels: {', '.join(labels)}. Categories: {_listed(every)}.",
            remedy="Say which belong together: --map LABEL=CATEGORY.",
        )
    return tuple(sorted(found))


def pack_thresholds(packs: Iterable[Pack]) -> dict[tuple[str, str], tuple[float, ...]]:
    """The thresholds that rules of packs hold each detector's category against, those of the review band too."""
    found: dict[tuple[str, str], set[float]] = {}
    for pack in packs:
        for rule in pack.rules:
            for node in rule.evidence:
                written = {node.at_least, node.review_from} - {""}
                found.setdefault((node.detector, node.category), set()).update(map(float, written))
    return {place: tuple(sorted(values)) for place, values in found.items()}


def _plain(name: str) -> str:
    return name.casefold().replace("_", "-").replace(" ", "-")


def _listed(every: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{detector}/{category}" for detector, category in every) or "none"


def _among(name: str, known: Sequence[str], what: str) -> None:
    if name not in known:
        raise EvaluationInvalid(f"--map: {name!r} is no {what}.", remedy=f"There are: {', '.join(known) or 'none'}.")
