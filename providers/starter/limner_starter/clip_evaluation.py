"""Measures a CLIP folder, chooses calibration and thresholds, and writes figures and the concepts for a policy pack.

Calibration sees augmentations of learned drawings and one half of the names of every other set; figures at a threshold
come from the other half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from limner_starter.clip_data import ClipData
from limner_starter.clip_measures import (
    PRECISION,
    RECALL,
    Calibration,
    Flags,
    Places,
    Scored,
    at_threshold,
    auroc,
    average_precision,
    calibrated,
    thresholds,
)
from limner_starter.clip_model import Embedder
from limner_starter.clip_sets import CALIBRATION, SPLIT, PictureSet, calibration_half
from limner_starter.clip_words import Concept, concepts, templates
from limner_starter.workspace import write_json

TOP = 5


@dataclass(frozen=True)
class Seen:
    """One set of pictures with its vectors."""

    set: PictureSet
    vectors: Tensor


class Bench:
    """A model with what it saw."""

    def __init__(self, folder: Path, data: ClipData, sets: Sequence[PictureSet]) -> None:
        self.embedder = Embedder(folder)
        self.data = data
        self.seen = [Seen(one, self.embedder.pictures(one.pictures)) for one in sets]
        self._half = calibration_half(data.names)
        self._known: dict[tuple[str, str], Scored] = {}

    def scored(self, concept: Concept, seen: Seen) -> Scored:
        """Margins of one concept; unclear pictures are left out."""
        key = (concept.name, seen.set.name)
        if key not in self._known:
            self._known[key] = self._scored(concept, seen)
        return self._known[key]

    def _scored(self, concept: Concept, seen: Seen) -> Scored:
        labels = [concept.label(self.data.names[name]) for name in seen.set.names.tolist()]
        clear = np.array([label is not None for label in labels])
        margin = self.embedder.margins(seen.vectors, concept, templates()).double().numpy()
        everything = Scored(margin, np.array([bool(label) for label in labels]), seen.set.names)
        return everything.only(clear)

    def halves(self, concept: Concept, seen: Seen) -> tuple[Scored | None, Scored]:
        """The part for calibration (None where it has no positive, or the set serves no calibration) and for test."""
        scored = self.scored(concept, seen)
        half: Flags = self._half[scored.name]
        if seen.set.role != SPLIT:
            return (scored if seen.set.role == CALIBRATION else None), scored
        first, second = scored.only(half), scored.only(~half)
        return (first if first.shown.any() else None), second

    def retrieval(self, seen: Seen) -> dict[str, Any]:
        """How often a picture's name is the nearest, and among the nearest five, of all names."""
        names = self.embedder.texts(self.data.names)
        nearest = (seen.vectors @ names.T).topk(TOP, dim=1).indices
        right = nearest == torch.from_numpy(seen.set.names)[:, None]
        first, five = right[:, 0].float().mean().item(), right.any(1).float().mean().item()
        return {"pictures": len(seen.vectors), "top1": round(first, 4), "top5": round(five, 4)}


def evaluate(
    folder: Path,
    data: ClipData,
    sets: Sequence[PictureSet],
    results: Path,
    *,
    console: Console,
    peer: Path | None = None,
) -> dict[str, Any]:
    """Measures ``folder``; writes ``figures.json`` and ``concepts.json`` to ``results``, and returns the figures.

    Args:
        folder: The CLIP.
        data: Names and drawings.
        sets: The pictures to measure on.
        results: Where the files go.
        console: Says what is being done.
        peer: Another CLIP folder that is measured on the same pictures, with the same prompts.
    """
    bench = Bench(folder, data, sets)
    console.print("vectors are there; concepts follow")
    chosen = {concept.name: choose(bench, concept) for concept in concepts()}
    figures: dict[str, Any] = {
        "weights_sha256": bench.embedder.digest,
        "retrieval": {seen.set.name: bench.retrieval(seen) for seen in bench.seen},
        "concepts": {concept.name: concept_figures(bench, concept, *chosen[concept.name]) for concept in concepts()},
    }
    if peer is not None:
        console.print(f"the same for {peer}")
        figures["peer"] = compare(Bench(peer, data, sets))
    write_json(results / "figures.json", figures)
    write_json(results / "concepts.json", pack_concepts(bench.embedder.digest, chosen))
    return figures


