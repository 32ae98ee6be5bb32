"""What a request becomes: the call, its body and the parameters behind the prompt; and what is refused by name."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from limner_providers import ImageRequest, InputImage, Reference
from limner_providers._midjourney_facts import Dialect, capabilities_of, facts, find_model, models_for
from limner_providers._midjourney_plan import (
    Plan,
    Settings,
    check_task,
    data_address,
    plan_action,
    plan_change,
    plan_imagine,
    plan_single,
    white_changes,
)
from limner_providers._midjourney_result import quadrants
from limner_providers._midjourney_wire import Task, read_task
from limner_providers.errors import ModelUnavailable, UnsupportedRequest
from limner_providers.parts import ImageOrigin

ORIGIN = ImageOrigin(provider="mj", job="77", index=2)
DOT = InputImage.of(np.full((4, 6, 3), 9, np.uint8))
MASK = InputImage.of(np.array([[0, 127, 128, 255]], np.uint8))


def settings(dialect: Dialect = "trueai", model: str = "midjourney-7", **changes: Any) -> Settings:
    """Make what a configuration chose."""
    fields = {"provider": "mj", "dialect": dialect, "model": find_model(model, provider="mj"), "speed": None}
    return Settings(**{**fields, **changes})


def grid(*buttons: str) -> Task:
    """Make a finished parent with these buttons."""
    task = read_task({"id": "77", "status": "SUCCESS", "buttons": [{"customId": button} for button in buttons]})
    assert task is not None
    return task


GRID = grid(*(f"MJ::JOB::{what}::{i}::h" for i in (1, 2, 3, 4) for what in ("upsample", "variation")))
SINGLE = grid(
    "MJ::JOB::upsample_v7_2x_subtle::1::h::SOLO",
    "MJ::JOB::upsample_v7_2x_creative::1::h::SOLO",
    "MJ::JOB::low_variation::1::h::SOLO",
    "MJ::JOB::high_variation::1::h::SOLO",
    "MJ::Inpaint::1::h::SOLO",
)


def test_all_parameters_stand_behind_the_prompt_in_one_order() -> None:
    """The order is ours and not the request's, so that the same request is the same prompt."""
    extra = {"weird": 9, "quality": 0.5, "tile": True, "raw": False, "stylize": 250, "chaos": 0, "speed": "fast"}
    request = ImageRequest(
        prompt="red\napple", aspect_ratio="16:9", negative_prompt="worms,\nrot, ", extra={"midjourney": extra}
    )
    plan = plan_imagine(settings("novicezk"), request, 7, {})
    flags = "--ar 16:9 --v 7 --tile --stylize 250 --chaos 0 --weird 9 --quality 0.5 --seed 7"
    assert plan.body == {"prompt": f"red apple {flags} --no worms, rot --fast", "base64Array": []}
    assert " ".join(plan.flags) == f"{flags} --fast", "texts of the user's are no parameters for a record"
    assert (plan.call, plan.seed) == ("imagine", 7)


def test_trueai_takes_speed_by_its_address_and_the_bot_by_name() -> None:
    """So no speed stands in the prompt."""
    request = ImageRequest(prompt="apple", extra={"midjourney": {"speed": "relax"}})
    plan = plan_imagine(settings(model="niji-6"), request, 1, {})
    assert plan.body == {"prompt": "apple --niji 6 --seed 1", "base64Array": [], "botType": "NIJI_JOURNEY"}
    assert plan.speed == "relax"
    assert plan_imagine(settings(speed="turbo"), ImageRequest(prompt="a"), 1, {}).speed == "turbo"


