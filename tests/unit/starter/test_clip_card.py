"""What is written about the starter CLIP is what was measured: its card, its digests, the pack that uses it."""

from __future__ import annotations

import json
import re
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any

import pytest

from limner_policy import load_packs
from limner_policy.conditions import EvidenceAtLeast
from limner_policy.detectors.clip_files import STARTER_FOLDER, ClipSettings, file_sha256, find

PACK = Path(__file__).parents[3] / "policy" / "examples" / "starter-concepts.policy.yaml"
CARD = (STARTER_FOLDER / "MODEL_CARD.md").read_text("utf-8")
FIGURES: dict[str, Any] = json.loads((STARTER_FOLDER / "figures.json").read_text("utf-8"))
CONCEPTS: dict[str, Any] = json.loads((STARTER_FOLDER / "concepts.json").read_text("utf-8"))
SETS = ("augmented", "augmented, noto", "openmoji", "openmoji, augmented", "generated")


def rows(head: str) -> list[list[str]]:
    """The cells of the card's table with this head, each number as it stands there."""
    table = CARD[CARD.index(head) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().replace("*", "") for cell in line.strip("|").split("|")] for line in table]


def near(told: str, measured: float) -> bool:
    """Whether a number of the card is the measured one, rounded to as many decimals as it has."""
    places = len(told.partition(".")[2])
    return abs(float(told) - measured) <= 0.5 * 0.1**places + 1e-9


def test_the_card_tells_retrieval_as_measured() -> None:
    """Top-1 and top-5 of every set, of this model and of the one before it."""
    both = (FIGURES["retrieval"], FIGURES["peer"]["retrieval"])
    table = rows("| pictures | this model | first one |")
    for (pictures, *cells), name in zip(table, SETS, strict=True):
        assert f"({both[0][name]['pictures']:,})" in pictures
        for cell, figures in zip(cells, both, strict=True):
            one, five = re.findall(r"\d+\.\d", cell)
            assert near(one, 100 * figures[name]["top1"]), (name, cell)
            assert near(five, 100 * figures[name]["top5"]), (name, cell)


def test_the_card_tells_areas_as_measured() -> None:
    """AUROC and average precision of every concept, with the number of names that show it."""
    table = rows("| concept | names | nine designs, augmented |")
    assert [row[0] for row in table] == list(FIGURES["concepts"])
    for concept, names, *cells in table:
        own, first = FIGURES["concepts"][concept]["sets"], FIGURES["peer"]["concepts"][concept]
        assert int(names) == own["generated"]["distinct"]
        told = [own[name] for name in ("augmented", "openmoji", "openmoji, augmented", "generated")]
        for cell, figures in zip(cells, [*told, first["openmoji"], first["generated"]], strict=True):
            area, average = cell.split(" · ")
            assert near(area, figures["auroc"]), (concept, cell)
            assert near(average, figures["ap"]), (concept, cell)


@pytest.mark.parametrize(
    ("head", "name", "order"),
    [
        ("| generated | names |", "generated", ("deny", "precision", "recall", "review", "precision", "recall")),
        ("| OpenMoji, plain | names |", "openmoji", ("precision", "recall", "precision", "recall")),
    ],
)
def test_the_card_tells_figures_at_thresholds_as_measured(head: str, name: str, order: tuple[str, ...]) -> None:
    """Thresholds, precision and recall with their intervals, of the half that the thresholds were not chosen on."""
    for concept, names, *cells in rows(head):
        known = FIGURES["concepts"][concept]
        figures = known["sets"][name]
        assert int(names) == figures["test_distinct"]
        at = ["deny"] * (len(order) // 2) + ["review"] * (len(order) // 2)
        for cell, threshold, what in zip(cells, at, order, strict=True):
            if what == threshold:
                written = known["calibration"]["thresholds"][what]
                assert cell == ("none" if written == "1.000000" else written)
            else:
                _holds(cell, figures[threshold][what])


def _holds(cell: str, figure: dict[str, Any]) -> None:
    if figure["value"] is None:
        assert cell == "none found"
        return
    value, *interval = re.findall(r"\d\.\d\d", cell)
    assert near(value, figure["value"]), cell
    assert len(interval) == len(figure["interval"] or ()), cell
    assert all(near(told, end) for told, end in zip(interval, figure["interval"] or (), strict=True)), cell


def test_the_card_tells_how_many_go_to_a_person_as_measured() -> None:
    """What `medical` flags at `review`, of the clear pictures in the half that is told of."""
    figures = FIGURES["concepts"]["medical"]["sets"]["generated"]
    (told,) = re.findall(r"at `review` (\d+) of\s+\d+", CARD)
    assert int(told) == figures["review"]["found"]


def test_the_digests_are_those_of_the_files() -> None:
    """`SHA256SUMS` is true of each file it names, and the card and the figures are about these weights."""
    lines = (STARTER_FOLDER / "SHA256SUMS").read_text("ascii").splitlines()
    sums = {name: digest for digest, name in map(str.split, lines)}
    assert {name: file_sha256(STARTER_FOLDER / name) for name in sums} == sums
    assert FIGURES["weights_sha256"] == CONCEPTS["source"]["weights_sha256"] == sums["open_clip_model.safetensors"]


def test_the_packs_concepts_are_the_measured_ones() -> None:
    """Words and calibrations are those of concepts.json, for the detector with the shipped files and no other."""
    (pack,) = load_packs([PACK])
    assert {one.name for one in pack.concepts} == set(CONCEPTS["concepts"])
    digest = find(ClipSettings(), Path()).digest
    for one in pack.concepts:
        measured = CONCEPTS["concepts"][one.name]
        words = {kind: list(getattr(one, kind)) for kind in ("positive", "contrast", "templates")}
        assert words == {kind: measured[kind] for kind in words}
        assert one.calibration is not None
        assert (one.calibration.weights, one.calibration.prompts) == (digest, one.prompts_sha256)
        assert {key: str(getattr(one.calibration, key)) for key in ("scale", "offset")} == measured["calibration"]
        assert FIGURES["concepts"][one.name]["calibration"] == measured["calibration"] | {
            "thresholds": measured["thresholds"]
        }


def test_the_packs_thresholds_are_the_measured_ones() -> None:
    """A denial stands at `deny`; a person is asked from `review` on, rounded down to two decimals."""
    (pack,) = load_packs([PACK])
    for rule in pack.rules:
        (one,) = rule.evidence
        measured = CONCEPTS["concepts"][one.category]["thresholds"]
        asks = str(Decimal(measured["review"]).quantize(Decimal("0.01"), ROUND_FLOOR)) + "0000"
        expected = (measured["deny"], asks) if rule.verdict.value == "deny" else (asks, "")
        assert _thresholds(one) == expected, rule.id


def _thresholds(one: EvidenceAtLeast) -> tuple[str, str]:
    return one.at_least, one.review_from
