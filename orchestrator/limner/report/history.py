"""The history that a report is about: tables made of exactly the entries that were verified.

Reads the log once, recomputes its root on the way, and stops where it is not the verified one. Counts nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from limner.reading import open_log
from limner.report.durations import part_rows, step_rows
from limner.report.errors import LogNotClean
from limner.report.integrity import Integrity
from limner.report.payloads import claim_rows, evidence_rows, packs_of, rule_rows, threshold_rows
from limner.report.rows import attempt_rows, hit_rows, image_rows, judgement_rows, request_row
from limner.report.selection import Moment, Selection
from limner.report.shapes import TABLES, frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from limner_provenance import AuditLog
    from limner_provenance.entries import Entry, PayloadRef


@dataclass(frozen=True)
class History:
    """A selection of requests as polars tables, each column named as in `shapes.py`.

    Attributes:
        integrity: The verification that stands behind every number.
        selection: Which requests these are.
        left_out: Requests of the log that the selection leaves out.
        requests: One row a request.
        judgements: One row a judgement of request, candidate or image.
        hits: One row for each rule that fired in a judgement.
        attempts: One row for each call to an engine.
        images: One row a produced picture.
        steps: One row for each step of a request, with its duration in microseconds.
        parts: One row for each duration that an entry states, in microseconds.
        claims: One row a request: what the caller claimed (a payload).
        evidence: One row a score of a judged image (a payload).
        rules: One row for each rule of each pack that was ever loaded (a payload).
        thresholds: One row for each threshold of such a rule.
        packs_not_opened: Packs whose source cannot be opened.
        assets: The sealed pictures' payloads by record and image.
    """

    integrity: Integrity
    selection: Selection
    left_out: int
    requests: Any
    judgements: Any
    hits: Any
    attempts: Any
    images: Any
    steps: Any
    parts: Any
    claims: Any
    evidence: Any
    rules: Any
    thresholds: Any
    packs_not_opened: int
    assets: dict[tuple[str, int], PayloadRef] = field(repr=False)


def read_history(
    integrity: Integrity, *, since: Moment = None, until: Moment = None, provider: str | None = None
) -> History:
    """Read the requests of a selection from a log that proved itself.

    Args:
        integrity: What `examine` said.
        since: Only requests accepted at this moment or later.
        until: Only requests accepted before this moment.
        provider: Only requests that were sent to this configured provider; one that was refused before is sent to none.

    Raises:
        LogNotClean: The log does not prove itself, or changed since it was verified.
        ReportError: A moment cannot be read.
        ExtraMissing: polars is not installed.
    """
    integrity.require_clean()
    selection = Selection.of(since=since, until=until, provider=provider)
    with open_log(integrity.config) as log:
        house, records = _verified_entries(log, integrity)
        chosen = [entries for entries in records if _chosen(selection, entries)]
        packs, closed = packs_of(log, [e for e in house if e.step == "policy_loaded"])
        rows = {
            **_rows(chosen),
            "claims": list(claim_rows(log, (entries[0] for entries in chosen))),
            "evidence": list(evidence_rows(log, _judged_images(chosen))),
            "rules": list(rule_rows(packs)),
            "thresholds": list(threshold_rows(packs)),
        }
    return History(
        integrity=integrity,
        selection=selection,
        left_out=len(records) - len(chosen),
        packs_not_opened=closed,
        assets=_assets(chosen),
        **{name: frame(name, rows[name]) for name in TABLES},
    )


def _verified_entries(log: AuditLog, integrity: Integrity) -> tuple[list[Entry], list[list[Entry]]]:
    """Give the entries of the house and of each record, after making sure that they are the verified ones.

    Raises:
        LogNotClean: The tree over what was read now has another root than what was verified.
    """
    from limner_provenance.merkle import Edge

    edge = Edge()
    house: list[Entry] = []
    records: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in log.entries(stop=integrity.size):
        edge.append(entry.leaf_hash)
        (house if entry.record is None else records[entry.record]).append(entry)
    if (edge.size, edge.root().hex()) != (integrity.size, integrity.root):
        raise LogNotClean([f"the log changed between its verification and this reading (entries 0…{integrity.size})"])
    return house, list(records.values())


def _chosen(selection: Selection, entries: Sequence[Entry]) -> bool:
    providers = {e.data["provider"] for e in entries if e.step == "attempted"}
    return selection.covers(entries[0].time, providers)


def _rows(records: Iterable[Sequence[Entry]]) -> dict[str, list[dict[str, Any]]]:
    rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for entries in records:
        rows["requests"].append(request_row(entries))
        rows["judgements"] += judgement_rows(entries)
        rows["hits"] += hit_rows(entries)
        rows["attempts"] += attempt_rows(entries)
        rows["images"] += image_rows(entries)
        rows["steps"] += step_rows(entries)
        rows["parts"] += part_rows(entries)
    return {name: rows[name] for name in ("requests", "judgements", "hits", "attempts", "images", "steps", "parts")}


def _judged_images(records: Iterable[Sequence[Entry]]) -> list[Entry]:
    return [e for entries in records for e in entries if e.step == "judged" and e.data["stage"] == "image"]


def _assets(records: Iterable[Sequence[Entry]]) -> dict[tuple[str, int], PayloadRef]:
    return {
        (str(e.record), e.data["image"]): e.payloads["asset"]
        for entries in records
        for e in entries
        if e.step == "sealed"
    }
