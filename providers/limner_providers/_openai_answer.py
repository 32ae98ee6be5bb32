"""Reading the answers of the OpenAI Images API: megabytes of base64 taken out before the rest is read as JSON.

It knows bytes, and nothing of clients or requests. Pictures stay exactly the bytes that were sent.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import CoreConfig, SchemaValidator, ValidationError, core_schema

from limner_providers._sniff import MAX_BYTES, Picture, check_picture, picture_from_base64

_NAME = b'"b64_json"'
_OPENS = re.compile(rb"\s{0,64}:\s{0,64}\"")
_SHORT = 256  # bytes; a text this short may as well go through the JSON reader
# pydantic's reader of base64 takes a quarter of the time that the standard library's takes.
_BASE64 = SchemaValidator(core_schema.bytes_schema(), CoreConfig(val_json_bytes="base64"))
_MARK = secrets.token_hex(16)  # nobody outside can write it, so that no text of the answer is taken for a picture


class NoJson(Exception):
    """The body is no JSON object."""


Raw = bytes | bytearray
Base64 = memoryview | str
"""A picture as it came: a view of the body, its quotes included, or a text."""


@dataclass(frozen=True, slots=True)
class Row:
    """One picture of an answer: where it is, and what was written beside it."""

    base64: Base64 | None = field(default=None, repr=False)
    url: str | None = field(default=None, repr=False)
    revised_prompt: str | None = field(default=None, repr=False)


def picture_of(base64: Base64, *, provider: str | None = None, request_id: str | None = None) -> Picture:
    """Decode a picture; its bytes are kept as they are, and its headers read.

    Raises:
        GenerationFailed: it is no base64, or no whole picture; `ResultRefused` where it is one that is not taken.
    """
    if isinstance(base64, memoryview):
        if len(base64) <= MAX_BYTES // 3 * 4:
            data = _decoded(base64)
            if data is not None:
                found = check_picture(data, provider=provider, request_id=request_id)
                return Picture(data=data, mime=found.mime, width=found.width, height=found.height)
        base64 = str(base64[1:-1], "ascii", "replace")
    return picture_from_base64(base64, provider=provider, request_id=request_id)


def _decoded(quoted: memoryview) -> bytes | None:
    """Decode plain base64; None where it is something that wants a second look (spaces, a `data:` address)."""
    try:
        data: bytes = _BASE64.validate_json(bytes(quoted))
    except ValidationError:
        return None
    return data


@dataclass(frozen=True, slots=True)
class Document:
    """An answer without streaming.

    Attributes:
        rows: its pictures, in their order.
        told: size, quality, background and format that were really used, where it says so.
        usage: what was counted, as it came.
        error: the decoded body where it is an error and no answer, else None.
    """

    rows: tuple[Row, ...] = ()
    told: Mapping[str, str] = field(default_factory=dict)
    usage: Any = None
    error: Any = field(default=None, repr=False)


def read_document(body: Raw) -> Document:
    """Read an answer's body.

    Raises:
        NoJson: it is no JSON object.
    """
    value, pieces = load(body)
    if not isinstance(value, dict):
        raise NoJson
    data = value.get("data")
    rows = tuple(_row(row, pieces) for row in data) if isinstance(data, list) else ()
    error = value if not rows and value.get("error") else None
    return Document(rows=rows, told=settings_of(value), usage=value.get("usage"), error=error)


def settings_of(value: Mapping[str, Any]) -> dict[str, str]:
    """Read which settings were really used: short plain words only."""
    names = ("size", "quality", "background", "output_format")
    words = {name: value[name] for name in names if isinstance(value.get(name), str)}
    return {name: word for name, word in words.items() if re.fullmatch(r"[A-Za-z0-9_-]{1,40}", word)}


def load(body: Raw) -> tuple[Any, Sequence[memoryview]]:
    """Read JSON, the base64 of its pictures left as views of `body`; `piece_of` finds them again.

    Raises:
        NoJson: it is no JSON.
    """
    pieces: list[memoryview] = []
    parts: list[Raw] = []
    view, at = memoryview(body), 0
    while (name := body.find(_NAME, at)) >= 0:
        opens = _OPENS.match(body, name + len(_NAME))
        if opens is None:
            parts.append(body[at : name + len(_NAME)])
            at = name + len(_NAME)
            continue
        start = opens.end()
        end = body.find(b'"', start)
        if end < 0:
            raise NoJson
        if end - start < _SHORT or body.find(b"\\", start, end) >= 0:  # escapes are the JSON reader's to undo
            parts.append(body[at:start])
            at = start
            continue
        parts += [body[at:start], f"{_MARK}{len(pieces)}".encode()]
        pieces.append(view[start - 1 : end + 1])
        at = end
    parts.append(body[at:])
    try:
        return json.loads(b"".join(parts)), pieces
    except (ValueError, RecursionError):
        raise NoJson from None


def piece_of(value: Any, pieces: Sequence[memoryview]) -> Base64 | None:
    """Give the base64 that stands where `value` was read."""
    if not isinstance(value, str) or not value:
        return None
    if value.startswith(_MARK):
        return pieces[int(value[len(_MARK) :])]
    return value


def _row(row: Any, pieces: Sequence[memoryview]) -> Row:
    if not isinstance(row, Mapping):
        return Row()
    url, prompt = row.get("url"), row.get("revised_prompt")
    return Row(
        base64=piece_of(row.get("b64_json"), pieces),
        url=url if isinstance(url, str) and url else None,
        revised_prompt=prompt[:100_000] if isinstance(prompt, str) and prompt else None,
    )
