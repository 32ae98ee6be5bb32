"""A caller's wish to stop a running request: it takes effect where nothing that is paid for is lost.

While an engine works it is cancelled there; between two calls no further one is made; before and after nothing is hurt.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import anyio

from limner_providers.errors import Cancelled


class Stop:
    """The wish of one request, and what it can stop just now."""

    def __init__(self) -> None:
        """Nobody wishes to stop yet."""
        self.asked = False
        self._scope: anyio.CancelScope | None = None

    def ask(self) -> None:
        """Stop the engine that works now, or the wait before the next call; call it in the event loop's thread."""
        self.asked = True
        if self._scope is not None:
            self._scope.cancel()

    @contextlib.contextmanager
    def while_working(self, provider: str | None = None, *, free: bool = True) -> Iterator[None]:
        """Let the wish cancel what happens in the block.

        Args:
            provider: Who works; None: it is a wait.
            free: Nothing is billed for what is given up.

        Raises:
            Cancelled: It was cancelled, or had been before it began.
        """
        if self.asked:
            raise Cancelled("The request was cancelled by the caller; nothing more was sent.", provider=provider)
        with anyio.CancelScope() as scope:
            self._scope = scope
            try:
                yield
            finally:
                self._scope = None
        if scope.cancelled_caught:
            worked = f" while {provider} worked" if provider else ""
            raise Cancelled(
                f"The request was cancelled by the caller{worked}.",
                remedy="" if free else "What was done until then may have been billed.",
                provider=provider,
                may_have_billed=not free,
            )
