"""Fitting: what an engine cannot honour is listed, and an allowed change is small, listed, and really fits."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner_providers import Capabilities, ImageRequest, InputImage
from limner_providers.capabilities import CostRule, DecimalRange, IntRange, OptionRule, ReferenceRule, SizeRule
from limner_providers.fitting import Fit, fit
from limner_providers.types import TASKS

Make = Callable[..., ImageRequest]
IMAGE = InputImage.of(np.zeros((64, 96, 3), np.uint8))
MASK = InputImage.of(np.full((64, 96), 255, np.uint8))
PLAIN = Capabilities(tasks=("txt2img",), kind="plain", size=SizeRule(native="512x512"), source="a test")


def able(**changes: Any) -> Capabilities:
    """Make capabilities that differ from the plain ones."""
    return Capabilities.model_validate({**PLAIN.model_dump(), **changes})


def adapted(capabilities: Capabilities, request: ImageRequest) -> Fit:
    """Fit with changes allowed, and see that it came off."""
    found = fit(capabilities, request, adapt=True)
    assert found.unmet == ()
    assert found.adaptations
    return found


@pytest.mark.parametrize(
    ("n", "most", "calls"), [(5, 2, (2, 2, 1)), (4, 4, (4,)), (100, 1, (1,) * 100), (3, 10, (3,)), (10, 4, (4, 4, 2))]
)
def test_more_pictures_than_one_call_makes_are_split(
    request_of: Make, n: int, most: int, calls: tuple[int, ...]
) -> None:
    """Only where that is allowed, and as few calls as can be."""
    request = request_of(n=n)
    found = fit(able(max_n=most), request, adapt=True)
    assert found.calls == calls
    assert found.request == request
    strict = fit(able(max_n=most), request)
    assert bool(strict.unmet) == (n > most)
    assert strict.calls == (n,)


ADAPTED: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"size": SizeRule(multiple_of=64)}, {"size": "100x130"}, {"size": "128x128"}),
    ({"size": SizeRule(fixed=("1024x1024", "1536x1024"))}, {"size": "1000x1000"}, {"size": "1024x1024"}),
    ({"size": SizeRule(exact=False)}, {"size": "1920x1080"}, {"size": None, "aspect_ratio": "16:9"}),
    ({"size": SizeRule(fixed=("1024x1024", "1536x1024"))}, {"aspect_ratio": "16:9"}, {"size": "1536x1024"}),
    ({}, {"seed": 7}, {"seed": None}),
    ({}, {"num_inference_steps": 9}, {"num_inference_steps": None}),
    ({}, {"guidance_scale": 3.5}, {"guidance_scale": None}),
    ({}, {"scheduler": "ddim"}, {"scheduler": None}),
    ({}, {"quality": "high"}, {"quality": None}),
    ({}, {"output_format": "webp", "output_compression": 50}, {"output_format": "png", "output_compression": None}),
    (
        {"output_formats": ("jpeg",), "output_compression": False},
        {"output_format": "jpeg", "output_compression": 50},
        {"output_compression": None},
    ),
    ({"negative_prompt": "flag"}, {"negative_prompt": "fog"}, {}),
    ({"seed": "call", "max_n": 4}, {"seed": 7, "n": 3}, {}),
]


@pytest.mark.parametrize(("facts", "fields", "changes"), ADAPTED)
def test_an_adaptation_is_listed_and_nothing_else_changes(
    request_of: Make, facts: dict[str, Any], fields: dict[str, Any], changes: dict[str, Any]
) -> None:
    """Strictly it is refused; where it is allowed, exactly these fields change, and the list says so."""
    request, capabilities = request_of(**fields), able(**facts)
    strict = fit(capabilities, request)
    assert strict.unmet
    assert strict.request == request
    assert strict.adaptations == ()
    found = adapted(capabilities, request)
    assert found.request == ImageRequest.build(**{**_fields(request), **changes, **_dropped(changes)})
    assert {one.field for one in found.adaptations} <= {one.field for one in strict.unmet}


def _dropped(changes: dict[str, Any]) -> dict[str, Any]:
    """A size that takes the place of proportions takes them away."""
    return {"aspect_ratio": None} if changes.get("size") else {}


def _fields(request: ImageRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in type(request).model_fields}


NOT_ADAPTED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"task": "img2img", "image": IMAGE}, "task"),
    ({}, {"negative_prompt": "fog"}, "negative_prompt"),
    ({"max_prompt_characters": 3}, {"prompt": "four"}, "prompt"),
    ({}, {"background": "transparent"}, "background"),
    ({}, {"references": [{"image": IMAGE}]}, "references"),
    ({"references": ReferenceRule(maximum=1)}, {"references": [{"image": IMAGE}] * 2}, "references"),
    ({"references": ReferenceRule(maximum=1)}, {"references": [{"image": IMAGE, "use": "style"}]}, "references.0.use"),
    ({"references": ReferenceRule(maximum=1)}, {"references": [{"image": IMAGE, "weight": 1}]}, "references.0.weight"),
    ({}, {"control": [{"image": IMAGE, "kind": "canny"}]}, "control.0"),
    ({"control": ("depth",)}, {"control": [{"image": IMAGE, "kind": "canny"}]}, "control.0"),
    ({"lora": 1}, {"lora": [{"name": "a"}, {"name": "b"}]}, "lora"),
    ({}, {"extra": {"plain": {"knob": 1}}}, "extra.plain.knob"),
    ({"extra": {"knob": OptionRule(type="integer")}}, {"extra": {"plain": {"knob": True}}}, "extra.plain.knob"),
    ({"extra": {"knob": OptionRule(type="boolean")}}, {"extra": {"plain": {"knob": 1}}}, "extra.plain.knob"),
    ({"extra": {"k": OptionRule(type="text", choices=("a",))}}, {"extra": {"plain": {"k": "b"}}}, "extra.plain.k"),
    (
        {"extra": {"k": OptionRule(type="number", maximum=Decimal(2))}},
        {"extra": {"plain": {"k": 2.1}}},
        "extra.plain.k",
    ),
]


@pytest.mark.parametrize(("facts", "fields", "field"), NOT_ADAPTED)
def test_what_would_no_longer_be_what_was_asked_is_never_adapted(
    request_of: Make, facts: dict[str, Any], fields: dict[str, Any], field: str
) -> None:
    """What a picture shows, and what it is made from, is honoured or refused."""
    request = request_of(**fields)
    for adapt in (False, True):
        found = fit(able(**facts), request, adapt=adapt)
        assert field in [one.field for one in found.unmet]
        assert found.request == request
        assert found.adaptations == ()


def test_one_field_that_cannot_be_adapted_leaves_all_as_it_is(request_of: Make) -> None:
    """A request that is refused anyway is not changed first."""
    found = fit(PLAIN, request_of(seed=7, background="transparent"), adapt=True)
    assert [one.field for one in found.unmet] == ["seed", "background"]
    assert found.adaptations == ()


def test_options_of_other_kinds_are_not_read(request_of: Make) -> None:
    """They are meant for somebody else."""
    assert fit(PLAIN, request_of(extra={"midjourney": {"stylize": 250}})).unmet == ()


def test_an_engine_that_takes_only_its_own_pictures(request_of: Make) -> None:
    """A stranger's picture is refused, and an origin where an engine keeps none."""
    own = able(tasks=("upscale",), needs_origin=("upscale",))
    origin = {"provider": "mj", "job": "1"}
    assert [one.field for one in fit(own, request_of(task="upscale", image=IMAGE)).unmet] == ["image"]
    assert fit(own, request_of(task="upscale", origin=origin)).unmet == ()
    other = able(tasks=("upscale",))
    assert [one.field for one in fit(other, request_of(task="upscale", origin=origin)).unmet] == ["origin"]


