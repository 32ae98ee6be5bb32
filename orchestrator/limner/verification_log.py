"""Steps 3 to 5 of a verification: what the audit log says of a file. Each rests on the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limner.differences import Difference, differences
from limner.verification import Step
from limner_provenance.errors import KeyUnavailable, PayloadErased, ProvenanceError

if TYPE_CHECKING:
    from limner_provenance import AuditLog
    from limner_provenance.credentials import Credentials
    from limner_provenance.entries import Entry
    from limner_provenance.reading import Head

_TITLES = ("record", "bytes", "inclusion")


@dataclass(frozen=True)
class Recorded:
    """The three steps, and what differs from the record's file."""

    steps: tuple[Step, ...]
    differences: tuple[Difference, ...] = ()


def record_steps(log: AuditLog | str, credentials: Credentials, data: bytes) -> Recorded:
    """Take steps 3 to 5: each can only be taken where the one before came out good.

    Args:
        log: The log, opened for reading; where there is none, why.
        credentials: What the file's credentials say.
        data: The file.
    """
    statement = credentials.record
    if statement is None:
        return _skipped("the credentials name no record of Limner's")
    if isinstance(log, str):
        return _skipped(log)
    try:
        head = log.head()
        log.check_head(head)
    except ProvenanceError as error:
        # A log that cannot say which one it is must not pass for another log.
        return _refused(f"the log proves nothing: {error}", "no trustworthy log")
    if statement.get("log") != log.origin:
        return _skipped(f"the credentials name the log {statement.get('log')}, this one is {log.origin}")
    return _in_log(log, head, statement, data)


def _skipped(says: str) -> Recorded:
    return Recorded(tuple(Step(title, "skipped", says) for title in _TITLES))


def _refused(says: str, rest: str) -> Recorded:
    return Recorded((Step("record", "bad", says), *(Step(title, "skipped", rest) for title in _TITLES[1:])))


def _in_log(log: AuditLog, head: Head, statement: dict[str, Any], data: bytes) -> Recorded:
    sealed = _sealed_entry(log, statement)
    if sealed is None:
        image, record = statement.get("image"), statement.get("record")
        says = f"this log holds no sealed image {image} of record {record} as the credentials state it"
        return _refused(says, "no record")
    record = Step("record", "good", f"{statement['record']}, image {statement['image']}, entry {sealed.index}")  # 3
    same, found = _bytes_step(log, sealed, data)  # 4
    return Recorded((record, same, _inclusion_step(log, head, sealed)), found)  # 5


def _sealed_entry(log: AuditLog, statement: dict[str, Any]) -> Entry | None:
    """Find the `sealed` entry of the stated image, if the stated `produced` leaf is the record's own."""
    entries = list(log.entries(record=str(statement.get("record"))))
    produced = {e.leaf_hash.hex() for e in entries if e.step == "produced"}
    if statement.get("produced") not in produced:
        return None
    return next((e for e in entries if e.step == "sealed" and e.data["image"] == statement.get("image")), None)


def _bytes_step(log: AuditLog, sealed: Entry, data: bytes) -> tuple[Step, tuple[Difference, ...]]:
    """Step 4: the commitment fixes the digest, so equal bytes are the very ones that were handed out."""
    try:
        kept = log.payload(sealed.payloads["asset"])
    except PayloadErased:
        return Step("bytes", "skipped", "the record's picture was erased, and the log says so"), ()
    except KeyUnavailable:
        return Step("bytes", "skipped", "the data keys are not at hand, so the record's picture stays closed"), ()
    except ProvenanceError as error:
        return Step("bytes", "bad", f"the record's picture cannot be opened: {error}"), ()
    if kept == data:
        return Step("bytes", "good", f"equal to the record's, all {len(data):,}"), ()
    found = differences(kept, data)
    told = "; ".join(f"{item.what}: {item.says}" for item in found)
    return Step("bytes", "bad", f"differ from the record's ({told})"), found


def _inclusion_step(log: AuditLog, head: Head, sealed: Entry) -> Step:
    """Step 5: the audit path leads from the entry to the root of a checkpoint that the log's key signed."""
    assert sealed.index is not None  # it was read from the log
    try:
        if sealed.index >= head.size:  # the log grew since
            head = log.head()
            log.check_head(head)
        proof = log.inclusion(sealed.index, head.size)
    except ProvenanceError as error:
        return Step("inclusion", "bad", f"the checkpoint of size {head.size} proves nothing: {error}")
    if not (proof.holds() and proof.leaf_hash == sealed.leaf_hash and proof.root == head.root):
        return Step("inclusion", "bad", f"entry {sealed.index} is NOT under the checkpoint of size {head.size}")
    under = f"the signed checkpoint of size {head.size}, root {head.root.hex()[:16]}…"
    return Step("inclusion", "good", f"entry {sealed.index} under {under}")
