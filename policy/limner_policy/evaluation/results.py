"""The results as data: `results.json`. Numbers are texts of six decimals, counts whole numbers, no figure is null.

Two runs on the same pictures, with the same detectors and settings, give the same bytes but for `made`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limner_policy.evaluation.analysing import Analysis, Settings
from limner_policy.evaluation.bootstrap import Estimate
from limner_policy.evaluation.calibrating import Calibration
from limner_policy.evaluation.judged import Judged, digest
from limner_policy.evaluation.measures import Counts, Measures, Working
from limner_policy.evaluation.reliability import Reliability
from limner_policy.evaluation.requirements import Requirement
from limner_policy.evaluation.robustness import Changed
from limner_policy.evaluation.thresholds import Band, Chosen

FORMAT = "limner-safety-evaluation"
VERSION = 1
NAME = "results.json"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A whole evaluation: what it rests on, and each category.

    `definition` names the packs that say what lists and concepts are, with their digests.
    """

    layout: str
    notes: tuple[str, ...]
    dataset: str
    pictures: int
    definition: str
    settings: Settings
    analyses: tuple[Analysis, ...]
    requirements: tuple[Requirement, ...]
    changes: tuple[str, ...]
    changed_most: int
    unlabelled: tuple[str, ...]
    made: str
    names: bool = False

    @property
    def stamps(self) -> list[tuple[str, str, str]]:
        """Name, version and digest of each detector, sorted."""
        return sorted({(one.stamp.name, one.stamp.version, one.stamp.digest) for one in self.analyses})

    @property
    def id(self) -> str:
        """SHA-256 over data set, detectors, packs and settings: the same for who repeats the evaluation."""
        targets = [[*map(str, (one.target, one.target.label)), *map(six, one.thresholds)] for one in self.analyses]
        return digest(
            [
                FORMAT,
                VERSION,
                self.dataset,
                self.stamps,
                self.definition,
                targets,
                settings_json(self.settings),
                self.changes,
            ]
        )

    def unmet(self) -> tuple[str, ...]:
        """What was asked for and is not reached, and each category with too few pictures, as sentences."""
        short = [f"{one.target}: {one.whole.counts.too_few}" for one in self.analyses if one.whole.counts.too_few]
        return (*short, *(text for wanted in self.requirements for text in _unmet(wanted, self.analyses)))


def six(value: float | None) -> str | None:
    """A number as text of six decimals."""
    return None if value is None else f"{value + 0.0:.6f}"


def to_json(found: Evaluation) -> dict[str, Any]:
    """The whole document."""
    return {
        "format": FORMAT,
        "v": VERSION,
        "evaluation": found.id,
        "made": found.made,
        "dataset": {
            "digest": found.dataset,
            "layout": found.layout,
            "pictures": found.pictures,
            "notes": list(found.notes),
            "labels_without_a_detector": list(found.unlabelled),
        },
        "detectors": [{"name": name, "version": version, "digest": weights} for name, version, weights in found.stamps],
        "packs": found.definition,
        "settings": settings_json(found.settings)
        | {"changes": list(found.changes), "changed_sources_at_most": found.changed_most},
        "categories": [_analysis(one, names=found.names) for one in found.analyses],
        "requirements": [
            {"text": one.text, "met": not list(_unmet(one, found.analyses))} for one in found.requirements
        ],
        "not_reached": list(found.unmet()),
    }


def settings_json(settings: Settings) -> dict[str, Any]:
    """The settings as data."""
    return {
        "target_precision": six(settings.precision),
        "target_recall": six(settings.recall),
        "thresholds": [six(one) for one in settings.at],
        "bootstrap_rounds": settings.rounds,
        "seed": settings.seed,
    }


def requirement_value(wanted: Requirement, one: Analysis) -> float | None:
    """The figure that a requirement is about: at the working threshold, positives without a score counted as missed."""
    simple = {"auroc": one.whole.auroc, "auprc": one.whole.auprc, "fpr_at_95_tpr": one.whole.fpr_at_95_tpr}
    if wanted.figure in simple:
        return simple[wanted.figure].value
    if wanted.figure in {"ece", "brier"}:
        return getattr(one.reliability, wanted.figure).value if one.reliability else None
    working = one.whole.at.get(one.thresholds[-1])
    if working is None:
        return None
    if wanted.figure == "recall":
        return working.worst_recall
    value: float | None = getattr(working, wanted.figure).value
    return value


def _unmet(wanted: Requirement, analyses: Sequence[Analysis]) -> list[str]:
    concerned = [one for one in analyses if wanted.concerns(one.target.detector, one.target.category)]
    if not concerned:
        return [f"{wanted.text}: there is no such category."]
    found = []
    for one in concerned:
        value = requirement_value(wanted, one)
        if not wanted.holds(value):
            told = "there is no figure" if value is None else f"it is {value:.4f}"
            found.append(f"{wanted.text} is not met by {one.target}: {told}.")
    return found


