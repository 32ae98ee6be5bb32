"""What the OpenAI Images endpoints accept, written from the wire facts: fields, ranges and models.

`check(kind, fields, files, dialect)` returns the checked `Job` or raises `Refused`, which is the vendor's error
answer. Forms carry numbers and booleans as texts; they are read here as the endpoint reads them.

Not known from any public source and therefore chosen: gpt-image-2.6 takes free sizes like 2 and 2.5 but not the
qualities `xhigh` and `max`, which are documented for 2.5 alone; a free size has at most 3840 × 2160 pixels and no edge
over 3840.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from servers.ledger import Upload
from servers.pictures import Size

Kind = Literal["generations", "edits", "variations"]

LIVING = (
    "gpt-image-1-mini",
    "gpt-image-1.5",
    "gpt-image-2",
    "gpt-image-2-2026-04-21",
    "gpt-image-2.5-sunburst",
    "gpt-image-2.5-sunburst-2026-09-08",
    "gpt-image-2.5-flare",
    "gpt-image-2.5-flare-2026-09-08",
    "gpt-image-2.6-sunburst",
    "gpt-image-2.6-flare",
    "chatgpt-image-latest",
)
LEGACY = ("dall-e-2", "dall-e-3")

_COMMON = {"prompt", "model", "n", "size", "quality", "user"}
_GPT = _COMMON | {
    "background",
    "complexity",
    "frame_count",
    "frame_duration_ms",
    "moderation",
    "output_compression",
    "output_format",
    "partial_images",
    "safety_identifier",
    "stream",
    "svg",
}
_LEGACY = _COMMON | {"response_format", "style"}
_EDIT_ONLY = {"input_fidelity"}
_FILES: dict[Kind, set[str]] = {
    "generations": set(),
    "edits": {"image", "image[]", "mask", "markup"},
    "variations": {"image"},
}
_STANDARD = ("1024x1024", "1536x1024", "1024x1536", "auto")
_LEGACY_SIZES = {
    "dall-e-2": ("256x256", "512x512", "1024x1024"),
    "dall-e-3": ("1024x1024", "1792x1024", "1024x1792"),
}
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


class Refused(Exception):
    """The vendor's error answer: a status and the fields of its `error` object."""

    def __init__(
        self,
        message: str,
        param: str | None,
        code: str | None,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, Any] = {"message": message, "type": kind, "param": param, "code": code}


@dataclass(slots=True)
class Job:
    """A request that was accepted, with its defaults filled in. `size` is None for `auto`."""

    kind: Kind
    model: str
    prompt: str
    n: int = 1
    size: Size | None = None
    quality: str = "auto"
    background: str = "auto"
    output_format: str = "png"
    compression: int = 100
    stream: bool = False
    partial_images: int = 0
    frames: int = 9
    frame_ms: int = 200
    svg_model: str | None = None
    safety_identifier: str | None = None
    as_url: bool = False
    images: list[Upload] = field(default_factory=list)
    mask: Upload | None = None
    markup: Upload | None = None


