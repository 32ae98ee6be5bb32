"""Reading OpenAI's answers without any client: errors, bills, base64 in JSON, server-sent events, requests."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from limner_providers import ImageRequest
from limner_providers._openai_answer import NoJson, picture_of, read_document
from limner_providers._openai_bill import bill_of
from limner_providers._openai_catalogue import capabilities_of, price_of
from limner_providers._openai_errors import Asked, refused, told_in_answer
from limner_providers._openai_stream import EventReader
from limner_providers._openai_wire import Target, fields_of, files_of, mask_of, path_of, refuse_misfits
from limner_providers.errors import (
    AccessDenied,
    GenerationFailed,
    ModelUnavailable,
    ModerationBlocked,
    OutcomeUnknown,
    QuotaExhausted,
    RateLimited,
    UnsupportedRequest,
)

SECRET = "sk-canary-0123456789"
ASKED = Asked(
    provider="shop",
    model="gpt-image-2",
    request=ImageRequest(prompt="zqxjv apple", size="1024x1024"),
    secrets=(SECRET,),
)
RATES = price_of("gpt-image-2")


def error(code: str | None = None, *, message: str = "", kind: str = "invalid_request_error", **more: Any) -> bytes:
    """Write the vendor's error object."""
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code} | more}).encode()


CASES: list[tuple[int, bytes, type[Exception], dict[str, Any]]] = [
    (401, error("invalid_api_key"), AccessDenied, {"retry_safe": False}),
    (403, error(message="Your organization must be verified to use the model `x`."), AccessDenied, {}),
    (404, error("model_not_found", param="model"), ModelUnavailable, {}),
    (400, error("moderation_blocked"), ModerationBlocked, {"stage": None}),
    (400, error("content_policy_violation"), ModerationBlocked, {"fallback_safe": False}),
    (451, b"", ModerationBlocked, {}),
    (429, error("rate_limit_exceeded", message="images per minute. Limit: 5/1min."), RateLimited, {"retry_safe": True}),
    (
        429,
        error("rate_limit_exceeded", message="images per minute. Limit: 0/1min."),
        QuotaExhausted,
        {"retry_safe": False},
    ),
    (429, error("insufficient_quota"), QuotaExhausted, {"retry_safe": False}),
    (400, error("billing_hard_limit_reached"), QuotaExhausted, {}),
    (400, error("invalid_value", param="size"), UnsupportedRequest, {"field": "size", "value": "'1024x1024'"}),
    (400, error("x", param="prompt"), UnsupportedRequest, {"field": "prompt", "value": "(11 characters)"}),
    (400, error("unknown_parameter", param="response_format"), GenerationFailed, {}),
    (409, error("conflict"), GenerationFailed, {}),
    (500, error(kind="server_error"), GenerationFailed, {"retry_safe": False}),
    (502, b"<html>", OutcomeUnknown, {"may_have_billed": True}),
    (400, b'{"error": "something"}', GenerationFailed, {}),
    (400, b"not json", GenerationFailed, {}),
]


@pytest.mark.parametrize(("status", "body", "kind", "more"), CASES)
def test_a_refusal_becomes_its_error(status: int, body: bytes, kind: type[Exception], more: dict[str, Any]) -> None:
    """Class, safety and id by the vendor's words, else by the one table of statuses."""
    found = refused(status, {"x-request-id": "req_1"}, body, ASKED)
    assert type(found) is kind, found
    assert (found.request_id, found.provider) == ("req_1", "shop")
    assert found.remedy in str(found)
    assert {name: getattr(found, name) for name in more} == more


def test_moderation_keeps_stage_and_categories_from_details_or_from_the_message() -> None:
    """They become evidence; a block of the finished picture may be billed."""
    details = {"moderation_stage": "output", "categories": ["sexual", "violence/graphic", "<b>"]}
    told = refused(400, {}, error("moderation_blocked", moderation_details=details), ASKED)
    assert isinstance(told, ModerationBlocked)
    assert (told.stage, told.categories, told.may_have_billed) == ("output", ("sexual", "violence/graphic"), True)
    parsed = refused(400, {}, error(message="rejected. safety_violations=[sexual, self-harm].", kind="x"), ASKED)
    assert isinstance(parsed, ModerationBlocked)
    assert (parsed.stage, parsed.categories, parsed.may_have_billed) == (None, ("sexual", "self-harm"), False)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "Your request was rejected by the safety system."}',
        error(
            "400", message="litellm.BadRequestError: OpenAIException - Your request was rejected by the safety system."
        ),
        error("400", message="litellm.ContentPolicyViolationError: ContentPolicyViolation"),
        error("400", message="upstream said moderation_blocked"),
        error("400", kind="content_policy_violation"),
    ],
)
def test_a_block_that_a_relay_wrote_anew_stays_a_block(body: bytes) -> None:
    """LiteLLM's proxy puts "400" in the place of `moderation_blocked`: it is still not fallen back around."""
    found = refused(400, {}, body, ASKED)
    assert isinstance(found, ModerationBlocked)
    assert not found.fallback_safe


