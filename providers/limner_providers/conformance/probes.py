"""For every field of a request: two values between which something has to change, and values beyond the limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from limner_providers.capabilities import Capabilities, DecimalRange, IntRange, OptionRule
from limner_providers.conformance.pictures import mask, sample

Fields = dict[str, Any]
Pair = tuple[Fields, Fields]
_BACKGROUNDS = ("transparent", "opaque", "auto")
_USES = ("image", "style", "character")


def picture_task(able: Capabilities) -> str:
    """Give a task that starts from a picture, one it carries out where there is one."""
    return next((task for task in ("img2img", "variation", "inpaint", "upscale") if task in able.tasks), "img2img")


def _prompt(_: Capabilities) -> Pair:
    return {"prompt": "a red apple, zqxjvword"}, {"prompt": "a blue boat, zqxjvword"}


def _negative_prompt(able: Capabilities) -> Pair:
    above, default = able.negative_prompt_guidance_above, able.default_guidance_scale
    guided: Fields = {}
    if above is not None and default is not None and default <= above:
        guided = {"guidance_scale": float(above) + 2}
    return guided, {"negative_prompt": "fog, zqxjvword", **guided}


def _two(allowed: IntRange | DecimalRange | None, wish: float) -> tuple[Any, Any]:
    """Give two different numbers of a range, near `wish` and above."""
    if allowed is None:
        return wish, wish + 1
    low = min(max(Decimal(str(wish)), Decimal(allowed.minimum)), Decimal(allowed.maximum))
    high = min(low + 1, Decimal(allowed.maximum))
    low = max(high - 1, Decimal(allowed.minimum)) if low == high else low
    make = int if isinstance(allowed, IntRange) else float
    return make(low), make(high)


def _steps(able: Capabilities) -> Pair:
    one, two = _two(able.num_inference_steps, 2)
    return {"num_inference_steps": int(one)}, {"num_inference_steps": int(two)}


def _guidance(able: Capabilities) -> Pair:
    one, two = _two(able.guidance_scale, 3.0)
    return {"guidance_scale": float(one)}, {"guidance_scale": float(two)}


def _scheduler(able: Capabilities) -> Pair:
    if len(able.schedulers) > 1:
        return {"scheduler": able.schedulers[0]}, {"scheduler": able.schedulers[1]}
    return {}, {"scheduler": (*able.schedulers, "ddim")[0]}


def _strength(able: Capabilities) -> Pair:
    task = picture_task(able)
    return {"task": task, "strength": 0.3}, {"task": task, "strength": 0.9}


def _scale(able: Capabilities) -> Pair:
    one, two = _two(able.scale, 2.0)
    return {"task": "upscale", "scale": float(max(one, 1.5))}, {"task": "upscale", "scale": float(two)}


def _references(able: Capabilities) -> Pair:
    use = able.references.uses[0] if able.references else "image"
    return {}, {"references": [{"image": sample(32, 32, 3), "use": use}]}


def _second_reference(able: Capabilities) -> Pair:
    (_, one) = _references(able)
    more = {"image": sample(32, 32, 4), "use": one["references"][0]["use"]}
    return one, {"references": [*one["references"], more]}


def _reference_weight(able: Capabilities) -> Pair:
    (_, one) = _references(able)
    light, heavy = ([{**one["references"][0], "weight": weight}] for weight in (0.5, 1.5))
    return {"references": light}, {"references": heavy}


def _control(able: Capabilities) -> Pair:
    kind = able.control[0] if able.control else "canny"
    return {}, {"control": [{"image": sample(32, 32, 5), "kind": kind}]}


def _lora(_: Capabilities) -> Pair:
    return {}, {"lora": [{"name": "kit", "weight": 0.5}]}


def _background(able: Capabilities) -> Pair:
    words = [word for word in _BACKGROUNDS if word in able.backgrounds]
    fitting = {"output_format": "png" if "png" in able.output_formats else able.output_formats[-1]}
    if "transparent" in words and fitting["output_format"] == "jpeg":
        words.remove("transparent")
    if len(words) > 1:
        return {"background": words[0], **fitting}, {"background": words[1], **fitting}
    return fitting, {"background": words[0] if words else "opaque", **fitting}


def _quality(able: Capabilities) -> Pair:
    if len(able.qualities) > 1:
        return {"quality": able.qualities[0]}, {"quality": able.qualities[-1]}
    return {}, {"quality": (*able.qualities, "high")[0]}


def _compression(able: Capabilities) -> Pair:
    lossy = next((name for name in able.output_formats if name != "png"), "jpeg")
    return ({"output_format": lossy, "output_compression": value} for value in (20, 90))  # type: ignore[return-value]


PROBES: Mapping[str, Callable[[Capabilities], Pair]] = {
    "prompt": _prompt,
    "negative_prompt": _negative_prompt,
    "num_inference_steps": _steps,
    "guidance_scale": _guidance,
    "scheduler": _scheduler,
    "strength": _strength,
    "scale": _scale,
    "references": _references,
    "second reference": _second_reference,
    "reference weight": _reference_weight,
    "control": _control,
    "lora": _lora,
    "background": _background,
    "quality": _quality,
    "output_compression": _compression,
}
"""By field: two sets of fields; a provider that takes the second has to make a difference between them."""


def option_values(rule: OptionRule) -> Any:
    """Give a value that an option of a kind's own takes."""
    low = rule.minimum if rule.minimum is not None else Decimal(1)
    if rule.type == "boolean":
        return True
    if rule.choices:
        return rule.choices[-1]
    if rule.type == "text":
        return "kit".ljust(int(low), "x")[: int(rule.maximum) if rule.maximum is not None else None]
    value = low + 1 if rule.maximum is None or low + 1 <= rule.maximum else low
    return int(value) if rule.type == "integer" else float(value)


