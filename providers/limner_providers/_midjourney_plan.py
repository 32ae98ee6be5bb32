"""From a request to what is submitted: which call, which body, which parameters; nothing is contacted here.

What a task of Midjourney's cannot take is refused by name; nothing of a request is dropped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from limner_providers._midjourney_facts import Bot, Dialect, Model, Speed, facts
from limner_providers._midjourney_prompt import clean, join
from limner_providers._midjourney_wire import Task
from limner_providers._requests import canonical_decimal
from limner_providers.errors import UnsupportedRequest, shorten
from limner_providers.images import InputImage
from limner_providers.types import ImageRequest

_BOTS: Mapping[Bot, str] = {"midjourney": "MID_JOURNEY", "niji": "NIJI_JOURNEY"}
_NO_FLAG = frozenset({"speed", "dashes", "edit", "vary", "upscaler"})
_FOR_TASK = {"edit": "img2img", "vary": "variation", "upscaler": "upscale"}
_AGAIN = "Ask with txt2img for a picture with other parameters."


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the configuration chose, with what a request changed of it.

    Attributes:
        provider: its name in the configuration.
        dialect: which proxy it is.
        model: which of Midjourney's models.
        speed: which of the account's speeds; None: its own.
    """

    provider: str
    dialect: Dialect
    model: Model
    speed: Speed | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is submitted.

    Attributes:
        call: what stands behind `/mj/submit/`.
        body: of the call.
        dialog: what answers the task's dialog, where one opens; None: none is expected, and one is answered empty.
        speed: of the call's address (trueai).
        origin: the job it starts from.
        flags: the parameters behind the prompt, without texts of the user's.
        seed: the seed that was sent, None where none could be.
        escaped: whether the prompt's dashes or brackets were changed.
        notes: what the caller should know.
    """

    call: str
    body: Mapping[str, Any] = field(repr=False)
    dialog: Mapping[str, Any] | None = field(default=None, repr=False)
    speed: Speed | None = None
    origin: str | None = None
    flags: tuple[str, ...] = ()
    seed: int | None = None
    escaped: bool = False
    notes: tuple[str, ...] = ()


def plan_imagine(settings: Settings, request: ImageRequest, seed: int, urls: Mapping[str, Sequence[str]]) -> Plan:
    """Plan txt2img, and img2img by trueai's editor.

    Args:
        settings: what is configured.
        request: the wish.
        seed: sent as `--seed`.
        urls: addresses of uploaded references, by use (`style`, `character`).
    """
    text, negative, escaped = _texts(settings, request)
    told = [_aspect(request), settings.model.flag, *_options(settings, request)]
    told += [*_reference_flags(settings, request, urls), f"--seed {seed}"]
    speed = chosen_speed(settings, request)
    by_flag = [f"--{speed}"] if speed is not None and settings.dialect == "novicezk" else []
    flags = [*filter(None, told)]
    prompt = join(text, [*flags, *([f"--no {negative}"] if negative else []), *by_flag], provider=settings.provider)
    shown = tuple(flag for flag in (*flags, *by_flag) if "http" not in flag)
    plan: dict[str, Any] = {"flags": shown, "seed": seed, "escaped": escaped, "speed": speed}
    if request.task == "img2img" and request.image is not None:
        call = str(request.extra.get("midjourney", {}).get("edit", "edits"))
        return Plan(call=call, body={"prompt": prompt, "image": data_address(request.image)}, **plan)
    pictures = [data_address(image) for image in images_for(request, "image")]
    body: dict[str, Any] = {"prompt": prompt, "base64Array": pictures}
    if settings.dialect == "trueai":
        body["botType"] = _BOTS[settings.model.bot]
    return Plan(call="imagine", body=body, **plan)


def plan_change(settings: Settings, request: ImageRequest) -> Plan:
    """Plan novicezk's upscale or variation of one picture of a grid, by its number."""
    origin = _origin(settings, request)
    if chosen := request.extra.get("midjourney", {}).get("speed"):
        raise _unsupported(settings, "extra.midjourney.speed", chosen, "work on a picture takes its speed.")
    if request.prompt and request.task != "upscale":
        raise _no_prompt(settings, request, "this proxy changes a picture without a prompt.")
    index = _index(settings, request.origin.index if request.origin else 1)
    body = {"taskId": origin, "action": request.task.upper(), "index": index}
    return Plan(call="change", body=body, origin=origin, notes=_unused_prompt(request))


