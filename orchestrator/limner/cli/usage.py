"""Wrong usage: shown by typer for people, in the errors' own shape for scripts."""

from __future__ import annotations

from typing import Any, cast

import typer

from limner.cli.output import emit_json

KIND = cast("type[Exception]", next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException"))
"""What typer raises on wrong usage; it keeps the class in a private module."""


def show(error: Any, *, as_json: bool) -> int:
    """Print what is wrong with the arguments, and give the exit code."""
    from typer.rich_utils import rich_format_error

    if as_json:
        emit_json({"error": "UsageError", "message": error.format_message(), "record_id": None, "exit_code": 2})
    else:
        rich_format_error(error)
    return 2
