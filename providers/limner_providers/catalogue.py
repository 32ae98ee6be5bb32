"""The catalogue of models over all kinds: until when each lives, what it costs, and under which licence it stands.

Data files only: no engine is asked, and nothing is loaded but JSON. Models that nobody wrote down are not in it, and
may work all the same.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from limner_providers import _openai_catalogue as openai_facts
from limner_providers.rules import CostRule

Status = Literal["active", "deprecated", "retired"]


@dataclass(frozen=True, kw_only=True)
class CatalogueModel:
    """What is written down of one model.

    Attributes:
        kind: the kind of provider that uses it.
        name: what a configuration calls it.
        status: how it stands on the day that was asked for: `active`, `deprecated` (its end is announced) or `retired`.
        released, deprecated, retires: the first day of each; None: not known, or not announced.
        successors: what its vendor names instead, the best first.
        licence: SPDX identifier or `LicenseRef-…` of the weights, or of a vendor's pictures; None: not known.
        prices: how its vendor charges; None: a local model, or nobody wrote them down.
        source, read_on: where that is from, and of which day.
    """

    kind: str
    name: str
    status: Status = "active"
    released: dt.date | None = None
    deprecated: dt.date | None = None
    retires: dt.date | None = None
    successors: tuple[str, ...] = ()
    licence: str | None = None
    prices: CostRule | None = None
    source: str
    read_on: dt.date | None = None

    @property
    def successor(self) -> str | None:
        """What its vendor names first instead; None where it names nothing."""
        return self.successors[0] if self.successors else None


def catalogue(on: dt.date | None = None) -> list[CatalogueModel]:
    """List every model that is written down, by kind and in the order of its file.

    Args:
        on: the day on which `status` is told; None: today (UTC).
    """
    day = on or dt.datetime.now(dt.UTC).date()
    return [*_local(), *_midjourney(), *_openai(day)]


def _local() -> Iterator[CatalogueModel]:
    for name, facts in _file("models.json").get("models", {}).items():
        yield CatalogueModel(
            kind="diffusers",
            name=name,
            licence=facts.get("licence"),
            source=facts["source"],
            read_on=dt.date.fromisoformat(facts["read_on"]),
        )


def _midjourney() -> Iterator[CatalogueModel]:
    data = _file("midjourney.json")
    for facts in data.get("models", ()):
        yield CatalogueModel(
            kind="midjourney",
            name=facts["name"],
            licence=data.get("licence"),
            source=data["source"],
            read_on=dt.date.fromisoformat(data["read_on"]),
        )


def _openai(day: dt.date) -> Iterator[CatalogueModel]:
    for name, facts in openai_facts.models().items():
        yield CatalogueModel(
            kind="openai",
            name=name,
            status=facts.status(day),
            released=facts.released,
            deprecated=facts.deprecated,
            retires=facts.retires,
            successors=facts.successors,
            licence=openai_facts.vendor().licence,
            prices=openai_facts.price_of(name),
            source=facts.source,
            read_on=facts.read_on,
        )


@functools.cache
def _file(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(files("limner_providers").joinpath(f"data/{name}").read_text("utf-8"))
    return data
