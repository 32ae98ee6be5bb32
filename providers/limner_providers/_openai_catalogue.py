"""Facts about the models of the OpenAI Images API, from a data file: what they take, cost, and until when they live.

Data only: whether a host is the vendor's own, and what day it is, is the caller's to say.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
from importlib.resources import files
from typing import Any, Literal

from pydantic import Field

from limner_providers.capabilities import Capabilities
from limner_providers.rules import CostRule, Fact

Dialect = Literal["gpt-image", "dall-e"]
Status = Literal["active", "deprecated", "retired"]


class ModelFacts(Fact):
    """One model of the vendor.

    Attributes:
        name: as requests name it.
        profile: key of what it can do.
        price: key of its prices; None: nobody wrote them down.
        released, deprecated, retires: the first day on which it could be used, its end was announced, and it is gone.
        successors: what the vendor names instead, the best first.
        source, read_on: where that is from, and of which day.
    """

    name: str
    profile: str
    price: str | None = None
    released: dt.date | None = None
    deprecated: dt.date | None = None
    retires: dt.date | None = None
    successors: tuple[str, ...] = ()
    source: str
    read_on: dt.date

    @property
    def dialect(self) -> Dialect:
        """Which parameters its requests have."""
        dialect: Dialect = _data()["profiles"][self.profile]["dialect"]
        return dialect

    def status(self, on: dt.date) -> Status:
        """Say how it stands on a day; from the day of `retires` on it is gone."""
        if self.retires is not None and on >= self.retires:
            return "retired"
        announced = self.deprecated or self.retires
        return "deprecated" if announced is not None and on >= announced else "active"


class Vendor(Fact):
    """The vendor itself: its address, its default model, and under which terms its pictures stand."""

    base_url: str
    host: str
    default_model: str
    licence: str
    terms: str
    source: str
    read_on: dt.date


class Price(CostRule):
    """A cost rule with its source."""

    source: str = Field(min_length=1)
    read_on: dt.date


_HINT = "The provider's settings `tasks`, `sizes` and `dialect` say what else its server can do."


@functools.cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(files("limner_providers").joinpath("data/openai.json").read_text("utf-8"))
    return data


def steering_texts() -> tuple[str, ...]:
    """Give the texts that some server reads as settings when they stand in a prompt: whoever writes one steers it."""
    return tuple(_data()["steering"]["texts"])


@functools.cache
def vendor() -> Vendor:
    """Give the facts about the vendor."""
    return Vendor.model_validate(_data()["vendor"])


@functools.cache
def models() -> dict[str, ModelFacts]:
    """Give every catalogued model by name, in the order of the file: the newest families first."""
    return {name: ModelFacts.model_validate({"name": name, **facts}) for name, facts in _data()["models"].items()}


@functools.cache
def price_of(name: str | None) -> Price | None:
    """Give the vendor's prices of a model; None: nobody wrote them down."""
    facts = models().get(name or "")
    return None if facts is None or facts.price is None else Price.model_validate(_data()["prices"][facts.price])


@functools.cache
def capabilities_of(name: str | None, dialect: Dialect) -> Capabilities:
    """Give what a model can do where it speaks `dialect`; of one that nobody catalogued the dialect's minimum.

    The cost is left out: it depends on the host.
    """
    facts = models().get(name or "")
    known = facts is not None and facts.dialect == dialect
    fields = dict(_data()["dialects"][dialect])
    if facts is not None and known:
        profile = {key: value for key, value in _data()["profiles"][facts.profile].items() if key != "dialect"}
        fields |= profile | {"extra": {**fields.get("extra", {}), **profile.get("extra", {})}}
    fields |= {"kind": "openai", "uncatalogued": not known, "cost_known": False, "hint": "" if known else _HINT}
    return Capabilities.model_validate(fields)
