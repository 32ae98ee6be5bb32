"""The heavy libraries of a report, imported when first used; a missing one is an error that names the extra."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from limner.report.errors import ExtraMissing


def polars() -> Any:
    """Give polars.

    Raises:
        ExtraMissing: it is not installed.
    """
    return _load("polars", "polars")


def matplotlib(module: str) -> Any:
    """Give a module of matplotlib, e.g. `figure`.

    Raises:
        ExtraMissing: it is not installed.
    """
    return _load(f"matplotlib.{module}", "matplotlib")


def _load(module: str, library: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ExtraMissing(library) from error
