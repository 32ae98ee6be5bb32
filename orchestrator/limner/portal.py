"""The bridge from blocking code to the async core: one event loop in one thread, opened lazily.

The thread is a daemon: a program that forgets to close its client still ends. A thread does not survive a fork, so a
client used in a forked child would hang: it raises `ForkedProcess` instead.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from limner.errors import ForkedProcess

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

P = ParamSpec("P")
T = TypeVar("T")


class Portal:
    """Calls async functions from any thread of the process that made it."""

    def __init__(self) -> None:
        """Remember the process; the loop starts at the first call."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._portal: BlockingPortal | None = None

    def call(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in the loop and wait for what it returns or raises.

        Raises:
            ForkedProcess: This process is a fork of the one that made the portal.
        """

        async def run() -> T:
            return await function(*args, **kwargs)

        return self._opened().call(run)

    def close(self) -> None:
        """Stop the loop and its thread."""
        with self._lock:
            if self._portal is not None and self._thread is not None and self._pid == os.getpid():
                self._portal.call(self._portal.stop)
                self._thread.join()
            self._portal = self._thread = None

    def _opened(self) -> BlockingPortal:
        if self._pid != os.getpid():
            raise ForkedProcess(
                f"This Limner was opened in process {self._pid}, and this is its fork {os.getpid()}.",
                remedy="Open a Limner of its own in each process, after the fork.",
            )
        with self._lock:
            if self._portal is None:
                started: Future[BlockingPortal] = Future()
                self._thread = threading.Thread(target=_serve, args=(started,), name="limner-portal", daemon=True)
                self._thread.start()
                self._portal = started.result()
            return self._portal


def _serve(started: Future[BlockingPortal]) -> None:
    """Run an event loop with a portal into it until the portal is stopped."""
    import anyio
    from anyio.from_thread import BlockingPortal

    async def serve() -> None:
        async with BlockingPortal() as portal:
            started.set_result(portal)
            await portal.sleep_until_stopped()

    try:
        anyio.run(serve)
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)
