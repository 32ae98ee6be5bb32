"""The schedulers by name, from a data file: what people write, the diffusers class it means, and its options.

Knows names only; the classes are imported where a pipeline is at hand.
"""

from __future__ import annotations

import functools
import json
from importlib.resources import files
from typing import Any, NamedTuple


class SchedulerChoice(NamedTuple):
    """One scheduler: the name this package gives it, its diffusers class, and options laid over the model's own."""

    name: str
    class_name: str
    options: dict[str, Any]


@functools.cache
def _table() -> dict[str, dict[str, Any]]:
    text = files("limner_providers").joinpath("data/schedulers.json").read_text("utf-8")
    table: dict[str, dict[str, Any]] = json.loads(text)["schedulers"]
    return table


def scheduler_names() -> tuple[str, ...]:
    """Give the names, sorted."""
    return tuple(sorted(_table()))


def scheduler_aliases() -> dict[str, str]:
    """Give the other spellings with the name each means; a class means the first of the table that is of it."""
    aliases = {alias: name for name, row in _table().items() for alias in row.get("aliases", ())}
    for name, row in _table().items():
        aliases.setdefault(row["class"], name)
    return aliases


def scheduler_choice(name: str) -> SchedulerChoice:
    """Give the class and options of a name out of `scheduler_names`."""
    row = _table()[name]
    return SchedulerChoice(name, row["class"], row.get("options", {}))
