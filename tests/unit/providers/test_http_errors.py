"""What a status or a broken connection means, and what may be shown of a server's words."""

from __future__ import annotations

import socket
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_providers import _http_errors as words
from limner_providers.errors import (
    AccessDenied,
    EngineUnavailable,
    GenerationFailed,
    OutcomeUnknown,
    ProviderError,
    QuotaExhausted,
    RateLimited,
)

JSON = b'{"error": {"code": "server_error", "message": "a red apple sk-secret1234", "param": null, "type": "x_y"}}'
PAGE = b"<html><center>nginx</center></html>"
DATE = "Mon, 01 Jan 2035 00:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "86400"}, 86400.0),
        ({"retry-after": "86401"}, 86400.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "1_0"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "9" * 5000}, None),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Mon, 01 Jan 2035 00:01:00 GMT", "date": DATE}, 60.0),
        ({"retry-after": "Mon, 01 Jan 2035 00:01:00 -0000", "date": DATE}, 60.0),
        ({"retry-after": "Sun, 31 Dec 2034 00:00:00 GMT", "date": DATE}, None),
        ({"retry-after": "Wed, 03 Jan 2035 00:00:00 GMT", "date": DATE}, 86400.0),
        ({"retry-after": "Mon, 01 Jan 2001 00:00:00 GMT"}, None),
    ],
)
def test_retry_after_is_read_or_is_nothing(headers: dict[str, str], seconds: float | None) -> None:
    """Milliseconds come before seconds before a date by the server's clock; what makes no sense is nothing."""
    assert words.retry_after(headers) == seconds


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text(max_size=40)))
def test_retry_after_never_fails(headers: dict[str, str]) -> None:
    """Whatever the headers hold, the answer is a sensible number or nothing."""
    found = words.retry_after(headers)
    assert found is None or 0 <= found <= 86_400


def error_of(status: int, body: bytes = JSON, *, idempotent: bool = False, **headers: str) -> ProviderError:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return words.status_error(
        status, told, body, provider="fake", idempotent=idempotent, secrets=["sk-secret1234", "x_y"]
    )


@pytest.mark.parametrize(
    ("status", "body", "costly", "free", "again"),
    [
        (301, b"", EngineUnavailable, EngineUnavailable, False),
        (400, JSON, GenerationFailed, GenerationFailed, False),
        (401, JSON, AccessDenied, AccessDenied, False),
        (402, JSON, QuotaExhausted, QuotaExhausted, False),
        (403, PAGE, AccessDenied, AccessDenied, False),
        (404, PAGE, EngineUnavailable, EngineUnavailable, False),
        (408, JSON, OutcomeUnknown, EngineUnavailable, False),
        (409, JSON, GenerationFailed, GenerationFailed, False),
        (413, PAGE, GenerationFailed, GenerationFailed, False),
        (418, PAGE, GenerationFailed, GenerationFailed, False),
        (422, JSON, GenerationFailed, GenerationFailed, False),
        (425, PAGE, EngineUnavailable, EngineUnavailable, True),
        (429, JSON, RateLimited, RateLimited, True),
        (500, JSON, GenerationFailed, EngineUnavailable, False),
        (500, PAGE, OutcomeUnknown, EngineUnavailable, False),
        (501, JSON, EngineUnavailable, EngineUnavailable, False),
        (502, JSON, OutcomeUnknown, EngineUnavailable, False),
        (503, JSON, RateLimited, RateLimited, True),
        (503, PAGE, OutcomeUnknown, RateLimited, False),
        (504, PAGE, OutcomeUnknown, EngineUnavailable, False),
        (524, JSON, OutcomeUnknown, EngineUnavailable, False),
        (529, JSON, RateLimited, RateLimited, True),
        (529, PAGE, OutcomeUnknown, RateLimited, False),
    ],
)
def test_a_status_means_one_thing(
    status: int, body: bytes, costly: type[ProviderError], free: type[ProviderError], again: bool
) -> None:
    """Each status has one meaning for a call that may cost, and one for a call that may be repeated."""
    error = error_of(status, body)
    assert type(error) is costly
    assert error.retry_safe is again
    assert error.may_have_billed is (costly is OutcomeUnknown)
    assert error.remedy
    assert type(error_of(status, body, idempotent=True)) is free


