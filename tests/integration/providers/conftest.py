"""Servers of a few lines that answer, or misbehave, exactly as a test tells them; each counts who came."""

from __future__ import annotations

import asyncio
import contextlib
import io
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from PIL import Image
from servers.midjourney_server import MidjourneyApp
from servers.serving import Server

from limner_providers.midjourney import MidjourneyProvider

Handler = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
BROKEN = (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError)


@dataclass
class Peer:
    """A server that a test listens to: where it is, who connected, what they sent first, which name they asked for."""

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    tasks: list[asyncio.Task[object]] = field(default_factory=list)

    @property
    def host(self) -> str:
        """Its address with its port."""
        return f"127.0.0.1:{self.port}"


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Make a certificate authority that nobody trusts unless told."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    """Write the authority's certificate where a configuration can name it."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """Trust that authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def converse(peer: Peer, handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection until one side hangs up."""
    while not writer.is_closing():
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await reader.readexactly(int(line.split(b":")[1]))
        peer.requests.append(head)
        await handler(head, writer)
        await writer.drain()


async def hang_up(peer: Peer) -> None:
    """End all conversations, and wait until every socket is closed."""
    for task in peer.tasks:
        task.cancel()
    await asyncio.gather(*peer.tasks, return_exceptions=True)
    for writer in peer.writers:
        writer.close()
    for writer in peer.writers:
        with contextlib.suppress(*BROKEN, TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), 2)


@pytest.fixture
def peer(authority: trustme.CA) -> Callable[..., AbstractAsyncContextManager[Peer]]:
    """Give a factory of servers: `handler(head, writer)` is called for each request, over TLS where names are given."""

    @asynccontextmanager
    async def serve(handler: Handler, *, tls: tuple[str, ...] = ()) -> AsyncIterator[Peer]:
        peer = Peer()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer.connections += 1
            peer.writers.append(writer)
            if (task := asyncio.current_task()) is not None:
                peer.tasks.append(task)
            with contextlib.suppress(*BROKEN, asyncio.CancelledError):
                await converse(peer, handler, reader, writer)
            writer.close()

        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert(*tls).configure_cert(context)
        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
        peer.port = server.sockets[0].getsockname()[1]
        try:
            yield peer
        finally:
            server.close()
            await hang_up(peer)
            await server.wait_closed()

    return serve


@pytest.fixture
def reply() -> Callable[..., bytes]:
    """Give a function that writes a whole answer."""

    def make(status: int = 200, body: bytes = b"{}", **headers: str) -> bytes:
        lines = [f"HTTP/1.1 {status} Words", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    return make


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """Give a function that makes a small picture of any format."""

    def make(format: str = "PNG", size: tuple[int, int] = (32, 16), **options: object) -> bytes:  # noqa: A002
        file = io.BytesIO()
        Image.effect_noise(size, 60).convert("RGB").save(file, format, **options)
        return file.getvalue()

    return make


@pytest.fixture
async def make_midjourney(midjourney_server: Server[MidjourneyApp]) -> AsyncIterator[Callable[..., MidjourneyProvider]]:
    """Give a factory of Midjourney providers for the running server; they are closed afterwards."""
    made: list[MidjourneyProvider] = []

    def factory(**changes: Any) -> MidjourneyProvider:
        app = midjourney_server.app
        fields: dict[str, Any] = {
            "base_url": midjourney_server.url,
            "secret": app.secret,
            "dialect": app.dialect,
            "poll": (0.01, 0.03),
            "timeout": 20.0,
            "version": 7,
        }
        made.append(MidjourneyProvider("mj", **{**fields, **changes}))
        return made[-1]

    yield factory
    for one in made:
        await one.close()


@pytest.fixture
def provider(make_midjourney: Callable[..., MidjourneyProvider]) -> MidjourneyProvider:
    """Give the usual Midjourney provider."""
    return make_midjourney()
