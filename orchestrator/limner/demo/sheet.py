"""A contact sheet: each picture enlarged, beside its true size, with what it is written under it.

A montage for looking at; it is no signed picture itself.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

_EDGE, _GAP, _TEXT, _HEAD = 192, 14, 40, 64
_DENIED = "#c62828"
_INK, _FAINT, _PAPER, _CARD = "#1c1c1e", "#6e6e73", "#ffffff", "#f5f5f7"


@dataclass(frozen=True)
class Tile:
    """One picture of the sheet: its encoded bytes, a caption, and a second, fainter line; a denied one is crossed."""

    data: bytes
    caption: str
    note: str
    denied: bool = False


def draw_sheet(tiles: Sequence[Tile], path: Path, *, title: str, columns: int = 4) -> Path:
    """Write the sheet as PNG: every picture enlarged with Lanczos to 192 pixels, its true size at its lower right."""
    from PIL import Image, ImageDraw

    rows = -(-len(tiles) // columns)
    width = columns * (_EDGE + 64 + 2 * _GAP) + _GAP
    height = _HEAD + rows * (_EDGE + _TEXT + 2 * _GAP)
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 12), title, fill=_INK, font=_font(22))
    draw.text((_GAP, 40), "large: enlarged with Lanczos; small: true size", fill=_FAINT, font=_font(13))
    for place, tile in enumerate(tiles):
        column, row = place % columns, place // columns
        corner = (_GAP + column * (_EDGE + 64 + 2 * _GAP), _HEAD + row * (_EDGE + _TEXT + 2 * _GAP))
        _draw_tile(sheet, tile, corner)
    sheet.save(path, optimize=True)
    return path


def _draw_tile(sheet: Image, tile: Tile, corner: tuple[int, int]) -> None:
    from PIL import Image, ImageDraw

    left, top = corner
    draw = ImageDraw.Draw(sheet)
    draw.rounded_rectangle((left, top, left + _EDGE + 64 + _GAP, top + _EDGE + _TEXT + 8), radius=10, fill=_CARD)
    with Image.open(io.BytesIO(tile.data)) as picture:
        small = picture.convert("RGB")
    sheet.paste(small.resize((_EDGE, _EDGE), Image.Resampling.LANCZOS), (left + 4, top + 4))
    sheet.paste(small, (left + _EDGE + 10, top + _EDGE + 4 - small.height))
    if tile.denied:
        draw.rectangle((left + 4, top + 4, left + 3 + _EDGE, top + 3 + _EDGE), outline=_DENIED, width=5)
        draw.line((left + 6, top + 6, left + _EDGE, top + _EDGE), fill=_DENIED, width=5)
    draw.text((left + 8, top + _EDGE + 8), tile.caption, fill=_INK, font=_font(16))
    draw.text((left + 8, top + _EDGE + 28), tile.note, fill=_FAINT, font=_font(12))


def _font(size: int) -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)
