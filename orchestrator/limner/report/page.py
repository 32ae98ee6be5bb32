"""What a report says in words: the banner of integrity, what is shown and what not, what to do with open requests."""

from __future__ import annotations

import html
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limner.report import numbers
from limner.report.style import count
from limner.report.tables import Table, table

if TYPE_CHECKING:
    from limner.report.history import History
    from limner.report.integrity import Integrity
    from limner.report.pictures import Wall

_GOOD, _WARN, _BAD = "#00664B", "#8A5A00", "#B00020"
_MEANS = {
    "accepted": ("nothing was sent to an engine", "`limner audit recover --finish` ends it as cancelled"),
    "judged:request": ("nothing was sent to an engine", "`limner audit recover --finish` ends it as cancelled"),
    "planned": ("nothing was sent to an engine", "`limner audit recover --finish` ends it as cancelled"),
    "attempted": (
        "it was sent, and no answer was kept; it may have been billed",
        "compare with the provider's own list of jobs; `limner audit recover --finish` ends it as unknown",
    ),
    "submitted": (
        "its engine took the work, and no answer was kept; it may have been billed",
        "`limner audit recover --fetch` asks for the result where the engine keeps it; `--finish` ends it as unknown",
    ),
    "attempt_failed": ("an attempt failed", "`limner audit recover --finish` takes it to its end"),
    "produced": ("the pictures are kept, not yet judged and sealed", "`limner audit recover --finish` seals them"),
    "judged:image": ("the pictures are kept, not yet all sealed", "`limner audit recover --finish` seals them"),
    "sealed": ("the pictures are sealed, not yet handed out", "`limner.get(record_id)` hands them out"),
    "in_review": ("a person has to decide; nothing was released", "let the rule's owner decide"),
    "unknown": (
        "nobody knows what the engine did; it may have been billed, and is never repeated",
        "compare with the provider's own list of jobs and its invoice",
    ),
}


@dataclass(frozen=True)
class Banner:
    """A heading in HTML, and the same in plain words."""

    text: str
    markup: str

    def _repr_html_(self) -> str:
        return self.markup

    def __repr__(self) -> str:
        return self.text


def integrity_banner(integrity: Integrity, *, sample: bool = False) -> Banner:
    """Say whether the log proves itself: in red, with the findings, where it does not."""
    warnings = [found for found in integrity.findings if found.severity == "warning"]
    if not integrity.clean:
        errors = sum(found.severity == "error" for found in integrity.findings)
        colour, word = _BAD, "THIS LOG IS NOT CLEAN"
        said = f"{count(errors, 'error')} found. No number and no figure is made of it; the findings are below."
    else:
        colour, word = (_WARN if warnings else _GOOD), f"The log proves itself: {integrity.verdict}"
        said = f"{count(integrity.size, 'entry', 'entries')}, every one verified, under one signed checkpoint."
        said += f" {count(len(warnings), 'warning')} below." if warnings else ""
    mark = "SAMPLE, made up for this report. " if sample else ""
    style = f"border-left:8px solid {colour};padding:8px 14px;margin:4px 0;background:#FAFAFA"
    head = f'<div style="font-size:20px;font-weight:bold;color:{colour}">{html.escape(mark + word)}</div>'
    return Banner(f"{mark}{word}. {said}", f'<div style="{style}">{head}<div>{html.escape(said)}</div></div>')


def integrity_table(integrity: Integrity) -> Table:
    """List what was verified, with everything a reader needs to compare it with what he was told elsewhere."""
    pinned = "pinned: it is the key you gave" if integrity.trust == "pinned" else "UNPINNED: the log vouches for itself"
    compared = integrity.compared or "none: only a checkpoint kept elsewhere shows a roll-back of database and anchor"
    rows = [
        ("verdict", integrity.verdict),
        ("log", integrity.origin or None),
        ("log key", integrity.vkey or None),
        ("SHA-256 of the key's text", integrity.fingerprint or None),
        ("trust in the key", pinned),
        ("entries", integrity.size),
        ("root of the tree", integrity.root or None),
        ("stored checkpoints that hold", integrity.checkpoints),
        ("checkpoint kept elsewhere", compared),
        *((f"payloads {name.replace('_', ' ')}", number) for name, number in integrity.payloads),
    ]
    return Table("What was verified", ("what", "is"), tuple((a, None if b is None else str(b)) for a, b in rows))


def findings_table(integrity: Integrity) -> Table:
    """List what does not fit, and where."""
    rows = tuple((found.severity, found.where, found.what) for found in integrity.findings)
    title = f"{count(len(rows), 'finding')}" if rows else "No findings"
    return Table(title, ("severity", "where", "what"), rows)


def scope_table(history: History, wall: Wall) -> Table:
    """Say what this report shows, and what it does not."""
    claims, evidence = _payloads(history.claims), _payloads(history.evidence)
    pictures = Counter(picture.state for picture in wall.pictures)
    rows = (
        ("shows", str(history.selection), f"{history.requests.height:,} requests"),
        ("shows", "entries that numbers are made of", f"0…{history.integrity.size - 1:,}, the verified ones"),
        ("does NOT show", "calls to engines that bypass Limner", "no log of ours can know them"),
        ("does NOT show", "whether claims are true (tenant, purpose, region)", "recorded as claimed"),
        ("does NOT show", "requests outside the selection", f"{history.left_out:,}"),
        ("does NOT show", "claims of requests that were erased / not opened", _closed(claims)),
        ("does NOT show", "evidence of images that was erased / not opened", _closed(evidence)),
        ("does NOT show", "pictures erased / not opened / over the limit", f"{_closed(pictures)} / {wall.not_shown:,}"),
        ("does NOT show", "policy packs whose text cannot be opened", f"{history.packs_not_opened:,}"),
        ("does NOT show", "what happened after the last entry", "verify again for that"),
    )
    return Table("What this report shows, and what it does not", ("", "what", "how many"), rows)


def _payloads(rows: Any) -> Counter[str]:
    keys = ["record", "image"] if "image" in rows.columns else ["record"]
    return Counter(rows.unique(subset=keys)["payload"].to_list())


def _closed(states: Counter[str]) -> str:
    return f"{states['erased']:,} / {states['not opened'] + states['broken']:,}"


def open_requests_table(history: History) -> Table:
    """List the requests without a known end, with what that means and what to do."""
    rows = [
        (
            row["record"],
            row["accepted"],
            row["outcome"],
            *_MEANS.get(row["state"], (row["state"], "look at the record")),
        )
        for row in numbers.unended(history).iter_rows(named=True)
    ]
    title = f"{count(len(rows), 'request')} without a known end" if rows else "Every request came to a known end"
    return Table(title, ("record", "accepted", "outcome", "what it means", "what to do"), tuple(rows))


def seeds_table(history: History, *, limit: int = 50) -> Table:
    """List the pictures with what makes them again, and say how many have it."""
    rows = numbers.seeds(history)
    again = int(rows["again"].sum())
    note = "“again?”: both are recorded, so the same engine on the same machine can make that picture again, alone."
    shown = rows.rename({"again": "again?"}).drop("provider")
    return table(
        f"{again:,} of {count(rows.height, 'picture')} have both seed and model digest on record",
        shown,
        note=note,
        limit=limit,
    )
