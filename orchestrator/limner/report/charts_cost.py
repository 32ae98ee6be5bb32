"""Figures of time, money and scores: where the time goes, what is known of costs, scores against thresholds."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from limner.report import numbers
from limner.report.libraries import matplotlib, polars
from limner.report.style import BLUE, COLOURS, FAINT, INK, SOFT, Chart, count, new_chart, percent

if TYPE_CHECKING:
    from limner.report.history import History


def where_the_time_goes(history: History) -> Chart:
    """Draw the share of each step in the time of all requests, and each step's spread over the requests."""
    times = numbers.step_times(history)
    title = _time_title(times)
    note = (
        "Left: share of all time between entries. Right: each request's time in a step (dot), the median (line). "
        "“commit” is the wait until entries are safe on the disk."
    )
    chart, (shares, spread) = new_chart(title, note, height=0.7 + 0.34 * max(3, times.height), columns=2)
    names = times["step"].cast(polars().String).to_list()
    for row, step in enumerate(times.iter_rows(named=True)):
        shares.barh(row, step["share"], 0.62, color=BLUE)
        _text(shares, step["share"], row, percent(step["share"]))
        _dots(spread, row, _milliseconds(history, step["step"]))
        spread.plot([step["median_ms"]] * 2, [row - 0.34, row + 0.34], color=INK, linewidth=1.8)
    shares.set_yticks(range(len(names)), names, color=INK)
    spread.set_yticks(range(len(names)), [""] * len(names))
    _rows_from_the_top(shares, spread)
    shares.set_xlim(0, (times["share"].max() or 0.8) * 1.22)
    shares.xaxis.set_major_formatter(matplotlib("ticker").PercentFormatter(1.0, decimals=0))
    shares.xaxis.set_major_locator(matplotlib("ticker").MaxNLocator(5))
    shares.set_xlabel("share of all time")
    spread.set_xscale("log")
    spread.xaxis.set_major_formatter(matplotlib("ticker").FuncFormatter(_duration))
    spread.set_xlabel("time in the step, logarithmic")
    return chart


def _time_title(times: Any) -> str:
    if times.is_empty():
        return "No request has spent any time yet"
    longest = times.sort("share", descending=True).row(0, named=True)
    share, median = percent(longest["share"]), f"{longest['median_ms']:,.0f} ms"
    return f"{share} of the time goes into “{longest['step']}”, {median} in the median"


def _milliseconds(history: History, step: str) -> list[float]:
    col = polars().col
    rows = history.steps.filter((col("step") == step) & col("us").is_not_null())
    each = rows.group_by("record", maintain_order=True).agg(col("us").sum())
    return [max(us, 1) / 1000 for us in each["us"].to_list()]


def _dots(axes: Any, row: int, values: list[float]) -> None:
    """Draw values as dots, spread a little in height by their rank so that they do not cover one another."""
    heights = [row + 0.22 * ((7 * rank % 11) / 5 - 1) for rank in range(len(values))]
    axes.scatter(values, heights, s=14, color=BLUE, alpha=0.5, linewidths=0)


def _duration(ms: float, _position: int) -> str:
    if ms >= 1000:
        return f"{ms / 1000:g} s"
    return f"{ms:g} ms" if ms >= 1 else f"{1000 * ms:g} µs"


def costs_by_currency(history: History) -> Chart:
    """Draw what is known of the costs of attempts: stated in which currency, unknown, or known to be nothing."""
    rows = numbers.costs(history)
    money = rows.filter(polars().col("amount").is_not_null())
    states = dict(rows.filter(polars().col("amount").is_null()).select("currency", "attempts").rows())
    note = "Attempts by what is known of their cost, with the exact sum of each currency; an unknown cost is not 0"
    kinds = [(f"stated in {c}", number, BLUE, f"{Decimal(amount):,f} {c} in all") for c, amount, number in money.rows()]
    kinds += [
        ("unknown", states["unknown"], COLOURS["unknown"], "no price named, or no known outcome"),
        ("nothing was billed", states["nothing"], COLOURS["cancelled"], "never sent, or failed before any work"),
    ]
    chart, axes = new_chart(_cost_title(money, states["unknown"]), note, height=0.7 + 0.36 * len(kinds))
    for row, (_, number, colour, said) in enumerate(kinds):
        axes.barh(row, number, 0.6, color=colour)
        _text(axes, number, row, f"{number:,}   {said}" if number else "0")
    axes.set_yticks(range(len(kinds)), [name for name, *_ in kinds], color=INK)
    axes.set_xlim(0, max(1, *(number for _, number, *_ in kinds)) * 1.7)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("attempts")
    _rows_from_the_top(axes)
    return chart


