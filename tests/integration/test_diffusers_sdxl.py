"""The diffusers provider on a tiny random model of the Stable Diffusion XL architecture, made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from limner_providers import ImageRequest, ProviderAnswer
from limner_providers.diffusers import DiffusersProvider

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def sdxl(tiny_folder: Callable[[str], Path]) -> DiffusersProvider:
    """Give a provider of a tiny random pipeline with two text encoders."""
    return DiffusersProvider("xl", model=str(tiny_folder("StableDiffusionXLPipeline")), threads=1)


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
