"""Captions and the byte-pair merges."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

NAMES = ("red apple", "owl")
TAGS = (("apple", "fruit", "red"), ())


def captions(count: int) -> list[tuple[int, str]]:
    from limner_starter.captions import Captioner

    captioner, rng = Captioner(NAMES, TAGS), random.Random(7)
    return [(i % 2, captioner.training_caption(i % 2, rng)) for i in range(count)]


def test_a_caption_names_its_picture() -> None:
    """Every caption that is not empty holds the picture's name or one of its keywords."""
    for index, caption in captions(2000):
        assert not caption or any(word in caption for word in (NAMES[index], *TAGS[index]))


def test_one_caption_in_ten_is_empty() -> None:
    """Guidance needs the empty prompt: about a tenth of the captions are it."""
    empty = sum(not caption for _, caption in captions(2000))
    assert 150 <= empty <= 250


def test_a_picture_without_keywords_is_captioned_by_name() -> None:
    """No keywords: every caption that is not empty holds the name."""
    assert all("owl" in caption for index, caption in captions(2000) if index == 1 and caption)


def test_the_article_fits_the_vowel() -> None:
    """It is an owl and never a owl."""
    assert not any("a owl" in caption for _, caption in captions(2000))


def test_merges_follow_frequency_and_then_the_alphabet() -> None:
    """The commonest pair is merged first, equal ones by the alphabet, and rare ones not at all."""
    from limner_starter.merges import learn_merges

    words = {("a", "b</w>"): 2, ("c", "d</w>"): 2, ("x", "y", "z</w>"): 5, ("q", "r</w>"): 1}
    assert learn_merges(words, at_least=2) == [("x", "y"), ("xy", "z</w>"), ("a", "b</w>"), ("c", "d</w>")]


words_of_letters = st.dictionaries(
    st.text("abc", min_size=1, max_size=7).map(lambda word: (*word[:-1], word[-1] + "</w>")),
    st.integers(1, 9),
    max_size=12,
)


@given(words_of_letters)
def test_each_merge_is_the_best_of_its_moment(words: dict[tuple[str, ...], int]) -> None:
    """The quick bookkeeping gives what counting all pairs anew before every merge gives."""
    from limner_starter.merges import learn_merges

    assert learn_merges(words, at_least=2) == list(slow_merges(words))


def slow_merges(words: dict[tuple[str, ...], int]) -> list[tuple[str, str]]:
    current = [(list(word), uses) for word, uses in words.items()]
    merges: list[tuple[str, str]] = []
    while True:
        counts: Counter[tuple[str, str]] = Counter()
        for word, uses in current:
            for pair in pairwise(word):
                counts[pair] += uses
        best = min(((-count, pair) for pair, count in counts.items() if count >= 2), default=None)
        if best is None:
            return merges
        merges.append(best[1])
        for word, _ in current:
            position = 0
            while position < len(word) - 1:
                if (word[position], word[position + 1]) == best[1]:
                    word[position : position + 2] = ["".join(best[1])]
                position += 1