def _analysis(one: Analysis, *, names: bool) -> dict[str, Any]:
    return {
        "detector": one.stamp.name,
        "category": one.target.category,
        "label": one.target.label,
        "unknown": dict(one.unknown),
        "whole": _measures(one.whole),
        "slices": [{"slice": name, "value": value} | _measures(part) for name, value, part in one.slices],
        "reliability": None if one.reliability is None else _reliability(one.reliability),
        "calibration": {name: _calibration(found) for name, found in one.calibrations.items()}
        | ({"best": one.calibration.method} if one.calibration else {}),
        "thresholds": [_chosen(found) for found in one.chosen],
        "band": _band(one.band),
        "robustness": [_changed(found) for found in one.robustness],
        "surprises": [_surprise(what, row, names=names) for what, row in one.surprises],
    }


def _estimate(found: Estimate) -> dict[str, Any] | None:
    if found.value is None:
        return None
    return {"value": six(found.value), "low": six(found.low), "high": six(found.high)}


def _counts(found: Counts) -> dict[str, Any]:
    return {
        "pictures": found.pictures,
        "positives": found.positives,
        "negatives": found.negatives,
        "sources": found.sources,
        "positive_sources": found.positive_sources,
        "negative_sources": found.negative_sources,
        "unknown_positives": found.unknown_positives,
        "unknown_negatives": found.unknown_negatives,
        "too_few": found.too_few or None,
    }


def _measures(found: Measures) -> dict[str, Any]:
    return {
        "counts": _counts(found.counts),
        "auroc": _estimate(found.auroc),
        "auprc": _estimate(found.auprc),
        "fpr_at_95_tpr": _estimate(found.fpr_at_95_tpr),
        "at": [_working(working) for working in found.at.values()],
    }


def _working(found: Working) -> dict[str, Any]:
    hit, wrong, missed, passed = found.counted
    return {
        "threshold": six(found.threshold),
        "precision": _estimate(found.precision),
        "recall": _estimate(found.recall),
        "f1": _estimate(found.f1),
        "fpr": _estimate(found.fpr),
        "recall_with_unknown_as_missed": six(found.worst_recall),
        "precision_if_positives_are": {share: six(value) for share, value in found.rare_precision.items()},
        "true_positives": hit,
        "false_positives": wrong,
        "false_negatives": missed,
        "true_negatives": passed,
    }


def _reliability(found: Reliability) -> dict[str, Any]:
    return {
        "ece": _estimate(found.ece),
        "brier": _estimate(found.brier),
        "log_loss": six(found.log_loss),
        "bins": [{"pictures": one.count, "score": six(one.score), "positive": six(one.share)} for one in found.bins],
    }


def _calibration(found: Calibration) -> dict[str, Any]:
    steps = [[six(score), six(value)] for score, value in found.steps]
    curve = {"steps": steps} if steps else {"scale": six(found.scale), "offset": six(found.offset)}
    return curve | {"on_pictures_not_fitted_on": _reliability(found.reliability)}


def _chosen(found: Chosen) -> dict[str, Any]:
    return {
        "target": found.aim,
        "at_least": six(found.target),
        "threshold": six(found.threshold),
        "why_not": found.why_not or None,
        "on_the_other_half": None if found.told is None else _measures(found.told),
    }


def _band(found: Band | str) -> dict[str, Any]:
    if isinstance(found, str):
        return {"why_not": found or None}
    return {
        "review_from": six(found.low),
        "at_least": six(found.high),
        "positive_sources_missed_at_most": six(found.missed),
        "flagged_sources_right_at_least": six(found.right),
        "confidence": "0.950000",
        "aims": {"missed": six(found.aim_missed), "right": six(found.aim_right)},
        "reached": found.shown,
        "to_review": {"positives": six(found.review_positives), "negatives": six(found.review_negatives)},
        "positive_sources": found.positive_sources,
        "flagged_sources": found.flagged_sources,
    }


def _changed(found: Changed) -> dict[str, Any]:
    def told(figures: Mapping[str, Estimate]) -> dict[str, Any]:
        return {name: _estimate(one) for name, one in figures.items()}

    return {
        "change": found.change,
        "threshold": six(found.threshold),
        "counts": _counts(found.counts),
        "after": told(found.after),
        "moved_by": told(found.moved),
    }


def _surprise(what: str, row: Judged, *, names: bool) -> dict[str, Any]:
    named = {"file": row.file} if names else {}
    return {"what": what, "score": row.score, "picture": row.picture or None, **named}
