r"""A pack and its list files as one run of bytes, so that the log keeps, and a digest names, all of them together.

    limner.pack.v1\n
    {"files":[{"length":…,"path":"","sha256":…},{"length":…,"path":"lists/artists.csv","sha256":…}]}\n
    the bytes of each file, one after the other

The first file, with an empty path, is the pack itself; the others follow sorted by path. A pack without list files is
its own bytes, unchanged. The same files always give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

MAGIC = b"limner.pack.v1\n"
MAX_BUNDLE = 40 * 1024 * 1024
_MAX_HEADER = 256 * 1024


class BrokenBundle(ValueError):
    """Bytes that begin like a bundle and are none; the message says what is wrong."""


def bundle(document: bytes, files: Mapping[str, bytes]) -> bytes:
    """The pack's bytes alone, or with its list files."""
    if not files:
        return document
    ordered = [("", document), *sorted(files.items())]
    rows = [{"length": len(data), "path": path, "sha256": hashlib.sha256(data).hexdigest()} for path, data in ordered]
    header = json.dumps({"files": rows}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return b"".join((MAGIC, header.encode(), b"\n", *(data for _, data in ordered)))


def is_bundle(data: bytes) -> bool:
    """Whether the bytes are meant as a bundle; no YAML pack begins like this."""
    return data.startswith(MAGIC)


def unbundle(data: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The pack's bytes and its list files by path.

    Raises:
        BrokenBundle: bytes are missing, too many, or not those that the header names.
    """
    if not is_bundle(data):
        return data, {}
    head = data[len(MAGIC) : len(MAGIC) + _MAX_HEADER].partition(b"\n")[0]
    start = len(MAGIC) + len(head) + 1
    found: dict[str, bytes] = {}
    for path, length, sha256 in _rows(head):
        piece = data[start : start + length]
        if len(piece) != length or hashlib.sha256(piece).hexdigest() != sha256:
            raise BrokenBundle(f"{path or 'the pack'} is not the bytes that the bundle's header names")
        found[path] = piece
        start += length
    if start != len(data) or bundle(found.get("", b""), {p: b for p, b in found.items() if p}) != data:
        raise BrokenBundle("the bundle holds more, or is ordered otherwise, than its header says")
    return found.pop(""), found


def _rows(head: bytes) -> list[tuple[str, int, str]]:
    try:
        rows: list[Any] = json.loads(head)["files"]
        found = [(str(row["path"]), int(row["length"]), str(row["sha256"])) for row in rows]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BrokenBundle("the bundle's header cannot be read") from None
    if not found or found[0][0] or any(length < 0 for _, length, _ in found):
        raise BrokenBundle("the bundle does not begin with the pack")
    return found
