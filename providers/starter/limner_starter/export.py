"""Writes the model folder that ``StableDiffusionPipeline.from_pretrained`` loads: fp16 safetensors and their papers."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import torch

from limner_starter.diffusion import new_scheduler
from limner_starter.pictures import TrainingSet
from limner_starter.tokenizer import write_tokenizer
from limner_starter.workspace import Workspace, read_json, replaced_folder, write_json, write_text


def export(workspace: Workspace, data: TrainingSet, *, vae: Any, text: Any, tokenizer: Any, unet: Any) -> Path:
    """Writes pipeline, lineage and names to ``workspace.model``, replacing what was there; returns the folder."""
    with replaced_folder(workspace.model) as folder:
        _pipeline(vae, text, tokenizer, unet).save_pretrained(str(folder), safe_serialization=True)
        _old_key_names(folder / "text_encoder" / "model.safetensors")
        _one_number_format(folder / "text_encoder" / "config.json")
        _whole_tokenizer(folder / "tokenizer", data)
        shutil.copyfile(workspace.lineage, folder / "lineage.jsonl")
        write_text(folder / "names.txt", "".join(f"{name}\n" for name in data.names))
    return workspace.model


def _pipeline(vae: Any, text: Any, tokenizer: Any, unet: Any) -> Any:
    from diffusers import StableDiffusionPipeline

    halves = {"vae": vae, "text_encoder": text, "unet": unet}
    return StableDiffusionPipeline(
        **{name: copy.deepcopy(module).to(torch.float16) for name, module in halves.items()},
        tokenizer=tokenizer,
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _old_key_names(weights: Path) -> None:
    """Transformers 5 writes the keys without ``text_model.``; with it, versions 4 and 5 both load them."""
    from safetensors.torch import load_file, save_file

    prefix = "text_model."
    tensors = {f"{prefix}{key.removeprefix(prefix)}": tensor for key, tensor in load_file(weights).items()}
    save_file(tensors, weights, metadata={"format": "pt"})


def _one_number_format(config: Path) -> None:
    """Makes a plain ``from_pretrained(folder)`` give one number format.

    Transformers 5 loads a model in the format that its config names, diffusers loads its own in float32: with float16
    here, the text encoder's output would not fit the UNet.
    """
    write_json(config, {**read_json(config), "dtype": "float32"})


def _whole_tokenizer(folder: Path, data: TrainingSet) -> None:
    """Transformers 5 writes ``tokenizer.json`` only and notes how it was loaded; older versions need the two others."""
    write_tokenizer(data, folder)
    settings = read_json(folder / "tokenizer_config.json")
    write_json(
        folder / "tokenizer_config.json",
        {k: v for k, v in settings.items() if k not in {"is_local", "local_files_only"}},
    )
