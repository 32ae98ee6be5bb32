"""How a pack's `organisation:` is written, and what an example may change of it."""

from __future__ import annotations

from typing import Any

from limner_policy import yaml_reading as nodes
from limner_policy.licences.organisation import Organisation
from limner_policy.licences.values import Code, Whole, Words
from limner_policy.shapes import Day, Key, Notes, Record, Text

ORGANISATION = Record(
    "the organisation",
    {
        "as_of": Key(Day(), required=True),
        "claimed_by": Key(Text("a text", 200), required=True),
        "annual_revenue_usd": Key(Whole()),
        "monthly_users": Key(Whole()),
        "principal_place": Key(Code()),
        "holds": Key(Words()),
    },
    lambda read: Organisation(
        **{**read.values, "holds": frozenset(read.values["holds"]) if "holds" in read.values else None}
    ),
)


class _Figures:
    """An example's organisation: the claims of which it changes the pack's."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> dict[str, Any]:
        keys = {name: Key(key.shape) for name, key in ORGANISATION.keys.items() if name not in ("as_of", "claimed_by")}
        found = Record[dict[str, Any]]("an example's organisation", keys, lambda read: dict(read.values))
        values = found.read(node, path, notes)
        return {name: frozenset(value) if name == "holds" else value for name, value in values.items()}


FIGURES = _Figures()
