"""Folds a prompt into the plain words that terms are compared with, and finds the way back to the original.

Handles case, compatibility forms, accents, invisible characters and look-alike letters; what needs a second reading
(leetspeak, s p a c e d  o u t letters) is `readings.py`. Knows nothing of terms or rules: terms and prompts go through
the same folding, so that they meet in the middle.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

# Letters of other alphabets that look like Latin ones (after Unicode TS 39), as small letters where they have case.
# Words of those alphabets fold alike on both sides, so they still meet.
_LOOK_ALIKES = {
    "a": "аαᴀɑᎪᗅꓮ𖽀𐊠",
    "b": "вβʙꞵᏴᗷꓐ𐊂𐊡𐌁ƅьᏏᑲᖯ",
    "c": "сᴄⲥᏟꓚ𐊢𐌂𐐽𐔜",
    "d": "ԁᴅđᎠᗞᗪꓓᏧᑯꓒ",
    "e": "еεᴇⴹᎬꓰ𑣆𑣎𐊆ҽ℮ɛə",
    "f": "ꜰƒϝᖴꓝ𑣂𐊇𐊥𐔥ք",
    "g": "ɡցɢԍᏀᏳꓖƍ",
    "h": "һнհʜħⲏᎻᕼꓧ𐋏Ꮒ",
    "i": "іιɪıɩꙇᎥ𑣃",
    "j": "јᴊϳᎫᒍꓙ",
    "k": "кκᴋⲕᏦᛕꓗ𐔘",
    "l": "ӏʟłⳑᏞᒪꓡ𖼖𑣒𐑃𐔦ǀⲓⵏᛁꓲ𖼨𐊊𐌉",
    "m": "мᴍμϻⲙᎷᗰᛖꓟ𐊰𐌑",
    "n": "пηոɴⲛꓠ𐔓ռᑎ",
    "o": "оοσօᴏøⲟⵔ𐓪ꓳ𑣕𐊒𐊫𐐬𐔖𑣈𑣗",
    "p": "рρᴘⲣᏢᑭꓑ𐊕",
    "q": "ԛⵕգզ",
    "r": "ʀᎡᏒ𐓜ᖇꓣ𖼵ᴦⲅᎱ",
    "s": "ѕꜱտᏕᏚꓢ𖼺𐊖𐑈ƽ𑣁",
    "t": "тτᴛŧⲧᎢꓔ𖼊𑣜𐊗𐊱𐌕",
    "u": "υսᴜ𐓶ᑌꓴ𖽂𑣘ꞟʋ",
    "v": "ѵνᴠⴸᏙᐯꓦ𖼈𑣀𐔝𑜆",
    "w": "ԝωᴡᎳᏔꓪѡա𑜊𑜎𑜏",
    "x": "хχꭓⲭⵝᚷꓫ𐊐𐊴𐌗𐔧ᕁᕽ",
    "y": "уγʏⲩүᎩᎽꓬ𖽃𑣄𐊲ɣ",
    "z": "ᴢζᏃꓜ𑣉",
}
_CONFUSABLES = {ord(twin): letter for letter, twins in _LOOK_ALIKES.items() for twin in twins}
# Latin letters that Unicode does not take apart: d with a hook, a small capital g, a turned e.
_LATIN = re.compile(
    r"LATIN (?:SMALL |CAPITAL )?LETTER "
    r"(?:SMALL CAPITAL |BLACKLETTER |LENIS |SIDEWAYS |LONG |DOUBLE |TURNED |REVERSED )?([A-Z])(?: WITH.*)?"
)
_LIGATURES = {"æ": "ae", "œ": "oe", "þ": "th"}
# Letters in boxes and flags, which compatibility decomposition leaves alone.
_BOXED = {start + i: chr(97 + i) for start in (0x1F150, 0x1F170, 0x1F1E6) for i in range(26)}
# Signs of which compatibility folding would make something else than they look like: round sigmas, a lone iota.
_AS_SEEN = {"\u03f2": "c", "\u03f9": "c", "\u037a": "i"}
# Fillers and joiners that are shown as nothing but are not format characters to Unicode.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u0640")

# Letters and digits of every script, and the vowel signs that belong to words though they are no letters.
_LETTER = r"[^\W_]|[\u0900-\u0963\u0966-\u0dff\u0e31-\u0e4e\u0eb1-\u0ece\u102b-\u103e\u17b6-\u17d3\u3099\u309a]"
_WORDS = re.compile(rf"(?:{_LETTER})+")
_ASCII_WORDS = re.compile(r"[a-z0-9]+")


def fold_character(character: str) -> str:
    """The folded form of one character: zero, one or a few characters."""
    if ord(character) in _BOXED:
        return _BOXED[ord(character)]
    if _is_invisible(character):
        return ""
    if character in _AS_SEEN:
        return _AS_SEEN[character]
    # Before case folding too: it makes a letter of the Greek iota below.
    parts = "".join(c for c in unicodedata.normalize("NFKD", character) if not _is_accent(c)).casefold()
    parts = "".join(c for c in unicodedata.normalize("NFKD", parts) if not _is_accent(c))
    parts = "".join(_LIGATURES.get(c) or _latin(c) for c in parts.translate(_CONFUSABLES))
    return unicodedata.normalize("NFKC", parts)


def _is_invisible(character: str) -> bool:
    """Format characters, fillers, variation selectors, and marks that only draw a line round a letter."""
    return (
        character in _INVISIBLE
        or unicodedata.category(character) in ("Cf", "Me")
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0100" <= character <= "\U000e01ef"
    )


def _latin(character: str) -> str:
    if character.isascii():
        return character
    named = _LATIN.fullmatch(unicodedata.name(character, ""))
    return named[1].lower() if named else character


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
