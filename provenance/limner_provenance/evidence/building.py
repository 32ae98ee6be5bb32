"""An evidence file: the document of one record, made from a log that is only read.

The document rests on the log alone: entries with proofs, fields with salts, packs byte for byte. Knows nothing of
policies and engines; the names of steps and payloads are the format's own.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from limner_provenance.canonical import canonical
from limner_provenance.entries import now
from limner_provenance.errors import AuditError, EntryInvalid, LogCorrupt, ProvenanceError
from limner_provenance.evidence.fields import Field, Place, check_names, collect, disclosable, mark_erased
from limner_provenance.evidence.page import page
from limner_provenance.rotation import STEP

if TYPE_CHECKING:
    from limner_provenance.entries import Entry
    from limner_provenance.log import AuditLog
    from limner_provenance.reading import Head

__all__ = ["FORMAT", "MAX_DOCUMENT", "build", "disclosable"]

FORMAT = "limner.evidence.v1"
MAX_DOCUMENT = 16 << 20
"""The largest document that verifiers read."""


def build(
    log: AuditLog,
    record: str,
    *,
    disclose: Collection[str] = (),
    images: Collection[int] | None = None,
    checkpoint: str | None = None,
    made_by: str = "limner",
) -> bytes:
    """Make the evidence file of a record.

    Args:
        log: the log, also one opened for reading; where data keys are missing, what needs them is `unavailable`.
        record: the record's id.
        disclose: names of fields to disclose (`disclosable` says which there are), or `all`. What was sealed (its
            hash and its manifest) and the policy packs are always disclosed.
        images: numbers of the sealed images that it is about; None: all of them.
        checkpoint: a checkpoint that was exported before; its consistency with the log goes into the file.
        made_by: what made it, for people.

    Returns:
        The document, canonical JSON.

    Raises:
        RecordNotFound: the log has no such record.
        EntryInvalid: a name or an image is not the record's.
        LogCorrupt: the log contradicts its key, its proofs or the given checkpoint.
        PayloadCorrupt: a payload is not what its entry commits to.
        AuditError: the document would be larger than 16 MiB.
    """
    head = log.head()
    log.check_head(head)
    own = log.record(record)
    names, sealed = check_names(disclose, own), _sealed(own, images)
    entries = _merge(own, _house(log, own, head.size))
    fields = collect(log, entries, names, _always(entries, sealed))
    fields, erasing = mark_erased(log, fields, entries)
    entries = _merge(entries, erasing)
    packs = _packs(log, entries, fields)
    body: dict[str, Any] = {
        "format": FORMAT,
        "version": 1,
        "made": {"by": made_by, "time": now()},
        "record": record,
        "log": {"origin": log.origin, "key": log.keys().at(head.size).vkey, "checkpoint": head.note},
        "entries": _proven(log, entries, head),
        "fields": [dict(field.shown) for field in fields],
        "packs": [{"entry": index, "source": _text(zlib.compress(source, 9))} for index, source in packs],
        "decisions": _decisions(own, fields),
        "images": [{"image": entry.data["image"], "entry": entry.index} for entry in sealed],
        "consistency": [] if checkpoint is None else [_consistency(log, checkpoint, head)],
    }
    html = page(body, [entry for entry in entries if entry.record == record], packs)
    body["page"] = {"html": html, "sha256": sha256(html.encode()).hexdigest()}
    return _finish(body)


def _finish(body: dict[str, Any]) -> bytes:
    """Add the digest, and give the document's bytes."""
    body["digest"] = sha256(canonical(body, where="evidence").encode()).hexdigest()
    document = canonical(body, where="evidence").encode()
    if len(document) > MAX_DOCUMENT:
        message = f"The evidence file would have {len(document):,} bytes; the limit is 16 MiB."
        raise AuditError(message, remedy="Disclose fewer fields; a policy with very long lists may be the cause.")
    return document


def _sealed(own: Sequence[Entry], images: Collection[int] | None) -> list[Entry]:
    """Give the `sealed` entries that the file is about, ordered by image."""
    found = {entry.data["image"]: entry for entry in own if entry.step == "sealed"}
    for number in sorted(set(images or ()) - found.keys()):
        known = ", ".join(map(str, sorted(found))) or "none"
        raise EntryInvalid(f"image: the record has no sealed image {number}.", remedy=f"It has: {known}.")
    return [found[number] for number in sorted(found) if images is None or number in images]


