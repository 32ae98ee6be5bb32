"""Searches prompts for all RE2 patterns of a pack at once: one set, built when the pack is loaded.

Patterns see the original text and, where folding changed more than case, the folded text too.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from limner_policy.conditions import Pattern
from limner_policy.normalise import Folded

MAX_SPANS = 16
"""Most spans reported of one condition; more would not help a reader and fill the log."""

MAX_PLACES = 1_000
"""Most places of one pattern that are held against those of other conditions."""

SET_MEMORY = 64 * 1024 * 1024
"""Upper bound in bytes of the RE2 set's automaton."""

Place = tuple[int, int]


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


class PatternMatcher:
    """All patterns of one pack, compiled."""

    def __init__(self, conditions: list[Pattern]) -> None:
        """Compile.

        Raises:
            ValueError: they need too much memory together.
        """
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

    def search(self, folded: Folded, name: str) -> dict[Pattern, set[Place]]:
        """The patterns of the field `name` that match, and where in the original text; an empty match is nowhere."""
        hits: dict[Pattern, set[Place]] = {}
        if self._set is not None:
            self._search_text(folded.original, lambda start, end: (start, end), name, hits)
            if not folded.original.isascii():
                self._search_text(folded.text, folded.span, name, hits)
        return hits

    def _search_text(
        self, text: str, place: Callable[[int, int], Place], name: str, hits: dict[Pattern, set[Place]]
    ) -> None:
        found = self._set.Match(text.encode())
        if self._sentinel not in found:
            raise MemoryError("RE2 gave up on a text")
        for index in found:
            if index != self._sentinel and name in self._conditions[index].fields:
                places = hits.setdefault(self._conditions[index], set())
                places.update(place(start, end) for start, end in self._spans(index, text) if end > start)

    def _spans(self, index: int, text: str) -> Iterable[Place]:
        matches = itertools.islice(self._compiled[index].finditer(text), MAX_PLACES)
        return (match.span() for match in matches)
