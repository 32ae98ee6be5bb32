"""Folds a prompt into the plain words that terms are compared with, and finds the way back to the original.

Handles case, compatibility forms, accents, invisible characters, look-alike letters, leetspeak and letters s p a c e d
out. Knows nothing of terms or rules; terms and prompts go through the same folding, so that they meet in the middle.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

_CONFUSABLES = str.maketrans(
    # Cyrillic, Greek, Armenian and small-capital letters that look like Latin ones, then Latin variants.
    "авсеһіјкмнпорѕтухԁԛԝӏѵɡαβεηικνορτυχγωօոսհցᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢıøłđħŧƒɑɩʟ",
    "abcehijkmhnopstyxdqwlvgabenikvoptuxywonuhgabcdefghijklmnoprstuvwyzioldhtfail",
)
_LIGATURES = {"æ": "ae", "œ": "oe", "þ": "th"}
# Letters in boxes and flags, which compatibility decomposition leaves alone.
_BOXED = {start + i: chr(97 + i) for start in (0x1F150, 0x1F170, 0x1F1E6) for i in range(26)}
# Fillers and joiners that are shown as nothing but are not format characters to Unicode.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u0640")

# Letters and digits of every script, and the vowel signs that belong to words though they are no letters.
_LETTER = r"[^\W_]|[\u0900-\u0963\u0966-\u0dff\u0e31-\u0e4e\u0eb1-\u0ece\u102b-\u103e\u17b6-\u17d3\u3099\u309a]"
_WORDS = re.compile(rf"(?:{_LETTER})+")
_ASCII_WORDS = re.compile(r"[a-z0-9]+")
_LEET = "0134578@$!|+€"
_LEET_TO_I = str.maketrans(_LEET, "oieastbasiite")
_LEET_TO_L = str.maketrans(_LEET, "oleastbasllte")
_SIGN = re.compile(f"[{re.escape(_LEET)}]")
# A run of letters, digits and signs.
_RUN = re.compile(r"[^\W_@$!|+€]*(?:[@$!|+€]+[^\W_@$!|+€]*)*")
_SINGLES = re.compile(r" . . . ")
_SPACED_OUT = re.compile(r"(?<![^\W_])[^\W_](?:[ ._*~/|-][^\W_]){2,}(?![^\W_])")


def fold_character(character: str) -> str:
    """The folded form of one character: zero, one or a few characters."""
    if ord(character) in _BOXED:
        return _BOXED[ord(character)]
    if character in _INVISIBLE or unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f":
        return ""
    parts = unicodedata.normalize("NFKD", character).casefold()
    parts = "".join(c for c in unicodedata.normalize("NFKD", parts) if not _is_accent(c))
    parts = "".join(_LIGATURES.get(c, c) for c in parts.translate(_CONFUSABLES))
    return unicodedata.normalize("NFKC", parts)


def _is_accent(character: str) -> bool:
    """Accents above and below letters, Hebrew points, Arabic vowel signs; not the vowel signs of Indic scripts."""
    order = unicodedata.combining(character)
    return order >= 200 or 10 <= order <= 36 or order == 1


class _FoldTable(dict[int, str]):
    """Folded forms by code point, for `str.translate`; filled as characters are met, up to a bound."""

    def __missing__(self, code: int) -> str:
        piece = fold_character(chr(code))
        if len(self) < 65_536:
            self[code] = piece
        return piece


_FOLDS = _FoldTable()


@dataclass(frozen=True)
class Folded:
    """A text and its folded form."""

    original: str
    text: str

    @functools.cached_property
    def origins(self) -> Sequence[int]:
        """For each folded character the code point of the original it came from; made when first asked for."""
        if self.original.isascii():
            return range(len(self.original))
        return [index for index, character in enumerate(self.original) for _ in _FOLDS[ord(character)]]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original's code points for folded positions `start` to `end` (exclusive, not empty)."""
        first, last = self.origins[start], self.origins[end - 1] + 1
        # What folded to nothing right behind the match (an accent, a joiner) belongs to its last letter.
        while last < len(self.original) and not _FOLDS[ord(self.original[last])]:
            last += 1
        return first, last


def fold(text: str) -> Folded:
    """Fold a whole text."""
    return Folded(text, text.lower() if text.isascii() else text.translate(_FOLDS))


def words(folded: str) -> str:
    """A folded text as its words with one space around each: ` red apple `."""
    pattern = _ASCII_WORDS if folded.isascii() else _WORDS
    found = pattern.findall(folded)
    return f" {' '.join(found)} " if found else " "


