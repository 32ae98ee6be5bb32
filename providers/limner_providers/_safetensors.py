"""Is a `.safetensors` file whole? Told from header and length, without torch and without reading the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from limner_providers.errors import ModelUnavailable

_MAX_HEADER = 100_000_000  # bytes; the limit of the safetensors library


def check_safetensors(path: Path) -> None:
    """Check that `path` is a whole safetensors file.

    Raises:
        ModelUnavailable: it cannot be read, is cut off, or is something else; names the file.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            length = int.from_bytes(file.read(8), "little")
            header = file.read(length) if 2 <= length <= min(_MAX_HEADER, size - 8) else b""
    except OSError as error:
        raise _broken(path, f"cannot be read ({error.strerror})") from error
    if not header:
        raise _broken(path, "is cut off or is no safetensors file")
    _check_length(path, _tensors(path, header), size - 8 - length)


def _tensors(path: Path, header: bytes) -> list[Any]:
    try:
        described = json.loads(header)
        return [entry["data_offsets"] for name, entry in described.items() if name != "__metadata__"]
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
        raise _broken(path, "has an unreadable header") from error


def _check_length(path: Path, offsets: list[Any], available: int) -> None:
    """Hold the end of the last tensor against the bytes that are there."""
    if not all(isinstance(pair, list) and [type(end) for end in pair] == [int, int] for pair in offsets):
        raise _broken(path, "has an unreadable header")
    needed = max((end for _, end in offsets), default=0)
    if needed != available:
        raise _broken(path, f"is damaged: its header describes {needed:,} bytes of weights, {available:,} are there")


def _broken(path: Path, problem: str) -> ModelUnavailable:
    return ModelUnavailable(f"{path} {problem}.", remedy="Copy or download this file again.")
