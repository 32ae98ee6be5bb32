"""Faults of the OpenAI Images server, word for word where the wire facts quote them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from servers.faults import answer, changed
from servers.openai_work import event
from servers.script import Fault, Usual
from servers.wire import Request, Response


def error(
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    kind: str | None = "invalid_request_error",
    headers: dict[str, str] | None = None,
    work: bool = False,
    **more: Any,
) -> Fault:
    """An error object with this status; `more` joins its fields."""
    body = {"error": {"message": message, "type": kind, "param": param, "code": code, **more}}
    return answer(status, body, headers=headers, work=work, name=f"{status} {code or kind}")


def rate_limited(*, retry_after: str | None = "1", retry_after_ms: str | None = None) -> Fault:
    """429 per minute; Retry-After as seconds or an HTTP date (`faults.retry_at`), or the vendor's milliseconds."""
    headers = {}
    if retry_after is not None:
        headers["retry-after"] = retry_after
    if retry_after_ms is not None:
        headers["retry-after-ms"] = retry_after_ms
    text = (
        "Rate limit exceeded for images per minute in organization org-test. Limit: 5/1min. Current: "
        "6/1min. Please visit https://platform.openai.com/docs/guides/rate-limits to learn more."
    )
    return error(429, text, code="rate_limit_exceeded", kind="requests", headers=headers)


def limit_zero() -> Fault:
    """429 that is no waiting matter: the organisation has no access to images at all."""
    text = (
        "Rate limit exceeded for images per minute in organization org-test. Limit: 0/1min. Current: "
        "1/1min. Please visit https://platform.openai.com/docs/guides/rate-limits to learn more."
    )
    return error(429, text, code="rate_limit_exceeded", kind="requests", headers={"retry-after": "12"})


def quota_exhausted() -> Fault:
    """429 of an account without money."""
    text = "You exceeded your current quota, please check your plan and billing details."
    return error(429, text, code="insufficient_quota", kind="insufficient_quota")


def server_error(*, should_retry: bool | None = None, status: int = 500) -> Fault:
    """A JSON 5xx; `should_retry` sets the vendor's `x-should-retry` header."""
    headers = {} if should_retry is None else {"x-should-retry": str(should_retry).lower()}
    text = "The server had an error while processing your request. Sorry about that!"
    return error(status, text, kind="server_error", headers=headers)


def _blocked(stage: str, categories: tuple[str, ...]) -> dict[str, Any]:
    reference = uuid.uuid4().hex
    return {
        "message": (
            "Your request was rejected by the safety system. If you believe this is an error, contact us at "
            f"help.openai.com and include the request ID {reference}. "
            f"safety_violations=[{', '.join(categories)}]."
        ),
        "type": "image_generation_user_error",
        "param": None,
        "code": "moderation_blocked",
        "moderation_details": {"moderation_stage": stage, "categories": list(categories)},
    }


def moderation_blocked(
    stage: Literal["input", "output"] = "input", categories: tuple[str, ...] = ("sexual",), *, status: int = 400
) -> Fault:
    """The safety block of 2026; one at the output stage has done the work (and is billed), one at the input has not."""
    body = {"error": _blocked(stage, categories)}
    return answer(status, body, work=stage == "output", name=f"moderation_blocked {stage}")


def policy_violation() -> Fault:
    """The legacy safety block."""
    text = (
        "Your request was rejected as a result of our safety system. Your prompt may contain text that "
        "is not allowed by our safety system."
    )
    return error(400, text, code="content_policy_violation")


def relay_451() -> Fault:
    """A relay's way to say that moderation refused."""
    return error(451, "The request was blocked by content moderation.", code="content_blocked", kind="upstream_error")


def unverified(model: str = "gpt-image-2") -> Fault:
    """403 of an organisation that was not verified."""
    text = (
        f"Your organization must be verified to use the model `{model}`. Please go to: "
        "https://platform.openai.com/settings/organization/general and click on Verify Organization."
    )
    return error(403, text)


