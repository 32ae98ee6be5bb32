"""The script of faults: what a server does wrong, for which requests and how often.

`server.script.next(fault)` spoils the next request, `times=3` the next three, `always(fault)` every one; `path=` and
`method=` narrow it to requests whose path holds that text. Faults queue up in order, and the first that fits is used.
The faults themselves are made by `servers.faults` and by each server's own module of faults.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from servers.wire import Request, Response

Usual = Callable[[], Awaitable[Response]]
"""Does the request's real work, billing included, and gives the right answer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A named way to go wrong: it may call `usual` (the work is done and billed) or not (nothing happens)."""

    name: str
    answer: Callable[[Request, Usual], Awaitable[Response]]


@dataclass(slots=True)
class _Line:
    fault: Fault
    path: str
    method: str | None
    left: int | None


class Script:
    """The faults that are still to come; safe to write while the server works."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: list[_Line] = []

    def next(self, fault: Fault, *, times: int = 1, path: str = "", method: str | None = None) -> None:
        """Spoil the next `times` requests that fit."""
        assert times >= 1, f"times={times}: give 1 or more, or use always()"
        self._add(_Line(fault, path, method, times))

    def always(self, fault: Fault, *, path: str = "", method: str | None = None) -> None:
        """Spoil every request that fits, until `clear()`."""
        self._add(_Line(fault, path, method, None))

    def clear(self) -> None:
        """Drop all faults; the server is sound again."""
        with self._lock:
            self._lines.clear()

    @property
    def pending(self) -> int:
        """How many faults of `next` have not been used up."""
        with self._lock:
            return sum(line.left or 0 for line in self._lines)

    def take(self, request: Request) -> Fault | None:
        """Use the first fault that fits this request."""
        with self._lock:
            for line in self._lines:
                if line.path in request.path and line.method in {None, request.method}:
                    if line.left is not None:
                        line.left -= 1
                        if line.left == 0:
                            self._lines.remove(line)
                    return line.fault
        return None

    def _add(self, line: _Line) -> None:
        with self._lock:
            self._lines.append(line)
