"""Draws the pictures of the `test` provider: a mirrored tile pattern per prompt, its colours per seed, and "TEST".

The only input is text and numbers, the only output pixels; equal inputs give equal pixels on every machine.
"""

from __future__ import annotations

import colorsys
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CELLS = 8  # tiles a side, of which the left four are drawn and mirrored
# "TEST" in letters of 3 x 5 dots with a gap of one; rows from the top.
_STAMP = (
    "###.###.###.###",
    ".#..#...#....#.",
    ".#..##..###..#.",
    ".#..#.....#..#.",
    ".#..###.###..#.",
)


def draw(prompt_key: str, seed: int, width: int, height: int, *, clear: bool = False) -> NDArray[np.uint8]:
    """Draw uint8 pixels of shape (height, width, 3), RGB, or (height, width, 4), RGBA, where the ground is `clear`.

    Args:
        prompt_key: chooses the tiles; two prompts have different ones.
        seed: chooses the colours and turns a few tiles over.
        width: pixels, 1 and more.
        height: pixels, 1 and more.
        clear: the ground is transparent; tiles and the word TEST are not.
    """
    import numpy as np

    shape = hashlib.sha256(prompt_key.encode()).digest()
    tint = hashlib.sha256(b"%d\n" % seed + shape).digest()
    tiles = _tiles(shape, tint)
    rows = np.arange(height) * _CELLS // height
    columns = np.arange(width) * _CELLS // width
    inked = tiles[np.ix_(rows, columns)]
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = _gradient(tint, height)[:, None, :]
    pixels[inked == 1] = _colour(tint[2] / 255, 0.75, 0.85)
    pixels[inked == 2] = _colour(tint[2] / 255 + 0.35, 0.85, 0.6)
    stamped = _stamp(pixels)
    if not clear:
        return pixels
    alpha = np.where((inked > 0) | stamped, 255, 0).astype(np.uint8)
    return np.dstack([np.where(alpha[..., None] > 0, pixels, 0), alpha])


def _tiles(shape: bytes, tint: bytes) -> NDArray[np.uint8]:
    """Choose 0 (ground), 1 or 2 (inks) for each of 8 x 8 tiles, mirrored left to right like a face."""
    import numpy as np

    left: NDArray[np.uint8] = np.frombuffer(shape, np.uint8).reshape(_CELLS, _CELLS // 2) % 3
    turned = np.frombuffer(tint, np.uint8).reshape(_CELLS, _CELLS // 2) < 24
    left = np.where(turned, (left + 1) % 3, left)
    return np.hstack([left, left[:, ::-1]])


def _gradient(tint: bytes, height: int) -> NDArray[np.uint8]:
    """Shade the ground from top to bottom, pale enough for the inks to stand out."""
    import numpy as np

    top = np.array(_colour(tint[0] / 255, 0.2, 1.0), float)
    bottom = np.array(_colour(tint[1] / 255, 0.35, 0.9), float)
    share = np.linspace(0.0, 1.0, height)[:, None]
    shades: NDArray[np.uint8] = np.rint(top + (bottom - top) * share).astype(np.uint8)
    return shades


def _colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _stamp(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Write TEST, black on white, at the bottom, where the picture is large enough to hold it; say where it stands."""
    import numpy as np

    height, width, _ = pixels.shape
    written = np.zeros((height, width), bool)
    dot = min(width // 32, height // 32)
    if dot < 1:
        return written
    dots = np.array([[char == "#" for char in row] for row in _STAMP])
    board = np.pad(dots, 1)  # a white margin of one dot
    letters = np.where(board.repeat(dot, 0).repeat(dot, 1), 0, 255).astype(np.uint8)
    tall, wide = letters.shape
    left = (width - wide) // 2
    pixels[height - tall : height, left : left + wide] = letters[:, :, None]
    written[height - tall : height, left : left + wide] = True
    return written
