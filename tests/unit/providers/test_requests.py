"""ImageRequest: what it accepts, how it says no, and what a record keeps of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from limner_providers import ImageRequest, ProviderError
from limner_providers.errors import InvalidRequest
from limner_providers.types import SEED_LIMIT

Make = Callable[..., ImageRequest]
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60).filter(
    lambda text: bool(text.strip())
)
requests = st.builds(
    ImageRequest,
    prompt=texts,
    negative_prompt=st.none() | texts,
    size=st.none() | st.tuples(st.integers(1, 16384), st.integers(1, 16384)),
    n=st.integers(1, 100),
    seed=st.none() | st.integers(0, SEED_LIMIT - 100),
    num_inference_steps=st.none() | st.integers(1, 1000),
    guidance_scale=st.none() | st.floats(0, 100),
    scheduler=st.none() | st.sampled_from(["ddim", "DPM++ 2M"]),
    output_format=st.sampled_from(["jpeg", "webp"]),
    output_compression=st.none() | st.integers(0, 100),
)

WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("prompt", {"prompt": ""}, "(0 characters)", "Say what to draw"),
    ("prompt", {"prompt": " \n\t"}, "(0 characters)", "Say what to draw"),
    ("prompt", {"prompt": "x" * 100_001}, "(100,001 characters)", "100,000"),
    ("prompt", {"prompt": "x" * 1_000_000}, "(1,000,000 characters)", "100,000"),
    ("prompt", {"prompt": "a\ud800b"}, "(3 characters)", "UTF-8"),
    ("prompt", {"prompt": "a\0b"}, "(3 characters)", "Remove"),
    ("prompt", {"prompt": b"bytes"}, "(bytes)", "text"),
    ("negative_prompt", {"negative_prompt": "a\0"}, "(2 characters)", "Remove"),
    ("size", {"size": "0x64"}, "'0x64'", "WIDTHxHEIGHT"),
    ("size", {"size": "1000000x1000000"}, "'1000000x1000000'", "16384"),
    ("size", {"size": 1_000_000}, "1000000", "WIDTHxHEIGHT"),
    ("size", {"size": 0}, "0", "WIDTHxHEIGHT"),
    ("size", {"size": "64"}, "'64'", "WIDTHxHEIGHT"),
    ("size", {"size": "-64x64"}, "'-64x64'", "WIDTHxHEIGHT"),
    ("size", {"size": "٦٤x٦٤"}, "'٦٤x٦٤'", "WIDTHxHEIGHT"),
    ("size", {"size": (64, 64.0)}, "(64, 64.0)", "WIDTHxHEIGHT"),
    ("size", {"size": (64, True)}, "(64, True)", "WIDTHxHEIGHT"),
    ("size", {"size": (64, 64, 3)}, "(64, 64, 3)", "WIDTHxHEIGHT"),
    ("n", {"n": 0}, "0", "1 or more"),
    ("n", {"n": 101}, "101", "100 or less"),
    ("n", {"n": True}, "True", "whole number"),
    ("n", {"n": "2"}, "'2'", "whole number"),
    ("seed", {"seed": -1}, "-1", "0 or more"),
    ("seed", {"seed": 2**32}, "4294967296", "below 4294967296"),
    ("seed", {"seed": 2**32 - 1, "n": 2}, "4294967295", "below 4294967296"),
    ("num_inference_steps", {"num_inference_steps": 0}, "0", "1 or more"),
    ("num_inference_steps", {"num_inference_steps": 1001}, "1001", "1000 or less"),
    ("guidance_scale", {"guidance_scale": float("nan")}, "nan", "finite"),
    ("guidance_scale", {"guidance_scale": float("inf")}, "inf", "finite"),
    ("guidance_scale", {"guidance_scale": -0.1}, "-0.1", "0 or more"),
    ("guidance_scale", {"guidance_scale": 100.5}, "100.5", "100 or less"),
    ("scheduler", {"scheduler": ""}, "''", "name"),
    ("task", {"task": "paint"}, "'paint'", "'txt2img'"),
    ("strength", {"strength": 0.5}, "0.5", "task"),
    ("output_format", {"output_format": "gif"}, "'gif'", "'png'"),
    ("output_compression", {"output_compression": 50}, "50", "jpeg"),
]


@pytest.mark.parametrize(("field", "fields", "shown", "remedy"), WRONG)
def test_a_wrong_field_is_named_with_its_value_and_a_remedy(
    request_of: Make, field: str, fields: dict[str, Any], shown: str, remedy: str
) -> None:
    """Each wrong field is one InvalidRequest that says which, what it was, and what to do."""
    with pytest.raises(InvalidRequest) as caught:
        request_of(**fields)
    error = caught.value
    assert (error.field, error.value) == (field, shown)
    assert remedy in error.remedy
    assert str(error).startswith(f"{field}={shown} ")


def test_an_invalid_request_is_a_value_error_and_a_provider_error() -> None:
    """Whoever catches either of them catches it."""
    with pytest.raises(InvalidRequest) as caught:
        ImageRequest(prompt="")
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, ProviderError)


def test_a_missing_prompt_is_said_to_be_missing() -> None:
    """No prompt at all is as clear an error as an empty one."""
    with pytest.raises(InvalidRequest, match=r"prompt=\(0 characters\) is empty"):
        ImageRequest.build(n=2)


def test_a_misspelt_field_is_an_error_with_a_suggestion(request_of: Make) -> None:
    """Nothing is dropped silently: an unknown field is refused, and the near one is named."""
    with pytest.raises(InvalidRequest, match="Did you mean num_inference_steps"):
        request_of(num_inference_step=5)


def test_a_picture_that_is_none_is_refused_by_its_field(request_of: Make) -> None:
    """Bytes that are no picture are refused when the request is made, before anything is sent or recorded."""
    with pytest.raises(InvalidRequest, match="is no whole PNG, JPEG or WebP picture"):
        request_of(task="img2img", image=b"...")


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_the_text_of_a_prompt_is_in_no_error(field: str) -> None:
    """Neither the message nor the error it was raised from repeats a prompt."""
    with pytest.raises(InvalidRequest) as caught:
        ImageRequest.build(**{"prompt": "secret wish", field: "secret wish\0", "n": 0})
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_an_unknown_field_does_not_show_its_value(request_of: Make) -> None:
    """A key that was put in the wrong place is not repeated."""
    with pytest.raises(InvalidRequest) as caught:
        request_of(api_key="sk-secret")
    assert "sk-secret" not in str(caught.value)


def test_a_long_value_is_shortened(request_of: Make) -> None:
    """A message stays readable whatever was sent."""
    with pytest.raises(InvalidRequest) as caught:
        request_of(scheduler="s" * 10_000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("size", ["64x48", "64X48", "64×48", " 64 x 48 ", (64, 48), [64, 48]])
def test_a_size_is_kept_as_text_however_it_was_written(request_of: Make, size: object) -> None:
    """Pairs and other spellings become WIDTHxHEIGHT."""
    request = request_of(size=size)
    assert (request.size, request.width, request.height) == ("64x48", 64, 48)


def test_without_a_size_there_is_neither_width_nor_height(request_of: Make) -> None:
    """None stands for the model's native size."""
    assert (request_of().width, request_of().height) == (None, None)


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_negative_prompt_is_none(request_of: Make, text: str) -> None:
    """Front ends that send an empty one mean that there is none."""
    assert request_of(negative_prompt=text).negative_prompt is None


