"""The worker: one job at a time, cancellation, and progress told in the event loop's thread."""

from __future__ import annotations

import threading
import time

import anyio
import pytest

from limner_providers import Progress
from limner_providers._worker import Job, Worker
from limner_providers.base import Event
from limner_providers.errors import Cancelled

pytestmark = pytest.mark.anyio
PROGRESS = Progress(step=1, steps=2, image=1, images=1)


async def test_jobs_never_overlap() -> None:
    """However many wait, one works."""
    worker, running, most = Worker(), 0, 0

    def work(job: Job) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.01)
        running -= 1

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(worker.run, work, Job())
    assert most == 1


async def test_what_the_work_answers_or_raises_comes_back() -> None:
    """Values and errors pass unchanged."""
    worker = Worker()
    assert await worker.run(lambda job: 42, Job()) == 42

    def fail(job: Job) -> None:
        raise LookupError("here")

    with pytest.raises(LookupError, match="here"):
        await worker.run(fail, Job())


async def test_the_event_loop_goes_on_meanwhile() -> None:
    """Blocking work does not block others."""
    worker, go = Worker(), threading.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run, lambda job: go.wait(10), Job())
        await anyio.sleep(0.01)
        go.set()  # would never be reached if the loop were blocked
    assert go.is_set()


async def test_work_that_was_cancelled_before_its_turn_never_starts() -> None:
    """A waiting job that nobody wants any more costs nothing."""
    worker, go, started = Worker(), threading.Event(), []
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run, lambda job: go.wait(10), Job())
        await anyio.sleep(0.02)
        with anyio.move_on_after(0.02):
            await worker.run(lambda job: started.append(1), Job())
        go.set()
    await worker.run(lambda job: None, Job())
    assert started == []


async def test_running_work_stops_at_its_next_check() -> None:
    """Cancellation reaches the thread, and the next job waits until it has stopped."""
    worker, steps, stopped = Worker(), 0, threading.Event()

    def work(job: Job) -> None:
        nonlocal steps
        try:
            for _ in range(1000):
                job.check()
                steps += 1
                time.sleep(0.005)
        except Cancelled:
            stopped.set()
            raise

    with anyio.move_on_after(0.05) as scope:
        await worker.run(work, Job())
    assert scope.cancelled_caught
    await worker.run(lambda job: None, Job())
    assert stopped.is_set()
    assert 0 < steps < 1000


async def test_progress_arrives_in_the_event_loops_thread() -> None:
    """A listener may touch what belongs to the loop."""
    heard: list[tuple[Event, int]] = []
    await Worker().run(
        lambda job: job.tell(PROGRESS), Job(on_event=lambda step: heard.append((step, threading.get_ident())))
    )
    assert heard == [(PROGRESS, threading.get_ident())]


async def test_a_listener_that_raises_costs_no_picture_and_is_reported() -> None:
    """A broken progress bar is asked once, and a warning says so."""
    asked = []

    def broken(event: Event) -> None:
        asked.append(event)
        raise ZeroDivisionError

    job = Job(on_event=broken)

    def work(job: Job) -> str:
        job.tell(PROGRESS)
        job.tell(PROGRESS)
        return "picture"

    assert await Worker().run(work, job) == "picture"
    assert len(asked) == 1
    assert job.warnings == ["on_event raised ZeroDivisionError and was not called again"]


def test_one_worker_serves_one_event_loop_after_the_other() -> None:
    """A provider may outlive the loop it was first used in."""
    worker = Worker()

    async def once() -> int:
        return await worker.run(lambda job: 1, Job())

    assert [anyio.run(once), anyio.run(once)] == [1, 1]


async def test_the_wait_for_ones_turn_is_measured() -> None:
    """It is told apart from the work, in microseconds."""
    worker, job = Worker(), Job()
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run, lambda job: time.sleep(0.05), Job())
        await anyio.sleep(0.01)
        await worker.run(lambda job: None, job)
    assert job.waited >= 10_000
