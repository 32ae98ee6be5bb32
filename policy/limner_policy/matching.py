"""Searches prompts for all terms and patterns of a pack at once: one automaton, one RE2 set, built when it is loaded.

Knows texts and conditions, not rules or verdicts. A built matcher never changes; a new pack brings a new one.
"""

from __future__ import annotations

import bisect
import functools
import heapq
import itertools
from collections.abc import Callable, Iterable
from typing import Any

from limner_policy.conditions import TEXT_FIELDS, Condition, Pattern, Terms, walk
from limner_policy.normalise import Folded, Reading, fold, joins_without_space, readings, words
from limner_policy.types import RequestFacts
from limner_policy.verdicts import Span

MAX_SPANS = 16
"""Most spans reported of one condition; more would not help a reader and fill the log."""

SET_MEMORY = 64 * 1024 * 1024
"""Upper bound in bytes of the RE2 set's automaton."""

Place = tuple[int, int]
Hits = dict[Condition, set[tuple[str, int, int]]]


class Matcher:
    """All text conditions of one pack, compiled."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        """Compile what is in `conditions` and inside them."""
        nodes = [node for condition in conditions for node in walk(condition)]
        self._terms = _TermMatcher([node for node in nodes if isinstance(node, Terms)])
        self._patterns = _PatternMatcher([node for node in nodes if isinstance(node, Pattern)])
        wanted = {name for node in nodes if isinstance(node, Terms | Pattern) for name in node.fields}
        self._fields = tuple(name for name in TEXT_FIELDS if name in wanted)

    def search(self, texts: Texts) -> dict[Condition, tuple[Span, ...]]:
        """The conditions that match, each with up to `MAX_SPANS` places in code points of the original text."""
        hits: Hits = {}
        for name in self._fields:
            text = texts.field(name)
            if text.folded.original:
                self._terms.search(text, name, hits)
                self._patterns.search(text.folded, name, hits)
        return {condition: _first(places) for condition, places in hits.items()}


class _Text:
    """One text with its fold and readings, each made when first asked for."""

    def __init__(self, original: str) -> None:
        self.folded = fold(original)

    @functools.cached_property
    def readings(self) -> tuple[Reading, ...]:
        return readings(self.folded.text)


class Texts:
    """The texts of one request, folded once for all packs of a judgement."""

    def __init__(self, request: RequestFacts) -> None:
        """Keep the request; nothing is folded yet."""
        self._request = request
        self._fields: dict[str, _Text] = {}

    def field(self, name: str) -> _Text:
        """The text of that field."""
        if name not in self._fields:
            self._fields[name] = _Text(getattr(self._request, name))
        return self._fields[name]


def term_key(term: str) -> str:
    """A term as the automaton holds it: folded words, with a space at each side that needs a word border."""
    key = words(fold(term).text)
    core = key.strip()
    if not core:
        return ""
    start = 1 if joins_without_space(core[0]) else 0
    end = -1 if joins_without_space(core[-1]) else None
    return key[start:end]


class _TermMatcher:
    """An Aho–Corasick automaton over the folded words of a text, for the terms and the excepted phrases alike."""

    def __init__(self, conditions: list[Terms]) -> None:
        owners: dict[str, list[tuple[Terms, bool]]] = {}
        for condition in conditions:
            for excepting, texts in ((False, condition.any_of), (True, condition.excepted)):
                for key in sorted({term_key(text) for text in texts} - {""}):
                    owners.setdefault(key, []).append((condition, excepting))
        self._automaton = _automaton({key: (key, tuple(who)) for key, who in owners.items()})

    def search(self, text: _Text, name: str, hits: Hits) -> None:
        if self._automaton is None:
            return
        found: dict[tuple[Terms, bool], set[Place]] = {}
        for reading in text.readings:
            self._search_words(reading, text.folded, name, found)
        for (condition, excepting), places in found.items():
            if not excepting:
                counted = _outside(places, found.get((condition, True), set()))
                if counted:
                    hits.setdefault(condition, set()).update((name, *place) for place in counted)

    def _search_words(
        self, reading: Reading, folded: Folded, name: str, found: dict[tuple[Terms, bool], set[Place]]
    ) -> None:
        origins: list[int] | None = None
        for end, (key, owners) in self._automaton.iter(reading.words):
            origins = origins or reading.origins()
            start = end - len(key) + 1 + key.startswith(" ")
            last = end - key.endswith(" ")
            place = folded.span(origins[start], origins[last] + 1)
            for owner in owners:
                if name in owner[0].fields:
                    found.setdefault(owner, set()).add(place)


def _first(places: Iterable[tuple[str, int, int]]) -> tuple[Span, ...]:
    return tuple(Span(*place) for place in heapq.nsmallest(MAX_SPANS, places))


def _outside(places: set[Place], phrases: set[Place]) -> set[Place]:
    """The places that lie inside no phrase."""
    if not phrases:
        return places
    starts, ends, furthest = [], [], 0
    for start, end in sorted(phrases):
        furthest = max(furthest, end)
        starts.append(start)
        ends.append(furthest)
    # Of the phrases that begin at or before a place, the one that reaches furthest holds it if any does.
    holders = ((place, bisect.bisect_right(starts, place[0]) - 1) for place in places)
    return {place for place, index in holders if index < 0 or ends[index] < place[1]}


def _automaton(words_to_payload: dict[str, Any]) -> Any:
    if not words_to_payload:
        return None
    import ahocorasick

    automaton = ahocorasick.Automaton()
    for word, payload in words_to_payload.items():
        automaton.add_word(word, payload)
    automaton.make_automaton()
    return automaton


def compile_pattern(pattern: str) -> Any:
    """One RE2 expression, compiled quietly.

    Raises:
        ValueError: with RE2's own words.
    """
    import re2

    try:
        return re2.compile(pattern, _options())
    except re2.error as error:
        told = error.args[0]
        raise ValueError(told.decode(errors="replace") if isinstance(told, bytes) else str(told)) from None


def _options() -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = SET_MEMORY
    return options


class _PatternMatcher:
    """One RE2 set over the original text and, where folding changed more than case, over the folded text."""

    def __init__(self, conditions: list[Pattern]) -> None:
        self._conditions = conditions
        self._set: Any = None
        if not conditions:
            return
        import re2

        self._compiled = [compile_pattern(condition.pattern) for condition in conditions]
        self._set = re2.Set.SearchSet(_options())
        for condition in conditions:
            self._set.Add(condition.pattern)
        # The empty pattern always matches: where it is missing from an answer, RE2 has run out of memory.
        self._sentinel = self._set.Add("")
        try:
            self._set.Compile()
        except re2.error:
            # Matching with a set that did not compile would end the process.
            raise ValueError(f"the patterns need more than {SET_MEMORY:,} bytes together") from None

    def search(self, folded: Folded, name: str, hits: Hits) -> None:
        if self._set is None:
            return
        self._search_text(folded.original, lambda start, end: (start, end), name, hits)
        if not folded.original.isascii():
            self._search_text(folded.text, folded.span, name, hits)

    def _search_text(self, text: str, place: Callable[[int, int], Place], name: str, hits: Hits) -> None:
        found = self._set.Match(text.encode())
        if self._sentinel not in found:
            raise MemoryError("RE2 gave up on a text")
        for index in found:
            if index != self._sentinel and name in self._conditions[index].fields:
                places = hits.setdefault(self._conditions[index], set())
                places.update((name, *place(start, end)) for start, end in self._spans(index, text) if end > start)

    def _spans(self, index: int, text: str) -> Iterable[Place]:
        matches = itertools.islice(self._compiled[index].finditer(text), MAX_SPANS)
        return (match.span() for match in matches)
