"""Draws what the figures say: scores by concept with their thresholds, and the generated pictures with their scores.

No picture of the held-out design is drawn: its licence would go with the sheet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from limner_starter.clip_data import ClipData
from limner_starter.clip_evaluation import Bench, Seen
from limner_starter.clip_measures import Calibration
from limner_starter.clip_sets import PictureSet
from limner_starter.clip_words import Concept, concepts
from limner_starter.errors import MissingTool
from limner_starter.pictures import Pixels
from limner_starter.sheets import Cell, write_sheet
from limner_starter.workspace import replaced

_SHOWN = ("openmoji", "generated")
_CELLS = 60


def write_plots(clip: Path, data: ClipData, sets: Sequence[PictureSet], figures: dict[str, Any], results: Path) -> None:
    """Writes ``scores.png`` and ``generated.png`` to ``results``.

    Raises:
        MissingTool: matplotlib is not installed.
    """
    bench = Bench(clip, data, [one for one in sets if one.name in _SHOWN])
    _scores(bench, figures, results / "scores.png")
    _sheet(bench, figures, results / "generated.png")


def _numbers(figures: dict[str, Any], concept: Concept) -> tuple[Calibration, dict[str, float]]:
    numbers = figures["concepts"][concept.name]["calibration"]
    chosen = {name: float(value) for name, value in numbers["thresholds"].items()}
    return Calibration(float(numbers["scale"]), float(numbers["offset"])), chosen


def _scores(bench: Bench, figures: dict[str, Any], file: Path) -> None:
    """A strip for each concept and set: one point a picture, those that show it above the others."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingTool("matplotlib is not installed: pip install 'limner[evaluation]'") from error
    known = concepts()
    page = Figure(figsize=(11, 2.1 * len(known)), layout="constrained")
    axes = page.subplots(len(known), len(bench.seen), squeeze=False, sharex=True)
    for row, concept in zip(axes, known, strict=True):
        for axis, seen in zip(row, bench.seen, strict=True):
            _strip(axis, bench, concept, seen, _numbers(figures, concept))
    page.suptitle("Scores of the starter CLIP; the half of the names that served no calibration")
    page.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    with replaced(file) as temporary:
        page.savefig(temporary, format="png", dpi=80)


def _strip(
    axis: Any, bench: Bench, concept: Concept, seen: Seen, numbers: tuple[Calibration, dict[str, float]]
) -> None:
    calibration, chosen = numbers
    test = bench.halves(concept, seen)[1]
    score, rng = calibration.score(test.margin), np.random.default_rng(0)
    for height, side, colour in ((0, ~test.shown, "#8a8a8a"), (1, test.shown, "#c0392b")):
        place = height + rng.uniform(-0.3, 0.3, int(side.sum()))
        axis.scatter(score[side], place, s=12 if height else 4, color=colour, linewidths=0)
    for name, style in (("review", ":"), ("deny", "-")):
        axis.axvline(chosen[name], color="black", linestyle=style, linewidth=1, label=name)
    axis.set_yticks([0, 1], ["other", concept.name])
    axis.set_xlim(-0.02, 1.02)
    axis.set_title(f"{concept.name}, {seen.set.name}: {int(test.shown.sum())} of {len(score)}", fontsize=9)


def _sheet(bench: Bench, figures: dict[str, Any], file: Path) -> None:
    """Generated pictures that show a concept, and the highest that do not; red: on the wrong side of ``deny``."""
    seen = next(one for one in bench.seen if one.set.name == "generated")
    pixels = (seen.set.pictures.permute(0, 2, 3, 1) * 255).round().byte().numpy()
    cells = [cell for concept in concepts() for cell in _cells(bench, concept, figures, pixels)]
    title = (
        "generated pictures: concept, score, name; after each concept's own, the four highest others; red: wrong side"
    )
    write_sheet(file, cells[: 2 * _CELLS], title=title, columns=12, enlarge=1.5)


def _cells(bench: Bench, concept: Concept, figures: dict[str, Any], pixels: Pixels) -> list[Cell]:
    seen = next(one for one in bench.seen if one.set.name == "generated")
    calibration, chosen = _numbers(figures, concept)
    scored = bench.scored(concept, seen)
    score = calibration.score(scored.margin)
    own = np.flatnonzero(scored.shown)
    others = np.flatnonzero(~scored.shown)
    others = others[np.argsort(-score[others])][:4]
    return [
        Cell(
            f"{concept.name} {score[place]:.2f} {bench.data.names[scored.name[place]]}",
            [pixels[scored.name[place]]],
            bool(scored.shown[place]) != bool(score[place] >= chosen["deny"]),
        )
        for place in (*own.tolist(), *others.tolist())
    ]