def test_a_picture_that_is_too_many_bytes_is_named(request_of: Make) -> None:
    """By the name that a record has for it."""
    small = able(tasks=("inpaint",), mask="white-changes", max_input_bytes=10)
    found = fit(small, request_of(task="inpaint", image=IMAGE, mask=MASK))
    assert [one.field for one in found.unmet] == ["image", "mask"]


sizes = st.builds(
    SizeRule,
    multiple_of=st.sampled_from([1, 8, 16, 64]),
    minimum=st.sampled_from([1, 64, 256]),
    maximum=st.sampled_from([512, 1024, 3840]),
    min_pixels=st.none() | st.just(100_000),
    max_pixels=st.none() | st.just(1_000_000),
    max_aspect=st.none() | st.just(Decimal(3)),
    native=st.just("512x512"),
    fixed=st.sampled_from([(), ("512x512",), ("1024x1024", "1536x1024", "1024x1536")]),
    exact=st.booleans(),
)
engines = st.builds(
    Capabilities,
    tasks=st.lists(st.sampled_from(TASKS), min_size=1, unique=True).map(tuple),
    kind=st.just("plain"),
    size=sizes,
    max_n=st.integers(1, 10),
    seed=st.sampled_from([True, False, "call"]),
    negative_prompt=st.sampled_from([True, False, "flag"]),
    num_inference_steps=st.none() | st.just(IntRange(minimum=1, maximum=50)),
    guidance_scale=st.none() | st.just(DecimalRange(minimum=Decimal(0), maximum=Decimal(10))),
    schedulers=st.sampled_from([(), ("ddim", "euler_a")]),
    strength=st.booleans(),
    scale=st.none() | st.just(DecimalRange(minimum=Decimal(2), maximum=Decimal(4))),
    output_formats=st.sampled_from([("png",), ("jpeg", "png"), ("webp",)]),
    output_compression=st.booleans(),
    backgrounds=st.sampled_from([(), ("opaque",), ("transparent", "opaque", "auto")]),
    qualities=st.sampled_from([(), ("low", "high")]),
    max_prompt_characters=st.none() | st.just(20),
    mask=st.none() | st.just("white-changes"),
    cost=st.none() | st.just(CostRule(unit="image", rates={"image": Decimal("0.04")})),
    source=st.just("a test"),
)
NEEDED: dict[str, dict[str, Any]] = {
    "txt2img": {},
    "img2img": {"image": IMAGE},
    "variation": {"image": IMAGE},
    "upscale": {"image": IMAGE},
    "inpaint": {"image": IMAGE, "mask": MASK},
    "outpaint": {"image": IMAGE, "margins": {"left": 32}},
}