def plan_action(settings: Settings, request: ImageRequest, parent: Task) -> Plan:
    """Plan trueai's upscale, variation or inpaint of a picture, by the buttons that `parent`, its task, has."""
    origin = _origin(settings, request)
    button = _button(settings, request, parent)
    body: dict[str, Any] = {"taskId": parent.job, "customId": button}
    speed = chosen_speed(settings, request)
    if request.task == "upscale":
        return Plan(call="action", body=body, speed=speed, origin=origin, notes=_unused_prompt(request))
    text, negative, escaped = _texts(settings, request)
    flags = _options(settings, request)
    prompt = join(text, [*flags, *([f"--no {negative}"] if negative else [])], provider=settings.provider)
    if not text and prompt:
        raise _no_prompt(settings, request, "parameters alone, without a prompt, change nothing here.")
    dialog: dict[str, Any] = {"prompt": prompt}
    if request.mask is not None:
        dialog["maskBase64"] = _address("image/png", white_changes(request.mask))
    elif prompt:
        body["enableRemix"] = True  # without it the prompt would not be asked for
    if request.task == "variation" and "::variation::" in button:
        vary = request.extra.get("midjourney", {}).get("vary")
        body |= {"strong": vary == "strong"} if vary is not None else {}
    return Plan(
        call="action", body=body, dialog=dialog, speed=speed, origin=origin, flags=tuple(flags), escaped=escaped
    )


def plan_single(settings: Settings, request: ImageRequest, parent: Task) -> Plan | None:
    """Plan the upscale that a picture of a grid needs before it can be painted into; None: it needs none.

    It only takes the picture out of its grid.
    """
    can = any(button.startswith("MJ::Inpaint::") for button in parent.buttons)
    index = _index(settings, request.origin.index if request.origin else 1)
    start = f"MJ::JOB::upsample::{index}::"
    button = next((one for one in parent.buttons if one.startswith(start) and len(one) <= 200), None)
    if request.task != "inpaint" or can or button is None:
        return None
    speed = chosen_speed(settings, request)
    return Plan(call="action", body={"taskId": parent.job, "customId": button}, speed=speed, origin=parent.job)


def check_task(settings: Settings, request: ImageRequest) -> None:
    """Refuse what a task does not take, before anything is asked of the proxy.

    Raises:
        UnsupportedRequest: names the first such field.
    """
    for field_name, value, why in _misfits(request):
        raise _unsupported(settings, field_name, value, why)


def chosen_speed(settings: Settings, request: ImageRequest) -> Speed | None:
    """Give the speed that the request or the configuration chose."""
    chosen: Speed | None = request.extra.get("midjourney", {}).get("speed", settings.speed)
    return chosen


def images_for(request: ImageRequest, use: str) -> list[InputImage]:
    """Give the reference pictures of one use."""
    return [reference.image for reference in request.references if reference.use == use]


def data_address(image: InputImage) -> str:
    """Write a picture as a data address; without its file's own metadata, which may tell a place or a person."""
    if image.bare:
        return _address(image.mime, image.data)
    return _address("image/png", image.png("RGBA"))


def white_changes(mask: InputImage) -> bytes:
    """Write a mask as Midjourney's own editor does: an opaque PNG, white where it changes, black elsewhere."""
    import numpy as np

    grey = mask.pixels("L")
    hard = np.where(grey >= 128, np.uint8(255), np.uint8(0))
    return InputImage.of(np.stack([hard] * 3, axis=-1), field="mask").png()


