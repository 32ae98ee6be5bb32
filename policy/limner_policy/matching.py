"""Searches prompts for all terms and names of a pack at once: one automaton, built when the pack is loaded.

Knows texts and conditions, not rules or verdicts; RE2 patterns are `patterns.py`, distances `windows.py`. A built
matcher never changes; a new pack brings a new one.
"""

from __future__ import annotations

import bisect
import functools
import heapq
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from limner_policy.conditions import (
    AMBIGUOUS_NEAR,
    TEXT_FIELDS,
    Condition,
    Entities,
    Pattern,
    Terms,
    TextCondition,
    Together,
    walk,
)
from limner_policy.inflection import inflected
from limner_policy.normalise import Folded, fold, joins_without_space, words
from limner_policy.patterns import MAX_SPANS, PatternMatcher
from limner_policy.readings import Reading, Spellings
from limner_policy.types import RequestFacts
from limner_policy.verdicts import Span
from limner_policy.windows import Place, Ruler, Sorted, in_order
from limner_policy.wordlists import Entity, WordList

_PLAIN_WORD = re.compile(r"[a-z0-9]+")
_PLAIN_SIGN = re.compile(r"[A-Za-z0-9]")
# Signs at which a thought ends: “naked, eye contact” is no naked eye.
_BREAK = re.compile(r"[,;:!?…()\[\]{}|\n，、；：！？。]|\.(?=\s)")

Found = Mapping[int, set[Place]]
"""Set number → the places where one of its words stands."""


