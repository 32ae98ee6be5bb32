"""All tasks of the diffusers provider: on the starter, and on tiny random models of the real architectures."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import anyio
import numpy as np
import pytest
from numpy.typing import NDArray

from limner_providers import ImageRequest, Progress, ProviderAnswer
from limner_providers._model_source import STARTER
from limner_providers._schedulers import scheduler_names
from limner_providers.diffusers import DiffusersProvider
from limner_providers.errors import UnsupportedRequest
from limner_providers.types import TASKS

pytestmark = pytest.mark.torch
T = TypeVar("T")
Pixels = NDArray[np.uint8]

ORDINARY = ("starter", "StableDiffusionPipeline", "StableDiffusionXLPipeline")
INPAINTING = ("StableDiffusionInpaintPipeline", "StableDiffusionXLInpaintPipeline")
FROM_PICTURE = tuple(task for task in TASKS if task != "txt2img")
CASES = [(model, task) for model in ORDINARY for task in FROM_PICTURE]
CASES += [(model, task) for model in INPAINTING for task in ("inpaint", "outpaint")]
PAGE = Path(__file__).parents[2] / "docs" / "providers" / "diffusers.md"


@pytest.fixture(scope="module")
def provider_of(tiny_folder: Callable[[str], Path]) -> Iterator[Callable[[str], DiffusersProvider]]:
    """Give a factory of providers by model; each model is loaded once for the whole module."""
    made: dict[str, DiffusersProvider] = {}

    def make(model: str) -> DiffusersProvider:
        if model not in made:
            path = model if model == "starter" else str(tiny_folder(model))
            made[model] = DiffusersProvider("local", model=path, threads=1)
        return made[model]

    yield make
    for provider in made.values():
        anyio.run(provider.close)


@pytest.fixture(scope="module")
def starter(provider_of: Callable[[str], DiffusersProvider]) -> DiffusersProvider:
    """Give the starter model."""
    return provider_of("starter")


def run(call: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run one asynchronous call to its end."""
    return anyio.run(call)


