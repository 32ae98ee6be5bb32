"""The columns of the report's tables, so that an empty history has them too. Knows no values."""

from __future__ import annotations

from typing import Any

from limner.report.libraries import polars

_COLUMNS: dict[str, dict[str, str]] = {
    "requests": {
        "record": "String", "index": "Int64", "accepted": "Time", "updated": "Time", "outcome": "String",
        "state": "String", "reason": "String", "refused_at": "String", "refused_by": "String", "task": "String",
        "size": "String", "n": "Int64", "seed_given": "String", "purpose": "String", "audience": "String",
        "region": "String", "irregular": "Int64",
    },
    "judgements": {
        "record": "String", "index": "Int64", "image": "Int64", "candidate": "Int64", "stage": "String",
        "verdict": "String",
    },
    "hits": {
        "record": "String", "index": "Int64", "image": "Int64", "candidate": "Int64", "pack": "String",
        "rule": "String", "stage": "String", "mode": "String", "verdict": "String", "unknown": "Boolean",
        "failed": "Boolean", "combined": "Boolean",
    },
    "attempts": {
        "record": "String", "index": "Int64", "sent": "Time", "provider": "String", "kind": "String",
        "model": "String", "outcome": "String", "error": "String", "billing": "String", "amount": "String",
        "currency": "String", "sha256": "String", "licence": "String",
    },
    "images": {
        "record": "String", "image": "Int64", "seed": "String", "size": "String", "mime": "String",
        "provider": "String", "model": "String", "verdict": "String", "sealed": "Boolean", "sealed_index": "Int64",
        "development": "Boolean", "delivered": "Boolean",
    },
    "steps": {"record": "String", "step": "String", "us": "Int64"},
    "parts": {"record": "String", "part": "String", "us": "Int64"},
    "claims": {
        "record": "String", "payload": "String", "tenant": "String", "user": "String", "project": "String",
    },
    "evidence": {
        "record": "String", "image": "Int64", "payload": "String", "detector": "String", "version": "String",
        "digest": "String", "category": "String", "status": "String", "score": "String",
    },
    "rules": {
        "pack": "String", "version": "String", "sha256": "String", "rule": "String", "title": "String",
        "stage": "String", "mode": "String", "verdict": "String",
    },
    "thresholds": {
        "rule": "String", "detector": "String", "category": "String", "at_least": "String", "mode": "String",
        "verdict": "String",
    },
}  # fmt: skip

TABLES = tuple(_COLUMNS)
"""The names of the tables."""


def frame(table: str, rows: list[dict[str, Any]]) -> Any:
    """Make a polars table of rows: one of `TABLES`, its columns and types always the same; times are UTC."""
    pl = polars()
    columns = _COLUMNS[table]
    schema = {name: pl.String if kind == "Time" else getattr(pl, kind) for name, kind in columns.items()}
    times = [name for name, kind in columns.items() if kind == "Time"]
    made = pl.DataFrame(rows, schema=schema, orient="row")
    return made.with_columns(pl.col(name).str.to_datetime(time_unit="us", time_zone="UTC") for name in times)
