"""The ways to read a folded text: as it stands, with its disguises undone, and where each character came from.

Undoes letters s p a c e d out, words cut or glued (`cuts.py`), text turned round by a right-to-left override, capitals
and invisible gaps that fold two ways, leetspeak and stretched words. Knows no rules; which words are looked for is told
by a set, so that nothing is guessed that nobody asks for. Each step looks at every character a bounded number of times.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass

from limner_policy.cuts import Edit, camel_gaps, cut_words, glued_words
from limner_policy.normalise import Folded, fold_character, word_origins, words

MAX_RUN = 64
"""Longest word, in characters, that is looked at for leetspeak and stretching."""

MAX_THOROUGH = 1_000
"""Most different runs of one text whose ambiguous signs are tried in all combinations."""

_LEET = {
    "0": "o",
    "1": "il",
    "2": "z",
    "3": "e",
    "4": "a",
    "5": "s",
    "6": "gb",
    "7": "t",
    "8": "b",
    "9": "g",
    "@": "a",
    "$": "s",
    "!": "il",
    "|": "li",
    "+": "t",
    "€": "e",
}
_MOST_AMBIGUOUS = 5
_MOST_STRETCHED = 3
_SUSPECT = re.compile(r"[0-9@$!|+€]|([^\W\d_])\1\1")
_SIGN = re.compile(r"[0-9@$!|+€]")
_TRIPLES = tuple(3 * chr(code) for code in range(ord("a"), ord("z") + 1))
_RUN = re.compile(r"[^\W_@$!|+€]*(?:[@$!|+€]+[^\W_@$!|+€]*)*")
_PIECES = re.compile(r"[^!|+]+")
_LETTER = re.compile(r"[^\W\d_]")
_NUMBER = re.compile(r"[0-9]{2,}[a-z]")
_STRETCHED = re.compile(r"([^\W\d_])\1{2,}")

_SIGNS = re.compile(r"[@$!|+€]")
_SINGLES = re.compile(r" . . . ")
# Three or more letters (or signs that stand for one), each alone, with one other character between …
_SPACED = re.compile(
    r"(?<![^\W_])(?:[^\W_]|[@$!|+€])(?![^\W_])(?:[\W_](?:[^\W_]|[@$!|+€])(?![^\W_])){2,}+",
)
# … or with up to four between, as in `n . u . d . e`.
_SPACED_WIDELY = re.compile(r"(?<![^\W_])[^\W_](?![^\W_])(?:[\W_]{1,4}[^\W_](?![^\W_])){2,}+")
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")

_TURNED = re.compile("\u202e([^\u202c\n\u2069]*)")
_GAP = re.compile("(?<=\\w)[\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e]+(?=\\w)")
# Letters that look like another one than what they fold to: Greek Η is h while η is n, a Cyrillic г may be an r.
_LOOKS = {"Η": "h", "Μ": "m", "Ν": "n", "Υ": "y", "Ζ": "z", "Տ": "s", "г": "r", "ſ": "f", "ẝ": "f", "ɯ": "w", "ɣ": "y"}
_LOOKS |= dict(zip("ИиЯяШш", "nnrrww", strict=True))
# A capital I inside a word may be an l.
_CAPITAL_I = re.compile("(?<=[a-z])I")
# A stroke that may be an i or an l, spelled as the sign that leetspeak reads so.
_STROKE = "|"


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a text: its words with a space around each, and for each character its place in the fold.

    `joined` says that spaced-out letters were put together, so that the spaces of a phrase are lost.
    """

    words: str
    origins: Callable[[], list[int]]
    joined: bool = False


@dataclass(frozen=True, slots=True)
class _Spelling:
    """A text with the place of each of its characters (and of its end) in the fold; None is its own places."""

    text: str
    places: list[int] | None = None
    joined: bool = False
    runs: tuple[tuple[int, int], ...] = ()
    """Where letters were put together."""

    def reading(self) -> Reading:
        return Reading(words(self.text), self.origins, self.joined)

    def origins(self) -> list[int]:
        found = word_origins(self.text)
        return found if self.places is None else [self.places[place] for place in found]

    def edited(self, edits: Iterable[Edit], *, joined: bool | None = None) -> _Spelling:
        """Some stretches read in another way."""
        pieces: list[str] = []
        places: list[int] = []
        runs: list[tuple[int, int]] = []
        behind = 0
        for start, end, text, own in edits:
            begin = len(places) + start - behind
            runs.append((begin, begin + len(text)))
            pieces += (self.text[behind:start], text)
            places += range(behind, start)
            places += own
            behind = end
        pieces.append(self.text[behind:])
        places += range(behind, len(self.text) + 1)
        if self.places is not None:
            places = [self.places[place] for place in places]
        return _Spelling(
            "".join(pieces), places, self.joined if joined is None else joined, tuple(runs) if joined else ()
        )


