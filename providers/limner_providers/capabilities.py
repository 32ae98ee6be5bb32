"""What a provider and model can do, as data, and what of a request they could not honour.

Capabilities know nothing of how the work is done. Facts come from data files or the model's own configuration and
carry their source and date.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field

from limner_providers._names import normal_name
from limner_providers.rules import (
    CostRule,
    DecimalRange,
    Fact,
    IntRange,
    OptionRule,
    ReferenceRule,
    SizeRule,
)
from limner_providers.types import ImageRequest, OutputFormat, Task

__all__ = [
    "Adaptation",
    "Capabilities",
    "CostRule",
    "DecimalRange",
    "IntRange",
    "OptionRule",
    "ReferenceRule",
    "SizeRule",
    "Unmet",
]


class Adaptation(Fact):
    """How a request can be changed so that a field is met after all, where the caller allows it.

    Attributes:
        field: name of the request's field.
        asked: its value as a record may show it (of a prompt only its length).
        used: what is used instead; `left out` where nothing is.
        changes: the request's new values by field; empty where the request stays as it is (n is split into calls).
    """

    field: str
    asked: str
    used: str
    changes: dict[str, Any] = Field(default_factory=dict, repr=False)


class Unmet(Fact):
    """One field of a request that cannot be honoured.

    Attributes:
        field: name of the request's field.
        value: its value as a message may show it (of a prompt only its length).
        why: what stands against it; a sentence.
        remedy: what to ask instead; a sentence.
        adaptation: what could be done instead, None: nothing that would still be what was asked.
    """

    field: str
    value: str
    why: str
    remedy: str
    adaptation: Adaptation | None = None


class Capabilities(Fact):
    """What one provider can do with one model.

    Attributes:
        tasks: the tasks it carries out.
        size: which sizes it makes.
        kind: which of a request's `extra` options are meant for it.
        max_n: most pictures of one call.
        call_gives: pictures that every call gives, however few are asked for; 0: as many as asked.
        seed: the caller chooses the seed, and the same seed gives the same picture. `call`: one seed stands for all
            pictures of a call.
        negative_prompt: it takes one. `flag`: it can be written into the prompt as a flag, which is an adaptation.
        negative_prompt_guidance_above: a negative prompt has an effect only with a guidance above this number.
        num_inference_steps, guidance_scale: their ranges; None: it does not take them.
        default_guidance_scale: what it uses where none is asked for.
        schedulers: the names it takes; empty: it takes none. `scheduler_aliases` are other spellings of these.
        strength: it takes one for the tasks that start from a picture.
        scale: how many times larger it makes a picture; None: it chooses itself.
        default_scale: what it uses where neither a scale nor a size is asked for; None: not known.
        keeps_size: a picture made from another is as large as that one, where no size is asked for.
        output_formats: formats it answers in.
        output_compression: it takes a quality for JPEG and WebP.
        backgrounds, qualities: the words it takes; empty: it takes none.
        max_prompt_characters: longest prompt it takes, None: no limit of its own.
        references: which reference pictures it takes, None: none.
        mask: it takes one; which pixels change where it is translated.
        control: kinds of control images it takes. `lora`: how many LoRAs.
        needs_origin: tasks that work only on pictures it made itself, named by `origin`.
        max_input_bytes: largest picture that it takes, None: no limit of its own.
        extra: options of its kind's own, by name.
        streaming: it reports while it works.
        timeout: seconds that a whole call may take.
        cost: how it is charged; None: free, as a local engine is, or not known (see `cost_known`).
        cost_known: False where nobody knows what a call costs: never to be shown as free.
        source, read_on: where these facts are from, and of which day they are.
        hint: where more could be allowed, a sentence for whoever is refused a task, a size or a format.
        uncatalogued: nobody wrote down this model's facts; these are its dialect's minimum.
    """

    tasks: tuple[Task, ...]
    kind: str = ""
    size: SizeRule = SizeRule()
    max_n: int = Field(default=1, ge=1)
    call_gives: int = 0
    seed: bool | Literal["call"] = False
    negative_prompt: bool | Literal["flag"] = False
    negative_prompt_guidance_above: Decimal | None = None
    num_inference_steps: IntRange | None = None
    guidance_scale: DecimalRange | None = None
    default_guidance_scale: Decimal | None = None
    schedulers: tuple[str, ...] = ()
    scheduler_aliases: dict[str, str] = Field(default_factory=dict)
    strength: bool = False
    scale: DecimalRange | None = None
    default_scale: Decimal | None = None
    keeps_size: bool = False
    output_formats: tuple[OutputFormat, ...] = ("png",)
    output_compression: bool = True
    backgrounds: tuple[str, ...] = ()
    qualities: tuple[str, ...] = ()
    max_prompt_characters: int | None = None
    references: ReferenceRule | None = None
    mask: Literal["white-changes", "transparent-changes"] | None = None
    control: tuple[str, ...] = ()
    lora: int = 0
    needs_origin: tuple[Task, ...] = ()
    max_input_bytes: int | None = None
    extra: dict[str, OptionRule] = Field(default_factory=dict)
    streaming: bool = False
    timeout: int = Field(default=600, ge=1)
    cost: CostRule | None = None
    cost_known: bool = True
    source: str
    read_on: dt.date | None = None
    uncatalogued: bool = False
    hint: str = ""

    def unmet(self, request: ImageRequest) -> list[Unmet]:
        """List what of `request` cannot be honoured; an empty list means that everything can."""
        from limner_providers.fitting import unmet

        return unmet(self, request)

    def size_for(self, request: ImageRequest) -> str | None:
        """Give the size that `request` asks for in pixels, its proportions turned into one; None: it names none."""
        if request.size is not None or request.proportions is None:
            return request.size
        return self.size.of_aspect(*request.proportions)

    def scheduler_named(self, name: str) -> str | None:
        """Give the scheduler that `name` means, in whatever spelling; None: there is none."""
        wanted = normal_name(name)
        for known in self.schedulers:
            if normal_name(known) == wanted:
                return known
        return next((known for alias, known in self.scheduler_aliases.items() if normal_name(alias) == wanted), None)
