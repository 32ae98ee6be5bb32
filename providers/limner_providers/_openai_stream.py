"""Server-sent events, as far as the Images API uses them: bytes come in in any pieces, whole events go out.

An event's data may be megabytes in one line, so lines are put together once and never searched twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: its name (`message` where none is given) and its data."""

    name: str
    data: bytes = field(repr=False)


class EventReader:
    """Takes a stream's bytes and gives its events; lines may end with CRLF, LF or CR."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        self._name = b""
        self._data: list[bytes] = []
        self._after_cr = False

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """Take the next bytes and give the events that are whole with them."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r") if chunk else self._after_cr
        at = 0
        while (end := _line_end(chunk, at)) >= 0:
            self._begun.append(chunk[at:end])
            line, self._begun = b"".join(self._begun), []
            at = end + (2 if chunk.startswith(b"\r\n", end) else 1)
            event = self._line(line)
            if event is not None:
                yield event
        if at < len(chunk):
            self._begun.append(chunk[at:])

    def finish(self) -> ServerEvent | None:
        """Give the event that a stream ended in, which had everything but the empty line behind it."""
        line, self._begun = b"".join(self._begun), []
        if line:
            self._line(line)
        return self._dispatch()

    def _line(self, line: bytes) -> ServerEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._name = value
        return None

    def _dispatch(self) -> ServerEvent | None:
        data, name = self._data, self._name
        self._data, self._name = [], b""
        if not data:
            return None
        return ServerEvent(
            name.decode("ascii", "replace") or "message", data[0] if len(data) == 1 else b"\n".join(data)
        )


def _line_end(chunk: bytes, at: int) -> int:
    feed, carriage = chunk.find(b"\n", at), chunk.find(b"\r", at)
    if feed < 0 or carriage < 0:
        return max(feed, carriage)
    return min(feed, carriage)
