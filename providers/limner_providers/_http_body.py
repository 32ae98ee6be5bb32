"""An answer's body under a limit: the limit counts decoded bytes, and a compressed body never grows past it in memory.

It knows nothing of clients and engines. What it raises is private to the HTTP modules, which say whose answer it was.
"""

from __future__ import annotations

import io
import zlib

_ZLIB_OR_GZIP = 47  # zlib's automatic detection of both headers
_STEP = 1 << 20  # decoded bytes taken at a time


class BodyError(Exception):
    """The body cannot be read; its text is words of ours and never the peer's."""


class BodyTooLarge(BodyError):
    """The body is larger than the limit."""


class Body:
    """Collects a body's chunks.

    Args:
        limit: the most decoded bytes that are taken.
        length: the announced Content-Length, None where there is none.
        encoding: the Content-Encoding, `""` and `identity` meaning none.

    Raises:
        BodyTooLarge: it is announced larger than `limit`.
        BodyError: an encoding that nobody asked for and that is not gzip or deflate.
    """

    def __init__(self, limit: int, *, length: str | None = None, encoding: str = "") -> None:
        self._limit = limit
        self._size = 0
        self._file = io.BytesIO()
        coding = encoding.strip().lower()
        if coding not in {"", "identity", "gzip", "x-gzip", "deflate"}:
            raise BodyError("its body is in an encoding that was not asked for")
        self._zlib = zlib.decompressobj(_ZLIB_OR_GZIP) if coding not in {"", "identity"} else None
        if self._zlib is None and length is not None and length.isascii() and length.isdigit() and int(length) > limit:
            raise BodyTooLarge(f"its body has more than {limit:,} bytes")

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes as they came over the wire.

        Raises:
            BodyTooLarge: the limit is passed; what was collected is let go.
            BodyError: the compressed data are broken, or go on after their end.
        """
        if self._zlib is None:
            self._add(chunk)
            return
        if self._zlib.eof and chunk:
            raise BodyError("its compressed body goes on after its end")
        try:
            while chunk:
                self._add(self._zlib.decompress(chunk, _STEP))
                chunk = self._zlib.unconsumed_tail
        except zlib.error:
            raise BodyError("its compressed body is broken") from None

    def finish(self) -> bytes:
        """Give the whole body, without copying it.

        Raises:
            BodyError: the compressed data end too early.
        """
        if self._zlib is not None:
            self._add(self._zlib.flush(_STEP))
            if self._size and not self._zlib.eof:
                raise BodyError("its compressed body is cut off")
        return self._file.getvalue()

    def so_far(self) -> bytes:
        """Give what came until now: for an answer whose status says enough."""
        return self._file.getvalue()

    def _add(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            raise BodyTooLarge(f"its body has more than {self._limit:,} bytes")
        self._file.write(data)
