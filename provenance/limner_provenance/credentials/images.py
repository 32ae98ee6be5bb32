"""Which of PNG, JPEG and WebP some bytes are, and whether the file is there to its end.

Reads container structure only: no pixel is decoded and no library is needed, so that a truncated download is told
apart from a tampered image before C2PA sees it. Must not know manifests.
"""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

from limner_provenance.errors import ImageUnreadable

Mime = Literal["image/png", "image/jpeg", "image/webp"]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_REMEDY = "Give the complete original file, as it was saved or downloaded."
# A real file has some hundreds of chunks; more are a way to keep a reader busy.
_MOST_PARTS = 100_000
_FILL = re.compile(rb"\xff+(?=\xff)")  # any number of FF may stand before a marker's own
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class Part(NamedTuple):
    """One chunk or segment of a container.

    Attributes:
        kind: PNG chunk type, WebP FourCC, or the two marker bytes of a JPEG segment.
        start: Offset of the part's first byte in the file.
        body: Offset of its content.
        length: Bytes of its content.
    """

    kind: bytes
    start: int
    body: int
    length: int


def sniff(data: bytes) -> Mime:
    """Tell the format by its first bytes.

    Args:
        data: The file, or at least its first 12 bytes.

    Returns:
        The media type.

    Raises:
        ImageUnreadable: it is none of the three.
    """
    if data.startswith(PNG_SIGNATURE):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    what = "empty" if not data else f"{len(data)} bytes that start with {data[:8].hex(' ')}"
    raise ImageUnreadable(f"This is no PNG, JPEG or WebP: {what}.", remedy=_REMEDY)


def check_whole(data: bytes) -> Mime:
    """Walk the container from the first byte to its end marker.

    Args:
        data: The whole file.

    Returns:
        The media type.

    Raises:
        ImageUnreadable: something is missing; the message says what and at which offset.
    """
    return scan(data)[0]


def scan(data: bytes) -> tuple[Mime, list[Part]]:
    """Do what `check_whole` does, and return the parts as well, for those who look into them next."""
    mime = sniff(data)
    found = list(itertools.islice(parts(data, mime), _MOST_PARTS + 1))
    _require(len(found) <= _MOST_PARTS, mime, f"an end within {_MOST_PARTS:,} parts", found[-1].start)
    kinds = [part.kind for part in found]
    if mime == "image/png":
        _require(kinds[0] == b"IHDR", "PNG", "the header chunk IHDR", 8)
        _require(b"IDAT" in kinds, "PNG", "image data (IDAT)", len(data))
    elif mime == "image/jpeg":
        _require(any(kind[1] in _JPEG_FRAMES for kind in kinds), "JPEG", "a frame header (SOF)", 2)
        _require(b"\xff\xda" in kinds, "JPEG", "image data (SOS)", len(data))
    else:
        _require(any(kind in {b"VP8 ", b"VP8L", b"ANMF"} for kind in kinds), "WebP", "image data (VP8)", len(data))
    return mime, found


def parts(data: bytes, mime: Mime) -> Iterator[Part]:
    """Yield the chunks or segments of a file in order, to its end marker.

    Raises:
        ImageUnreadable: while iterating, where the file ends too early.
    """
    if mime == "image/png":
        return _png_chunks(data)
    return _jpeg_segments(data) if mime == "image/jpeg" else _webp_chunks(data)


def _require(good: bool, kind: str, what: str, offset: int) -> None:
    if not good:
        raise ImageUnreadable(f"The {kind} is not whole: {what} is missing at offset {offset}.", remedy=_REMEDY)


def _png_chunks(data: bytes) -> Iterator[Part]:
    position = len(PNG_SIGNATURE)
    while True:
        _require(position + 8 <= len(data), "PNG", "the end chunk IEND", len(data))
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        _require(kind.isalpha(), "PNG", "a chunk", position)
        name = kind.decode("ascii")
        _require(end <= len(data), "PNG", f"the rest of chunk {name} ({end - len(data)} bytes)", len(data))
        yield Part(kind, position, position + 8, length)
        if kind == b"IEND":
            return
        position = end


def _jpeg_segments(data: bytes) -> Iterator[Part]:
    position, bare = 2, 0
    while True:
        fill = _FILL.match(data, position)
        position = fill.end() if fill else position
        _require(position + 2 <= len(data), "JPEG", "the end marker (EOI)", len(data))
        _require(data[position] == 0xFF, "JPEG", "a marker", position)
        kind = data[position : position + 2]
        if kind == b"\xff\xd9":
            yield Part(kind, position, position + 2, 0)
            return
        if kind[1] == 0x01 or 0xD0 <= kind[1] <= 0xD8:  # markers without a length
            position, bare = position + 2, bare + 1
            _require(bare <= _MOST_PARTS, "JPEG", f"a segment within {_MOST_PARTS:,} markers", position)
            continue
        _require(position + 4 <= len(data), "JPEG", "a segment length", len(data))
        length = max(int.from_bytes(data[position + 2 : position + 4], "big"), 2)
        end = position + 2 + length
        _require(end <= len(data), "JPEG", f"the rest of segment {kind.hex()} ({end - len(data)} bytes)", len(data))
        yield Part(kind, position, position + 4, length - 2)
        position = _end_of_scans(data, end) if kind == b"\xff\xda" else end


def _end_of_scans(data: bytes, position: int) -> int:
    # Entropy-coded data stuffs each 0xFF, so the end marker's two bytes mean the end; from behind it is found at once.
    found = data.rfind(b"\xff\xd9", position)
    _require(found >= 0, "JPEG", "the end marker (EOI)", len(data))
    return found


def _webp_chunks(data: bytes) -> Iterator[Part]:
    end = 8 + int.from_bytes(data[4:8], "little")
    _require(end <= len(data), "WebP", f"the last {end - len(data)} bytes", len(data))
    position = 12
    while position < end:
        _require(position + 8 <= end, "WebP", "a chunk header", position)
        kind = data[position : position + 4]
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        name = kind.decode("latin-1")
        _require(position + 8 + length <= end, "WebP", f"the rest of chunk {name!r}", end)
        yield Part(kind, position, position + 8, length)
        position += 8 + length + length % 2
