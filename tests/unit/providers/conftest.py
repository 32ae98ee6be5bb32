"""What the provider tests share: requests, and pipeline folders made of a few bytes instead of a model."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner_providers import ImageRequest

PARTS = ("vae", "unet", "text_encoder", "tokenizer", "scheduler")


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio."""
    return "asyncio"


@pytest.fixture
def request_of() -> Callable[..., ImageRequest]:
    """Give a factory of requests whose prompt does not matter."""

    def make(**fields: Any) -> ImageRequest:
        return ImageRequest.build(**{"prompt": "red apple", **fields})

    return make


@pytest.fixture
def png_of() -> Callable[..., bytes]:
    """Give a factory of PNG files of one colour."""

    def make(width: int, height: int, colour: str = "red") -> bytes:
        import io

        from PIL import Image

        file = io.BytesIO()
        Image.new("RGB", (width, height), colour).save(file, "PNG")
        return file.getvalue()

    return make


@pytest.fixture
def safetensors_file() -> Callable[..., Path]:
    """Give a factory of whole safetensors files that hold `count` zero bytes as one tensor."""

    def make(path: Path, count: int = 8) -> Path:
        header = json.dumps({"w": {"dtype": "U8", "shape": [count], "data_offsets": [0, count]}}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(count))
        return path

    return make


@pytest.fixture
def pipeline_folder(tmp_path: Path, safetensors_file: Callable[..., Path]) -> Path:
    """Make a folder that looks like a Stable Diffusion 1.5 pipeline: configurations and tiny weights."""
    folder = tmp_path / "model"
    index: dict[str, Any] = {"_class_name": "StableDiffusionPipeline", "safety_checker": [None, None]}
    for part in PARTS:
        (folder / part).mkdir(parents=True)
        index[part] = ["transformers" if part in {"text_encoder", "tokenizer"} else "diffusers", "Some"]
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "unet" / "config.json").write_text(json.dumps({"sample_size": 64}))
    (folder / "vae" / "config.json").write_text(json.dumps({"block_out_channels": [1, 1, 1, 1]}))
    (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 77}))
    (folder / "text_encoder" / "config.json").write_text(json.dumps({"max_position_embeddings": 77}))
    (folder / "scheduler" / "scheduler_config.json").write_text("{}")
    safetensors_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    safetensors_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    safetensors_file(folder / "text_encoder" / "model.safetensors")
    return folder
