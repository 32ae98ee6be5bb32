"""Decoding for detectors: odd but whole pictures become RGB, everything else is refused with what is wrong."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner_policy.detectors.pictures import decode
from limner_policy.errors import DetectorError


def encoded(image: Image.Image, kind: str = "PNG", **more: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


def test_sixteen_bits_keep_their_upper_eight() -> None:
    """A 16-bit ramp is not clipped to white."""
    ramp = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    found = decode(encoded(Image.fromarray(ramp)))
    assert found.shape == (16, 16, 3)
    assert found[..., 0].ravel().tolist() == list(range(256))


def test_transparent_pixels_lie_on_white() -> None:
    """Of RGBA, LA and a palette with a transparent colour."""
    clear = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    clear.putpixel((1, 0), (10, 20, 30, 0))
    assert decode(encoded(clear)).tolist() == [[[255, 0, 0], [255, 255, 255]]]
    assert decode(encoded(Image.new("LA", (1, 1), (0, 0)))).tolist() == [[[255, 255, 255]]]
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([9, 9, 9, 1, 1, 1])
    assert decode(encoded(palette, transparency=0)).tolist() == [[[255, 255, 255]]]
    assert decode(encoded(palette)).tolist() == [[[9, 9, 9]]]


def test_cmyk_becomes_rgb() -> None:
    """A CMYK JPEG is read, and its colours are the right way round."""
    found = decode(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95))
    red, green, blue = found[8, 8].tolist()
    assert red > 200 > 80 > max(green, blue)


def test_a_turned_photograph_stands_upright() -> None:
    """The camera's orientation mark is obeyed, as by who looks at it."""
    image = Image.new("RGB", (4, 2), "black")
    exif = image.getexif()
    exif[0x0112] = 6
    assert decode(encoded(image, "JPEG", exif=exif)).shape == (4, 2, 3)


@pytest.mark.parametrize("size", [(1, 1), (20_000, 1)])
def test_odd_sizes_are_pictures(size: tuple[int, int]) -> None:
    """1×1 and 20,000×1 are read as they are."""
    assert decode(encoded(Image.new("RGB", size, "blue"))).shape == (size[1], size[0], 3)


def bomb(side: int) -> bytes:
    """A PNG that claims to be of that side and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def animation() -> bytes:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    return encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)


WHOLE = encoded(Image.effect_noise((64, 64), 80))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (animation(), "a.png is an animation of 2 frames. Give a single picture"),
        (WHOLE[: len(WHOLE) // 2], "a.png is no whole picture"),
        (b"", "a.png is no whole picture"),
        (b"GIF89a" + b"\0" * 40, "a.png is no whole picture"),
        (bomb(11_000), "a.png has 11000x11000 pixels. At most 100,000,000"),
        (bomb(60_000), "a.png has far too many pixels"),
    ],
    ids=["animated", "truncated", "empty", "other", "bomb", "great bomb"],
)
def test_what_is_no_whole_single_picture_is_refused(data: bytes, told: str) -> None:
    """The error names the picture, what is wrong and what to give."""
    with pytest.raises(DetectorError, match=told):
        decode(data, name="a.png")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A path that is not there, and a file far too large, are told with their path."""
    with pytest.raises(DetectorError, match=r"gone\.png cannot be read: No such file"):
        decode(tmp_path / "gone.png")
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    with pytest.raises(DetectorError, match=r"large\.png has 68,157,440 bytes"):
        decode(large)