def test_references_go_as_pictures_or_as_addresses_with_their_weights() -> None:
    """A weight of 1 is Midjourney's usual one for each use."""
    references = [
        Reference(image=DOT, weight=1.5),
        Reference(image=DOT, use="style", weight=0.5),
        Reference(image=DOT, use="character", weight=1),
    ]
    urls = {"style": ["https://a/s"], "character": ["https://a/c"]}
    plan = plan_imagine(settings(), ImageRequest(prompt="a", references=references), 1, urls)
    assert plan.body["prompt"] == "a --v 7 --iw 1.5 --sref https://a/s --sw 50 --oref https://a/c --ow 100 --seed 1"
    assert plan.body["base64Array"] == [data_address(DOT)]
    assert not any("https" in flag for flag in plan.flags)
    old = plan_imagine(settings(model="midjourney-6.1"), ImageRequest(prompt="a", references=references[2:]), 1, urls)
    assert "--cref https://a/c --cw 100" in old.body["prompt"]


@pytest.mark.parametrize(
    ("references", "extra", "field"),
    [
        ([(None, 1), (None, 2)], {}, "references.weight"),
        ([("image", 1)], {"iw": 2}, "extra.midjourney.iw"),
        ([("character", 0)], {}, "references.weight"),
        ([("style", None)], {"sref": 5}, "extra.midjourney.sref"),
    ],
)
def test_weights_that_cannot_be_told_are_refused(
    references: list[tuple[str | None, float | None]], extra: dict[str, Any], field: str
) -> None:
    """Nothing is averaged and nothing is dropped."""
    made = [Reference.model_validate({"image": DOT, "use": use or "image", "weight": w}) for use, w in references]
    request = ImageRequest(prompt="a", references=made, extra={"midjourney": extra})
    urls = {"style": ["https://a/s"], "character": ["https://a/c"]}
    with pytest.raises(UnsupportedRequest) as caught:
        plan_imagine(settings(), request, 1, urls)
    assert caught.value.field == field


def test_img2img_is_the_editor_with_the_picture_itself() -> None:
    """A picture that Midjourney never saw can be edited (trueai); retexture is chosen by an option."""
    request = ImageRequest(task="img2img", prompt="a", image=DOT)
    plan = plan_imagine(settings(), request, 3, {})
    assert (plan.call, plan.body) == ("edits", {"prompt": "a --v 7 --seed 3", "image": data_address(DOT)})
    other = ImageRequest(task="img2img", prompt="a", image=DOT, extra={"midjourney": {"edit": "retexture"}})
    assert plan_imagine(settings(), other, 3, {}).call == "retexture"


def test_a_picture_leaves_without_its_files_metadata() -> None:
    """Who took it where is nobody's business; its pixels stay."""
    file, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_text("Comment", "taken at home")
    Image.new("RGB", (3, 2), "red").save(file, "PNG", pnginfo=info)
    sent = base64.b64decode(data_address(InputImage(file.getvalue())).partition(",")[2])
    assert b"taken at home" not in sent
    assert np.array_equal(InputImage(sent).pixels(), InputImage(file.getvalue()).pixels())


def test_novicezk_changes_a_picture_by_its_number() -> None:
    """There is no button to press: the grid's id and the picture's number."""
    plan = plan_change(settings("novicezk"), ImageRequest(task="upscale", origin=ORIGIN))
    assert (plan.call, plan.body) == ("change", {"taskId": "77", "action": "UPSCALE", "index": 2})


@pytest.mark.parametrize(
    ("request_fields", "parent", "button", "more"),
    [
        ({"task": "upscale"}, GRID, "MJ::JOB::upsample::2::h", {}),
        ({"task": "upscale"}, SINGLE, "MJ::JOB::upsample_v7_2x_subtle::1::h::SOLO", {}),
        (
            {"task": "upscale", "extra": {"midjourney": {"upscaler": "creative"}}},
            SINGLE,
            "MJ::JOB::upsample_v7_2x_creative::1::h::SOLO",
            {},
        ),
        ({"task": "upscale"}, grid("MJ::JOB::upsample_v5_4x::1::h::SOLO"), "MJ::JOB::upsample_v5_4x::1::h::SOLO", {}),
        ({"task": "variation"}, GRID, "MJ::JOB::variation::2::h", {}),
        (
            {"task": "variation", "extra": {"midjourney": {"vary": "subtle"}}},
            GRID,
            "MJ::JOB::variation::2::h",
            {"strong": False},
        ),
        ({"task": "variation", "prompt": "b"}, SINGLE, "MJ::JOB::high_variation::1::h::SOLO", {"enableRemix": True}),
        (
            {"task": "variation", "extra": {"midjourney": {"vary": "subtle"}}},
            SINGLE,
            "MJ::JOB::low_variation::1::h::SOLO",
            {},
        ),
        ({"task": "inpaint", "prompt": "b", "mask": MASK}, SINGLE, "MJ::Inpaint::1::h::SOLO", {}),
    ],
)
def test_trueai_presses_the_button_that_the_picture_has(
    request_fields: dict[str, Any], parent: Task, button: str, more: dict[str, Any]
) -> None:
    """A grid's picture by its number, a single one by its own buttons."""
    plan = plan_action(settings(), ImageRequest(**request_fields, origin=ORIGIN), parent)
    assert (plan.call, plan.body) == ("action", {"taskId": "77", "customId": button, **more})


