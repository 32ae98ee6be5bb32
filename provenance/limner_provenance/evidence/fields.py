"""The fields of an evidence file: what each payload of its entries is shown as, and why.

A field is disclosed (salt and value), withheld (commitment alone), erased (an entry says so) or unavailable. Knows
nothing of what the fields mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limner_provenance.errors import (
    EntryInvalid,
    KeyUnavailable,
    PayloadErased,
    PayloadMissing,
    ProvenanceError,
    StorageUnavailable,
)

if TYPE_CHECKING:
    from limner_provenance.entries import Entry, PayloadRef
    from limner_provenance.log import AuditLog

ALL = "all"
"""The name that discloses every field."""

Place = tuple[int, str]
"""Where a payload stands: index of its entry, and its name."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field as the document has it, and `opened`: its value where it could be opened, disclosed or not."""

    place: Place
    shown: Mapping[str, Any]
    opened: Any = None


def base_name(name: str) -> str:
    """Give the name that people use for a payload: `input-0` is an `input`, `reference-1` a `reference`."""
    head, dash, tail = name.rpartition("-")
    return head if dash and tail.isdigit() else name


def disclosable(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Give the names that can be disclosed of a record, sorted."""
    return tuple(sorted({base_name(name) for entry in entries for name in entry.payloads}))


def check_names(names: Iterable[str], entries: Sequence[Entry]) -> frozenset[str]:
    """Give the names to disclose.

    Raises:
        EntryInvalid: the record has no field of such a name.
    """
    wanted, known = frozenset(names), disclosable(entries)
    for name in sorted(wanted - {ALL} - set(known)):
        message = f"disclose: the record has no field {ascii(name)[:60]}."
        raise EntryInvalid(message, remedy=f"Name some of: {', '.join(known) or 'none'}; or {ALL}.")
    return wanted


def collect(log: AuditLog, entries: Sequence[Entry], names: frozenset[str], always: frozenset[Place]) -> list[Field]:
    """Give every payload of `entries` as a field, in the order of entries and names.

    Args:
        log: the log; its data keys are needed for whatever is disclosed.
        entries: the entries of the evidence file, each with its index.
        names: the base names to disclose, or `ALL`.
        always: places that are disclosed in any case.

    Raises:
        PayloadCorrupt: a payload is not what its entry commits to.
    """
    refs = [((entry.index or 0, name), entry.payloads[name]) for entry in entries for name in sorted(entry.payloads)]
    shown = {place for place, _ in refs if place in always or ALL in names or base_name(place[1]) in names}
    values = _values(log, refs)
    return [_field(log, place, ref, place in shown, values.get(place)) for place, ref in refs]


def _values(log: AuditLog, refs: Sequence[tuple[Place, PayloadRef]]) -> dict[Place, Any]:
    """Open the JSON payloads, all with a few queries: values, or the errors that opening them raised."""
    some = [(place, ref) for place, ref in refs if ref.kind == "json"]
    found = log.payloads([ref for _, ref in some])
    return {place: value for (place, _), value in zip(some, found, strict=True)}


def _field(log: AuditLog, place: Place, ref: PayloadRef, wanted: bool, value: Any) -> Field:
    """Show one payload."""
    told = {"entry": place[0], "name": ref.name, "commitment": ref.commitment}
    error = value if isinstance(value, Exception) else None
    try:
        if error is None and wanted:
            salt, value = _open(log, ref, value)
            return Field(place, told | {"state": "disclosed", "salt": salt, "value": value}, value)
    except ProvenanceError as raised:
        error = raised
    if error is None or (isinstance(error, KeyUnavailable) and not wanted):
        return Field(place, told | {"state": "withheld"}, None if error else value)
    if isinstance(error, PayloadErased | PayloadMissing | KeyUnavailable | StorageUnavailable):
        return Field(place, told | {"state": "unavailable"})
    raise error


def _open(log: AuditLog, ref: PayloadRef, value: Any) -> tuple[str, Any]:
    """Give the salt in hex, and the value that was committed to."""
    if ref.kind == "json":
        return log.salt(ref).hex(), value
    facts = log.payload_facts(ref)
    return facts.salt, {"length": facts.length, "sha256": facts.sha256}


def mark_erased(log: AuditLog, fields: list[Field], entries: Sequence[Entry]) -> tuple[list[Field], list[Entry]]:
    """Find the `erased` entries that name payloads which could not be opened; give fields and those entries.

    Where one field of a record was erased the others under the same key were too, so all are looked up then.
    """
    if all(field.shown["state"] != "unavailable" for field in fields):
        return fields, []
    ids = {(e.index or 0, name): ref.id for e in entries for name, ref in e.payloads.items()}
    open_ids = {ids[f.place] for f in fields if f.opened is None}
    by: dict[str, Entry] = {}
    for entry in log.entries(steps=["erased"]):
        for name in open_ids.intersection(map(str, entry.data.get("payloads", ()))):
            by.setdefault(name, entry)
    marked = [_erased(field, by.get(ids[field.place])) for field in fields]
    return marked, sorted({e.index or 0: e for e in by.values()}.values(), key=lambda e: e.index or 0)


def _erased(field: Field, entry: Entry | None) -> Field:
    """Say that a field was erased, where an entry says so."""
    if entry is None:
        return field
    told = {name: field.shown[name] for name in ("entry", "name", "commitment")}
    return Field(field.place, told | {"state": "erased", "by": entry.index})
