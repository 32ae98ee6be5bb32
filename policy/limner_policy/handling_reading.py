"""How `handling` is written in a pack: names, and what each means for pictures. Knows no rules."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from limner_policy import yaml_reading as nodes
from limner_policy.clauses import NAME, PROSE
from limner_policy.handling import DEFAULT, DESTROY, KEEP, PICTURES, PRESERVE, Handling
from limner_policy.shapes import Choice, Key, Notes, Reading, Record, Text, Unreadable

MAX_HANDLINGS = 20
MAX_DAYS = 3_650


@dataclass(frozen=True)
class Days:
    """A number of days."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> int:
        """Read it."""
        text = Text("a number of days").read(node, path, notes)
        if not re.fullmatch(r"[1-9]\d{0,3}", text, re.ASCII) or int(text) > MAX_DAYS:
            raise notes.fail(node, path, f"has to be a number of days from 1 to {MAX_DAYS:,}", "Write the digits alone")
        return int(text)


def _handling(read: Reading) -> Handling:
    pictures, days, tell = read.values["pictures"], read.values.get("days"), read.values.get("tell", "")
    if pictures == DESTROY and days is not None:
        raise read.fail("destroys its pictures and says for how many days", "Delete `days`, or write `pictures: keep`")
    if pictures != DESTROY and days is None:
        raise read.fail(f"says `{pictures}` and not for how long", "Add `days`, such as `days: 30`")
    if pictures == PRESERVE and not tell:
        told = "preserves pictures and names nobody who is told"
        raise read.fail(told, "Add `tell`: the desk that reports to the authority")
    if pictures == KEEP and read.values.get("send_on") == "never":
        told = "may not be sent on, and is kept like any other picture"
        raise read.fail(told, "Write `pictures: destroy` or `pictures: preserve`")
    return Handling(
        pictures=pictures,
        days=days,
        send_on=read.values.get("send_on") != "never",
        tell=tell.strip(),
        says=read.values.get("says", "").strip(),
    )


HANDLING = Record(
    "a handling",
    {
        "pictures": Key(
            Choice(PICTURES), required=True, help="destroy (the default), keep, or preserve for an authority."
        ),
        "days": Key(Days(), help="For how many days from the denial they are kept or preserved."),
        "send_on": Key(Choice(("never",)), help="never: no detector that sends pictures away sees them either."),
        "tell": Key(PROSE, help="Whom the operator tells, and how."),
        "says": Key(PROSE, help="What happens, in one sentence for readers."),
    },
    _handling,
)


class Handlings:
    """A mapping from names to what they mean; `denied` is that of every denial that names none."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> dict[str, Handling]:
        """Read it."""
        if not isinstance(node, nodes.Mapping) or not 1 <= len(node.pairs) <= MAX_HANDLINGS:
            raise notes.fail(
                node, path, "has to be handlings by name: a mapping", "Write {denied: {pictures: destroy}}"
            )
        found: dict[str, Handling] = {}
        for key, child in node.pairs:
            try:
                name, made = NAME.read(key, path, notes), HANDLING.read(child, f"{path}.{key.text}", notes)
            except Unreadable:
                # Noted already. The name stays known, so that whoever refers to it is not blamed too.
                found[key.text] = Handling(key.text)
                continue
            if name == DEFAULT and made.pictures == PRESERVE:
                notes.add(
                    key, f"{path}.{name}", "would hold every denied picture against erasure", "Give it another name"
                )
            found[name] = replace(made, name=name)
        return found
