"""The closed vocabulary of `when`: what each predicate means, in three values (true, false, unknown).

Pure: looks only at the case it is given. How conditions are written in YAML is `language.py`; how texts are searched is
`matching.py`. Every part of a condition is evaluated, always, so that order can never matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from limner_policy.types import Evidence, PolicyInput
from limner_policy.verdicts import EvidenceUse, LicenceUse, Span
from limner_policy.wordlists import WordList

if TYPE_CHECKING:
    from limner_policy.licences.answers import Answers
    from limner_policy.licences.organisation import Organisation

TEXT_FIELDS = ("prompt", "negative_prompt")


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a condition: its truth (None is unknown), where it matched, and what it rests on.

    Where the truth is None, `between` says that a score lies where a person has to decide (`review_from`), and
    `missing` that something is not known; both may be.
    """

    truth: bool | None
    spans: tuple[Span, ...] = ()
    evidence: tuple[EvidenceUse, ...] = ()
    licences: tuple[LicenceUse, ...] = ()
    between: bool = False
    missing: bool = True


NO = Finding(truth=False)
YES = Finding(truth=True)
UNKNOWN = Finding(truth=None)


class Case(Protocol):
    """One judgement's input as conditions see it."""

    @property
    def given(self) -> PolicyInput:
        """The input."""
        ...

    @property
    def text_hits(self) -> Mapping[Condition, tuple[Span, ...]]:
        """The text conditions of the pack that match, each with its spans in the original text."""
        ...

    @property
    def organisation(self) -> Organisation:
        """What the packs claim of the organisation."""
        ...

    @property
    def licences(self) -> Answers:
        """What the licences of the candidate's parts mean together for that organisation."""
        ...


class Condition(Protocol):
    """A node of `when`."""

    def find(self, case: Case) -> Finding:
        """Evaluate."""
        ...


def _merged(findings: Iterable[Finding], truth: bool | None) -> Finding:
    kept = [finding for finding in findings if finding.truth is truth]
    spans = tuple(dict.fromkeys(span for finding in kept for span in finding.spans))
    evidence = tuple(dict.fromkeys(use for finding in kept for use in finding.evidence))
    licences = tuple(dict.fromkeys(use for finding in kept for use in finding.licences))
    between, missing = (any(getattr(finding, name) for finding in kept) for name in ("between", "missing"))
    return Finding(truth, spans, evidence, licences, between=between, missing=missing)


@dataclass(frozen=True, slots=True, eq=False)
class AllOf:
    """True where all are, false where one is, else unknown."""

    items: tuple[Condition, ...]

    def find(self, case: Case) -> Finding:
        """Evaluate every item and combine."""
        findings = [item.find(case) for item in self.items]
        truths = {finding.truth for finding in findings}
        if False in truths:
            return NO
        return _merged(findings, None if None in truths else True)


@dataclass(frozen=True, slots=True, eq=False)
class AnyOf:
    """True where one is, false where all are, else unknown."""

    items: tuple[Condition, ...]

    def find(self, case: Case) -> Finding:
        """Evaluate every item and combine."""
        findings = [item.find(case) for item in self.items]
        truths = {finding.truth for finding in findings}
        if True in truths:
            return _merged(findings, truth=True)
        return _merged(findings, None) if None in truths else NO


@dataclass(frozen=True, slots=True, eq=False)
class Not:
    """The opposite; unknown stays unknown."""

    item: Condition

    def find(self, case: Case) -> Finding:
        """Evaluate the item and turn it round; what matched inside is no place where this matched."""
        finding = self.item.find(case)
        if finding.truth is None:
            return finding
        return NO if finding.truth else YES


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """Whole words or phrases, compared after folding (`normalise.py`).

    A match that lies inside one of the phrases `excepted` does not count: `naked` in “naked mole rat”.
    """

    any_of: tuple[str, ...]
    fields: tuple[str, ...]
    excepted: tuple[str, ...] = ()
    lists: tuple[WordList, ...] = ()
    inflect: tuple[str, ...] = ()
    """Kinds of English forms that count too (`inflection.py`)."""

    def find(self, case: Case) -> Finding:
        """Look up what the pack's matcher found."""
        spans = case.text_hits.get(self)
        return NO if spans is None else Finding(truth=True, spans=spans)


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """An RE2 expression."""

    pattern: str
    fields: tuple[str, ...]

    def find(self, case: Case) -> Finding:
        """Look up what the pack's matcher found."""
        spans = case.text_hits.get(self)
        return NO if spans is None else Finding(truth=True, spans=spans)


ALWAYS_NEAR, AMBIGUOUS_NEAR = "all", "ambiguous"


