"""Checks of a request's fields, and their failure told as one InvalidRequest with a remedy.

Private to `types`. It must never put the text of a prompt into a message.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic_core import ErrorDetails, PydanticCustomError

from limner_providers.errors import InvalidRequest, shorten

PROMPT_FIELDS = ("prompt", "negative_prompt")
MAX_PROMPT = 100_000  # characters; a prompt of a megabyte is an accident or an attack
MAX_SIDE = 16_384  # pixels; the largest side that the WebP format can hold is 16383, PNG and JPEG hold more

_SIZE = re.compile(r"([0-9]{1,9})\s*[xX×]\s*([0-9]{1,9})")
_ASPECT = re.compile(r"([0-9]{1,3})\s*:\s*([0-9]{1,3})")
_SIZE_REMEDY = f'Write WIDTHxHEIGHT in pixels, each 1 to {MAX_SIDE}, for example size="512x512".'
# What to do, by the kind of failure that pydantic reports; `{x}` is filled from its context.
_REMEDIES: Mapping[str, str] = {
    "missing": "Give it.",
    "int_type": "Give a whole number.",
    "float_type": "Give a number.",
    "finite_number": "Give a finite number.",
    "string_type": "Give a text.",
    "greater_than_equal": "Give {ge:.12g} or more.",
    "less_than_equal": "Give {le:.12g} or less.",
    "less_than": "Give a number below {lt}.",
    "greater_than": "Give a number above {gt:.12g}.",
    "too_long": "Give at most {max_length}.",
    "tuple_type": "Give a list.",
    "bool_type": "Give true or false.",
    "string_pattern_mismatch": "Give a plain word.",
    "model_type": "Give its parts by name.",
    "literal_error": "Give one of {expected}.",
    "string_too_short": "Give a name, or leave it out.",
    "string_too_long": "Give at most {max_length} characters.",
}


def wrong(problem: str, remedy: str, **where: Any) -> PydanticCustomError:
    """Make the error that a validator raises: `problem` completes "field=value …".

    A validator of the whole request says by `field=` and `value=` which of them is meant.
    """
    return PydanticCustomError("limner", "{problem}", {"problem": problem, "remedy": remedy, **where})


def check_text(text: str) -> str:
    """Refuse a prompt that no engine or record could carry.

    Raises:
        PydanticCustomError: too long, with a NUL or with half of a surrogate pair.
    """
    if len(text) > MAX_PROMPT:
        raise wrong("is too long.", f"A prompt has at most {MAX_PROMPT:,} characters.")
    if "\0" in text:
        raise wrong("contains a NUL character.", "Remove it.")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise wrong("contains half of a surrogate pair, which is no character.", "Decode the text properly, as UTF-8.")
    return text


def parse_size(value: object) -> str:
    """Write a size, `WIDTHxHEIGHT` or a pair of integers, as canonical text.

    Raises:
        PydanticCustomError: malformed, or a side outside 1 to 16384 pixels.
    """
    width, height = _sides(value)
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise wrong("is out of range.", _SIZE_REMEDY)
    return f"{width}x{height}"


def parse_aspect(value: object) -> str:
    """Write proportions, `16:9` or a pair of integers, without a common divisor.

    Raises:
        PydanticCustomError: malformed, or a part outside 1 to 100.
    """
    remedy = 'Write across:down, each 1 to 100, for example aspect_ratio="16:9".'
    pair: tuple[int, int] | None = None
    if isinstance(value, str) and (match := _ASPECT.fullmatch(value.strip())):
        pair = int(match[1]), int(match[2])
    elif isinstance(value, list | tuple) and len(value) == 2 and all(type(part) is int for part in value):
        pair = value[0], value[1]
    if pair is None or not all(1 <= part <= 100 for part in pair):
        raise wrong("is no pair of proportions.", remedy)
    common = math.gcd(*pair)
    return f"{pair[0] // common}:{pair[1] // common}"


def check_extra(value: object) -> dict[str, dict[str, Any]]:
    """Take options by kind of engine, whose values are JSON, so that a record can keep them.

    Raises:
        PydanticCustomError: it is no mapping of mappings, or a value is no JSON.
    """
    remedy = 'Write {"KIND": {"OPTION": value}}, for example extra={"midjourney": {"stylize": 250}}.'
    if not isinstance(value, Mapping) or not all(isinstance(part, Mapping) for part in value.values()):
        raise wrong("is no mapping by kind of engine.", remedy, value="(…)")
    try:
        copied = json.loads(json.dumps({str(kind): dict(part) for kind, part in value.items()}, allow_nan=False))
    except (TypeError, ValueError):
        raise wrong("holds a value that is no JSON.", remedy, value="(…)") from None
    return {kind: part for kind, part in copied.items() if part}


def _sides(value: object) -> tuple[int, int]:
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match:
            return int(match[1]), int(match[2])
    elif isinstance(value, Sequence) and len(value) == 2 and all(type(side) is int for side in value):
        return value[0], value[1]
    raise wrong("is no size.", _SIZE_REMEDY)


def canonical_decimal(number: float) -> str:
    """Write a finite number as records keep it: exactly, without exponent, trailing zeros or a negative zero."""
    text = format(Decimal(repr(float(number))), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def refusal(errors: Sequence[ErrorDetails], fields: Iterable[str]) -> InvalidRequest:
    """Tell the first of pydantic's errors as an InvalidRequest, in the order of the request's fields."""
    order = {name: position for position, name in enumerate(fields)}
    first = min(errors, key=lambda error: order.get(_field(error).split(".")[0], -1))
    field = _field(first)
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InvalidRequest):  # of a picture that could not be read
        return InvalidRequest(field, cause.value, cause.remedy, problem=cause.problem)
    if first["type"] == "extra_forbidden":
        return _unknown(field, list(order))
    problem = str(first["ctx"]["problem"]) if first["type"] == "limner" else "is not valid."
    if first["type"] == "missing":
        problem = "is needed."
    return InvalidRequest(field, _shown(field, first), _remedy(first), problem=problem)


def _field(error: ErrorDetails) -> str:
    if error["type"] == "limner" and "field" in error.get("ctx", {}):
        return str(error["ctx"]["field"])
    # A mistake inside a part is named by its way there: references.0.weight.
    parts = [str(part) for part in error["loc"] if not str(part).startswith("function-")]
    return ".".join(parts) or "request"


def _shown(field: str, error: ErrorDetails) -> str:
    """Write the wrong value; of a prompt say the length only."""
    if error["type"] == "missing":
        return "(missing)"
    ctx: Mapping[str, Any] = error.get("ctx", {})
    value = ctx.get("value", error["input"])
    if field in PROMPT_FIELDS:
        return f"({len(value):,} characters)" if isinstance(value, str) else f"({type(value).__name__})"
    if value == "(…)" or isinstance(value, Mapping | bytes):
        return "(…)"
    return shorten(value)


def _remedy(error: ErrorDetails) -> str:
    context: Mapping[str, Any] = error.get("ctx", {})
    if error["type"] == "limner":
        return str(context["remedy"])
    template = _REMEDIES.get(error["type"])
    return template.format(**context) if template else f"{error['msg']}."


_ELSEWHERE = {
    "steps": "num_inference_steps",
    "num_steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "cfg": "guidance_scale",
    "cfg_scale": "guidance_scale",
    "sampler": "scheduler",
    "sampler_name": "scheduler",
    "width": "size",
    "height": "size",
    "denoising_strength": "strength",
    "num_images": "n",
    "num_images_per_prompt": "n",
    "batch_size": "n",
    "format": "output_format",
    "images": "references",
    "init_image": "image",
    "mask_image": "mask",
}
"""What other libraries and servers call these fields."""


def _unknown(field: str, known: list[str]) -> InvalidRequest:
    """Refuse a field that does not exist: nothing is dropped silently."""
    near = [_ELSEWHERE[field]] if field in _ELSEWHERE else difflib.get_close_matches(field, known, n=1)
    remedy = f"Did you mean {near[0]}?" if near else f"A request has {', '.join(known)}."
    # The value is not shown: it may be anything, even a key put into the wrong place.
    return InvalidRequest(shorten(field).strip("'\""), "(…)", remedy, problem="is no field of a request.")