def check(kind: Kind, fields: dict[str, Any], files: list[Upload], *, legacy: bool) -> Job:
    """Check one request's fields; `legacy` says that this server still serves the dall-e models."""
    given = {name: value for name, value in fields.items() if value is not None}
    model = _model(kind, given, legacy=legacy)
    allowed = (_LEGACY if model in LEGACY else _GPT) | (
        _EDIT_ONLY if kind == "edits" and model not in LEGACY else set()
    )
    if kind == "variations":
        allowed -= {"prompt", "quality", "style"}
    for name in given:
        if name.partition("[")[0] not in allowed and name not in _FILES[kind]:
            raise Refused(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    for upload in files:
        if upload.field not in _FILES[kind]:
            raise Refused(f"Unknown parameter: '{upload.field}'.", upload.field, "unknown_parameter")
    job = Job(kind, model, "" if kind == "variations" else _prompt(given, model))
    job.n = _whole(given, "n", 1, 1 if model == "dall-e-3" else 10, 1)
    if model in LEGACY:
        _legacy_fields(job, given)
    else:
        _gpt_fields(job, given)
        _combinations(job, given)
    return job


def _model(kind: Kind, given: dict[str, Any], *, legacy: bool) -> str:
    model = given.get("model")
    if model is None and (legacy or kind == "variations"):
        model = "dall-e-2"
    if model is None:
        raise Refused("Missing required parameter: 'model'.", "model", "missing_required_parameter")
    served = LEGACY if legacy else LIVING
    if not isinstance(model, str) or model not in served:
        text = f"The model '{model}' does not exist or you do not have access to it."
        raise Refused(text, "model", "model_not_found", status=404)
    if kind == "variations" and model != "dall-e-2":
        raise invalid("model", model, ("dall-e-2",))
    return model


def _prompt(given: dict[str, Any], model: str) -> str:
    prompt = given.get("prompt")
    if prompt is None or prompt == "":
        raise Refused("Missing required parameter: 'prompt'.", "prompt", "missing_required_parameter")
    if not isinstance(prompt, str):
        raise _wrong_type("prompt", "a string", prompt)
    longest = {"dall-e-2": 1000, "dall-e-3": 4000}.get(model, 32000)
    if len(prompt) > longest:
        text = (
            f"Invalid 'prompt': string too long. Expected a string with maximum length {longest}, but got a "
            f"string with length {len(prompt)} instead."
        )
        raise Refused(text, "prompt", "string_above_max_length")
    return prompt


def _legacy_fields(job: Job, given: dict[str, Any]) -> None:
    width, _, height = _choice(given, "size", _LEGACY_SIZES[job.model], "1024x1024").partition("x")
    job.size = int(width), int(height)
    qualities = ("standard", "hd") if job.model == "dall-e-3" else ("standard",)
    job.quality = _choice(given, "quality", qualities, "standard")
    if "style" in given and job.model != "dall-e-3":
        raise Refused("Unknown parameter: 'style'.", "style", "unknown_parameter")
    _choice(given, "style", ("vivid", "natural"), "vivid")
    job.as_url = _choice(given, "response_format", ("url", "b64_json"), "url") == "url"


def _gpt_fields(job: Job, given: dict[str, Any]) -> None:
    job.size = _size(given, job.model)
    qualities = ("auto", "low", "medium", "high", *(("xhigh", "max") if "-2.5-" in job.model else ()))
    job.quality = _choice(given, "quality", qualities, "auto")
    job.background = _choice(given, "background", ("transparent", "opaque", "auto"), "auto")
    job.output_format = _choice(given, "output_format", ("png", "jpeg", "webp", "gif", "svg"), "png")
    job.compression = _whole(given, "output_compression", 0, 100, 100)
    job.partial_images = _whole(given, "partial_images", 0, 3, 0)
    job.stream = _flag(given, "stream")
    job.frames = _whole(given, "frame_count", 2, 16, 9)
    job.frame_ms = _whole(given, "frame_duration_ms", 1, 655_350, 200)
    job.svg_model = _svg(given)
    _choice(given, "complexity", ("low", "medium", "high"), "medium")
    _choice(given, "moderation", ("low", "auto"), "auto")
    _fidelity(given, job.model)
    for name in ("safety_identifier", "user"):
        if not isinstance(given.get(name, ""), str):
            raise _wrong_type(name, "a string", given[name])
    job.safety_identifier = given.get("safety_identifier") or given.get("user") or None


def _fidelity(given: dict[str, Any], model: str) -> None:
    if "input_fidelity" not in given:
        return
    allowed = {"gpt-image-1.5": ("high", "low"), "gpt-image-1-mini": ("low",)}.get(model)
    if allowed is None:
        text = f"The model '{model}' does not support the 'input_fidelity' parameter."
        raise Refused(text, "input_fidelity", "invalid_input_fidelity_model")
    _choice(given, "input_fidelity", allowed, "low")


def _combinations(job: Job, given: dict[str, Any]) -> None:
    kind = job.output_format
    wrong: list[tuple[bool, str, str]] = [
        (
            job.background == "transparent" and kind not in {"png", "webp"},
            "background",
            f"Transparent background is not supported for {kind} output format",
        ),
        (
            "output_compression" in given and job.compression < 100 and kind == "png",
            "output_compression",
            "Compression less than 100 is not supported for PNG output format",
        ),
        (
            "output_compression" in given and kind in {"gif", "svg"},
            "output_compression",
            f"'output_compression' is not supported for {kind} output format",
        ),
        (
            "partial_images" in given and not job.stream,
            "partial_images",
            "'partial_images' is only supported when 'stream' is true",
        ),
        (job.stream and kind in {"gif", "svg"}, "stream", f"Streaming is not supported for {kind} output format"),
        (kind == "svg" and job.n != 1, "n", "SVG output requires n=1"),
        (
            "frame_count" in given and kind != "gif",
            "frame_count",
            "'frame_count' is only supported for gif output format",
        ),
        (
            "frame_duration_ms" in given and kind != "gif",
            "frame_duration_ms",
            "'frame_duration_ms' is only supported for gif output format",
        ),
        (job.svg_model is not None and kind != "svg", "svg", "'svg' is only supported for svg output format"),
    ]
    for is_wrong, param, text in wrong:
        if is_wrong:
            raise Refused(text + ".", param, "invalid_value", kind="image_generation_user_error")


def _size(given: dict[str, Any], model: str) -> Size | None:
    value = given.get("size", "auto")
    if not isinstance(value, str):
        raise _wrong_type("size", "a string", value)
    if value == "auto":
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", value)
    if not model.startswith("gpt-image-2"):
        if value not in _STANDARD:
            raise invalid("size", value, _STANDARD)
    elif match is None:
        raise Refused(f"Invalid size '{value}'. Expected WIDTHxHEIGHT or 'auto'.", "size", "invalid_value")
    assert match is not None
    width, height = int(match[1]), int(match[2])
    if width % 16 or height % 16:
        fault = "Width and height must both be divisible by 16"
    elif max(width, height) > 3 * min(width, height):
        fault = "The aspect ratio must be between 1:3 and 3:1"
    elif max(width, height) > 3840 or width * height > 3840 * 2160:
        fault = "The maximum supported resolution is 3840x2160"
    else:
        return width, height
    raise Refused(f"Invalid size '{value}'. {fault}.", "size", "invalid_value")


def _svg(given: dict[str, Any]) -> str | None:
    nested: dict[str, Any] = {}
    for name in [name for name in given if name.startswith("svg[")]:
        nested[name[4:].partition("]")[0]] = given[name]
    value = given.get("svg", nested or None)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _wrong_type("svg", "an object", value)
    if not isinstance(value.get("model"), str):
        raise Refused("Missing required parameter: 'svg.model'.", "svg.model", "missing_required_parameter")
    reasoning = value.get("reasoning")
    if isinstance(reasoning, dict) and reasoning.get("effort") not in {None, *_EFFORTS}:
        raise invalid("svg.reasoning.effort", str(reasoning["effort"]), _EFFORTS)
    return str(value["model"])


def _choice(given: dict[str, Any], name: str, allowed: tuple[str, ...], default: str) -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        raise _wrong_type(name, f"one of {_listed(allowed)}", value)
    if value not in allowed:
        raise invalid(name, value, allowed)
    return value


def _whole(given: dict[str, Any], name: str, low: int, high: int, default: int) -> int:
    value = given.get(name, default)
    if isinstance(value, FormText) and re.fullmatch(r"-?\d{1,9}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(name, "an integer", value)
    if value > high:
        text = f"Invalid '{name}': integer above maximum value. Expected a value <= {high}, but got {value} instead."
        raise Refused(text, name, "integer_above_max_value")
    if value < low:
        text = f"Invalid '{name}': integer below minimum value. Expected a value >= {low}, but got {value} instead."
        raise Refused(text, name, "integer_below_min_value")
    return value


def _flag(given: dict[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if isinstance(value, FormText) and value in {"true", "false"}:
        return value == "true"
    if not isinstance(value, bool):
        raise _wrong_type(name, "a boolean", value)
    return value


class FormText(str):
    """A text of a form, which may stand for a number or a boolean."""

    __slots__ = ()


def invalid(param: str, value: str, allowed: tuple[str, ...]) -> Refused:
    """The vendor's words for a value outside a list."""
    text = f"Invalid value: '{value}'. Supported values are: {_listed(allowed)}."
    return Refused(text, param, "invalid_value")


def _listed(allowed: tuple[str, ...]) -> str:
    quoted = [f"'{value}'" for value in allowed]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + f", and {quoted[-1]}"


def _wrong_type(param: str, expected: str, value: Any) -> Refused:
    names = {
        "str": "a string",
        "FormText": "a string",
        "int": "an integer",
        "float": "a decimal number",
        "bool": "a boolean",
        "list": "an array",
        "dict": "an object",
    }
    got = names.get(type(value).__name__, type(value).__name__)
    return Refused(f"Invalid type for '{param}': expected {expected}, but got {got} instead.", param, "invalid_type")