def _cost_title(money: Any, unknown: int) -> str:
    sums = " and ".join(f"{Decimal(amount):,f} {currency}" for currency, amount, _ in money.rows())
    said = f"{sums} stated" if sums else "No attempt stated a cost"
    return f"{said}; the cost of {count(unknown, 'attempt')} is not known" if unknown else said


def scores_and_thresholds(history: History) -> Chart:
    """Draw each detector's scores, one dot an image in its verdict's colour, and the thresholds of rules."""
    pl = polars()
    known = history.evidence.filter(pl.col("score").is_not_null()).join(
        history.images.select("record", "image", "verdict"), on=["record", "image"], how="left"
    )
    names = known.select("detector", "category").unique().sort("detector", "category").rows()
    chart, axes = new_chart(_score_title(history, known), _score_note(history), height=0.9 + 1.25 * max(1, len(names)))
    for row, (detector, category) in enumerate(names):
        mine = (pl.col("detector") == detector) & (pl.col("category") == category)
        _scores(axes, row, known.filter(mine))
        _thresholds(axes, row, history.thresholds.filter(mine).unique())
    axes.set_yticks(range(len(names)), [f"{d}\n{c}" if d != c else d for d, c in names], color=INK)
    axes.set_ylim(len(names) - 0.35, -0.75)
    axes.set_xscale("log")
    axes.set_xlim(0.0001, 1.15)
    axes.xaxis.set_major_formatter(matplotlib("ticker").FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("score, 0 to 1, logarithmic (scores below 0.0001 stand at the left border)")
    axes.grid(axis="x", color=FAINT)
    return chart


def _scores(axes: Any, row: int, known: Any) -> None:
    for verdict in numbers.VERDICTS:
        some = known.filter(polars().col("verdict") == verdict)["score"].to_list()
        values = [max(float(score), 0.0001) for score in some]
        heights = [row + 0.2 * ((5 * rank % 9) / 4 - 1) for rank in range(len(values))]
        name = f"{verdict.replace('_', ' ')}  {len(values):,}" if row == 0 and values else None
        axes.scatter(values, heights, s=22, color=COLOURS[verdict], alpha=0.75, linewidths=0, label=name)
    if row == 0 and known.height:
        axes.legend(
            title="image's verdict",
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            fontsize=8.5,
            title_fontsize=8.5,
            frameon=False,
        )


def _thresholds(axes: Any, row: int, thresholds: Any) -> None:
    """Draw the thresholds as lines with the rule's name; those that only record are dashed."""
    for place, held in enumerate(thresholds.sort("at_least").iter_rows(named=True)):
        at, line = float(held["at_least"]), "-" if held["mode"] == "enforce" else (0, (3, 2))
        colour = COLOURS[held["verdict"]]
        axes.plot([at, at], [row - 0.42, row + 0.32], color=colour, linestyle=line, linewidth=1.8)
        side = "right" if place % 2 == 0 else "left"
        text = f"{held['rule']} {held['verdict']} ≥ {at:g}" + (
            "" if held["mode"] == "enforce" else f" ({held['mode']})"
        )
        gap = -3 if side == "right" else 3
        axes.annotate(
            text,
            (at, row - 0.42),
            (gap, 2 + 9 * (place // 2)),
            textcoords="offset points",
            ha=side,
            va="bottom",
            fontsize=8,
            color=SOFT,
        )


def _score_title(history: History, known: Any) -> str:
    if known.is_empty():
        return "No detector's score can be shown"
    enforced = history.thresholds.filter(polars().col("mode") == "enforce").unique()
    joined = known.join(enforced, on=["detector", "category"], how="inner")
    reached = joined.filter(
        polars().col("score").cast(polars().Float64) >= polars().col("at_least").cast(polars().Float64)
    )
    over = reached.select("record", "image").unique().height
    images = known.select("record", "image").unique().height
    return f"{over:,} of {count(images, 'scored image')} reached a threshold that is enforced"


def _score_note(history: History) -> str:
    col = polars().col
    closed = history.evidence.filter(col("payload") != "opened").select("record", "image").unique().height
    unknown = history.evidence.filter(col("status") == "unknown").height
    said = ["One dot an image and detector; lines are thresholds of rules, dashed where a rule only records."]
    said += [f"{count(closed, 'image')} not shown: evidence erased or not opened."] if closed else []
    said += [f"{count(unknown, 'score')} unknown: the detector gave none."] if unknown else []
    return " ".join(said)


def _rows_from_the_top(*axes: Any) -> None:
    for one in axes:
        one.invert_yaxis()
        one.grid(axis="x", color=FAINT)


def _text(axes: Any, at: float, row: int, text: str) -> None:
    """Write beside the end of a bar."""
    axes.annotate(text, (at, row), (5, 0), textcoords="offset points", va="center", fontsize=8.5, color=SOFT)
