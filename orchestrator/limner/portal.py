"""The bridge from blocking code to the async core: one event loop in one thread, opened lazily.

A thread does not survive a fork, so a client used in a forked child would hang: it raises `ForkedProcess` instead.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from limner.errors import ForkedProcess

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from anyio.from_thread import BlockingPortal

P = ParamSpec("P")
T = TypeVar("T")


class Portal:
    """Calls async functions from any thread of the process that made it."""

    def __init__(self) -> None:
        """Remember the process; the loop starts at the first call."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._context: AbstractContextManager[BlockingPortal] | None = None
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
            if self._context is not None and self._pid == os.getpid():
                self._context.__exit__(None, None, None)
            self._context = self._portal = None

    def _opened(self) -> BlockingPortal:
        if self._pid != os.getpid():
            raise ForkedProcess(
                f"This Limner was opened in process {self._pid}, and this is its fork {os.getpid()}.",
                remedy="Open a Limner of its own in each process, after the fork.",
            )
        with self._lock:
            if self._portal is None:
                from anyio.from_thread import start_blocking_portal

                self._context = start_blocking_portal()
                self._portal = self._context.__enter__()
            return self._portal
