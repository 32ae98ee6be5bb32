"""Whole evaluations with detectors of our own on drawn pictures: what is written, repeated, interrupted, unknown."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner_policy.concepts import Concept
from limner_policy.detectors.base import Pixels, scored
from limner_policy.errors import EvaluationInvalid, WeightsMismatch
from limner_policy.evaluation.analysing import Settings
from limner_policy.evaluation.cache import NAME as CACHE
from limner_policy.evaluation.changes import CHANGES
from limner_policy.evaluation.dataset import read_dataset
from limner_policy.evaluation.evaluating import Wanted, evaluate_pictures, evaluate_scores
from limner_policy.evaluation.judged import Target
from limner_policy.evaluation.matching import targets
from limner_policy.evaluation.requirements import requirement
from limner_policy.evaluation.results import Evaluation, to_json
from limner_policy.evaluation.score_files import read_labelled
from limner_policy.loading import load_pack_bytes
from limner_policy.types import Evidence

MADE = "2026-11-25T05:00:00Z"
QUICK = Wanted(Settings(rounds=100), MADE, changed=0)


class Redness:
    """A third party's detector: how red a picture is, as a logistic curve of a margin."""

    name = "redness"
    stage = "image"
    batch = 16
    categories: tuple[str, ...] = ("red",)

    def __init__(self, *, version: str = "1", digest: str = "", twist: Callable[[int], Any] = lambda n: None) -> None:
        self.version, self.digest = version, digest
        self.twist = twist
        self.seen = 0

    def lines(self) -> dict[str, tuple[float, float]]:
        """Its curve."""
        return {"red": (40.0, -6.0)}

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score, unless `twist` has something else in mind."""
        found = []
        for image in images:
            self.seen += 1
            other = self.twist(self.seen)
            colours = image.reshape(-1, 3).mean(axis=0) / 255
            margin = float(colours[0] - max(colours[1:]))
            found.append([scored(self, "red", 1 / (1 + math.exp(-(40 * margin - 6))) if other is None else other)])
        return found


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 sources of plain colours, a fifth of them with a second picture, in two styles; one file is torn."""
    folder, chance = tmp_path_factory.mktemp("pictures"), np.random.default_rng(1)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "red", "source_id", "style"])
        for number in range(240):
            red = number % 2 == 0
            margin = 0.15 + (0.12 if red else -0.12) + chance.normal(0, 0.12)
            for copy in range(2 if number % 5 == 0 else 1):
                high = np.clip(120 + 255 * margin + chance.normal(0, 6), 0, 255)
                colour = np.array([high, 120, 120 - 10 * copy]).astype(np.uint8)
                name = f"holiday-{number}-{copy}.png"
                plain = np.tile(colour, (12, 12, 1))
                plain[0, 0] = (number, copy, 0)  # no two files are the same picture
                Image.fromarray(plain).save(folder / name)
                table.writerow([name, int(red), f"secret source {number}", "flat" if number % 3 else "deep"])
        (folder / "torn.png").write_bytes(b"\x89PNG no more")
        table.writerow(["torn.png", 1, "", "flat"])
    return folder


def run(folder: Path, output: Path, detector: Any = None, wanted: Wanted = QUICK) -> Evaluation:
    data, found = read_dataset(folder), detector or Redness()
    return evaluate_pictures(data, (found,), targets((found,), data.categories, {}), wanted, output)


