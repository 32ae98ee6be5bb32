"""What lies in the shipped model folder: formats, sizes, papers. Nothing is loaded into a network here."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

WEIGHTS = (
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors",
)
NAMES = 1087


def header(file: Path) -> Mapping[str, Any]:
    """The header of a safetensors file: eight bytes of length, then JSON."""
    with file.open("rb") as handle:
        (length,) = struct.unpack("<Q", handle.read(8))
        return {k: v for k, v in json.loads(handle.read(length)).items() if k != "__metadata__"}


def lineage(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "lineage.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", WEIGHTS)
def test_every_tensor_is_half_precision(shipped: Path, name: str) -> None:
    """All weights are stored in 16 bits and fill their file to its last byte."""
    tensors = header(shipped / name)
    assert {tensor["dtype"] for tensor in tensors.values()} == {"F16"}
    length = struct.unpack("<Q", (shipped / name).read_bytes()[:8])[0]
    assert 8 + length + max(tensor["data_offsets"][1] for tensor in tensors.values()) == (shipped / name).stat().st_size


@pytest.mark.parametrize("name", WEIGHTS)
def test_every_weight_is_a_number(shipped: Path, name: str) -> None:
    """No weight is infinite or not a number."""
    raw = (shipped / name).read_bytes()
    start = 8 + struct.unpack("<Q", raw[:8])[0]
    assert np.isfinite(np.frombuffer(raw, dtype="<f2", offset=start)).all()


def test_the_folder_is_small_enough_for_a_repository(shipped: Path) -> None:
    """Weights and papers together stay within 25 MB."""
    assert sum(file.stat().st_size for file in shipped.rglob("*") if file.is_file()) <= 25_000_000


def test_every_picture_has_its_lineage(shipped: Path) -> None:
    """Each of the 1,087 lines names the picture, its digests, its source at an exact version and its licence."""
    lines = lineage(shipped)
    assert len(lines) == NAMES
    for line in lines:
        assert line["name"]
        assert line["char"]
        assert re.fullmatch(r"[0-9A-F]+(-[0-9A-F]+)*", line["codepoint"])
        assert re.fullmatch(r"[0-9a-f]{64}", line["sha256_svg"])
        assert re.fullmatch(r"[0-9a-f]{64}", line["sha256_rgb64"])
        assert (line["source"], line["licence"]) == ("npm:@iconify-json/noto@1.2.9", "Apache-2.0")
        assert (line["names_source"], line["names_licence"]) == ("npm:emojibase-data@17.0.0", "MIT")


@pytest.mark.parametrize("field", ["name", "codepoint", "sha256_svg", "sha256_rgb64"])
def test_no_picture_occurs_twice(shipped: Path, field: str) -> None:
    """Names, code points, drawings and pixels are each unique."""
    values = [line[field] for line in lineage(shipped)]
    assert len(set(values)) == len(values)


def test_the_list_of_names_is_the_lineage(shipped: Path) -> None:
    """``names.txt`` holds the names of the lineage in its order."""
    names = (shipped / "names.txt").read_text(encoding="utf-8").splitlines()
    assert names == [line["name"] for line in lineage(shipped)]


def test_the_common_names_are_names(shipped: Path) -> None:
    """The 200 names of the card's figure are 200 different training names."""
    from limner_starter.names import common_names

    names = common_names()
    assert len(names) == len(set(names)) == 200
    assert set(names) <= {line["name"] for line in lineage(shipped)}


def test_the_sampler_is_the_one_the_card_names(shipped: Path) -> None:
    """The saved scheduler predicts velocity, clips nothing and spaces its steps from pure noise on."""
    settings = json.loads((shipped / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    assert settings["_class_name"] == "DDIMScheduler"
    assert settings["prediction_type"] == "v_prediction"
    assert settings["timestep_spacing"] == "trailing"
    assert settings["clip_sample"] is False


def test_a_plain_load_gives_one_number_format(shipped: Path) -> None:
    """The text encoder's config names float32, else it would be loaded in half precision beside a float32 UNet."""
    assert json.loads((shipped / "text_encoder" / "config.json").read_text(encoding="utf-8"))["dtype"] == "float32"


@pytest.mark.parametrize("name", ["MODEL_CARD.md", "LICENSE", "NOTICE"])
def test_the_papers_travel_with_the_weights(shipped: Path, name: str) -> None:
    """Card, licence and notices lie in the folder, so a copy of it keeps them."""
    assert len((shipped / name).read_text(encoding="utf-8")) > 400


def test_the_card_quotes_the_measured_figures(shipped: Path) -> None:
    """The card's headline figures are those of the committed ``figures.json``, not remembered ones."""
    root = Path(__file__).resolve().parents[3]
    figures = json.loads((root / "docs" / "starter-model" / "figures.json").read_text(encoding="utf-8"))
    card = (shipped / "MODEL_CARD.md").read_text(encoding="utf-8")
    for one in figures["common_names"]:
        assert f"{one['latents']['right']} of {one['pictures']}" in card
    assert f"{figures['all_names']['latents']['right']:,} of {figures['all_names']['pictures']:,}" in card
    assert f"{figures['autoencoder_psnr_db']} dB" in card


def test_the_tests_reference_belongs_to_these_weights(shipped: Path) -> None:
    """The reference latents of the integration tests were made from this lineage and this autoencoder."""
    data = Path(__file__).resolve().parents[2] / "integration" / "data" / "starter_reference.npz"
    assert data.stat().st_size <= 2_000_000
    with np.load(data, allow_pickle=False) as reference:
        for field, name in (("lineage_sha256", "lineage.jsonl"), ("vae_sha256", WEIGHTS[1])):
            assert str(reference[field]) == hashlib.sha256((shipped / name).read_bytes()).hexdigest()