def test_an_inpainting_answers_the_dialog_with_mask_and_prompt() -> None:
    """The mask is hard and opaque, white where it changes, as Midjourney's own editor writes it."""
    extra = {"midjourney": {"stylize": 5}}
    request = ImageRequest(task="inpaint", prompt="a hat", mask=MASK, origin=ORIGIN, negative_prompt="b", extra=extra)
    plan = plan_action(settings(), request, SINGLE)
    assert plan.dialog is not None
    assert plan.dialog["prompt"] == "a hat --stylize 5 --no b"
    sent = InputImage(base64.b64decode(plan.dialog["maskBase64"].removeprefix("data:image/png;base64,")))
    assert sent.pixels("RGBA").tolist() == [[[0, 0, 0, 255]] * 2 + [[255, 255, 255, 255]] * 2]
    assert InputImage(white_changes(MASK)).size == MASK.size


@pytest.mark.parametrize(
    ("fields", "parent", "field", "words"),
    [
        ({"task": "inpaint", "prompt": "b", "mask": MASK}, GRID, "origin", "no painting into"),
        ({"task": "upscale"}, grid(), "origin", "no such upscale"),
        ({"task": "upscale", "extra": {"midjourney": {"upscaler": "subtle"}}}, GRID, "origin", "no such upscale"),
        ({"task": "variation"}, grid("MJ::JOB::variation::1::h"), "origin", "no variation"),
        (
            {"task": "upscale", "origin": ImageOrigin(provider="other", job="7")},
            GRID,
            "origin",
            "only pictures that it made itself",
        ),
        ({"task": "upscale", "origin": ImageOrigin(provider="mj", job="7", index=5)}, GRID, "origin.index", "four"),
    ],
)
def test_what_a_picture_does_not_offer_is_refused_before_anything_is_submitted(
    fields: dict[str, Any], parent: Task, field: str, words: str
) -> None:
    """The error names the field and what to do instead."""
    with pytest.raises(UnsupportedRequest, match=words) as caught:
        plan_action(settings(), ImageRequest(**{"origin": ORIGIN, **fields}), parent)
    assert caught.value.field == field
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"task": "variation", "aspect_ratio": "1:1"}, "aspect_ratio"),
        ({"task": "variation", "seed": 5}, "seed"),
        ({"task": "upscale", "n": 2}, "n"),
        ({"task": "upscale", "extra": {"midjourney": {"stylize": 5}}}, "extra.midjourney.stylize"),
        ({"task": "variation", "extra": {"midjourney": {"raw": True}}}, "extra.midjourney.raw"),
        ({"task": "variation", "negative_prompt": "b"}, "negative_prompt"),
        ({"task": "upscale", "references": [{"image": DOT}]}, "references"),
        ({"task": "upscale", "extra": {"midjourney": {"vary": "subtle"}}}, "extra.midjourney.vary"),
        ({"prompt": "a", "origin": None, "extra": {"midjourney": {"edit": "edits"}}}, "extra.midjourney.edit"),
    ],
)
def test_what_a_task_cannot_take_is_refused_by_name(fields: dict[str, Any], field: str) -> None:
    """Nothing of a request is dropped without a word."""
    with pytest.raises(UnsupportedRequest) as caught:
        check_task(settings(), ImageRequest.build(**{"origin": ORIGIN, **fields}))
    assert caught.value.field == field


