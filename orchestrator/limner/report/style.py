"""How the report's figures look: one restrained style, one colour for each verdict and outcome everywhere.

The colours are Okabe and Ito's, told apart by colour-blind eyes. Knows no data.
"""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limner.report.libraries import matplotlib

COLOURS = {
    "allow": "#009E73",
    "allow_with_duties": "#56B4E9",
    "review": "#E69F00",
    "deny": "#D55E00",
    "delivered": "#009E73",
    "denied": "#D55E00",
    "in_review": "#E69F00",
    "failed": "#CC79A7",
    "unknown": "#3D3D3D",
    "cancelled": "#A8A8A8",
    "unfinished": "#F0E442",
}
INK, SOFT, FAINT, BLUE = "#222222", "#6B6B6B", "#E4E4E4", "#0072B2"
LABELS = {
    "allow": "allow",
    "allow_with_duties": "allow with duties",
    "review": "review",
    "deny": "deny",
    "in_review": "waiting for review",
    "unknown": "unknown outcome",
}
WIDTH = 9.2
_TITLE_LINE, _NOTE_LINE = 84, 125
_DENSE = 2
"""Pixels of a notebook's picture for each pixel it is shown at."""
_RC = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "svg.hashsalt": "limner",
}


@dataclass(frozen=True)
class Chart:
    """A finished figure; a notebook shows it as a picture.

    Attributes:
        title: The finding it states, which is its text for those who cannot see it.
        figure: The matplotlib figure.
    """

    title: str
    figure: Any = field(repr=False)

    def png(self, *, dpi: int = 130) -> bytes:
        """Give the figure as PNG."""
        out = io.BytesIO()
        with matplotlib("pyplot").rc_context(_RC):
            self.figure.savefig(out, format="png", dpi=dpi, facecolor="white", bbox_inches="tight", pad_inches=0.12)
        return out.getvalue()

    def save(self, path: str | Path) -> Path:
        """Write the PNG to a file."""
        path = Path(path)
        path.write_bytes(self.png())
        return path

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Give a notebook the picture, and the width to show it at: sharp on dense screens."""
        data = self.png(dpi=_DENSE * 100)
        return data, {"width": int.from_bytes(data[16:20]) // _DENSE}


def new_chart(title: str, note: str, *, height: float, columns: int = 1) -> tuple[Chart, Any]:
    """Begin a figure: its finding as title, below it in grey what is shown and counted; give it with its axes.

    Args:
        title: The finding, one sentence.
        note: What is counted, and of how many.
        height: Inches below the titles; the width is 9.2.
        columns: Axes beside one another; one gives the axes, more give a list.
    """
    lines = textwrap.wrap(title, _TITLE_LINE) or [""]
    notes = textwrap.wrap(note, _NOTE_LINE)
    head = 0.1 + 0.24 * len(lines) + 0.18 * len(notes) + 0.08
    height += head
    with matplotlib("pyplot").rc_context(_RC):
        figure = matplotlib("figure").Figure(figsize=(WIDTH, height), layout="constrained")
        figure.get_layout_engine().set(rect=(0, 0, 1, 1 - head / height))
        matplotlib("backends.backend_agg").FigureCanvasAgg(figure)
        axes = figure.subplots(1, columns)
    place = {"x": 0.004, "ha": "left", "va": "top", "linespacing": 1.25}
    figure.text(y=1 - 0.08 / height, s="\n".join(lines), fontsize=12.5, fontweight="bold", color=INK, **place)
    below = 1 - (0.1 + 0.24 * len(lines)) / height
    figure.text(y=below, s="\n".join(notes), fontsize=9, color=SOFT, **place)
    return Chart(title, figure), axes


def label(name: str) -> str:
    """Give the word that a reader sees."""
    return LABELS.get(name, name)


def percent(share: float) -> str:
    """Write a share of 0 to 1; a small one is never written as 0 %."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"


def count(number: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
