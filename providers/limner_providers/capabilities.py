"""What a provider and model can do, as data, and what of a request they could not honour.

Capabilities know nothing of how the work is done. Facts come from data files or the model's own configuration and
carry their source and date.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from limner_providers._names import normal_name
from limner_providers.errors import shorten
from limner_providers.types import ImageRequest, OutputFormat, Task


class _Fact(BaseModel):
    """A frozen piece of a capability; unknown keys are errors, so that a data file cannot hold a misspelt fact."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Unmet(_Fact):
    """One field of a request that cannot be honoured.

    Attributes:
        field: name of the request's field.
        value: its value as a message may show it (of a prompt only its length).
        why: what stands against it; a sentence.
        remedy: what to ask instead; a sentence.
    """

    field: str
    value: str
    why: str
    remedy: str


class SizeRule(_Fact):
    """Which sizes can be made, in pixels.

    Attributes:
        multiple_of: both sides are multiples of this number.
        minimum, maximum: the least and the greatest side.
        max_pixels: greatest width × height, None: no limit but the sides'.
        native: the size made when none is asked for, `WIDTHxHEIGHT`.
        fixed: where it is not empty only these sizes can be made.
    """

    multiple_of: int = Field(default=1, ge=1)
    minimum: int = Field(default=1, ge=1)
    maximum: int = Field(default=16_384, ge=1)
    max_pixels: int | None = None
    native: str | None = None
    fixed: tuple[str, ...] = ()

    def problem(self, width: int, height: int) -> str | None:
        """Say why `width` × `height` cannot be made; None: it can."""
        if self.fixed:
            return None if f"{width}x{height}" in self.fixed else f"only {', '.join(self.fixed)} can be made."
        if not all(self.minimum <= side <= self.maximum for side in (width, height)):
            return f"sides run from {self.minimum} to {self.maximum} pixels."
        if width % self.multiple_of or height % self.multiple_of:
            return f"sides are multiples of {self.multiple_of} pixels."
        if self.max_pixels is not None and width * height > self.max_pixels:
            return f"a picture has at most {self.max_pixels:,} pixels."
        return None

    def nearest(self, width: int, height: int) -> tuple[str, ...]:
        """Give the sizes that can be made and are nearest to `width` × `height`, the nearest first, at most two."""
        if self.fixed:
            candidates = [(int(w), int(h)) for w, h in (size.split("x") for size in self.fixed)]
        else:
            candidates = [(w, h) for w in self._sides_near(width) for h in self._sides_near(height)]
        fitting = [pair for pair in candidates if self.problem(*pair) is None]
        fitting.sort(key=lambda pair: (abs(pair[0] - width) + abs(pair[1] - height), pair))
        return tuple(f"{w}x{h}" for w, h in dict.fromkeys(fitting))[:2]

    def _sides_near(self, side: int) -> tuple[int, int]:
        """Give the next possible side below and above `side`."""
        step = self.multiple_of
        low, high = -(-self.minimum // step) * step, self.maximum // step * step
        below = side // step * step
        return min(max(below, low), high), min(max(below + (step if side % step else 0), low), high)


class IntRange(_Fact):
    """Whole numbers from `minimum` to `maximum`, both possible."""

    minimum: int
    maximum: int


class DecimalRange(_Fact):
    """Numbers from `minimum` to `maximum`, both possible."""

    minimum: Decimal
    maximum: Decimal


class ReferenceRule(_Fact):
    """How many reference pictures are taken, and in which formats."""

    maximum: int = Field(ge=1)
    formats: tuple[str, ...] = ("png", "jpeg", "webp")


class CostRule(_Fact):
    """How a call is charged: so much an image, or a rate for each kind of token.

    Attributes:
        unit: what is counted.
        rates: amount for one unit, by kind (`image`; `text_input`, `image_output`, … for tokens).
        currency: ISO 4217 code.
    """

    unit: Literal["image", "token"]
    rates: dict[str, Decimal]
    currency: str = "USD"


class Capabilities(_Fact):
    """What one provider can do with one model.

    Attributes:
        tasks: the tasks it carries out.
        size: which sizes it makes.
        max_n: most pictures of one call.
        seed: the caller chooses the seed, and the same seed gives the same picture.
        negative_prompt: it takes one.
        negative_prompt_guidance_above: a negative prompt has an effect only with a guidance above this number.
        num_inference_steps, guidance_scale: their ranges; None: it does not take them.
        default_guidance_scale: what it uses where none is asked for.
        schedulers: the names it takes; empty: it takes none. `scheduler_aliases` are other spellings of these.
        strength: it takes one for the tasks that start from a picture.
        output_formats: formats it answers in.
        max_prompt_characters: longest prompt it takes, None: no limit of its own.
        references, mask, control: what it takes of reference pictures, masks and control images (not executed yet).
        streaming: it reports while it works.
        cost: how it is charged; None: free, as a local engine is, or not known (see `cost_known`).
        cost_known: False where nobody knows what a call costs: never to be shown as free.
        source, read_on: where these facts are from, and of which day they are.
        uncatalogued: nobody wrote down this model's facts; these are its dialect's minimum.
    """

    tasks: tuple[Task, ...]
    size: SizeRule = SizeRule()
    max_n: int = Field(default=1, ge=1)
    seed: bool = False
    negative_prompt: bool = False
    negative_prompt_guidance_above: Decimal | None = None
    num_inference_steps: IntRange | None = None
    guidance_scale: DecimalRange | None = None
    default_guidance_scale: Decimal | None = None
    schedulers: tuple[str, ...] = ()
    scheduler_aliases: dict[str, str] = {}
    strength: bool = False
    output_formats: tuple[OutputFormat, ...] = ("png",)
    max_prompt_characters: int | None = None
    references: ReferenceRule | None = None
    mask: Literal["white-changes", "transparent-changes"] | None = None
    control: tuple[str, ...] = ()
    streaming: bool = False
    cost: CostRule | None = None
    cost_known: bool = True
    source: str
    read_on: dt.date | None = None
    uncatalogued: bool = False

    def unmet(self, request: ImageRequest) -> list[Unmet]:
        """List what of `request` cannot be honoured; an empty list means that everything can."""
        return [*self._unmet_task(request), *self._unmet_size(request), *self._unmet_numbers(request),
                *self._unmet_texts(request), *self._unmet_scheduler(request)]  # fmt: skip

    def scheduler_named(self, name: str) -> str | None:
        """Give the scheduler that `name` means, in whatever spelling; None: there is none."""
        wanted = normal_name(name)
        for known in self.schedulers:
            if normal_name(known) == wanted:
                return known
        return next((known for alias, known in self.scheduler_aliases.items() if normal_name(alias) == wanted), None)

    def _unmet_task(self, request: ImageRequest) -> Iterator[Unmet]:
        if request.task not in self.tasks:
            yield _unmet("task", request.task, f"it carries out {', '.join(self.tasks)}.", "Ask another provider.")
        if request.output_format not in self.output_formats:
            formats = ", ".join(self.output_formats)
            yield _unmet("output_format", request.output_format, f"it answers in {formats}.", f"Choose from {formats}.")
        if request.strength is not None and not self.strength:
            yield _unmet("strength", request.strength, "it takes none.", "Leave it out.")

    def _unmet_size(self, request: ImageRequest) -> Iterator[Unmet]:
        if request.width is None or request.height is None:
            return
        problem = self.size.problem(request.width, request.height)
        if problem:
            near = " or ".join(self.size.nearest(request.width, request.height))
            remedy = f"The nearest that can be made: {near}." if near else "Leave it out."
            yield _unmet("size", request.size, problem, remedy)

    def _unmet_numbers(self, request: ImageRequest) -> Iterator[Unmet]:
        if request.n > self.max_n:
            yield _unmet("n", request.n, f"one call makes at most {self.max_n}.", f"Ask for {self.max_n} or fewer.")
        if request.seed is not None and not self.seed:
            yield _unmet("seed", request.seed, "it takes no seed.", "Leave it out, or ask a provider that does.")
        yield from _unmet_range("num_inference_steps", request.num_inference_steps, self.num_inference_steps)
        yield from _unmet_range("guidance_scale", request.guidance_scale, self.guidance_scale)

    def _unmet_texts(self, request: ImageRequest) -> Iterator[Unmet]:
        limit = self.max_prompt_characters
        for field, text in (("prompt", request.prompt), ("negative_prompt", request.negative_prompt)):
            if text and limit is not None and len(text) > limit:
                yield _unmet(field, len(text), f"it takes at most {limit:,} characters.", "Shorten it.")
        if request.negative_prompt is None:
            return
        length = len(request.negative_prompt)
        if not self.negative_prompt:
            yield _unmet("negative_prompt", length, "it takes none.", "Leave it out, or ask a provider that does.")
        elif not self._negative_prompt_works(request):
            above = self.negative_prompt_guidance_above
            why = f"it has no effect unless guidance_scale is above {above}."
            yield _unmet("negative_prompt", length, why, f"Choose a guidance_scale above {above}, or leave it out.")

    def _negative_prompt_works(self, request: ImageRequest) -> bool:
        if self.negative_prompt_guidance_above is None:
            return True
        asked = request.guidance_scale
        guidance = self.default_guidance_scale if asked is None else Decimal(repr(asked))
        return guidance is None or guidance > self.negative_prompt_guidance_above

    def _unmet_scheduler(self, request: ImageRequest) -> Iterator[Unmet]:
        if request.scheduler is None or self.scheduler_named(request.scheduler) is not None:
            return
        if not self.schedulers:
            yield _unmet("scheduler", request.scheduler, "it takes none.", "Leave it out.")
        else:
            yield _unmet("scheduler", request.scheduler, "it is not known.", f"Known: {', '.join(self.schedulers)}.")


def _unmet(field: str, value: object, why: str, remedy: str) -> Unmet:
    shown = f"({value:,} characters)" if field in {"prompt", "negative_prompt"} else shorten(value)
    return Unmet(field=field, value=shown, why=why, remedy=remedy)


def _unmet_range(field: str, value: float | None, allowed: IntRange | DecimalRange | None) -> Iterator[Unmet]:
    if value is None:
        return
    if allowed is None:
        yield _unmet(field, value, "it takes none.", "Leave it out, or ask a provider that does.")
    elif not allowed.minimum <= Decimal(repr(value)) <= allowed.maximum:
        span = f"{allowed.minimum} to {allowed.maximum}"
        yield _unmet(field, value, f"it takes {span}.", f"Choose from {span}.")
