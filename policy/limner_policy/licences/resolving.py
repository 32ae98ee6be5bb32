"""From names (a provider's kind, a model, LoRAs, detectors) to the licence facts that a judgement's input holds."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import datetime
from enum import Enum

from limner_policy.conditions import walk
from limner_policy.licences.book import Book, embedded_book
from limner_policy.licences.conditions import LicenceCondition
from limner_policy.licences.rows import FactsFile, Subject
from limner_policy.pack import Pack
from limner_policy.types import LicenceFacts, PartFacts


def asks_for_licences(packs: Iterable[Pack]) -> bool:
    """Whether a rule of these packs looks at licence facts, so that they are worth having."""
    rules = (rule for pack in packs for rule in pack.rules if rule.modes != {"off"})
    return any(isinstance(node, LicenceCondition) for rule in rules for node in walk(rule.when))


def facts_for(
    *,
    kind: str | None = None,
    model: str | None = None,
    licence: str | None = None,
    loras: Iterable[str] = (),
    controls: Iterable[str] = (),
    adapters: Iterable[str] = (),
    detectors: Iterable[str] = (),
    instant: str | None = None,
    book: Book | None = None,
) -> tuple[PartFacts, ...]:
    """The licence facts of every part of a generation, for `CandidateFacts.parts`.

    Args:
        kind: the provider's kind; one that runs on your own machine adds no part.
        model: the model's name, as the catalogue or the hub has it.
        licence: the licence that the engine states for the model (`ModelIdentity.licence`); it binds too where the
            facts name another, which is then a conflict, and alone where the facts do not know the model. An engine
            that can also talk to somebody else's server states its maker's licence, or is not under its maker's terms.
        loras: names of LoRAs that take part.
        controls: names of control models (ControlNet).
        adapters: names of adapters (IP-Adapter).
        detectors: names of detectors that look at the pictures.
        instant: the acceptance instant, UTC, RFC 3339; rows with dates apply then.
        book: other facts than the embedded ones.

    Returns:
        One entry a part. What the facts do not know is a part without licences: unknown, never left out.

    Raises:
        PolicyFileError: a facts file that is needed is broken.
    """
    others = tuple(
        (role, name)
        for role, names in (("lora", loras), ("control", controls), ("adapter", adapters), ("detector", detectors))
        for name in names
    )
    day = instant[:10] if instant else None
    return _facts_for(book or embedded_book(), (kind, model, licence), others, day)


@functools.lru_cache(maxsize=1024)
def _facts_for(
    book: Book,
    engine: tuple[str | None, str | None, str | None],
    others: tuple[tuple[str, str], ...],
    day: str | None,
) -> tuple[PartFacts, ...]:
    kind, model, licence = engine
    resolver = _Resolver(book, datetime.fromisoformat(f"{day}T00:00:00+00:00") if day else None)
    hosts = resolver.provider(kind, stated=licence) if kind else Hosts.NAMED
    if model or licence:
        resolver.model(model, licence, hosts)
    for role, name in others:
        resolver.other(role, name)
    return tuple(resolver.parts.values())


def parts_of(
    names: Iterable[str], *, instant: str | None = None, book: Book | None = None
) -> tuple[tuple[PartFacts, ...], tuple[str, ...]]:
    """The parts that these names stand for (models, licences, providers' kinds, detectors …), and the unknown names.

    Raises:
        PolicyFileError: a facts file that is needed is broken.
    """
    book = book or embedded_book()
    resolver = _Resolver(book, datetime.fromisoformat(instant) if instant else None)
    unknown = tuple(name for name in names if not resolver.named(name))
    return tuple(resolver.parts.values()), unknown


class Hosts(Enum):
    """Which models are under a provider's terms: all, those whose row says so, or none."""

    ALL = "all"
    NAMED = "named"
    NONE = "none"


class _Resolver:
    """Collects parts, each once."""

    def __init__(self, book: Book, instant: datetime | None) -> None:
        self.parts: dict[tuple[str, str], PartFacts] = {}
        self._book = book
        self._instant = instant

    def provider(self, kind: str, stated: str | None = None, *, named: bool = False) -> Hosts:
        """Add a provider; which models its terms govern. One that is `named` by itself is its maker's."""
        found = self._book.subject(kind, ("provider",), self._instant)
        if found is None:
            self._add(PartFacts(role="provider", name=kind))
            return Hosts.NAMED
        row, file = found
        if row.only_stated and not named and not (stated and self._licence(stated).id in self._ids(row)):
            self._add(PartFacts(role="provider", name=f"{row.id}, at a server that is not its maker's"))
            return Hosts.NONE
        if not row.own_machine:
            self._add(self._part(row, file))
        return Hosts.ALL if row.hosts_all else Hosts.NAMED

    def model(self, name: str | None, licence: str | None, hosts: Hosts) -> None:
        """Add a model by its row, by the licence it states, or as unknown."""
        found = self._book.subject(name, ("model",), self._instant) if name else None
        if found is None or (found[0].hosted_by and hosts is Hosts.NONE):
            if hosts is not Hosts.ALL:
                self._add(self._unlisted(name or str(licence), licence))
            return
        row, file = found
        if row.hosted_by:
            self.provider(row.hosted_by, named=True)
            return
        self._add(self._part(row, file, stated=licence))

    def other(self, role: str, name: str) -> None:
        """Add what else takes part."""
        found = self._book.subject(name, (role,), self._instant)
        self._add(self._part(*found) if found else PartFacts.model_validate({"role": role, "name": name}))

    def named(self, name: str) -> bool:
        """Add whatever has this name; whether there is such a thing."""
        found = self._book.subject(name, None, self._instant)
        if found is None:
            if self._book.licence(name) is None:
                return False
            self._add(self._unlisted(name, name))
            return True
        row, file = found
        if row.role == "provider" or row.hosted_by:
            self.provider(row.hosted_by or row.id, named=True)
        else:
            self._add(self._part(row, file))
        return True

    def _add(self, part: PartFacts) -> None:
        self.parts.setdefault((part.role, part.name), part)

    def _unlisted(self, name: str, licence: str | None) -> PartFacts:
        """A model that no row names: under the licence it states, if any."""
        if licence is None:
            return PartFacts(role="model", name=name)
        found = self._book.licence(licence)
        source = found[1].identity if found else ""
        return PartFacts(role="model", name=name, licences=(self._licence(licence),), source=source)

    def _part(self, row: Subject, file: FactsFile, stated: str | None = None) -> PartFacts:
        licences = tuple(self._licence(name) for name in row.licences)
        conflict = row.conflict
        if stated and (other := self._licence(stated)).id not in {one.id for one in licences}:
            licences = (*licences, other)
            known = ", ".join(one.id for one in licences[:-1]) or "no licence"
            told = f"the model's own data state {other.id}, the facts name {known}"
            conflict = "; ".join(filter(None, (conflict, told)))
        return PartFacts.model_validate(
            {
                "role": row.role,
                "name": row.id,
                "licences": licences,
                "conflict": conflict,
                "signed": row.signed is not None,
                "source": file.identity,
            }
        )

    def _ids(self, row: Subject) -> set[str]:
        return {self._licence(name).id for name in row.licences}

    def _licence(self, name: str) -> LicenceFacts:
        found = self._book.licence(name)
        return found[0].facts if found else LicenceFacts(id=name)
