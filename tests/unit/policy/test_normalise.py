"""Folding: evasions meet their plain word, and every position finds its way back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_policy.normalise import fold, fold_character, joined, readings, views, word_origins, words

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


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("n00d3s", "noodes"),
        ("nud3", "nude"),
        ("$ex", "sex"),
        ("h@te", "hate"),
        ("k1ll", "kill"),
        ("1ol1", "loli"),
        ("genital$", "genitals"),
    ],
)
def test_signs_between_letters_read_as_letters(written: str, meant: str) -> None:
    """Leetspeak has a reading as the word that is meant."""
    readings = {words(view).strip() for view in views(written)}
    assert meant in readings or meant.replace("i", "l") in readings or meant.replace("l", "i") in readings


@pytest.mark.parametrize(
    "plain", ["4 cats", "4k", "8 k", "16:9", "3d render", "90s", "r2d2!", "cat!", "vibe! cool", "5+5"]
)
def test_numbers_units_and_punctuation_are_left_alone(plain: str) -> None:
    """Ordinary digits and exclamation marks have no second reading."""
    assert list(views(plain)) == [plain]


def test_spaced_out_letters_have_a_reading_as_words() -> None:
    """Three or more single letters with one separator between are put together, with their positions."""
    assert joined("see n u d e!") == ("see nude!", [0, 1, 2, 3, 4, 6, 8, 10, 11, 12])
    assert joined("s e x  a.c.t")[0] == "sex  act"
    assert joined("a b") == ("a b", [0, 1, 2, 3])
    assert " nude girl " in [reading.words for reading in readings("n u d 3  g-i-r-l")]


@given(any_text)
def test_every_reading_leads_back_into_the_fold(text: str) -> None:
    """Each character of each reading has a place, and a letter of the first reading has its own."""
    folded = fold(text).text
    for reading in readings(folded):
        origins = reading.origins()
        assert len(origins) == len(reading.words)
        assert all(0 <= origin <= len(folded) for origin in origins)
        assert origins == sorted(origins)


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
def test_views_keep_every_position(text: str) -> None:
    """Each view is as long as the fold, and its words map to non-space places inside it."""
    folded = fold(text).text
    for view in views(folded):
        assert len(view) == len(folded)
        origins = word_origins(view)
        assert len(origins) == len(words(view))
        assert all(view[origin] == sign for origin, sign in zip(origins, words(view), strict=True) if sign != " ")


@given(any_text)
def test_folding_twice_changes_nothing(text: str) -> None:
    """A folded text folds to itself as far as words go, so terms and prompts meet."""
    once = words(fold(text).text)
    assert words(fold(once).text) == once


@pytest.mark.parametrize("piece", ["a1", "a-", "1!", "a b ", "@$", "a1b2c3-", "é1", "a.b.", "_"])
def test_folding_a_long_text_stays_linear(piece: str) -> None:
    """300,000 characters without a break fold in a moment; anything quadratic would run into the time limit."""
    folded = fold(piece * (300_000 // len(piece))).text
    assert all(len(words(view)) == len(word_origins(view)) for view in views(folded))
    assert all(len(reading.words) == len(reading.origins()) for reading in readings(folded))
