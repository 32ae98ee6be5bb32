"""A loaded policy pack: its rules, its exact bytes with their digest, and the matcher compiled from it.

Frozen. Knows neither YAML nor how a judgement is made of its rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from limner_policy.bundles import unbundle
from limner_policy.concepts import Concept
from limner_policy.conditions import Condition, EvidenceAtLeast, walk
from limner_policy.errors import PolicyError
from limner_policy.handling import NOTHING_KEPT, Handling
from limner_policy.licences.organisation import Organisation
from limner_policy.matching import Matcher
from limner_policy.verdicts import Duty, Verdict
from limner_policy.wordlists import WordList


@dataclass(frozen=True, slots=True)
class Effective:
    """From when (inclusive) until when (exclusive) something is in force; None is open."""

    start: datetime | None = None
    until: datetime | None = None

    def covers(self, instant: datetime) -> bool:
        """Whether `instant` lies inside."""
        return (self.start is None or self.start <= instant) and (self.until is None or instant < self.until)


ALWAYS = Effective()


@dataclass(frozen=True, slots=True)
class Source:
    """What a rule rests on: a citation, where and when it was read, and by way of what if not in the original."""

    cite: str
    read: str | None = None
    url: str | None = None
    quote: str | None = None
    via: str | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A case beside a rule, with the verdict its author expects of the whole pack; see `example_checks.py`."""

    expect: Verdict
    facts: Mapping[str, str]
    scores: Mapping[tuple[str, str], str | None]
    """(detector, category) → score with 6 decimals, or None for unknown."""
    as_of: datetime | None
    line: int
    parts: tuple[str, ...] = ()
    """Names of further parts whose licences count: LoRAs, detectors, providers' kinds, licences."""
    tags: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    organisation: Mapping[str, Any] = field(default_factory=dict)
    """Claims that stand instead of the pack's, as fields of `Organisation`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as written. `lines` are its first and last line in the file, counted from 1, inclusive."""

    id: str
    title: str
    says: str
    why: str
    basis: tuple[Source, ...]
    owner: str
    severity: str
    stage: str
    mode: str
    effective: Effective
    when: Condition
    verdict: Verdict
    duties: tuple[Duty, ...]
    if_unknown: Verdict
    examples: tuple[Example, ...]
    lines: tuple[int, int]
    mode_from: tuple[tuple[datetime, str], ...] = ()
    """From which instant (inclusive) another mode than `mode` holds, in the order of time."""
    review_by: datetime | None = None
    """The instant by which people have to look at the rule again; it decides nothing."""
    handling: Handling = NOTHING_KEPT
    """What becomes of pictures that it denies."""
    otherwise: Handling = NOTHING_KEPT
    """The same where the condition could not be decided and `if_unknown` denies: nothing was found in the pictures."""
    evidence: tuple[EvidenceAtLeast, ...] = field(init=False, compare=False, repr=False)
    """The conditions on detectors' scores anywhere in `when`."""

    def __post_init__(self) -> None:
        """Look for them once, as every judgement asks for them."""
        found = tuple(node for node in walk(self.when) if isinstance(node, EvidenceAtLeast))
        object.__setattr__(self, "evidence", found)

    def mode_at(self, instant: datetime) -> str:
        """The mode at `instant`: that of the last date reached, else `mode`."""
        if not self.mode_from:
            return self.mode
        reached = [mode for start, mode in self.mode_from if start <= instant]
        return reached[-1] if reached else self.mode

    @property
    def modes(self) -> frozenset[str]:
        """All modes that the rule has at some time."""
        return frozenset((self.mode, *(mode for _, mode in self.mode_from)))

    def in_force(self, instant: datetime) -> bool:
        """Whether the rule's mode and dates let it be evaluated at `instant`."""
        return self.mode_at(instant) != "off" and (self.effective is ALWAYS or self.effective.covers(instant))

    @property
    def detectors(self) -> frozenset[str]:
        """The detectors whose evidence the rule asks for."""
        return frozenset(node.detector for node in self.evidence)


@dataclass(frozen=True, slots=True)
class Pack:
    """One policy file in force or ready for it. Packs are equal where their bytes are.

    `source` is the file byte for byte, with those of its list files (`bundles.py`), and `sha256` its digest (lower-case
    hex); `file` is the name it was read under.
    """

    name: str = field(compare=False)
    version: str = field(compare=False)
    title: str = field(compare=False)
    owner: str = field(compare=False)
    effective: Effective = field(compare=False)
    rules: tuple[Rule, ...] = field(compare=False, repr=False)
    source: bytes = field(compare=False, repr=False)
    sha256: str
    file: str = field(compare=False)
    matcher: Matcher = field(compare=False, repr=False)
    organisation: Organisation | None = field(default=None, compare=False)
    review_by: datetime | None = field(default=None, compare=False)
    lists: tuple[WordList, ...] = field(default=(), compare=False, repr=False)
    concepts: tuple[Concept, ...] = field(default=(), compare=False, repr=False)
    handling: tuple[Handling, ...] = field(default=(), compare=False)
    _by_stage: dict[str, tuple[tuple[Rule, bool], ...]] = field(
        init=False, compare=False, repr=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        """Sort the rules by stage once, as a judgement asks for one stage only."""
        for rule in self.rules:
            if rule.modes != {"off"}:
                always = not rule.mode_from and rule.effective == ALWAYS
                self._by_stage[rule.stage] = (*self._by_stage.get(rule.stage, ()), (rule, always))

    def rules_of(self, stage: str) -> tuple[tuple[Rule, bool], ...]:
        """The rules of one stage that are not off for ever, each with whether it is in force at every instant."""
        return self._by_stage.get(stage, ())

    @property
    def document(self) -> bytes:
        """The pack's own file byte for byte, without its list files."""
        return unbundle(self.source)[0]

    @property
    def identity(self) -> dict[str, str]:
        """Name, version and digest, as decisions and the log carry them."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256}

    def rule(self, rule_id: str) -> Rule:
        """The rule of that id.

        Raises:
            PolicyError: there is none.
        """
        for rule in self.rules:
            if rule.id == rule_id:
                return rule
        known = ", ".join(rule.id for rule in self.rules)
        raise PolicyError(f"pack {self.name} has no rule {rule_id!r}.", remedy=f"Its rules: {known}.")

    def rule_text(self, rule_id: str) -> str:
        """The exact lines of that rule in the file, without the line end of the last.

        Raises:
            PolicyError: there is no such rule.
        """
        first, last = self.rule(rule_id).lines
        return "\n".join(self.document.decode("utf-8-sig").split("\n")[first - 1 : last]).removesuffix("\r")
