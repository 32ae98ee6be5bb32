"""Faults that any HTTP server can show: refusals, outages, broken bodies, cut and slow connections.

Each function gives a `Fault` for `server.script.next(...)` or `always(...)`. Where a fault has `work=True` the
server does the request's work first and bills it, then spoils the answer: the case in which a blind retry pays twice.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal

from servers.script import Fault, Usual
from servers.wire import Cut, Pace, Request, Response

HTML_502 = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
HTML_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>"


def answer(
    status: int,
    body: Any = b"",
    *,
    headers: dict[str, str] | None = None,
    media_type: str | None = None,
    work: bool = False,
    name: str | None = None,
) -> Fault:
    """Answer with this status, these headers and this body: bytes, text, or a value that is sent as JSON."""
    raw, kind = _encoded(body)
    sent = {"content-type": media_type or kind, **(headers or {})}

    async def fault(request: Request, usual: Usual) -> Response:
        if work:
            await usual()
        return Response(status, dict(sent), raw)

    return Fault(name or f"answer {status}", fault)


def _encoded(body: Any) -> tuple[bytes, str]:
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    return json.dumps(body, ensure_ascii=False).encode(), "application/json"


def html_502(*, work: bool = False) -> Fault:
    """A gateway's own page, as a proxy in front of a dead server sends it."""
    return answer(502, HTML_502, media_type="text/html", work=work, name="502 HTML")


def unavailable(retry_after: str | None = "1") -> Fault:
    """503 of a server that did nothing, with or without Retry-After."""
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return answer(503, "Service Unavailable", headers=headers, name="503")


def retry_at(seconds: float) -> str:
    """A Retry-After value as an HTTP date, `seconds` from now (whole seconds: the format has no smaller)."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def redirect(location: str, status: int = 302) -> Fault:
    """Send the client elsewhere, for example to a private address."""
    return answer(status, headers={"location": location}, name=f"redirect {status}")


def bad_json(*, work: bool = True) -> Fault:
    """200 with a JSON document that ends in the middle."""
    return answer(200, b'{"created": 1713833628, "data": [{"b64_js', media_type="application/json", work=work)


def html_as(media_type: str = "image/png") -> Fault:
    """200 with a web page that is declared as a picture."""
    return answer(200, HTML_PAGE, media_type=media_type, name="HTML called " + media_type)


def delay(seconds: float, *, work_first: bool = False) -> Fault:
    """Answer rightly, but late; `work_first` bills before the wait, even a client that leaves meanwhile."""

    async def fault(request: Request, usual: Usual) -> Response:
        done = await usual() if work_first else None
        await asyncio.sleep(seconds)
        return done if done is not None else await usual()

    return Fault(f"delay {seconds} s", fault)


def hang(*, work: bool = False) -> Fault:
    """Never answer; the connection stays open until the client goes or the server stops."""

    async def fault(request: Request, usual: Usual) -> Response:
        if work:
            await usual()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    return Fault("hang", fault)


def cut(
    where: Literal["before_headers", "after_headers", "body"],
    *,
    how: Literal["reset", "close"] = "reset",
    pieces: int | None = None,
    octets: int | None = None,
    work: bool = True,
) -> Fault:
    """Cut the connection while the right answer is sent (`work=False`: before anything was done).

    In the body: after `pieces` events of a stream or `octets` bytes, else after half of it.
    """

    async def fault(request: Request, usual: Usual) -> Response:
        sent = await usual() if work else Response(500)
        return dataclasses.replace(sent, cut=Cut(where, how, pieces, octets))

    return Fault(f"cut {where} by {how}", fault)


def drip(octets: int = 1024, seconds: float = 0.05) -> Fault:
    """Send the right answer's body a few bytes at a time."""

    async def fault(request: Request, usual: Usual) -> Response:
        return dataclasses.replace(await usual(), pace=Pace(octets, seconds))

    return Fault("drip", fault)


def close_afterwards() -> Fault:
    """Answer rightly, then close the kept-alive connection without having announced it."""

    async def fault(request: Request, usual: Usual) -> Response:
        sent = await usual()
        return dataclasses.replace(sent, cut=Cut("body", "close", octets=_length(sent)))

    return Fault("close afterwards", fault)


def _length(response: Response) -> int:
    assert isinstance(response.body, bytes), "close_afterwards() needs an answer with a length, not a stream"
    return len(response.body)


def changed(name: str, change: Callable[[Response], Response]) -> Fault:
    """Do the work and bill it, then change the right answer with a function of yours."""

    async def fault(request: Request, usual: Usual) -> Response:
        return change(await usual())

    return Fault(name, fault)


def endless(
    size: int | None = 2 << 30,
    *,
    start: bytes = b'{"created":1713833628,"data":[{"b64_json":"',
    media_type: str = "application/json",
    declared: bool = True,
) -> Fault:
    """200 with `size` bytes (None: without end) that begin well; `declared` says whether content-length tells it.

    Bytes are made as the client takes them: the server's memory stays small.
    """
    assert not (declared and size is None), "a body without end has no length to declare: give declared=False"

    async def pieces() -> AsyncIterator[bytes]:
        block = b"A" * 65536
        sent = len(start)
        yield start
        while size is None or sent < size:
            piece = block if size is None else block[: size - sent]
            sent += len(piece)
            yield piece

    async def fault(request: Request, usual: Usual) -> Response:
        headers = {"content-type": media_type}
        if declared:
            headers["content-length"] = str(size)
        return Response(200, headers, pieces())

    return Fault("endless" if size is None else f"{size} bytes", fault)