@st.composite
def wishes(draw: st.DrawFn) -> ImageRequest:
    """Draw a request of any task with any of the fields that are often not honoured."""
    task = draw(st.sampled_from(TASKS))
    fields: dict[str, Any] = {"prompt": draw(st.sampled_from(["apple", "a" * 30])), "task": task, **NEEDED[task]}
    may: dict[str, st.SearchStrategy[Any]] = {
        "negative_prompt": st.just("fog"),
        "n": st.integers(1, 30),
        "seed": st.integers(0, 99),
        "num_inference_steps": st.integers(1, 99),
        "guidance_scale": st.floats(0, 20),
        "scheduler": st.sampled_from(["ddim", "Euler a", "magic"]),
        "quality": st.sampled_from(["low", "hd"]),
        "background": st.sampled_from(["opaque", "auto"]),
        "output_format": st.sampled_from(["png", "jpeg", "webp"]),
    }
    if task != "txt2img":
        may["strength"] = st.floats(0, 1)
    if task != "outpaint":
        may["shape"] = st.sampled_from(["size", "aspect_ratio"])
    for name in draw(st.lists(st.sampled_from(sorted(may)), unique=True, max_size=5)):
        fields[name] = draw(may[name])
    shape = fields.pop("shape", None)
    if shape == "size":
        fields["size"] = draw(st.tuples(st.integers(1, 4000), st.integers(1, 4000)))
    elif shape == "aspect_ratio":
        fields["aspect_ratio"] = draw(st.tuples(st.integers(1, 100), st.integers(1, 100)))
    if fields.get("output_format", "png") != "png":
        fields["output_compression"] = draw(st.none() | st.integers(0, 100))
    return ImageRequest.build(**fields)


@settings(max_examples=400, deadline=None)
@given(engines, wishes())
def test_no_field_changes_without_an_adaptation_that_names_it(engine: Capabilities, request: ImageRequest) -> None:
    """Whatever the engine: what differs from the request is listed, the rest is as it was."""
    found = fit(engine, request, adapt=True)
    differing = {name for name in _fields(request) if getattr(request, name) != getattr(found.request, name)}
    listed = {name for one in found.adaptations for name in one.changes}
    assert differing <= listed
    assert sum(found.calls) == request.n == found.request.n
    assert {"prompt", "negative_prompt", "task", "image", "mask", "n", "background"}.isdisjoint(differing)
    if not found.unmet:
        assert all(count <= engine.max_n for count in found.calls)
        for count in found.calls:
            call = ImageRequest.build(**{**_fields(found.request), "n": count})
            left = {one.field for one in engine.unmet(call)}
            assert left <= {one.field for one in found.adaptations if not one.changes}


@settings(max_examples=200, deadline=None)
@given(engines, wishes())
def test_strictly_nothing_changes_and_the_same_things_are_named(engine: Capabilities, request: ImageRequest) -> None:
    """`fit` without adaptations is `capabilities.unmet`, and no list holds a prompt."""
    found = fit(engine, request)
    assert found.request is request
    assert found.calls == (request.n,)
    assert list(found.unmet) == engine.unmet(request)
    assert request.prompt not in {one.value for one in found.unmet}
    assert all(one.why.endswith(".") and one.remedy.endswith(".") for one in found.unmet)


def test_a_quality_that_goes_with_its_format_is_listed() -> None:
    """JPEG at 40 that becomes PNG loses its 40: that is a change of its own; where JPEG becomes WebP it stays."""
    request = ImageRequest(prompt="x", output_format="jpeg", output_compression=40)
    lost = adapted(able(output_formats=("png",)), request)
    assert [(a.field, a.used) for a in lost.adaptations] == [
        ("output_format", "png"), ("output_compression", "left out"),
    ]  # fmt: skip
    kept = adapted(able(output_formats=("webp",)), request)
    assert [a.field for a in kept.adaptations] == ["output_format"]
    assert kept.request.output_compression == 40
