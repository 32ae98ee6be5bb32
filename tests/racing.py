"""Many threads that want one lock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from limner_provenance.errors import RecordRunning


def race(hold: Callable[[], AbstractContextManager[object]], *, times: int) -> tuple[int, int]:
    """Let six threads try to hold a lock, each so many times; give how many were inside at once, and how often one was.

    Args:
        hold: tries to take the lock; raises RecordRunning where somebody else has it.
        times: tries of each thread.
    """
    inside, most, entered = 0, 0, 0

    def work() -> None:
        nonlocal inside, most, entered
        for _ in range(times):
            try:
                with hold():
                    inside += 1
                    most = max(most, inside)
                    entered += 1
                    inside -= 1
            except RecordRunning:
                continue

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return most, entered