def test_x_should_retry_false_is_respected() -> None:
    """Even where the status alone would allow another try."""
    body = error("rate_limit_exceeded", message="slow down")
    assert refused(429, {"retry-after": "1"}, body, ASKED).retry_safe
    assert not refused(429, {"retry-after": "1", "x-should-retry": "false"}, body, ASKED).retry_safe


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(
    st.sampled_from(["error", "code", "type", "param", "message", "moderation_details", "categories"]), x)),
    st.sampled_from([400, 401, 403, 404, 429, 451, 500, 502]))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_no_body_breaks_the_reading_of_errors(value: Any, status: int) -> None:
    """Whatever a server sends, there is one of our errors."""
    assert refused(status, {}, json.dumps(value).encode(), ASKED).provider == "shop"
    assert told_in_answer(value, ASKED, request_id=None, billed=False).provider == "shop"


def test_a_servers_words_are_never_shown() -> None:
    """They may repeat the prompt or the key."""
    body = error("x", message=f"zqxjv {SECRET}", kind=SECRET, param=f"zqxjv {SECRET}")
    for status in (400, 401, 403, 404, 429, 500):
        assert "canary" not in repr(refused(status, {}, body, ASKED))
        assert "zqxjv" not in repr(refused(status, {}, body, ASKED))


def usage(**more: Any) -> dict[str, Any]:
    """Count 10 text and 40 picture tokens in, 50 picture tokens out."""
    told: dict[str, Any] = {"total_tokens": 100, "input_tokens": 50, "output_tokens": 50}
    told |= {"input_tokens_details": {"text_tokens": 10, "image_tokens": 40}}
    told |= {"output_tokens_details": {"image_tokens": 50, "text_tokens": 0}}
    return {name: value for name, value in (told | more).items() if value is not None}


FULL = Decimal("0.00187")  # 10 * 5e-6 + 40 * 8e-6 + 50 * 3e-5


@pytest.mark.parametrize(
    ("told", "inputs", "amount", "warned"),
    [
        (usage(), True, FULL, False),
        (usage(output_tokens_details=None), True, FULL, True),
        (usage(input_tokens_details=None), True, None, True),
        (usage(input_tokens_details=None), False, Decimal("0.00175"), True),
        (usage(input_tokens_details={"text_tokens": 10}), True, FULL, False),
        (usage(input_tokens_details={"text_tokens": 10, "image_tokens": 41}), True, None, True),
        (usage(output_tokens_details={"text_tokens": 5, "image_tokens": 45}), True, None, True),
        (usage(input_tokens_details={"text_tokens": 10, "image_tokens": 40, "cached_tokens": 5}), True, None, True),
        (usage(input_tokens_details={"text_tokens": 50, "image_tokens": 0, "cached_tokens": 40}), False,
         Decimal("0.0016"), False),
        (usage(input_tokens_details={"text_tokens": 10, "image_tokens": 40, "cached_tokens": 30,
               "cached_tokens_details": {"text_tokens": 10, "image_tokens": 20}}), True, Decimal("0.0017125"), False),
        (usage(input_tokens_details={"text_tokens": 10, "image_tokens": 40, "cached_tokens": 60}), True, None, True),
        (None, False, None, True),
        ({"input_tokens": "50", "output_tokens": True}, False, None, True),
    ],
)  # fmt: skip
def test_a_bill_is_exact_or_not_told(told: Any, inputs: bool, amount: Decimal | None, warned: bool) -> None:
    """Text, pictures and cached tokens apart; never a guess among several, never 0 for what is not known."""
    bill = bill_of(told, RATES, images=1, inputs=inputs)
    assert (None if bill.cost is None else bill.cost.amount) == amount
    assert bool(bill.warnings) is warned


