"""Every number of the report: one function each, from a history to a small polars table.

The tests recompute each of them by plain SQL on the same database. Draws nothing.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from limner.report.durations import STEPS
from limner.report.libraries import polars

if TYPE_CHECKING:
    from limner.report.history import History

OUTCOMES = ("delivered", "denied", "in_review", "failed", "unknown", "cancelled", "unfinished")
VERDICTS = ("allow", "allow_with_duties", "review", "deny")
STAGES = ("request", "candidate", "image", "release")

_BUCKETS = tuple(
    (timedelta(seconds=seconds), every)
    for seconds, every in (
        (1, "1s"), (5, "5s"), (15, "15s"), (60, "1m"), (300, "5m"), (900, "15m"), (3600, "1h"), (21_600, "6h"),
        (86_400, "1d"), (604_800, "1w"),
    )
)  # fmt: skip
_BARS = 48


def outcomes(history: History) -> Any:
    """Count requests by how they ended: outcome, requests, share (0 to 1)."""
    return _with_share(_counted(history.requests, "outcome", OUTCOMES, "requests"), "requests")


def bucket(history: History) -> str:
    """Give the width of a bar of time, as polars writes durations, so that at most 48 cover the requests."""
    if history.requests.is_empty():
        return "1d"
    span = history.requests["accepted"].max() - history.requests["accepted"].min()
    return next((every for width, every in _BUCKETS if span <= width * _BARS), "4w")


def over_time(history: History) -> Any:
    """Count requests by the time they were accepted and their outcome: start (UTC), outcome, requests."""
    pl = polars()
    started = pl.col("accepted").dt.truncate(bucket(history)).alias("start")
    counted = history.requests.group_by(started, "outcome").agg(pl.len().cast(pl.Int64).alias("requests"))
    return counted.sort("start", "outcome")


def verdicts(history: History) -> Any:
    """Count judgements by stage and verdict: stage, verdict, judgements."""
    pl = polars()
    counted = history.judgements.group_by("stage", "verdict").agg(pl.len().cast(pl.Int64).alias("judgements"))
    order = pl.Enum(VERDICTS)
    return counted.sort(pl.col("stage").cast(pl.Enum(STAGES)), pl.col("verdict").cast(order))


def rule_firings(history: History) -> Any:
    """Count how often each rule fired: pack, rule, title, stage, mode, verdict, fired, decided, share.

    `decided` counts hits that took part in a decision (`audit` and `warn` rules never do); `share` is fired over all
    judgements of that stage, 0 to 1. Rules that were in force and never fired are there with 0.
    """
    pl = polars()
    by = ["pack", "rule", "stage", "mode", "verdict"]
    known = history.rules.unique(subset=by, keep="last", maintain_order=True)
    fired = history.hits.group_by(by).agg(
        pl.len().cast(pl.Int64).alias("fired"), pl.col("combined").sum().cast(pl.Int64).alias("decided")
    )
    quiet = known.filter(pl.col("mode") != "off").join(fired, on=["pack", "rule", "mode"], how="anti").select(by)
    zero = quiet.with_columns(fired=pl.lit(0, pl.Int64), decided=pl.lit(0, pl.Int64))
    titles = known.unique(subset=["pack", "rule"], keep="last").select("pack", "rule", "title")
    looked_at = history.judgements.group_by("stage").agg(pl.len().alias("of"))
    joined = pl.concat([fired, zero]).join(titles, on=["pack", "rule"], how="left")
    joined = joined.join(looked_at, on="stage", how="left")
    share = (pl.col("fired") / pl.col("of")).fill_null(0.0).alias("share")
    columns = ("pack", "rule", "title", "stage", "mode", "verdict", "fired", "decided")
    return joined.select(*columns, share).sort(["fired", "rule", "pack"], descending=[True, False, False])


def models(history: History) -> Any:
    """Sum up engines and models: provider, kind, model, sha256, licence, attempts, produced, images, delivered."""
    pl = polars()
    by = ["provider", "kind", "model"]
    asked = history.attempts.group_by(by).agg(
        pl.col("sha256").drop_nulls().unique().sort().str.join(", ").alias("sha256"),
        pl.col("licence").drop_nulls().unique().sort().str.join(", ").alias("licence"),
        pl.len().cast(pl.Int64).alias("attempts"),
        (pl.col("outcome") == "produced").sum().cast(pl.Int64).alias("produced"),
    )
    drawn = history.images.group_by("provider", "model").agg(
        pl.len().cast(pl.Int64).alias("images"), pl.col("delivered").sum().cast(pl.Int64).alias("delivered")
    )
    joined = asked.join(drawn, on=["provider", "model"], how="left").with_columns(
        pl.col("images", "delivered").fill_null(0),
        pl.col("sha256", "licence").replace("", None),
    )
    return joined.sort("images", "provider", descending=[True, False])


def seeds(history: History) -> Any:
    """List the pictures with what makes them again: record, image, seed, provider, model, sha256, size, …, again.

    `again` is true where seed and model digest are both known; without either nobody can promise the same picture.
    """
    pl = polars()
    digests = history.attempts.filter(pl.col("outcome") == "produced").select("record", "sha256")
    joined = history.images.join(digests.unique(subset=["record"], keep="last"), on="record", how="left")
    again = (pl.col("seed").is_not_null() & pl.col("sha256").is_not_null()).alias("again")
    columns = ("record", "image", "seed", "provider", "model", "sha256", "size", "verdict", "delivered")
    return joined.select(*columns, again).sort("record", "image")


def costs(history: History) -> Any:
    """Sum up money: currency, amount (exact decimal text), attempts; one row a currency, never one for all.

    Attempts whose cost nobody named are the row `unknown` with no amount: unknown is not 0. Attempts that are known to
    have billed nothing (never sent) are the row `nothing`.
    """
    pl = polars()
    sums: dict[str, tuple[Decimal, int]] = {}
    for amount, currency in history.attempts.filter(pl.col("billing") == "known").select("amount", "currency").rows():
        total, count = sums.get(currency, (Decimal(0), 0))
        sums[currency] = (total + Decimal(amount), count + 1)
    rows: list[tuple[str, str | None, int]] = [(c, str(total), count) for c, (total, count) in sorted(sums.items())]
    counted = history.attempts["billing"]
    rows += [(billing, None, int((counted == billing).sum())) for billing in ("unknown", "nothing")]
    return pl.DataFrame(rows, schema={"currency": pl.String, "amount": pl.String, "attempts": pl.Int64}, orient="row")


def step_times(history: History) -> Any:
    """Sum up where requests spent their time: step, requests, median_ms, p95_ms, total_ms, share (0 to 1)."""
    pl = polars()
    each = history.steps.group_by("record", "step").agg(pl.col("us").sum())
    summed = _spread(each, "step").with_columns(pl.col("step").cast(pl.Enum(STEPS)))
    return _with_share(summed.sort("step"), "total_ms")


def part_times(history: History) -> Any:
    """Sum up the durations that engines and detectors state: part, requests, median_ms, p95_ms, total_ms."""
    return _spread(history.parts, "part").sort("total_ms", "part", descending=[True, False])


def scores(history: History) -> Any:
    """Sum up the detectors' scores: detector, version, digest, category, images, unknown, lowest, median, highest."""
    pl = polars()
    known = history.evidence.filter(pl.col("detector").is_not_null())
    score = pl.col("score").cast(pl.Float64)
    return (
        known.group_by("detector", "version", "digest", "category")
        .agg(
            pl.len().cast(pl.Int64).alias("images"),
            (pl.col("status") == "unknown").sum().cast(pl.Int64).alias("unknown"),
            score.min().alias("lowest"),
            score.median().alias("median"),
            score.max().alias("highest"),
        )
        .sort("detector", "category", "version")
    )


