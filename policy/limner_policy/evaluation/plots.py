"""Plots as SVG that stands in a page: no file, no script, the same bytes each time, texts as texts.

matplotlib draws them (extra `evaluation`). Colours are told apart without seeing red and green, and never alone say it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from limner_policy.errors import EvaluationUnavailable
from limner_policy.evaluation.analysing import Analysis
from limner_policy.evaluation.curves import Numbers, Ranking
from limner_policy.evaluation.reliability import Bin
from limner_policy.evaluation.thresholds import Band
from limner_policy.evaluation.wording import short
from limner_policy.tools.page import text

INK, SOFT, LINE = "#1c1b19", "#66625a", "#d9d4c8"
BLUE, ORANGE, GREEN = "#1f5a8c", "#c4621a", "#3c7a4c"
_POINTS = 200
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "limner",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "grid.color": LINE,
    "figure.facecolor": "none",
    "axes.facecolor": "#ffffff",
}


def curves(one: Analysis, number: int) -> str:
    """Four plots of a category: scores by label, trade-off of recall and precision, ROC, reliability."""
    known = one.column.known
    ranking = Ranking(known.scores, known.labels).weighted(np.ones(len(known)))
    with _style():
        figure, axes = _figure(2, 2, (8.6, 6.6))
        _histogram(axes[0][0], one)
        _precision_recall(axes[0][1], ranking.found[0], ranking.wrong[0], float(known.labels.mean()))
        _roc(axes[1][0], ranking.found[0], ranking.wrong[0])
        _reliability(axes[1][1], one)
        return _svg(figure, number, f"{one.target}: scores by label, precision and recall, ROC curve, reliability")


def slices(one: Analysis, number: int) -> str:
    """Recall and false positive rate with their intervals, a row a slice; empty where no slice has figures."""
    rows = [("all", one.whole), *((f"{name}: {value}", part) for name, value, part in one.slices)]
    threshold = one.thresholds[-1]
    shown = [(name, part.at[threshold]) for name, part in rows if threshold in part.at]
    if len(shown) < 2:
        return ""
    names = [name for name, _ in shown]
    with _style():
        figure, axes = _figure(1, 2, (8.6, 0.9 + 0.28 * len(shown)), sharey=True)
        _intervals(axes[0][0], f"recall at {short(threshold)}", names, [w.recall for _, w in shown], colour=BLUE)
        title = f"false positive rate at {short(threshold)}"
        _intervals(axes[0][1], title, names, [w.fpr for _, w in shown], colour=BLUE)
        return _svg(figure, number, f"{one.target}: recall and false positive rate by slice")


def robustness(one: Analysis, number: int) -> str:
    """What each change moves recall and F1 by, with intervals."""
    shown = [found for found in one.robustness if not found.counts.too_few]
    if not shown:
        return ""
    at, names = short(shown[0].threshold), [found.change for found in shown]
    with _style():
        figure, axes = _figure(1, 2, (8.6, 0.9 + 0.28 * len(shown)), sharey=True)
        for place, name in enumerate(("recall", "f1")):
            figures = [found.moved[name] for found in shown]
            title = f"change of {name.replace('f1', 'F1')} at {at}"
            _intervals(axes[0][place], title, names, figures, colour=ORANGE, zero=True)
        return _svg(figure, number, f"{one.target}: what changes of a picture do to recall and F1")


@contextmanager
def _style() -> Iterator[None]:
    try:
        import matplotlib
    except ImportError as error:
        raise EvaluationUnavailable(
            f"plotting needs {error.name}, which is not installed.",
            remedy="Install it: pip install 'limner[evaluation]'.",
        ) from None
    with matplotlib.rc_context(_SETTINGS):
        yield


def _figure(rows: int, columns: int, size: tuple[float, float], **more: Any) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size)
    # Margins by hand, in inches: matplotlib's own layout costs as much as drawing.
    width, height = size
    left, top, bottom, between = (2.3 if rows == 1 else 0.6), 0.35, 0.5, 0.75
    figure.subplots_adjust(
        left=left / width,
        right=1 - 0.1 / width,
        top=1 - top / height,
        bottom=(bottom if rows > 1 else 0.35) / height,
        wspace=0.06 if rows == 1 else 0.2,
        hspace=between * rows / (height - top - bottom - between),
    )
    return figure, figure.subplots(rows, columns, squeeze=False, **more)


def _svg(figure: Any, number: int, described: str) -> str:
    """The figure as an element; ids get the figure's number, since several stand in one page."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawn = file.getvalue()
    drawn = drawn[drawn.index("<svg") :].strip()
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r'\bid="', f'id="p{number}-', drawn)
    drawn = re.sub(r'(url\(#|href="#)', rf"\g<1>p{number}-", drawn)
    head = f'<svg role="img" aria-label="{text(described)}"'
    return re.sub(r"^<svg", head, drawn, count=1)