class Spellings:
    """All ways to spell one text that do not depend on what is looked for; made once for all packs."""

    def __init__(self, folded: Folded) -> None:
        """Find them."""
        found = list(_bases(folded))
        for base in tuple(found):
            found += _joinings(base)
        self._found = [(spelling, spelling.reading(), _is_suspect(spelling.text)) for spelling in found]

    def readings(self, known: Container[str], known_joined: Callable[[], Container[str]]) -> Iterator[Reading]:
        """Every reading, with leetspeak and stretched words as words that are `known`.

        Args:
            known: the words that are looked for.
            known_joined: those that are looked for where the spaces of a phrase are lost.
        """
        for spelling, reading, suspect in self._found:
            yield reading
            if suspect:
                words_known = _Either(known, known_joined()) if spelling.joined else known
                for other in _unmasked(spelling, words_known):
                    yield other.reading()
            edits = (
                glued_words(spelling.text, spelling.runs, known) if spelling.joined else cut_words(spelling.text, known)
            )
            if found := list(edits):
                yield spelling.edited(found).reading()


def _is_suspect(text: str) -> bool:
    """A quick look for what `_SUSPECT` finds, with stretched Latin letters alone; plain searches are the quickest."""
    return _SIGN.search(text) is not None or any(triple in text for triple in _TRIPLES)


class _Either:
    """Two containers as one."""

    def __init__(self, *containers: Container[str]) -> None:
        self._containers = containers

    def __contains__(self, word: object) -> bool:
        return any(word in container for container in self._containers)


def readings(folded: Folded, known: Container[str]) -> tuple[Reading, ...]:
    """All readings of a text where the words of `known` are looked for."""
    return tuple(Spellings(folded).readings(known, lambda: known))


def _bases(folded: Folded) -> Iterator[_Spelling]:
    plain = _Spelling(folded.text)
    yield plain
    if looks := list(_second_looks(folded)):
        yield plain.edited(looks)
    if gaps := [bisect_left(folded.origins, place) for place in camel_gaps(folded.original)]:
        yield plain.edited((place, place, " ", [place]) for place in gaps)
    if not folded.original.isascii():
        if "\u202e" in folded.original:
            yield plain.edited(_turned(folded))
        if _GAP.search(folded.original):
            yield plain.edited(_gaps(folded))


def _second_looks(folded: Folded) -> Iterator[Edit]:
    """Letters that look like another one than what they fold to."""
    original = folded.original
    if original.isascii():
        for match in _CAPITAL_I.finditer(original):
            yield match.start(), match.start() + 1, _STROKE, [match.start()]
        return
    meant = {sign: look for sign in set(original) if (look := _look(sign))}
    if meant:
        for place, origin in enumerate(folded.origins):
            if look := meant.get(original[origin]):
                yield place, place + 1, look, [place]


def _look(sign: str) -> str | None:
    if sign == "I":
        return _STROKE
    if sign.isascii():
        return None
    if look := _LOOKS.get(sign) or _LOOKS.get(unicodedata.normalize("NFKC", sign)):
        return look
    accented = unicodedata.normalize("NFD", sign)[0].isascii()
    return _STROKE if fold_character(sign) in ("i", "l") and not accented else None


def _turned(folded: Folded) -> Iterator[Edit]:
    for match in _TURNED.finditer(folded.original):
        start, end = (bisect_left(folded.origins, place) for place in match.span(1))
        yield start, end, folded.text[start:end][::-1], list(range(start, end))[::-1]


def _gaps(folded: Folded) -> Iterator[Edit]:
    for match in _GAP.finditer(folded.original):
        place = bisect_left(folded.origins, match.start())
        yield place, place, " ", [place]


def _joinings(spelling: _Spelling) -> Iterator[_Spelling]:
    text = spelling.text
    if not (_SIGNS.search(text) or _SINGLES.search(words(text))):
        return
    narrow = [_joined(match) for match in _SPACED.finditer(text)]
    if narrow:
        yield spelling.edited(narrow, joined=True)
    wide = [_joined_widely(match) for match in _SPACED_WIDELY.finditer(text)]
    if wide and wide != narrow:
        yield spelling.edited(wide, joined=True)
    if gapped := list(_gapped(text)):
        yield spelling.edited(gapped, joined=True)


def _joined(run: re.Match[str]) -> Edit:
    return run.start(), run.end(), run[0][::2], list(range(run.start(), run.end(), 2))


def _gapped(text: str) -> Iterator[Edit]:
    """Spaced-out letters of several words: where what stands between is not as it mostly is, a word ends."""
    for run in _SPACED_WIDELY.finditer(text):
        letters = list(_LETTER_OR_DIGIT.finditer(run[0]))
        between = [run[0][one.end() : two.start()] for one, two in itertools.pairwise(letters)]
        mostly = Counter(between).most_common(1)[0][0]
        if any(one != mostly for one in between):
            read, places = [letters[0][0]], [run.start()]
            for letter, one in zip(letters[1:], between, strict=True):
                gap = "" if one == mostly else " "
                read += (gap, letter[0])
                places += [run.start() + letter.start() - 1] * len(gap) + [run.start() + letter.start()]
            yield run.start(), run.end(), "".join(read), places


