"""The diffusers provider on a single `.safetensors` file in the layout of the original Stable Diffusion.

The file is made from the starter by renaming its weights, so the pictures have to be the starter's own.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest

from limner_providers import ImageRequest, ProviderAnswer
from limner_providers._model_source import STARTER
from limner_providers.diffusers import DiffusersProvider
from limner_providers.types import TASKS

pytestmark = pytest.mark.torch

BLOCKS, LAYERS = 3, 1  # of the starter's UNet and VAE
UNET_TOP = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}


def inner(kind: str, rest: str) -> str:
    """Rename what stands inside a block."""
    name, _, end = rest.partition(".")
    return f"0.{RESNET[name]}.{end}" if kind == "resnets" else f"1.{rest}"


def unet_name(name: str) -> str:
    """Give the original name of a UNet weight."""
    for ours, theirs in UNET_TOP.items():
        if name.startswith(f"{ours}."):
            return theirs + name.removeprefix(ours)
    if found := re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d+)\.(.*)", name):
        place = 2 * int(found[2]) if found[1] == "resnets" else 1
        return f"middle_block.{place}.{inner(found[1], found[3]).split('.', 1)[1]}"
    found = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.*)", name)
    assert found is not None, name
    side, block, kind, index, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    if kind == "downsamplers":
        return f"input_blocks.{(LAYERS + 1) * (block + 1)}.0.op.{rest.removeprefix('conv.')}"
    if kind == "upsamplers":  # the last of the block's places: behind the attention, where the block has one
        return f"output_blocks.{(LAYERS + 1) * block + LAYERS}.{2 if block < BLOCKS - 1 else 1}.{rest}"
    place = (LAYERS + 1) * block + index
    return (
        f"input_blocks.{place + 1}.{inner(kind, rest)}"
        if side == "down"
        else f"output_blocks.{place}.{inner(kind, rest)}"
    )


def vae_name(name: str) -> str:
    """Give the original name of a VAE weight; the decoder's blocks count the other way round."""
    name = name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
    name = re.sub(r"mid_block\.resnets\.(\d+)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
    name = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", name)
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d+)\.resnets", lambda found: f"up.{BLOCKS - 1 - int(found[1])}.block", name)
    return re.sub(r"up_blocks\.(\d+)\.upsamplers\.0", lambda found: f"up.{BLOCKS - 1 - int(found[1])}.upsample", name)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the single file, and beside it a folder of configuration without any weights."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("single")
    shutil.copytree(STARTER, folder / "config", ignore=shutil.ignore_patterns("*.safetensors"))
    unet = load_file(STARTER / "unet" / "diffusion_pytorch_model.safetensors")
    vae = load_file(STARTER / "vae" / "diffusion_pytorch_model.safetensors")
    text = load_file(STARTER / "text_encoder" / "model.safetensors")
    weights = {f"model.diffusion_model.{unet_name(name)}": value for name, value in unet.items()}
    weights |= {f"first_stage_model.{vae_name(name)}": value for name, value in vae.items()}
    weights |= {f"cond_stage_model.transformer.{name}": value for name, value in text.items()}
    path: Path = folder / "emoji.safetensors"
    save_file(weights, path)
    return path


def make(provider: DiffusersProvider, **fields: Any) -> ProviderAnswer:
    """Make one picture in two steps."""
    request = ImageRequest.build(**{"prompt": "red apple", "num_inference_steps": 2, "guidance_scale": 3} | fields)

    async def call() -> ProviderAnswer:
        return await provider.generate(request, seeds=[7])

    return anyio.run(call)


def fields_of(task: str) -> dict[str, Any]:
    """Give what a task needs beside its prompt, and a strength that both kinds of a model take alike."""
    import numpy as np

    image = np.arange(40 * 48 * 3, dtype=np.uint32).reshape(40, 48, 3).astype(np.uint8)
    if task == "txt2img":
        return {}
    further: dict[str, dict[str, Any]] = {
        "inpaint": {"mask": image[..., 0]},
        "outpaint": {"margins": {"left": 8}},
        "upscale": {"scale": 1.5},
    }
    return {"task": task, "image": image, "strength": 0.9} | further.get(task, {})


@pytest.fixture(scope="module")
def providers(checkpoint: Path) -> tuple[DiffusersProvider, DiffusersProvider]:
    """Give providers of the single file and of the folder it came from."""
    single = DiffusersProvider(model=str(checkpoint), config="config", base_folder=checkpoint.parent, threads=1)
    return single, DiffusersProvider(threads=1)


@pytest.mark.parametrize("task", TASKS)
def test_a_single_file_draws_the_pictures_of_the_folder_it_came_from(
    providers: tuple[DiffusersProvider, DiffusersProvider], task: str
) -> None:
    """The same weights in the other layout are the same model, in every task, and have a digest of their own."""
    ours, theirs = (make(provider, **fields_of(task)) for provider in providers)
    assert ours.images[0].data == theirs.images[0].data
    assert ours.model.name == "emoji"
    assert ours.model.sha256 not in {None, theirs.model.sha256}
