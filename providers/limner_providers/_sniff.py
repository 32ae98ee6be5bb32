"""What an engine's bytes really are: PNG, JPEG or WebP, whole, of which size; and pictures that come as base64.

It trusts no name and no content type. Reading the headers costs microseconds whatever the file's size; decoding goes
through Pillow, only after the headers have passed the pixel limit. It knows nothing of engines and the network.
"""

from __future__ import annotations

import binascii
import io
import re
import struct
import warnings
from dataclasses import dataclass, field
from typing import NamedTuple

from limner_providers.errors import GenerationFailed, ResultRefused

MAX_PIXELS = 100_000_000
MAX_BYTES = 64 * 1024 * 1024
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
_OTHERS = (
    (0, (b"GIF87a", b"GIF89a"), "a GIF"),
    (4, (b"ftyp",), "AVIF, HEIC or a film"),
    (0, (b"BM", b"II*\0", b"MM\0*", b"\0\0\1\0"), "a BMP, TIFF or icon"),
)
_PADDING = b"\0\r\n\t "
_MOST_PARTS = 65_536  # chunks or segments; a real file of 64 MB has some thousand
_PREFIX = re.compile(r"\s*data:([a-zA-Z0-9.+-]{1,40}/[a-zA-Z0-9.+-]{1,60})?(;[a-zA-Z0-9_.=+-]{1,80}){0,4},")
_SPACES = {ord(space): None for space in " \t\r\n\f\v"}


class Sniffed(NamedTuple):
    """What a picture is: its media type, and width and height in pixels as they are stored."""

    mime: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One whole picture as an engine gave it.

    Attributes:
        data: the file, unchanged.
        mime: `image/png`, `image/jpeg` or `image/webp`: what the bytes are, whatever was said of them.
        width, height: pixels as they are stored.
        note: what the caller should know, for instance that the server called it something else; None: nothing.
    """

    data: bytes = field(repr=False)
    mime: str
    width: int
    height: int
    note: str | None = None


class _Wrong(Exception):
    """What is wrong with the bytes, in words of ours."""


def check_picture(
    data: bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    decode: bool = False,
    provider: str | None = None,
    request_id: str | None = None,
) -> Sniffed:
    """Say what a picture is, from its bytes alone.

    Without `decode` the structure is read: signature, size, that it is one picture and no animation, that it is whole
    to its end and nothing but padding follows. With `decode` its pixels are decoded too, and thrown away.

    Args:
        data: the file.
        max_pixels: width × height that are allowed.
        decode: decode it wholly. This blocks: tens of milliseconds a megapixel.
        provider: its name, for the error.
        request_id: the provider's id of the call, for the error.

    Raises:
        GenerationFailed: it is empty, cut off, broken, or no picture (HTML, JSON, SVG …); what was made may be billed.
        ResultRefused: it is a picture that is not taken: too many pixels, an animation, GIF or another format,
            something hidden behind its end.
    """
    kind: type[GenerationFailed] = GenerationFailed
    try:
        found = _structure(data)
        _check_pixels(found.width, found.height, max_pixels)
        if decode:
            _decode(data, found)
        return found
    except _Refused as error:
        kind, why = ResultRefused, str(error)
    except _Wrong as error:
        why = str(error)
    except (struct.error, IndexError):
        why = "is cut off"
    who = f"{provider}: the" if provider else "The"
    raise kind(
        f"{who} result ({len(data):,} bytes) {why}.",
        remedy="Look at the engine and what stands before it before asking again.",
        provider=provider,
        request_id=request_id,
        may_have_billed=True,
    )


class _Refused(_Wrong):
    """It is a picture, and not one that is taken."""


def _structure(data: bytes) -> Sniffed:
    if data.startswith(_PNG):
        return _png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    raise _no_picture(data)


def _no_picture(data: bytes) -> _Wrong:
    """Name what it is instead, where that is plain to see."""
    for at, signs, name in _OTHERS:
        if data.startswith(signs, at):
            return _Refused(f"is {name}; PNG, JPEG and WebP are taken")
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in start:
        return _Refused("is SVG, which can hold programs; PNG, JPEG and WebP are taken")
    if start.startswith(b"<"):
        return _Wrong("is an HTML or XML page and no picture")
    what = "is JSON and no picture" if start.startswith((b"{", b"[")) else "is no PNG, JPEG or WebP picture"
    return _Wrong(what if data else "is empty")


def _check_tail(data: bytes, end: int) -> None:
    """Let padding pass behind a file's end and nothing else: what hides there would be signed with the picture."""
    if len(data) - end > 64 or data[end:].strip(_PADDING):
        raise _Refused("has something behind its end")


def _png(data: bytes) -> Sniffed:
    length, name, width, height = struct.unpack_from(">I4sII", data, 8)
    if name != b"IHDR" or length != 13:
        raise _Wrong("is no valid PNG")
    at, pixels = 33, False
    for _ in range(_MOST_PARTS):
        if data.startswith(_PNG_END, at):
            if not pixels:
                raise _Wrong("is a PNG without pixels")
            _check_tail(data, at + 12)
            return Sniffed("image/png", width, height)
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"acTL":
            raise _Refused("is an animation")
        pixels = pixels or name == b"IDAT"
        at += 12 + length
        if at >= len(data):
            raise _Wrong("is cut off")
    raise _Wrong("is no valid PNG")


