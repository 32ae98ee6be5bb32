"""The detector clip on real models of open_clip: exact scores, one look a picture, never a model of random numbers."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from limner_policy.concepts import Calibration, Concept
from limner_policy.detectors.base import Pixels
from limner_policy.detectors.clip import ClipDetector
from limner_policy.detectors.clip_files import ClipSettings, file_sha256
from limner_policy.detectors.conformance import DetectorConformance
from limner_policy.detectors.embeddings import Embedding, EmbeddingDetector, scored_again
from limner_policy.detectors.running import inspect_pictures, run_detectors
from limner_policy.detectors.settings import Place
from limner_policy.errors import DetectorError, DetectorUnavailable

open_clip = pytest.importorskip("open_clip", reason="needs the extra clip")
torch = pytest.importorskip("torch", reason="needs the extra clip")

DIMENSIONS = 16
SMALL: dict[str, Any] = {
    "embed_dim": DIMENSIONS,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
"""A model small enough to be made in a test; its numbers are chance, and its scores mean nothing."""

WEAPON = Concept("weapon", ("a dagger", "a gun"), ("a kitchen", "an animal"), ("a picture of {}", "{}"))
FOOD = Concept("food", ("bread",), ("a stone", "a car"))


def save(folder: Path, config: dict[str, Any], seed: int = 7) -> Path:
    """Save a model of open_clip with numbers by chance, as `push_to_hf_hub` lays it out."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    torch.manual_seed(seed)
    model = open_clip.model.CLIP(**config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.2)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def settings(folder: Path, **more: Any) -> ClipSettings:
    sha256 = file_sha256(folder / "open_clip_model.safetensors")
    return ClipSettings.model_validate({"model": str(folder), "weights_sha256": sha256, **more})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("clip"), SMALL)


@pytest.fixture(scope="module")
def bare(folder: Path) -> ClipDetector:
    return ClipDetector().with_settings(settings(folder), Place())


@pytest.fixture(scope="module")
def detector(bare: ClipDetector) -> ClipDetector:
    return bare.with_concepts({"weapon": WEAPON, "food": FOOD})


@pytest.fixture(scope="module")
def pictures() -> list[Pixels]:
    """Shapes and noise, square and not."""
    chance = np.random.default_rng(7)
    drawn = Image.new("RGB", (96, 96), "white")
    ImageDraw.Draw(drawn).ellipse((10, 10, 60, 60), fill="red")
    wide = Image.new("RGB", (200, 80), "navy")
    ImageDraw.Draw(wide).rectangle((150, 10, 195, 70), fill="yellow")
    noise = chance.integers(0, 256, (64, 48, 3), dtype=np.uint8)
    return [np.asarray(drawn), np.asarray(wide), noise, np.full((1, 1, 3), 90, dtype=np.uint8)]


class TestClipDetectorConforms(DetectorConformance):
    """The shipped conformance test, with a model made here."""

    @pytest.fixture(autouse=True)
    def _model(self, folder: Path) -> None:
        self._made = settings(folder)

    def make(self) -> ClipDetector:
        """A detector of its own, so that the first call loads the model."""
        return ClipDetector().with_settings(self._made, Place()).with_concepts({"weapon": WEAPON, "food": FOOD})


def own_score(folder: Path, concept: Concept, picture: Pixels) -> float:
    """The score written out with open_clip's own functions, for a square picture."""
    name = f"local-dir:{folder}"
    model, _, transform = open_clip.create_model_and_transforms(name)
    tokenizer = open_clip.get_tokenizer(name)
    model.eval()
    with torch.inference_mode():
        seen = model.encode_image(transform(Image.fromarray(picture))[None], normalize=True)[0].double()

        def nearest(prompts: tuple[str, ...]) -> float:
            texts = [[form.replace("{}", prompt) for form in concept.templates] for prompt in prompts]
            means = [model.encode_text(tokenizer(some), normalize=True).double().mean(0) for some in texts]
            return max(float(seen @ (mean / mean.norm())) for mean in means)

        margin = nearest(concept.positive) - nearest(concept.contrast)
        scale = float(model.logit_scale.exp())
    return 1 / (1 + math.exp(-scale * margin))


