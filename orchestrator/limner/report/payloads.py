"""What a report reads from encrypted payloads: claims, detectors' evidence, the packs in force.

A payload that was erased, or whose key is not at hand, is a row that says so: nothing silently missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from limner_provenance.errors import KeyUnavailable, PayloadErased, ProvenanceError

if TYPE_CHECKING:
    from limner_policy import Pack
    from limner_policy.pack import Rule
    from limner_provenance import AuditLog
    from limner_provenance.entries import Entry, PayloadRef

Row = dict[str, Any]

_NOTHING: Row = dict.fromkeys(("detector", "version", "digest", "category", "status", "score"))


def opened(log: AuditLog, refs: Sequence[PayloadRef]) -> Iterator[tuple[str, Any]]:
    """Open payloads, in their order: (`opened`, the value), or (`erased` | `not opened` | `broken`, None)."""
    for value in log.payloads(refs):
        if not isinstance(value, ProvenanceError):
            yield "opened", value
        elif isinstance(value, PayloadErased):
            yield "erased", None
        else:
            yield ("not opened" if isinstance(value, KeyUnavailable) else "broken"), None


def _with_payload(log: AuditLog, entries: Iterable[Entry], name: str) -> Iterator[tuple[Entry, str, Any]]:
    """Give those entries that have a payload of that name, with what opening it gave."""
    having = [entry for entry in entries if name in entry.payloads]
    results = opened(log, [entry.payloads[name] for entry in having])
    for entry, (state, value) in zip(having, results, strict=True):
        yield entry, state, value


def claim_rows(log: AuditLog, accepted: Iterable[Entry]) -> Iterator[Row]:
    """Give a row for each request: what the caller claimed about himself."""
    for entry, state, value in _with_payload(log, accepted, "context"):
        claims = {name: (value or {}).get(name) for name in ("tenant", "user", "project")}
        yield {"record": entry.record, "payload": state} | claims


def evidence_rows(log: AuditLog, judged: Iterable[Entry]) -> Iterator[Row]:
    """Give a row for each score of each judged image, those that no rule used included.

    An image whose input cannot be opened gives one row without a score.
    """
    for entry, state, value in _with_payload(log, judged, "input"):
        place = {"record": entry.record, "image": entry.data["image"], "payload": state}
        if value is None:
            yield place | _NOTHING
        for score in (value or {}).get("evidence", ()):
            given = {name: score.get(name) for name in _NOTHING}
            yield place | given | {"status": score.get("status", "ok")}


def packs_of(log: AuditLog, loaded: Iterable[Entry]) -> tuple[list[Pack], int]:
    """Give the packs that were loaded, byte for byte as they were, and how many of them cannot be opened."""
    from limner_policy import load_pack_bytes

    packs, closed = [], 0
    for entry, _, source in _with_payload(log, loaded, "source"):
        if source is None:
            closed += 1
        else:
            packs.append(load_pack_bytes(source, entry.data["name"]))
    return packs, closed


def rule_rows(packs: Iterable[Pack]) -> Iterator[Row]:
    """Give a row for each rule of each pack."""
    for pack in packs:
        for rule in pack.rules:
            identity = {"pack": pack.name, "version": pack.version, "sha256": pack.sha256}
            yield identity | _rule(rule)


def _rule(rule: Rule) -> Row:
    said = {"rule": rule.id, "title": rule.title, "stage": rule.stage}
    return said | {"mode": rule.mode, "verdict": rule.verdict.value}


def threshold_rows(packs: Iterable[Pack]) -> Iterator[Row]:
    """Give a row for each threshold that a rule holds a score against."""
    from limner_policy.conditions import EvidenceAtLeast, walk

    for pack in packs:
        for rule in pack.rules:
            for node in walk(rule.when):
                if isinstance(node, EvidenceAtLeast):
                    held = {"detector": node.detector, "category": node.category, "at_least": node.at_least}
                    yield {"rule": rule.id, "mode": rule.mode, "verdict": rule.verdict.value} | held
