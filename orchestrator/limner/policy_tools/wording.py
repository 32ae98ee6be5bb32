"""An explanation in plain words, as a tree of at most 80 columns.

What comes from a prompt or a file is shown with its control and direction characters spelled out.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from limner.policy_tools.explaining import Explained, Explanation, Place, Reason
from limner_policy.tools.tracing import Node
from limner_policy.verdicts import LicenceUse

WIDTH = 80
_MOST_PLACES = 4
_MOST_TEXT = 120

VERDICTS = {
    "allow": "allowed",
    "allow_with_duties": "allowed, with duties",
    "review": "a person has to decide",
    "deny": "refused",
}
_STATES = {
    "unknown": "It could not be decided whether this holds, so its if_unknown applies.",
    "failed": "The engine failed while it evaluated this rule, which refuses.",
}


def spelled_out(text: str) -> str:
    """Give a text on one line, with what would move or hide characters of a terminal spelled as escapes."""
    return "".join(_spelled(character) for character in text)


def _spelled(character: str) -> str:
    if character in "\n\t\r":
        return {"\n": "⏎", "\t": " ", "\r": ""}[character]
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
        return character.encode("unicode_escape").decode()
    return character


def told(explanation: Explanation) -> list[str]:
    """Give the lines of an explanation."""
    lines = [f"record {explanation.record}: {explanation.state}", *_wrapped(_shows(explanation)), ""]
    for judgement in explanation.judgements:
        lines += [*_judgement(judgement, shows=explanation.shows), ""]
    if not explanation.judgements:
        lines += ["It holds no judgement.", ""]
    return [*lines, *_clauses(explanation.judgements)]


def _shows(explanation: Explanation) -> str:
    if explanation.shows == "asked":
        return f"Shown: what these packs decide of such a request as of {explanation.instant}."
    if explanation.shows == "recorded":
        return "Shown: what was decided then, by the packs that were in force then."
    packs = "the packs that the log had in force" if explanation.shows == "as of" else "the given packs"
    instant = f" as of {explanation.instant}" if explanation.instant else ""
    return (
        f"Shown: NOT what was decided then, but the same recorded input under {packs}{instant}. A detector that did "
        "not run then is unknown."
    )


def _judgement(judgement: Explained, *, shows: str) -> Iterator[str]:
    recorded = shows in {"recorded", "asked"}
    about = f" ({spelled_out(judgement.engine)})" if judgement.engine else ""
    yield from _wrapped(f"{judgement.judged}{about}: {_verdict(judgement, recorded=recorded)}")
    entry = [] if shows == "asked" else [f"entry {judgement.entry}, {judgement.time}"]
    body = [*entry, *_remarks(judgement, recorded=recorded)]
    for remark in body:
        yield from _wrapped(remark, "│  " if judgement.reasons else "   ")
    for number, reason in enumerate(judgement.reasons, start=1):
        last = number == len(judgement.reasons)
        head, *rest = _reason(reason)
        yield from _wrapped(head, "└─ " if last else "├─ ", "   " if last else "│  ")
        for line in rest:
            yield from _wrapped(line, "      " if last else "│     ", ("      " if last else "│     ") + " " * 8)
        if reason.tree and (reason.tree.parts or reason.state == "unknown"):
            yield from _tree(reason.tree, ("      " if last else "│     "), "how     ")


def _tree(node: Node, margin: str, head: str) -> Iterator[str]:
    """The condition part by part: whether each holds, and what was found."""
    found = f" — found {', '.join(f'»{one}«' for one in node.found)}" if node.found else ""
    yield from _wrapped(f"[{node.mark}] {node.text}{found}", margin + head, margin + " " * len(head) + "    ")
    for part in node.parts:
        yield from _tree(part, margin, " " * len(head) + "  ")


def _verdict(judgement: Explained, *, recorded: bool) -> str:
    was = VERDICTS[judgement.recorded]
    if judgement.verdict is None:
        return f"cannot be decided again (then: {was})"
    now = VERDICTS[judgement.verdict]
    if recorded:
        differs = "" if judgement.verdict == judgement.recorded else f" — BUT THE LOG SAYS {was.upper()}"
        return f"{now}{differs}"
    return f"{now}, as then" if judgement.verdict == judgement.recorded else f"{now}; then: {was}"


def _remarks(judgement: Explained, *, recorded: bool) -> Iterator[str]:
    if judgement.packs:
        yield "packs " + ", ".join(f"{p['name']} {p['version']} ({p['sha256'][:12]}…)" for p in judgement.packs)
    if judgement.no_policy or (judgement.verdict is not None and not judgement.packs):
        yield "No policy is in force, and that refuses everything."
    if judgement.input != "opened":
        yield f"The recorded input cannot be opened: {judgement.input}. " + (
            "This is what the log says in clear." if recorded else "Nobody can decide it again."
        )
    if judgement.duties:
        yield "duties " + ", ".join(judgement.duties)
    for found in judgement.measured:
        yield f"measured {_score(found)}" + _held_against(found.get("rules", ()))
    if judgement.handling:
        yield f"pictures {_handling(judgement.handling)}"
    if judgement.verdict is not None and not judgement.reasons and judgement.packs:
        yield "No rule objects."


def _reason(reason: Reason) -> Iterator[str]:
    role = f"recorded only ({reason.mode} mode)" if reason.role == "recorded only" else reason.role
    yield f"{reason.verdict}  {reason.pack}/{reason.rule}  {reason.title}  [{role}]"
    if reason.state != "held":
        yield f"note    {_STATES[reason.state]}"
    if reason.clause:
        yield f"says    {reason.clause.says}"
        yield f"why     {reason.clause.why}"
        for source in reason.clause.basis:
            yield f"basis   {_source(source)}"
    else:
        yield "note    The pack of this rule cannot be opened."
    for place in reason.places[:_MOST_PLACES]:
        yield f"where   {_place(place)}"
    if len(reason.places) > _MOST_PLACES:
        yield f"where   and {len(reason.places) - _MOST_PLACES} more places"
    for used in reason.evidence:
        yield f"score   {_evidence(used)}"
    for use in reason.licences:
        yield f"licence {LicenceUse(**use)}"


def _source(source: Mapping[str, str]) -> str:
    read = f", read {source['read']}" if "read" in source else ""
    via = f", by way of {source['via']}" if "via" in source else ""
    quote = f": “{source['quote']}”" if "quote" in source else ""
    url = f" <{source['url']}>" if "url" in source else ""
    return f"{source['cite']}{read}{via}{quote}{url}"


def _place(place: Place) -> str:
    where = f"{place.field.replace('_', ' ')}, characters {place.start} to {place.end}"
    if place.text is None:
        return where
    before, text, after = (spelled_out(part or "") for part in (place.before, place.text, place.after))
    if len(text) > _MOST_TEXT:
        text = f"{text[: _MOST_TEXT // 2]} […] {text[-_MOST_TEXT // 2 :]}"
    return f"{where}: {before}»{text}«{after}"


def _held_against(rules: Iterable[Mapping[str, Any]]) -> str:
    held = [f"{rule['comparison']} {rule['threshold']} in {rule['pack']}/{rule['rule']}" for rule in rules]
    return f" ({'; '.join(held)})" if held else " (no rule asks for it)"


def _handling(handling: Mapping[str, Any]) -> str:
    what = {"destroy": "are not kept", "keep": "are kept", "preserve": "are preserved and held against erasure"}
    days = f" for {handling['days']} days" if "days" in handling else ""
    sent = ", and sent on to nobody" if "send_on" in handling else ""
    tell = f"; tell {handling['tell']}" if "tell" in handling else ""
    return f"{what[handling['pictures']]}{days}{sent}{tell} ({', '.join(handling['names'])})"


def _evidence(used: Mapping[str, Any]) -> str:
    band = f", a person decides from {used['review_from']}" if "review_from" in used else ""
    outcome = f": {used['comparison']}" if "comparison" in used else ""
    return f"{_score(used)}, threshold {used['threshold']}{band}{outcome}"


def _score(evidence: Mapping[str, Any]) -> str:
    name = f"{evidence['detector']}/{evidence['category']}"
    version = f" ({evidence['version']})" if evidence.get("version") else ""
    score = evidence.get("score") or f"unknown: {evidence.get('reason') or 'no reason given'}"
    return f"{name}{version} {score}"


def _clauses(judgements: Iterable[Explained]) -> Iterator[str]:
    """Give each deciding rule as it is written, once."""
    seen: dict[tuple[str, str], Reason] = {}
    for judgement in judgements:
        for reason in judgement.reasons:
            if reason.role == "decides" and reason.clause:
                seen.setdefault((reason.pack, reason.rule), reason)
    for reason in seen.values():
        assert reason.clause is not None
        first, last = reason.clause.lines
        yield f"{reason.pack}/{reason.rule} as it is written (lines {first} to {last}):"
        yield ""
        yield from ("".join(_spelled(c) for c in line) for line in reason.clause.text.split("\n"))
        yield ""


def _wrapped(text: str, first: str = "", rest: str | None = None) -> list[str]:
    return textwrap.wrap(
        spelled_out(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