def test_scores_are_those_of_open_clip_itself(detector: ClipDetector, folder: Path, pictures: list[Pixels]) -> None:
    """Written out with open_clip's own transform, towers and logit scale, the score is the same to 1e-5."""
    rows = {one.category: one for one in run_detectors([detector], pictures[:1])[0]}
    for concept in (WEAPON, FOOD):
        found = rows[concept.name]
        assert found.score is not None
        assert float(found.score) == pytest.approx(own_score(folder, concept, pictures[0]), abs=1e-5)
        assert 0.0 < float(found.score) < 1.0
        assert found.reason.startswith("not calibrated")


def test_a_calibration_for_these_weights_is_used(bare: ClipDetector, pictures: list[Pixels]) -> None:
    """Scale and offset of the concept stand in the place of the model's own; the evidence needs no reason then."""
    plain = bare.with_concepts({"weapon": WEAPON})
    made = Calibration(bare.digest, Decimal(8), Decimal("-1.5"), "e-1")
    fitted = bare.with_concepts({"weapon": Concept("weapon", WEAPON.positive, WEAPON.contrast, WEAPON.templates, made)})
    (before,), (after,) = (run_detectors([one], pictures[:1])[0] for one in (plain, fitted))
    scale = bare._engine.model.logit_scale
    assert before.score is not None
    assert after.score is not None
    margin = math.log(float(before.score) / (1 - float(before.score))) / scale
    assert float(after.score) == pytest.approx(1 / (1 + math.exp(-(8 * margin - 1.5))), abs=1e-4)
    assert after.reason == ""


def test_a_calibration_for_other_weights_gives_no_score(bare: ClipDetector, pictures: list[Pixels]) -> None:
    """Scores do not carry over from one model to another, so the evidence is unknown and says why."""
    other = Concept(
        "weapon", WEAPON.positive, WEAPON.contrast, calibration=Calibration("ab" * 32, Decimal(8), Decimal(0))
    )
    alone = Concept("alone", ("a gun",))
    rows = run_detectors([bare.with_concepts({"weapon": other, "alone": alone})], pictures[:1])[0]
    assert [(one.status, one.score) for one in rows] == [("unknown", None)] * 2
    assert "neither contrast prompts nor a calibration" in rows[0].reason
    assert "calibrated for other weights (abababababab…)" in rows[1].reason


