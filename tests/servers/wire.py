"""HTTP/1.1 on raw asyncio streams, so that a fault can cut, reset or drip a connection at any byte.

`Request` is what arrived, `Response` what is sent; `Cut` and `Pace` say how a response goes wrong. `read_request` and
`send` do the work on one connection. A framework would sit between a test and the socket and repair exactly the
damage that is wanted here.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

MAX_HEAD = 64 * 1024
MAX_BODY = 1 << 30
CHUNK = 256 * 1024

Pieces = Iterable[bytes] | AsyncIterator[bytes]


class BadRequestLine(Exception):
    """The bytes are no HTTP/1.1 request."""


class CutNow(Exception):
    """The response was cut as planned; nothing may be sent on this connection any more."""


@dataclass(slots=True)
class Request:
    """One request: names of headers in lower case, `path` decoded and without its query."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    base_url: str
    connection: int

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """Decode the body as JSON; ValueError if it is none."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a connection ends too early: before or right after the headers, or inside the body.

    In the body it ends after `pieces` whole pieces (events of a stream) or `octets` bytes; with neither given, after
    half of it. `how` is a TCP reset or an orderly close, which the reader sees as an end that came too soon.
    """

    where: Literal["before_headers", "after_headers", "body"]
    how: Literal["reset", "close"] = "reset"
    pieces: int | None = None
    octets: int | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """A slow body: `octets` at a time, `seconds` of rest after each."""

    octets: int = 1
    seconds: float = 0.05


@dataclass(slots=True)
class Response:
    """One answer. `body` is bytes, or pieces that are sent in chunks (or raw, where `content-length` is given).

    `gap` are seconds of rest before each piece but the first: events of a stream that take their time.
    `upgraded` has the connection after a 101, until it returns.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Pieces = field(default=b"", repr=False)
    cut: Cut | None = None
    pace: Pace | None = None
    gap: float = 0.0
    close: bool = False
    upgraded: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] | None = None

    @classmethod
    def of_json(cls, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        """Answer with a JSON document."""
        body = json.dumps(value, ensure_ascii=False).encode()
        return cls(status, {"content-type": "application/json", **(headers or {})}, body)

    @classmethod
    def of_text(cls, text: str, status: int = 200, media_type: str = "text/plain; charset=utf-8") -> Response:
        """Answer with a text."""
        return cls(status, {"content-type": media_type}, text.encode())


async def read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, base_url: str, connection: int
) -> Request | None:
    """Read the next request of a connection; None at its end. Raises BadRequestLine for anything else than HTTP/1.1."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as error:
        raise BadRequestLine("the headers are longer than 64 KiB") from error
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or parts[2] != "HTTP/1.1":
        raise BadRequestLine("the first line is not `METHOD target HTTP/1.1`")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    target = urlsplit(parts[1])
    query = dict(parse_qsl(target.query, keep_blank_values=True))
    body = await _read_body(reader, headers)
    return Request(parts[0], unquote(target.path), query, headers, body, base_url, connection)


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _read_chunks(reader)
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_BODY:
        raise BadRequestLine("content-length is no number up to 1 GiB")
    return await reader.readexactly(int(length)) if length != "0" else b""


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    total = 0
    while True:
        line = await reader.readline()
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError as error:
            raise BadRequestLine("a chunk has no size") from error
        total += size
        if total > MAX_BODY:
            raise BadRequestLine("the body is longer than 1 GiB")
        if size == 0:
            while (await reader.readline()).strip():
                pass
            return b"".join(parts)
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)


async def send(writer: asyncio.StreamWriter, response: Response, *, head_only: bool = False) -> None:
    """Send a response, or as much of it as its cut allows. Raises CutNow after a cut."""
    cut = response.cut
    if cut and cut.where == "before_headers":
        await _end(writer, cut)
    whole = response.body if isinstance(response.body, bytes) else None
    chunked = whole is None and "content-length" not in response.headers
    head = _head(response, whole, chunked=chunked)
    if cut and cut.where == "after_headers":
        writer.write(head)
        await writer.drain()
        await _end(writer, cut)
    if head_only:
        writer.write(head)
    elif whole is not None and cut is None and response.pace is None:
        writer.write(head + whole if len(whole) < CHUNK else head)
        if len(whole) >= CHUNK:
            writer.write(whole)
    else:
        writer.write(head)
        await _send_slowly(writer, response, chunked=chunked)
    await writer.drain()


def _head(response: Response, whole: bytes | None, *, chunked: bool) -> bytes:
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = "Unknown"
    headers = dict(response.headers)
    if whole is not None and response.status not in {101, 204}:
        headers.setdefault("content-length", str(len(whole)))
    if chunked:
        headers["transfer-encoding"] = "chunked"
    if response.close:
        headers["connection"] = "close"
    lines = [f"HTTP/1.1 {response.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _send_slowly(writer: asyncio.StreamWriter, response: Response, *, chunked: bool) -> None:
    cut = response.cut
    left = _octets_before(cut, response.body)
    sent_pieces = 0
    async for piece in _pieces(response.body):
        if cut and cut.pieces == sent_pieces:
            await _end(writer, cut)
        if response.gap and sent_pieces:
            await asyncio.sleep(response.gap)
        part = piece if left is None else piece[:left]
        for bit in _bits(part, response.pace):
            writer.write(b"%x\r\n%b\r\n" % (len(bit), bit) if chunked else bit)
            await writer.drain()
            if response.pace:
                await asyncio.sleep(response.pace.seconds)
        if left is not None:
            left -= len(part)
            if cut and left <= 0:
                await _end(writer, cut)
        sent_pieces += 1
    if cut:  # the body was shorter than the cut: it ends here all the same, without the last chunk
        await _end(writer, cut)
    if chunked:
        writer.write(b"0\r\n\r\n")


def _octets_before(cut: Cut | None, body: bytes | Pieces) -> int | None:
    if cut is None or cut.pieces is not None:
        return None
    if cut.octets is not None:
        return cut.octets
    return max(len(body) // 2, 1) if isinstance(body, bytes) else 1


async def _pieces(body: bytes | Pieces) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        yield body
    elif isinstance(body, AsyncIterator):
        async for piece in body:
            yield piece
    else:
        for piece in body:
            yield piece


def _bits(piece: bytes, pace: Pace | None) -> Iterator[bytes]:
    step = pace.octets if pace else CHUNK
    for start in range(0, len(piece), step):
        yield piece[start : start + step]


async def _end(writer: asyncio.StreamWriter, cut: Cut) -> None:
    if cut.how == "reset":
        await asyncio.sleep(0.02)  # a reset also throws away what the client has not read yet: let it read
        reset(writer)
    else:
        writer.close()
    await asyncio.sleep(0)
    raise CutNow


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a TCP reset: what is unsent is dropped, and the reader gets an error and no end of file."""
    channel = writer.get_extra_info("socket")
    if channel is not None:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
