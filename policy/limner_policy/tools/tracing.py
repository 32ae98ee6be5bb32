"""How one rule came to hold, part by part: the condition as a tree with what became of each node."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from limner_policy.conditions import AllOf, AnyOf, Condition, Finding, Not
from limner_policy.licences.answers import Answers
from limner_policy.licences.organisation import UNSAID, Organisation
from limner_policy.matching import Texts
from limner_policy.pack import Pack, Rule
from limner_policy.tools.phrases import phrase
from limner_policy.tools.shape import inner
from limner_policy.types import PolicyInput
from limner_policy.verdicts import Span

_MOST_WORDS = 6
_MOST_PLACES = 3


@dataclass(frozen=True, slots=True)
class Node:
    """One part of a condition in words; `truth` is True, False or None (not known), `found` what it rests on."""

    text: str
    truth: bool | None
    found: tuple[str, ...] = ()
    parts: tuple[Node, ...] = ()

    @property
    def mark(self) -> str:
        """`yes`, `no` or `?`."""
        return {True: "yes", False: "no", None: "?"}[self.truth]


class _Seen:
    """The input as conditions see it; as in the engine, texts are searched once and only if they are asked for."""

    def __init__(self, pack: Pack, given: PolicyInput, organisation: Organisation) -> None:
        self.given = given
        self.organisation = organisation
        self._pack = pack

    @functools.cached_property
    def text_hits(self) -> Mapping[Condition, tuple[Span, ...]]:
        return self._pack.matcher.search(Texts(self.given.request))

    @functools.cached_property
    def licences(self) -> Answers:
        return Answers(self.given.candidate.parts if self.given.candidate else (), self.organisation)


def trace(pack: Pack, rule: Rule, given: PolicyInput) -> Node:
    """Evaluate a rule's condition and give the tree; dates, modes and other packs' claims are not looked at.

    What is shown of the prompts are the places that matched.
    """
    return _node(rule.when, _Seen(pack, given, pack.organisation or UNSAID))


def _node(condition: Condition, seen: _Seen) -> Node:
    finding = condition.find(seen)
    if isinstance(condition, AllOf | AnyOf | Not):
        words = {AllOf: "all of these hold", AnyOf: "at least one of these holds", Not: "this does not hold"}
        return Node(words[type(condition)], finding.truth, (), tuple(_node(item, seen) for item in inner(condition)))
    return Node(phrase(condition, most=_MOST_WORDS).line, finding.truth, _found(finding, seen.given))


def _found(finding: Finding, given: PolicyInput) -> tuple[str, ...]:
    """What was found, each once; long matches are cut in the middle."""
    texts = [_cut(str(getattr(given.request, span.field))[span.start : span.end]) for span in finding.spans]
    scores = [f"{use.evidence.score or 'no score'} (threshold {use.threshold})" for use in finding.evidence]
    licences = [f"{use.term} {use.says} by {use.part}" for use in finding.licences]
    return tuple(list(dict.fromkeys([*texts, *scores, *licences]))[:_MOST_PLACES])


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:28]} […] {text[-28:]}"