def _address(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def _texts(settings: Settings, request: ImageRequest) -> tuple[str, str, bool]:
    """Give prompt and negative prompt as one line each, and whether one was changed."""
    escape = request.extra.get("midjourney", {}).get("dashes", "refuse") == "escape"
    name = settings.provider
    text, changed = clean(request.prompt, field="prompt", provider=name, escape=escape)
    asked = request.negative_prompt or ""
    negative, also = clean(asked, field="negative_prompt", provider=name, escape=escape)
    return text, negative.strip(" ,"), changed or also


def _aspect(request: ImageRequest) -> str:
    return f"--ar {request.aspect_ratio}" if request.aspect_ratio is not None else ""


def _options(settings: Settings, request: ImageRequest) -> list[str]:
    """Write the options that are parameters, in the data file's order, whatever the request's."""
    asked = request.extra.get("midjourney", {})
    flags = []
    for name, option in facts().options.items():
        value = asked.get(name)
        if option.flag is None or value is None or value is False:
            continue
        if name in {"iw", "sw", "cw", "ow"} and any(part.weight is not None for part in request.references):
            why = "references have weights of their own."
            raise _unsupported(settings, f"extra.midjourney.{name}", value, why, "Give one of them.")
        flags.append(option.flag if value is True else f"{option.flag} {_number(value)}")
    return flags


def _number(value: Any) -> str:
    return canonical_decimal(value) if isinstance(value, float) else str(value)


def _reference_flags(settings: Settings, request: ImageRequest, urls: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Write style and character references and all weights; a weight of 1 is Midjourney's usual one."""
    old = settings.model.version is not None and settings.model.version.split(".")[0] in {"5", "6"}
    names = {"style": ("--sref", "--sw"), "character": ("--cref", "--cw") if old else ("--oref", "--ow")}
    weight = _weight(settings, request, "image")
    if weight is not None:
        yield f"--iw {canonical_decimal(weight)}"
    for use, (flag, weighs) in names.items():
        if not urls.get(use):
            continue
        if use == "style" and "sref" in request.extra.get("midjourney", {}):
            sref = request.extra["midjourney"]["sref"]
            raise _unsupported(settings, "extra.midjourney.sref", sref, "style references are given too.", "Give one.")
        yield f"{flag} {' '.join(urls[use])}"
        weight = _weight(settings, request, use)
        if weight is not None:
            yield f"{weighs} {_hundredths(settings, weighs, weight)}"


def _hundredths(settings: Settings, flag: str, weight: float) -> int:
    hundredths, most = round(weight * 100), 100 if flag == "--cw" else 1000
    least = 1 if flag == "--ow" else 0
    if not least <= hundredths <= most:
        span = f"{least / 100:g} to {most / 100:g}"
        raise _unsupported(settings, "references.weight", weight, f"here it runs from {span}.", f"Choose from {span}.")
    return hundredths


def _weight(settings: Settings, request: ImageRequest, use: str) -> float | None:
    weights = {reference.weight for reference in request.references if reference.use == use}
    if len(weights) > 1:
        why = "Midjourney has one weight for all references of one use."
        raise _unsupported(settings, "references.weight", "(several)", why, "Give all the same.")
    return next(iter(weights), None)


def _misfits(request: ImageRequest) -> Iterator[tuple[str, Any, str]]:
    """Name what the task of a request cannot take."""
    asked, task = request.extra.get("midjourney", {}), request.task
    for name, only in _FOR_TASK.items():
        if name in asked and task != only:
            yield f"extra.midjourney.{name}", asked[name], f"it means nothing for {task}."
    if task != "txt2img" and request.references:
        yield "references", f"({len(request.references)} of them)", f"{task} takes none."
    if task not in {"txt2img", "img2img"}:
        if request.aspect_ratio is not None:
            yield "aspect_ratio", request.aspect_ratio, f"{task} keeps the picture's own."
        if request.seed is not None:
            yield "seed", request.seed, f"{task} draws its own seed."
        if task == "upscale" or not request.prompt:
            yield from _parameters_without_prompt(request)
    if task == "upscale" and request.n > 1:
        yield "n", request.n, "an upscale gives one picture."


def _parameters_without_prompt(request: ImageRequest) -> Iterator[tuple[str, Any, str]]:
    """Name what travels behind a prompt, where there is none."""
    for name, value in request.extra.get("midjourney", {}).items():
        if name not in _NO_FLAG:
            yield f"extra.midjourney.{name}", value, f"{request.task} without a prompt takes no parameters."
    if request.negative_prompt is not None:
        shown = f"({len(request.negative_prompt):,} characters)"
        yield "negative_prompt", shown, f"{request.task} without a prompt takes none."


def _origin(settings: Settings, request: ImageRequest) -> str:
    """Give the job that the request starts from; the picture must be this provider's own."""
    origin = request.origin
    if origin is None or origin.provider != settings.provider:
        given = "(none)" if origin is None else shorten(origin.provider)
        raise _unsupported(settings, "origin", given, "it takes only pictures that it made itself.", _AGAIN)
    return origin.job


def _index(settings: Settings, index: int) -> int:
    if not 1 <= index <= 4:
        raise _unsupported(settings, "origin.index", index, "a grid has four pictures.", "Choose from 1 to 4.")
    return index


def _button(settings: Settings, request: ImageRequest, parent: Task) -> str:
    """Find the button that does what is asked with the picture.

    Raises:
        UnsupportedRequest: the picture has none such; says what can be done instead.
    """
    asked = request.extra.get("midjourney", {})
    index = _index(settings, request.origin.index if request.origin else 1)
    wanted: list[str]
    if request.task == "inpaint":
        wanted, missing = ["MJ::Inpaint::"], "the proxy offers no painting into this picture."
    elif request.task == "variation":
        strength = "low" if asked.get("vary") == "subtle" else "high"
        wanted = [f"MJ::JOB::variation::{index}::", f"MJ::JOB::{strength}_variation::"]
        missing = "the proxy offers no variation of this picture."
    else:
        how = asked.get("upscaler", "subtle")
        wanted = [f"MJ::JOB::upsample::{index}::"] if "upscaler" not in asked else []
        wanted += [f"MJ::JOB::upsample_*{how}"] + (["MJ::JOB::upsample_*"] if "upscaler" not in asked else [])
        missing = "the proxy offers no such upscale of this picture."
    for start in wanted:
        head, _, tail = start.partition("*")
        for button in parent.buttons:
            if button.startswith(head) and tail in button and len(button) <= 200:
                return button
    raise _unsupported(settings, "origin", f"(job {parent.job}, picture {index})", missing, _AGAIN)


def _unused_prompt(request: ImageRequest) -> tuple[str, ...]:
    """Say that an upscale, which keeps what the picture shows, used no prompt."""
    return ("an upscale takes no prompt: the one given was not used",) if request.prompt else ()


def _no_prompt(settings: Settings, request: ImageRequest, why: str) -> UnsupportedRequest:
    shown = f"({len(request.prompt):,} characters)"
    return _unsupported(settings, "prompt", shown, why, "Leave it out, or ask with txt2img.")


def _unsupported(
    settings: Settings, name: str, value: Any, why: str, remedy: str = "Leave it out."
) -> UnsupportedRequest:
    shown = value if isinstance(value, str) and value.startswith("(") else shorten(value)
    return UnsupportedRequest(name, shown, why=why, remedy=remedy, provider=settings.provider)
