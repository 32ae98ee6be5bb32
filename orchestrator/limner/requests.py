"""The requests of this process: begun, resumed, and taken to their end even if nobody waits any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import uuid_utils

from limner.errors import ClientClosed
from limner.pipeline import run
from limner.records import Record

if TYPE_CHECKING:
    from limner.result import ImageResult
    from limner.runtime import Runtime
    from limner.steps.asking import Asked
    from limner_providers.base import Progress


class RunningRequests:
    """The tasks of one client; from the attempt on a cancelled caller does not take them along."""

    def __init__(self, runtime: Runtime) -> None:
        """Take the runtime that they share."""
        self._runtime = runtime
        self._tasks: set[asyncio.Task[ImageResult]] = set()
        self._closed = False

    async def begin(self, asked: Asked, on_progress: Callable[[Progress], object] | None) -> ImageResult:
        """Open a record (UUIDv7) for what was asked, and take it to its end."""
        self._refuse_closed()
        await asyncio.to_thread(self._runtime.announce)
        record = Record(self._runtime.log, str(uuid_utils.uuid7()), subject=asked.context.user)
        record.memory |= {"asked": asked, "on_progress": on_progress}
        return await self._run(record)

    async def resume(self, record_id: str) -> ImageResult:
        """Take a record of the log to its end, or give its result again."""
        self._refuse_closed()
        return await self._run(await asyncio.to_thread(Record.load, self._runtime.log, record_id))

    async def close(self) -> None:
        """Wait for what is under way, then close what the requests shared."""
        self._closed = True
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._runtime.close()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ClientClosed("This Limner was closed.", remedy="Open another with Limner.open().")

    async def _run(self, record: Record) -> ImageResult:
        task = asyncio.create_task(run(record, self._runtime))
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # Before the attempt nothing is spent, and the work may stop; after it a paid picture is sealed and kept.
            if record.find("attempted") is None:
                task.cancel()
            raise

    def _forget(self, task: asyncio.Task[ImageResult]) -> None:
        """Let go of a finished task; the error of one that nobody waits for stands in its record."""
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()
