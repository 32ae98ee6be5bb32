"""Disguises undone: spaced-out letters, leetspeak, stretched words, text turned round, look-alikes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_policy.normalise import fold
from limner_policy.readings import MAX_RUN, known_forms, readings

any_text = st.text(max_size=60) | st.text("aо0@$ n.\u200b\u202e\u202cé裸I|Ηl", max_size=40)
KNOWN = frozenset(("nude", "sex", "hate", "kill", "loli", "genitals", "noodles", "girl", "child", "boobs", "violence"))


def found(text: str) -> set[str]:
    """The known words that some reading of the text holds."""
    return {word for reading in readings(fold(text), KNOWN) for word in reading.words.split()} & KNOWN


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("n00dl3s", "noodles"),
        ("nud3", "nude"),
        ("$ex", "sex"),
        ("h@te!!", "hate"),
        ("k1ll", "kill"),
        ("ki||", "kill"),
        ("k!1|", "kill"),
        ("1ol1", "loli"),
        ("genital$", "genitals"),
        ("$3x!", "sex"),
        ("1ol!", "loli"),
        ("nuuuude", "nude"),
        ("NUUUD333", "nude"),
        ("booobs", "boobs"),
        ("n u d e", "nude"),
        ("n.u.d.e w.o.m.a.n", "nude"),
        ("n u d e  w o m a n", "nude"),
        ("n-u-d-e-w-o-m-a-n", "nude"),
        ("w o m a n n u d e", "nude"),
        ("nu-de", "nude"),
        ("n(ude)", "nude"),
        ("vio.len.ce", "violence"),
        ("NudeWoman", "nude"),
        ("nuuuuudddeeee boooobsss", "boobs"),
        ("Иude", "nude"),
        ("n.u.d.e", "nude"),
        ("n . u . d . e", "nude"),
        ("n\nu\nd\ne", "nude"),
        ("n u d 3", "nude"),
        ("$ e x", "sex"),
        ("v·i·o·l·e·n·c·e", "violence"),
        ("\u202eedun\u202c", "nude"),
        ("a \u202elrig", "girl"),
        ("nu\u202eed\u202c", "nude"),
        ("kiIl", "kill"),
        ("chiΙd", "child"),
        ("𝗇𝗎d𝖤", "nude"),
        ("girl\u200bnude", "girl"),
    ],
)
def test_a_disguised_word_is_read_as_what_is_meant(written: str, meant: str) -> None:
    """Each disguise has a reading that holds the word it hides."""
    assert meant in found(written)
    assert meant in found(f"a photo of {written}, 4k")


@pytest.mark.parametrize(
    "plain",
    [
        "4 cats",
        "4k",
        "8 k",
        "16:9",
        "3d render",
        "90s",
        "r2d2!",
        "cat!",
        "vibe! cool",
        "5+5",
        "455",
        "$3",
        "b4",
        "a, b, c",
    ],
)
def test_numbers_units_and_punctuation_stay_what_they_are(plain: str) -> None:
    """Ordinary digits, prices and exclamation marks are no disguise, whatever is looked for."""
    known = frozenset(("ak", "ed", "gos", "sos", "ass", "catl", "cati", "bk", "se", "vibei"))
    assert not {w for r in readings(fold(plain), known) for w in r.words.split()} & known - set(plain.split())


def test_nothing_is_guessed_that_nobody_looks_for() -> None:
    """A run that could be many words is read as the known ones only; without known words there is no second reading."""
    assert [word for _, _, word, _ in known_forms("k1||", KNOWN)] == ["kill"]
    assert known_forms("k1||", frozenset()) == []
    assert len(readings(fold("a k1ll3r w1th a kn1f3"), frozenset())) == 1


def test_plain_words_between_signs_are_found_too() -> None:
    """Signs that separate words do not glue them together."""
    assert found("s3x|nud3+k1ll") == {"sex", "nude", "kill"}


def test_a_run_without_end_is_left_alone() -> None:
    """A word longer than any term is not taken apart, whatever stands in it."""
    assert found("x" * MAX_RUN + "s3x") == set()
    assert found("1" * 5_000 + " s3x") == {"sex"}


def test_each_letter_of_a_joined_word_keeps_its_place() -> None:
    """The characters of a reading lead back to where they stood."""
    folded = fold("see n.u.d.e!")
    joined = next(reading for reading in readings(folded, KNOWN) if reading.joined)
    start = joined.words.index("nude")
    assert [folded.text[place] for place in joined.origins()[start : start + 4]] == list("nude")


@given(any_text)
def test_every_reading_leads_back_into_the_fold(text: str) -> None:
    """Each character of each reading has a place in the folded text, or at its end."""
    folded = fold(text)
    for reading in readings(folded, KNOWN):
        origins = reading.origins()
        assert len(origins) == len(reading.words)
        assert all(0 <= origin <= len(folded.text) for origin in origins)


@pytest.mark.parametrize(
    "piece",
    [
        "a1",
        "a-",
        "1!",
        "a b ",
        "@$",
        "a1b2c3-",
        "é1",
        "a.b.",
        "_",
        "! ! ",
        "aaa",
        "\u202ea",
        "Ηi ",
        "|1! ",
        "a\u200b",
        "aB",
        "Aa",
        "И",
        "ab-",
        "x,y;z ",
        "a b  c ",
        "s3x ",
    ],
)
def test_reading_a_long_text_stays_linear(piece: str) -> None:
    """100,000 characters of the worst kinds are read in a moment; anything quadratic would run into the time limit."""
    folded = fold(piece * (100_000 // len(piece)))
    for reading in readings(folded, KNOWN):
        assert len(reading.words) == len(reading.origins())
