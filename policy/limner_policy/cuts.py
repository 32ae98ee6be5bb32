"""Words that were cut (`nu-de`, `n(ude`) or glued (`NudeWoman`, `n u d e w o m a n`), as edits of a text.

Knows texts and the words that are looked for; how edits become readings is `readings.py`. A word that is cut by a space
is not put together again: every second pair of harmless words would make a third one.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator

Edit = tuple[int, int, str, list[int]]
"""Positions `start` to `end` of a text are read as another text, each of whose characters has its own position."""

MIN_CUT = 4
"""Shortest word, in letters, that is put together, or looked for inside letters that were spaced out."""

_MAX_LENGTH = 24
_MAX_PIECES = 6
_MAX_RUN = 64

# Letters with one sign between them, such as an honest hyphen: what they are together decides. Only from the first
# letter of a word on, and without going back: else a word of 100,000 letters would be read as often.
_CUT = re.compile(r"(?<![^\W\d_])[^\W\d_]++(?:[-._*'’~^=&#\"“”()\[\]{}<>·•|/\\+:,;][^\W\d_]++)+")
_PIECE = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile("(?<=[a-z])(?=[A-Z][a-z])")


def cut_words(text: str, known: Container[str]) -> Iterator[Edit]:
    """The words that are `known` and stand in pieces, each piece one sign behind the other."""
    for run in _CUT.finditer(text):
        if run.end() - run.start() <= _MAX_RUN:
            pieces = [(piece.start(), piece.end()) for piece in _PIECE.finditer(text, run.start(), run.end())]
            yield from _put_together(text, pieces, known)


def _put_together(text: str, pieces: list[tuple[int, int]], known: Container[str]) -> Iterator[Edit]:
    first = 0
    while first < len(pieces):
        for last in range(min(len(pieces), first + _MAX_PIECES), first + 1, -1):
            places = [place for start, end in pieces[first:last] for place in range(start, end)]
            word = "".join(text[place] for place in places)
            if len(word) >= MIN_CUT and word in known:
                yield places[0], places[-1] + 1, word, places
                first = last - 1
                break
        first += 1


def glued_words(text: str, runs: Iterable[tuple[int, int]], known: Container[str]) -> Iterator[Edit]:
    """The words that are `known` inside runs of letters of which nobody knows any more where one word ends."""
    for start, end in runs:
        place = start
        while place <= end - MIN_CUT:
            for length in range(min(_MAX_LENGTH, end - place), MIN_CUT - 1, -1):
                word = text[place : place + length]
                if length < end - start and word in known:
                    places = list(range(place, place + length))
                    yield place, place + length, f" {word} ", [place, *places, places[-1]]
                    place += length - 1
                    break
            place += 1


def camel_gaps(original: str) -> list[int]:
    """Where a small letter is followed by a word with a capital: places in `original` at which a word begins."""
    return [match.start() for match in _CAMEL.finditer(original)]
