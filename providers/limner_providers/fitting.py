"""Holding a request against capabilities: what cannot be honoured, and how it could be adapted.

Pure; knows no provider. Strict is the rule; an adaptation happens only where the caller allows it, and is listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from limner_providers.capabilities import Adaptation, Capabilities, Unmet
from limner_providers.errors import shorten

if TYPE_CHECKING:
    from limner_providers.rules import DecimalRange, IntRange
    from limner_providers.types import ImageRequest

LEFT_OUT = "left out"
_TUNING = frozenset(
    {"seed", "num_inference_steps", "guidance_scale", "scheduler", "strength", "quality", "output_compression"}
)
"""Fields that steer how a picture is made and not what it shows: an engine without them can still do what was meant."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A request as one engine would carry it out.

    Attributes:
        request: what it is asked, adapted where that was allowed.
        calls: number of pictures of each call, in order; one entry unless n was split.
        adaptations: what differs from what the caller asked.
        unmet: what cannot be honoured; empty: it fits.
    """

    request: ImageRequest
    calls: tuple[int, ...]
    adaptations: tuple[Adaptation, ...] = ()
    unmet: tuple[Unmet, ...] = ()


def fit(capabilities: Capabilities, request: ImageRequest, *, adapt: bool = False) -> Fit:
    """Say whether `request` can be honoured to the letter or, with `adapt`, with listed changes."""
    found = unmet(capabilities, request)
    if not adapt or not found or any(one.adaptation is None for one in found):
        return Fit(request=request, calls=(request.n,), unmet=tuple(found))
    adaptations = tuple(one.adaptation for one in found if one.adaptation is not None)
    changes = {field: value for one in adaptations for field, value in one.changes.items()}
    changed = type(request).build(**{**_fields(request), **changes})
    calls = _split(request.n, capabilities.max_n)
    known = {one.field for one in adaptations if not one.changes}
    left = tuple(one for one in unmet(capabilities, changed) if one.field not in known)
    return Fit(request=changed, calls=calls, adaptations=adaptations, unmet=left)


def unmet(capabilities: Capabilities, request: ImageRequest) -> list[Unmet]:
    """List what of `request` cannot be honoured, the task first."""
    checks = (_task, _size, _numbers, _texts, _scheduler, _pictures, _output, _extra)
    return [_hinted(one, capabilities.hint) for check in checks for one in check(capabilities, request)]


def _hinted(one: Unmet, hint: str) -> Unmet:
    """Add where more could be allowed to what is refused for want of knowledge alone."""
    if not hint or one.field not in {"task", "size", "output_format"}:
        return one
    return one.model_copy(update={"remedy": f"{one.remedy} {hint}"})


def _fields(request: ImageRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in type(request).model_fields}


def _split(n: int, most: int) -> tuple[int, ...]:
    whole, rest = divmod(n, most)
    return (*[most] * whole, *([rest] if rest else []))


def _unmet(field: str, value: object, why: str, remedy: str, adaptation: Adaptation | None = None) -> Unmet:
    shown = f"({value:,} characters)" if field in {"prompt", "negative_prompt"} else shorten(value)
    if adaptation is None and field in _TUNING:
        adaptation = Adaptation(field=field, asked=str(value), used=LEFT_OUT, changes={field: None})
    return Unmet(field=field, value=shown, why=why, remedy=remedy, adaptation=adaptation)


def _task(able: Capabilities, request: ImageRequest) -> Iterator[Unmet]:
    if request.task not in able.tasks:
        yield _unmet("task", request.task, f"it carries out {', '.join(able.tasks)}.", "Ask another provider.")
    elif request.task in able.needs_origin:
        if request.origin is None:
            remedy = "Give an image of a result that it made, or its origin."
            yield _unmet("image", "(given)", "it takes only pictures that it made itself.", remedy)
    elif request.task != "txt2img" and request.image is None:
        yield _unmet("origin", "(given)", "it keeps no pictures.", "Give the image itself.")
    if request.strength is not None and not able.strength:
        yield _unmet("strength", request.strength, "it takes none.", "Leave it out.")
    yield from _range("scale", request.scale, able.scale)


def _size(able: Capabilities, request: ImageRequest) -> Iterator[Unmet]:
    grown = _grown(able, request)
    if grown is not None and (problem := able.size.too_large(*grown)):
        yield _unmet("size", f"{grown[0]}x{grown[1]}", problem, "Ask for less.")
    if request.proportions is not None and able.size.of_aspect(*request.proportions) is None:
        yield _proportions(able, request)
    if request.width is None or request.height is None:
        return
    problem = able.size.problem(request.width, request.height)
    if problem:
        yield _snapped(able, request, problem)


def _snapped(able: Capabilities, request: ImageRequest, problem: str) -> Unmet:
    """Refuse a size; nearest is the adaptation, or the proportions where no pixels can be chosen."""
    width, height = request.width or 1, request.height or 1
    near = able.size.nearest(width, height)
    remedy, adaptation = "Leave it out.", None
    if near:
        remedy = f"The nearest that can be made: {' or '.join(near)}."
        adaptation = Adaptation(field="size", asked=f"{width}x{height}", used=near[0], changes={"size": near[0]})
    elif not able.size.exact:
        across, down = _small_ratio(width, height)
        remedy = f'Give aspect_ratio="{across}:{down}" instead.'
        changes = {"size": None, "aspect_ratio": f"{across}:{down}"}
        used = f"proportions {across}:{down}"
        adaptation = Adaptation(field="size", asked=f"{width}x{height}", used=used, changes=changes)
    return _unmet("size", f"{width}x{height}", problem, remedy, adaptation)


def _small_ratio(width: int, height: int) -> tuple[int, int]:
    """Give the proportions nearest to `width`:`height` whose parts are at most 100."""
    from fractions import Fraction

    longer = max(width, height)
    ratio = Fraction(min(width, height), longer).limit_denominator(100)
    short, long = max(ratio.numerator, 1), ratio.denominator
    return (long, short) if width == longer else (short, long)


def _proportions(able: Capabilities, request: ImageRequest) -> Unmet:
    across, down = request.proportions or (1, 1)
    unit = 1024 / (across * down) ** 0.5
    near = able.size.nearest(round(across * unit), round(down * unit))
    if not near:
        return _unmet("aspect_ratio", request.aspect_ratio, "it cannot be made.", "Choose another.")
    changes = {"aspect_ratio": None, "size": near[0]}
    adaptation = Adaptation(field="aspect_ratio", asked=f"{across}:{down}", used=near[0], changes=changes)
    remedy = f"The nearest that can be made: size {' or '.join(near)}."
    return _unmet("aspect_ratio", request.aspect_ratio, "no size has these proportions.", remedy, adaptation)


def _grown(able: Capabilities, request: ImageRequest) -> tuple[int, int] | None:
    """Give the size that follows from the picture and no size in the request; None: there is no such."""
    image = request.image
    if image is None or request.size is not None or request.aspect_ratio is not None:
        return None
    if request.margins is not None:
        margins = request.margins
        return image.width + margins.left + margins.right, image.height + margins.top + margins.bottom
    if request.task == "upscale":
        scale = request.scale or able.default_scale
        return (round(image.width * float(scale)), round(image.height * float(scale))) if scale else None
    return (image.width, image.height) if able.keeps_size else None


def _numbers(able: Capabilities, request: ImageRequest) -> Iterator[Unmet]:
    if request.n > able.max_n:
        calls = " + ".join(map(str, _split(request.n, able.max_n)))
        adaptation = Adaptation(field="n", asked=str(request.n), used=f"calls of {calls}")
        remedy = f"Ask for {able.max_n} or fewer."
        yield _unmet("n", request.n, f"one call makes at most {able.max_n}.", remedy, adaptation)
    if request.seed is not None and not able.seed:
        yield _unmet("seed", request.seed, "it takes no seed.", "Leave it out, or ask a provider that does.")
    elif request.seed is not None and able.seed == "call" and request.n > 1:
        adaptation = Adaptation(field="seed", asked=str(request.seed), used="one seed for each call")
        why = "one seed stands for all pictures of a call, and none can be made again alone."
        yield _unmet("seed", request.seed, why, "Ask for one picture, or leave it out.", adaptation)
    yield from _range("num_inference_steps", request.num_inference_steps, able.num_inference_steps)
    yield from _range("guidance_scale", request.guidance_scale, able.guidance_scale)


def _range(field: str, value: float | None, allowed: IntRange | DecimalRange | None) -> Iterator[Unmet]:
    if value is None:
        return
    if allowed is None:
        yield _unmet(field, value, "it takes none.", "Leave it out, or ask a provider that does.")
    elif not allowed.minimum <= Decimal(repr(value)) <= allowed.maximum:
        span = f"{allowed.minimum} to {allowed.maximum}"
        yield _unmet(field, value, f"it takes {span}.", f"Choose from {span}.")


def _texts(able: Capabilities, request: ImageRequest) -> Iterator[Unmet]:
    limit = able.max_prompt_characters
    for field, text in (("prompt", request.prompt), ("negative_prompt", request.negative_prompt)):
        if text and limit is not None and len(text) > limit:
            yield _unmet(field, len(text), f"it takes at most {limit:,} characters.", "Shorten it.")
    if request.negative_prompt is None:
        return
    length = len(request.negative_prompt)
    if not able.negative_prompt:
        yield _unmet("negative_prompt", length, "it takes none.", "Leave it out, or ask a provider that does.")
    elif able.negative_prompt == "flag":
        adaptation = Adaptation(field="negative_prompt", asked=f"({length:,} characters)", used="a flag of the prompt")
        why = "it has none of its own, only a flag of the prompt, which weighs it otherwise."
        remedy = 'Leave it out, or say on_unsupported="adapt".'
        yield _unmet("negative_prompt", length, why, remedy, adaptation)
    elif not _negative_prompt_works(able, request):
        above = able.negative_prompt_guidance_above
        why = f"it has no effect unless guidance_scale is above {above}."
        yield _unmet("negative_prompt", length, why, f"Choose a guidance_scale above {above}, or leave it out.")


def _negative_prompt_works(able: Capabilities, request: ImageRequest) -> bool:
    if able.negative_prompt_guidance_above is None:
        return True
    asked = request.guidance_scale
    guidance = able.default_guidance_scale if asked is None else Decimal(repr(asked))
    return guidance is None or guidance > able.negative_prompt_guidance_above


def _scheduler(able: Capabilities, request: ImageRequest) -> Iterator[Unmet]:
    if request.scheduler is None or able.scheduler_named(request.scheduler) is not None:
        return
    if not able.schedulers:
        yield _unmet("scheduler", request.scheduler, "it takes none.", "Leave it out.")
    else:
        yield _unmet("scheduler", request.scheduler, "it is not known.", f"Known: {', '.join(able.schedulers)}.")


def _pictures(able: Capabilities, request: ImageRequest) -> Iterator[Unmet]:
    if request.mask is not None and able.mask is None:
        yield _unmet("mask", "(given)", "it takes none.", "Ask another provider.")
    if request.references:
        yield from _references(able, request)
    for i, control in enumerate(request.control):
        if control.kind not in able.control:
            known = f"it takes {', '.join(able.control)}." if able.control else "it takes no control images."
            yield _unmet(f"control.{i}", control.kind, known, "Leave it out, or ask another provider.")
    if len(request.lora) > able.lora:
        why = f"it takes {able.lora or 'no'} LoRAs."
        yield _unmet("lora", f"({len(request.lora)} of them)", why, "Leave them out, or ask another provider.")
    for name, image in request.inputs().items():
        if able.max_input_bytes is not None and len(image.data) > able.max_input_bytes:
            why = f"it takes at most {able.max_input_bytes:,} bytes a picture."
            yield _unmet(name, f"({len(image.data):,} bytes)", why, "Make the picture smaller.")


def _references(able: Capabilities, request: ImageRequest) -> Iterator[Unmet]:
    rule = able.references
    if rule is None:
        yield _unmet("references", f"({len(request.references)} of them)", "it takes none.", "Leave them out.")
        return
    if len(request.references) > rule.maximum:
        shown = f"({len(request.references)} of them)"
        yield _unmet("references", shown, f"it takes at most {rule.maximum}.", "Give fewer.")
    for i, reference in enumerate(request.references):
        if reference.use not in rule.uses:
            why = f"it takes references as {', '.join(rule.uses)}."
            yield _unmet(f"references.{i}.use", reference.use, why, f"Choose from {', '.join(rule.uses)}.")
        if reference.weight is not None and not rule.weight:
            yield _unmet(f"references.{i}.weight", reference.weight, "it takes none.", "Leave it out.")


def _output(able: Capabilities, request: ImageRequest) -> Iterator[Unmet]:
    if request.output_format not in able.output_formats:
        formats = ", ".join(able.output_formats)
        used = able.output_formats[0]
        changes = {"output_format": used}
        adaptation = Adaptation(field="output_format", asked=request.output_format, used=used, changes=changes)
        why = f"it answers in {formats}."
        yield _unmet("output_format", request.output_format, why, f"Choose from {formats}.", adaptation)
    else:
        used = request.output_format
    if request.output_compression is not None and (used == "png" or not able.output_compression):
        yield _unmet("output_compression", request.output_compression, "it takes none.", "Leave it out.")
    for field, value, words in (
        ("background", request.background, able.backgrounds),
        ("quality", request.quality, able.qualities),
    ):
        if value is not None and value not in words:
            remedy = f"Choose from {', '.join(words)}." if words else "Leave it out."
            yield _unmet(field, value, f"it takes {', '.join(words) or 'none'}.", remedy)


def _extra(able: Capabilities, request: ImageRequest) -> Iterator[Unmet]:
    """Check the options that are meant for this kind; those of other kinds are not read by it."""
    for name, value in request.extra.get(able.kind, {}).items():
        where = f"extra.{able.kind}.{name}"
        rule = able.extra.get(name)
        if rule is None:
            known = f"Known: {', '.join(sorted(able.extra))}." if able.extra else "It has none."
            yield _unmet(where, "(…)", "it has no such option.", known)
        elif problem := rule.problem(value):
            yield _unmet(where, shorten(value), problem, "Correct it.")