def _jpeg(data: bytes) -> Sniffed:
    at, size = 2, (0, 0)
    for _ in range(_MOST_PARTS):
        if data[at] != 0xFF:
            raise _Wrong("is no valid JPEG")
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker == 0xDA:  # pixels begin
            break
        if marker in {0x01, *range(0xD0, 0xD8)}:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if marker in {0xC0, 0xC1, 0xC2}:
            height, width = struct.unpack_from(">HH", data, at + 3)
            size = (width, height)
        elif marker in {0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xD9} or length < 2:
            raise _Wrong("is no JPEG that is taken")
        at += length
    if not all(size):
        raise _Wrong("is no valid JPEG")
    end = data.rfind(b"\xff\xd9", max(at, len(data) - 4096))
    if end < 0:
        raise _Wrong("is cut off")
    _check_tail(data, end + 2)
    return Sniffed("image/jpeg", *size)


def _webp(data: bytes) -> Sniffed:
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    if end > len(data):
        raise _Wrong("is cut off")
    _check_tail(data, end)
    kind = data[12:16]
    if kind == b"VP8X":
        flags = data[20]
        if flags & 0x02:
            raise _Refused("is an animation")
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L":
        if data[20] != 0x2F:
            raise _Wrong("is no valid WebP")
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        if data[23:26] != b"\x9d\x01\x2a":
            raise _Wrong("is no valid WebP")
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise _Wrong("is no valid WebP")
    if len(data) < 30:
        raise _Wrong("is cut off")
    return Sniffed("image/webp", width, height)


def _check_pixels(width: int, height: int, most: int) -> None:
    if not width * height:
        raise _Wrong("says that it has no pixels")
    if width * height > most:
        raise _Refused(f"has {width}x{height} pixels, and at most {most:,} are taken")


def _decode(data: bytes, found: Sniffed) -> None:
    wrong: _Wrong | None = None
    try:
        wrong = _decoded(data, found)
    except Exception:  # noqa: BLE001 - a decoder raises whatever it likes on bytes that are no picture
        wrong = _Wrong("cannot be decoded: it is cut off or broken")
    if wrong is not None:
        raise wrong


def _decoded(data: bytes, found: Sniffed) -> _Wrong | None:
    """Decode every pixel; say what is wrong where Pillow sees something else than the headers told."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # our own limit has been kept, and a broken profile is no warning's matter
        with Image.open(io.BytesIO(data), formats=(_FORMATS[found.mime],)) as image:
            if image.size != (found.width, found.height):
                return _Wrong("says two different sizes of itself")
            if getattr(image, "n_frames", 1) > 1:
                return _Refused("is an animation")
            image.load()
    return None


def picture_from_base64(
    text: str | bytes,
    *,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
    decode: bool = False,
    provider: str | None = None,
    request_id: str | None = None,
) -> Picture:
    """Read a picture that an engine gave as base64.

    Taken are the standard alphabet, with or without padding and line breaks, and a `data:` address in front. A plain
    string is decoded without a second copy of it.

    Args:
        text: base64, or `data:image/png;base64,…`.
        max_bytes: of the decoded file.
        max_pixels: as `check_picture` takes it.
        decode: decode its pixels too.
        provider: its name, for the error.
        request_id: the provider's id of the call, for the error.

    Raises:
        GenerationFailed: it is no base64, or what it holds is no whole picture.
        ResultRefused: it is too large, or a picture that is not taken.
    """
    kind: type[GenerationFailed] = GenerationFailed
    try:
        data = _from_base64(text, max_bytes)
    except _Refused as error:
        kind, why = ResultRefused, str(error)
    except _Wrong as error:
        why = str(error)
    else:
        found = check_picture(data, max_pixels=max_pixels, decode=decode, provider=provider, request_id=request_id)
        return Picture(data=data, mime=found.mime, width=found.width, height=found.height)
    who = f"{provider}: the" if provider else "The"
    remedy = "Look at the engine before asking again."
    raise kind(f"{who} result {why}.", remedy=remedy, provider=provider, request_id=request_id, may_have_billed=True)


def _from_base64(text: str | bytes, max_bytes: int) -> bytes:
    if isinstance(text, bytes | bytearray):
        try:
            text = text.decode("ascii")
        except UnicodeDecodeError:
            text = "-"
    if not isinstance(text, str) or not text:
        raise _Wrong("holds no picture where one should be")
    prefix = _PREFIX.match(text, 0, 400)
    if prefix is not None:
        if not prefix[0].rstrip().lower().endswith(";base64,"):
            raise _Wrong("is a data address without base64")
        text = text[prefix.end() :]
    # Line breaks (one of two in at most 76) and padding are on top of four characters for three bytes.
    if len(text) > max_bytes * 4 / 3 * 1.06 + 16:
        raise _Refused(f"is larger than {max_bytes:,} bytes")
    data = _strict(text)
    if data is None:
        bare = text.translate(_SPACES).rstrip("=")
        data = _strict(bare + "=" * (-len(bare) % 4))
    if data is None:
        raise _Wrong("is no base64")
    if len(data) > max_bytes:
        raise _Refused(f"is larger than {max_bytes:,} bytes")
    return data


def _strict(text: str) -> bytes | None:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # binascii.Error and characters beyond ASCII
        return None
