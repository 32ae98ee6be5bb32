"""What `limner verify` prints: a file's numbered steps and its tree, or a line for each file of a folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from limner.cli.output import paint, plain, table

if TYPE_CHECKING:
    from limner.verification import Verification
    from limner.verification_folder import FolderSummary, Looked
    from limner_provenance.credentials.report import IngredientNode

_SHA256 = re.compile(r"\b([0-9a-f]{16})[0-9a-f]{48}\b")
_SHORT = r"\1…"
_MARKS = {"good": "[green]✓[/green]", "bad": "[red]✗[/red]", "skipped": "[dim]–[/dim]"}
_SHOWN_DEEP, _SHOWN_WIDE = 8, 12


def show_verification(console: Console, found: Verification) -> None:
    """Print what a file proves: its numbered steps, what its credentials state, what went into it, and the verdict."""
    console.print(f"[bold]{escape(plain(str(found.file)))}[/bold] => {paint(found.verdict)}")
    for number, step in enumerate(found.steps, start=1):
        says = _SHA256.sub(_SHORT, step.says)
        console.print(f"  {number}. {_MARKS[step.result]} {step.title}: {escape(plain(says))}")
    for difference in found.differences:
        console.print(f"     [red]differs[/red] {difference.what}: {escape(plain(difference.says))}")
    for name, value in found.states.items():
        console.print(f"     [dim]{name}: {escape(plain(_SHA256.sub(_SHORT, value)))}[/dim]")
    if found.made_from:
        tree = Tree("[dim]made from[/dim]", guide_style="dim")
        _grow(tree, found.made_from, 1)
        for line in _lines(console, tree):
            console.print(f"     {line}")
    for warning in found.warnings:
        console.print(f"     [yellow]note[/yellow] {escape(warning)}")


def _grow(tree: Tree, nodes: Sequence[IngredientNode], depth: int) -> None:
    """Hang what went into a picture below it, and below each what went into that, as far as a screen can hold it."""
    for node in nodes[:_SHOWN_WIDE]:
        branch = tree.add(f"[dim]{escape(plain(_node(node)))}[/dim]")
        if depth < _SHOWN_DEEP:
            _grow(branch, node.ingredients, depth + 1)
        elif node.ingredients:
            branch.add("[dim]… more with --json[/dim]")
    if len(nodes) > _SHOWN_WIDE:
        tree.add(f"[dim]… {len(nodes) - _SHOWN_WIDE} more with --json[/dim]")


def _node(node: IngredientNode) -> str:
    name = node.title or node.relationship
    if node.model:
        return _SHA256.sub(_SHORT, f"{name} ({node.description})" if node.description else name)
    record = (node.record or {}).get("record")
    codes = ", ".join(dict.fromkeys(finding.code for finding in node.failures)) if node.state == "invalid" else ""
    says = [
        f"{name}: credentials {node.state}",
        codes,
        f"signed by {node.signed_by}" if node.signed_by else "",
        (node.digital_source_type or "").rpartition("/")[2] or "no statement how it came to be",
        f"record {record}" if record else "",
    ]
    return ", ".join(part for part in says if part)


def _lines(console: Console, tree: Tree) -> list[str]:
    """Draw a tree as lines of markup, so that it can be indented and never wraps in the middle of a guide."""
    wide = Console(width=4000, highlight=False, color_system=None, legacy_windows=False, file=console.file)
    with wide.capture() as capture:
        wide.print(tree)
    return [f"[dim]{escape(line.rstrip())}[/dim]" for line in capture.get().splitlines()]


def show_line(console: Console, looked: Looked) -> None:
    """Print one file of a folder on one line: its verdict, its name, its record, or what is wrong with it."""
    name = escape(plain(str(looked.file)))
    if looked.found is None:
        console.print(f"{paint(looked.verdict)} {name}: {escape(plain(looked.problem))}")
        return
    bad = looked.found.first_bad
    if bad is not None:
        console.print(f"{paint(looked.verdict)} {name}: {bad.title}: {escape(plain(_SHA256.sub(_SHORT, bad.says)))}")
        return
    skipped = ", ".join(step.title for step in looked.found.steps if step.result == "skipped")
    record = f" record {looked.found.record_id}" if looked.found.record_id else ""
    about = f"{record}{f' ({skipped} not checked)' if skipped else ''}"
    console.print(f"{paint(looked.verdict)} {name}[dim]{escape(plain(about))}[/dim]")


def show_summary(console: Console, summary: FolderSummary) -> None:
    """Print how many files came out how, what was passed over, and what the reader should know of all of them."""
    rows = [(paint(word), f"{count:,}") for word, count in summary.counted.items()]
    console.print()
    console.print(table(f"{summary.files:,} pictures in {summary.seconds:.1f} s", ("verdict", "pictures"), rows))
    notes = [
        (summary.bad, "did not come out good"),
        (summary.not_checked, "could not be held against a record of this log"),
        (summary.development, "signed with a DEVELOPMENT certificate: integrity on this machine, not who signed"),
        (summary.passed_over, "other files passed over: no PNG, JPEG or WebP"),
    ]
    for count, says in notes:
        if count:
            console.print(f"{count:,} {says}")
    if summary.stops_first is not None:
        console.print(f"the first to stop validating does so on {summary.stops_first:%Y-%m-%d}")