def test_a_picture_is_looked_at_once_for_all_concepts(
    bare: ClipDetector, pictures: list[Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty concepts cost one look a view; their prompts are embedded once."""
    concepts = {f"c{n}": Concept(f"c{n}", (f"thing {n}",), ("a stone",)) for n in range(50)}
    detector = bare.with_concepts(concepts)
    detector.prepare()
    seen: list[int] = []
    model = bare._engine.model
    real = model._model.encode_image

    def counted(batch: Any, **more: Any) -> Any:
        seen.append(len(batch))
        return real(batch, **more)

    monkeypatch.setattr(model._model, "encode_image", counted)
    monkeypatch.setattr(model, "texts", lambda *_: pytest.fail("prompts were embedded again"))
    rows = run_detectors([detector], pictures[:1])[0]
    assert (len(rows), seen) == (50, [1])


def test_the_whole_of_a_long_picture_is_seen(bare: ClipDetector) -> None:
    """What stands at one end of a wide picture changes its score: squares cover it, the middle alone would miss it."""
    plain = np.full((64, 256, 3), 255, dtype=np.uint8)
    marked = plain.copy()
    marked[8:56, 200:250] = (200, 0, 0)
    one, other = bare.embed([plain, marked])
    assert one is not None
    assert other is not None
    assert one.shape == other.shape == (4, DIMENSIONS)
    assert np.array_equal(one[0], other[0])
    assert not np.array_equal(one[3], other[3])
    tall = bare.embed([marked.transpose(1, 0, 2)])[0]
    assert tall is not None
    assert tall.shape == (4, DIMENSIONS)


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (10, 81)])
def test_a_strip_is_unknown(detector: ClipDetector, size: tuple[int, int]) -> None:
    """A picture more than eight times as long as wide is not looked at, and costs no memory."""
    row = run_detectors([detector], [np.zeros((*size, 3), dtype=np.uint8)])[0]
    assert {one.reason for one in row} == {"the picture is more than 8 times as long as it is wide"}


def test_numbers_that_are_none_are_unknown(detector: ClipDetector) -> None:
    """A model that gives NaN gives no score, whatever its other views say."""
    vectors = np.ones((2, DIMENSIONS), dtype=np.float32)
    vectors[1, 3] = np.nan
    (row,) = detector.score_vectors([vectors])
    assert {(one.status, one.reason) for one in row} == {("unknown", "the model gave no numbers for it")}


def test_what_was_seen_is_kept_and_scored_again_exactly(
    detector: ClipDetector, bare: ClipDetector, pictures: list[Pixels]
) -> None:
    """From the kept numbers, through JSON, every score is the same; another concept can be asked of them too."""
    assert isinstance(detector, EmbeddingDetector)
    looked = inspect_pictures([detector], pictures)
    kept = [Embedding.from_json(json.loads(json.dumps(one.to_json()))) for found in looked for one in found.embeddings]
    assert [one.image for one in kept] == [0, 1, 2, 3]
    again = scored_again(detector, kept)
    assert sorted(again, key=str) == sorted((one for found in looked for one in found.evidence), key=str)
    new = bare.with_concepts({"stone": Concept("stone", ("a stone",), ("bread",))})
    assert scored_again(new, kept[:1])[0] == run_detectors([new], pictures[:1])[0][0]
    foreign = Embedding("clip", "1", "ab" * 32, kept[0].vectors)
    assert scored_again(new, [foreign]) == []


def test_prompts_are_kept_on_the_disk(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process finds the vectors by the digests of model and wording; a torn file is made again."""

    def fresh() -> ClipDetector:
        return ClipDetector().with_settings(settings(folder), Place(cache=tmp_path)).with_concepts({"weapon": WEAPON})

    picture = np.zeros((40, 40, 3), dtype=np.uint8)
    first = fresh()
    scores = run_detectors([first], [picture])
    (file,) = tmp_path.glob("*.npy")
    second = fresh()
    monkeypatch.setattr(second._engine.model, "texts", lambda *_: pytest.fail("the prompts were embedded again"))
    assert run_detectors([second], [picture]) == scores
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert run_detectors([fresh()], [picture]) == scores
    assert file.read_bytes() == whole


def refused(model: dict[str, Any], place: Path) -> str:
    with pytest.raises(DetectorError) as error:
        ClipDetector().with_settings(ClipSettings.model_validate(model), Place(place)).prepare()
    return f"{type(error.value).__name__}: {error.value}"


def test_weights_are_held_against_their_digest(folder: Path, tmp_path: Path) -> None:
    """No digest, another digest, a torn file, another model's weights: an error that says what to do, and no model."""
    own = shutil.copytree(folder, tmp_path / "model")
    sha256 = file_sha256(own / "open_clip_model.safetensors")
    assert f"has the SHA-256 {sha256}. Hold it against" in refused({"model": "model"}, tmp_path)
    assert "and not " + "0" * 64 in refused({"model": "model", "weights_sha256": "0" * 64}, tmp_path)
    whole = (own / "open_clip_model.safetensors").read_bytes()
    (own / "open_clip_model.safetensors").write_bytes(whole[:-100])
    assert "have the SHA-256" in refused({"model": "model", "weights_sha256": sha256}, tmp_path)
    torn = hashlib.sha256(whole[:-100]).hexdigest()
    told = refused({"model": "model", "weights_sha256": torn}, tmp_path)
    assert told.startswith("WeightsMismatch: the weights open_clip_model.safetensors cannot be loaded")


def test_a_folder_that_is_not_whole_says_what_is_missing(folder: Path, tmp_path: Path) -> None:
    """No folder, no configuration, a broken one, no weights, no tokenizer: each has its own sentence."""
    own = shutil.copytree(folder, tmp_path / "model")
    sha256 = file_sha256(own / "open_clip_model.safetensors")
    given = {"model": "./model", "weights_sha256": sha256}
    assert "there is no folder" in refused({"model": "./no/folder"}, tmp_path)
    config = json.loads((own / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "somebody/something"
    (own / "open_clip_config.json").write_text(json.dumps(config))
    assert "asks for a tokenizer of transformers and holds none. Put its files there" in refused(given, tmp_path)
    config["model_cfg"]["text_cfg"] = {**SMALL["text_cfg"], "tokenizer_kwargs": {"bpe_path": "words.txt.gz"}}
    (own / "open_clip_config.json").write_text(json.dumps(config))
    assert "names the vocabulary words.txt.gz, which is not there" in refused(given, tmp_path)
    (own / "open_clip_config.json").write_text('{"model_cfg": {"embed_dim": 1}}')
    assert "has no model_cfg.vision_cfg" in refused(given, tmp_path)
    (own / "open_clip_config.json").write_text("{")
    assert "cannot be read: JSONDecodeError" in refused(given, tmp_path)
    (own / "open_clip_config.json").unlink()
    assert "holds no open_clip_config.json" in refused(given, tmp_path)


def test_a_name_without_weights_is_never_random(tmp_path: Path) -> None:
    """A named model needs weights, a name that open_clip has, and a file or tag that is there."""
    assert "model ViT-B-32 needs weights. Give `pretrained`" in refused({"model": "ViT-B-32"}, tmp_path)
    assert "open_clip has no model 'ViT-B-23'. Did you mean" in refused(
        {"model": "ViT-B-23", "pretrained": "x"}, tmp_path
    )
    told = refused({"model": "ViT-B-32", "pretrained": "laion2b"}, tmp_path)
    assert "is no file in" in told
    assert "laion2b_s34b_b79k" in told
    assert "no folder" in refused({"model": "hf-hub:somebody/model"}, tmp_path)


def test_a_tag_without_a_network_is_told(tmp_path: Path) -> None:
    """Offline and not in the cache: the weights are not at hand, and what to do is said."""
    assert "are not at hand" in refused(
        {"model": "RN50", "pretrained": "yfcc15m", "weights_sha256": "0" * 64}, tmp_path
    )


def test_a_prompt_that_the_model_cannot_read_whole_is_told(bare: ClipDetector) -> None:
    """A longer prompt is refused before any picture, never cut without a word."""
    long = Concept("long", ("a very long thing " * 6,), ("a stone",))
    with pytest.raises(DetectorError, match="reads 16 tokens, and this prompt has"):
        bare.with_concepts({"long": long}).prepare()


def test_the_digest_covers_configuration_and_tokenizer(folder: Path, tmp_path: Path) -> None:
    """The same weights with another preprocessing are another detector."""
    own = shutil.copytree(folder, tmp_path / "model")
    before = ClipDetector().with_settings(settings(own), Place()).digest
    config = json.loads((own / "open_clip_config.json").read_text())
    config["preprocess_cfg"] = {"interpolation": "bilinear"}
    (own / "open_clip_config.json").write_text(json.dumps(config))
    assert ClipDetector().with_settings(settings(own), Place()).digest != before


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without open-clip-torch the error says what to install."""
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(DetectorUnavailable, match=r"pip install 'limner\[clip\]'"):
        ClipDetector()


def test_the_gpu_is_told_missing(folder: Path) -> None:
    """A GPU that is asked for and not there is an error; `auto` goes on without."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(DetectorUnavailable, match="torch finds no GPU"):
        ClipDetector().with_settings(settings(folder, device="cuda"), Place()).prepare()
    ClipDetector().with_settings(settings(folder, device="auto"), Place()).prepare()


def test_a_root_logger_is_left_alone(folder: Path) -> None:
    """Loading a model gives the process no log handler that it had not."""
    import logging

    before = list(logging.getLogger().handlers)
    ClipDetector().with_settings(settings(folder), Place()).prepare()
    assert ClipDetector().with_settings(settings(folder), Place())._engine.model is not None
    assert logging.getLogger().handlers == before
