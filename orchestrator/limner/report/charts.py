"""Figures of requests and policy: when, how they ended, what was decided, which rules fired; titles say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from limner.report import numbers
from limner.report.libraries import matplotlib, polars
from limner.report.style import COLOURS, FAINT, INK, SOFT, Chart, count, label, new_chart, percent

if TYPE_CHECKING:
    from limner.report.history import History

_DAYS = {"s": 1 / 86_400, "m": 1 / 1_440, "h": 1 / 24, "d": 1.0, "w": 7.0}
_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week"}


def requests_over_time(history: History) -> Chart:
    """Draw requests by the time they were accepted, stacked by outcome."""
    counted, total = numbers.over_time(history), history.requests.height
    width = numbers.bucket(history)
    per = f"{_UNITS[width[-1]]}" if width[:-1] == "1" else f"{width[:-1]} {_UNITS[width[-1]]}s"
    chart, axes = new_chart(_outcome_title(history), f"Requests accepted per {per}, by how they ended", height=2.7)
    starts = counted["start"].unique().sort()
    days = int(width[:-1]) * _DAYS[width[-1]]
    bottom = dict.fromkeys(starts, 0)
    for outcome in numbers.OUTCOMES:
        rows = counted.filter(polars().col("outcome") == outcome)
        if rows.is_empty():
            continue
        where, heights = rows["start"].to_list(), rows["requests"].to_list()
        base = [bottom[start] for start in where]
        name = f"{label(outcome)}  {sum(heights):,}"
        axes.bar(where, heights, days * 0.9, bottom=base, align="edge", color=COLOURS[outcome], label=name)
        for start, height in zip(where, heights, strict=True):
            bottom[start] += height
    _time_axis(axes)
    axes.set_ylabel("requests")
    axes.yaxis.get_major_locator().set_params(integer=True)
    if not total:
        axes.set_xticks([])  # an axis without dates would begin in 1970
    else:
        axes.legend(
            loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0, handlelength=1, fontsize=9, frameon=False
        )
    return chart


def _outcome_title(history: History) -> str:
    ended = dict(numbers.outcomes(history).select("outcome", "requests").rows())
    total = history.requests.height
    others = [f"{ended[name]:,} {label(name)}" for name in numbers.OUTCOMES[1:] if ended.get(name)]
    said = f"{ended.get('delivered', 0):,} of {count(total, 'request')} delivered"
    return f"{said}; {', '.join(others)}" if others else said


def _time_axis(axes: Any) -> None:
    dates = matplotlib("dates")
    locator = dates.AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    axes.set_xlabel("accepted (UTC)")
    axes.grid(axis="y")


def verdicts_by_stage(history: History) -> Chart:
    """Draw how judgements of each stage came out, as shares of that stage."""
    counted = numbers.verdicts(history)
    stages = [stage for stage in numbers.STAGES if stage in counted["stage"].to_list()]
    note = "Judgements by verdict, as a share of each stage; a request is judged, then each candidate, then each image"
    chart, axes = new_chart(_verdict_title(counted), note, height=0.8 + 0.5 * max(1, len(stages)))
    found = {(stage, verdict): number for stage, verdict, number in counted.rows()}
    for row, stage in enumerate(stages):
        total, left = sum(found.get((stage, v), 0) for v in numbers.VERDICTS), 0.0
        for verdict in numbers.VERDICTS:
            number = found.get((stage, verdict), 0)
            axes.barh(row, number / total, 0.62, left=left, color=COLOURS[verdict])
            if number / total > 0.03:
                colour = INK if verdict in {"review", "allow_with_duties"} else "white"
                text = f"{label(verdict)} {number:,}" if number / total > 0.14 else f"{number:,}"
                axes.text(left + number / total / 2, row, text, ha="center", va="center", color=colour, fontsize=9)
            left += number / total
    names = [f"{stage}\n{sum(found.get((stage, v), 0) for v in numbers.VERDICTS):,}" for stage in stages]
    axes.set_yticks(range(len(stages)), names, color=INK)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(matplotlib("ticker").PercentFormatter(1.0))
    axes.set_xlabel("share of the stage's judgements")
    _verdict_legend(chart, {verdict for (_, verdict) in found})
    return chart


def _verdict_title(counted: Any) -> str:
    col = polars().col
    denied = counted.filter(col("verdict") == "deny")["judgements"].sum()
    review = counted.filter(col("verdict") == "review")["judgements"].sum()
    total = counted["judgements"].sum()
    return f"Policy denied {count(denied, 'judgement')} of {total:,} and asked for a person in {review:,}"


def _verdict_legend(chart: Chart, used: set[str]) -> None:
    patch = matplotlib("patches").Patch
    handles = [patch(color=COLOURS[name], label=label(name)) for name in numbers.VERDICTS if name in used]
    if handles:
        chart.figure.legend(
            handles=handles, loc="outside lower right", ncols=len(handles), handlelength=1, fontsize=8.5, frameon=False
        )


def rules_that_fired(history: History, *, limit: int = 20) -> Chart:
    """Draw how often each rule fired; open bars are rules that only record; rules that never fired stay as 0."""
    counted = numbers.rule_firings(history).head(limit)
    fired = numbers.rule_firings(history)
    quiet = fired.filter(polars().col("fired") == 0).height
    note = "Times each rule fired, and its share of the stage's judgements; open bars: audit or warn, recorded only"
    chart, axes = new_chart(_rule_title(fired, quiet), note, height=0.8 + 0.32 * max(2, counted.height))
    for row, rule in enumerate(counted.iter_rows(named=True)):
        colour, enforced = COLOURS[rule["verdict"]], rule["mode"] == "enforce"
        axes.barh(row, rule["fired"], 0.6, color=colour if enforced else "white", edgecolor=colour, linewidth=1.4)
        share = f"{rule['fired']:,}   {percent(rule['share'])} of {rule['stage']}s" if rule["fired"] else "never fired"
        _beside(axes, rule["fired"], row, share)
    names = [_rule_name(rule) for rule in counted.iter_rows(named=True)]
    axes.set_yticks(range(len(names)), names, color=INK, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, max([*counted["fired"].to_list(), 1]) * 1.3)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("hits")
    axes.grid(axis="x", color=FAINT)
    _verdict_legend(chart, set(counted["verdict"].to_list()))
    return chart


def _beside(axes: Any, at: float, row: int, text: str) -> None:
    """Write beside the end of a bar."""
    axes.annotate(text, (at, row), (6, 0), textcoords="offset points", va="center", fontsize=8.5, color=SOFT)


def _rule_name(rule: dict[str, Any]) -> str:
    title = rule["title"] or ""
    return f"{rule['rule']}  {title if len(title) <= 44 else title[:43] + '…'}"


def _rule_title(fired: Any, quiet: int) -> str:
    active = fired.filter(polars().col("fired") > 0)
    if active.is_empty():
        return f"None of {count(fired.height, 'rule')} fired"
    decided = active["decided"].sum()
    silent = f"; {count(quiet, 'rule')} never fired" if quiet else ""
    return f"{count(active.height, 'rule')} fired and decided {count(decided, 'time')}{silent}"
