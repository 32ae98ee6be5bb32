"""What an organisation claims of itself, which licences ask for: revenue, users, place, and what it holds.

It stands in a policy pack (`organisation:`), so whoever owns the pack owns the claims, and the bytes of the pack in the
log show what was claimed then. Nothing of it is verified.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Organisation:
    """Claims; None means that it was not said.

    Attributes:
        as_of: The day for which this is claimed.
        claimed_by: Who claims it.
        annual_revenue_usd: In whole US dollars, affiliates included.
        monthly_users: Monthly active users of all products.
        principal_place: Code of the country, or region, of the principal place of business: `DE`, `US-CA`.
        holds: Registrations, plans and bought licences by the names that facts use (`unless_held`).
    """

    as_of: str | None = None
    claimed_by: str | None = None
    annual_revenue_usd: int | None = None
    monthly_users: int | None = None
    principal_place: str | None = None
    holds: frozenset[str] | None = None

    def holds_one_of(self, names: Iterable[str]) -> bool:
        """Whether one of these is held; what is not claimed as held counts as not held."""
        return self.holds is not None and not self.holds.isdisjoint(names)


UNSAID = Organisation()


def agreed(stated: Iterable[Organisation | None]) -> Organisation:
    """What several packs say together: each claim that no two of them contradict; contradicted ones count as unsaid."""
    given = [one for one in stated if one is not None]
    if len(given) < 2:
        return given[0] if given else UNSAID
    values: dict[str, Any] = {}
    for field in fields(Organisation):
        said = {getattr(one, field.name) for one in given} - {None}
        values[field.name] = said.pop() if len(said) == 1 else None
    return Organisation(**values)
