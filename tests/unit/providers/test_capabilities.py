"""Capabilities: what of a request cannot be honoured is listed, with what could be."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from limner_providers import Capabilities, ImageRequest
from limner_providers.capabilities import CostRule, DecimalRange, IntRange, SizeRule

Make = Callable[..., ImageRequest]

NOTHING = Capabilities(tasks=("txt2img",), source="a test")
EVERYTHING = Capabilities(
    tasks=("txt2img", "img2img"),
    size=SizeRule(multiple_of=8, minimum=16, maximum=1024, max_pixels=512 * 512, native="512x512"),
    max_n=4,
    seed=True,
    negative_prompt=True,
    negative_prompt_guidance_above=Decimal(1),
    num_inference_steps=IntRange(minimum=1, maximum=50),
    guidance_scale=DecimalRange(minimum=Decimal(0), maximum=Decimal(20)),
    default_guidance_scale=Decimal("7.5"),
    schedulers=("ddim", "dpmpp_2m", "euler_a"),
    scheduler_aliases={"DPMSolverMultistepScheduler": "dpmpp_2m"},
    strength=True,
    output_formats=("png", "jpeg", "webp"),
    max_prompt_characters=100,
    source="a test",
)

UNMET: list[tuple[str, dict[str, Any], str]] = [
    ("task", {"task": "variation", "origin": {"provider": "mj", "job": "1"}}, "another provider"),
    ("size", {"size": "60x64"}, "56x64 or 64x64"),
    ("size", {"size": "8x64"}, "16x64"),
    ("size", {"size": "1024x1024"}, ""),
    ("n", {"n": 5}, "4 or fewer"),
    ("num_inference_steps", {"num_inference_steps": 51}, "1 to 50"),
    ("guidance_scale", {"guidance_scale": 20.5}, "0 to 20"),
    ("scheduler", {"scheduler": "magic"}, "ddim, dpmpp_2m, euler_a"),
    ("prompt", {"prompt": "x" * 101}, "Shorten"),
    ("negative_prompt", {"negative_prompt": "x" * 101}, "Shorten"),
    ("negative_prompt", {"negative_prompt": "blur", "guidance_scale": 1.0}, "above 1"),
]


@pytest.mark.parametrize(("field", "fields", "remedy"), UNMET)
def test_a_field_that_cannot_be_honoured_is_listed_with_a_remedy(
    request_of: Make, field: str, fields: dict[str, Any], remedy: str
) -> None:
    """One entry names the field, why not, and what could be asked instead."""
    (unmet,) = EVERYTHING.unmet(request_of(**fields))
    assert unmet.field == field
    assert remedy in unmet.remedy
    assert unmet.why.endswith(".")
    assert unmet.value


def test_what_can_be_honoured_leaves_the_list_empty(request_of: Make) -> None:
    """Every field at once may be fine."""
    request = request_of(
        size="512x512", n=4, seed=7, negative_prompt="blur", num_inference_steps=50, guidance_scale=20, scheduler="ddim"
    )
    assert EVERYTHING.unmet(request) == []


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("output_format", {"output_format": "jpeg"}),
        ("seed", {"seed": 1}),
        ("negative_prompt", {"negative_prompt": "blur"}),
        ("num_inference_steps", {"num_inference_steps": 5}),
        ("guidance_scale", {"guidance_scale": 5}),
        ("scheduler", {"scheduler": "ddim"}),
        ("strength", {"strength": 0.5, "task": "txt2img"}),
    ],
)
def test_a_provider_that_takes_nothing_says_so_of_each_field(
    request_of: Make, field: str, fields: dict[str, Any]
) -> None:
    """A field that is not taken is never dropped silently."""
    if field == "strength":  # a request for txt2img cannot have one: build it for another task
        origin = {"provider": "mj", "job": "1"}
        request = request_of(**fields | {"task": "img2img", "origin": origin})
        assert {unmet.field for unmet in NOTHING.unmet(request)} == {"task", "strength"}
        return
    assert [unmet.field for unmet in NOTHING.unmet(request_of(**fields))] == [field]


def test_everything_unmet_is_listed_at_once(request_of: Make) -> None:
    """A caller corrects all of it in one go."""
    request = request_of(size="60x60", n=9, scheduler="magic")
    assert [unmet.field for unmet in EVERYTHING.unmet(request)] == ["size", "n", "scheduler"]


def test_the_text_of_a_prompt_is_not_in_the_list(request_of: Make) -> None:
    """Only its length is."""
    listed = EVERYTHING.unmet(request_of(prompt="secret " * 20, negative_prompt="secret " * 20))
    assert len(listed) == 2
    assert "secret" not in repr(listed)


def test_the_default_guidance_decides_whether_a_negative_prompt_works(request_of: Make) -> None:
    """Where a request names no guidance, the model's default counts."""
    unguided = EVERYTHING.model_copy(update={"default_guidance_scale": Decimal(1)})
    assert [unmet.field for unmet in unguided.unmet(request_of(negative_prompt="blur"))] == ["negative_prompt"]
    assert unguided.unmet(request_of(negative_prompt="blur", guidance_scale=2)) == []


