"""Entries of the log: their shape, how one is made and how a stored one is read.

An entry is canonical JSON text, kept byte for byte; what may have to be erased stands in it only as a commitment.
Knows nothing of databases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from limner_provenance.canonical import canonical, read_canonical
from limner_provenance.errors import EntryInvalid, LogCorrupt
from limner_provenance.merkle import leaf_hash

VERSION = 1
MAX_ENTRY_BYTES = 64 * 1024
"""An entry fits the bundles of C2SP tlog-tiles, whose lengths are 16-bit numbers: at most 65,535 bytes."""
_LIMIT = MAX_ENTRY_BYTES - 1
_FIELDS = {"v", "step", "record", "time", "data", "payloads"}
_REFERENCE = {"id", "commitment", "kind"}
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class PayloadRef:
    """An entry's reference to a payload: its `name` in the entry, `id`, `commitment` and `kind` (json or bytes)."""

    name: str
    id: str
    commitment: str
    kind: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log.

    Attributes:
        leaf: the canonical JSON text, exactly as stored.
        leaf_hash: its RFC 6962 leaf hash, 32 bytes.
        step: what happened (`accepted`, `judged`, …).
        record: id of the record it belongs to, or None for entries about the log itself.
        time: RFC 3339 UTC with microseconds; information, never the order.
        data: what is said in clear.
        payloads: references to what is kept apart, by name.
        index: its place in the log from 0, or None before it is committed.
        v: version of the entry's format.
    """

    leaf: str
    leaf_hash: bytes
    step: str
    record: str | None
    time: str
    data: dict[str, Any]
    payloads: dict[str, PayloadRef]
    index: int | None = None
    v: int = VERSION

    def at(self, index: int) -> Entry:
        """Give this entry with its place in the log."""
        return replace(self, index=index)


def now() -> str:
    """Give this instant as entries write it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def make_entry(step: str, record: str | None, data: Mapping[str, Any], payloads: Mapping[str, PayloadRef]) -> Entry:
    """Make an entry of this instant.

    Raises:
        EntryInvalid: a field has no canonical form, or the entry is larger than 64 KiB; the message names the field.
    """
    time = now()
    references = {
        name: {"commitment": ref.commitment, "id": ref.id, "kind": ref.kind} for name, ref in payloads.items()
    }
    plain = dict(data)
    text = canonical(
        {"data": plain, "payloads": references, "record": record, "step": step, "time": time, "v": VERSION},
        where="entry",
    )
    leaf = text.encode()
    if len(leaf) > _LIMIT:
        raise _too_large(len(leaf), plain)
    return Entry(text, leaf_hash(leaf), step, record, time, plain, dict(payloads))


def _too_large(size: int, data: dict[str, Any]) -> EntryInvalid:
    """Name the field that takes most of the room."""
    sizes = {name: len(canonical(value).encode()) for name, value in data.items()}
    largest = max(sizes, key=lambda name: sizes[name], default="")
    where = f" Its largest field is data.{largest} with {sizes[largest]} bytes." if largest else ""
    message = f"The entry has {size} bytes; the limit is 64 KiB (65,535).{where}"
    return EntryInvalid(message, remedy="Hand large values over as payloads.")


def read_entry(index: int | None, leaf: str) -> Entry:
    """Read a stored entry.

    Raises:
        LogCorrupt: the text is no entry.
    """
    data = leaf.encode()
    try:
        content = read_canonical(data)
        payloads = check_shape(content)
    except (ValueError, RecursionError) as error:
        raise LogCorrupt(f"Entry {index} is not readable: {error}.", remedy="Run `limner audit verify`.") from None
    return Entry(
        leaf,
        leaf_hash(data),
        content["step"],
        content["record"],
        content["time"],
        content["data"],
        payloads,
        index,
        content["v"],
    )


def check_shape(content: Any) -> dict[str, PayloadRef]:
    """Check that parsed JSON is an entry of a version that is known, and give its references.

    Raises:
        ValueError: it is not; the message says which field.
    """
    if type(content) is not dict or content.keys() != _FIELDS:
        raise ValueError("an entry has exactly the fields v, step, record, time, data and payloads")
    if content["v"] != VERSION or type(content["v"]) is not int:
        raise ValueError(f"field v: version {content['v']!r} is not known to this version of Limner")
    if type(content["step"]) is not str or not content["step"]:
        raise ValueError("field step is no text")
    if content["record"] is not None and type(content["record"]) is not str:
        raise ValueError("field record is neither text nor null")
    if not _is_time(content["time"]):
        raise ValueError("field time is no RFC 3339 time in UTC with microseconds")
    if type(content["data"]) is not dict or type(content["payloads"]) is not dict:
        raise ValueError("field data or payloads is no object")
    return {name: _reference(name, value) for name, value in content["payloads"].items()}


def _is_time(text: Any) -> bool:
    """Say whether `text` is `YYYY-MM-DDThh:mm:ss.ffffffZ`."""
    if type(text) is not str or len(text) != 27 or text[26] != "Z" or text[10] != "T":
        return False
    try:
        datetime.fromisoformat(text[:26])
    except ValueError:
        return False
    return True


def _reference(name: str, value: Any) -> PayloadRef:
    """Read one reference."""
    if type(value) is not dict or value.keys() != _REFERENCE or value["kind"] not in ("json", "bytes"):
        raise ValueError(f"payloads.{name} is no reference")
    if not (is_digest(value["id"]) and is_digest(value["commitment"])):
        raise ValueError(f"payloads.{name} holds no SHA-256")
    return PayloadRef(name, value["id"], value["commitment"], value["kind"])


def is_digest(text: Any) -> bool:
    """Say whether `text` is a SHA-256 in lower-case hex."""
    return type(text) is str and len(text) == 64 and _HEX.issuperset(text)


def check_name(name: str, what: str) -> str:
    """Give a step or payload name if it is a plain ASCII identifier of at most 64 characters.

    Raises:
        EntryInvalid: it is not.
    """
    plain = name.isascii() and name.replace("_", "").replace(".", "").replace("-", "").isalnum()
    if not plain or len(name) > 64:
        message = f"{what} {ascii(name)[:80]} is no name."
        raise EntryInvalid(message, remedy="Use at most 64 ASCII letters, digits, '_', '.' or '-'.")
    return name


def check_record(record: str) -> str:
    """Give a record id if it is one; it also names a lock file.

    Raises:
        EntryInvalid: it is empty, longer than 100 characters, or holds more than ASCII letters, digits and hyphens.
    """
    if not record.isascii() or not record.replace("-", "").isalnum() or len(record) > 100:
        raise EntryInvalid(f"The record id {ascii(record)[:60]} is no id.", remedy="Record ids are UUIDs.")
    return record
