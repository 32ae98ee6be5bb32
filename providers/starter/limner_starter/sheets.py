"""Lays pictures out with readable labels, and says in the sheet how much they were enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from limner_starter.pictures import Pixels
from limner_starter.recipe import PICTURE
from limner_starter.workspace import replaced

_MARGIN = 6
_LABEL = 30
_TITLE = 30


@dataclass(frozen=True)
class Cell:
    """One labelled group of pictures that stand side by side."""

    label: str
    pictures: Sequence[Pixels]
    wrong: bool = False


def write_sheet(file: Path, cells: Sequence[Cell], *, title: str, columns: int, enlarge: float) -> None:
    """Writes a PNG: ``columns`` cells a row, pictures enlarged by ``enlarge`` with Lanczos, wrong ones framed red."""
    side = round(PICTURE * enlarge)
    width = side * len(cells[0].pictures) + _MARGIN
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * width + _MARGIN, _TITLE + rows * (side + _LABEL) + _MARGIN), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, 6), title, fill="black", font=ImageFont.load_default(15))
    for number, cell in enumerate(cells):
        left, top = _MARGIN + number % columns * width, _TITLE + number // columns * (side + _LABEL)
        _draw(sheet, pen, cell, (left, top), side)
    with replaced(file) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)


def _draw(sheet: Image.Image, pen: ImageDraw.ImageDraw, cell: Cell, corner: tuple[int, int], side: int) -> None:
    left, top = corner
    for offset, picture in enumerate(cell.pictures):
        large = Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)
        sheet.paste(large, (left + offset * side, top))
    colour = "#c00000" if cell.wrong else "black"
    width = side * len(cell.pictures)
    if cell.wrong:
        pen.rectangle((left, top, left + width - 1, top + side - 1), outline=colour, width=2)
    font = ImageFont.load_default(11)
    for line, text in enumerate(_wrapped(cell.label, font, width)[:2]):
        pen.text((left + 1, top + side + 1 + 13 * line), text, fill=colour, font=font)


def _wrapped(label: str, font: Any, width: int) -> list[str]:
    lines = [""]
    for word in label.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