def test_an_error_shows_code_words_and_nothing_else() -> None:
    """A message holds status, type, length and the code; not the server's sentence, no secret, no prompt."""
    error = error_of(500, JSON, content_type="application/json; charset=utf-8", x_request_id="req_1")
    assert "500" in str(error)
    assert "application/json" in str(error)
    assert "code server_error" in str(error)
    assert "apple" not in str(error)
    assert "sk-secret" not in str(error)
    assert "x_y" not in str(error)
    assert error.request_id == "req_1"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"code": 22, "type": "busy"}', {"code": "22", "type": "busy"}),
        (b'{"error": {"code": "a red apple"}}', {}),
        (b'{"error": {"code": "sk-abcdefghijkl"}}', {}),
        (b'{"error": {"code": ["x"], "param": "image[0].url"}}', {"param": "image[0].url"}),
        (b'{"error": "no prompt"}', {}),
        (b"[]", {}),
        (b"null", {}),
        (b"\xff", {}),
        (b"[" * 100_000, {}),
    ],
)
def test_code_words_are_plain_words(body: bytes, found: dict[str, str]) -> None:
    """Only short plain words pass as an error's code, type or parameter."""
    assert words.error_words(body) == found


@given(st.binary(max_size=200), st.integers(300, 599), st.booleans())
def test_any_body_of_an_error_can_be_read(body: bytes, status: int, idempotent: bool) -> None:
    """Whatever a server sends with a status, it becomes an error."""
    assert str(error_of(status, body, idempotent=idempotent)).startswith("fake: it answered")


@pytest.mark.parametrize(
    "text",
    [
        "see https://cdn.example/a.png?sig=TOPSECRET&x=1 there",
        "see https://user:TOPSECRET@cdn.example/a",
        "Authorization: Bearer TOPSECRET",
        "{'authorization': 'Bearer TOPSECRET'}",
        "mj-api-secret: TOPSECRET",
        "(b'Location', b'/a?token=TOPSECRET')",
        "Incorrect API key provided: sk-TOPSECRET123.",
        "TOPSECRET",
    ],
)
def test_secrets_are_taken_out(text: str) -> None:
    """Keys, credentials and signed queries are replaced wherever they stand."""
    assert "TOPSECRET" not in words.redact(text, ["TOPSECRET"] if text == "TOPSECRET" else [])


def test_what_is_no_secret_stays() -> None:
    """Ordinary words are left as they are."""
    text = "Is it 1024x1024? See https://docs.example/sizes for more."
    assert words.redact(text, ["", "sk-other"]) == text


def chained(*causes: BaseException) -> BaseException:
    error: BaseException = RuntimeError("outer")
    first = error
    for cause in causes:
        error.__context__ = cause
        error = cause
    return first


@pytest.mark.parametrize(
    ("error", "shown", "again"),
    [
        (chained(OSError(), ConnectionRefusedError()), "refused", True),
        (chained(ExceptionGroup("all", [ConnectionRefusedError()])), "refused", True),
        (chained(socket.gaierror(socket.EAI_NONAME, "x")), "no known address", False),
        (chained(socket.gaierror(socket.EAI_AGAIN, "x")), "no known address", True),
        (chained(ssl.SSLError(1, "TOPSECRET")), "no secure connection", False),
        (chained(OSError(101, "TOPSECRET")), "no connection", True),
    ],
)
def test_a_connection_that_failed_says_why(error: BaseException, shown: str, again: bool) -> None:
    """The cause is told in our words, and nothing was sent."""
    found = words.unreachable(error, provider="fake", where="host:1")
    assert type(found) is EngineUnavailable
    assert shown in str(found)
    assert "TOPSECRET" not in str(found)
    assert found.retry_safe is again


def test_a_gateways_503_may_be_repeated_only_where_it_says_when() -> None:
    """Envoy and Heroku say 503 of answers that they lost on the way: the work may be done, and paid for."""
    lost = error_of(503, b"upstream connect error or disconnect/reset before headers")
    assert (type(lost), lost.retry_safe, lost.fallback_safe) == (OutcomeUnknown, False, False)
    busy = error_of(503, PAGE, retry_after="3")
    assert isinstance(busy, RateLimited)
    assert (busy.retry_after, busy.retry_safe) == (3.0, True)