class Matcher:
    """All text conditions of one pack, compiled."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        """Compile what is in `conditions` and inside them.

        Raises:
            ValueError: the patterns need too much memory together.
        """
        nodes = [node for condition in conditions for node in walk(condition)]
        wholes = [node for node in nodes if isinstance(node, TextCondition)]
        parts = [part for node in wholes if isinstance(node, Together) for part in node.parts]
        simple = [node for node in (*wholes, *parts) if not isinstance(node, Together)]
        builder = _Builder()
        self._terms = [(node, *builder.terms(node)) for node in simple if isinstance(node, Terms)]
        self._entities = [_EntityMatcher(node, builder) for node in simple if isinstance(node, Entities)]
        self._together = [node for node in wholes if isinstance(node, Together)]
        self._parts = frozenset(parts)
        self._words = _Words(builder)
        self._patterns = PatternMatcher([node for node in simple if isinstance(node, Pattern)])
        wanted = {name for node in wholes for name in node.fields}
        self._fields = tuple(name for name in TEXT_FIELDS if name in wanted)

    def search(self, texts: Texts) -> dict[Condition, tuple[Span, ...]]:
        """The conditions that match, each with up to `MAX_SPANS` places in code points of the original text."""
        hits: dict[Condition, set[Span]] = {}
        for name in self._fields:
            text = texts.field(name)
            if text.folded.original:
                for condition, spans in self._search_text(text, name):
                    hits.setdefault(condition, set()).update(spans)
        return {condition: tuple(heapq.nsmallest(MAX_SPANS, spans)) for condition, spans in hits.items()}

    def _search_text(self, text: _Text, name: str) -> Iterator[tuple[Condition, Iterable[Span]]]:
        found = self._words.search(text)
        places = self._found_terms(found, name, text.folded.original)
        for pattern, own in self._patterns.search(text.folded, name).items():
            places[pattern] = own
        for condition, own in places.items():
            if condition not in self._parts:
                yield condition, (Span(name, *place) for place in own)
        ruler = Ruler(text.folded, lambda: tuple(self._words.readings(text)))
        if found:
            for entities in self._entities:
                yield from entities.search(found, ruler, name)
        for together in self._together:
            sets = [places.get(part, set()) for part in together.parts]
            if name in together.fields and all(sets) and (group := ruler.together(sets, together.within)):
                yield together, (Span(name, *place) for place in group)

    def _found_terms(self, found: Found, name: str, original: str) -> dict[Terms | Pattern, set[Place]]:
        places: dict[Terms | Pattern, set[Place]] = {}
        for terms, wanted, excepted in self._terms if found else ():
            if wanted in found and name in terms.fields:
                own = _outside(found[wanted], _unbroken(found.get(excepted, set()), terms.excepted, original))
                if own:
                    places[terms] = own
        return places


class _Text:
    """One text with its fold and spellings, each made when first asked for."""

    def __init__(self, original: str) -> None:
        self.folded = fold(original)

    @functools.cached_property
    def spellings(self) -> Spellings:
        return Spellings(self.folded)


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
    if _PLAIN_WORD.fullmatch(term):
        return f" {term} "
    key = words(fold(term).text)
    core = key.strip()
    if not core:
        return ""
    start = 1 if joins_without_space(core[0]) else 0
    end = -1 if joins_without_space(core[-1]) else None
    return key[start:end]


def holds_word(term: str) -> bool:
    """Whether folding leaves something of a term that can be looked for."""
    return _PLAIN_SIGN.search(term) is not None or term_key(term) != ""


class _Builder:
    """Collects the words of a pack by sets; a set is what one condition, or all that use one list, looks for."""

    def __init__(self) -> None:
        self.keys: dict[str, set[int]] = {}
        self._sets = 0
        self._lists: dict[tuple[WordList, tuple[str, ...]], int] = {}
        self._context: dict[str, int] = {}

    def _set(self, texts: Iterable[str], inflect: tuple[str, ...] = ()) -> int:
        self._sets += 1
        for text in texts:
            self._add(text, self._sets, inflect)
        return self._sets

    def _add(self, text: str, number: int, inflect: tuple[str, ...] = ()) -> None:
        key = term_key(text)
        forms = inflected(key.strip(), inflect) if inflect and key.isascii() else ()
        for one in (key, *(f" {form} " for form in forms)):
            if one:
                self.keys.setdefault(one, set()).add(number)

    def terms(self, condition: Terms) -> tuple[int, int]:
        """The numbers of the sets of what is looked for and of what is excepted."""
        lists = [self._listed(one, condition.inflect) for one in condition.lists]
        if len(lists) == 1 and not condition.any_of:
            return lists[0], self._set(condition.excepted)
        listed = (term for one in condition.lists for term in one.terms)
        return self._set((*condition.any_of, *listed), condition.inflect), self._set(condition.excepted)

    def _listed(self, one: WordList, inflect: tuple[str, ...]) -> int:
        if (one, inflect) not in self._lists:
            self._lists[one, inflect] = self._set(one.terms, inflect)
        return self._lists[one, inflect]

    def context(self, texts: Iterable[str]) -> tuple[int, ...]:
        """The number of the set of each context word; the same word has one for the whole pack."""
        for text in texts:
            if text not in self._context:
                self._context[text] = self._set((text,))
        return tuple(self._context[text] for text in texts)

    def entity(self, entity: Entity) -> int:
        """The number of the set of an entity's names."""
        return self._set(entity.names)


class _Words:
    """The automaton over the folded words of a text, and another one for phrases whose spaces are lost."""

    def __init__(self, builder: _Builder) -> None:
        self._keys = {key: tuple(sorted(numbers)) for key, numbers in builder.keys.items()}
        self._automaton = _automaton(self._keys)
        self._known = frozenset(word for key in self._keys for word in key.split())

    @functools.cached_property
    def _unspaced(self) -> dict[str, tuple[int, ...]]:
        """Phrases without their spaces; made when the first text of spaced-out letters comes."""
        found: dict[str, set[int]] = {}
        for key, numbers in self._keys.items():
            if " " in (core := key.strip()):
                found.setdefault(key.replace(core, core.replace(" ", "")), set()).update(numbers)
        return {key: tuple(sorted(numbers)) for key, numbers in found.items()}

    @functools.cached_property
    def _unspaced_automaton(self) -> Any:
        return _automaton(self._unspaced)

    def _known_unspaced(self) -> Container[str]:
        return {key.strip() for key in self._unspaced}

    def readings(self, text: _Text) -> Iterator[Reading]:
        return text.spellings.readings(self._known, self._known_unspaced)

    def search(self, text: _Text) -> Found:
        """The sets of which something stands in the text, and where."""
        found: dict[int, set[Place]] = {}
        if self._automaton is None:
            return found
        for reading in self.readings(text):
            _search(self._automaton, reading, text.folded, found)
            if reading.joined and self._unspaced_automaton is not None:
                _search(self._unspaced_automaton, reading, text.folded, found)
        return found


