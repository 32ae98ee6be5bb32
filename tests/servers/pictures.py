"""Pictures that are the same for the same words, small on the wire, and easy to tell apart in a test."""

from __future__ import annotations

import colorsys
import functools
import hashlib
import io
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

Colour = tuple[int, int, int]
Size = tuple[int, int]

_PIL_NAMES = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP", "gif": "GIF"}


def colour_of(*words: object) -> Colour:
    """A colour drawn from words; never close to black or white, so that a border or a mask stays visible."""
    digest = hashlib.sha256("\x1f".join(map(str, words)).encode()).digest()
    return _hue(digest[0] / 256)


def quadrant_colours(*words: object) -> list[Colour]:
    """Four colours a quarter of the colour wheel apart: upper left, upper right, lower left, lower right."""
    start = hashlib.sha256("\x1f".join(map(str, words)).encode()).digest()[0] / 256
    return [_hue((start + quarter / 4) % 1) for quarter in range(4)]


def _hue(hue: float) -> Colour:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.75, 0.85))
    return red, green, blue


def plain(size: Size, colour: Colour) -> Image:
    """A picture of one colour with a white mark in its upper left corner, so that a turned picture is noticed."""
    from PIL import Image

    picture = Image.new("RGB", size, colour)
    picture.paste((255, 255, 255), (0, 0, max(size[0] // 16, 1), max(size[1] // 16, 1)))
    return picture


def on_transparent(picture: Image) -> Image:
    """The picture in the middle of a transparent border an eighth wide."""
    from PIL import Image

    width, height = picture.size
    result = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    inner = picture.resize((max(width * 3 // 4, 1), max(height * 3 // 4, 1))).convert("RGBA")
    result.paste(inner, (width // 8, height // 8))
    return result


def grid(tiles: list[Image]) -> Image:
    """Four pictures of one size as 2 × 2: upper left, upper right, lower left, lower right."""
    from PIL import Image

    width, height = tiles[0].size
    result = Image.new("RGB", (width * 2, height * 2))
    for index, tile in enumerate(tiles):
        result.paste(tile, (index % 2 * width, index // 2 * height))
    return result


def encode(picture: Image, kind: str = "png", *, quality: int = 90) -> bytes:
    """Encode as png, jpeg, webp or gif."""
    target = io.BytesIO()
    if kind == "jpeg" and picture.mode != "RGB":
        picture = picture.convert("RGB")
    options = {"compress_level": 1} if kind == "png" else {"quality": quality} if kind in {"jpeg", "webp"} else {}
    picture.save(target, _PIL_NAMES[kind], **options)
    return target.getvalue()


@functools.lru_cache(maxsize=64)
def plain_bytes(
    size: Size, colour: Colour, kind: str = "png", *, transparent: bool = False, quality: int = 90
) -> bytes:
    """`plain`, encoded; kept, since tests ask for the same one again and again."""
    picture = plain(size, colour)
    return encode(on_transparent(picture) if transparent else picture, kind, quality=quality)


def animation(size: Size, colours: list[Colour], duration_ms: int) -> bytes:
    """A GIF with one frame for each colour."""
    frames = [plain(size, colour).convert("P") for colour in colours]
    target = io.BytesIO()
    frames[0].save(target, "GIF", save_all=True, append_images=frames[1:], duration=duration_ms, loop=0)
    return target.getvalue()


def noise_png(octets: int) -> bytes:
    """A valid PNG of about `octets` bytes (noise cannot be compressed); the smallest is about 70 bytes."""
    import random

    from PIL import Image

    side = max(math.isqrt(max(octets - 70, 1) // 3), 1)
    data = random.Random(octets).randbytes(side * side * 3)
    return encode(Image.frombytes("RGB", (side, side), data), "png")


def open_picture(data: bytes) -> Image:
    """Decode to the last pixel; ValueError if it is no picture."""
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(data))
        picture.load()
    except (OSError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError("not a picture") from error
    return picture


def bomb_png(side: int = 30_000) -> bytes:
    """A valid PNG of about `side`² / 8000 bytes that decodes to `side` × `side` grey pixels."""
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    squeeze = zlib.compressobj(9)
    row = bytes(1 + side)
    data = b"".join([*(squeeze.compress(row) for _ in range(side)), squeeze.flush()])
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