def picture(width: int = 45, height: int = 52) -> Pixels:
    """Draw a picture with an edge, a slope and noise, of a size that no model likes."""
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    noise = np.random.default_rng(3).integers(0, 40, (height, width))
    return np.stack([across * 4 + noise, down * 4, np.where(across > width // 2, 200, 30)], axis=-1).astype(np.uint8)


def mask_of(image: Pixels) -> Pixels:
    """Mask the lower right quarter and a thin line, with a grey border between."""
    mask = np.zeros(image.shape[:2], np.uint8)
    height, width = image.shape[:2]
    mask[height // 2 :, width // 2 :] = 255
    mask[height // 2 : height // 2 + 3, width // 2 :] = 100
    mask[3, :] = 255
    return mask


def fields_of(task: str, image: Pixels | None = None) -> dict[str, Any]:
    """Give the fields that a task needs beside the prompt."""
    image = picture() if image is None else image
    fields: dict[str, Any] = {"task": task, "image": image}
    if task == "inpaint":
        fields["mask"] = mask_of(image)
    if task == "outpaint":
        fields["margins"] = {"left": 5, "top": 9, "right": 16, "bottom": 1}
    if task == "upscale":
        fields["scale"] = 1.5
    return fields


def make(provider: DiffusersProvider, seeds: tuple[int, ...] = (7,), **fields: Any) -> ProviderAnswer:
    """Carry out a task in three steps."""
    request = ImageRequest.build(**{"prompt": "red apple", "num_inference_steps": 3, "n": len(seeds)} | fields)
    return run(lambda: provider.generate(request, seeds=seeds))


def pixels_of(answer: ProviderAnswer, index: int = 0) -> Pixels:
    """Decode a picture of an answer from its file."""
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(answer.images[index].data)))


@pytest.mark.parametrize(("model", "task"), CASES)
def test_a_picture_of_a_batch_is_the_one_made_alone_and_comes_again(
    provider_of: Callable[[str], DiffusersProvider], model: str, task: str
) -> None:
    """Two seeds give two pictures; the second alone, and the whole call again, give the same bytes."""
    provider, fields = provider_of(model), fields_of(task) | {"strength": 0.9}
    both = make(provider, (7, 8), **fields)
    assert both.images[0].data != both.images[1].data
    assert make(provider, (8,), **fields).images[0].data == both.images[1].data
    assert [image.data for image in make(provider, (7, 8), **fields).images] == [image.data for image in both.images]


@pytest.mark.parametrize(("model", "task"), CASES)
def test_the_result_has_the_size_that_the_task_says(
    provider_of: Callable[[str], DiffusersProvider], model: str, task: str
) -> None:
    """Pictures of any size are padded for the model and cut back."""
    expected = {"outpaint": (66, 62), "upscale": (68, 78)}.get(task, (45, 52))
    answer = make(provider_of(model), **fields_of(task))
    (image,) = answer.images
    assert (image.width, image.height) == expected
    assert pixels_of(answer).shape[1::-1] == expected
    assert answer.parameters["size"] == f"{expected[0]}x{expected[1]}"
    width, height = map(int, answer.parameters["canvas"].split("x"))
    assert (width % 8, height % 8) == (0, 0)
    assert 0 <= width - expected[0] < 8


@pytest.mark.parametrize("model", [*ORDINARY, *INPAINTING])
@pytest.mark.parametrize("strength", [1.0, 0.4, 0.0])
def test_what_the_mask_keeps_stays_bit_for_bit(
    provider_of: Callable[[str], DiffusersProvider], model: str, strength: float
) -> None:
    """Black is untouched whatever the model draws, white and a thin white line change, grey is between."""
    image = picture()
    mask = mask_of(image)
    answer = make(provider_of(model), **fields_of("inpaint", image), strength=strength)
    drawn = pixels_of(answer)
    assert np.array_equal(drawn[mask == 0], image[mask == 0])
    if strength:
        assert (drawn[mask == 255] != image[mask == 255]).mean() > 0.5
        assert (drawn[3] != image[3]).mean() > 0.5
        assert not np.array_equal(drawn[mask == 100], image[mask == 100])
    else:
        assert np.array_equal(drawn, image)


@pytest.mark.parametrize("model", [*ORDINARY, *INPAINTING])
@pytest.mark.parametrize("side", ["left", "top", "right", "bottom"])
def test_outpaint_keeps_the_original_bit_for_bit_on_any_side(
    provider_of: Callable[[str], DiffusersProvider], model: str, side: str
) -> None:
    """The new part is drawn, and the old one is where the margins put it."""
    image, width = picture(), 11
    answer = make(provider_of(model), task="outpaint", image=image, margins={side: width})
    drawn = pixels_of(answer)
    left, top = (width if side == "left" else 0), (width if side == "top" else 0)
    kept = np.s_[top : top + image.shape[0], left : left + image.shape[1]]
    assert np.array_equal(drawn[kept], image)
    new = np.ones(drawn.shape[:2], bool)
    new[kept] = False
    assert new.sum() == width * (image.shape[0] if side in {"left", "right"} else image.shape[1])
    assert drawn[new].std() > 1


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")  # numpy, of diffusers' KDPM2
@pytest.mark.parametrize("name", scheduler_names())
@pytest.mark.parametrize("task", ["img2img", "inpaint"])
def test_every_scheduler_starts_from_a_picture(starter: DiffusersProvider, name: str, task: str) -> None:
    """Each works at one effective step, at some and at all; what is kept stays; no trace is left for the next."""
    image = picture(48, 48)
    before = make(starter, **fields_of(task, image))
    for strength in (0.1, 0.7, 1.0):
        answer = make(starter, **fields_of(task, image), scheduler=name, num_inference_steps=4, strength=strength)
        assert answer.parameters["effective_steps"] == {0.1: "1", 0.7: "2", 1.0: "4"}[strength]
        drawn = pixels_of(answer)
        assert not np.array_equal(drawn, image)
        if task == "inpaint":
            assert np.array_equal(drawn[mask_of(image) == 0], image[mask_of(image) == 0])
    assert make(starter, **fields_of(task, image)).images[0].data == before.images[0].data


def bare(kind: str) -> Any:
    """Load the starter as another of diffusers' pipelines."""
    import diffusers
    import torch

    pipe = getattr(diffusers, kind).from_pretrained(STARTER, dtype=torch.float32, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    pipe.unet.to(memory_format=torch.channels_last)
    pipe.vae.to(memory_format=torch.channels_last)
    return pipe


def encoded(pipe: Any, image: Pixels) -> Any:
    """Give a picture's most likely latents, as the library's pipelines would scale them."""
    import torch

    with torch.no_grad():
        return pipe.vae.encode(pipe.image_processor.preprocess(image[None] / 255.0).float()).latent_dist.mode()


def test_img2img_is_that_of_bare_diffusers(starter: DiffusersProvider) -> None:
    """Pixel for pixel what the library makes from the same latents, schedule and generator."""
    import torch

    image = picture(64, 48)
    ours = make(starter, task="img2img", image=image, num_inference_steps=5, strength=0.6, negative_prompt="leaf")
    pipe = bare("StableDiffusionImg2ImgPipeline")
    (theirs,) = pipe(
        "red apple",
        image=encoded(pipe, image),
        strength=0.6,
        negative_prompt="leaf",
        num_inference_steps=5,
        guidance_scale=3,
        generator=torch.Generator("cpu").manual_seed(7),
    ).images
    assert np.array_equal(pixels_of(ours), np.asarray(theirs))


def test_inpaint_of_whole_latents_is_that_of_bare_diffusers_and_the_original(starter: DiffusersProvider) -> None:
    """Inside a mask that follows the latents, pixel for pixel what the library makes; outside it, the picture."""
    import torch
    from PIL import Image

    image = picture(64, 64)
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 8:40] = 255
    ours = make(starter, task="inpaint", image=image, mask=mask, num_inference_steps=5)
    pipe = bare("StableDiffusionInpaintPipeline")
    (theirs,) = pipe(
        "red apple",
        image=encoded(pipe, image),
        mask_image=Image.fromarray(mask),
        masked_image_latents=encoded(pipe, image),
        width=64,
        height=64,
        strength=1.0,
        num_inference_steps=5,
        guidance_scale=3,
        generator=torch.Generator("cpu").manual_seed(7),
    ).images
    assert np.array_equal(pixels_of(ours)[mask == 255], np.asarray(theirs)[mask == 255])
    assert np.array_equal(pixels_of(ours)[mask == 0], image[mask == 0])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("model", "task"), [(model, task) for model, task in CASES if model != "starter"])
def test_half_precision_keeps_every_promise_and_prints_nothing(
    tiny_folder: Callable[[str], Path], capfd: pytest.CaptureFixture[str], model: str, task: str, dtype: Any
) -> None:
    """The autoencoder of SDXL works in single precision for a moment, and is in half precision afterwards."""
    import torch

    provider = DiffusersProvider(model=str(tiny_folder(model)), dtype=dtype, threads=1)
    capfd.readouterr()  # what making the folder printed
    fields = fields_of(task) | {"strength": 0.7}
    both = make(provider, (7, 8), **fields)
    assert make(provider, (8,), **fields).images[0].data == both.images[1].data
    if task == "inpaint":
        kept = mask_of(picture()) == 0
        assert np.array_equal(pixels_of(both)[kept], picture()[kept])
    assert provider._pipeline is not None
    assert provider._pipeline.pipe.vae.dtype == getattr(torch, dtype)
    assert capfd.readouterr() == ("", "")


def test_txt2img_and_img2img_of_sdxl_are_those_of_bare_diffusers(tiny_folder: Callable[[str], Path]) -> None:
    """In half precision too, where the library takes care of the autoencoder in another way."""
    import warnings

    import diffusers
    import torch

    folder, image = tiny_folder("StableDiffusionXLPipeline"), picture(64, 64)
    provider = DiffusersProvider(model=str(folder), dtype="float16", threads=1)
    for kind, fields in (("", {"size": "64x64"}), ("Img2Img", {"task": "img2img", "image": image, "strength": 0.7})):
        ours = make(provider, **fields)
        options = {"dtype": torch.float16, "local_files_only": True, "add_watermarker": False}
        pipe = getattr(diffusers, f"StableDiffusionXL{kind}Pipeline").from_pretrained(folder, **options)
        pipe.set_progress_bar_config(disable=True)
        pipe.unet.to(memory_format=torch.channels_last)
        pipe.vae.to(memory_format=torch.channels_last)
        given: dict[str, Any] = {"width": 64, "height": 64}
        if kind:
            latents = encoded_xl(pipe, image)
            given = {"image": latents, "strength": 0.7}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            generator = torch.Generator("cpu").manual_seed(7)
            (theirs,) = pipe("red apple", num_inference_steps=3, guidance_scale=5, generator=generator, **given).images
        assert np.array_equal(pixels_of(ours), np.asarray(theirs))


def encoded_xl(pipe: Any, image: Pixels) -> Any:
    """Give a picture's most likely latents by SDXL's autoencoder in single precision, scaled, in half precision."""
    import torch

    pipe.vae.to(torch.float32)
    latents = encoded(pipe, image).half() * pipe.vae.config.scaling_factor
    pipe.vae.to(torch.float16)
    return latents


def test_no_weight_is_in_memory_twice(starter: DiffusersProvider) -> None:
    """The pipeline that starts from a picture is made of the very parts of the other."""
    make(starter, **fields_of("img2img"))
    assert starter._pipeline is not None
    first, second = starter._pipeline.pipe, starter._pipeline._sibling()
    for part in ("unet", "vae", "text_encoder"):
        assert getattr(first, part) is getattr(second, part)
    assert starter._pipeline._sibling() is second


@pytest.mark.parametrize("task", FROM_PICTURE)
@pytest.mark.parametrize(
    "fields",
    [
        {"strength": 0.5},
        {"prompt": "cat face"},
        {"guidance_scale": 6},
        {"scheduler": "euler"},
        {"negative_prompt": "cat"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_every_field_has_an_effect_in_every_task(starter: DiffusersProvider, task: str, fields: dict[str, Any]) -> None:
    """Nothing that is asked for is dropped."""
    plain = fields_of(task) | {"num_inference_steps": 6, "strength": 0.9}
    assert make(starter, **plain | fields).images[0].data != make(starter, **plain).images[0].data


@pytest.mark.parametrize("task", ["outpaint", "variation", "upscale"])
def test_a_prompt_may_be_missing(starter: DiffusersProvider, task: str) -> None:
    """The picture alone says enough."""
    answer = make(starter, **fields_of(task) | {"prompt": ""})
    assert answer.parameters["prompt_windows"] in {"0", "1"}
    assert answer.images[0].data != make(starter, **fields_of(task)).images[0].data


@pytest.mark.parametrize(
    ("steps", "strength", "effective"), [(50, 0.58, 29), (20, 0.55, 11), (10, 0.01, 1), (7, 1.0, 7), (3, 0.34, 1)]
)
def test_strength_says_how_many_steps_are_made(
    starter: DiffusersProvider, steps: int, strength: float, effective: int
) -> None:
    """The exact product rounded down, at least one; the listener hears of these and of no others."""
    heard: list[Any] = []
    request = ImageRequest(
        prompt="red apple", task="img2img", image=picture(16, 16), num_inference_steps=steps, strength=strength
    )
    answer = run(lambda: starter.generate(request, seeds=[1], on_event=heard.append))
    assert answer.parameters["effective_steps"] == str(effective)
    assert [event.step for event in heard] == list(range(1, effective + 1))
    assert {event.steps for event in heard} == {effective}


@pytest.mark.parametrize("task", FROM_PICTURE)
def test_strength_nothing_gives_the_picture_back_and_says_so(starter: DiffusersProvider, task: str) -> None:
    """No step is made and nothing is lost on the way through the autoencoder."""
    image = picture()
    answer = make(starter, **fields_of(task, image), strength=0.0)
    assert "strength 0 draws nothing" in answer.warnings[0]
    assert answer.parameters["effective_steps"] == "0"
    assert "scheduler" not in answer.parameters
    drawn = pixels_of(answer)
    if task == "outpaint":
        assert np.array_equal(drawn, np.pad(image, ((9, 1), (5, 16), (0, 0)), mode="edge"))
    elif task != "upscale":
        assert np.array_equal(drawn, image)


@pytest.mark.parametrize("task", FROM_PICTURE)
def test_work_that_is_given_up_stops_at_its_next_step(starter: DiffusersProvider, task: str) -> None:
    """A long task ends soon after its cancellation and leaves no trace in the next one."""
    before = make(starter, **fields_of(task)).images[0].data
    heard: list[Any] = []

    async def given_up() -> bool:
        with anyio.CancelScope() as scope:

            def listen(event: object) -> None:
                heard.append(event)
                if isinstance(event, Progress) and event.step == 2:
                    scope.cancel()

            fields = fields_of(task) | {"prompt": "red apple", "num_inference_steps": 1000, "strength": 0.9}
            await starter.generate(ImageRequest.build(**fields), seeds=[1], on_event=listen)
        return scope.cancelled_caught

    assert run(given_up)
    assert make(starter, **fields_of(task)).images[0].data == before
    assert len(heard) < 50


def test_a_grey_mask_changes_less_than_a_white_one(starter: DiffusersProvider) -> None:
    """The lighter the grey, the farther the picture is left."""
    image = picture(64, 64)
    far = []
    for grey in (128, 190, 255):
        drawn = pixels_of(
            make(starter, task="inpaint", image=image, mask=np.full((64, 64), grey, np.uint8), num_inference_steps=6)
        )
        far.append(np.abs(drawn.astype(int) - image).mean())
    assert 0 < far[0] < far[1] < far[2]


def test_a_picture_of_other_proportions_is_covered_and_not_distorted(starter: DiffusersProvider) -> None:
    """Where a size is asked for, what stands over is cut off on both sides, and a warning says so."""
    image = np.full((64, 128, 3), 255, np.uint8)
    image[:, 32:96] = (200, 30, 30)  # the middle square is all that can be seen in a square result
    answer = make(starter, task="img2img", image=image, size="64x64", strength=0.0)
    assert np.array_equal(pixels_of(answer), image[:, 32:96])
    assert "cut off" in answer.warnings[0]
    wide = make(starter, task="variation", image=image, aspect_ratio="2:1", strength=0.0)
    assert pixels_of(wide).shape[:2] == (48, 96)


def test_mask_and_picture_are_scaled_together(starter: DiffusersProvider) -> None:
    """Inpainting at another size keeps the scaled picture outside the scaled mask."""
    image = picture(64, 64)
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 32:] = 255
    fields: dict[str, Any] = {"task": "inpaint", "image": image, "mask": mask, "size": "96x96"}
    scaled = pixels_of(make(starter, **fields, strength=0.0))
    drawn = pixels_of(make(starter, **fields))
    assert np.array_equal(drawn[:, :47], scaled[:, :47])
    assert not np.array_equal(drawn[:, 49:], scaled[:, 49:])


def test_transparent_parts_are_laid_on_white_and_said(starter: DiffusersProvider) -> None:
    """The model knows no transparency; nobody shall wonder where it went."""
    image = np.dstack([picture(), np.full((52, 45), 255, np.uint8)])
    image[:10, :, 3] = 0
    answer = make(starter, task="img2img", image=image, strength=0.0)
    assert np.array_equal(pixels_of(answer)[:10], np.full((10, 45, 3), 255))
    assert np.array_equal(pixels_of(answer)[10:], picture()[10:])
    assert answer.warnings[0] == "the picture's transparent parts were laid on white"


def test_a_tiny_picture_is_no_crash(starter: DiffusersProvider) -> None:
    """One pixel is padded to what the model needs, with a warning that it is far from what it knows."""
    answer = make(starter, task="variation", image=np.zeros((1, 1, 3), np.uint8))
    assert pixels_of(answer).shape == (1, 1, 3)
    assert "far from the 64x64" in answer.warnings[0]


@pytest.mark.parametrize(
    ("fields", "field", "told"),
    [
        ({"task": "img2img", "image": picture(300, 10)}, "size", "at most 256 pixels"),
        ({"task": "upscale", "image": picture(100, 100), "scale": 3.0}, "size", "at most 256 pixels"),
        ({"task": "upscale", "image": picture(200, 200)}, "size", "at most 256 pixels"),
        ({"task": "upscale", "image": picture(100, 100), "scale": 5.0}, "scale", "1 to 4"),
        ({"task": "upscale", "image": picture(100, 100), "size": "96x96"}, "size", "100x100 already"),
        ({"task": "outpaint", "image": picture(100, 100), "margins": {"top": 200}}, "size", "at most 256 pixels"),
        ({"task": "variation", "image": picture(250, 250)}, "size", "at most 40,000 pixels"),
        ({"prompt": "x", "size": "256x248"}, "size", "at most 40,000 pixels"),
    ],
)
def test_what_is_too_large_is_refused_before_loading(fields: dict[str, Any], field: str, told: str) -> None:
    """By side and by area, whether the size is asked for or follows from the picture."""
    provider = DiffusersProvider("local", max_side=256, max_pixels=40_000)
    with pytest.raises(UnsupportedRequest, match=told) as caught:
        make(provider, **fields)
    assert (caught.value.field, caught.value.provider) == (field, "local")
    assert provider._pipeline is None


@pytest.mark.parametrize("model", INPAINTING)
def test_an_inpainting_model_says_that_it_can_do_nothing_else(
    provider_of: Callable[[str], DiffusersProvider], model: str
) -> None:
    """The UNet's channels decide."""
    provider = provider_of(model)
    assert run(provider.capabilities).tasks == ("inpaint", "outpaint")
    with pytest.raises(UnsupportedRequest, match="inpaint, outpaint"):
        make(provider, prompt="red apple")


@pytest.mark.parametrize("model", INPAINTING)
def test_an_inpainting_model_is_not_shown_what_the_mask_frees(
    provider_of: Callable[[str], DiffusersProvider], model: str
) -> None:
    """What lies under the white is of no consequence at strength 1; what lies beside it is."""
    image = picture(64, 64)
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 255
    hidden, beside = image.copy(), image.copy()
    hidden[20:30, 20:30] = 255
    beside[0:10, 20:30] = 255
    first, second, third = (
        pixels_of(make(provider_of(model), task="inpaint", image=one, mask=mask)) for one in (image, hidden, beside)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first[mask == 255], third[mask == 255])


def test_large_pictures_go_through_the_autoencoder_in_tiles(
    starter: DiffusersProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above a number of pixels, which is told, and only there: the next small picture is as before."""
    from limner_providers import _diffusers_settings

    before = make(starter, **fields_of("img2img"))
    assert "vae_tiling" not in before.parameters
    monkeypatch.setattr(_diffusers_settings, "TILED_ABOVE", 128 * 127)
    image = picture(128, 128)
    tiled = make(starter, task="img2img", image=image, num_inference_steps=1)
    assert tiled.parameters["vae_tiling"] == "true"
    monkeypatch.undo()
    whole = make(starter, task="img2img", image=image, num_inference_steps=1)
    assert tiled.images[0].data != whole.images[0].data
    assert np.abs(pixels_of(tiled).astype(int) - pixels_of(whole)).mean() < 8
    assert make(starter, **fields_of("img2img")).images[0].data == before.images[0].data


def test_outpaint_completes_the_half_of_an_apple(starter: DiffusersProvider) -> None:
    """Not only numbers: the right half of a red apple is drawn beside its left one."""
    whole = pixels_of(make(starter, num_inference_steps=20))
    half = np.ascontiguousarray(whole[:, :36])
    answer = make(starter, task="outpaint", image=half, margins={"right": 28}, num_inference_steps=20)
    drawn = pixels_of(answer)
    assert np.array_equal(drawn[:, :36], half)
    assert np.abs(drawn.astype(int) - whole).mean() < 6


def test_img2img_makes_the_red_apple_green(starter: DiffusersProvider) -> None:
    """The prompt's colour with the picture's form."""
    red = pixels_of(make(starter, num_inference_steps=20))
    green = pixels_of(make(starter, task="img2img", image=red, prompt="green apple", num_inference_steps=20))
    before, after = (part[30:50, 24:40].reshape(-1, 3).mean(axis=0) for part in (red, green))
    assert before[0] > 2 * before[1]
    assert after[1] > 1.2 * after[0]


def test_the_pages_example_runs() -> None:
    """What a reader copies works."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    child = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert (child.stdout, child.stderr) == ("64 0.6 12\n", "")


def test_the_pages_pictures_are_there_and_small() -> None:
    """One for each task that starts from a picture, each under 200 KB."""
    named = re.findall(r"\]\((\.\./images/tasks/[a-z0-9-]+\.png)\)", PAGE.read_text("utf-8"))
    assert {Path(name).stem.split("-")[0] for name in named} == set(FROM_PICTURE)
    assert all(0 < (PAGE.parent / name).stat().st_size < 200_000 for name in named)