def test_a_request_cannot_be_changed(request_of: Make) -> None:
    """What was judged is what is made."""
    with pytest.raises(ValidationError):
        request_of().n = 5  # type: ignore[misc]  # the type checker knows it too


def test_the_largest_seed_is_accepted_for_one_picture(request_of: Make) -> None:
    """The border itself is inside."""
    assert request_of(seed=2**32 - 1, n=1).seed == 2**32 - 1
    assert request_of(seed=2**32 - 5, n=5).seed == 2**32 - 5


def test_a_request_inside_another_model_fails_as_pydantic_expects(request_of: Make) -> None:
    """A server's body that holds a request reports a wrong field as a validation error of its own."""

    class Body(BaseModel):
        wish: ImageRequest

    with pytest.raises(ValidationError, match="n=0"):
        Body.model_validate({"wish": {"prompt": "a", "n": 0}})
    assert Body.model_validate({"wish": {"prompt": "a"}}).wish == ImageRequest(prompt="a")


def test_parameters_are_texts_and_whole_numbers_without_prompts(request_of: Make) -> None:
    """What a record keeps holds no float, no prompt and nothing that was not asked."""
    request = request_of(negative_prompt="blur", seed=7, size="64x64", guidance_scale=7.5, scheduler="ddim")
    assert request.to_parameters() == {
        "task": "txt2img",
        "size": "64x64",
        "n": 1,
        "seed": "7",
        "guidance_scale": "7.5",
        "scheduler": "ddim",
        "output_format": "png",
    }


@pytest.mark.parametrize(
    ("number", "text"), [(3, "3"), (3.0, "3"), (0.1, "0.1"), (0.0, "0"), (-0.0, "0"), (1e-7, "0.0000001"), (100, "100")]
)
def test_a_decimal_has_one_spelling(request_of: Make, number: float, text: str) -> None:
    """Equal numbers are equal texts, without exponent or trailing zeros."""
    assert request_of(guidance_scale=number).to_parameters()["guidance_scale"] == text


@given(requests)
def test_a_request_comes_back_from_its_parameters(request: ImageRequest) -> None:
    """Parameters and prompt texts make the very same request again, through JSON too."""
    kept = json.loads(json.dumps(request.to_parameters()))
    again = ImageRequest.from_parameters(kept, prompt=request.prompt, negative_prompt=request.negative_prompt)
    assert again == request
    assert ImageRequest(**request.model_dump()) == request
    assert not [value for value in kept.values() if isinstance(value, float)]


@given(st.floats(0, 100))
def test_decimals_lose_nothing(number: float) -> None:
    """The text of a guidance is exactly the number."""
    text = ImageRequest(prompt="a", guidance_scale=number).to_parameters()["guidance_scale"]
    assert Decimal(str(text)) == Decimal(repr(number))


def test_spoilt_parameters_are_an_invalid_request() -> None:
    """A record that was tampered with is no crash."""
    with pytest.raises(InvalidRequest, match="seed='seven'"):
        ImageRequest.from_parameters({"seed": "seven"}, prompt="a")
    with pytest.raises(InvalidRequest, match="guidance_scale"):
        ImageRequest.from_parameters({"guidance_scale": "much"}, prompt="a")
    with pytest.raises(InvalidRequest, match="no field"):
        ImageRequest.from_parameters({"invented": "1"}, prompt="a")


@given(st.dictionaries(st.text(max_size=12), st.none() | st.booleans() | st.integers() | st.floats() | st.text()))
def test_whatever_is_sent_the_answer_is_a_request_or_an_invalid_request(fields: dict[str, Any]) -> None:
    """No input makes another error."""
    try:
        request = ImageRequest.build(**{"prompt": "a", **fields})
    except InvalidRequest as error:
        assert error.remedy  # noqa: PT017 - whether it is raised at all depends on the input
    else:
        assert isinstance(request, ImageRequest)
