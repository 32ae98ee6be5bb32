"""A request that was submitted and not waited for: its record's id is known from the first moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limner.portal import Portal
    from limner.requests import Running
    from limner.result import ImageResult


class AsyncJob:
    """A request under way.

    Attributes:
        record_id: Its record in the audit log, by which `get` and `cancel` name it.
    """

    def __init__(self, running: Running) -> None:
        """Hold on to what runs; `AsyncLimner.submit` is the usual way."""
        self._running = running
        self.record_id = running.record.id

    @property
    def done(self) -> bool:
        """Whether it has ended, however."""
        return self._running.task.done()

    def __repr__(self) -> str:
        return f"<AsyncJob {self.record_id}, {'ended' if self.done else 'under way'}>"

    async def wait(self) -> ImageResult:
        """Wait for its end, and give its result or raise what it ended with."""
        return await self._running.wait()

    async def cancel(self) -> bool:
        """Stop it where nothing that is paid for is lost by that; False where it is too late."""
        return await self._running.cancel()


class Job:
    """A request under way, without `await`.

    Attributes:
        record_id: Its record in the audit log, by which `get` and `cancel` name it.
    """

    def __init__(self, core: AsyncJob, portal: Portal) -> None:
        """Hold on to what runs; `Limner.submit` is the usual way."""
        self._core = core
        self._portal = portal
        self.record_id = core.record_id

    @property
    def done(self) -> bool:
        """Whether it has ended, however."""
        return self._core.done

    def __repr__(self) -> str:
        return f"<Job {self.record_id}, {'ended' if self.done else 'under way'}>"

    def wait(self) -> ImageResult:
        """Wait for its end, and give its result or raise what it ended with."""
        return self._portal.call(self._core.wait)

    def cancel(self) -> bool:
        """Stop it where nothing that is paid for is lost by that; False where it is too late."""
        return self._portal.call(self._core.cancel)
