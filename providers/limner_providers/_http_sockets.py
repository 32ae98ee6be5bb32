"""Sockets for the HTTP library that are closed whenever a connection does not come about, a cancelled one included.

httpcore forgets the socket of a TLS handshake that is cancelled; a deadline cancels, so that it would leak under load.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anyio
import httpcore


class ClosingBackend(httpcore.AsyncNetworkBackend):
    """anyio's sockets; a failed or cancelled TLS handshake closes its socket at once."""

    def __init__(self) -> None:
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect, as httpcore wants it."""
        stream = await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        handshake = stream.start_tls

        async def start_tls(*args: Any, **settings: Any) -> httpcore.AsyncNetworkStream:
            try:
                return await handshake(*args, **settings)
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await stream.aclose()
                raise

        # On the object itself: a wrapper around it would cost a call for every read and write.
        stream.start_tls = start_tls  # type: ignore[method-assign]
        return stream

    async def sleep(self, seconds: float) -> None:
        """Wait between two attempts to connect."""
        await anyio.sleep(seconds)