@pytest.mark.parametrize(
    ("task", "fields", "grown"),
    [
        ("img2img", {}, "70x20"),
        ("variation", {}, "70x20"),
        ("inpaint", {}, "70x20"),
        ("upscale", {}, "140x40"),
        ("upscale", {"scale": 3.0}, "210x60"),
        ("outpaint", {"margins": {"left": 10}}, "80x20"),
    ],
)
def test_a_size_that_follows_from_the_picture_is_held_against_the_limits(
    request_of: Make, png_of: Callable[..., bytes], task: str, fields: dict[str, Any], grown: str
) -> None:
    """An engine that keeps a picture's size refuses one that is too large for it, before it is asked."""
    tasks = ("img2img", "variation", "inpaint", "upscale", "outpaint")
    span = DecimalRange(minimum=Decimal(1), maximum=Decimal(4))
    able = Capabilities(
        tasks=tasks,
        size=SizeRule(multiple_of=8, minimum=8, maximum=64),
        mask="white-changes",
        scale=span,
        default_scale=Decimal(2),
        keeps_size=True,
        source="a test",
    )
    mask = {"mask": png_of(70, 20, "white")} if task == "inpaint" else {}
    request = request_of(task=task, image=png_of(70, 20), **mask, **fields)
    assert [(unmet.field, unmet.value) for unmet in able.unmet(request)] == [("size", f"'{grown}'")]
    assert able.model_copy(update={"size": SizeRule(maximum=512)}).unmet(request) == []
    if task != "upscale" and task != "outpaint":
        assert able.unmet(request.model_copy(update={"size": "64x16"})) == []


@pytest.mark.parametrize("name", ["dpmpp_2m", "DPM++ 2M", "dpm++_2m", "DPMSolverMultistepScheduler", "DPMpp-2M"])
def test_a_scheduler_is_known_in_its_spellings(name: str) -> None:
    """Case, separators and plus signs do not matter, and class names are names too."""
    assert EVERYTHING.scheduler_named(name) == "dpmpp_2m"


def test_a_fixed_list_of_sizes_is_the_whole_list(request_of: Make) -> None:
    """A provider with fixed sizes makes only these, and names the nearest."""
    fixed = EVERYTHING.model_copy(update={"size": SizeRule(fixed=("256x256", "512x512", "1024x1024"))})
    assert fixed.unmet(request_of(size="512x512")) == []
    (unmet,) = fixed.unmet(request_of(size="500x500"))
    assert "512x512 or 256x256" in unmet.remedy


@given(
    rule=st.builds(
        SizeRule, multiple_of=st.integers(1, 64), minimum=st.integers(64, 128), maximum=st.integers(256, 2048)
    ),
    width=st.integers(1, 16384),
    height=st.integers(1, 16384),
)
def test_the_nearest_sizes_can_be_made(rule: SizeRule, width: int, height: int) -> None:
    """What is offered instead is always possible, and a possible size is its own nearest."""
    near = rule.nearest(width, height)
    assert near
    for size in near:
        assert rule.problem(*map(int, size.split("x"))) is None
    if rule.problem(width, height) is None:
        assert near[0] == f"{width}x{height}"


@given(across=st.integers(1, 100), down=st.integers(1, 100), native=st.sampled_from((64, 512, 1024)), step=st.just(8))
def test_proportions_become_a_size_of_that_shape(across: int, down: int, native: int, step: int) -> None:
    """Within a tenth, even where a side has few steps to choose from, and near the native area where that can be."""
    rule = SizeRule(multiple_of=step, minimum=step, native=f"{native}x{native}")
    size = rule.of_aspect(across, down)
    assert size is not None
    width, height = map(int, size.split("x"))
    assert rule.problem(width, height) is None
    assert abs(width / height * down / across - 1) <= 0.1
    if min(width, height) > 4 * step:
        assert 0.5 < width * height / native**2 < 1.5


def test_a_misspelt_fact_in_a_data_file_is_an_error() -> None:
    """Capabilities are data: an unknown key is refused."""
    with pytest.raises(ValidationError, match="max_nn"):
        Capabilities.model_validate({"tasks": ["txt2img"], "source": "a file", "max_nn": 3})


def test_capabilities_survive_json_exactly() -> None:
    """Prices stay decimals."""
    priced = EVERYTHING.model_copy(update={"cost": CostRule(unit="image", rates={"image": Decimal("0.040")})})
    again = Capabilities.model_validate(json.loads(priced.model_dump_json()))
    assert again == priced
    assert again.cost is not None
    assert str(again.cost.rates["image"]) == "0.040"
