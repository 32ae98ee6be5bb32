"""From a configured model to its files: what is missing or damaged is named before anything is loaded."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from limner_providers._model_source import find_model
from limner_providers.errors import ModelUnavailable

MakeFile = Callable[..., Path]


def change_index(folder: Path, **values: object) -> None:
    """Overwrite values of a folder's model_index.json."""
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_folder_tells_size_rule_and_token_limit(pipeline_folder: Path) -> None:
    """Latent factor, native size and token limit come from the configuration files."""
    folder = find_model(str(pipeline_folder)).folder
    assert (folder.vae_scale, folder.native_side, folder.multiple_of, folder.token_limit) == (8, 512, 8, 77)


@pytest.mark.parametrize(("tokenizer", "encoder", "limit"), [(10**30, 77, 77), (64, 77, 64), (None, 77, 77)])
def test_the_lesser_token_limit_counts(pipeline_folder: Path, tokenizer: int | None, encoder: int, limit: int) -> None:
    """A tokenizer that knows no limit leaves it to the text encoder."""
    (pipeline_folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps({"model_max_length": tokenizer}))
    (pipeline_folder / "text_encoder" / "config.json").write_text(json.dumps({"max_position_embeddings": encoder}))
    assert find_model(str(pipeline_folder)).folder.token_limit == limit


def test_a_relative_path_counts_from_the_base_folder(pipeline_folder: Path) -> None:
    """A configuration file names its model beside itself."""
    source = find_model("model", base_folder=pipeline_folder.parent)
    assert source.folder.path == pipeline_folder
    assert source.name == "model"


def test_the_identity_says_what_is_known_and_no_more(pipeline_folder: Path) -> None:
    """A local folder has a digest, and no licence that nobody stated."""
    identity = find_model(str(pipeline_folder)).identity()
    assert identity.name == "model"
    assert identity.licence is None
    assert identity.native_size == "512x512"
    assert identity.architecture == "StableDiffusionPipeline"
    assert identity.sha256 is not None
    assert len(identity.sha256) == 64


def test_the_digest_can_be_computed_again_by_hand(pipeline_folder: Path) -> None:
    """It is the SHA-256 of the sorted list of names and file digests, as canonical JSON."""
    source = find_model(str(pipeline_folder))
    listed = sorted(
        [path.relative_to(pipeline_folder).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()]
        for path in pipeline_folder.rglob("*")
        if path.is_file()
    )
    assert source.sha256() == hashlib.sha256(json.dumps(listed, separators=(",", ":")).encode()).hexdigest()


@pytest.mark.parametrize("name", ["unet/diffusion_pytorch_model.safetensors", "unet/config.json", "model_index.json"])
def test_any_changed_byte_changes_the_digest(pipeline_folder: Path, name: str) -> None:
    """Weights and configuration both count."""
    before = find_model(str(pipeline_folder)).sha256()
    path = pipeline_folder / name
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"\1" if name.endswith("safetensors") else data + b" ")
    os.utime(path, ns=(1, 1))  # a change within the clock's grain shall not hide behind the cache
    assert find_model(str(pipeline_folder)).sha256() != before


def test_files_that_are_not_loaded_do_not_count(pipeline_folder: Path, safetensors_file: MakeFile) -> None:
    """A read-me, other variants and pickles beside the weights leave the digest alone."""
    before = find_model(str(pipeline_folder)).sha256()
    (pipeline_folder / "README.md").write_text("hello")
    (pipeline_folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"pickle")
    safetensors_file(pipeline_folder / "unet" / "diffusion_pytorch_model.fp16.safetensors", 4)
    assert find_model(str(pipeline_folder)).sha256() == before