def model_not_found(model: str) -> Fault:
    """404 of a model that is not there for this account."""
    text = f"The model '{model}' does not exist or you do not have access to it."
    return error(404, text, code="model_not_found", param="model")


def plain_text_error(status: int = 400, *, wrapped: bool = True) -> Fault:
    """A compatible server's error: a text where an object should be, or (`wrapped=False`) no JSON at all."""
    text = "invalid request: something is wrong"
    return answer(status, {"error": text} if wrapped else text, name=f"{status} text")


def echo_key(status: int = 401) -> Fault:
    """An error that repeats the client's key in full, in its message and in a header."""

    async def fault(request: Request, usual: Usual) -> Response:
        key = request.headers.get("authorization", "")
        body = {
            "error": {"message": f"Bad credentials: {key}", "type": "auth", "param": key, "code": "invalid_api_key"}
        }
        return Response.of_json(body, status, {"x-debug": key})

    return Fault("echo key", fault)


def empty_data() -> Fault:
    """200 with `data: []`, paid all the same."""
    return _document("data: []", lambda value: value | {"data": []})


def without_usage() -> Fault:
    """200 without `usage`."""
    return _document("no usage", lambda value: {key: item for key, item in value.items() if key != "usage"})


def rows(*replaced: dict[str, Any]) -> Fault:
    """200 with these rows as `data`: an address elsewhere, broken base64, a null."""
    return _document("other data", lambda value: value | {"data": list(replaced)})


def _document(name: str, change: Any) -> Fault:
    def edit(response: Response) -> Response:
        if response.status != 200 or not isinstance(response.body, bytes):
            return response
        response.body = json.dumps(change(json.loads(response.body))).encode()
        return response

    return changed(name, edit)


def stream_without_completed() -> Fault:
    """A stream that ends in order after its partial pictures: no `completed`, no error; the picture was paid."""
    return _stream("no completed", lambda pieces: (piece for piece in pieces if b".completed\n" not in piece))


def stream_error(
    stage: Literal["input", "output"] = "output", categories: tuple[str, ...] = ("sexual",), *, after: int = 1
) -> Fault:
    """A stream whose event number `after` (from 0) is an `error` event of the safety system, and the last."""
    body = {"error": _blocked(stage, categories)}

    def change(pieces: Iterator[bytes]) -> Iterator[bytes]:
        for _, piece in zip(range(after), pieces, strict=False):
            if b".completed\n" not in piece:
                yield piece
        yield event("error", body)

    return _stream("error event", change)


def stream_broken_json() -> Fault:
    """A stream with an event whose data is no JSON."""
    return _stream("bad event", lambda pieces: iter([b'event: image_generation.partial_image\ndata: {"b64_js\n\n']))


def stream_noise() -> Fault:
    """A right stream with what the format allows in between: comments, an unknown event, CRLF line ends, split data."""

    def change(pieces: Iterator[bytes]) -> Iterator[bytes]:
        yield b": keep-alive\n\n"
        yield event("image_generation.something_new", {"note": 1})
        for piece in pieces:
            yield piece.replace(b"\n", b"\r\n")

    return _stream("noise", change)


def _stream(name: str, change: Any) -> Fault:
    def edit(response: Response) -> Response:
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            response.body = change(_events(response))
        return response

    return changed(name, edit)


def _events(response: Response) -> Iterator[bytes]:
    assert isinstance(response.body, Iterable)
    assert not isinstance(response.body, bytes), "the answer is no stream"
    return iter(response.body)


def json_instead_of_stream() -> Fault:
    """A server that ignores `stream`: the picture is made and comes as plain JSON."""

    def edit(response: Response) -> Response:
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            return response
        *_, last = _events(response)
        value = json.loads(last.partition(b"data: ")[2])
        body = {"created": value["created_at"], "data": [{"b64_json": value["b64_json"]}], "usage": value.get("usage")}
        return Response.of_json(body)

    return changed("JSON instead of a stream", edit)