def claims(history: History) -> Any:
    """Count requests by the tenant that the caller claimed: tenant, requests, delivered, denied, in_review.

    Claims that were erased or cannot be opened are rows of their own, in brackets.
    """
    pl = polars()
    named = pl.when(pl.col("payload") == "opened").then(pl.col("tenant").fill_null("(none claimed)"))
    tenant = named.otherwise(pl.format("({})", "payload")).alias("tenant")
    joined = history.requests.join(history.claims, on="record", how="left").with_columns(tenant)
    return _by_outcome(joined, "tenant")


def purposes(history: History) -> Any:
    """Count requests by the purpose claimed (in clear in entries): purpose, requests, delivered, denied, in_review."""
    pl = polars()
    return _by_outcome(history.requests.with_columns(pl.col("purpose").fill_null("(none claimed)")), "purpose")


def unended(history: History) -> Any:
    """List the requests that did not come to a known end: record, accepted, outcome, state; unknown ones included."""
    pl = polars()
    open_ones = pl.col("outcome").is_in(["unfinished", "unknown", "in_review"])
    return history.requests.filter(open_ones).select("record", "accepted", "outcome", "state", "index").sort("index")


def _counted(rows: Any, column: str, order: tuple[str, ...], name: str) -> Any:
    """Count by a column whose values have an order."""
    pl = polars()
    counted = rows.group_by(column).agg(pl.len().cast(pl.Int64).alias(name))
    return counted.sort(pl.col(column).cast(pl.Enum(order)))


def _with_share(counted: Any, name: str) -> Any:
    pl = polars()
    return counted.with_columns((pl.col(name) / pl.col(name).sum()).fill_nan(0.0).alias("share"))


def _spread(rows: Any, by: str) -> Any:
    """Median, 95th percentile and sum of microseconds, in milliseconds."""
    pl = polars()
    ms = pl.col("us") / 1000
    return (
        rows.filter(pl.col("us").is_not_null())
        .group_by(by)
        .agg(
            pl.len().cast(pl.Int64).alias("requests"),
            ms.median().alias("median_ms"),
            ms.quantile(0.95, "linear").alias("p95_ms"),
            ms.sum().alias("total_ms"),
        )
    )


def _by_outcome(rows: Any, by: str) -> Any:
    pl = polars()
    wanted = ("delivered", "denied", "in_review")
    sums = [(pl.col("outcome") == name).sum().cast(pl.Int64).alias(name) for name in wanted]
    return (
        rows.group_by(by)
        .agg(pl.len().cast(pl.Int64).alias("requests"), *sums)
        .sort("requests", by, descending=[True, False])
    )
