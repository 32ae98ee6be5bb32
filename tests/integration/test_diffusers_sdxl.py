"""The diffusers provider on a tiny random model of the Stable Diffusion XL architecture, made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from limner_providers import ImageRequest, ProviderAnswer
from limner_providers._model_source import STARTER
from limner_providers.diffusers import DiffusersProvider

pytestmark = pytest.mark.torch
WIDTH = 32


def text_encoder(*, projected: bool) -> Any:
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


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> DiffusersProvider:
    """Save a tiny random pipeline of two text encoders and give a provider of it."""
    import torch
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
    from diffusers.utils import logging
    from transformers import CLIPTokenizer

    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        sample_size=16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 2),
        projection_class_embeddings_input_dim=6 * 8 + WIDTH,
        cross_attention_dim=2 * WIDTH,
    )
    vae = AutoencoderKL(
        block_out_channels=(32, 32, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
    )
    tokenizer = CLIPTokenizer.from_pretrained(STARTER / "tokenizer")
    pipe = StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=text_encoder(projected=False),
        text_encoder_2=text_encoder(projected=True),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=EulerDiscreteScheduler(),
    )
    folder: Path = tmp_path_factory.mktemp("sdxl") / "tiny-sdxl"
    logging.disable_progress_bar()
    pipe.save_pretrained(folder)
    logging.enable_progress_bar()
    return DiffusersProvider("xl", model=str(folder), threads=1)


def make(provider: DiffusersProvider, seeds: list[int], **fields: Any) -> ProviderAnswer:
    """Make pictures in one step."""
    request = ImageRequest.build(**{"prompt": "red apple", "num_inference_steps": 1, "n": len(seeds)} | fields)

    async def call() -> ProviderAnswer:
        return await provider.generate(request, seeds=seeds)

    return anyio.run(call)


def test_an_sdxl_folder_draws_and_a_batch_is_its_singles(sdxl: DiffusersProvider) -> None:
    """Another architecture, the same promises."""
    answer = make(sdxl, [1, 2])
    assert answer.images[1].data == make(sdxl, [2]).images[0].data
    assert answer.images[0].data != answer.images[1].data
    assert answer.model.architecture == "StableDiffusionXLPipeline"
    assert (answer.model.native_size, answer.images[0].width) == ("128x128", 128)
    assert answer.parameters["scheduler"] == "EulerDiscreteScheduler"
    assert answer.parameters["guidance_scale"] == "5"


def test_long_prompts_are_read_by_both_text_encoders(sdxl: DiffusersProvider) -> None:
    """What stands behind the first window changes the picture, negative prompt or not."""
    long = "red apple, " * 12
    plain, longer = make(sdxl, [1], prompt=long), make(sdxl, [1], prompt=long + "blue car")
    assert plain.images[0].data != longer.images[0].data
    assert longer.parameters["prompt_windows"] == "2"
    negative = make(sdxl, [1], prompt=long, negative_prompt="leaf")
    assert negative.images[0].data != plain.images[0].data
    assert make(sdxl, [1], prompt=long, guidance_scale=1).images[0].data != plain.images[0].data


def test_windows_agree_with_the_librarys_own_encoding(sdxl: DiffusersProvider) -> None:
    """For a prompt of one window our windowed encoding is the library's, number for number."""
    import torch

    from limner_providers._prompts import _Windows, condition

    make(sdxl, [1])
    assert sdxl._pipeline is not None
    pipe = sdxl._pipeline.pipe
    for negative in (None, "leaf"):
        theirs = condition(pipe, "red apple", negative, guided=True, limit=32).arguments
        ours = _Windows(pipe, 1, 32).arguments("red apple", negative, guided=True)
        assert set(ours) == set(theirs)
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
