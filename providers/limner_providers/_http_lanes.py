"""One event loop's connections: a stack of clients that hold one connection each.

httpcore's own pool looks at every connection, with a system call each, whenever a request begins or ends: with 64 at a
time that costs more than the calls themselves. Here a call takes the lane that was used last, which costs nothing.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import httpx

MOST = 128  # calls at a time; more wait for their turn, in order


class Lanes:
    """Lends clients; each is one connection at a time.

    Args:
        make: gives a new client with one connection.
        keep: seconds after which an idle lane is closed.
    """

    def __init__(self, make: Callable[[], httpx.AsyncClient], keep: float) -> None:
        self._make, self._keep = make, keep
        self._turn = anyio.Semaphore(MOST, fast_acquire=True)
        self._all: set[httpx.AsyncClient] = set()
        self._idle: list[tuple[float, httpx.AsyncClient]] = []  # used last stands last

    @asynccontextmanager
    async def take(self) -> AsyncIterator[httpx.AsyncClient]:
        """Lend a lane for one call."""
        async with self._turn:
            if self._idle:
                client = self._idle.pop()[1]
            else:
                client = self._make()
                self._all.add(client)
            try:
                yield client
            finally:
                if client in self._all:  # else it was closed meanwhile
                    self._idle.append((time.monotonic(), client))
        await self._close_old()

    async def close(self) -> None:
        """Close every lane, the busy ones too; a call under way ends as one whose connection broke."""
        lanes, self._all, self._idle = self._all, set(), []
        for client in lanes:
            await client.aclose()

    async def _close_old(self) -> None:
        """Let one lane go that nobody has needed for a while: the oldest stands first."""
        if self._idle and time.monotonic() - self._idle[0][0] > self._keep:
            client = self._idle.pop(0)[1]
            self._all.discard(client)
            await client.aclose()
