"""The OpenAI protocol server against the facts: with the bare `openai` client and with bare httpx."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from PIL import Image
from servers import faults, openai_faults
from servers.openai_server import OpenAIApp
from servers.pictures import colour_of, encode, open_picture, plain
from servers.script import Fault
from servers.serving import Server

OpenAIServer = Server[OpenAIApp]
PROMPT = "a red apple"


@pytest.fixture
def client(openai_server: OpenAIServer) -> Iterator[openai.OpenAI]:
    """A bare client without retries of its own."""
    with openai.OpenAI(api_key=openai_server.app.key, base_url=openai_server.url + "/v1", max_retries=0) as made:
        yield made


@pytest.fixture
def post(openai_server: OpenAIServer) -> Iterator[Callable[..., httpx.Response]]:
    """Post a generation as plain JSON with the right key."""
    headers = {"authorization": f"Bearer {openai_server.app.key}"}
    with httpx.Client(base_url=openai_server.url, headers=headers, timeout=5) as http:
        yield lambda **fields: http.post(
            "/v1/images/generations", json={"model": "gpt-image-2", "prompt": PROMPT} | fields
        )


def rgba_mask(size: tuple[int, int]) -> bytes:
    """A mask whose left half is to be edited."""
    mask = Image.new("RGBA", size, (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, size[0] // 2, size[1]))
    return encode(mask)


def test_generation_gives_pictures_of_the_size_usage_and_a_request_id(
    openai_server: OpenAIServer, client: openai.OpenAI
) -> None:
    """The bare client gets two pictures of the asked size, usage with both details, and the call is billed once."""
    result = client.images.generate(model="gpt-image-2", prompt=PROMPT, size="512x256", n=2)
    assert result.data is not None
    pictures = [open_picture(base64.b64decode(row.b64_json or "")) for row in result.data]
    assert [picture.size for picture in pictures] == [(512, 256), (512, 256)]
    assert pictures[0].getpixel((500, 200)) != pictures[1].getpixel((500, 200))
    assert result.usage is not None
    assert result.usage.output_tokens_details is not None
    assert result.usage.total_tokens == result.usage.input_tokens + result.usage.output_tokens
    assert (result._request_id or "").startswith("req_")
    call = openai_server.ledger.only("/images/generations")
    assert call.body == {"model": "gpt-image-2", "prompt": PROMPT, "size": "512x256", "n": 2}
    assert (call.status, call.billed_images, call.left) == (200, 2, False)


def test_the_same_prompt_gives_the_same_bytes(client: openai.OpenAI) -> None:
    """Pictures are deterministic, so that a test can compare them."""
    first, second = (client.images.generate(model="gpt-image-2", prompt=PROMPT) for _ in range(2))
    assert first.data == second.data


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"seed": 7}, "seed", "unknown_parameter"),
        ({"negative_prompt": "x"}, "negative_prompt", "unknown_parameter"),
        ({"response_format": "b64_json"}, "response_format", "unknown_parameter"),
        ({"style": "vivid"}, "style", "unknown_parameter"),
        ({"input_fidelity": "high"}, "input_fidelity", "unknown_parameter"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": 11}, "n", "integer_above_max_value"),
        ({"n": "2"}, "n", "invalid_type"),
        ({"size": "1000x1000"}, "size", "invalid_value"),
        ({"size": "1024x256"}, "size", "invalid_value"),
        ({"size": "4096x2048"}, "size", "invalid_value"),
        ({"size": "big"}, "size", "invalid_value"),
        ({"size": "1536x864", "model": "gpt-image-1.5"}, "size", "invalid_value"),
        ({"quality": "hd"}, "quality", "invalid_value"),
        ({"quality": "max"}, "quality", "invalid_value"),
        ({"background": "transparent", "output_format": "jpeg"}, "background", "invalid_value"),
        ({"output_compression": 50}, "output_compression", "invalid_value"),
        ({"output_format": "bmp"}, "output_format", "invalid_value"),
        ({"partial_images": 2}, "partial_images", "invalid_value"),
        ({"partial_images": 4, "stream": True}, "partial_images", "integer_above_max_value"),
        ({"stream": True, "output_format": "gif"}, "stream", "invalid_value"),
        ({"frame_count": 4}, "frame_count", "invalid_value"),
        ({"prompt": ""}, "prompt", "missing_required_parameter"),
        ({"prompt": "x" * 32001}, "prompt", "string_above_max_length"),
        ({"model": None}, "model", "missing_required_parameter"),
    ],
)
def test_wrong_parameters_are_refused_and_named(
    openai_server: OpenAIServer,
    post: Callable[..., httpx.Response],
    fields: dict[str, Any],
    param: str,
    code: str,
) -> None:
    """A wrong parameter is a 400 that names it with its code, and nothing is billed."""
    answer = post(**fields)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (param, code)
    assert openai_server.ledger.billed_images() == 0


@pytest.mark.parametrize("model", ["dall-e-3", "gpt-image-1", "no-such"])
def test_a_retired_or_unknown_model_is_not_found(post: Callable[..., httpx.Response], model: str) -> None:
    """Models that are gone, or never were, are 404 with the code model_not_found."""
    answer = post(model=model)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("quality", ["xhigh", "max"])
def test_the_qualities_of_one_family_are_its_own(post: Callable[..., httpx.Response], quality: str) -> None:
    """`xhigh` and `max` are there on 2.5 and cost more tokens than `high`."""
    high = post(model="gpt-image-2.5-flare", quality="high").json()["usage"]["output_tokens"]
    assert post(model="gpt-image-2.5-flare", quality=quality).json()["usage"]["output_tokens"] > high


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "gif"])
def test_pictures_come_in_the_format_asked_for(post: Callable[..., httpx.Response], kind: str) -> None:
    """The bytes are what `output_format` says."""
    answer = post(output_format=kind, size="128x128").json()
    picture = open_picture(base64.b64decode(answer["data"][0]["b64_json"]))
    assert (picture.format or "").lower() == kind
    assert answer["output_format"] == kind


def test_a_transparent_background_is_transparent(post: Callable[..., httpx.Response]) -> None:
    """The border of a picture with a transparent background has alpha 0."""
    answer = post(background="transparent", size="128x128").json()
    picture = open_picture(base64.b64decode(answer["data"][0]["b64_json"]))
    assert (picture.mode, picture.getpixel((0, 0))) == ("RGBA", (0, 0, 0, 0))


def test_keys_are_checked_and_never_repeated_in_full(openai_server: OpenAIServer) -> None:
    """A missing and a wrong key are 401, the wrong one masked; Azure's header is a key too."""
    address, body = openai_server.url + "/v1/images/generations", {"model": "gpt-image-2", "prompt": PROMPT}
    assert httpx.post(address, json=body).status_code == 401
    wrong = httpx.post(address, json=body, headers={"authorization": "Bearer sk-wrong-0123456789-abc"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "sk-wrong-0123456789-abc" not in wrong.text
    azure = openai_server.url + "/openai/v1/images/generations?api-version=preview"
    assert httpx.post(azure, json=body, headers={"api-key": openai_server.app.key or ""}).status_code == 200


def test_organisation_and_project_are_recorded(openai_server: OpenAIServer) -> None:
    """The headers of organisation and project stand in the ledger."""
    with openai.OpenAI(
        api_key=openai_server.app.key, base_url=openai_server.url + "/v1", organization="org-1", project="proj-1"
    ) as client:
        assert "gpt-image-2" in [model.id for model in client.models.list()]
    headers = openai_server.ledger.only("/models").headers
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "proj-1")


def test_an_edit_changes_only_where_the_mask_is_transparent(openai_server: OpenAIServer, client: openai.OpenAI) -> None:
    """The bare client's multipart edit arrives with its files, and the opaque half of the picture stays."""
    blue = encode(plain((64, 64), (0, 0, 200)))
    result = client.images.edit(
        model="gpt-image-2",
        prompt=PROMPT,
        size="64x64",
        image=("a.png", blue, "image/png"),
        mask=("m.png", rgba_mask((64, 64)), "image/png"),
    )
    assert result.data is not None
    picture = open_picture(base64.b64decode(result.data[0].b64_json or "")).convert("RGB")
    assert picture.getpixel((48, 32)) == (0, 0, 200)
    assert picture.getpixel((16, 32)) == colour_of("gpt-image-2", PROMPT, 0, "final")
    call = openai_server.ledger.only("/images/edits")
    assert [(upload.field, upload.media_type) for upload in call.files] == [
        ("image", "image/png"),
        ("mask", "image/png"),
    ]
    assert call.files[0].data == blue


def test_several_images_arrive_as_an_array(openai_server: OpenAIServer, client: openai.OpenAI) -> None:
    """A list of images is sent as `image[]`, numbers and booleans as texts, and they are understood."""
    png = encode(plain((32, 32), (0, 0, 200)))
    stream = client.images.edit(
        model="gpt-image-2", prompt=PROMPT, stream=True, partial_images=2,
        image=[("a.png", png, "image/png"), ("b.png", png, "image/png")],
    )  # fmt: skip
    assert [event.type for event in stream] == ["image_edit.partial_image"] * 2 + ["image_edit.completed"]
    call = openai_server.ledger.only()
    assert [upload.field for upload in call.files] == ["image[]", "image[]"]
    assert (call.body["partial_images"], call.body["stream"]) == ("2", "true")


@pytest.mark.parametrize(
    ("image", "mask", "param", "code"),
    [
        (("a.png", b"not a picture", "image/png"), None, "image", "invalid_image_file"),
        (("a.bin", encode(plain((32, 32), (1, 2, 3))), "text/plain"), None, "image", "unsupported_file_mimetype"),
        (("a.gif", encode(plain((32, 32), (1, 2, 3)), "gif"), "image/gif"), None, "image", "unsupported_file_mimetype"),
        (("a.png", b"\x89PNG" + bytes(50 << 20), "image/png"), None, "image", "image_too_large"),
        (None, ("m.png", rgba_mask((16, 16)), "image/png"), "mask", "invalid_mask_image_format"),
        (None, ("m.png", encode(plain((32, 32), (0, 0, 0))), "image/png"), "mask", "invalid_mask_image_format"),
        (None, ("m", encode(plain((32, 32), (0, 0, 0)), "jpeg"), "image/jpeg"), "mask", "unsupported_file_mimetype"),
    ],
    ids=["no picture", "no type", "gif", "50 MB", "mask of another size", "mask without alpha", "mask as jpeg"],
)  # fmt: skip
def test_wrong_files_are_refused(client: openai.OpenAI, image: Any, mask: Any, param: str, code: str) -> None:
    """A file of the wrong type, size, shape or without transparency is a 400 that names the field."""
    good = ("a.png", encode(plain((32, 32), (1, 2, 3))), "image/png")
    more = {} if mask is None else {"mask": mask}
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.edit(model="gpt-image-2", prompt=PROMPT, image=image or good, **more)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_a_stream_has_its_partial_pictures_then_the_completed_one(client: openai.OpenAI) -> None:
    """Events come with their names, an index each, and the usage on the last."""
    events = list(client.images.generate(model="gpt-image-2", prompt=PROMPT, stream=True, partial_images=3))
    assert [event.type for event in events] == ["image_generation.partial_image"] * 3 + ["image_generation.completed"]
    last = events[-1]
    assert last.type == "image_generation.completed"
    assert last.usage.total_tokens > 0
    assert len({event.b64_json for event in events}) == 4


def test_the_last_picture_may_come_before_all_partial_ones(openai_server: OpenAIServer, client: openai.OpenAI) -> None:
    """With `final_first` the completed event is followed by partial ones."""
    openai_server.app.final_first = True
    events = client.images.generate(model="gpt-image-2", prompt=PROMPT, stream=True, partial_images=2)
    assert [event.type.rpartition(".")[2] for event in events] == ["partial_image", "completed", "partial_image"]


@pytest.mark.parametrize("openai_server", ["dall-e"], indirect=True)
def test_the_legacy_dialect_gives_addresses_that_need_no_key(
    openai_server: OpenAIServer, client: openai.OpenAI
) -> None:
    """dall-e-3 answers with an address of the server itself, a revised prompt, and no usage."""
    result = client.images.generate(model="dall-e-3", prompt=PROMPT, response_format="url", style="vivid", quality="hd")
    assert result.data is not None
    assert result.usage is None
    row = result.data[0]
    assert row.revised_prompt
    fetched = httpx.get(row.url or "")
    assert (fetched.status_code, open_picture(fetched.content).size) == (200, (1024, 1024))
    assert httpx.get((row.url or "").partition("?")[0]).status_code == 403
    for fields in ({"n": 2}, {"size": "512x512"}, {"background": "opaque"}):
        with pytest.raises(openai.BadRequestError):
            client.images.generate(model="dall-e-3", prompt=PROMPT, **fields)


@pytest.mark.parametrize("openai_server", ["dall-e"], indirect=True)
def test_variations_want_one_square_png(client: openai.OpenAI) -> None:
    """A variation of a square PNG gives n pictures; another shape is refused."""
    square, wide = (("a.png", encode(plain(size, (9, 9, 9))), "image/png") for size in ((64, 64), (64, 32)))
    with pytest.warns(DeprecationWarning, match="deprecated"):
        result = client.images.create_variation(image=square, n=3, size="256x256", response_format="b64_json")
    assert len(result.data or []) == 3
    with pytest.warns(DeprecationWarning, match="deprecated"), pytest.raises(openai.BadRequestError):
        client.images.create_variation(image=wide)


@pytest.mark.parametrize("openai_server", ["lax"], indirect=True)
def test_the_careless_dialect_drops_what_it_does_not_know(
    openai_server: OpenAIServer, post: Callable[..., httpx.Response]
) -> None:
    """It ignores `stream`, unknown parameters and bad sizes, knows any model, and its errors are a text."""
    answer = post(model="sd15", stream=True, seed=3, size="nonsense")
    assert answer.headers["content-type"] == "application/json"
    assert "x-request-id" not in answer.headers
    assert open_picture(base64.b64decode(answer.json()["data"][0]["b64_json"])).size == (512, 512)
    assert post(prompt="").json() == {"error": "prompt is required"}


@pytest.mark.parametrize("style", ["full", "inputs", "bare", "none"])
def test_usage_can_lack_its_details(
    openai_server: OpenAIServer, post: Callable[..., httpx.Response], style: Any
) -> None:
    """Usage comes with both details, with one, with none, or not at all."""
    openai_server.app.usage = style
    usage = post().json().get("usage")
    found = None if usage is None else {key for key in usage if key.endswith("details")}
    details = {
        "full": {"input_tokens_details", "output_tokens_details"},
        "inputs": {"input_tokens_details"},
        "bare": set(),
    }
    assert found == details.get(style)


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        (openai_faults.moderation_blocked("output", ("violence",)), openai.BadRequestError, "moderation_blocked"),
        (openai_faults.policy_violation(), openai.BadRequestError, "content_policy_violation"),
        (openai_faults.rate_limited(), openai.RateLimitError, "rate_limit_exceeded"),
        (openai_faults.limit_zero(), openai.RateLimitError, "rate_limit_exceeded"),
        (openai_faults.quota_exhausted(), openai.RateLimitError, "insufficient_quota"),
        (openai_faults.unverified(), openai.PermissionDeniedError, None),
        (openai_faults.model_not_found("x"), openai.NotFoundError, "model_not_found"),
        (openai_faults.server_error(should_retry=False), openai.InternalServerError, None),
        (openai_faults.relay_451(), openai.APIStatusError, "content_blocked"),
        (openai_faults.plain_text_error(), openai.BadRequestError, None),
        (faults.html_502(), openai.InternalServerError, None),
        (faults.unavailable(), openai.InternalServerError, None),
        (faults.bad_json(), json.JSONDecodeError, None),
        (faults.cut("before_headers", work=False), openai.APIConnectionError, None),
        (faults.cut("after_headers"), openai.APIConnectionError, None),
        (faults.cut("body"), openai.APIConnectionError, None),
        (faults.cut("body", how="close"), openai.APIConnectionError, None),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else "",
)
def test_the_bare_client_sees_each_fault_as_observed(
    openai_server: OpenAIServer, client: openai.OpenAI, fault: Fault, error: type[Exception], code: str | None
) -> None:
    """Each scripted fault becomes the client's error of the observations, for one request, and then all is well."""
    openai_server.script.next(fault)
    with pytest.raises(error) as caught:
        client.images.generate(model="gpt-image-2", prompt=PROMPT)
    assert getattr(caught.value, "code", None) == code
    assert openai_server.ledger.only().fault == fault.name
    assert client.images.generate(model="gpt-image-2", prompt=PROMPT).data


