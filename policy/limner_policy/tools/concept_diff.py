"""What differs between the concepts of two packs, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from limner_policy.concepts import Calibration, Concept
from limner_policy.pack import Pack
from limner_policy.tools.phrases import quoted

_FEW = 20
_AFTER = "rules that ask for it may decide otherwise; `limner policy replay` tells"


def concept_changes(old: Pack, new: Pack) -> Iterator[tuple[str, str, str]]:
    """Give each difference as sign (`+`, `-`, `~`), key and sentence."""
    before, after = {one.name: one for one in old.concepts}, {one.name: one for one in new.concepts}
    for name in sorted(before.keys() | after.keys()):
        was, now, about = before.get(name), after.get(name), f"concepts.{name}"
        if was is None:
            yield "+", about, f"concept {name} added"
        elif now is None:
            yield "-", about, f"concept {name} removed"
        elif was != now:
            yield from (("~", about, f"concept {name}: {told}") for told in _changes(was, now))
            yield "~", about, _AFTER


def _changes(was: Concept, now: Concept) -> Iterator[str]:
    for kind in ("positive", "contrast", "templates"):
        old, new = getattr(was, kind), getattr(now, kind)
        if added := [one for one in new if one not in old]:
            yield f"{kind} added ({len(added)}): {quoted(added, _FEW)}"
        if dropped := [one for one in old if one not in new]:
            yield f"{kind} dropped ({len(dropped)}): {quoted(dropped, _FEW)}"
    if was.calibration != now.calibration:
        yield f"calibration: {_told(was.calibration)} → {_told(now.calibration)}"


def _told(made: Calibration | None) -> str:
    if made is None:
        return "none"
    evaluation = f", evaluation {made.evaluation}" if made.evaluation else ""
    return f"scale {made.scale}, offset {made.offset} for {made.weights[:12]}…{evaluation}"
