"""The wall of pictures: each with seed, verdict, record and credentials; what cannot be shown is a tile saying why."""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING, Any

from limner.report.libraries import matplotlib
from limner.report.style import COLOURS, INK, SOFT, WIDTH, Chart, count, label, new_chart

if TYPE_CHECKING:
    from limner.report.pictures import Picture, Wall

_COLUMNS = 8
_TILE, _TEXT, _GAP = 0.94, 0.64, 0.14  # inches: the picture, the four lines below it, the gap to the next
_TOLD = {
    "erased": "erased\nas the log says",
    "withheld": "withheld\nby policy",
    "not opened": "not opened\nno key here",
    "broken": "BROKEN\ncannot be read",
    "not sealed": "not sealed",
}


def picture_wall(wall: Wall) -> Chart:
    """Draw the pictures of a wall, each of its true pixels enlarged by whole pixels."""
    rows = max(1, -(-len(wall.pictures) // _COLUMNS))
    height = rows * (_TILE + _TEXT + _GAP)
    chart, axes = new_chart(_title(wall), _note(wall), height=height)
    axes.set_axis_off()
    # One inch is one unit, from the top.
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    for number, picture in enumerate(wall.pictures):
        row, column = divmod(number, _COLUMNS)
        _tile(axes, picture, 0.04 + column * (_TILE + _GAP + 0.06), row * (_TILE + _TEXT + _GAP))
    return chart


def _title(wall: Wall) -> str:
    found = Counter(picture.state for picture in wall.pictures)
    good = sum(p.credentials is not None and p.credentials.state in {"trusted", "valid"} for p in wall.pictures)
    said = f"{good:,} of {count(found['opened'], 'opened picture')} carry credentials that hold"
    others = [f"{found[state]:,} {state}" for state in ("withheld", "erased", "not opened", "broken") if found[state]]
    return f"{said}; {', '.join(others)}" if others else said


def _note(wall: Wall) -> str:
    said = (
        "Sealed pictures, decrypted from the store, enlarged without smoothing; below each: seed, verdict, end of the "
        "record's id, provider, credentials."
    )
    return f"{said} {count(wall.not_shown, 'older picture')} not shown." if wall.not_shown else said


def _tile(axes: Any, picture: Picture, x: float, y: float) -> None:
    colour = COLOURS.get(picture.verdict or "", SOFT)
    if picture.data:
        axes.imshow(_pixels(picture.data), extent=(x, x + _TILE, y + _TILE, y), interpolation="nearest", aspect="auto")
    else:
        _text(
            axes, x + _TILE / 2, y + _TILE / 2, _TOLD.get(picture.state, picture.state), INK, ha="center", va="center"
        )
    _frame(axes, x, y, colour, dashed=not picture.data)
    seed = f"seed {picture.seed}" if picture.seed is not None else "no seed"
    verdict = label(picture.verdict or "not judged")
    lines = (seed, f"{verdict} · …{picture.record[-6:]}/{picture.image}", picture.provider[:18], _credentials(picture))
    for number, line in enumerate(lines):
        _text(axes, x, y + _TILE + 0.05 + 0.14 * number, line, INK if number == 0 else SOFT)


def _credentials(picture: Picture) -> str:
    if picture.credentials is None:
        return "never signed" if picture.state in {"withheld", "not sealed"} else "not checked"
    return picture.credentials.state + (" (dev)" if picture.credentials.development else "")


def _frame(axes: Any, x: float, y: float, colour: str, *, dashed: bool) -> None:
    style = (0, (3, 2)) if dashed else "-"
    box = matplotlib("patches").Rectangle(
        (x, y), _TILE, _TILE, fill=False, edgecolor=colour, linewidth=1.6, linestyle=style
    )
    axes.add_patch(box)


def _text(axes: Any, x: float, y: float, text: str, colour: str, *, ha: str = "left", va: str = "top") -> None:
    axes.text(x, y, text, fontsize=7.2, color=colour, ha=ha, va=va, linespacing=1.3)


def _pixels(data: bytes) -> Any:
    import numpy
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        picture = image.convert("RGB")
        if max(picture.size) > 256:
            picture.thumbnail((256, 256))
        return numpy.asarray(picture)
