"""Taking what an engine wrote about a picture out of its file: prompts, parameters, cameras, comments.

Works on the container alone: no pixel is decoded and none changes. Colour profiles stay, as they change what is seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from limner_provenance.credentials.images import Part, scan

_PNG_TEXTS = {b"tEXt": "tEXt", b"zTXt": "zTXt", b"iTXt": "iTXt", b"eXIf": "eXIf"}
_JPEG_TEXTS = {b"\xff\xe1": "APP1", b"\xff\xed": "APP13", b"\xff\xfe": "comment"}
_WEBP_TEXTS = {b"EXIF": "EXIF", b"XMP ": "XMP"}
_CREDENTIALS = {b"caBX", b"C2PA"}
_WEBP_TEXT_FLAGS = 0x08 | 0x04  # of VP8X: an EXIF and an XMP chunk follow


@dataclass(frozen=True)
class Plain:
    """A picture without texts.

    Attributes:
        data: the file.
        removed: what was taken out, by the container's own names, in order; empty: `data` are the bytes as given.
        kept: what would have been taken out of a file that carries credentials, which that would break.
    """

    data: bytes
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def without_texts(data: bytes) -> Plain:
    """Take texts, EXIF, XMP, IPTC and whatever follows the end marker out of a PNG, JPEG or WebP.

    A file that carries Content Credentials is left as it is: they cover these bytes.

    Raises:
        ImageUnreadable: it is none of the three, or not whole.
    """
    mime, parts = scan(data)
    texts = {"image/png": _PNG_TEXTS, "image/jpeg": _JPEG_TEXTS, "image/webp": _WEBP_TEXTS}[mime]
    told = tuple(texts[part.kind] for part in parts if part.kind in texts)
    if mime == "image/webp":
        end = 8 + int.from_bytes(data[4:8], "little")
    else:
        end = parts[-1].body + parts[-1].length + (4 if mime == "image/png" else 0)
    told += ("trailer",) if end < len(data) else ()
    if not told:
        return Plain(data)
    if any(_is_credential(data, part) for part in parts):
        return Plain(data, kept=told)
    cleaned = bytearray(b"".join(_kept(data, parts, end, texts)))
    if mime == "image/webp":
        _correct_header(cleaned)
    return Plain(bytes(cleaned), removed=told)


def _is_credential(data: bytes, part: Part) -> bool:
    """Say whether a part holds a C2PA manifest; in a JPEG it is an APP11 segment with a JUMBF box."""
    return part.kind in _CREDENTIALS or (part.kind == b"\xff\xeb" and data[part.body : part.body + 2] == b"JP")


def _kept(data: bytes, parts: list[Part], end: int, texts: dict[bytes, str]) -> Iterator[bytes]:
    """Yield the file's pieces that stay: all up to `end` but the parts of these kinds."""
    position = 0
    for part, following in zip(parts, [*(p.start for p in parts[1:]), end], strict=True):
        if part.kind in texts:
            yield data[position : part.start]
            position = following
    yield data[position:end]


def _correct_header(webp: bytearray) -> None:
    """Write a WebP's length anew, and take back the promise of chunks that are gone."""
    webp[4:8] = (len(webp) - 8).to_bytes(4, "little")
    if webp[12:16] == b"VP8X":
        webp[20] &= ~_WEBP_TEXT_FLAGS & 0xFF