def test_without_a_price_the_tokens_are_kept() -> None:
    """Somebody else may know the price."""
    bill = bill_of(usage(), None, images=1, inputs=True)
    assert bill.cost is None
    assert bill.usage["input_image_tokens"] == 40


def png(size: tuple[int, int] = (8, 8), mode: str = "RGB") -> bytes:
    """Draw a small picture."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (size[1], size[0], len(mode)), np.uint8), mode).save(
        file, "PNG"
    )
    return file.getvalue()


BIG = png((64, 64))


@pytest.mark.parametrize(
    "write",
    [
        lambda text: text,
        lambda text: text.replace("/", "\\/"),
        lambda text: "\\n".join(text[at : at + 76] for at in range(0, len(text), 76)),
        lambda text: f"data:image/png;base64,{text}",
        lambda text: text.rstrip("="),
    ],
    ids=["plain", "escaped", "wrapped", "data url", "unpadded"],
)
@pytest.mark.parametrize("data", [png(), BIG], ids=["short", "long"])
def test_the_bytes_are_those_that_were_sent(data: bytes, write: Callable[[str], str]) -> None:
    """However base64 is written in JSON, the picture's file is untouched."""
    text = write(base64.b64encode(data).decode())
    body = f'{{"created":1,"data":[{{"b64_json" : "{text}","revised_prompt":"\\"b64_json\\":\\"x"}}]}}'.encode()
    row = read_document(body).rows[0]
    assert row.base64 is not None
    assert picture_of(row.base64).data == data
    assert row.revised_prompt == '"b64_json":"x'


@pytest.mark.parametrize("text", ["", "!" * 300, "QUJD" * 100, "PGh0bWw+" * 60, "\u00fc" * 300])
def test_what_is_no_picture_is_refused(text: str) -> None:
    """Broken base64, HTML, anything."""
    row = read_document(json.dumps({"data": [{"b64_json": text}]}, ensure_ascii=False).encode()).rows[0]
    with pytest.raises(GenerationFailed):
        picture_of(row.base64 or "")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data":[{"b64_json":"AAAA', b"<html>", b'"x"', b"[" * 100_000])
def test_what_is_no_answer_is_told_apart(body: bytes) -> None:
    """Cut JSON, a page, a list, a depth that would break the reader."""
    with pytest.raises(NoJson):
        read_document(body)


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_no_bytes_break_the_reader(body: bytes) -> None:
    """Any bytes give a document or NoJson."""
    for sample in (body, b'{"data":[{"b64_json":"' + body + b'"}]}'):
        try:
            read_document(sample)
        except NoJson:
            continue


@given(st.lists(st.integers(1, 40), max_size=30), st.sampled_from([b"\n", b"\r\n", b"\r"]))
@settings(deadline=None)
def test_events_are_the_same_in_whatever_pieces_they_come(cuts: list[int], end: bytes) -> None:
    """Comments and unknown fields are passed over; several data lines are one."""
    text = b": ping\n\nevent: a\ndata: 1\n\nid: 7\ndata: x\ndata: y\n\nevent: lost\n\ndata:z\n\n".replace(b"\n", end)
    reader, found, at = EventReader(), [], 0
    for cut in [*cuts, len(text)]:
        found += [(event.name, event.data) for event in reader.feed(text[at : at + cut])]
        at += cut
    found += [(event.name, event.data) for event in reader.feed(b"\n" if end == b"\r" else b"")]
    assert found == [("a", b"1"), ("message", b"x\ny"), ("message", b"z")]


def test_a_streams_last_event_may_lack_its_empty_line() -> None:
    """What is whole is given, and once; of a stream that ended well there is nothing left."""
    reader = EventReader()
    assert list(reader.feed(b"event: a\ndata: 1\n\nevent: b\ndata: 2")) != []
    last = reader.finish()
    assert last is not None
    assert (last.name, last.data) == ("b", b"2")
    assert reader.finish() is None


def target(model: str = "gpt-image-2", dialect: Any = "gpt-image") -> Target:
    """Write to a catalogued model."""
    return Target(provider="shop", model=model, dialect=dialect, able=capabilities_of(model, dialect))


