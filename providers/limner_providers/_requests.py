"""Checks of a request's fields, and their failure told as one InvalidRequest with a remedy.

Private to `types`. It must never put the text of a prompt into a message.
"""

from __future__ import annotations

import difflib
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
_SIZE_REMEDY = f'Write WIDTHxHEIGHT in pixels, each 1 to {MAX_SIDE}, for example size="512x512".'
_LATER = frozenset({"image", "mask", "references", "control", "lora", "ip_adapter", "background", "quality", "extra"})

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
        PydanticCustomError: too long, blank, with a NUL or with half of a surrogate pair.
    """
    if len(text) > MAX_PROMPT:
        raise wrong("is too long.", f"A prompt has at most {MAX_PROMPT:,} characters.")
    if not text.strip():
        raise wrong("is empty.", "Say what to draw.")
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
    first = min(errors, key=lambda error: order.get(_field(error), -1))
    field = _field(first)
    if first["type"] == "extra_forbidden":
        return _unknown(field, list(order))
    problem = str(first["ctx"]["problem"]) if first["type"] == "limner" else "is not valid."
    if first["type"] == "missing":
        problem = "is needed."
    return InvalidRequest(field, _shown(field, first), _remedy(first), problem=problem)


def _field(error: ErrorDetails) -> str:
    if error["type"] == "limner" and "field" in error.get("ctx", {}):
        return str(error["ctx"]["field"])
    return str(error["loc"][0]) if error["loc"] else "request"


def _shown(field: str, error: ErrorDetails) -> str:
    """Write the wrong value; of a prompt say the length only."""
    if error["type"] == "missing":
        return "(missing)"
    ctx: Mapping[str, Any] = error.get("ctx", {})
    value = ctx.get("value", error["input"])
    if field in PROMPT_FIELDS:
        return f"({len(value):,} characters)" if isinstance(value, str) else f"({type(value).__name__})"
    return shorten(value)


def _remedy(error: ErrorDetails) -> str:
    context: Mapping[str, Any] = error.get("ctx", {})
    if error["type"] == "limner":
        return str(context["remedy"])
    template = _REMEDIES.get(error["type"])
    return template.format(**context) if template else f"{error['msg']}."


def _unknown(field: str, known: list[str]) -> InvalidRequest:
    """Refuse a field that does not exist: nothing is dropped silently."""
    if field in _LATER:
        remedy = "This version does not carry it out yet; leave it out."
    else:
        near = difflib.get_close_matches(field, known, n=1)
        remedy = f"Did you mean {near[0]}?" if near else f"A request has {', '.join(known)}."
    # The value is not shown: it may be anything, even a key put into the wrong place.
    return InvalidRequest(shorten(field).strip("'\""), "(…)", remedy, problem="is no field of a request.")
