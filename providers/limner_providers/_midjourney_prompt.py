"""A prompt for Midjourney: the user's text, and behind it our parameters in one fixed order.

Parameters travel inside the prompt, so the user's text must never be able to become one. Whatever Midjourney, a phone's
keyboard or a proxy's translation reads as `--` is refused, or taken apart where the caller says so; so are `{a, b}`,
which multiplies jobs and money, and addresses, which are pictures to Midjourney.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from limner_providers._midjourney_facts import facts
from limner_providers.errors import UnsupportedRequest

_DASHES = "\u002d\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2e3a\u2e3b\ufe58\ufe63\uff0d"
_LONG = "\u2012\u2013\u2014\u2015\u2e3a\u2e3b"  # what a keyboard makes of two hyphens
_INVISIBLE = "\u115f\u1160\u3164\uffa0"
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_URL = re.compile(r"(?i)h\s?t\s?t\s?p\s?s?\s?:\s?/\s?/")
_BRACES = re.compile(r"[{}]")
_REMEDIES = {
    "dashes": 'Write another character instead, or say extra={"midjourney": {"dashes": "escape"}}; parameters are '
    "given by the request's fields and by extra.midjourney.",
    "braces": "Write round brackets, or ask for each wording apart.",
    "address": "Give the picture itself in references.",
}
_WHY = {
    "dashes": "character {at} begins what Midjourney reads as a parameter.",
    "braces": "character {at} is a curly bracket, with which Midjourney makes several paid jobs of one.",
    "address": "character {at} begins an address, which Midjourney reads as a picture.",
}


@dataclass(frozen=True, slots=True)
class _Find:
    """Something in a text that Midjourney would not read as text: characters `start` to `end` of the original."""

    what: str
    start: int
    end: int


def clean(text: str, *, field: str, provider: str, escape: bool = False) -> tuple[str, bool]:
    """Give the text as one line that Midjourney reads as text only, and whether it had to be changed for that.

    Args:
        text: of the prompt or negative prompt.
        field: which of them, for the error.
        provider: its name, for the error.
        escape: change dashes and brackets instead of refusing them; addresses are refused all the same.

    Raises:
        UnsupportedRequest: it holds what would become a parameter, several jobs or a picture; says where, not what.
    """
    finds = list(_finds(text))
    if finds and escape:
        text = _taken_apart(text, finds)
        left = list(_finds(text))
        if not left:
            return _line(text), True
        finds = left
    for find in finds:
        shown = f"({len(text):,} characters)"
        why, remedy = _WHY[find.what].format(at=find.start + 1), _REMEDIES[find.what]
        raise UnsupportedRequest(field, shown, why=why, remedy=remedy, provider=provider)
    return _line(text), False


def join(text: str, flags: list[str], *, provider: str) -> str:
    """Put the parameters behind the text.

    Raises:
        UnsupportedRequest: both together are longer than a prompt may be.
    """
    whole = " ".join(part for part in (text, *flags) if part)
    limit = facts().max_prompt_characters
    if len(whole) > limit:
        why = f"with its parameters it has {len(whole):,} characters, and at most {limit:,} are taken."
        shown = f"({len(text):,} characters)"
        raise UnsupportedRequest("prompt", shown, why=why, remedy="Shorten it.", provider=provider)
    return whole


def _line(text: str) -> str:
    return _SPACE.sub(" ", text).strip()


def _finds(text: str) -> Iterator[_Find]:
    folded, places = _folded(text)
    for what, pattern in (("dashes", _flag_start()), ("braces", _BRACES), ("address", _URL)):
        for found in pattern.finditer(folded):
            yield _Find(what, places[found.start()], places[found.end() - 1] + 1)


def _folded(text: str) -> tuple[str, list[int]]:
    """Write the text as a lenient reader sees it, each character with its place in the original.

    Full-width and small forms become plain ones, and characters without a width go away: `－－ar` is `--ar`.
    """
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if character.isascii():
            characters.append(character)
            places.append(place)
            continue
        if unicodedata.category(character) in {"Cf", "Mn", "Me"} or character in _INVISIBLE:
            continue
        for part in unicodedata.normalize("NFKC", character):
            characters.append(part)
            places.append(place)
    return "".join(characters), places


@functools.cache
def _flag_start() -> re.Pattern[str]:
    """Two dashes anywhere; a long one before a letter at a word's begin; within a word before a parameter's name."""
    names = "|".join(sorted(facts().flags, key=len, reverse=True))
    dash, long = f"[{re.escape(_DASHES)}]", f"[{_LONG}]"
    return re.compile(rf"{dash}{{2,}}|(?<![^\W_]){long}(?=[A-Za-z])|{long}(?=(?i:{names})(?![A-Za-z]))")


def _taken_apart(text: str, finds: list[_Find]) -> str:
    """Write a single hyphen between spaces for dashes, and round brackets for curly ones."""
    parts, at = [], 0
    for find in sorted(finds, key=lambda found: found.start):
        if find.start < at or find.what == "address":
            continue
        old = unicodedata.normalize("NFKC", text[find.start : find.end])
        parts += [text[at : find.start], " - " if find.what == "dashes" else "(" if "{" in old else ")"]
        at = find.end
    return "".join([*parts, text[at:]])
