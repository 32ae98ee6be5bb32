"""Audit reports: a log that proved itself, turned into tables and figures that can be recomputed by plain SQL.

Reads only; must not know providers, and judges nothing. Needs the extra `notebooks` from `read_history` on.

    integrity = examine(config)              # the whole log checked first
    history = read_history(integrity, since="2026-11-01")      # refuses a log that is not clean
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner.report.errors import LogNotClean, ReportError
    from limner.report.history import History, read_history
    from limner.report.integrity import Integrity, examine
    from limner.report.pictures import Wall, open_pictures
    from limner.report.sample import log_or_sample, make_sample
    from limner.report.selection import Selection

__all__ = [
    "History",
    "Integrity",
    "LogNotClean",
    "ReportError",
    "Selection",
    "Wall",
    "examine",
    "log_or_sample",
    "make_sample",
    "open_pictures",
    "read_history",
]

_WHERE = {
    "History": "history",
    "Integrity": "integrity",
    "LogNotClean": "errors",
    "ReportError": "errors",
    "Selection": "selection",
    "Wall": "pictures",
    "examine": "integrity",
    "log_or_sample": "sample",
    "make_sample": "sample",
    "open_pictures": "pictures",
    "read_history": "history",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        message = f"module 'limner.report' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"limner.report.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return __all__