def _house(log: AuditLog, own: Sequence[Entry], size: int) -> Iterable[Entry]:
    """Give the log's own entries that the record rests on: its creation, its keys, what was in force, the packs."""
    first, wanted = own[0].index or 0, {p["sha256"] for entry in own for p in entry.data.get("packs", ())}
    yield log.entry(0)
    yield from log.entries(steps=[STEP], stop=size)
    opened = list(log.entries(steps=["opened"], stop=first))
    yield from opened[-1:]
    for entry in log.entries(steps=["policy_loaded"]):
        if entry.data.get("sha256") in wanted:
            wanted.discard(entry.data["sha256"])
            yield entry


def _merge(some: Iterable[Entry], more: Iterable[Entry]) -> list[Entry]:
    """Give entries each once, in the log's order."""
    found = {entry.index or 0: entry for entry in (*some, *more)}
    return [found[index] for index in sorted(found)]


def _always(entries: Sequence[Entry], sealed: Sequence[Entry]) -> frozenset[Place]:
    """Give what is disclosed in any case: what was sealed, and the packs."""
    places = {(entry.index or 0, name) for entry in sealed for name in ("asset", "manifest")}
    return frozenset(places | {(e.index or 0, "source") for e in entries if e.step == "policy_loaded"})


def _proven(log: AuditLog, entries: Sequence[Entry], head: Head) -> list[dict[str, Any]]:
    """Give each entry with the proof that it is under the checkpoint.

    Raises:
        LogCorrupt: an entry is not.
    """
    made = []
    for entry in entries:
        proof = log.inclusion(entry.index or 0, head.size)
        if not (proof.holds() and proof.leaf_hash == entry.leaf_hash and proof.root == head.root):
            message = f"Entry {entry.index} is not under the checkpoint of {head.size} entries."
            raise LogCorrupt(message, remedy="Run `limner audit verify`.")
        made.append({"index": entry.index, "leaf": entry.leaf, "proof": _text(b"".join(proof.hashes))})
    return made


def _packs(log: AuditLog, entries: Sequence[Entry], fields: Sequence[Field]) -> list[tuple[int, bytes]]:
    """Give the packs that could be opened: index of the entry, and the bytes."""
    shown = {field.place for field in fields if field.shown["state"] == "disclosed"}
    loaded = [e for e in entries if e.step == "policy_loaded" and (e.index, "source") in shown]
    return [(entry.index or 0, log.payload(entry.payloads["source"])) for entry in loaded]


def _decisions(own: Sequence[Entry], fields: Sequence[Field]) -> list[dict[str, Any]]:
    """Give the detectors' evidence of each judgement; it is proven where the judgement's input is disclosed."""
    judging = {entry.index for entry in own if entry.step in ("judged", "planned")}
    inputs = [f for f in fields if f.place[0] in judging and f.place[1].partition("-")[0] == "input"]
    return [{"entry": f.place[0], "input": f.place[1], "evidence": _evidence(f.opened)} for f in inputs]


def _evidence(facts: Any) -> Any:
    return facts.get("evidence", []) if isinstance(facts, dict) else None


def _consistency(log: AuditLog, checkpoint: str, head: Head) -> dict[str, str]:
    """Prove that the log only grew from a checkpoint.

    Raises:
        LogCorrupt: the checkpoint is of another log, newer than this one, or of another history.
    """
    given = log.keys().verify(checkpoint)
    if given.size > head.size:
        message = f"The checkpoint tells of {given.size} entries, the log has {head.size}: it was rolled back."
        raise LogCorrupt(message, remedy="Run `limner audit verify --checkpoint FILE`.")
    try:
        proof = log.consistency(given.size, head.size)
    except ProvenanceError as error:
        raise LogCorrupt(f"The log cannot be held against the checkpoint: {error}") from error
    if not proof.holds() or (proof.old_root, proof.new_root) != (given.root, head.root):
        message = f"The log's first {given.size} entries are not those of the checkpoint: history was rewritten."
        raise LogCorrupt(message, remedy="Run `limner audit verify --checkpoint FILE`.")
    return {"note": checkpoint, "proof": _text(b"".join(proof.hashes))}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
