"""Folding: evasions meet their plain word, and every position finds its way back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_policy.normalise import fold, fold_character, word_origins, words

any_text = st.text(max_size=60) | st.text("aо0@$ n.\u200b\u0301é裸か\u3099Ⓐ", max_size=40)


@pytest.mark.parametrize(
    "evasion",
    [
        "NUDE",
        "Nüdé",
        "n\u200bu\u00adde",
        "ｎｕｄｅ",
        "𝓷𝓾𝓭𝓮",
        "🅽🆄🅳🅴",
        "ⓝⓤⓓⓔ",
        "nudе",
        "пudе",
        "n̶u̶d̶e̶",
        "nu\u0301de",
        "\u202enude",
    ],
)
def test_one_fold_undoes_look_alikes_and_hidden_characters(evasion: str) -> None:
    """Case, accents, width, fancy alphabets, Cyrillic letters and invisible characters fold to the plain word."""
    assert words(fold(evasion).text).split() == ["nude"]


@given(any_text)
def test_each_position_of_a_fold_leads_to_its_character(text: str) -> None:
    """The offset map points at the very character that gave the folded one."""
    folded = fold(text)
    for index, character in enumerate(folded.text):
        start, end = folded.span(index, index + 1)
        assert 0 <= start < end <= len(text)
        assert character in (text[start].lower() if text.isascii() else fold_character(text[start]))


@given(any_text)
def test_ascii_and_general_folding_agree(text: str) -> None:
    """The short way for ASCII texts gives what folding each character gives."""
    short = "".join(character for character in text if character.isascii() and character >= " ")
    assert fold(short).text == "".join(map(fold_character, short))


@given(any_text)
def test_folding_twice_changes_nothing(text: str) -> None:
    """A folded text folds to itself as far as words go, so terms and prompts meet."""
    once = words(fold(text).text)
    assert words(fold(once).text) == once


@pytest.mark.parametrize("piece", ["a1", "a-", "1!", "a b ", "@$", "a1b2c3-", "é1", "a.b.", "_"])
def test_folding_a_long_text_stays_linear(piece: str) -> None:
    """300,000 characters without a break fold in a moment; anything quadratic would run into the time limit."""
    folded = fold(piece * (300_000 // len(piece))).text
    assert len(words(folded)) == len(word_origins(folded))


def test_an_iota_below_is_an_accent() -> None:
    """It folds away like every other sign below a letter, alone or as part of one, and makes no letter of its own."""
    assert fold("n\u0345u\u0345d\u0345e").text == "nude"
    assert fold("\u1fb3").text == fold("\u03b1").text
