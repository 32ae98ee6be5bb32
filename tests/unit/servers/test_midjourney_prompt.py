"""Prompts are split as Midjourney splits them."""

from __future__ import annotations

import pytest
from servers.midjourney_prompt import read_prompt


def test_words_addresses_and_flags_are_told_apart() -> None:
    """Addresses come first, then words, then flags with their values under their long names."""
    prompt = read_prompt("https://a.example/x.png two cats -- playing --ar 16:9 --no dogs, birds --q 2 --tile --v 6.1")
    assert prompt.image_urls == ["https://a.example/x.png"]
    assert prompt.words == "two cats -- playing"
    assert prompt.flags == {"ar": "16:9", "no": "dogs, birds", "quality": "2", "tile": "", "version": "6.1"}
    assert (prompt.fault, round(prompt.ratio, 3)) == (None, 1.778)


@pytest.mark.parametrize(
    "text",
    [
        "cat --foo",
        "cat \u2014foo 1",
        "cat --ar 16/9",
        "cat --seed 4294967296",
        "cat --no",
        "cat --tile 3",
        "cat --ar 1:1 dog",
    ],
)
def test_a_wrong_flag_is_a_fault(text: str) -> None:
    """Unknown flags, also behind an em dash, and values out of range or followed by words are faults."""
    prompt = read_prompt(text)
    assert (prompt.fault or "").startswith("[Invalid parameter]")
    assert prompt.ratio == 1


@pytest.mark.parametrize("text", ["a well-known cat", "cat \u2014 a portrait", "a--b", "1 -- 2", ""])
def test_dashes_in_ordinary_text_are_words(text: str) -> None:
    """Hyphens inside words and dashes between spaces are no flags."""
    prompt = read_prompt(text)
    assert (prompt.flags, prompt.fault) == ({}, None)
