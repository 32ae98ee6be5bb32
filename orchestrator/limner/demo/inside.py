"""A picture that is denied for what is in it, although the prompt says nothing of it.

The picture is a dagger that the starter model drew (“dagger”, seed 7); the detector is the starter CLIP, with the
concepts and thresholds of the example pack `starter-concepts`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from limner import Limner
from limner.cli.output import plain, table
from limner.demo.sheet import Tile
from limner.errors import PolicyDenied

if TYPE_CHECKING:
    from rich.console import Console

    from limner.config import Config
    from limner_policy import Decision
    from limner_policy.verdicts import EvidenceUse

PICTURE = Path(__file__).parent / "given.png"
PROMPT = "a birthday present with a ribbon"
PACKS = ("general.policy.yaml", "starter-concepts.policy.yaml")


def show_inside(config: Config, console: Console) -> Tile:
    """Ask for an edit of the picture with a harmless prompt, and show what was measured against what."""
    from limner_policy.loading import embedded_pack

    console.rule("4. A picture that is denied for what is in it")
    console.print(f"a picture to start from: {PICTURE.name}; the prompt: {PROMPT!r}")
    policy = tuple(str(embedded_pack().with_name(name)) for name in PACKS)
    with Limner.open(config.model_copy(update={"policy": policy}), context={"user": "demo"}) as limner:
        try:
            limner.edit(PICTURE.read_bytes(), PROMPT, strength=0.4)
        except PolicyDenied as denied:
            _show(denied, console)
            return _tile(denied.decision)
    message = "the demo's dagger was allowed: the concepts in force are not those this demo was written for"
    raise AssertionError(message)


def _uses(decision: Decision) -> list[tuple[str, EvidenceUse]]:
    return [(hit.rule, use) for hit in decision.deciding for use in hit.evidence]


def show_rules(denied: PolicyDenied, console: Console) -> None:
    """Print the rules that deny."""
    for hit in denied.decision.deciding:
        console.print(f"[red]denied[/red] by rule [bold]{hit.rule}[/bold] of pack {hit.pack}: {hit.says}")


def show_record(denied: PolicyDenied, console: Console) -> None:
    """Print what an end user is told of a denial, and where it is recorded."""
    console.print(f"what an end user is told: {denied.user_message}")
    console.print(f"recorded as {denied.record_id}; nothing was sent to any engine")


def _show(denied: PolicyDenied, console: Console) -> None:
    show_rules(denied, console)
    rows = [
        (rule, f"{use.evidence.detector}/{use.evidence.category}", use.evidence.score, use.threshold, use.comparison)
        for rule, use in _uses(denied.decision)
    ]
    console.print(table("", ("rule", "what was seen", "score", "threshold", ""), rows))
    for _, use in _uses(denied.decision)[:1]:
        console.print(f"detector version {plain(use.evidence.version)}, weights {use.evidence.digest[:16]}…")
    assert denied.decision.handling is not None
    console.print(f"what becomes of the picture: {denied.decision.handling.told}")
    show_record(denied, console)


def _tile(decision: Decision) -> Tile:
    _, use = _uses(decision)[0]
    note = f"denied · {use.evidence.category} {use.evidence.score} (from {use.threshold} on)"
    return Tile(PICTURE.read_bytes(), "given, not released", note, denied=True)