@dataclass(frozen=True, slots=True, eq=False)
class Entities:
    """A name of somebody or something on a list, by its context.

    At most `within` words may stand between a name and what has to be (`near`), or must not be (`unless_near`), close
    to it. With `near_for` = `ambiguous` only the names that the list marks as words of their own need `near`.
    """

    lists: tuple[WordList, ...]
    fields: tuple[str, ...]
    kinds: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    unless_near: tuple[str, ...] = ()
    within: int = 6
    near_for: str = ALWAYS_NEAR

    def find(self, case: Case) -> Finding:
        """Look up what the pack's matcher found; the spans carry the ids of the entities."""
        spans = case.text_hits.get(self)
        return NO if spans is None else Finding(truth=True, spans=spans)


WITHIN_TEXT, WITHIN_SENTENCE = "text", "sentence"


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """One match of each of `parts` in one field, close together.

    Close is: at most `within` words between the outer ones, or in one sentence, or anywhere in the text.
    """

    parts: tuple[Terms | Pattern, ...]
    fields: tuple[str, ...]
    within: int | str = WITHIN_TEXT

    def find(self, case: Case) -> Finding:
        """Look up what the pack's matcher found."""
        spans = case.text_hits.get(self)
        return NO if spans is None else Finding(truth=True, spans=spans)


TextCondition = Terms | Pattern | Entities | Together


def _of_candidate(name: str) -> Callable[[PolicyInput], str | None]:
    return lambda given: getattr(given.candidate, name) if given.candidate else None


def _of_context(name: str) -> Callable[[PolicyInput], str | None]:
    return lambda given: getattr(given.context, name)


CANDIDATE_FACTS = ("provider", "kind", "model", "licence")
CONTEXT_FACTS = ("tenant", "project", "purpose", "audience", "region")
FACTS: dict[str, Callable[[PolicyInput], str | None]] = {
    "task": lambda given: given.request.task,
    **{name: _of_candidate(name) for name in CANDIDATE_FACTS},
    **{name: _of_context(name) for name in CONTEXT_FACTS},
}
"""Fact name → how it is read; None means that it is not known."""


def folded_fact(value: str) -> str:
    """Facts are compared without regard to case and outer spaces."""
    return value.strip().casefold()


@dataclass(frozen=True, slots=True, eq=False)
class FactIn:
    """A fact that is (or, `negated`, is not) one of some values; unknown where the fact is not known."""

    fact: str
    values: frozenset[str]
    negated: bool = False

    def find(self, case: Case) -> Finding:
        """Compare."""
        value = FACTS[self.fact](case.given)
        if value is None:
            return UNKNOWN
        return YES if (folded_fact(value) in self.values) is not self.negated else NO


@dataclass(frozen=True, slots=True, eq=False)
class EvidenceAtLeast:
    """A detector's score of a category that reaches a threshold; unknown where no such score is there.

    With `review_from`, a score from there up to the threshold leaves it open, and a person decides.
    A detector may escalate, never clear: one score at the threshold makes it true whatever the others say.
    """

    detector: str
    category: str
    at_least: str
    review_from: str = ""

    @property
    def micros(self) -> int:
        """The threshold in millionths."""
        return int(self.at_least.replace(".", ""))

    @property
    def review_micros(self) -> int:
        """From which score on a person decides, in millionths; the threshold itself where nobody is asked."""
        return int((self.review_from or self.at_least).replace(".", ""))

    def find(self, case: Case) -> Finding:
        """Hold every score of this detector and category against the threshold."""
        used = self.uses(case.given)
        by = {what: tuple(use for use in used if use.comparison == what) for what in ("reached", "between", "unknown")}
        if by["reached"]:
            return Finding(truth=True, evidence=by["reached"])
        if by["between"] or by["unknown"] or not used:
            left = (*by["between"], *by["unknown"]) or (self._use(self._absent()),)
            between = bool(by["between"])
            return Finding(truth=None, evidence=left, between=between, missing=not between or bool(by["unknown"]))
        return NO

    def uses(self, given: PolicyInput) -> tuple[EvidenceUse, ...]:
        """Every evidence of this detector and category, beside the threshold and with what came of it."""
        mine = (e for e in given.evidence if (e.detector, e.category) == (self.detector, self.category))
        ordered = sorted(mine, key=lambda one: (one.image, one.score or "", one.version, one.digest, one.reason))
        return tuple(map(self._use, ordered))

    def _use(self, evidence: Evidence) -> EvidenceUse:
        return EvidenceUse(evidence, self.at_least, self.review_from)

    def _absent(self) -> Evidence:
        return Evidence(detector=self.detector, category=self.category, status="unknown", reason="it gave no evidence")


def walk(condition: Condition) -> Iterator[Condition]:
    """The condition and everything inside it."""
    yield condition
    if isinstance(condition, AllOf | AnyOf):
        for item in condition.items:
            yield from walk(item)
    elif isinstance(condition, Not):
        yield from walk(condition.item)
