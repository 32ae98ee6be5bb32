"""Canonical JSON (RFC 8785) for data that has no trouble in it: one value, one text, one hash.

Floats, keys outside ASCII, lone surrogates and integers beyond ±(2⁵³−1) are refused, so that the standard library's
encoder gives exactly what RFC 8785 asks. Knows nothing of entries or logs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic_core import from_json, to_json

from limner_provenance.errors import EntryInvalid

MAX_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader holds exactly (I-JSON, RFC 7493)."""

MAX_DEPTH = 64
"""How deep values may be nested; deeper ones (or a value that holds itself) are refused."""


def _make_encode() -> Callable[[Any], str]:
    """Give the canonical encoder; the standard library's own C encoder, made once, is twice as fast as `encode`."""
    made = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return made.encode
    quote = json.encoder.encode_basestring
    chunks = make(None, made.default, quote, None, ":", ",", True, False, False)
    return lambda value: quote(value) if isinstance(value, str) else "".join(chunks(value, 0))


_encode = _make_encode()


def canonical(value: Any, *, where: str = "value") -> str:
    """Give the canonical JSON text of `value`.

    Args:
        value: None, bool, int, str, list or tuple, or dict with string keys, nested at will.
        where: the name that error messages use for the whole value.

    Returns:
        The text; its UTF-8 bytes are what is hashed and stored.

    Raises:
        EntryInvalid: `value` holds something that has no canonical form; the message names the path of the field and
            its type, never its content.
    """
    if not _is_plain(value, 0):
        _check(value, where, 0)
    text = _encode(value)
    if not text.isascii():
        _check_surrogates(value, text, where)
    return text


def read_canonical(text: str | bytes) -> Any:
    """Read JSON text, and refuse it unless it is the canonical text of its value.

    Raises:
        ValueError: the text is no JSON, or not canonical.
    """
    data = text.encode() if isinstance(text, str) else text
    # pydantic's reader and writer, in Rust, take half the time of the standard library's.
    value = from_json(data, allow_inf_nan=False)
    # Writing it again finds repeated keys, white space and escapes; the walk finds order and numbers.
    if not _is_canonical(value, 0) or to_json(value) != data:
        raise ValueError("the text is not canonical")
    if not data.isascii():
        try:
            _check(value, "value", 0)
        except EntryInvalid as error:
            raise ValueError(str(error)) from None
    return value


def _is_canonical(value: Any, depth: int) -> bool:
    """Say whether a value that was read has keys in order, and no number or depth that `canonical` refuses."""
    kind = type(value)
    if kind is dict:
        last = ""
        for key in value:
            if key < last:
                return False
            last = key
        value = value.values()
    elif kind is not list:
        return kind is not float and (kind is not int or -MAX_INTEGER <= value <= MAX_INTEGER)
    # A loop: a generator would cost more than what it goes through.
    for item in value:
        if type(item) is not str and not _is_canonical(item, depth + 1):
            return False
    return depth < MAX_DEPTH


def _is_plain(value: Any, depth: int) -> bool:
    """Say quickly whether there is certainly nothing to refuse; `_check` finds out what it is, and where."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return bool(-MAX_INTEGER <= value <= MAX_INTEGER)
    if depth >= MAX_DEPTH:
        return False
    if kind is dict:
        keys = all(type(key) is str and key.isascii() for key in value)
        return keys and all(type(item) is str or _is_plain(item, depth + 1) for item in value.values())
    if kind is list:
        return all(type(item) is str or _is_plain(item, depth + 1) for item in value)
    return False


def _check(value: Any, path: str, depth: int) -> None:
    """Refuse what has no canonical form, naming where it stands."""
    if value is None or value is True or value is False or isinstance(value, str):
        return
    if isinstance(value, int):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise EntryInvalid(f"{path} is an integer beyond ±(2^53-1).", remedy="Write it as a string.")
        return
    if depth >= MAX_DEPTH:
        raise EntryInvalid(f"{path} is nested deeper than {MAX_DEPTH} levels.", remedy="Flatten it.")
    if isinstance(value, dict):
        for key, item in value.items():
            _check(item, f"{path}.{_key(key, path)}", depth + 1)
        return
    if isinstance(value, list | tuple):
        for position, item in enumerate(value):
            _check(item, f"{path}[{position}]", depth + 1)
        return
    raise EntryInvalid(f"{path} is of type {type(value).__name__}.", remedy=_REMEDIES.get(type(value).__name__, _OTHER))


def _key(key: Any, path: str) -> str:
    """Give `key` if it may be a key."""
    if not isinstance(key, str):
        raise EntryInvalid(f"{path} has a key of type {type(key).__name__}.", remedy="Keys are ASCII strings.")
    if not key.isascii():
        raise EntryInvalid(f"{path} has a key outside ASCII.", remedy="Keys are ASCII strings.")
    return key


def _check_surrogates(value: Any, text: str, where: str) -> None:
    """Refuse lone surrogates; the whole text is tried first since it is nearly always good."""
    try:
        text.encode()
    except UnicodeEncodeError:
        path = _find_surrogate(value, where) or where
        message = f"{path} holds a lone surrogate (half of a character), which no UTF-8 text can hold."
        raise EntryInvalid(message, remedy="Decode the text properly.") from None


def _find_surrogate(value: Any, path: str) -> str | None:
    """Give the path of the first string that UTF-8 cannot hold."""
    if isinstance(value, str):
        return path if any("\ud800" <= character <= "\udfff" for character in value) else None
    items: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        items = [(f"{path}.{key}", item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        items = [(f"{path}[{position}]", item) for position, item in enumerate(value)]
    return next((found for name, item in items if (found := _find_surrogate(item, name))), None)


_REMEDIES = {
    "float": "Write scores as strings of 6 decimals, money as strings, durations as integer microseconds.",
    "Decimal": "Write it as a string.",
    "datetime": "Write it as RFC 3339 text in UTC.",
    "UUID": "Write it as a string.",
    "bytes": "Hand it over as a payload, or write it in hex.",
}
_OTHER = "Only None, bool, int, str, list and dict have a canonical form."