def test_a_moderation_block_tells_stage_and_categories_and_is_billed_at_the_output(
    openai_server: OpenAIServer, post: Callable[..., httpx.Response]
) -> None:
    """The block of 2026 carries its details; one at the output stage was paid, one at the input stage was not."""
    openai_server.script.next(openai_faults.moderation_blocked("input"))
    openai_server.script.next(openai_faults.moderation_blocked("output", ("sexual", "violence")))
    assert post().json()["error"]["moderation_details"]["moderation_stage"] == "input"
    assert openai_server.ledger.billed_images() == 0
    details = post().json()["error"]["moderation_details"]
    assert details == {"moderation_stage": "output", "categories": ["sexual", "violence"]}
    assert openai_server.ledger.billed_images() == 1


def test_a_client_that_retries_pays_twice_after_a_cut(openai_server: OpenAIServer) -> None:
    """The ledger shows the pain: a client with retries asks again after a cut answer and is billed again."""
    openai_server.script.next(faults.cut("body"))
    with openai.OpenAI(api_key=openai_server.app.key, base_url=openai_server.url + "/v1", max_retries=1) as client:
        client.images.generate(model="gpt-image-2", prompt=PROMPT)
    calls = openai_server.ledger.calls("/generations")
    assert [(call.billed_images, call.cut) for call in calls] == [(1, True), (1, False)]


