"""How close matches stand to each other: words between them, or the same sentence. Knows places, not terms or rules.

All places are code points of the original text. A text with several readings (leetspeak undone, letters joined) has
several counts of words; matches are close where one of the readings says so.
"""

from __future__ import annotations

import functools
import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence

from limner_policy.conditions import WITHIN_SENTENCE, WITHIN_TEXT
from limner_policy.normalise import Folded
from limner_policy.readings import Reading

Place = tuple[int, int]
Sorted = tuple[list[int], list[int]]
"""Starts and ends of places, each sorted."""

# A letter of a script without spaces between words (Chinese, Japanese, Thai, …) counts as a word of its own.
_WORD = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
    "|[^ \u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
_SENTENCE_END = re.compile(r"[.!?…]+(?=\s|$)|[。！？｡]+|\n+")


class Ruler:
    """Measures distances in one text."""

    def __init__(self, folded: Folded, readings: Callable[[], Sequence[Reading]]) -> None:
        """Keep the text; words are counted when something is measured."""
        self._folded = folded
        self._readings = readings

    @functools.cached_property
    def _words(self) -> tuple[list[int], ...]:
        """For each reading the places at which its words begin, sorted."""
        found: dict[tuple[int, ...], None] = {}
        for reading in self._readings():
            origins = reading.origins()
            starts = {self._folded.origins[origins[word.start()]] for word in _WORD.finditer(reading.words)}
            found[tuple(sorted(starts))] = None
        return tuple(map(list, found))

    @functools.cached_property
    def _sentences(self) -> list[int]:
        return [match.end() for match in _SENTENCE_END.finditer(self._folded.original)]

    def close(self, place: Place, others: Sorted, within: int) -> bool:
        """Whether one of `others` overlaps `place`, or has at most `within` words between itself and it."""
        starts, ends = others
        before, behind = bisect_right(ends, place[0]), bisect_left(starts, place[1])
        if behind > before:
            return True
        nearest = (ends[before - 1] if before else None, starts[behind] if behind < len(starts) else None)
        return any(_between(words, place, nearest) <= within for words in self._words)

    def together(self, sets: Sequence[Iterable[Place]], within: int | str) -> set[Place]:
        """The places that take part in a group of one place of each set, all of them close."""
        marked = sorted((place, number) for number, places in enumerate(sets) for place in places)
        if len({number for _, number in marked}) < len(sets):
            return set()
        if within == WITHIN_TEXT:
            return {place for place, _ in marked}
        if within == WITHIN_SENTENCE:
            ends = self._sentences
            same = [(bisect_right(ends, start), bisect_right(ends, start)) for (start, _), _ in marked]
            return _grouped(marked, same, len(sets), -1)
        found: set[Place] = set()
        for starts in self._words:
            spots = [(bisect_right(starts, start), bisect_left(starts, end)) for (start, end), _ in marked]
            found |= _grouped(marked, spots, len(sets), int(within))
        return found


def in_order(places: Iterable[Place]) -> Sorted:
    """The places as `Ruler.close` wants them."""
    starts, ends = zip(*places, strict=True)
    return sorted(starts), sorted(ends)


def _between(words: list[int], place: Place, nearest: tuple[int | None, int | None]) -> float:
    """The words between a place and the nearest end before it or the nearest start behind it."""
    before, behind = nearest
    found = [math.inf]
    if before is not None:
        found.append(bisect_right(words, place[0]) - 1 - bisect_left(words, before))
    if behind is not None:
        found.append(bisect_right(words, behind) - 1 - bisect_left(words, place[1]))
    return min(found)


def _grouped(marked: list[tuple[Place, int]], spots: list[Place], kinds: int, within: int) -> set[Place]:
    """The places in windows that hold all kinds. A spot is (first word + 1, first word behind), counted from 0.

    Two pointers: from each place on, as far right as the gap between the furthest end so far and the others' begin
    allows (an end falls back only behind a phrase that holds the next place whole).
    """
    found: set[Place] = set()
    counts = [0] * kinds
    held = right = kept = end = 0
    for left, (_, own_end) in enumerate(spots):
        end = max(end, own_end)
        while right < len(marked) and spots[right][0] - 1 - end <= within:
            counts[marked[right][1]] += 1
            held += counts[marked[right][1]] == 1
            right += 1
        if held == kinds:
            found.update(place for place, _ in marked[max(left, kept) : right])
            kept = right
        counts[marked[left][1]] -= 1
        held -= counts[marked[left][1]] == 0
    return found
