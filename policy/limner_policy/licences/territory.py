"""Whether a place lies in a territory: countries as ISO 3166 codes, their regions (`US-CA`), and the European Union."""

from __future__ import annotations

import re

EU = frozenset(
    "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE".split()  # noqa: SIM905 -- a table
)
"""Member states of the European Union, as of 2026-11-25."""

_SAME = {"UK": "GB", "EL": "GR"}
_CODE = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")


def is_code(place: str) -> bool:
    """Whether `place` is written as a code that can be compared: `DE`, `US-CA`, `EU`."""
    return _CODE.fullmatch(place.strip().upper()) is not None


def lies_in(place: str | None, territory: str) -> bool | None:
    """Whether `place` is in `territory`; None where that cannot be said (not known, not a code, or larger than it)."""
    if place is None or not is_code(place):
        return None
    where, wanted = _normal(place), _normal(territory)
    if where == wanted or where.startswith(f"{wanted}-"):
        return True
    if wanted == "EU":
        return where.partition("-")[0] in EU
    # "EU" against one of its states, or a country against one of its regions: only a part of it.
    part_of_it = wanted.startswith(f"{where}-") or (where == "EU" and wanted.partition("-")[0] in EU)
    return None if part_of_it else False


def _normal(place: str) -> str:
    code = place.strip().upper()
    country, dash, region = code.partition("-")
    return _SAME.get(country, country) + dash + region
