"""A recorded judgement, decided again: the input that was kept, under the packs that were in force then.

Exact, because `judge` is pure; where a payload was erased it cannot be done, and the error says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from limner_policy.engine import judge
from limner_policy.types import PolicyInput
from limner_provenance.errors import PayloadMissing

if TYPE_CHECKING:
    from limner.records import Record
    from limner_policy import Pack
    from limner_policy.verdicts import Decision
    from limner_provenance import AuditLog
    from limner_provenance.entries import Entry


def replay(record: Record, where: dict[str, Any]) -> Decision:
    """Decide one judgement of a record again.

    Args:
        record: The record.
        where: `{"stage": "request"}`, `{"stage": "image", "image": 0}` or `{"stage": "candidate", "candidate": 0}`.

    Raises:
        PayloadErased: The input, or a pack, was erased.
        LookupError: The record holds no such judgement.
    """
    entry, name, packs = _recorded(record, where)
    facts = PolicyInput.from_json(record.log.payload(entry.payloads[name]))
    return judge(packs_in_force(record.log, packs), facts)


def _recorded(record: Record, where: dict[str, Any]) -> tuple[Entry, str, list[dict[str, str]]]:
    """Find the entry, the payload's name and the packs of one judgement."""
    if where["stage"] == "candidate":
        entry, name = record.entry("planned"), f"input-{where['candidate']}"
    else:
        entry, name = record.entry("judged", **where), "input"
    return entry, name, entry.data["packs"]


def packs_in_force(log: AuditLog, packs: list[dict[str, str]]) -> tuple[Pack, ...]:
    """Load packs from the log, byte for byte as they were in force, by their digests."""
    from limner_policy import load_pack_bytes

    wanted = {p["sha256"]: p["name"] for p in packs}
    if not wanted:
        return ()
    found: dict[str, Pack] = {}
    for entry in log.entries(steps=["policy_loaded"]):
        digest = entry.data["sha256"]
        if digest in wanted and digest not in found:
            found[digest] = load_pack_bytes(log.payload(entry.payloads["source"]), wanted[digest])
    for digest in wanted.keys() - found.keys():
        raise PayloadMissing(f"The log holds no pack {wanted[digest]} ({digest}).", remedy="Run `limner audit verify`.")
    return tuple(found[digest] for digest in sorted(wanted))
