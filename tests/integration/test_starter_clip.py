"""The starter CLIP: its program at smoke scale, and the shipped folder at work on pictures drawn here."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch

_ROOT = Path(__file__).resolve().parents[2]
SHIPPED = _ROOT / "policy" / "limner_policy" / "data" / "starter-clip"
STARTER = _ROOT / "providers" / "limner_providers" / "starter"
DRAWN = ("dagger", "beer mug", "cigarette", "slot machine", "syringe", "skull", "red apple", "cat face", "rocket")
OF_CONCEPT = {
    "weapon": "dagger",
    "alcohol": "beer mug",
    "tobacco": "cigarette",
    "gambling": "slot machine",
    "medical": "syringe",
    "skull": "skull",
}


@pytest.fixture(scope="module", autouse=True)
def program() -> Iterator[None]:
    """Makes the program importable: it is a program of the repository and no installed package."""
    pytest.importorskip("open_clip")
    folder = str(_ROOT / "providers" / "starter")
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def embedder() -> Any:
    from limner_starter.clip_model import Embedder

    return Embedder(SHIPPED)


@pytest.fixture(scope="module")
def drawn() -> Any:
    """Pictures of the starter diffusion model, by seeds that the CLIP never saw: ``[9, 3, 64, 64]`` in 0 … 1."""
    pytest.importorskip("diffusers")
    import torch

    from limner_starter.sampling import Sampler

    pixels = Sampler(STARTER, steps=12).draw(DRAWN, [9_000_000 + place for place in range(len(DRAWN))])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    from limner_starter.shapes import write_shapes

    return write_shapes(tmp_path / "shapes")


def test_the_vocabulary_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    """Words learned from the same texts give the same file, open_clip reads it, and a known word is one token."""
    from limner_starter.clip_tokens import tokenizer, write_vocabulary

    texts = ["a picture of a dagger", "dagger", "crossed swords", "crossed swords"] * 2
    sizes = [write_vocabulary(texts, tmp_path / name) for name in ("a.gz", "b.gz")]
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    read = tokenizer(tmp_path / "a.gz", 8)
    assert read.vocab_size == sizes[0] == sizes[1]
    row = read(["Dagger"])[0].tolist()
    assert row[0] == read.sot_token_id
    assert row[2] == read.eot_token_id
    assert read(["zyx"])[0].max() == read.eot_token_id  # unknown words fall apart into letters


def test_a_run_is_exported_and_resumed_step_by_step(tmp_path: Path, shapes: Path) -> None:
    """Four steps, and two with two more after a restart, give the same weights; the folder loads in plain open_clip."""
    import open_clip
    import torch

    from limner_starter import clip_data, clip_model, clip_words
    from limner_starter.clip_designs import DESIGNS
    from limner_starter.clip_tokens import VOCABULARY, write_vocabulary
    from limner_starter.clip_training import ClipRecipe, ClipStage
    from limner_starter.device import Compute
    from limner_starter.recipe import Budget

    data = clip_data.prepare(tmp_path / "work", shapes, DESIGNS[:1])
    vocabulary = clip_words.words(data.names, data.tags, shapes)
    file = tmp_path / VOCABULARY
    tokens = (file, write_vocabulary(clip_words.corpus(data.names, vocabulary), file))
    generated = [np.full((len(data.names), 64, 64, 3), 200, dtype=np.uint8)]
    torch.set_num_threads(1)

    def stage() -> ClipStage:
        compute = Compute(torch.device("cpu"), torch.float32)
        recipe = ClipRecipe(budget=Budget(4, 6, 1e-3), width=8, difficult=2)
        return ClipStage(data, generated, vocabulary, tokens, recipe=recipe, compute=compute)

    whole = stage()
    states = []
    for number in range(4):
        figures = whole.step(number)
        assert all(np.isfinite(value) for value in figures.values())
        if number == 1:
            states.append(copy.deepcopy(whole.state()))
    second = stage()
    second.restore(states[0])
    for number in (2, 3):
        second.step(number)
    one, other = whole.result().state_dict(), second.result().state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)

    clip_model.save(tmp_path / "model", whole.settings, one, file)
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'model'}")
    assert model.visual.image_size in {64, (64, 64)}
    assert transform is not None


def test_pictures_of_the_held_out_design_are_never_drawn_from(tmp_path: Path, shapes: Path) -> None:
    """The pool that training draws from has exactly the learned rows and the generated pictures."""
    from limner_starter import clip_data
    from limner_starter.clip_designs import DESIGNS
    from limner_starter.clip_training import Pool

    data = clip_data.prepare(tmp_path / "work", shapes, DESIGNS[:1])
    half = len(data.name) // 2
    design = np.where(np.arange(len(data.name)) < half, 0, 1)
    both = clip_data.ClipData(data.names, data.tags, data.rgba, data.name, design, ("noto", "openmoji"))
    generated = [np.full((len(data.names), 64, 64, 3), 9, dtype=np.uint8)]
    assert len(Pool(both, generated).pixels) == half + len(data.names)


def test_both_halves_of_the_names_are_used() -> None:
    """The split into calibration and test follows from the name alone and puts about half on each side."""
    from limner_starter.clip_sets import calibration_half

    names = (STARTER / "names.txt").read_text("utf-8").splitlines()
    half = calibration_half(names)
    assert 0.45 < half.mean() < 0.55
    assert (calibration_half(names[::-1])[::-1] == half).all()


def test_the_shipped_folder_loads_in_plain_open_clip() -> None:
    """A user needs nothing of ours: the folder, and the path of its vocabulary."""
    import open_clip
    import torch

    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{SHIPPED}")
    read = open_clip.get_tokenizer(f"local-dir:{SHIPPED}", bpe_path=str(SHIPPED / "vocabulary.txt.gz"))
    assert read.vocab_size == model.vocab_size
    from PIL import Image

    picture = transform(Image.new("RGB", (200, 100), "white"))[None]
    with torch.no_grad():
        assert model.encode_image(picture).shape == model.encode_text(read(["a picture of a dagger"])).shape == (1, 128)


def test_the_card_speaks_of_these_weights() -> None:
    """The digest in the card, the one in the concepts and that of the file are one; the file may be pushed."""
    digest = hashlib.sha256((SHIPPED / "open_clip_model.safetensors").read_bytes()).hexdigest()
    assert digest in (SHIPPED / "MODEL_CARD.md").read_text("utf-8")
    assert json.loads((SHIPPED / "concepts.json").read_text("utf-8"))["source"]["weights_sha256"] == digest
    assert (SHIPPED / "open_clip_model.safetensors").stat().st_size < 9_500_000


def test_the_shipped_lineage_is_clean() -> None:
    """Each design has its licence, credit and as many lines as it says; nothing is of OpenMoji."""
    lines = [json.loads(line) for line in (SHIPPED / "lineage.jsonl").read_text("utf-8").splitlines()]
    heads = [line for line in lines if isinstance(line, dict)]
    rows = [line for line in lines if isinstance(line, list)]
    assert {head["design"]: head["pictures"] for head in heads} == _counted(rows)
    assert {head["licence"] for head in heads} == {"Apache-2.0", "MIT", "CC-BY-4.0"}
    assert "openmoji" not in _counted(rows)
    notice = (SHIPPED / "NOTICE").read_text("utf-8")
    for head in heads:
        assert head["source"].removeprefix("npm:").rpartition("@")[0] in notice
        assert head["credit"].split(" (")[0] in notice


def _counted(rows: list[Any]) -> dict[str, int]:
    return {design: sum(row[0] == design for row in rows) for design in dict.fromkeys(row[0] for row in rows)}


def test_generated_pictures_are_recognised(embedder: Any, drawn: Any) -> None:
    """Of nine pictures drawn here at least seven are nearest to their name of 1,087, all are among the first five."""
    names = (STARTER / "names.txt").read_text("utf-8").splitlines()
    found = (embedder.pictures(drawn) @ embedder.texts(names).T).topk(5, dim=1).indices.tolist()
    first = [names[row[0]] == wanted for row, wanted in zip(found, DRAWN, strict=True)]
    assert sum(first) >= 7
    assert all(wanted in [names[place] for place in row] for row, wanted in zip(found, DRAWN, strict=True))


def test_each_concept_is_found_in_its_picture_and_in_no_other(embedder: Any, drawn: Any) -> None:
    """With the shipped prompts and calibration, a concept's own picture scores highest of the nine."""
    from limner_starter.clip_words import Concept

    vectors = embedder.pictures(drawn)
    rows = json.loads((SHIPPED / "concepts.json").read_text("utf-8"))["concepts"]
    assert set(rows) == set(OF_CONCEPT)
    for name, row in rows.items():
        concept = Concept(name, frozenset(), frozenset(), tuple(row["positive"]), tuple(row["contrast"]))
        margin = embedder.margins(vectors, concept, row["templates"]).numpy()
        score = 1 / (1 + np.exp(-(float(row["calibration"]["scale"]) * margin + float(row["calibration"]["offset"]))))
        assert DRAWN[int(score.argmax())] == OF_CONCEPT[name]
        assert score.max() >= float(row["thresholds"]["review"])
        assert np.sort(score)[-2] < float(row["thresholds"]["deny"])


def test_a_part_that_is_missing_is_named(tmp_path: Path) -> None:
    """A folder without weights is refused with the name of the file."""
    from limner_starter.clip_model import Embedder
    from limner_starter.errors import BadWorkFolder

    (tmp_path / "open_clip_config.json").write_text("{}", "utf-8")
    with pytest.raises(BadWorkFolder, match=re.escape("open_clip_model.safetensors")):
        Embedder(tmp_path)