def word_origins(folded: str) -> list[int]:
    """For each character of `words(folded)` the position in `folded` it came from; spaces take the place before."""
    origins = [0]
    pattern = _ASCII_WORDS if folded.isascii() else _WORDS
    for match in pattern.finditer(folded):
        origins.extend(range(match.start(), match.end()))
        origins.append(match.end())
    return origins


def views(folded: str) -> Iterator[str]:
    """The folded text and, where it holds leetspeak, its one or two readings without.

    Every view has the length of `folded`, so positions carry over; a letter is only ever read for a letter.
    """
    yield folded
    runs = list(_leet_runs(folded))
    if not runs:
        return
    seen = {folded}
    for table in (_LEET_TO_I, _LEET_TO_L):
        view = _reread(folded, runs, table)
        if view not in seen:
            seen.add(view)
            yield view


def _leet_runs(folded: str) -> Iterator[tuple[int, int]]:
    """The runs that hold a letter and a sign. Each character is looked at a few times only, so time stays linear."""
    behind = 0
    for sign in _SIGN.finditer(folded):
        start = sign.start()
        if start < behind:
            continue
        while start > behind and _in_run(folded[start - 1]):
            start -= 1
        run = _RUN.match(folded, start)
        behind = max(run.end() if run else 0, sign.end())
        if any(map(str.isalpha, folded[start:behind])):
            yield start, behind


def _in_run(character: str) -> bool:
    return character.isalnum() or character in _LEET


def _reread(folded: str, runs: list[tuple[int, int]], table: dict[int, int]) -> str:
    pieces: list[str] = []
    behind = 0
    for start, end in runs:
        pieces += (folded[behind:start], _unleet(folded[start:end], table))
        behind = end
    return "".join((*pieces, folded[behind:]))


def _unleet(run: str, table: dict[int, int]) -> str:
    """Read the signs of one run as letters, but leave closing punctuation, numbers and units such as 4k alone."""
    core = run.rstrip("!|+")
    letters = sum(character.isalpha() for character in core)
    signs = sum(character in _LEET for character in core)
    mixed = letters >= 2 or (letters and signs > letters)
    return (core.translate(table) if mixed else core) + run[len(core) :]


def joined(folded: str) -> tuple[str, list[int]]:
    """The text with each run of three or more single letters (`n.u.d.e`) put together, and its positions in `folded`.

    A run has one separator between its letters; two end it, so `s e v e r e d  h e a d` is two words.
    """
    pieces: list[str] = []
    positions: list[int] = []
    behind = 0
    for run in _SPACED_OUT.finditer(folded):
        places = [*range(behind, run.start()), *range(run.start(), run.end(), 2)]
        pieces.append(folded[behind : run.start()] + folded[run.start() : run.end() : 2])
        positions += places
        behind = run.end()
    return "".join((*pieces, folded[behind:])), [*positions, *range(behind, len(folded) + 1)]


def may_be_spaced_out(plain_words: str) -> bool:
    """A quick look at `words(…)`: without three single letters in a row, `joined` changes nothing."""
    return _SINGLES.search(plain_words) is not None


def joins_without_space(character: str) -> bool:
    """True for scripts that write words without spaces, or glue endings on (Chinese, Japanese, Korean, Thai, …)."""
    code = ord(character)
    return (
        0x0E00 <= code <= 0x0EFF
        or 0x1000 <= code <= 0x109F
        or 0x1780 <= code <= 0x17FF
        or 0x2E80 <= code <= 0x9FFF
        or 0xAC00 <= code <= 0xD7FF
        or 0xF900 <= code <= 0xFAFF
        or 0x20000 <= code <= 0x3FFFF
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a text: its words with a space around each, and for each character its place in the fold."""

    words: str
    origins: Callable[[], list[int]]


def readings(folded: str) -> tuple[Reading, ...]:
    """All readings of a folded text: as it stands, without leetspeak, and with spaced-out words joined."""
    found = [Reading(words(view), functools.partial(word_origins, view)) for view in views(folded)]
    if any(may_be_spaced_out(reading.words) for reading in found):
        text, positions = joined(folded)
        found += [Reading(words(view), functools.partial(_through, view, positions)) for view in views(text)]
    return tuple(found)


def _through(view: str, positions: list[int]) -> list[int]:
    return [positions[origin] for origin in word_origins(view)]
