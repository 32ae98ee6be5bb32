"""Runs a piece of work in an event loop of its own, and looks whether something is left behind when it is over."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import anyio

from limner_providers.base import Provider

T = TypeVar("T")
_FDS = Path("/proc/self/fd")  # where there is none, sockets are not counted
PATIENCE = 5.0  # seconds that a peer in this process may take to notice that it was left
LONGEST = 120.0  # seconds of one piece of work: a provider that hangs fails here


def sockets() -> frozenset[str]:
    """List the sockets of this process, each by a name that no other has; empty where that cannot be seen."""
    found = set()
    for entry in _FDS.iterdir() if _FDS.is_dir() else ():
        try:
            target = str(entry.readlink())
        except OSError:
            continue  # closed meanwhile, as the listing's own
        if target.startswith("socket:"):
            found.add(target)
    return frozenset(found)


def threads() -> frozenset[threading.Thread]:
    """List the running threads but for progress bars' watchers, which nobody can end."""
    return frozenset(thread for thread in threading.enumerate() if type(thread).__name__ != "TMonitor")


def eventually(condition: Callable[[], bool], patience: float = PATIENCE) -> bool:
    """Wait until `condition()` holds; say whether it ever did."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


async def soon(condition: Callable[[], bool], patience: float = PATIENCE) -> bool:
    """Wait in the event loop until `condition()` holds; say whether it ever did."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        await anyio.sleep(0.01)
    return True


def play(provider: Provider, work: Callable[[], Awaitable[T]], *, close: bool = True) -> T:
    """Run `work()` in an event loop of its own, close the provider, and see that nothing of it is left.

    Raises:
        AssertionError: tasks, sockets or threads are left after `close()`, or it took longer than two minutes.
    """
    before = sockets(), threads()
    result = asyncio.run(_whole(provider, work, close=close))
    if close:
        assert eventually(lambda: sockets() <= before[0]), "close() left sockets open."
        left = [thread.name for thread in threads() - before[1]]
        assert eventually(lambda: threads() <= before[1]), f"close() left threads running: {', '.join(left)}."
    return result


async def _whole(provider: Provider, work: Callable[[], Awaitable[T]], *, close: bool) -> T:
    try:
        with anyio.fail_after(LONGEST):
            return await work()
    finally:
        if close:
            await provider.close()
            own = asyncio.current_task()
            await soon(lambda: asyncio.all_tasks() <= {own}, 1.0)
            left = [str(task.get_coro()) for task in asyncio.all_tasks() - {own}]
            assert not left, f"close() left tasks running: {', '.join(left)}."