@pytest.fixture(scope="module")
def output(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One evaluation with changed pictures, which several tests look at."""
    folder = tmp_path_factory.mktemp("output")
    run(pictures, folder, wanted=Wanted(Settings(rounds=100, at=(0.5,)), MADE, changed=120))
    return folder


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def test_the_same_again_gives_the_same_bytes(pictures: Path, output: Path, tmp_path: Path) -> None:
    """Results, page, scores and snippet, with scores kept and anew; another seed is another evaluation."""
    wanted = Wanted(Settings(rounds=100, at=(0.5,)), MADE, changed=120)
    kept = {
        one: (output / one).read_bytes() for one in ("results.json", "index.html", "scores.csv", "calibration.yaml")
    }
    run(pictures, output, wanted=wanted)
    assert {one: (output / one).read_bytes() for one in kept} == kept
    anew = run(pictures, tmp_path, wanted=wanted)
    assert (tmp_path / "results.json").read_bytes() == kept["results.json"]
    other = run(pictures, tmp_path, wanted=Wanted(Settings(rounds=100, at=(0.5,), seed=8), MADE, changed=120))
    assert other.id != anew.id
    assert other.dataset == anew.dataset


def test_results_hold_no_float_no_name_and_no_source(pictures: Path, output: Path) -> None:
    """Numbers are texts; file names and sources appear nowhere unless asked for."""

    def floats(value: Any) -> bool:
        if isinstance(value, dict):
            return any(map(floats, value.values()))
        return any(map(floats, value)) if isinstance(value, list) else isinstance(value, float)

    assert not floats(results(output))
    for file in output.iterdir():
        assert "holiday" not in file.read_text(), file
        assert "secret" not in file.read_text(), file


def test_names_are_written_where_asked_for(pictures: Path, tmp_path: Path) -> None:
    """Into scores and results."""
    run(pictures, tmp_path, wanted=Wanted(Settings(rounds=100), MADE, changed=0, names=True))
    assert "holiday-0-0.png" in (tmp_path / "scores.csv").read_text()
    assert any("holiday" in one["file"] for one in results(tmp_path)["categories"][0]["surprises"])


def test_figures_are_there_for_the_whole_and_each_slice(output: Path) -> None:
    """Counts of pictures and sources, figures with intervals, slices, thresholds, band, calibration."""
    (found,) = results(output)["categories"]
    counts = found["whole"]["counts"]
    assert (counts["pictures"], counts["sources"], counts["positive_sources"]) == (289, 241, 120)
    assert counts["unknown_positives"] == 1
    assert found["unknown"] == {"it is no picture that can be decoded": 1}
    auroc = found["whole"]["auroc"]
    assert 0.85 < float(auroc["low"]) < float(auroc["value"]) < float(auroc["high"]) < 1
    assert [(one["value"], one["counts"]["too_few"]) for one in found["slices"]] == [
        ("deep", "Too few: 40 distinct positives and 40 distinct negatives with a score, and 50 of each are needed."),
        ("flat", None),
    ]
    assert found["slices"][0]["at"] == []
    assert {one["target"]: one["why_not"] for one in found["thresholds"]} == {"recall": None, "precision": None}
    assert set(found["calibration"]) == {"logistic", "temperature", "isotonic", "best"}


def test_every_change_is_compared_on_the_same_pictures(output: Path) -> None:
    """A mirrored plain picture scores the same; a band of text over a fifth does not; each has an interval or none."""
    (found,) = results(output)["categories"]
    changes = {one["change"]: one for one in found["robustness"]}
    assert list(changes) == list(CHANGES)
    assert changes["mirrored"]["moved_by"]["recall"]["value"] == "0.000000"
    assert float(changes["grey"]["after"]["recall"]["value"]) == 0
    assert changes["grey"]["counts"]["positive_sources"] == 60
    assert float(changes["grey"]["moved_by"]["recall"]["high"]) < 0


def test_the_page_is_one_file_that_loads_nothing(output: Path) -> None:
    """No address, no script; plots have a description; elements and ids are whole."""
    page = (output / "index.html").read_text()
    assert "default-src 'none'" in page
    assert not re.search(r"<(script|img|link|iframe)|@import|url\((?!#)", page)
    assert len(re.findall(r'<svg role="img" aria-label="redness/red', page)) == 3
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert "In short" in page
    assert "of what shows it" in page


def test_scores_alone_give_the_same_figures(output: Path, tmp_path: Path) -> None:
    """Who gets scores.csv and no picture calculates the same figures, on the same data set."""
    rows, stamps = read_labelled(output / "scores.csv")
    evaluate_scores(rows, stamps, Wanted(Settings(rounds=100, at=(0.5,)), MADE), tmp_path)
    mine, theirs = results(output), results(tmp_path)
    assert theirs["dataset"]["digest"] == mine["dataset"]["digest"]
    for name in ("whole", "slices", "thresholds", "band", "calibration", "reliability"):
        assert theirs["categories"][0][name] == mine["categories"][0][name], name
    assert (tmp_path / "scores.csv").read_bytes() == (output / "scores.csv").read_bytes()


def test_an_interrupted_evaluation_goes_on(pictures: Path, tmp_path: Path) -> None:
    """Ctrl-C after some chunks: what was scored is not scored again; a torn last line costs its own picture only."""
    done: list[int] = []

    def progress(what: str, number: int, total: int) -> None:
        done.append(number)
        if what == "scoring" and number > 60:
            raise KeyboardInterrupt

    data, first = read_dataset(pictures), Redness()
    wished = targets((first,), data.categories, {})
    with pytest.raises(KeyboardInterrupt):
        evaluate_pictures(data, (first,), wished, QUICK, tmp_path, progress=progress)
    lines = (tmp_path / CACHE).read_text().splitlines(keepends=True)
    assert len(lines) == first.seen == 64
    (tmp_path / CACHE).write_text("".join(lines[:-1]) + lines[-1][:40])
    second = Redness()
    run(pictures, tmp_path, second)
    assert second.seen == 288 - 63
    third = Redness()
    run(pictures, tmp_path, third)
    assert third.seen == 0


def test_other_weights_or_versions_are_scored_anew(pictures: Path, tmp_path: Path) -> None:
    """Scores do not carry over."""
    run(pictures, tmp_path)
    for other in (Redness(version="2"), Redness(digest="ab" * 32)):
        run(pictures, tmp_path, other)
        assert other.seen == 288


def _raise() -> None:
    raise ValueError("secret")


@pytest.mark.parametrize(
    ("twist", "reason"),
    [
        (lambda n: _raise() if n % 16 == 3 else None, "it raised ValueError"),
        (lambda n: math.nan if n % 16 == 3 else None, "the score is no number from 0 to 1"),
    ],
)
def test_what_a_detector_cannot_answer_is_unknown(pictures: Path, tmp_path: Path, twist: Any, reason: str) -> None:
    """Counted with its reason, out of the figures, asked again the next time, and missed where recall is required."""
    wanted = Wanted(Settings(rounds=100), MADE, requirements=(requirement("recall>=0.99"),), changed=0)
    found = run(pictures, tmp_path, Redness(twist=twist), wanted)
    (one,) = found.analyses
    lost = one.unknown[reason]
    assert lost >= 18
    assert one.whole.counts.positive_sources + one.whole.counts.negative_sources < 240 + 1
    assert one.whole.at == {} or one.whole.at[0.5].worst_recall < 1
    again = Redness()
    run(pictures, tmp_path, again)
    assert again.seen == lost


def test_nothing_is_lost_where_a_whole_detector_fails(pictures: Path, tmp_path: Path) -> None:
    """Every picture is unknown: too few, which is no pass."""
    found = run(pictures, tmp_path, Redness(twist=lambda n: _raise()))
    assert found.analyses[0].whole.counts.too_few
    assert found.unmet()
    assert results(tmp_path)["not_reached"]


def test_wrong_weights_are_told_before_anything_is_scored(pictures: Path, tmp_path: Path) -> None:
    """The detector's own error comes through."""

    class Wrong(Redness):
        @property
        def digest(self) -> str:
            """Not the known one."""
            raise WeightsMismatch("wrong weights")

        @digest.setter
        def digest(self, value: str) -> None:
            """Ignore it."""

    with pytest.raises(WeightsMismatch):
        run(pictures, tmp_path, Wrong())


def test_one_picture_with_two_labels_is_a_mistake(tmp_path: Path) -> None:
    """The same bytes under two names cannot be red and not red."""
    Image.new("RGB", (4, 4), "red").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    (tmp_path / "labels.csv").write_text("file,red\na.png,1\nb.png,0\n")
    with pytest.raises(
        EvaluationInvalid, match=r"labels\.csv:3: the same picture as in line 2, there with another 'red'"
    ):
        run(tmp_path, tmp_path / "out")


def test_a_concepts_calibration_fits_into_a_pack(pictures: Path, tmp_path: Path) -> None:
    """What is written loads as a concept's calibration, and its line is the composed one of margin and score."""

    class Clip(Redness):
        name = "clip"

    concept = Concept("red", positive=("red",), contrast=("blue",))
    wanted = Wanted(Settings(rounds=100), MADE, changed=0, concepts={"red": concept})
    found = run(pictures, tmp_path, Clip(digest="ab" * 32), wanted)
    written = (tmp_path / "calibration.yaml").read_text()
    calibration = found.analyses[0].calibration
    assert calibration is not None
    assert calibration.scale is not None
    assert calibration.offset is not None
    assert f'scale: "{40 * calibration.scale:.6f}"' in written
    assert f'offset: "{-6 * calibration.scale + calibration.offset:.6f}"' in written
    concepts = written[written.index("concepts:") : written.index("# For rules")]
    concepts = concepts.replace("  red:\n", "  red:\n    positive: [red]\n    contrast: [blue]\n")
    evidence = next(line for line in written.splitlines() if "evidence:" in line).removeprefix("#   ")
    pack = load_pack_bytes((_PACK + concepts + _RULE.replace("EVIDENCE", f"{{{evidence}}}")).encode(), "t.yaml")
    (made,) = pack.concepts
    assert made.calibration is not None
    assert (made.calibration.weights, made.calibration.evaluation) == ("ab" * 32, found.id)


_PACK = 'policy: t\nversion: "1"\ntitle: T\nowner: o@example.com\n'
_RULE = """\
rules:
  - id: R-1
    title: T
    says: S
    why: W
    basis: [{cite: B}]
    severity: high
    stage: image
    when: EVIDENCE
    then: {verdict: deny}
    if_unknown: review
    examples:
      - {evidence: [{detector: clip, category: red, score: "1"}], expect: deny}
"""


def test_only_the_concepts_own_thresholds_are_moved(pictures: Path, tmp_path: Path) -> None:
    """Another detector with a category of that name has no calibration in a pack: its thresholds are as it scores."""

    class Clip(Redness):
        name = "clip"

    data, both = read_dataset(pictures), (Clip(digest="ab" * 32), Redness())
    found = evaluate_pictures(data, both, targets(both, data.categories, {}), QUICK, tmp_path)
    thresholds = {one.threshold for some in found.analyses for one in some.chosen}
    written = (tmp_path / "calibration.yaml").read_text()
    asked = {
        name: {float(score) for score in re.findall(rf'detector: {name}, category: red, at_least: "([^"]+)"', written)}
        for name in ("clip", "redness")
    }
    assert thresholds <= asked["redness"]
    assert not thresholds & asked["clip"]


def test_changes_are_tried_at_a_threshold_of_one_half_where_it_is_named(pictures: Path, tmp_path: Path) -> None:
    """A pack's 0.5 is no missing threshold; where none is named it is the one chosen for recall."""
    named = Wanted(Settings(rounds=100), MADE, written={("redness", "red"): (0.5,)}, changed=0)
    (one,) = run(pictures, tmp_path / "named", wanted=named).analyses
    assert one.working_threshold == 0.5
    (other,) = run(pictures, tmp_path / "unnamed").analyses
    assert other.thresholds == one.thresholds
    assert other.working_threshold == next(chosen.threshold for chosen in other.chosen if chosen.aim == "recall")


def test_a_band_without_a_gap_asks_nobody(tmp_path: Path) -> None:
    """Where one score lets pass and acts, a rule with `review_from` at its own threshold would be an error."""
    rows = [f"{n}.png,red,{n % 2},{'0.900000' if n % 2 else '0.100000'}" for n in range(300)]
    (tmp_path / "scores.csv").write_text("\n".join(["file,category,label,score", *rows]) + "\n")
    table, stamps = read_labelled(tmp_path / "scores.csv")
    (one,) = evaluate_scores(table, stamps, QUICK, tmp_path / "out").analyses
    assert not isinstance(one.band, str)
    assert one.band.low == one.band.high == 0.9
    written = (tmp_path / "out" / "calibration.yaml").read_text()
    assert "review_from" not in written
    assert "no band" in written


def test_thresholds_of_calibrated_scores_flag_the_same_pictures(pictures: Path, tmp_path: Path) -> None:
    """A picture at the threshold stays at or above it after calibration, with six decimals."""
    from limner_policy.evaluation.calibrating import logit, sigmoid
    from limner_policy.evaluation.snippet import moved

    (one,) = run(pictures, tmp_path).analyses
    calibration = one.calibration
    assert calibration is not None
    assert calibration.scale is not None
    assert calibration.offset is not None
    scores = one.column.known.scores
    new = np.round(sigmoid(calibration.scale * logit(scores) + calibration.offset), 6)
    for threshold in np.quantile(scores, [0.2, 0.5, 0.8]):
        at = float(scores[np.argmin(np.abs(scores - threshold))])
        assert (new[scores >= at] >= float(moved(at, one))).all()


def test_requirements_are_told_one_by_one(pictures: Path, tmp_path: Path) -> None:
    """Met, not met with the figure, or about no category."""
    texts = ("auroc>=0.8", "fpr<=0.0001", "skull:recall>=0.5", "redness/red:precision>=0.99")
    found = run(
        pictures, tmp_path, wanted=Wanted(Settings(rounds=100), MADE, tuple(map(requirement, texts)), changed=0)
    )
    assert [one["met"] for one in to_json(found)["requirements"]] == [True, False, False, False]
    assert "skull:recall>=0.5: there is no such category." in found.unmet()
    page = (tmp_path / "index.html").read_text()
    assert page.count('class="good">met<') == 1
    assert page.count('class="bad">not reached<') == 3


def test_changes_never_change_the_kind_of_a_picture() -> None:
    """Every change gives uint8 RGB, of pictures of one pixel and of thin ones too, and the same each time."""
    for shape in ((1, 1, 3), (3, 200, 3), (40, 30, 3)):
        picture = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        before = picture.copy()
        for name, change in CHANGES.items():
            made = change(picture)
            assert made.dtype == np.uint8, name
            assert made.shape[2:] == (3,), name
            assert 0 not in made.shape, name
            assert (made == change(picture)).all(), name
        assert (picture == before).all()


def test_a_target_is_shown_by_detector_and_category() -> None:
    """As rules and requirements write it."""
    assert str(Target("clip", "weapon", "arms")) == "clip/weapon"
