"""Concepts through the whole SDK: judged, recorded with what was seen, and decided again with other words.

The model is a small one of open_clip with numbers by chance, so that scores are exact and mean nothing.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner import Limner
from limner.config import Config
from limner.errors import ConfigInvalid, PolicyDenied
from limner.policy_tools.impact import replay_log
from limner.reading import open_log
from limner.records import Record
from limner.runtime import Runtime
from limner.steps.pictures import pictures
from limner_policy.detectors.clip import ClipDetector
from limner_policy.detectors.clip_files import ClipSettings, file_sha256
from limner_policy.detectors.embeddings import Embedding
from limner_policy.detectors.settings import Place
from limner_policy.errors import DetectorError, WeightsMismatch
from limner_policy.loading import load_pack_bytes
from limner_policy.pack import Pack
from limner_policy.types import PolicyInput
from limner_provenance.audit import verify as verify_log
from limner_providers.test import TestProvider

open_clip = pytest.importorskip("open_clip", reason="needs the extra clip")
torch = pytest.importorskip("torch", reason="needs the extra clip")

MODEL: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
PACK = """\
policy: house
version: {version}
title: House
owner: legal@example.com
concepts:
  weapon: {{positive: {positive}, contrast: [a kitchen]}}
rules:
  - id: R-1
    title: No weapon
    says: It is refused.
    why: A test.
    basis: [{{cite: A test}}]
    severity: high
    stage: image
    when: {{evidence: {{detector: clip, category: weapon, at_least: "{at_least}"}}}}
    then: {{verdict: deny}}
    if_unknown: review
