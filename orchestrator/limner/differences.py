"""What differs between a picture and the one that its record keeps: its pixels, its metadata, its credentials.

Compares two files; knows nothing of logs. Both are decoded only where their image data differ.
"""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner_provenance.errors import ProvenanceError

if TYPE_CHECKING:
    from limner_provenance.credentials.images import Mime, Part

_IMAGE_DATA = {
    "image/png": {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"acTL", b"fcTL", b"fdAT"},
    "image/webp": {b"VP8 ", b"VP8L", b"ALPH", b"ANMF", b"ANIM"},
}
_JPEG_PIXELS = frozenset({0xDA, 0xDB, 0xC4, 0xDD, 0xD9, *range(0xC0, 0xD0)})
_NAMES = {bytes((0xFF, 0xE0 + number)): f"APP{number}" for number in range(16)} | {b"\xff\xfe": "comment"}


@dataclass(frozen=True)
class Difference:
    """One thing that differs.

    Attributes:
        what: `format`, `pixels`, `encoding`, `metadata`, `credentials` or `bytes`.
        says: One clause: where and how.
    """

    what: str
    says: str


def differences(kept: bytes, data: bytes) -> tuple[Difference, ...]:
    """Locate what differs between the record's file and another; empty where they are equal.

    Args:
        kept: The record's file.
        data: The file at hand.
    """
    if kept == data:
        return ()
    from limner_provenance.credentials.images import scan

    try:
        (was, old), (now, new) = scan(kept), scan(data)
    except ProvenanceError:
        return (_bytes(kept, data),)
    if was != now:
        return (Difference("format", f"{now}, the record has {was}"),)
    found = (
        _credentials(kept, data, was),
        _picture(kept, data, was, (old, new)),
        _metadata(kept, data, was, (old, new)),
    )
    return tuple(item for item in found if item) or (_bytes(kept, data),)


def _credentials(kept: bytes, data: bytes, mime: Mime) -> Difference | None:
    from limner_provenance.credentials import manifest_store

    old, new = manifest_store(kept, mime), manifest_store(data, mime)
    if old == new:
        return None
    says = "taken out" if new is None else "not those that were written when the picture was sealed"
    return Difference("credentials", says)


def _picture(kept: bytes, data: bytes, mime: Mime, parts: tuple[list[Part], list[Part]]) -> Difference | None:
    """Compare the image data, and where they differ the pixels that they decode to."""
    old, new = ([body for _, body in _bodies(d, p, mime, image=True)] for d, p in zip((kept, data), parts, strict=True))
    if old == new:
        return None
    try:
        return _pixels(kept, data)
    except (OSError, ValueError, SyntaxError):
        return Difference("pixels", "the image data differ and no longer decode")


def _pixels(kept: bytes, data: bytes) -> Difference:
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(kept)) as one, Image.open(io.BytesIO(data)) as two:
        if one.size != two.size:
            sizes = ("x".join(map(str, image.size)) for image in (two, one))
            return Difference("pixels", "{} pixels, the record has {}".format(*sizes))
        changed = np.any(np.asarray(one.convert("RGBA")) != np.asarray(two.convert("RGBA")), axis=2)
    if not changed.any():
        return Difference("encoding", "the image data are packed anew, every pixel is the record's")
    rows, columns = (np.flatnonzero(changed.any(axis=axis)) for axis in (1, 0))
    area = f"from ({columns[0]}, {rows[0]}) to ({columns[-1]}, {rows[-1]})"
    return Difference("pixels", f"{int(changed.sum()):,} of {changed.size:,} pixels differ, {area}")


def _metadata(kept: bytes, data: bytes, mime: Mime, parts: tuple[list[Part], list[Part]]) -> Difference | None:
    """Compare whatever is neither image data nor credentials, by the container's own names."""
    old, new = (Counter(_bodies(d, p, mime, image=False)) for d, p in zip((kept, data), parts, strict=True))
    lost, added = (_named(counted) for counted in (old - new, new - old))
    says = [f"{', '.join(sorted(lost & added))} changed"] if lost & added else []
    says += [f"{', '.join(sorted(lost - added))} taken out"] if lost - added else []
    says += [f"{', '.join(sorted(added - lost))} added"] if added - lost else []
    return Difference("metadata", "; ".join(says)) if says else None


def _named(counted: Counter[tuple[bytes, bytes]]) -> set[str]:
    return {_NAMES.get(kind) or kind.decode("latin-1").strip() for kind, _ in counted}


def _bodies(data: bytes, parts: list[Part], mime: Mime, *, image: bool) -> list[tuple[bytes, bytes]]:
    """Give kind and content of the parts that are image data, or of those that are neither that nor credentials."""
    from limner_provenance.credentials.store import holds_store

    found = []
    for part, following in zip(parts, [*(p.start for p in parts[1:]), len(data)], strict=True):
        if holds_store(data, mime, part) or part.kind in {b"VP8X", b"IEND"} or _is_image(part, mime) != image:
            continue
        # A JPEG's scans reach to the next segment.
        end = following if part.kind == b"\xff\xda" else part.body + part.length
        found.append((part.kind, data[part.body : end]))
    return found


def _is_image(part: Part, mime: Mime) -> bool:
    return part.kind[1] in _JPEG_PIXELS if mime == "image/jpeg" else part.kind in _IMAGE_DATA[mime]


def _bytes(kept: bytes, data: bytes) -> Difference:
    """Say where the bytes differ, where no part of the file tells more."""
    if len(kept) != len(data):
        return Difference("bytes", f"{len(data):,} bytes, the record has {len(kept):,}")
    places = [place for place, (one, two) in enumerate(zip(kept, data, strict=True)) if one != two]
    return Difference("bytes", f"{len(places):,} of {len(data):,} bytes, the first at offset {places[0]:,}")
