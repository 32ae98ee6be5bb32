"""One record's entries as rows of the report's tables: plain dicts, nothing decrypted, nothing counted.

Every value comes from an entry as it stands; knows nothing of polars and of payloads' contents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from limner_provenance.states import ENDINGS, derive

if TYPE_CHECKING:
    from limner_provenance.entries import Entry

Row = dict[str, Any]


def request_row(entries: Sequence[Entry]) -> Row:
    """Give the row of the request itself: what was asked, by which claims, and how it ended."""
    state, first = derive(entries), entries[0]
    asked = first.data.get("request", {})
    claimed = first.data.get("claimed", {})
    end = next((e for e in reversed(entries) if e.step in ENDINGS or e.step == "in_review"), None)
    refused = end.data if end is not None and end.step in {"denied", "in_review"} else {}
    return {
        "record": first.record,
        "index": first.index,
        "accepted": first.time,
        "updated": entries[-1].time,
        "outcome": state.ending or ("in_review" if state.waiting else "unfinished"),
        "state": state.state,
        "reason": end.data.get("reason") if end is not None else None,
        "refused_at": refused.get("where", {}).get("stage"),
        "refused_by": ", ".join(refused.get("rules", ())) or None,
        "task": asked.get("task"),
        "size": asked.get("size"),
        "n": int(asked.get("n") or 1),
        "seed_given": asked.get("seed"),
        **{name: claimed.get(name) for name in ("purpose", "audience", "region")},
        "irregular": len(state.irregular),
    }


def judgement_rows(entries: Sequence[Entry]) -> Iterator[Row]:
    """Give a row for each judgement: of the request, of each candidate of a plan, of each image."""
    for entry in entries:
        if entry.step == "judged":
            yield _judged(entry, entry.data["stage"], entry.data["verdict"], image=entry.data.get("image"))
        elif entry.step == "planned":
            for number, candidate in enumerate(entry.data["candidates"]):
                yield _judged(entry, "candidate", candidate["verdict"], candidate=number)


def _judged(entry: Entry, stage: str, verdict: str, *, image: int | None = None, candidate: int | None = None) -> Row:
    place = {"record": entry.record, "index": entry.index, "image": image, "candidate": candidate}
    return place | {"stage": stage, "verdict": verdict}


def hit_rows(entries: Sequence[Entry]) -> Iterator[Row]:
    """Give a row for each rule that fired, at whatever stage."""
    for entry in entries:
        place = {"record": entry.record, "index": entry.index}
        if entry.step == "judged":
            for hit in entry.data["hits"]:
                yield place | {"image": entry.data.get("image"), "candidate": None} | _hit(hit)
        elif entry.step == "planned":
            for number, candidate in enumerate(entry.data["candidates"]):
                for hit in candidate["hits"]:
                    yield place | {"image": None, "candidate": number} | _hit(hit | {"stage": "candidate"})


def _hit(hit: Row) -> Row:
    return {name: hit.get(name) for name in ("pack", "rule", "stage", "mode", "verdict")} | {
        "unknown": bool(hit.get("unknown")),
        "failed": bool(hit.get("failed")),
        "combined": hit["mode"] == "enforce" or bool(hit.get("failed")),
    }


def attempt_rows(entries: Sequence[Entry]) -> Iterator[Row]:
    """Give a row for each attempt: which engine, how it came out, what it cost and how long it took."""
    attempts: list[Row] = []
    for entry in entries:
        if entry.step == "attempted":
            engine = {name: entry.data[name] for name in ("provider", "kind", "model")}
            sent = {"record": entry.record, "index": entry.index, "sent": entry.time}
            attempts.append(sent | engine | _OPEN)
        elif entry.step in {"produced", "attempt_failed"} and attempts:
            attempts[-1] |= _outcome(entry)
        elif entry.step == "unknown" and attempts and attempts[-1]["outcome"] == "open":
            attempts[-1]["outcome"] = "unknown"
    yield from attempts


_OPEN: Row = {
    "outcome": "open",
    "error": None,
    "billing": "unknown",
    "amount": None,
    "currency": None,
    "sha256": None,
    "licence": None,
}


def _outcome(entry: Entry) -> Row:
    """Say how an attempt came out; a cost that nobody named is unknown, and never nothing."""
    data, cost = entry.data, entry.data.get("cost")
    price = {"amount": cost["amount"], "currency": cost["currency"]} if cost else {}
    if entry.step == "produced":
        model = {"model": data["model"]["name"], "sha256": data["model"]["sha256"], "licence": data["model"]["licence"]}
        # A result that was fetched later takes the place of the failure before it.
        return {"outcome": "produced", "error": None, "billing": "known" if cost else "unknown"} | model | price
    nothing = "unknown" if data.get("may_have_billed", True) else "nothing"
    outcome = "unknown" if data["error"] == "OutcomeUnknown" else "failed"
    return {"outcome": outcome, "error": data["error"], "billing": "known" if cost else nothing} | price


def image_rows(entries: Sequence[Entry]) -> Iterator[Row]:
    """Give a row for each produced picture: its seed, size, verdict, and whether it was sealed and handed out."""
    sent = {e.data["attempt"]: e for e in entries if e.step == "attempted"}
    verdicts = {e.data["image"]: e for e in entries if e.step == "judged" and e.data["stage"] == "image"}
    sealed = {e.data["image"]: e for e in entries if e.step == "sealed"}
    delivered = next((e.data for e in entries if e.step == "delivered"), {})
    handed = {*delivered.get("images", ()), *delivered.get("surplus", ())}
    for produced in (e for e in entries if e.step == "produced"):
        engine = sent.get(produced.data.get("attempt"), next(reversed(sent.values())))
        for facts in produced.data["images"]:
            number = facts["image"]
            judged, seal = verdicts.get(number), sealed.get(number)
            yield {
                "record": produced.record,
                "image": number,
                "seed": facts["seed"],
                "size": facts["size"],
                "mime": facts["mime"],
                "provider": engine.data["provider"],
                "model": produced.data["model"]["name"],
                "verdict": judged.data["verdict"] if judged else None,
                "sealed": seal is not None,
                "sealed_index": seal.index if seal else None,
                "development": bool(seal.data["development"]) if seal else None,
                "delivered": number in handed,
            }