def test_streams_end_wrongly_in_every_observed_way(openai_server: OpenAIServer, client: openai.OpenAI) -> None:
    """Without `completed` the bare client ends silently; an error event, a reset and JSON are told apart."""

    def types() -> list[str]:
        stream = client.images.generate(model="gpt-image-2", prompt=PROMPT, stream=True, partial_images=2)
        return [event.type.rpartition(".")[2] for event in stream]

    openai_server.script.next(openai_faults.stream_without_completed())
    assert types() == ["partial_image", "partial_image"]
    openai_server.script.next(faults.cut("body", pieces=1))
    with pytest.raises(openai.APIConnectionError):
        types()
    openai_server.script.next(openai_faults.stream_error(after=1))
    with pytest.raises(openai.APIError) as caught:
        types()
    assert caught.value.code == "moderation_blocked"
    assert not isinstance(caught.value, openai.APIStatusError)
    openai_server.script.next(openai_faults.json_instead_of_stream())
    assert types() == []
    openai_server.script.next(openai_faults.stream_noise())
    assert types()[-1] == "completed"
    assert openai_server.ledger.billed_images() == 5


@pytest.mark.parametrize("how", ["retry-after", "date", "milliseconds"])
def test_a_waiting_time_comes_in_each_form(
    openai_server: OpenAIServer, post: Callable[..., httpx.Response], how: str
) -> None:
    """429 tells its waiting time in seconds, as an HTTP date or in the vendor's milliseconds."""
    fault = {
        "retry-after": openai_faults.rate_limited(retry_after="1"),
        "date": openai_faults.rate_limited(retry_after=faults.retry_at(60)),
        "milliseconds": openai_faults.rate_limited(retry_after=None, retry_after_ms="250"),
    }[how]
    openai_server.script.next(fault)
    headers = post().headers
    assert headers.get("retry-after-ms" if how == "milliseconds" else "retry-after")
    assert ("GMT" in headers.get("retry-after", "")) == (how == "date")


