"""Parts of a request and tasks: what goes together, what is named otherwise, and the way to a record and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner_providers import ControlImage, ImageOrigin, ImageRequest, InputImage, Lora, Margins, Reference
from limner_providers.errors import InvalidRequest
from limner_providers.types import TASKS

Make = Callable[..., ImageRequest]
IMAGE = InputImage.of(np.arange(96, dtype=np.uint8).reshape(4, 8, 3))
MASK = InputImage.of(np.full((4, 8), 255, np.uint8))
SMALL = InputImage.of(np.full((2, 2), 255, np.uint8))
ORIGIN = {"provider": "mj", "job": "task-1", "index": 2}
NEEDED: dict[str, dict[str, Any]] = {
    "txt2img": {},
    "img2img": {"image": IMAGE},
    "variation": {"image": IMAGE},
    "upscale": {"image": IMAGE},
    "inpaint": {"image": IMAGE, "mask": MASK},
    "outpaint": {"image": IMAGE, "margins": {"right": 8}},
}

MISFITS: list[tuple[str, str, dict[str, Any], str]] = [
    ("txt2img", "image", {"image": IMAGE}, "means nothing for txt2img"),
    ("txt2img", "origin", {"origin": ORIGIN}, "means nothing for txt2img"),
    ("txt2img", "mask", {"mask": MASK}, "means nothing for txt2img"),
    ("txt2img", "strength", {"strength": 0.5}, "means nothing for txt2img"),
    ("img2img", "mask", {"mask": MASK}, "means nothing for img2img"),
    ("img2img", "margins", {"margins": {"left": 8}}, "means nothing for img2img"),
    ("variation", "scale", {"scale": 2.0}, "means nothing for variation"),
    ("img2img", "image", {"image": None}, "is needed for img2img"),
    ("upscale", "image", {"image": None}, "is needed for upscale"),
    ("inpaint", "mask", {"mask": None}, "is needed for inpaint"),
    ("inpaint", "mask", {"mask": SMALL}, "not as large as the image"),
    ("inpaint", "mask", {"mask": InputImage.of(np.zeros((4, 8), np.uint8))}, "no white part"),
    ("inpaint", "prompt", {"prompt": ""}, "is empty"),
    ("outpaint", "margins", {"margins": None}, "are needed for outpaint"),
    ("outpaint", "margins", {"margins": {}}, "adds nothing"),
    ("outpaint", "margins", {"margins": {"left": -1}}, ""),
    ("outpaint", "size", {"size": "64x64"}, "means nothing for outpaint"),
    ("outpaint", "size", {"aspect_ratio": "1:1"}, "means nothing for outpaint"),
    ("upscale", "scale", {"scale": 2.0, "size": "64x64"}, "beside a size"),
    ("upscale", "scale", {"scale": 1.0}, ""),
    ("upscale", "scale", {"scale": 8.5}, ""),
    ("txt2img", "aspect_ratio", {"aspect_ratio": "16:9", "size": "64x64"}, "beside a size"),
    ("txt2img", "aspect_ratio", {"aspect_ratio": "0:9"}, "no pair of proportions"),
    ("txt2img", "aspect_ratio", {"aspect_ratio": "101:9"}, "no pair of proportions"),
    ("txt2img", "background", {"background": "transparent", "output_format": "jpeg"}, "cannot be kept in JPEG"),
    ("txt2img", "quality", {"quality": "Very High"}, ""),
    ("txt2img", "extra", {"extra": {"midjourney": 5}}, "no mapping by kind"),
    ("txt2img", "extra", {"extra": {"midjourney": {"a": object()}}}, "no JSON"),
    ("txt2img", "extra", {"extra": {"midjourney": {"a": float("nan")}}}, "no JSON"),
]


@pytest.mark.parametrize(("task", "field", "fields", "told"), MISFITS)
def test_a_field_that_does_not_go_with_its_task_is_named(
    request_of: Make, task: str, field: str, fields: dict[str, Any], told: str
) -> None:
    """With what is wrong and what to do."""
    with pytest.raises(InvalidRequest) as caught:
        request_of(**{"task": task, **NEEDED[task], **fields})
    assert caught.value.field.split(".")[0] == field
    assert told in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("task", TASKS)
def test_a_task_with_what_it_needs_is_a_request(request_of: Make, task: str) -> None:
    """And without a prompt where a picture says enough."""
    assert request_of(task=task, **NEEDED[task]).task == task
    if task in {"outpaint", "variation", "upscale"}:
        assert request_of(task=task, prompt="", **NEEDED[task]).prompt == ""


@pytest.mark.parametrize("task", ["img2img", "upscale", "variation"])
def test_a_picture_can_be_named_by_its_engine_instead(request_of: Make, task: str) -> None:
    """An origin takes the place of an image."""
    request = request_of(task=task, origin=ORIGIN)
    assert request.origin == ImageOrigin(provider="mj", job="task-1", index=2)
    assert request.inputs() == {}


def test_a_mistake_inside_a_part_is_named_by_its_way_there(request_of: Make) -> None:
    """So that it is found among several."""
    with pytest.raises(InvalidRequest) as caught:
        request_of(references=[{"image": IMAGE}, {"image": IMAGE, "weight": 3}])
    assert caught.value.field == "references.1.weight"
    with pytest.raises(InvalidRequest) as caught:
        request_of(control=[{"image": b"no picture", "kind": "canny"}])
    assert caught.value.field == "control.0.image"
    with pytest.raises(InvalidRequest):
        request_of(lora=[{"name": "a<b>"}])
    with pytest.raises(InvalidRequest):
        request_of(references=[{"image": IMAGE, "wieght": 1}])


@pytest.mark.parametrize(
    ("field", "parts"),
    [
        ("references", [{"image": IMAGE}] * 17),
        ("control", [{"image": IMAGE, "kind": "canny"}] * 9),
        ("lora", [{"name": "a"}] * 17),
    ],
)
def test_there_are_limits_to_how_many_parts_there_are(request_of: Make, field: str, parts: list[Any]) -> None:
    """16 references, 8 control images, 16 LoRAs."""
    with pytest.raises(InvalidRequest) as caught:
        request_of(**{field: parts})
    assert caught.value.field == field
    assert getattr(request_of(**{field: parts[:-1]}), field)


def test_every_picture_has_a_name_in_a_record(request_of: Make) -> None:
    """The order of references and control images is kept."""
    request = request_of(
        task="inpaint", image=IMAGE, mask=MASK, references=[{"image": SMALL}, {"image": IMAGE}],
        control=[{"image": MASK, "kind": "depth"}],
    )  # fmt: skip
    assert request.inputs() == {
        "image": IMAGE, "mask": MASK, "reference-0": SMALL, "reference-1": IMAGE, "control-0": MASK,
    }  # fmt: skip


def test_a_missing_picture_is_named_when_a_record_is_read(request_of: Make) -> None:
    """A record without its payload makes no other request."""
    request = request_of(task="img2img", image=IMAGE, references=[{"image": SMALL}])
    parameters = request.to_parameters()
    with pytest.raises(InvalidRequest, match="reference-0"):
        ImageRequest.from_parameters(parameters, prompt="a", inputs={"image": IMAGE.data})
    with pytest.raises(InvalidRequest, match="image"):
        ImageRequest.from_parameters(parameters, prompt="a", inputs={"reference-0": SMALL.data})


weights = st.floats(0, 2, allow_nan=False)
references = st.builds(
    Reference, image=st.just(SMALL), use=st.sampled_from(["image", "style", "character"]), weight=st.none() | weights
)
controls = st.builds(
    ControlImage, image=st.sampled_from([IMAGE, SMALL]), kind=st.sampled_from(["canny", "depth"]),
    model=st.none() | st.just("a model"), weight=weights, start=st.floats(0, 1), end=st.floats(0, 1),
    preprocess=st.booleans(),
)  # fmt: skip
loras = st.builds(Lora, name=st.text("abc_-. ", min_size=1, max_size=9), weight=st.floats(-4, 4))
margins = st.builds(Margins, left=st.integers(1, 8192), top=st.integers(0, 8192), right=st.integers(0, 8192))
options = st.dictionaries(
    st.sampled_from(["midjourney", "test"]),
    st.dictionaries(st.text(min_size=1, max_size=5), st.integers() | st.booleans() | st.text(max_size=5), min_size=1),
)
common: dict[str, Any] = {
    "prompt": st.just("a red apple"),
    "negative_prompt": st.none() | st.just("fog"),
    "n": st.integers(1, 100),
    "seed": st.none() | st.integers(0, 2**32 - 100),
    "num_inference_steps": st.none() | st.integers(1, 1000),
    "guidance_scale": st.none() | st.floats(0, 100),
    "scheduler": st.none() | st.just("ddim"),
    "references": st.lists(references, max_size=3).map(tuple),
    "control": st.lists(controls, max_size=2).map(tuple),
    "lora": st.lists(loras, max_size=2).map(tuple),
    "background": st.none() | st.sampled_from(["transparent", "opaque", "auto"]),
    "quality": st.none() | st.just("high"),
    "output_format": st.sampled_from(["png", "webp"]),
    "extra": options,
}
shapes: dict[str, dict[str, Any]] = {
    "txt2img": {"size": st.none() | st.just("64x32")},
    "img2img": {"image": st.just(IMAGE), "strength": st.none() | st.floats(0, 1)},
    "variation": {"origin": st.builds(ImageOrigin, provider=st.just("mj"), job=st.just("j"), index=st.integers(1, 4))},
    "inpaint": {"image": st.just(IMAGE), "mask": st.just(MASK), "strength": st.none() | st.floats(0, 1)},
    "outpaint": {"image": st.just(IMAGE), "margins": margins},
    "upscale": {"image": st.just(IMAGE), "scale": st.none() | st.floats(1, 8, exclude_min=True)},
}
requests = st.one_of(
    *(st.builds(ImageRequest, task=st.just(task), **common, **more) for task, more in shapes.items())
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(requests)
def test_a_request_of_any_task_comes_back_from_its_record(request: ImageRequest) -> None:
    """What a record keeps (canonical JSON, texts and pictures apart) makes the very same request again."""
    parameters = request.to_parameters()
    text = json.dumps(parameters)
    again = ImageRequest.from_parameters(
        json.loads(text),
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        inputs={name: image.data for name, image in request.inputs().items()},
        extra=json.loads(json.dumps(request.extra)),
    )
    assert again == request
    assert again.to_parameters() == parameters


@given(requests)
def test_a_record_holds_no_float_no_prompt_and_no_picture(request: ImageRequest) -> None:
    """Texts, whole numbers, truths, and mappings and lists of them."""
    parameters = request.to_parameters()
    assert all(isinstance(leaf, str | int) for leaf in _leaves(parameters))
    assert not {"prompt", "negative_prompt", "image", "mask", "extra"} & parameters.keys()
    assert "red apple" not in json.dumps(parameters)


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in _leaves(part)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in _leaves(part)]
    return [value]
