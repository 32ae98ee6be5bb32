"""English word forms of terms: plurals, and the -s, -ed and -ing of verbs. Knows words, not texts or rules.

Forms are made when a pack is loaded and compared as whole words, so nothing is found inside another word. A rule asks
for them by kind, since some collide (a kid, kidding); forms of other languages are listed as words of their own.
"""

from __future__ import annotations

from collections.abc import Iterable

PLURAL, VERB = "plural", "verb"
KINDS = (PLURAL, VERB)

_VOWELS = frozenset("aeiou")
_PLURALS = {
    "child": "children",
    "foot": "feet",
    "goose": "geese",
    "half": "halves",
    "knife": "knives",
    "leaf": "leaves",
    "life": "lives",
    "loaf": "loaves",
    "man": "men",
    "mouse": "mice",
    "ox": "oxen",
    "person": "people",
    "scarf": "scarves",
    "self": "selves",
    "thief": "thieves",
    "tooth": "teeth",
    "wife": "wives",
    "wolf": "wolves",
    "woman": "women",
}
_VERBS = {
    "bite": "bites bit bitten biting",
    "bleed": "bleeds bled bleeding",
    "break": "breaks broke broken breaking",
    "burn": "burns burned burnt burning",
    "cut": "cuts cutting",
    "die": "dies died dying",
    "draw": "draws drew drawn drawing",
    "drown": "drowns drowned drowning",
    "eat": "eats ate eaten eating",
    "fight": "fights fought fighting",
    "give": "gives gave given giving",
    "hang": "hangs hung hanged hanging",
    "hit": "hits hitting",
    "hold": "holds held holding",
    "hurt": "hurts hurting",
    "kneel": "kneels knelt kneeled kneeling",
    "lie": "lies lied lay lain lying",
    "make": "makes made making",
    "put": "puts putting",
    "ride": "rides rode ridden riding",
    "shoot": "shoots shot shooting",
    "show": "shows showed shown showing",
    "slay": "slays slew slain slaying",
    "slit": "slits slitting",
    "split": "splits splitting",
    "steal": "steals stole stolen stealing",
    "strike": "strikes struck striking",
    "take": "takes took taken taking",
    "tear": "tears tore torn tearing",
    "throw": "throws threw thrown throwing",
    "wear": "wears wore worn wearing",
}


def inflected(term: str, kinds: Iterable[str]) -> tuple[str, ...]:
    """The other forms of a term of folded words; of a phrase the last word, and as a verb the first one too.

    Args:
        term: one or more small ASCII words with one space between; others have no forms here.
        kinds: some of `KINDS`.
    """
    first, space, rest = term.partition(" ")
    head, last_space, last = term.rpartition(" ")
    wanted = tuple(kinds)
    found = [f"{head}{last_space}{form}" for form in word_forms(last, wanted)]
    if space and VERB in wanted:
        found += [f"{form} {rest}" for form in word_forms(first, (VERB,))]
    return tuple(dict.fromkeys(form for form in found if form != term))


def word_forms(word: str, kinds: Iterable[str]) -> tuple[str, ...]:
    """The other forms of one word; none of a word under three letters or outside a–z."""
    if len(word) < 3 or not (word.isascii() and word.isalpha()):
        return ()
    found: list[str] = []
    for kind in kinds:
        found += _plural(word) if kind == PLURAL else _verb(word)
    return tuple(form for form in dict.fromkeys(found) if form != word)


def _plural(word: str) -> list[str]:
    for singular, plural in _PLURALS.items():
        # A schoolchild and a policewoman, but no human and no German: those end in man by chance.
        if word == singular or (word.endswith(singular) and word not in _NO_MEN and len(word) - len(singular) > 2):
            return [word[: -len(singular)] + plural]
    return [_with_s(word)]


_NO_MEN = frozenset(("human", "german", "roman", "shaman", "talisman", "ottoman", "superhuman", "caiman"))


def _with_s(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in _VOWELS:
        return word[:-1] + "ies"
    return word + "s"


def _verb(word: str) -> list[str]:
    if word in _VERBS:
        return _VERBS[word].split()
    if word.endswith("ie"):
        return [_with_s(word), word + "d", word[:-2] + "ying"]
    if word.endswith("e"):
        stem = word if word.endswith(("ee", "oe", "ye")) else word[:-1]
        return [_with_s(word), word + "d", stem + "ing"]
    if word.endswith("y") and word[-2] not in _VOWELS:
        return [_with_s(word), word[:-1] + "ied", word + "ing"]
    doubled = _doubled(word)
    return [_with_s(word), *(stem + ending for stem in doubled for ending in ("ed", "ing"))]


def _doubled(word: str) -> tuple[str, ...]:
    """The stems before -ed and -ing: strip doubles, travel may, breed does not."""
    consonant, vowel, before = word[-1], word[-2], word[-3]
    short = vowel in _VOWELS and before not in _VOWELS and consonant not in "aeiouwxy"
    if not short:
        return (word,)
    one_syllable = sum(letter in "aeiouy" for letter in word) == 1
    return (word + consonant,) if one_syllable else (word, word + consonant)
