"""What the integration tests share: tiny random pipelines of the real architectures, made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WIDTH = 32  # of the text encoders


def _text_encoder(*, projected: bool) -> Any:
    """Make a random text encoder for the starter's vocabulary."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=4142,
        hidden_size=WIDTH,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=3,
        max_position_embeddings=32,
        bos_token_id=4140,
        eos_token_id=4141,
        pad_token_id=4141,
        projection_dim=WIDTH,
    )
    return CLIPTextModelWithProjection(config) if projected else CLIPTextModel(config)


def _unet(channels: int, extra: dict[str, Any]) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        sample_size=16,
        in_channels=channels,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        **extra,
    )


def _vae() -> Any:
    """Make a random autoencoder with the factor of the real ones, 8 pixels a latent."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(32, 32, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
    )


def _parts(channels: int, *, xl: bool) -> dict[str, Any]:
    from diffusers import EulerDiscreteScheduler, PNDMScheduler
    from transformers import CLIPTokenizer

    from limner_providers._model_source import STARTER

    tokenizer = CLIPTokenizer.from_pretrained(STARTER / "tokenizer")
    shared = {"vae": _vae(), "text_encoder": _text_encoder(projected=False), "tokenizer": tokenizer}
    if not xl:
        scheduler = PNDMScheduler(skip_prk_steps=True, steps_offset=1, beta_schedule="scaled_linear")
        return shared | {
            "unet": _unet(channels, {"cross_attention_dim": WIDTH}),
            "scheduler": scheduler,
            "safety_checker": None,
            "feature_extractor": None,
            "requires_safety_checker": False,
        }
    extra = {
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "transformer_layers_per_block": (1, 2),
        "projection_class_embeddings_input_dim": 6 * 8 + WIDTH,
        "cross_attention_dim": 2 * WIDTH,
    }
    second = {"text_encoder_2": _text_encoder(projected=True), "tokenizer_2": tokenizer}
    return shared | second | {"unet": _unet(channels, extra), "scheduler": EulerDiscreteScheduler()}


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give a factory of folders with a tiny random pipeline of a diffusers class, 128x128 pixels native.

    A class of inpainting gets a UNet of 9 channels.
    """
    made: dict[str, Path] = {}

    def make(class_name: str) -> Path:
        if class_name not in made:
            import diffusers
            import torch
            from diffusers.utils import logging

            torch.manual_seed(0)
            parts = _parts(9 if "Inpaint" in class_name else 4, xl="XL" in class_name)
            made[class_name] = tmp_path_factory.mktemp("tiny") / class_name
            logging.disable_progress_bar()
            try:
                getattr(diffusers, class_name)(**parts).save_pretrained(made[class_name])
            finally:
                logging.enable_progress_bar()
        return made[class_name]

    return make
