"""Reads a diffusers pipeline folder: which parts it has, which files are theirs, what size they draw at.

Reads JSON and file lengths only; says what is missing or damaged by naming the file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from limner_providers._catalogue import pipelines
from limner_providers._safetensors import check_safetensors
from limner_providers.errors import ModelUnavailable

_LIBRARIES = frozenset({"diffusers", "transformers"})
T = TypeVar("T")

_SETTINGS = ("*.json", "*.txt", "*.model")  # configuration, vocabularies, sentencepiece


@dataclass(frozen=True, kw_only=True)
class PipelineFolder:
    """A pipeline on disk, checked.

    Attributes:
        path: the folder.
        class_name: `StableDiffusionPipeline` or another of the catalogue's.
        files: what is loaded from it, and nothing else.
        variant: the `variant` to load (`fp16`), None for the plain files.
        vae_scale: pixels a latent, a side.
        native_side: pixels a side it was made for.
        token_limit: tokens of a prompt the text encoder reads at once, its two marks included.
    """

    path: Path
    class_name: str
    files: tuple[Path, ...]
    variant: str | None
    vae_scale: int
    native_side: int
    token_limit: int

    @property
    def multiple_of(self) -> int:
        """Sides are multiples of this; diffusers itself asks for 8 whatever the model's own factor is."""
        return math.lcm(8, self.vae_scale)


def read_pipeline_folder(path: Path, *, variant: str | None = None, weights: bool = True) -> PipelineFolder:
    """Read and check a pipeline folder.

    Args:
        path: the folder.
        variant: weights to choose (`fp16`); None: the plain ones, or the only variant there is.
        weights: False where the weights come from a single file elsewhere.

    Raises:
        ModelUnavailable: not a folder, no pipeline, a pipeline that is not supported, a part missing or damaged.
    """
    index = _index(path)
    class_name = str(index["_class_name"])
    parts = [_part(path, name, index) for name in pipelines()[class_name]["components"]]
    chosen = _variant(parts, variant) if weights else None
    files = [path / "model_index.json"]
    for part in parts:
        files += _settings(part)
        files += _weights(part, chosen) if weights and _has_weights(part) else []
    unet, vae = read_json(path / "unet" / "config.json"), read_json(path / "vae" / "config.json")
    scale = 2 ** (len(_value(vae, "block_out_channels", list, path / "vae")) - 1)
    return PipelineFolder(
        path=path,
        class_name=class_name,
        files=tuple(files),
        variant=chosen,
        vae_scale=scale,
        native_side=_value(unet, "sample_size", int, path / "unet") * scale,
        token_limit=_token_limit(path),
    )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ModelUnavailable: missing, unreadable, or no JSON object; names the file.
    """
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise _bad(path, "is missing") from error
    except (OSError, ValueError, RecursionError) as error:
        raise _bad(path, f"cannot be read as JSON ({type(error).__name__})") from error
    if not isinstance(value, dict):
        raise _bad(path, "holds no JSON object")
    return value


def _bad(path: Path, problem: str) -> ModelUnavailable:
    return ModelUnavailable(f"{path} {problem}.", remedy="Copy or download the model's folder again, whole.")


def _index(path: Path) -> dict[str, Any]:
    if not (path / "model_index.json").is_file():
        remedy = "Name a folder in diffusers' layout, with model_index.json, unet/, vae/, text_encoder/, tokenizer/."
        raise ModelUnavailable(f"{path} is no pipeline folder: it has no model_index.json.", remedy=remedy)
    index = read_json(path / "model_index.json")
    known = pipelines()
    if index.get("_class_name") not in known:
        remedy = f"Supported: {', '.join(known)}."
        raise ModelUnavailable(f"{path} is a {index.get('_class_name')!r}, which is not supported.", remedy=remedy)
    return index


def _part(path: Path, name: str, index: Mapping[str, Any]) -> Path:
    """Give a part's folder, or say that it is missing or brings code of its own."""
    entry = index.get(name)
    if not isinstance(entry, list) or len(entry) != 2 or entry[0] not in _LIBRARIES:
        problem = f"names {name} as {entry!r}; only parts of {' and '.join(sorted(_LIBRARIES))} are loaded"
        raise _bad(path / "model_index.json", problem)
    if not (path / name).is_dir():
        raise _bad(path / name, "is missing")
    return path / name


def _has_weights(part: Path) -> bool:
    return not part.name.startswith(("tokenizer", "scheduler"))


def _settings(part: Path) -> list[Path]:
    """List configuration and vocabulary, without the indexes of split weights."""
    found = {file for pattern in _SETTINGS for file in part.glob(pattern)}
    return sorted(file for file in found if not file.name.endswith(".safetensors.index.json"))


def _variant_of(file: Path) -> str | None:
    """Read the variant out of a name such as `model.fp16-00001-of-00002.safetensors`; None: a plain file."""
    stem = re.sub(r"-\d+-of-\d+$", "", file.name.removesuffix(".safetensors"))
    return stem.partition(".")[2] or None


def _variant(parts: list[Path], asked: str | None) -> str | None:
    """Choose the weights' variant: the one asked for, else the plain files, else the only one that every part has."""
    if asked is not None:
        return asked
    have = [{_variant_of(file) for file in part.glob("*.safetensors")} for part in parts if _has_weights(part)]
    common = set.intersection(*have) if have else set()
    if None in common or not common:
        return None
    return min(common, key=str)


def _weights(part: Path, variant: str | None) -> list[Path]:
    """List and check a part's weight files of the chosen variant, and the index that joins split ones."""
    files = sorted(file for file in part.glob("*.safetensors") if _variant_of(file) == variant)
    if not files and variant is not None:  # diffusers takes a part's plain file where it lacks the variant
        files = sorted(file for file in part.glob("*.safetensors") if _variant_of(file) is None)
    if not files:
        remedy = "Weights as .safetensors are needed; .bin and .ckpt files can run code and are not loaded."
        raise ModelUnavailable(f"{part} has no weights{f' of variant {variant}' if variant else ''}.", remedy=remedy)
    for file in files:
        check_safetensors(file)
    split = {shard for index in _shard_indexes(part, variant) for shard in _shards(index)}
    for shard in sorted(split - set(files)):
        raise _bad(shard, "is missing")
    return files + _shard_indexes(part, variant)


def _shard_indexes(part: Path, variant: str | None) -> list[Path]:
    suffix = f".safetensors.index.{variant}.json" if variant else ".safetensors.index.json"
    return [file for file in sorted(part.glob("*.json")) if file.name.endswith(suffix)]


def _shards(index: Path) -> set[Path]:
    weight_map = _value(read_json(index), "weight_map", dict, index)
    return {index.parent / str(name) for name in weight_map.values()}


def _token_limit(path: Path) -> int:
    """Give the lesser of what tokenizer and text encoder say; a tokenizer without a limit says a huge number."""
    tokenizer = read_json(path / "tokenizer" / "tokenizer_config.json").get("model_max_length")
    encoder = read_json(path / "text_encoder" / "config.json").get("max_position_embeddings")
    said = [limit for limit in (tokenizer, encoder) if isinstance(limit, int) and limit > 2]
    if not said:
        raise _bad(path / "text_encoder" / "config.json", "does not say max_position_embeddings")
    return min(said)


def _value(config: Mapping[str, Any], key: str, kind: type[T], where: Path) -> T:
    value = config.get(key)
    if not isinstance(value, kind):
        raise _bad(where, f"does not say {key}")
    return value