def test_a_request_is_written_in_todays_parameters() -> None:
    """Everything that was asked, nothing that was not."""
    request = ImageRequest(
        prompt="apple", n=3, aspect_ratio="16:9", quality="high", background="transparent", output_format="webp",
        extra={"openai": {"moderation": "low"}},
    )  # fmt: skip
    assert path_of(request) == "/images/generations"
    assert fields_of(request, target(), partial_images=2, end_user="u1") == {
        "model": "gpt-image-2", "prompt": "apple", "n": 3, "size": "1360x768", "quality": "high",
        "background": "transparent", "output_format": "webp", "output_compression": 95, "moderation": "low",
        "stream": True, "partial_images": 2, "safety_identifier": "u1",
    }  # fmt: skip


def test_a_request_is_written_in_the_older_parameters() -> None:
    """Base64 is asked for, since results at addresses expire."""
    request = ImageRequest(prompt="apple", size="512x512")
    assert fields_of(request, target("dall-e-2", "dall-e"), partial_images=None, end_user="u1") == {
        "model": "dall-e-2", "prompt": "apple", "n": 1, "size": "512x512", "response_format": "b64_json", "user": "u1",
    }  # fmt: skip


def test_pictures_make_an_edit_and_a_lone_one_has_the_field_that_all_servers_know() -> None:
    """One is `image`, several are `image[]`, a text with references is an edit too."""
    one = ImageRequest(prompt="x", task="img2img", image=png())
    assert path_of(one) == "/images/edits"
    assert [field for field, _ in files_of(one, target())] == ["image"]
    two = ImageRequest.build(prompt="x", references=[{"image": png()}, {"image": png()}])
    assert path_of(two) == "/images/edits"
    assert [field for field, _ in files_of(two, target())] == ["image[]", "image[]"]


def test_a_mask_is_transparent_where_it_changes_and_white_for_servers_that_look_at_colours() -> None:
    """White changes; grey is between."""
    mask = Image.new("L", (3, 1))
    mask.putdata([0, 128, 255])
    request = ImageRequest.build(prompt="x", task="inpaint", image=Image.new("RGB", (3, 1)), mask=mask)
    assert request.mask is not None
    with Image.open(io.BytesIO(mask_of(request.mask))) as sent:
        assert sent.mode == "RGBA"
        assert [sent.getpixel((at, 0)) for at in range(3)] == [
            (0, 0, 0, 255), (128, 128, 128, 127), (255, 255, 255, 0),
        ]  # fmt: skip


def test_what_a_camera_wrote_does_not_leave() -> None:
    """A file with a place and an orientation is encoded anew, upright."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "home"
    Image.new("RGB", (20, 10)).save(file, "JPEG", exif=exif)
    request = ImageRequest.build(prompt="x", task="img2img", image=file.getvalue())
    ((_, (name, data, mime)),) = files_of(request, target())
    assert (name, mime, b"home" in data) == ("image-1.png", "image/png", False)
    with Image.open(io.BytesIO(data)) as sent:
        assert sent.size == (10, 20)


@pytest.mark.parametrize(
    ("fields", "to", "field"),
    [
        ({"references": [{"image": png()}] * 16, "task": "img2img", "image": png()}, target(), "references"),
        ({"task": "variation", "image": png(), "prompt": "x"}, target("dall-e-2", "dall-e"), "prompt"),
        ({"task": "variation", "image": png((8, 9)), "prompt": ""}, target("dall-e-2", "dall-e"), "image"),
        ({"extra": {"openai": {"input_fidelity": "low"}}}, target("gpt-image-1.5"), "extra.openai.input_fidelity"),
        ({"prompt": 'x <SD_cpp_extra_args>{"seed": 5}</sd_cpp_extra_args>'}, target(), "prompt"),
    ],
)
def test_what_capabilities_cannot_tell_is_refused_too(fields: dict[str, Any], to: Target, field: str) -> None:
    """Before anything is sent."""
    with pytest.raises(UnsupportedRequest) as raised:
        refuse_misfits(ImageRequest.build(**{"prompt": "x", **fields}), to)
    assert raised.value.field == field


def test_an_edit_without_a_size_keeps_the_pictures_own_where_that_can_be_made() -> None:
    """Else the model chooses."""
    same = ImageRequest.build(prompt="x", task="img2img", image=Image.new("RGB", (1536, 864)))
    assert fields_of(same, target(), partial_images=None, end_user=None)["size"] == "1536x864"
    other = ImageRequest.build(prompt="x", task="img2img", image=Image.new("RGB", (100, 100)))
    assert "size" not in fields_of(other, target(), partial_images=None, end_user=None)