def test_the_second_digest_reads_no_file(pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While path, inode, size and time stay, the digest comes from memory."""
    source = find_model(str(pipeline_folder))
    first = source.sha256()
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert source.sha256() == first


def test_the_only_variant_is_taken_and_another_can_be_asked_for(
    pipeline_folder: Path, safetensors_file: MakeFile
) -> None:
    """A folder with nothing but fp16 files works without saying so."""
    for path in list(pipeline_folder.rglob("*.safetensors")):
        path.rename(path.with_suffix(".fp16.safetensors"))
    assert find_model(str(pipeline_folder)).folder.variant == "fp16"
    with pytest.raises(ModelUnavailable, match="no weights of variant bf16"):
        find_model(str(pipeline_folder), variant="bf16")


def test_a_missing_folder_is_named_with_what_to_do(tmp_path: Path) -> None:
    """The message gives the whole path and the shipped model as a way out."""
    with pytest.raises(ModelUnavailable) as caught:
        find_model(str(tmp_path / "nowhere"))
    assert str(tmp_path / "nowhere") in str(caught.value)
    assert "starter" in caught.value.remedy


def test_a_hub_id_that_is_not_cached_is_said_to_be_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is downloaded: the command that would do it is named."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelUnavailable, match="neither a folder") as caught:
        find_model("nobody/nothing", base_folder=tmp_path)
    assert "hf download nobody/nothing" in caught.value.remedy


def test_a_folder_that_is_no_pipeline_is_refused(tmp_path: Path) -> None:
    """An empty folder says what is missing."""
    with pytest.raises(ModelUnavailable, match=r"no model_index\.json"):
        find_model(str(tmp_path))


def test_a_pipeline_of_another_kind_is_refused(pipeline_folder: Path) -> None:
    """What is supported is listed."""
    change_index(pipeline_folder, _class_name="FluxPipeline")
    with pytest.raises(ModelUnavailable, match="'FluxPipeline'") as caught:
        find_model(str(pipeline_folder))
    assert "StableDiffusionXLPipeline" in caught.value.remedy


def test_a_part_that_brings_its_own_code_is_refused(pipeline_folder: Path) -> None:
    """A model's folder cannot make us run code."""
    change_index(pipeline_folder, unet=["my_module", "MyUNet"])
    with pytest.raises(ModelUnavailable, match="only parts of diffusers and transformers"):
        find_model(str(pipeline_folder))


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_a_missing_part_is_named(pipeline_folder: Path, part: str) -> None:
    """The path of the missing folder stands in the message."""
    shutil.rmtree(pipeline_folder / part)
    with pytest.raises(ModelUnavailable, match=f"{part} is missing"):
        find_model(str(pipeline_folder))


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
@pytest.mark.parametrize("name", ["model_index.json", "unet/config.json", "vae/config.json"])
def test_a_broken_configuration_is_named(pipeline_folder: Path, name: str, content: bytes) -> None:
    """JSON that is none is an error that names the file."""
    (pipeline_folder / name).write_bytes(content)
    with pytest.raises(ModelUnavailable, match=name):
        find_model(str(pipeline_folder))


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_truncated_weights_are_named(pipeline_folder: Path, part: str) -> None:
    """A download that was cut off is found by the length of the file."""
    (path,) = (pipeline_folder / part).glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelUnavailable, match=path.name) as caught:
        find_model(str(pipeline_folder))
    assert "again" in caught.value.remedy


def test_pickled_weights_are_refused(pipeline_folder: Path) -> None:
    """A folder with .bin weights only says why they are not loaded."""
    path = pipeline_folder / "unet" / "diffusion_pytorch_model.safetensors"
    path.rename(path.with_suffix(".bin"))
    with pytest.raises(ModelUnavailable, match="has no weights") as caught:
        find_model(str(pipeline_folder))
    assert "can run code" in caught.value.remedy


def test_a_missing_piece_of_split_weights_is_named(pipeline_folder: Path, safetensors_file: MakeFile) -> None:
    """Weights in several files are complete or refused."""
    unet = pipeline_folder / "unet"
    (unet / "diffusion_pytorch_model.safetensors").unlink()
    names = [f"diffusion_pytorch_model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    index = {"weight_map": {"a": names[0], "b": names[1]}}
    (unet / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    safetensors_file(unet / names[0])
    with pytest.raises(ModelUnavailable, match=f"{names[1]} is missing"):
        find_model(str(pipeline_folder))
    safetensors_file(unet / names[1])
    found = {path.name for path in find_model(str(pipeline_folder)).folder.files}
    assert {*names, "diffusion_pytorch_model.safetensors.index.json"} <= found


def test_a_single_file_needs_a_configuration(tmp_path: Path, pipeline_folder: Path, safetensors_file: MakeFile) -> None:
    """With the folder that lends it one, it is a model whose digest covers both."""
    file = safetensors_file(tmp_path / "anime.safetensors")
    with pytest.raises(ModelUnavailable, match="config"):
        find_model(str(file))
    source = find_model(str(file), config=str(pipeline_folder))
    assert (source.name, source.checkpoint) == ("anime", file)
    before = source.sha256()
    safetensors_file(file, 9)
    assert source.sha256() != before


def test_a_checkpoint_that_can_run_code_is_refused(tmp_path: Path) -> None:
    """Pickles are not loaded."""
    (tmp_path / "old.ckpt").write_bytes(b"pickle")
    with pytest.raises(ModelUnavailable, match="can run code"):
        find_model(str(tmp_path / "old.ckpt"))
