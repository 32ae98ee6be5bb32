"""The page for people inside an evidence file: what the fields say, in HTML that loads and runs nothing.

It is a reading aid. A verifier checks its hash and nothing it says, and the page says so itself.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner_provenance.entries import Entry

_HEAD = (
    '<!doctype html><html lang="en"><meta charset="utf-8">'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    "<title>Limner evidence</title><style>"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}"
    "table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ccc;padding:.3rem .6rem;"
    "text-align:left;vertical-align:top;overflow-wrap:anywhere}pre{background:#f4f4f4;padding:.8rem;overflow:auto}"
    "</style>"
)
_NOTICE = (
    "<p>This page is a reading aid inside an evidence file. Nothing that it says is proof: the fields of the file are, "
    "once <code>verify_evidence.py</code> finds them VALID.</p>"
)
_MAX_VALUE = 2000
_MAX_RULE = 8000


def page(body: dict[str, Any], own: Sequence[Entry], packs: Sequence[tuple[int, bytes]]) -> str:
    """Write the page.

    Args:
        body: the document without page and digest.
        own: the record's entries.
        packs: the policy packs, each with its entry's index.
    """
    parts = [
        _HEAD,
        f"<h1>Evidence of record {_safe(body['record'])}</h1>",
        _NOTICE,
        _table(("what", "value"), _summary(body, own)),
        "<h2>Images</h2>",
        _table(("image", "entry", "SHA-256", "bytes"), _images(body)),
        "<h2>Decisions</h2>",
        _table(("entry", "of", "verdict", "rules"), _decisions(own)),
        *_rules(own, [source for _, source in packs]),
        "<h2>Detectors</h2>",
        _table(("entry", "detector", "category", "score", "digest"), _scores(body)),
        "<h2>Fields</h2>",
        _table(("entry", "field", "state", "value"), _fields(body)),
        "<h2>Entries</h2>",
        _table(("entry", "step", "time (UTC)"), ((e.index, e.step, e.time) for e in own)),
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _safe(value: object) -> str:
    """Escape a value for HTML."""
    return html.escape(str(value))


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table; one without rows says so."""
    lines = ["<tr>" + "".join(f"<td>{_safe(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    if not lines:
        return "<p>None.</p>"
    head = "".join(f"<th>{_safe(column)}</th>" for column in columns)
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def _summary(body: dict[str, Any], own: Sequence[Entry]) -> Iterator[tuple[str, object]]:
    yield "log", body["log"]["origin"]
    yield "log key", body["log"]["key"]
    yield "checkpoint", body["log"]["checkpoint"].split("\n\n")[0].replace("\n", " · ")
    yield "last step", own[-1].step
    for entry in own:
        if entry.step == "produced":
            model = entry.data.get("model")
            yield "model", model.get("name") if isinstance(model, dict) else model
    yield "made", f"{body['made']['time']} by {body['made']['by']}"


def _images(body: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    shown = {(f["entry"], f["name"]): f.get("value") for f in body["fields"]}
    for image in body["images"]:
        facts = shown.get((image["entry"], "asset")) or {}
        yield image["image"], image["entry"], facts.get("sha256", "not shown"), facts.get("length", "")


def _judgements(own: Sequence[Entry]) -> Iterator[tuple[Entry, str, dict[str, Any]]]:
    """Give every judgement: its entry, what it is of, and what the entry says."""
    for entry in own:
        if entry.step == "judged":
            image = entry.data.get("image")
            yield entry, str(entry.data.get("stage")) + ("" if image is None else f" {image}"), entry.data
        if entry.step == "planned":
            for number, candidate in enumerate(entry.data.get("candidates", ())):
                yield entry, f"candidate {number}, {candidate.get('provider')}", candidate


def _decisions(own: Sequence[Entry]) -> Iterator[tuple[object, ...]]:
    for entry, what, data in _judgements(own):
        rules = ", ".join(f"{hit['pack']}/{hit['rule']}: {hit.get('title', '')}" for hit in data.get("hits", ()))
        yield entry.index, what, data.get("verdict"), rules or "none held"


def _rules(own: Sequence[Entry], sources: Sequence[bytes]) -> Iterator[str]:
    """Give the text of each rule that held, as the pack has it."""
    names = dict.fromkeys(str(hit["rule"]) for _, _, data in _judgements(own) for hit in data.get("hits", ()))
    for name in names:
        for source in sources:
            text = rule_text(source.decode("utf-8", "replace"), name)
            if text:
                yield f"<h3>Rule {_safe(name)}</h3><pre>{_safe(text[:_MAX_RULE])}</pre>"


def rule_text(source: str, rule: str) -> str:
    """Give the lines of a pack that state a rule, or an empty text where they are not found.

    A rule begins with its `id` as an item of a list and ends before the next line that is not indented deeper.
    """
    start = re.search(rf"^( *)- +id: *[\"']?{re.escape(rule)}[\"']? *(#.*)?$", source, re.MULTILINE)
    if start is None:
        return ""
    deeper = re.compile(rf"\n(?! {{{len(start[1]) + 1},}}|\s*(?:\n|$))")
    stop = deeper.search(source, start.end())
    return source[start.start() : stop.start() if stop else len(source)].rstrip() + "\n"


def _scores(body: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    for decision in body["decisions"]:
        for found in decision["evidence"] or ():
            score = found.get("score", "unknown")
            yield decision["entry"], found.get("detector"), found.get("category"), score, found.get("digest", "")


def _fields(body: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    for field in body["fields"]:
        hidden = field["name"] in ("manifest", "source")
        value = json.dumps(field["value"], ensure_ascii=False) if "value" in field and not hidden else ""
        yield field["entry"], field["name"], field["state"], value[:_MAX_VALUE]