def _search(automaton: Any, reading: Reading, folded: Folded, found: dict[int, set[Place]]) -> None:
    origins: list[int] | None = None
    for end, (start_back, end_back, numbers) in automaton.iter(reading.words):
        origins = origins or reading.origins()
        # A text turned round has its places in falling order.
        first, last = origins[end - start_back], origins[end - end_back]
        place = folded.span(min(first, last), max(first, last) + 1)
        for number in numbers:
            found.setdefault(number, set()).add(place)


def _automaton(keys: Mapping[str, tuple[int, ...]]) -> Any:
    """Its values: how far before a match's last character the first and the last letter stand, and the sets."""
    if not keys:
        return None
    import ahocorasick

    automaton = ahocorasick.Automaton()
    for key, numbers in keys.items():
        automaton.add_word(key, (len(key) - 1 - key.startswith(" "), int(key.endswith(" ")), numbers))
    automaton.make_automaton()
    return automaton


class _EntityMatcher:
    """One condition on entities: which of their names stand in a text, with the context that they need."""

    def __init__(self, condition: Entities, builder: _Builder) -> None:
        self.condition = condition
        self._near = builder.context(condition.near)
        self._unless = builder.context(condition.unless_near)
        self._rows: dict[int, tuple[Entity, tuple[int, ...], tuple[int, ...]]] = {}
        for entity in (entity for one in condition.lists for entity in one.entities):
            if not condition.kinds or entity.kind in condition.kinds:
                row = (entity, builder.context(entity.near), builder.context(entity.unless_near))
                self._rows[builder.entity(entity)] = row

    def search(self, found: Found, ruler: Ruler, name: str) -> Iterator[tuple[Condition, list[Span]]]:
        """The names of the field `name` that count, each with its entity."""
        for number in () if name not in self.condition.fields else found.keys() & self._rows.keys():
            entity, near, unless = self._rows[number]
            needs = [self._near] if self._near and self._needs_near(entity) else []
            needs += [near] if near else []
            wanted = [_union(found, numbers) for numbers in needs]
            if all(wanted):
                unwanted = _union(found, (*self._unless, *unless))
                spans = [
                    Span(name, *place, entity.id)
                    for place in found[number]
                    if self._counts(place, wanted, unwanted, ruler)
                ]
                if spans:
                    yield self.condition, spans

    def _needs_near(self, entity: Entity) -> bool:
        return entity.ambiguous or self.condition.near_for != AMBIGUOUS_NEAR

    def _counts(self, place: Place, wanted: list[Sorted | None], unwanted: Sorted | None, ruler: Ruler) -> bool:
        within = self.condition.within
        if unwanted and ruler.close(place, unwanted, within):
            return False
        return all(one is not None and ruler.close(place, one, within) for one in wanted)


def _union(found: Found, numbers: Iterable[int]) -> Sorted | None:
    places = set().union(*(found.get(number, ()) for number in numbers))
    return in_order(places) if places else None


def _unbroken(phrases: set[Place], written: tuple[str, ...], original: str) -> set[Place]:
    """The phrases without a comma, bracket or full stop inside, unless one of those that are asked for has one too."""
    if not phrases or any(map(_BREAK.search, written)):
        return phrases
    return {place for place in phrases if not _BREAK.search(original, *place)}


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