def test_fewer_pictures_empty_data_and_other_bytes_can_be_delivered(
    openai_server: OpenAIServer, post: Callable[..., httpx.Response]
) -> None:
    """Short and empty answers are billed in full, and a test's own bytes are delivered as they are."""
    openai_server.app.fewer = 1
    assert len(post(n=3).json()["data"]) == 2
    openai_server.app.fewer = 0
    openai_server.script.next(openai_faults.empty_data())
    assert post().json()["data"] == []
    assert openai_server.ledger.billed_images() == 4
    openai_server.app.pictures = [faults.HTML_PAGE]
    assert base64.b64decode(post().json()["data"][0]["b64_json"]) == faults.HTML_PAGE


def test_the_fast_path_answers_with_a_picture_of_the_size_asked_for() -> None:
    """`image_bytes` gives a valid picture of about that size, and the ledger can be told to keep nothing."""
    with Server(OpenAIApp(image_bytes=100_000, keep=0)) as server:
        answer = httpx.post(server.url + "/v1/images/generations", content=b"{}")
        data = base64.b64decode(answer.json()["data"][0]["b64_json"])
        assert abs(len(data) - 100_000) < 2000
        assert Image.open(io.BytesIO(data)).format == "PNG"
        assert (server.ledger.total, server.ledger.calls()) == (1, [])