def beyond(able: Capabilities) -> Iterator[tuple[str, Fields]]:
    """Give requests that are just beyond what the capabilities allow, each with its field."""
    if able.max_n < 100:
        yield "n", {"n": able.max_n + 1}
    for size in ("1x1", "16384x16384", "16384x16", "1001x999"):
        width, height = (int(side) for side in size.split("x"))
        if able.size.problem(width, height):
            yield "size", {"size": size}
    for field, allowed, highest in (
        ("num_inference_steps", able.num_inference_steps, 1000),
        ("guidance_scale", able.guidance_scale, 100),
    ):
        if allowed is not None and allowed.maximum < highest:
            yield field, {field: (type(allowed) is IntRange and int(allowed.maximum) + 1) or float(allowed.maximum) + 1}
    if able.max_prompt_characters is not None and able.max_prompt_characters < 100_000:
        yield "prompt", {"prompt": "x" * (able.max_prompt_characters + 1)}
    yield from _beyond_words(able)
    yield from _beyond_parts(able)
    yield from _beyond_extra(able)


def _beyond_words(able: Capabilities) -> Iterator[tuple[str, Fields]]:
    for word in _BACKGROUNDS:
        if word not in able.backgrounds and (word != "transparent" or "png" in able.output_formats):
            yield "background", {"background": word, "output_format": "png"}
    yield "quality", {"quality": "no-such-quality"}
    yield "scheduler", {"scheduler": "no such scheduler"}


def _beyond_parts(able: Capabilities) -> Iterator[tuple[str, Fields]]:
    picture = sample(32, 32)
    rule = able.references
    if rule is not None:
        if rule.maximum < 16:
            yield "references", {"references": [{"image": picture, "use": rule.uses[0]}] * (rule.maximum + 1)}
        for use in _USES:
            if use not in rule.uses:
                yield "references", {"references": [{"image": picture, "use": use}]}
    yield "control", {"control": [{"image": picture, "kind": "no-such-kind"}]}
    if able.lora < 16:
        yield "lora", {"lora": [{"name": f"kit-{i}"} for i in range(able.lora + 1)]}
    if able.mask is None:
        yield "mask", {"task": "inpaint", "image": picture, "mask": mask(32, 32)}


def _beyond_extra(able: Capabilities) -> Iterator[tuple[str, Fields]]:
    yield "extra", {"extra": {able.kind: {"no_such_option": 1}}}
    for name in able.extra:
        yield "extra", {"extra": {able.kind: {name: ["a list is no option's value"]}}}
