"""The closed list of terms that facts are recorded of, and what each means in plain words. Knows no licence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["permission", "ceiling", "territory", "duty"]


@dataclass(frozen=True, slots=True)
class Term:
    """One term: its name in the data, its kind, what it asks, and the roles whose parts it does not concern."""

    name: str
    kind: Kind
    title: str
    not_for: frozenset[str] = frozenset()


_LOCAL = frozenset({"model", "lora", "control", "adapter", "detector"})
_LOOKS_ONLY = frozenset({"detector"})

TERMS: dict[str, Term] = {
    term.name: term
    for term in (
        Term("commercial_use", "permission", "the weights, or the service, may be used commercially"),
        Term("commercial_outputs", "permission", "the pictures may be used commercially", _LOOKS_ONLY),
        Term("automated_access", "permission", "a program may use the service", _LOCAL),
        Term("revenue_ceiling", "ceiling", "only up to an annual revenue"),
        Term("user_ceiling", "ceiling", "only up to a number of monthly users"),
        Term("territory_exclude", "territory", "not in certain territories"),
        Term("registration", "duty", "register with the licensor"),
        Term("attribution", "duty", "name the maker"),
        Term("notice_file", "duty", "keep a notice with every copy of the weights"),
        Term("licence_copy", "duty", "pass the licence on with every copy of the weights"),
        Term("use_restrictions", "duty", "bind your users to the licence's use restrictions"),
        Term("acceptable_use", "duty", "keep to an acceptable-use policy"),
        Term("content_filter", "duty", "filter what may be made, or review it"),
        Term("ai_disclosure", "duty", "say that pictures were made by AI"),
        Term("keep_provenance", "duty", "leave watermarks and provenance data in place"),
        Term("no_competing_training", "duty", "train no competing model with the pictures"),
        Term("latest_version", "duty", "use the latest version with reasonable efforts"),
        Term("published_by_default", "duty", "prompts and pictures are public unless switched off", _LOCAL),
        Term("licence_back", "duty", "the provider gets a licence to prompts and pictures", _LOCAL),
    )
}
"""Every term, in the order in which it is shown."""

PERMISSIONS = tuple(term.name for term in TERMS.values() if term.kind == "permission")
CEILINGS = tuple(term.name for term in TERMS.values() if term.kind == "ceiling")
DUTIES = tuple(term.name for term in TERMS.values() if term.kind == "duty")
COMMERCIAL = ("commercial_use", "commercial_outputs")
"""The permissions that end where a ceiling is passed."""
