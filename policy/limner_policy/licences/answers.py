"""What the licences of all parts of a generation mean together, for one organisation: pure, three-valued.

The most restrictive of all parts applies, term by term. A permission is refused by one part that refuses it, else
unknown by one part of which that is unknown; a duty binds where one part imposes it. So the order of parts is nothing,
the same part twice is one, another part never loosens anything, and what is unknown never hides a prohibition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from limner_policy.licences.organisation import UNSAID, Organisation
from limner_policy.licences.terms import CEILINGS, COMMERCIAL, TERMS
from limner_policy.licences.territory import lies_in
from limner_policy.types import LicenceFacts, PartFacts, TermFact
from limner_policy.verdicts import LicenceUse

MAX_USES = 8
"""Most parts and licences named by one answer; more would not help a reader and fill the log."""

NOTHING_KNOWN = "no licence of it is known"
NOT_RECORDED = "the facts do not record it"
SILENT = "its text says nothing of it"


class Claim(NamedTuple):
    """What one licence of one part comes to on one term; `truth` None is unknown."""

    truth: bool | None
    part: PartFacts
    term: str
    licence: LicenceFacts | None = None
    fact: TermFact | None = None
    because: str = ""

    def use(self) -> LicenceUse:
        """The claim as a decision carries it."""
        fact = self.fact
        because = self.because if fact is None or not fact.note else "; ".join(filter(None, (self.because, fact.note)))
        says = "unknown" if self.truth is None else "yes" if self.truth else "no"
        return LicenceUse(
            part=self.part.name,
            role=self.part.role,
            term=self.term,
            says=says,
            licence=self.licence.id if self.licence else "",
            because=because,
            section=fact.section if fact else "",
            quote=fact.quote if fact else "",
            read=fact.read if fact else "",
            via=fact.via if fact else "",
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """Yes, no or unknown (None), and the claims that decide it: all those that say exactly this."""

    truth: bool | None
    claims: tuple[Claim, ...] = ()

    @property
    def uses(self) -> tuple[LicenceUse, ...]:
        """The deciding claims, sorted, each once, at most `MAX_USES`."""
        return tuple(sorted({claim.use() for claim in self.claims}))[:MAX_USES]

    @property
    def word(self) -> str:
        """`yes`, `no` or `unknown`."""
        return "unknown" if self.truth is None else "yes" if self.truth else "no"


Row = tuple[PartFacts, LicenceFacts | None, dict[str, TermFact]]


class Answers:
    """The answers of a set of parts. Without any part nothing is known, and every answer is unknown."""

    def __init__(self, parts: Iterable[PartFacts], organisation: Organisation = UNSAID) -> None:
        """Keep parts and organisation; answers are worked out when they are asked for."""
        self.parts = tuple(parts)
        self._organisation = organisation
        self._rows: list[Row] = []
        for part in self.parts:
            self._rows += [(part, one, {fact.term: fact for fact in one.terms}) for one in part.licences]
            if not part.licences:
                self._rows.append((part, None, {}))

    def allowed(self, permission: str) -> Answer:
        """Whether every part allows it; ceilings count for the commercial permissions.

        Args:
            permission: one of `terms.PERMISSIONS`.
        """
        claims = list(self._permissions(permission))
        if permission in COMMERCIAL:
            claims += [claim for claim in self._ceilings(CEILINGS, permission) if claim.truth is not True]
        return self._worst(claims, (False, None, True), nothing_said=True)

    def required(self, duty: str) -> Answer:
        """Whether a part imposes this duty (one of `terms.DUTIES`), and what is held does not lift it."""
        return self._worst(list(self._duties(duty)), (True, None, False), nothing_said=False)

    def over(self, ceilings: Iterable[str] = CEILINGS) -> Answer:
        """Whether the organisation is over a ceiling that a part states; unknown where its figure was not said.

        A ceiling that no row states is none, and so it is without any part: whether rows are complete is told by
        `checking.py`.
        """
        claims = [
            Claim(None if one.truth is None else not one.truth, one.part, one.term, one.licence, one.fact, one.because)
            for ceiling in ceilings
            for one in self._ceilings((ceiling,), ceiling)
        ]
        return self._worst(claims, (True, None, False), nothing_said=False) if self.parts else Answer(truth=False)

    def excluded(self, place: str | None) -> Answer:
        """Whether a part's licence does not reach `place` (a code such as `DE`, `US-CA`, `EU`; None: not said)."""
        return self._worst(list(self._territories(place)), (True, None, False), nothing_said=False)

    def states(self, term: str) -> Answer:
        """Whether a part's licence states the term with yes; what nobody recorded does not."""
        claims = [
            Claim(truth=True, part=part, term=term, licence=licence, fact=facts[term])
            for part, licence, facts in self._rows
            if term in facts and facts[term].says == "yes"
        ]
        return Answer(bool(claims), tuple(claims))

    def conflict(self) -> Answer:
        """Whether the sources of a part contradict each other."""
        claims = [
            Claim(truth=bool(part.conflict), part=part, term="conflict", because=part.conflict) for part in self.parts
        ]
        return self._worst(claims, (True, None, False), nothing_said=False)

    def known(self) -> Answer:
        """Whether there are parts, and something was recorded of every licence of every one of them; never unknown."""
        unknown = [
            Claim(truth=False, part=part, term="known", licence=licence, because=NOTHING_KNOWN)
            for part, licence, facts in self._rows
            if not facts
        ]
        if unknown or not self.parts:
            return Answer(truth=False, claims=tuple(unknown))
        return Answer(truth=True, claims=tuple(Claim(truth=True, part=part, term="known") for part in self.parts))

    def signed_off(self) -> Answer:
        """Whether a person has signed off every row that takes part; never unknown."""
        unsigned = [
            Claim(truth=False, part=part, term="signed_off", licence=licence, because="nobody has signed off this row")
            for part, licence, _ in self._rows
            if not part.signed or (licence is not None and not licence.signed)
        ]
        if unsigned or not self.parts:
            return Answer(truth=False, claims=tuple(unsigned))
        return Answer(truth=True, claims=tuple(Claim(truth=True, part=part, term="signed_off") for part in self.parts))

    def under(self, licences: frozenset[str]) -> Answer:
        """Whether a part is under one of these licences, by their ids in small letters."""
        claims = [
            Claim(
                truth=None if licence is None else licence.id.casefold() in licences,
                part=part,
                term="licence",
                licence=licence,
                because="" if licence else NOTHING_KNOWN,
            )
            for part, licence, _ in self._rows
        ]
        return self._worst(claims, (True, None, False), nothing_said=False)

    def _permissions(self, permission: str) -> Iterator[Claim]:
        for part, licence, facts in self._concerned(permission):
            fact = facts.get(permission)
            if fact is None:
                yield Claim(None, part, permission, licence, because=_why_unknown(permission, licence))
            elif fact.says == "no" and self._organisation.holds_one_of(fact.unless_held):
                yield Claim(True, part, permission, licence, fact, "a licence for it is held")
            else:
                yield Claim(_truth(fact.says), part, permission, licence, fact)

    def _ceilings(self, ceilings: Iterable[str], term: str) -> Iterator[Claim]:
        """For each ceiling that is stated: whether one stays below it."""
        for ceiling in ceilings:
            said, what = self._figure(ceiling)
            for part, licence, facts in self._concerned(term):
                fact = facts.get(ceiling)
                if fact is None or fact.says == "no":
                    continue
                below, why = self._below(fact, said, what)
                yield Claim(below, part, term, licence, fact, why)

    def _below(self, fact: TermFact, said: int | None, what: str) -> tuple[bool | None, str]:
        if self._organisation.holds_one_of(fact.unless_held):
            return True, "what lifts the ceiling is held"
        if fact.limit is None or fact.says == "unknown":
            return None, f"the ceiling on the {what} is not known"
        amount = f"{fact.limit:,}"
        if said is None:
            return None, f"there is a ceiling of {amount} on the {what}, and that of the organisation was not said"
        over = said >= fact.limit if fact.border == "inclusive" else said > fact.limit
        reached = "reaches" if fact.border == "inclusive" else "is over"
        return not over, f"the organisation's {what} {reached if over else 'is within'} the ceiling of {amount}"

    def _figure(self, ceiling: str) -> tuple[int | None, str]:
        if ceiling == "revenue_ceiling":
            return self._organisation.annual_revenue_usd, "annual revenue in US dollars"
        return self._organisation.monthly_users, "number of monthly users"

    def _duties(self, duty: str) -> Iterator[Claim]:
        for part, licence, facts in self._concerned(duty):
            fact = facts.get(duty)
            if fact is None:
                silent = licence is not None and duty in licence.silent
                why = SILENT if silent else _why_unknown(duty, licence)
                yield Claim(False if silent else None, part, duty, licence, because=why)
            elif fact.says == "yes" and self._organisation.holds_one_of(fact.unless_held):
                yield Claim(False, part, duty, licence, fact, "it is held already")
            else:
                yield Claim(_truth(fact.says), part, duty, licence, fact)

    def _territories(self, place: str | None) -> Iterator[Claim]:
        term = "territory_exclude"
        for part, licence, facts in self._rows:
            fact = facts.get(term)
            if fact is None:
                silent = licence is not None and term in licence.silent
                why = SILENT if silent else _why_unknown(term, licence)
                yield Claim(False if silent else None, part, term, licence, because=why)
            elif fact.says != "yes":
                yield Claim(_truth(fact.says), part, term, licence, fact)
            else:
                inside = {lies_in(place, region) for region in fact.regions}
                truth = True if True in inside else None if None in inside else False
                shown = f"excluded: {', '.join(fact.regions)}; asked for: {place or 'not said'}"
                yield Claim(truth, part, term, licence, fact, shown)

    def _concerned(self, term: str) -> Iterator[Row]:
        not_for = TERMS[term].not_for
        return (row for row in self._rows if row[0].role not in not_for)

    def _worst(self, claims: list[Claim], order: tuple[bool | None, ...], *, nothing_said: bool) -> Answer:
        if not self.parts:
            return Answer(None)
        for truth in order:
            deciding = tuple(claim for claim in claims if claim.truth is truth)
            if deciding:
                return Answer(truth, deciding)
        return Answer(nothing_said)


def _truth(says: str) -> bool | None:
    return None if says == "unknown" else says == "yes"


def _why_unknown(term: str, licence: LicenceFacts | None) -> str:
    if licence is None:
        return NOTHING_KNOWN
    return SILENT if term in licence.silent else NOT_RECORDED
