"""English forms of terms: the right ones, and none that would be another word."""

from __future__ import annotations

import pytest

from limner_policy.inflection import inflected, word_forms


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("sword", "swords"),
        ("witch", "witches"),
        ("pussy", "pussies"),
        ("boy", "boys"),
        ("knife", "knives"),
        ("child", "children"),
        ("schoolchild", "schoolchildren"),
        ("policewoman", "policewomen"),
        ("human", "humans"),
        ("german", "germans"),
        ("penis", "penises"),
        ("ox", ""),
        ("über", ""),
    ],
)
def test_plurals(word: str, forms: str) -> None:
    """One plural a noun; short and foreign words have none here."""
    assert word_forms(word, ["plural"]) == tuple(forms.split())


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("kill", "kills killed killing"),
        ("strip", "strips stripped stripping"),
        ("behead", "beheads beheaded beheading"),
        ("torture", "tortures tortured torturing"),
        ("nudify", "nudifies nudified nudifying"),
        ("undress", "undresses undressed undressing"),
        ("star", "stars starred starring"),
        ("travel", "travels traveled traveling travelled travelling"),
        ("shoot", "shoots shot shooting"),
        ("tie", "ties tied tying"),
        ("free", "frees freed freeing"),
        ("play", "plays played playing"),
        ("show", "shows showed shown showing"),
    ],
)
def test_verbs(word: str, forms: str) -> None:
    """-s, -ed and -ing with the right doubling, and the irregular ones; `star` never becomes `staring`."""
    assert word_forms(word, ["verb"]) == tuple(forms.split())


def test_of_a_phrase_its_ends_are_inflected() -> None:
    """The last word as a noun, and as a verb the first one."""
    assert inflected("severed head", ["plural"]) == ("severed heads",)
    assert "slitting wrist" in inflected("slit wrist", ["verb"])
    assert inflected("sword", []) == ()
