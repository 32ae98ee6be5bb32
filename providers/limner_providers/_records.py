"""A request as a record keeps it: canonical JSON without texts of the prompt and without pictures, and back.

Private to `types`. What may have to be erased one day (prompts, pictures, `extra`) is kept apart by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from limner_providers._requests import canonical_decimal
from limner_providers.errors import InvalidRequest

if TYPE_CHECKING:
    from limner_providers.types import ImageRequest

_APART = frozenset({"prompt", "negative_prompt", "image", "mask", "extra"})
_DECIMALS = frozenset({"guidance_scale", "strength", "scale", "weight", "start", "end"})


def to_parameters(request: ImageRequest) -> dict[str, Any]:
    """Write every field that was given, but for what is kept apart."""
    found: dict[str, Any] = {}
    for name in type(request).model_fields:
        value = getattr(request, name)
        if name in _APART or value is None or value == ():
            continue
        found[name] = _canonical(name, value)
    return found


def _canonical(name: str, value: Any) -> Any:
    if name == "seed":
        return str(value)
    if name in _DECIMALS:
        return canonical_decimal(float(value))
    if isinstance(value, tuple):
        return [_part(item) for item in value]
    return value if isinstance(value, str | int) else _part(value)


def _part(part: Any) -> dict[str, Any]:
    """Write a part of a request without its picture."""
    values = {name: getattr(part, name) for name in type(part).model_fields if name != "image"}
    return {name: _canonical(name, value) for name, value in values.items() if value is not None}


def with_inputs(parameters: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Give the fields of a request from what `to_parameters` wrote, its pictures put back into their places.

    Raises:
        InvalidRequest: a picture that the parameters speak of is missing.
    """
    fields: dict[str, Any] = {name: _native(name, value) for name, value in parameters.items()}
    fields |= {name: inputs[name] for name in ("image", "mask") if name in inputs}
    for field, kind in (("references", "reference"), ("control", "control")):
        if isinstance(fields.get(field), list):
            fields[field] = [{**part, "image": _input(inputs, f"{kind}-{i}")} for i, part in enumerate(fields[field])]
    return fields


def _input(inputs: Mapping[str, Any], name: str) -> Any:
    if name not in inputs:
        raise InvalidRequest(name, "(missing)", "Give the picture that was kept with the record.", problem="is needed.")
    return inputs[name]


def _native(name: str, value: Any) -> Any:
    """Undo `_canonical`; what is no number goes on as it is, for validation to name it."""
    if isinstance(value, list):
        return [_native(name, item) for item in value]
    if isinstance(value, Mapping):
        return {key: _native(key, item) for key, item in value.items()}
    if not isinstance(value, str) or (name != "seed" and name not in _DECIMALS):
        return value
    try:
        return int(value) if name == "seed" else float(value)
    except ValueError:
        return value
