"""The ledger: what arrived at a server, what it answered, and what it would have billed.

`ledger.calls("/images/generations")` lists arrivals whose path holds that text; `ledger.billed_images(...)` counts
pictures the vendor would have charged, delivered or not, so that a test can prove "called once, billed once".
"""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from servers.wire import Request


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a multipart form: its field, the name and type the client gave, and its bytes."""

    field: str
    filename: str
    media_type: str
    data: bytes = dataclasses.field(repr=False)


@dataclass(slots=True)
class Arrival:
    """One request as it arrived, completed while it is answered.

    `body` is the decoded JSON or the form's texts (a list where a name comes twice), None without either. `at` are
    seconds of a monotonic clock. `status` is None until the answer was decided; `cut` is true if the connection was
    cut on purpose; `left` is true if the client had gone before the answer was sent. `headers` hold the client's key:
    never print them.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str] = field(repr=False)
    raw: bytes = field(repr=False)
    connection: int
    at: float
    body: Any = field(default=None, repr=False)
    files: list[Upload] = field(default_factory=list, repr=False)
    status: int | None = None
    fault: str | None = None
    cut: bool = False
    left: bool = False
    billed_images: int = 0
    usage: dict[str, Any] | None = None


class Ledger:
    """All arrivals of one server in order; safe to read while the server works."""

    def __init__(self, keep: int | None = None) -> None:
        """Keep every arrival, or no more than `keep` of them (for benchmarks: their bodies are memory)."""
        self._keep = keep
        self._lock = threading.Lock()
        self._arrivals: list[Arrival] = []
        self.total = 0

    def note(self, request: Request) -> Arrival:
        """Write down a request that has been read to its end."""
        arrival = Arrival(
            request.method,
            request.path,
            request.query,
            request.headers,
            request.body,
            request.connection,
            time.monotonic(),
        )
        with self._lock:
            self.total += 1
            if self._keep is None or len(self._arrivals) < self._keep:
                self._arrivals.append(arrival)
        return arrival

    def calls(self, path: str = "", method: str | None = None) -> list[Arrival]:
        """List the arrivals whose path holds `path`, oldest first."""
        with self._lock:
            found = list(self._arrivals)
        return [a for a in found if path in a.path and method in {None, a.method}]

    def only(self, path: str = "", method: str | None = None) -> Arrival:
        """Give the one arrival; AssertionError if there are none or several."""
        calls = self.calls(path, method)
        assert len(calls) == 1, f"expected one request to {path or 'any path'}, got {len(calls)}"
        return calls[0]

    def billed_images(self, path: str = "") -> int:
        """Count the pictures that the vendor would have charged."""
        return sum(arrival.billed_images for arrival in self.calls(path))

    def gaps(self, path: str = "") -> list[float]:
        """Seconds between each arrival and the next: how long a client waited before it came again."""
        times = [arrival.at for arrival in self.calls(path)]
        return [later - earlier for earlier, later in itertools.pairwise(times)]

    def forget(self) -> None:
        """Forget everything that arrived so far."""
        with self._lock:
            self._arrivals.clear()
            self.total = 0
