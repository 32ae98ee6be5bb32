"""What becomes of the pictures of a denied request: the pack's own decision, with careful defaults.

Says what has to happen and to whom a person turns; knows nothing of how pictures are stored, and sends no message.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

DESTROY, KEEP, PRESERVE = "destroy", "keep", "preserve"
PICTURES = (DESTROY, KEEP, PRESERVE)
_WEIGHT = {KEEP: 0, DESTROY: 1, PRESERVE: 2}
"""Of two packs the more careful one wins; what has to be preserved for an authority cannot be had back."""

DEFAULT = "denied"
"""The name of the handling that holds where a rule names none."""


@dataclass(frozen=True, slots=True)
class Handling:
    """What happens with pictures that were made, and with those that the request brought.

    Attributes:
        name: how rules and the log name it.
        pictures: `destroy` (key, ciphertext and salt; commitments and scores stay), `keep` (encrypted, under the user's
            own erasure) or `preserve` (encrypted, and held against every erasure).
        days: for how many days from the denial they are kept or preserved; None where they are destroyed.
        send_on: False where no picture may leave the house any more, to no engine and no detector that sends pictures.
        tell: whom the operator has to tell, and how; empty: nobody.
        says: what happens, in one sentence for readers; empty where the pack says nothing of its own.
    """

    name: str = DEFAULT
    pictures: str = DESTROY
    days: int | None = None
    send_on: bool = True
    tell: str = ""
    says: str = ""

    def to_json(self) -> dict[str, Any]:
        """The handling as canonical JSON data."""
        told: dict[str, Any] = {"names": self.name.split(" + "), "pictures": self.pictures}
        if self.days is not None:
            told["days"] = self.days
        if not self.send_on:
            told["send_on"] = "never"
        return told | ({"tell": self.tell} if self.tell else {})

    @property
    def told(self) -> str:
        """What happens, for an operator."""
        days = f" for {self.days} days" if self.days else ""
        what = {
            DESTROY: "No picture is kept: commitments and scores only.",
            KEEP: f"Its pictures are kept, encrypted,{days}.",
            PRESERVE: f"Its pictures are preserved, encrypted,{days}: do not open, copy or send them.",
        }
        tell = f"Tell {self.tell}." if self.tell else ""
        return " ".join(filter(None, (self.says, what[self.pictures], tell)))


NOTHING_KEPT = Handling()
"""What holds where a pack says nothing: no picture is kept."""


def combined(found: Iterable[Handling]) -> Handling:
    """Several as one: the most careful treatment of the pictures, every name, sentence and person to tell.

    Where nothing was said it is the default: nothing is kept.
    """
    ordered = sorted(set(found), key=lambda one: (one.name, one.pictures, one.days or 0, one.tell, one.says))
    if len(ordered) < 2:
        return ordered[0] if ordered else NOTHING_KEPT
    pictures = max((one.pictures for one in ordered), key=_WEIGHT.__getitem__)
    days = [one.days for one in ordered if one.pictures == pictures and one.days is not None]
    return Handling(
        name=_joined(" + ", (one.name for one in ordered)),
        pictures=pictures,
        # What is kept for the house goes as early as one pack says, what an authority may want stays as long.
        days=(max if pictures == PRESERVE else min)(days, default=None),
        send_on=all(one.send_on for one in ordered),
        tell=_joined("; ", (one.tell for one in ordered)),
        says=_joined(" ", (one.says for one in ordered)),
    )


def _joined(between: str, texts: Iterable[str]) -> str:
    return between.join(dict.fromkeys(filter(None, texts)))