def test_a_picture_of_a_grid_is_taken_out_before_it_is_painted_into() -> None:
    """Only a single picture has the button; the upscale that makes one changes nothing of it."""
    inpaint = ImageRequest(task="inpaint", prompt="b", mask=MASK, origin=ORIGIN)
    plan = plan_single(settings(), inpaint, GRID)
    assert plan is not None
    assert plan.body == {"taskId": "77", "customId": "MJ::JOB::upsample::2::h"}
    assert plan_single(settings(), inpaint, SINGLE) is None
    assert plan_single(settings(), ImageRequest(task="variation", origin=ORIGIN), GRID) is None


def test_an_upscale_says_that_it_used_no_prompt() -> None:
    """It shows what the picture shows, whatever is said."""
    request = ImageRequest(task="upscale", prompt="--b", origin=ORIGIN)
    for plan in (plan_change(settings("novicezk"), request), plan_action(settings(), request, GRID)):
        assert plan.notes == ("an upscale takes no prompt: the one given was not used",)
        assert "--b" not in str(plan.body)


@pytest.mark.parametrize("fields", [{"prompt": "b"}, {"extra": {"midjourney": {"speed": "fast"}}}])
def test_novicezk_takes_neither_prompt_nor_speed_for_a_picture(fields: dict[str, Any]) -> None:
    """It has no field for them."""
    with pytest.raises(UnsupportedRequest):
        plan_change(settings("novicezk"), ImageRequest(task="variation", origin=ORIGIN, **fields))


def test_every_option_of_the_data_file_is_used() -> None:
    """An option that a capability names and no code reads would be dropped silently."""
    boolean, number = {"type": "boolean"}, {"integer": 15, "number": 2.5}
    for name, option in facts().options.items():
        value: Any = True if option.rule.model_dump()["type"] == boolean["type"] else number.get(option.rule.type)
        if option.flag is None:
            assert name in {"speed", "dashes", "edit", "vary", "upscaler"}
            continue
        assert option.rule.problem(value if name != "sv" else 4) is None, name
        extra = {"midjourney": {name: value}}
        plan: Plan = plan_imagine(settings(), ImageRequest(prompt="a", extra=extra), 1, {})
        assert re.search(rf"{option.flag}( |$)", plan.body["prompt"]), name


def test_models_are_data_and_others_are_marked() -> None:
    """A version that came out yesterday can be used; what is no version of Midjourney's cannot."""
    new = find_model("midjourney-9", provider="mj")
    assert (new.flag, new.uncatalogued) == ("--v 9", True)
    assert capabilities_of(new, "trueai", timeout=5).uncatalogued
    assert find_model("midjourney", provider="mj").flag == ""
    assert find_model("niji-6", provider="mj").flag == "--niji 6"
    for name in ("dall-e-3", "midjourney-", "midjourney-7 --fast", "niji-x", ""):
        with pytest.raises(ModelUnavailable):
            find_model(name, provider="mj")
    assert "niji" not in [model.name for model in models_for("novicezk")]


@pytest.mark.parametrize("shape", [(4, 6), (5, 7), (2, 2), (3, 2)])
def test_a_grid_is_cut_without_losing_a_pixel(shape: tuple[int, int], request_of: Callable[..., ImageRequest]) -> None:
    """Left to right, top to bottom; put together again they are the grid, odd sides included."""
    pixels = np.arange(shape[0] * shape[1] * 3, dtype=np.uint8).reshape(*shape, 3)
    one, two, three, four = quadrants(pixels)
    assert one[0, 0].tolist() == pixels[0, 0].tolist()
    assert four[-1, -1].tolist() == pixels[-1, -1].tolist()
    again = np.vstack([np.hstack([one, two]), np.hstack([three, four])])
    assert np.array_equal(again, pixels)