def choose(bench: Bench, concept: Concept) -> tuple[Calibration, dict[str, float]]:
    """Calibration and thresholds of a concept, from the calibration parts alone."""
    parts = [part for seen in bench.seen if (part := bench.halves(concept, seen)[0]) is not None]
    calibration = calibrated(parts)
    return calibration, thresholds(parts, calibration)


def concept_figures(
    bench: Bench, concept: Concept, calibration: Calibration, chosen: dict[str, float]
) -> dict[str, Any]:
    """The figures of one concept on every set."""
    return {
        "calibration": written(calibration, chosen),
        "sets": {seen.set.name: _on_set(bench, concept, seen, calibration, chosen) for seen in bench.seen},
    }


def _on_set(
    bench: Bench, concept: Concept, seen: Seen, calibration: Calibration, chosen: dict[str, float]
) -> dict[str, Any]:
    whole, (_, test) = bench.scored(concept, seen), bench.halves(concept, seen)
    figures: dict[str, Any] = {
        "distinct": whole.distinct()[0],
        "auroc": round(auroc(whole), 4),
        "ap": round(average_precision(whole), 4),
    }
    if seen.set.role == SPLIT:
        # Where the set serves calibration as a whole, a figure at a threshold would praise itself.
        figures["test_distinct"] = test.distinct()[0]
        for name, threshold in chosen.items():
            figures[name] = at_threshold(test, calibration, threshold)
        figures["mistaken"] = _mistaken(bench, test, calibration, chosen["deny"])
    return figures


def _mistaken(bench: Bench, test: Scored, calibration: Calibration, threshold: float) -> list[str]:
    """Up to eight names that are found wrongly, the highest score first."""
    score = calibration.score(test.margin)
    wrong = np.flatnonzero((score >= threshold) & ~test.shown)
    order: Places = wrong[np.argsort(-score[wrong])]
    return list(dict.fromkeys(bench.data.names[name] for name in test.name[order].tolist()))[:8]


def compare(bench: Bench) -> dict[str, Any]:
    """What needs no threshold: retrieval, AUROC and average precision."""
    return {
        "weights_sha256": bench.embedder.digest,
        "retrieval": {seen.set.name: bench.retrieval(seen) for seen in bench.seen},
        "concepts": {
            concept.name: {
                seen.set.name: {
                    "auroc": round(auroc(scored := bench.scored(concept, seen)), 4),
                    "ap": round(average_precision(scored), 4),
                }
                for seen in bench.seen
            }
            for concept in concepts()
        },
    }


def written(calibration: Calibration, chosen: dict[str, float]) -> dict[str, Any]:
    """Numbers as a pack writes them: strings of six decimals, thresholds rounded down so that none is missed."""
    return {
        "scale": f"{calibration.scale:.6f}",
        "offset": f"{calibration.offset:.6f}",
        "thresholds": {name: f"{np.floor(value * 1e6) / 1e6:.6f}" for name, value in chosen.items()},
    }


def pack_concepts(digest: str, chosen: dict[str, tuple[Calibration, dict[str, float]]]) -> dict[str, Any]:
    """What a policy pack needs of each concept: prompts, calibration for exactly these weights, thresholds."""
    rows = {}
    for concept in concepts():
        numbers = written(*chosen[concept.name])
        rows[concept.name] = {
            "positive": list(concept.positive),
            "contrast": list(concept.contrast),
            "templates": list(templates()),
            "calibration": {"scale": numbers["scale"], "offset": numbers["offset"]},
            "thresholds": numbers["thresholds"],
        }
    source = {
        "weights_sha256": digest,
        "score": "sigmoid(scale * margin + offset); margin = highest positive cosine - highest contrast cosine",
        "deny": f"lowest score with precision of at least {PRECISION} on the calibration pictures",
        "review": f"highest score with recall of at least {RECALL} on the calibration pictures, never above deny",
        "figures": "figures.json and MODEL_CARD.md beside this file",
    }
    return {"source": source, "concepts": rows}