"""


def text(version: str = "1", positive: str = "[a dagger]", at_least: str = "1") -> str:
    return PACK.format(version=version, positive=positive, at_least=at_least)


def pack(*args: str) -> Pack:
    return load_pack_bytes(text(*args).encode(), "house.yaml")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("model")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": MODEL, "preprocess_cfg": {}}))
    torch.manual_seed(7)
    made = open_clip.model.CLIP(**MODEL)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.2)
    save_file(made.state_dict(), folder / "open_clip_model.safetensors")
    return folder


House = Callable[..., Config]


@pytest.fixture
def house(tmp_path: Path, model: Path) -> House:
    """Give a maker of configurations with the test provider, this pack, and the model in a folder beside the file."""
    shutil.copytree(model, tmp_path / "model")

    def make(*args: str, **more: Any) -> Config:
        (tmp_path / "house.yaml").write_text(text(*args))
        sha256 = file_sha256(tmp_path / "model" / "open_clip_model.safetensors")
        clip = {"model": "model", "weights_sha256": sha256, **more}
        values = {"providers": {"fake": {"kind": "test"}}, "policy": ["house.yaml"], "detectors": {"clip": clip}}
        return Config.model_validate({**values, "root": tmp_path})

    return make


def scored(config: Config, record_id: str, words: str) -> str:
    """The score of the made picture for a concept of these words, by a detector of its own."""
    settings = ClipSettings.model_validate(config.detectors["clip"].settings)
    detector = ClipDetector().with_settings(settings, Place(config.root))
    concepts = {one.name: one for one in pack("x", words).concepts}
    with open_log(config) as log:
        (picture,) = pictures(Record.load(log, record_id))
        ((evidence,),) = detector.with_concepts(concepts).score([picture.pixels])
    assert evidence.score is not None
    return evidence.score


def test_a_concept_is_judged_and_what_was_seen_is_kept_apart(house: House) -> None:
    """The judgement holds score and digest, a payload beside it the vectors, and no entry a number of them."""
    config = house()
    with Limner.open(config) as limner:
        result = limner.generate("a red apple", seed=7)
    with open_log(config) as log:
        assert verify_log(log).ok
        judged = Record.load(log, result.record_id).entry("judged", stage="image")
        assert sorted(judged.payloads) == ["embeddings", "input"]
        (evidence,) = PolicyInput.from_json(log.payload(judged.payloads["input"])).evidence
        (kept,) = (Embedding.from_json(one) for one in log.payload(judged.payloads["embeddings"]))
        assert log.payload(judged.payloads["embeddings"])[0]["float32"] not in judged.leaf
    assert (kept.detector, kept.image, kept.of, kept.digest) == ("clip", 0, "output", evidence.digest)
    assert kept.vectors.shape == (1, 16)
    assert np.linalg.norm(kept.vectors[0]) == pytest.approx(1, abs=1e-5)
    assert evidence.score == scored(config, result.record_id, "[a dagger]")
    cached = list((config.root / ".limner" / "cache" / "detectors").glob("*.npy"))
    assert len(cached) == 1


def test_other_words_are_replayed_on_what_was_seen(house: House) -> None:
    """Same words: nothing differs. Others: the score is the one the picture would have had, without the picture."""
    config = house()
    with Limner.open(config) as limner:
        result = limner.generate("a red apple", seed=7)
    other = scored(config, result.record_id, "[a gun, a stone]")
    with open_log(config) as log:
        same = replay_log(log, [pack()], config=config)
        assert (same.changes, same.rescored, same.unscored.total()) == ([], 0, 0)
    shutil.rmtree(config.root / ".limner" / "assets")
    with open_log(config) as log:
        below = f"{(int(other.replace('.', '')) + 1) / 1e6:.6f}"
        missed, reached = (
            replay_log(log, [pack("2", "[a gun, a stone]", at_least)], config=config) for at_least in (below, other)
        )
    assert (missed.changes, missed.rescored) == ([], 1)
    assert [(change.judged, change.kind) for change in reached.changes] == [("image 0", "allow→deny")]


def test_a_replay_with_another_model_says_so(house: House, tmp_path: Path) -> None:
    """Vectors of one model say nothing to another: the score is missing, if_unknown decides, and it is counted."""
    config = house()
    with Limner.open(config) as limner:
        limner.generate("a red apple", seed=7)
    file = tmp_path / "model" / "open_clip_config.json"
    file.write_text(file.read_text().replace('"preprocess_cfg": {}', '"preprocess_cfg": {"interpolation": "bilinear"}'))
    with open_log(config) as log:
        found = replay_log(log, [pack("2", "[a gun]")], config=config)
    assert found.unscored == {"another model saw it": 1}
    assert [(change.kind, change.unknown) for change in found.changes] == [("allow→review", True)]


def given() -> bytes:
    """A picture that is twice as wide as high."""
    file = io.BytesIO()
    Image.new("RGB", (96, 48), "red").save(file, "PNG")
    return file.getvalue()


def test_a_given_picture_is_looked_at_too(house: House) -> None:
    """What was seen in a picture that a request brings stands beside the judgement of that request."""
    config = house()
    with Limner.open(config) as limner:
        result = limner.edit(given(), "a red apple", seed=7)
    with open_log(config) as log:
        judged = Record.load(log, result.record_id).entry("judged", stage="request")
        (kept,) = (Embedding.from_json(one) for one in log.payload(judged.payloads["embeddings"]))
    assert (kept.of, kept.image, kept.vectors.shape) == ("input", 0, (2, 16))


def test_what_was_seen_in_a_denied_picture_is_not_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A given picture is denied before anything is sent, and its vectors tell what it shows: only its score stays."""
    monkeypatch.setattr(TestProvider, "generate", lambda *_, **__: pytest.fail("the engine was asked"))
    config = house("1", "[a dagger]", "0")
    with Limner.open(config) as limner, pytest.raises(PolicyDenied) as refused:
        limner.edit(given(), "a red apple", seed=7)
    (hit,) = refused.value.decision.deciding
    assert hit.evidence[0].evidence.of == "input"
    with open_log(config) as log:
        judged = Record.load(log, str(refused.value.record_id)).entry("judged", stage="request")
    assert "embeddings" not in judged.payloads


def test_wrong_weights_are_told_before_anything_is_spent(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are an error of the request that asks first, and no evidence; the engine is not asked."""
    monkeypatch.setattr(TestProvider, "generate", lambda *_, **__: pytest.fail("the engine was asked"))
    with Limner.open(house(weights_sha256="0" * 64)) as limner, pytest.raises(WeightsMismatch, match="and not 0000"):
        limner.generate("a red apple", seed=7)


def test_settings_are_checked_when_the_house_is_opened(house: House) -> None:
    """A setting that is none is an error with a suggestion, even where no rule names the detector yet."""
    with pytest.raises(ConfigInvalid, match=r"detectors.clip.modle is no setting. Did you mean model\?"):
        Runtime.open(house(modle="x"))
    with pytest.raises(ConfigInvalid, match="no detector is called 'eyes'"):
        Runtime.open(Config.model_validate({"root": house().root, "detectors": {"eyes": {}}}))


def test_two_packs_with_one_name_for_two_concepts(house: House) -> None:
    """Evidence of one name has one meaning, so that is an error before anything is spent."""
    config = house()
    (config.root / "other.yaml").write_text(text("1", "[a gun]").replace("policy: house", "policy: other"))
    config = config.model_copy(update={"policy": ("house.yaml", "other.yaml")})
    with Limner.open(config) as limner, pytest.raises(DetectorError, match="house and other have different concepts"):
        limner.generate("a red apple", seed=7)