def _joined_widely(run: re.Match[str]) -> Edit:
    letters = list(_LETTER_OR_DIGIT.finditer(run[0]))
    places = [run.start() + letter.start() for letter in letters]
    return run.start(), run.end(), "".join(letter[0] for letter in letters), places


def _unmasked(spelling: _Spelling, known: Container[str]) -> Iterator[_Spelling]:
    """The text with each disguised word as the first, then as the second, known word that it can stand for."""
    forms: dict[str, list[Edit]] = {}
    found: list[tuple[int, list[Edit]]] = []
    for start, end in _runs(spelling.text):
        run = spelling.text[start:end]
        if run not in forms:
            forms[run] = known_forms(run, known, thorough=len(forms) < MAX_THOROUGH)
        if forms[run]:
            found.append((start, forms[run]))
    for choice in range(min(2, max((len(options) for _, options in found), default=0))):
        yield spelling.edited(edit for start, options in found for edit in _compatible(start, options, choice))


def _compatible(start: int, options: list[Edit], choice: int) -> list[Edit]:
    """The edits of one run, from the chosen one on, that do not overlap; moved to where the run stands."""
    first = min(choice, len(options) - 1)
    chosen: list[Edit] = []
    for edit in (*options[first:], *options[:first]):
        if all(edit[1] <= other[0] or other[1] <= edit[0] for other in chosen):
            chosen.append(edit)
    return [_moved(start, edit) for edit in sorted(chosen)]


def _moved(by: int, edit: Edit) -> Edit:
    start, end, word, places = edit
    return by + start, by + end, word, [by + place for place in places]


def _runs(text: str) -> Iterator[tuple[int, int]]:
    """The runs of letters, digits and signs that hold something suspect, no longer than `MAX_RUN`."""
    behind = 0
    for suspect in _SUSPECT.finditer(text):
        start = suspect.start()
        if start < behind:
            continue
        while start > behind and (text[start - 1].isalnum() or text[start - 1] in _LEET):
            start -= 1
        run = _RUN.match(text, start)
        behind = max(run.end() if run else 0, suspect.end())
        if behind - start <= MAX_RUN:
            yield start, behind


def known_forms(run: str, known: Container[str], *, thorough: bool = True) -> list[Edit]:
    """The known words that a run of letters, digits and signs can stand for, each as an edit of the run.

    Numbers and units (4k, 90s) are left alone: a run needs two letters, or one among more signs. Unless `thorough`,
    signs that stand for two letters are all read for the first, or all for the second.
    """
    found: dict[str, Edit] = {}
    if not _LETTER.search(run):
        return []
    for start, piece in _pieces(run):
        for text, places in _letters(piece, thorough=thorough):
            for word, kept in _unstretched(text, places):
                if len(word) > 2 and word != piece and word in known:
                    edit = (start, start + len(piece), word, [start + place for place in kept])
                    found.setdefault(word, edit)
    return list(found.values())


def _pieces(run: str) -> list[tuple[int, str]]:
    """The whole run without exclamation marks behind it, without signs that may be punctuation, and between those."""
    core = run.strip("!|+")
    found = {(0, run.rstrip("!")), (len(run) - len(run.lstrip("!|+")), core), (0, run.rstrip("!|+"))}
    if _SIGN.search(core):
        # In a word with other signs the last one may be a letter too.
        found.add((0, run))
    found.update((match.start(), match[0]) for match in _PIECES.finditer(core))
    return sorted((piece for piece in found if piece[1]), key=lambda piece: (-len(piece[1]), piece[0]))


def _letters(piece: str, *, thorough: bool) -> Iterator[tuple[str, list[int]]]:
    letters = sum(character.isalpha() for character in piece)
    signs = sum(character in _LEET for character in piece)
    places = list(range(len(piece)))
    if not signs or not (letters >= 2 or (letters and signs > letters)) or _NUMBER.fullmatch(piece):
        if letters:
            yield piece, places
        return
    options = [_LEET.get(character, character) for character in piece]
    if not thorough or sum(len(option) > 1 for option in options) > _MOST_AMBIGUOUS:
        for choice in (0, -1):
            yield "".join(option[choice] for option in options), places
        return
    for chosen in itertools.product(*options):
        yield "".join(chosen), places


def _unstretched(text: str, places: list[int]) -> Iterator[tuple[str, list[int]]]:
    """The text, and with letters that stand three times or more as two and as one."""
    yield text, places
    runs = list(_STRETCHED.finditer(text))
    if not runs:
        return
    each = len(runs) if len(runs) <= _MOST_STRETCHED else 0
    for keeps in itertools.product((2, 1), repeat=each) if each else ((2,) * len(runs), (1,) * len(runs)):
        dropped = {
            place for run, keep in zip(runs, keeps, strict=True) for place in range(run.start() + keep, run.end())
        }
        kept = [place for place in range(len(text)) if place not in dropped]
        yield "".join(text[place] for place in kept), [places[place] for place in kept]
