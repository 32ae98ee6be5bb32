"""Blocking engine work beside the event loop: one job at a time, given up on cancellation, progress told in the loop.

It knows nothing of models. One worker belongs to one loaded pipeline.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
from anyio import from_thread, lowlevel, to_thread

from limner_providers.base import OnEvent, Progress
from limner_providers.errors import Cancelled

T = TypeVar("T")


@dataclass
class Job:
    """One piece of work: may it go on, whom does it tell, how long did it wait for its turn?

    Attributes:
        on_event: told in the event loop's thread; None: nobody.
        warnings: what the work wants the caller to know.
        waited: microseconds between asking and starting.
    """

    on_event: OnEvent | None = None
    warnings: list[str] = field(default_factory=list)
    waited: int = 0
    _cancelled: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Ask the work to stop at its next check."""
        self._cancelled.set()

    def check(self) -> None:
        """Stop here where nobody waits for the work any more.

        Raises:
            Cancelled: `cancel` was called.
        """
        if self._cancelled.is_set():
            raise Cancelled("The work was given up.", remedy="Ask again.")

    def tell(self, progress: Progress) -> None:
        """Report progress from the worker's thread; a listener that raises is not asked again, and that is said."""
        self.check()
        if self.on_event is None:
            return
        try:
            from_thread.run_sync(self.on_event, progress)
        except Exception as error:  # noqa: BLE001 - the listener is foreign code, and a broken bar must not cost a picture
            self.on_event = None
            self.warnings.append(f"on_event raised {type(error).__name__} and was not called again")


class Worker:
    """Runs blocking functions one after the other, each in a thread of its own or the one before's."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._limiters: dict[object, anyio.CapacityLimiter] = {}

    async def run(self, work: Callable[[Job], T], job: Job) -> T:
        """Run `work(job)` when it is its turn, and answer what it returns or raises.

        Cancelled while waiting, the work never starts; cancelled later, it stops at its next check, and whoever comes
        next waits until it has.
        """
        asked = time.perf_counter_ns()

        def turn() -> T:
            with self._turn:
                job.waited = (time.perf_counter_ns() - asked) // 1000
                job.check()
                return work(job)

        try:
            return await to_thread.run_sync(turn, limiter=self._limiter(), abandon_on_cancel=True)
        except anyio.get_cancelled_exc_class():
            job.cancel()
            raise

    def _limiter(self) -> anyio.CapacityLimiter:
        """Give this event loop's limiter: one belongs to one loop, a provider may live through several."""
        token = lowlevel.current_token()
        if token not in self._limiters:
            self._limiters = {token: anyio.CapacityLimiter(1)}
        return self._limiters[token]
