"""The server's side of a websocket on a raw connection: frames as RFC 6455 has them, and silence where it is wanted."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from servers.wire import Request, Response

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Socket:
    """One client's websocket; sending to a client that has gone does nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.stalled = False

    def send_json(self, value: Any) -> None:
        """Send a text frame."""
        self._frame(TEXT, json.dumps(value).encode())

    def send_bytes(self, data: bytes) -> None:
        """Send a binary frame."""
        self._frame(BINARY, data)

    def drop(self) -> None:
        """Cut the connection without a close frame."""
        self._writer.transport.abort()

    def _frame(self, kind: int, data: bytes) -> None:
        if self.stalled or self._writer.transport.is_closing():
            return
        size = len(data)
        head = struct.pack(">BB", 0x80 | kind, size if size < 126 else 126 if size < 1 << 16 else 127)
        if size >= 126:
            head += struct.pack(">H" if size < 1 << 16 else ">Q", size)
        self._writer.write(head + data)

    async def listen(self) -> None:
        """Answer pings until the client closes or goes; what it says besides is not heard."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, data = await self._read()
                if kind == PING:
                    self._frame(PONG, data)
                elif kind == CLOSE:
                    self._frame(CLOSE, data[:2])
                    await self._writer.drain()
                    return

    async def _read(self) -> tuple[int, bytes]:
        first, second = await self._reader.readexactly(2)
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8), "big")
        mask = await self._reader.readexactly(4) if second & 0x80 else b"\0\0\0\0"
        data = await self._reader.readexactly(size)
        return first & 0x0F, bytes(octet ^ mask[place % 4] for place, octet in enumerate(data))


def upgrade(request: Request, use: Callable[[Socket], Awaitable[None]]) -> Response:
    """Answer a websocket's handshake; `use` has the socket until it returns."""
    key = request.headers.get("sec-websocket-key")
    if request.headers.get("upgrade", "").lower() != "websocket" or key is None:
        return Response.of_text('No WebSocket UPGRADE hdr: None\n Can "Upgrade" only to "WebSocket".', 400)
    accept = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()
    headers = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": accept}

    async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await use(Socket(reader, writer))

    return Response(101, headers, upgraded=taken)
