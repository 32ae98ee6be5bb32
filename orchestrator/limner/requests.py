"""The requests of this process: begun, resumed, stopped, and taken to their end even if nobody waits any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uuid_utils

from limner.errors import Cancelled, ClientClosed
from limner.pipeline import run
from limner.records import Record
from limner.stopping import Stop

if TYPE_CHECKING:
    from limner.result import ImageResult
    from limner.runtime import Runtime
    from limner.steps.asking import Asked
    from limner_providers.base import Progress


@dataclass(eq=False)
class Running:
    """A request under way: its record, its task, and the wish to stop it."""

    record: Record
    task: asyncio.Task[ImageResult]
    stop: Stop

    async def wait(self) -> ImageResult:
        """Give its result; a caller who gives up takes it along only while nothing was sent.

        Raises:
            Cancelled: It was stopped before anything was sent.
            Exception: Whatever the request ended with.
        """
        try:
            return await asyncio.shield(self.task)
        except asyncio.CancelledError:
            if self.task.cancelled() and self.stop.asked:
                stopped = Cancelled("The request was cancelled by the caller before anything was sent.")
                stopped.record_id = self.record.id
                raise stopped from None
            # Before the attempt nothing is spent, and the work may stop; after it a paid picture is sealed and kept.
            if self.record.find("attempted") is None:
                self.task.cancel()
            raise

    async def cancel(self) -> bool:
        """Stop it where nothing paid is lost by that, wait until it has ended, and say whether it was stopped."""
        self.stop.ask()
        if self.record.find("attempted") is None:
            self.task.cancel()
        await asyncio.wait([self.task])
        return self.record.standing == "cancelled"


class RunningRequests:
    """The requests of one client; from the attempt on a cancelled caller does not take them along."""

    def __init__(self, runtime: Runtime) -> None:
        """Take the runtime that they share."""
        self._runtime = runtime
        self._running: set[Running] = set()
        self._closed = False

    async def begin(self, asked: Asked, on_progress: Callable[[Progress], object] | None) -> Running:
        """Open a record (UUIDv7) for what was asked, and begin to take it to its end."""
        self._refuse_closed()
        await asyncio.to_thread(self._runtime.announce)
        record = Record(self._runtime.log, str(uuid_utils.uuid7()), subject=asked.context.user)
        record.memory |= {"asked": asked, "on_progress": on_progress}
        return self._run(record)

    async def resume(self, record_id: str) -> Running:
        """Take a record of the log to its end, or give its result again."""
        self._refuse_closed()
        return self._run(await asyncio.to_thread(Record.load, self._runtime.log, record_id))

    async def cancel(self, record_id: str) -> bool:
        """Stop a request of this client; False where it is too late, or is not under way here.

        Raises:
            RecordNotFound: No record has this id.
        """
        self._refuse_closed()
        for running in self._running:
            if running.record.id == record_id:
                return await running.cancel()
        return (await asyncio.to_thread(Record.load, self._runtime.log, record_id)).standing == "cancelled"

    async def close(self) -> None:
        """Wait for what is under way, then close what the requests shared."""
        self._closed = True
        if self._running:
            await asyncio.wait([running.task for running in self._running])
        await self._runtime.close()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ClientClosed("This Limner was closed.", remedy="Open another with Limner.open().")

    def _run(self, record: Record) -> Running:
        stop = record.memory["stop"] = Stop()
        running = Running(record, asyncio.create_task(run(record, self._runtime)), stop)
        self._running.add(running)
        running.task.add_done_callback(lambda task: self._forget(running, task))
        return running

    def _forget(self, running: Running, task: asyncio.Task[ImageResult]) -> None:
        """Let go of a finished task; the error of one that nobody waits for stands in its record."""
        self._running.discard(running)
        if not task.cancelled():
            task.exception()
