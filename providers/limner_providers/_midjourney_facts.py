"""What is known of Midjourney and of the two proxies, read from `data/midjourney.json`: models, options, phrases.

No code here says what a version or a dialect can do: the data file does, with its source and date.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from importlib.resources import files
from typing import Literal

from limner_providers.base import ModelIdentity
from limner_providers.capabilities import Capabilities
from limner_providers.errors import ModelUnavailable, shorten
from limner_providers.rules import Fact, OptionRule, ReferenceRule, SizeRule
from limner_providers.types import Task

Dialect = Literal["novicezk", "trueai"]
Speed = Literal["relax", "fast", "turbo"]
Bot = Literal["midjourney", "niji"]
Meaning = Literal[
    "busy", "quota", "access", "no-account", "parent", "moderation", "invalid", "timeout", "cancelled", "failed"
]

VERSION = re.compile(r"\d{1,2}(\.\d{1,2})?")
PICTURES = 4  # of one grid, left to right and top to bottom
_NAME = re.compile(r"(midjourney|niji)(?:-(\d{1,2}(?:\.\d{1,2})?))?")


class Model(Fact):
    """One of Midjourney's models: its bot and version; None: the version that the account has set."""

    name: str
    bot: Bot
    version: str | None
    says: str = ""
    uncatalogued: bool = False

    @property
    def flag(self) -> str:
        """The parameter that chooses it; empty where none is needed."""
        if self.version is None:
            return ""
        return f"--{'niji' if self.bot == 'niji' else 'v'} {self.version}"


class Option(Fact):
    """One option of `extra.midjourney`: its rule, and the parameter it becomes (None: it is no parameter)."""

    rule: OptionRule
    flag: str | None = None
    dialects: tuple[Dialect, ...] = ("novicezk", "trueai")


class Phrase(Fact):
    """What a proxy's or Midjourney's words mean, found by any of `words` in lower case."""

    means: Meaning
    says: str
    words: tuple[str, ...]
    stage: Literal["input", "output"] | None = None


class DialectFacts(Fact):
    """What one of the two proxies can do."""

    tasks: tuple[Task, ...]
    needs_origin: tuple[Task, ...]
    mask: Literal["white-changes"] | None
    references: ReferenceRule


class Facts(Fact):
    """The data file."""

    source: str
    read_on: dt.date
    licence: str
    max_prompt_characters: int
    max_input_bytes: int
    models: tuple[Model, ...]
    dialects: dict[Dialect, DialectFacts]
    options: dict[str, Option]
    flags: tuple[str, ...]
    phrases: tuple[Phrase, ...]


@functools.cache
def facts() -> Facts:
    """Read the data file, once."""
    return Facts.model_validate_json(files("limner_providers").joinpath("data/midjourney.json").read_bytes())


def model_name(bot: Bot, version: str | None) -> str:
    """Name the model that a configuration chose."""
    return bot if version is None else f"{bot}-{version}"


def models_for(dialect: Dialect) -> tuple[Model, ...]:
    """List the models that a proxy of this dialect can be asked for by name."""
    return tuple(model for model in facts().models if model.version or model.bot == "midjourney" or dialect == "trueai")


def find_model(name: str, *, provider: str) -> Model:
    """Give the model called `name`; one of a version that nobody catalogued is marked so.

    Raises:
        ModelUnavailable: it is no name of a model of Midjourney's.
    """
    for model in facts().models:
        if model.name == name:
            return model
    found = _NAME.fullmatch(name)
    if found is None:
        remedy = "Write midjourney, midjourney-VERSION or niji-VERSION, for example midjourney-7."
        raise ModelUnavailable(f"{provider} has no model {shorten(name)}.", remedy=remedy, provider=provider)
    return Model(name=name, bot="niji" if found[1] == "niji" else "midjourney", version=found[2], uncatalogued=True)


def identity(model: Model, dialect: Dialect) -> ModelIdentity:
    """Say of a model what a record keeps."""
    return ModelIdentity(
        name=model.name,
        licence=facts().licence,
        source=f"Midjourney, by a proxy that speaks {dialect}",
        architecture="Midjourney",
    )


def capabilities_of(model: Model, dialect: Dialect, *, timeout: int) -> Capabilities:
    """Say what a model can do through a proxy of this dialect."""
    known, able = facts(), facts().dialects[dialect]
    return Capabilities(
        kind="midjourney",
        tasks=able.tasks,
        size=SizeRule(exact=False),
        max_n=PICTURES,
        call_gives=PICTURES,
        seed="call",
        negative_prompt="flag",
        output_formats=("png", "jpeg", "webp"),
        max_prompt_characters=known.max_prompt_characters,
        references=able.references,
        mask=able.mask,
        needs_origin=able.needs_origin,
        max_input_bytes=known.max_input_bytes,
        extra={name: option.rule for name, option in known.options.items() if dialect in option.dialects},
        streaming=True,
        timeout=timeout,
        cost_known=False,
        source=known.source,
        read_on=known.read_on,
        uncatalogued=model.uncatalogued,
    )


def meaning(text: str) -> Phrase | None:
    """Find what a proxy's words mean; None: nobody wrote it down."""
    told = text.casefold()
    return next((phrase for phrase in facts().phrases if any(word in told for word in phrase.words)), None)