def _histogram(axes: Any, one: Analysis) -> None:
    known = one.column.known
    edges = np.linspace(0, 1, 21)
    for labels, colour, name in ((~known.labels, BLUE, "not it"), (known.labels, ORANGE, "it")):
        shares = np.histogram(known.scores[labels], edges)[0] / max(int(labels.sum()), 1)
        axes.stairs(shares, edges, color=colour, fill=True, alpha=0.35)
        axes.stairs(shares, edges, color=colour, linewidth=1.4, label=name, linestyle="-" if name == "it" else "--")
    for threshold in one.thresholds:
        axes.axvline(threshold, color=INK, linewidth=1)
    if isinstance(one.band, Band):
        axes.axvspan(
            one.band.low or 0, one.band.high or 1, color="#d8b24a", alpha=0.25, linewidth=0, label="review band"
        )
    axes.set(title="Scores by label", xlabel="score", ylabel="share of the label's pictures", xlim=(0, 1))
    axes.legend(frameon=False, loc="upper center")


def _precision_recall(axes: Any, found: Numbers, wrong: Numbers, base: float) -> None:
    recall, precision = found / found[-1], found / (found + wrong)
    some = _thinned(len(recall))
    axes.step(np.append(0, recall[some]), np.append(precision[0], precision[some]), where="post", color=BLUE)
    axes.axhline(base, color=SOFT, linewidth=1, linestyle=":", label="flagging everything")
    axes.set(title="Precision by recall", xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.03))
    axes.grid(visible=True)
    axes.legend(frameon=False, loc="lower left")


def _roc(axes: Any, found: Numbers, wrong: Numbers) -> None:
    some = _thinned(len(found))
    axes.plot(np.append(0, (wrong / wrong[-1])[some]), np.append(0, (found / found[-1])[some]), color=BLUE)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=":", label="chance")
    axes.set(title="ROC", xlabel="false positive rate", ylabel="recall", xlim=(-0.01, 1), ylim=(0, 1.03))
    axes.grid(visible=True)
    axes.legend(frameon=False, loc="lower right")


def _thinned(count: int) -> Any:
    return np.unique(np.linspace(0, count - 1, min(count, _POINTS)).astype(int))


def _reliability(axes: Any, one: Analysis) -> None:
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=":", label="perfect")
    shown: list[tuple[str, Sequence[Bin], str, str]] = []
    if one.reliability is not None:
        shown.append(("as scored", one.reliability.bins, ORANGE, "o--"))
    if one.calibration is not None:
        shown.append((f"calibrated ({one.calibration.method})", one.calibration.reliability.bins, GREEN, "s-"))
    for name, bins, colour, style in shown:
        axes.plot([b.score for b in bins], [b.share for b in bins], style, color=colour, markersize=4, label=name)
    axes.set(title="Reliability", xlabel="score", ylabel="share that is it", xlim=(0, 1), ylim=(-0.02, 1.02))
    axes.grid(visible=True)
    axes.legend(frameon=False, loc="upper left")


def _intervals(
    axes: Any, title: str, names: Sequence[str], figures: Sequence[Any], *, colour: str, zero: bool = False
) -> None:
    for place, one in enumerate(figures):
        if one.value is None:
            continue
        if one.low is not None:
            axes.plot([one.low, one.high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot([one.value], [place], "o", color=colour, markersize=5)
    if zero:
        axes.axvline(0, color=INK, linewidth=1)
    else:
        axes.set_xlim(-0.02, 1.02)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_title(title)
    axes.grid(visible=True, axis="x")
