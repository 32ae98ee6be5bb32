"""The test provider's six tasks, and the settings by which it stands in for other engines."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from limner_providers import ImageRequest, ProducedImage
from limner_providers.base import Event, JobAccepted, PartialImage, Progress
from limner_providers.errors import Cancelled, InvalidRequest, UnsupportedRequest
from limner_providers.test import TestProvider

pytestmark = pytest.mark.anyio
Make = Callable[..., ImageRequest]


def noise(width: int, height: int, channels: int = 3) -> NDArray[np.uint8]:
    """Draw a picture in which no two neighbours are alike, so that a moved pixel is seen."""
    pixels = np.random.default_rng(7).integers(0, 256, (height, width, channels), np.uint8)
    if channels == 4:
        pixels[..., 3] = 255
    return pixels


def right_half(width: int, height: int) -> NDArray[np.uint8]:
    """Draw a mask that is white on the right, black on the left, and grey in one column between."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, width // 2 :] = 255
    mask[:, width // 2] = 128
    return mask


async def made(request: ImageRequest, seed: int = 1, **settings: Any) -> ProducedImage:
    """Make one picture."""
    (image,) = (await TestProvider(**settings).generate(request, seeds=[seed])).images
    return image


def decoded(image: ProducedImage) -> NDArray[np.uint8]:
    """Read the file's pixels, with whatever channels it has."""
    return np.asarray(Image.open(io.BytesIO(image.data)))


def request_for(task: str, request_of: Make, **more: Any) -> ImageRequest:
    """Make a request for a task, with what it needs."""
    needed: dict[str, dict[str, Any]] = {
        "txt2img": {},
        "img2img": {"image": noise(40, 24)},
        "variation": {"image": noise(40, 24)},
        "upscale": {"image": noise(40, 24)},
        "inpaint": {"image": noise(40, 24), "mask": right_half(40, 24)},
        "outpaint": {"image": noise(40, 24), "margins": {"left": 8, "top": 4, "right": 2, "bottom": 1}},
    }
    return request_of(**{"task": task, **needed[task], **more})


TASKS = ["txt2img", "img2img", "inpaint", "outpaint", "upscale", "variation"]
SIZES = {
    "txt2img": (64, 64),
    "img2img": (40, 24),
    "inpaint": (40, 24),
    "outpaint": (50, 29),
    "upscale": (80, 48),
    "variation": (40, 24),
}


@pytest.mark.parametrize("task", TASKS)
async def test_every_task_gives_the_same_picture_again_and_another_with_another_seed(
    request_of: Make, task: str
) -> None:
    """Equal requests and seeds give equal bytes, and the seed matters in every task."""
    request = request_for(task, request_of)
    first, again, other = await made(request), await made(request), await made(request, seed=2)
    assert first.data == again.data != other.data
    assert (first.width, first.height) == SIZES[task] == decoded(first).shape[1::-1]
    assert first.pixels is not None
    assert np.array_equal(first.pixels, decoded(first))


@pytest.mark.parametrize(
    ("task", "fields"),
    [
        *itertools.product(
            TASKS,
            [
                {"prompt": "blue car"},
                {"quality": "high"},
                {"references": [{"image": noise(4, 4)}]},
                {"control": [{"image": noise(4, 4), "kind": "depth"}]},
                {"lora": [{"name": "ink", "weight": 0.5}]},
                {"extra": {"test": {"pattern": 3}}},
            ],
        ),
        *((task, {"strength": 0.3}) for task in TASKS if task != "txt2img"),
    ],
)
async def test_every_field_that_is_taken_changes_the_picture(
    request_of: Make, task: str, fields: dict[str, Any]
) -> None:
    """Nothing is accepted and dropped, whatever the task."""
    plain = await made(request_for(task, request_of))
    assert (await made(request_for(task, request_of, **fields))).data != plain.data


@pytest.mark.parametrize("changes", [{"weight": 0.5}, {"use": "image"}, {"image": noise(5, 4)}])
async def test_every_part_of_a_reference_counts(request_of: Make, changes: dict[str, Any]) -> None:
    """Not only that there is one."""
    first: dict[str, Any] = {"image": noise(4, 4), "weight": 1.0, "use": "style"}
    one, other = [await made(request_of(references=[part])) for part in (first, {**first, **changes})]
    assert one.data != other.data


@pytest.mark.parametrize("strength", [None, 0.4, 1.0])
async def test_inpainting_leaves_every_pixel_where_the_mask_is_black(request_of: Make, strength: float | None) -> None:
    """White changes, black stays to the last bit, grey is between."""
    image = noise(40, 24)
    request = request_of(task="inpaint", image=image, mask=right_half(40, 24), strength=strength)
    pixels = decoded(await made(request))
    assert np.array_equal(pixels[:, :20], image[:, :20])
    assert np.mean(np.any(pixels[:, 21:] != image[:, 21:], axis=-1)) > 0.9


async def test_outpainting_leaves_the_original_in_its_place(request_of: Make) -> None:
    """Only beyond its sides something is drawn."""
    image = noise(40, 24)
    pixels = decoded(await made(request_for("outpaint", request_of)))
    assert np.array_equal(pixels[4:28, 8:48], image)
    beyond = np.ones((29, 50), bool)
    beyond[4:28, 8:48] = False
    assert len(np.unique(pixels[beyond], axis=0)) > 1


async def test_strength_says_how_far_a_picture_is_left(request_of: Make) -> None:
    """0 is the picture itself, 1 nothing of it."""
    image = noise(40, 24)
    same = await made(request_of(task="img2img", image=image, strength=0.0))
    assert np.array_equal(decoded(same), image)
    new, other = [
        await made(request_of(task="img2img", image=picture, strength=1.0)) for picture in (image, 255 - image)
    ]
    assert np.array_equal(decoded(new), decoded(other))


@pytest.mark.parametrize(
    ("fields", "size"), [({"scale": 3.0}, (120, 72)), ({"size": "50x50"}, (50, 50)), ({}, (80, 48))]
)
async def test_upscaling_goes_by_scale_or_size(request_of: Make, fields: dict[str, Any], size: tuple[int, int]) -> None:
    """Twice as large where neither is asked for, and still the same picture."""
    smooth = np.tile(np.arange(40, dtype=np.uint8)[None, :, None] * 6, (24, 1, 3))
    image = await made(request_of(task="upscale", image=smooth, **fields))
    assert (image.width, image.height) == size
    columns = decoded(image).astype(int).sum(axis=(0, 2))
    assert columns[-5:].mean() > columns[:5].mean()


@pytest.mark.parametrize("output_format", ["png", "webp"])
async def test_a_transparent_background_is_transparent(request_of: Make, output_format: str) -> None:
    """The file has an alpha channel with clear and with opaque parts; an opaque one has none."""
    image = await made(request_of(background="transparent", output_format=output_format))
    alpha = decoded(image)[..., 3]
    assert (alpha.min(), alpha.max()) == (0, 255)
    assert image.pixels is None
    assert decoded(await made(request_of(background="opaque"))).shape[-1] == 3


async def test_transparency_of_a_given_picture_is_kept_where_it_stays(request_of: Make) -> None:
    """With a transparent background the untouched part keeps its alpha too."""
    image = noise(40, 24, 4)
    image[:5, :5, 3] = 0
    request = request_of(task="inpaint", image=image, mask=right_half(40, 24), background="transparent")
    assert np.array_equal(decoded(await made(request))[:, :20], image[:, :20])


@pytest.mark.parametrize(("aspect", "size"), [("1:1", (64, 64)), ("16:9", (85, 48)), ("1:100", (6, 600))])
async def test_proportions_become_the_size_that_the_capabilities_say(
    request_of: Make, aspect: str, size: tuple[int, int]
) -> None:
    """Who plans and who draws agree on the pixels."""
    request = request_of(aspect_ratio=aspect)
    image = await made(request)
    assert (image.width, image.height) == size
    assert (await TestProvider().capabilities()).size_for(request) == f"{size[0]}x{size[1]}"


@pytest.mark.parametrize(
    ("task", "image"),
    [("img2img", (2049, 4)), ("upscale", (1025, 4)), ("outpaint", (2040, 4)), ("variation", (4, 2049))],
)
async def test_a_picture_that_would_become_too_large_is_refused(
    request_of: Make, task: str, image: tuple[int, int]
) -> None:
    """Also where the size follows from the picture that was given."""
    provider = TestProvider("fake")
    with pytest.raises(UnsupportedRequest, match="2048") as caught:
        await provider.generate(request_for(task, request_of, image=noise(*image)), seeds=[1])
    assert (caught.value.field, caught.value.provider, provider.calls) == ("size", "fake", 0)


async def test_tasks_can_be_switched_off(request_of: Make) -> None:
    """It then says so, and refuses them."""
    provider = TestProvider(tasks=("upscale", "txt2img"))
    assert (await provider.capabilities()).tasks == ("txt2img", "upscale")
    with pytest.raises(UnsupportedRequest) as caught:
        await provider.generate(request_for("inpaint", request_of), seeds=[1])
    assert caught.value.field == "task"


async def test_calls_may_be_limited_and_may_give_more_than_was_asked(request_of: Make) -> None:
    """For splitting and for surplus pictures; all that was made is paid."""
    provider = TestProvider(max_n=2, call_gives=4, cost=Decimal("0.1"))
    with pytest.raises(UnsupportedRequest):
        await provider.generate(request_of(n=3), seeds=[1, 2, 3])
    answer = await provider.generate(request_of(n=2), seeds=[7, 8])
    assert [image.seed for image in answer.images] == [7, 8, 9, 10]
    assert answer.cost is not None
    assert answer.cost.amount == Decimal("0.4")
    last = answer.images[3]
    assert last.data == (await made(request_of(), seed=10)).data


async def test_an_engine_with_one_seed_a_call(request_of: Make) -> None:
    """The first seed decides all; none of several pictures claims to come again alone."""
    provider = TestProvider(seed="call")
    assert (await provider.capabilities()).seed == "call"
    first, again = [await provider.generate(request_of(n=2), seeds=[5, 6]) for _ in range(2)]
    assert [image.data for image in first.images] == [image.data for image in again.images]
    assert [image.seed for image in first.images] == [None, None]
    (alone,) = (await provider.generate(request_of(), seeds=[5])).images
    assert (alone.seed, alone.data) == (5, first.images[0].data)


async def test_an_engine_without_seeds(request_of: Make) -> None:
    """It reads none, refuses one in the request, names none, and never gives the same picture twice."""
    provider = TestProvider(seed="none")
    with pytest.raises(UnsupportedRequest, match="seed"):
        await provider.generate(request_of(seed=1), seeds=[1])
    answers = [await provider.generate(request_of(n=2), seeds=[]) for _ in range(2)]
    images = [image for answer in answers for image in answer.images]
    assert {image.seed for image in images} == {None}
    assert len({image.data for image in images}) == 4


async def test_an_unknown_cost_is_said_to_be_unknown(request_of: Make) -> None:
    """Not free: neither beforehand nor afterwards."""
    provider = TestProvider(cost=Decimal("0.1"), fail="cost-unknown")
    assert not (await provider.capabilities()).cost_known
    assert (await provider.generate(request_of(), seeds=[1])).cost is None


async def test_it_tells_the_job_and_unfinished_pictures(request_of: Make) -> None:
    """Where that is switched on: the job first, one unfinished picture in the middle of each."""
    heard: list[Event] = []
    provider = TestProvider(tells=("job", "partial"))
    answer = await provider.generate(request_of(n=2), seeds=[1, 2], on_event=heard.append)
    assert heard[0] == JobAccepted(job=str(answer.request_id))
    assert [(image.job, image.job_index) for image in answer.images] == [(answer.request_id, 1), (answer.request_id, 2)]
    partial = [event for event in heard if isinstance(event, PartialImage)]
    assert [event.index for event in partial] == [0, 1]
    assert sum(isinstance(event, Progress) for event in heard) == 8


async def test_a_listener_that_raises_costs_no_picture(request_of: Make) -> None:
    """It is asked once, and a warning says so."""
    asked = []

    def broken(event: Event) -> None:
        asked.append(event)
        raise ZeroDivisionError

    answer = await TestProvider(tells=("job",)).generate(request_of(n=2), seeds=[1, 2], on_event=broken)
    assert len(answer.images) == 2
    assert len(asked) == 1
    assert answer.warnings == ("on_event raised ZeroDivisionError and was not called again",)


async def test_too_little_time_gives_up_before_anything_is_billed(request_of: Make) -> None:
    """A time-out is an error of its own class, and no picture was made."""
    provider = TestProvider("fake", delay=60)
    with pytest.raises(Cancelled) as caught:
        await provider.generate(request_of(), seeds=[1], timeout=0.02)
    assert (caught.value.provider, provider.billed, caught.value.may_have_billed) == ("fake", 0, False)


@pytest.mark.parametrize("seeds", [[], [1, 2], [-1], [2**32]])
async def test_seeds_are_checked_where_they_are_read(request_of: Make, seeds: list[int]) -> None:
    """With one a call too."""
    for mode in ("image", "call"):
        with pytest.raises(InvalidRequest):
            await TestProvider(seed=mode).generate(request_of(), seeds=seeds)
