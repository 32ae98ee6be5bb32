"""A user's text never becomes a parameter, several jobs or a picture of Midjourney's."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_providers._midjourney_facts import facts
from limner_providers._midjourney_prompt import clean, join
from limner_providers.errors import UnsupportedRequest

FLAGS = [
    "cat --ar 16:9", "cat --v 5", "--no dogs", "cat--seed 7", "cat -- ar 1:1", "cat ---tile", "cat —ar 16:9",
    "cat –no dogs", "cat ―v 5", "cat——ar 1:1", "cat －－ar 1:1", "cat ﹣﹣ar 1:1", "cat ‐‐ar 1:1", "cat −−ar 1:1",
    "cat -\u200b-ar 1:1", "cat -\u2060-ar 1:1", "cat -\ufe0f-ar 1:1", "cat -\u034f-ar 1:1", "cat —\u200bar 1:1",
    "cat—ar 16:9", "cat–v 5", "(—fast)", "cat\n--turbo", "cat\t—s 1000", "cat ⸺ar 1:1", "cat ﹘ar 1:1", "—ａｒ 1:1",
]  # fmt: skip


def cleaned(text: str, *, escape: bool = False) -> str:
    """Give what is sent for `text`."""
    return clean(text, field="prompt", provider="mj", escape=escape)[0]


@pytest.mark.parametrize("text", FLAGS)
def test_what_midjourney_reads_as_a_parameter_is_refused(text: str) -> None:
    """Two hyphens in whatever spelling, and the long dash that a keyboard makes of them, do not pass."""
    with pytest.raises(
        UnsupportedRequest, match=r"character \d+ begins what Midjourney reads as a parameter"
    ) as caught:
        cleaned(text)
    assert caught.value.field == "prompt"
    assert "cat" not in str(caught.value), "a prompt's text must not be in a message"


@pytest.mark.parametrize("text", FLAGS)
def test_escaped_it_is_text(text: str) -> None:
    """With dashes="escape" the words stay and the dashes become a hyphen between spaces."""
    sent = cleaned(text, escape=True)
    assert cleaned(sent) == sent
    folded = unicodedata.normalize("NFKC", sent)
    assert not re.search(r"--|[–—―⸺](?=[A-Za-z])", folded)
    letters = [char for char in unicodedata.normalize("NFKC", text) if char.isalnum()]
    assert [char for char in folded if char.isalnum()] == letters


@pytest.mark.parametrize("name", facts().flags)
def test_no_known_parameter_passes(name: str) -> None:
    """Each parameter that Midjourney has is stopped behind each kind of dash, at a word's begin and within a word."""
    for dash in ("--", "—", "–", "―", "－－"):
        for before in ("", "cat ", "cat"):
            with pytest.raises(UnsupportedRequest):
                cleaned(f"{before}{dash}{name} 1")


@pytest.mark.parametrize(
    "text",
    [
        "a well-lit room",
        "1990–2000",
        "a house—old and red",
        "London–Paris express",
        "forest – no, a wood",
        "cat::2 dog::-1",
        "-5 °C",
        "コーヒー",
        '[a] (b) "c" 50% 👩‍🚀',
        "a - b",
    ],
)
def test_ordinary_texts_pass_unchanged(text: str) -> None:
    """Hyphens, ranges, dashes between words, weights and emoji are no parameters."""
    assert clean(text, field="prompt", provider="mj") == (text, False)


@pytest.mark.parametrize("text", ["a {red, green} cat", "a ｛red, green｝ cat", "}"])
def test_curly_brackets_are_refused_since_they_multiply_jobs(text: str) -> None:
    """A permutation prompt is several paid jobs."""
    with pytest.raises(UnsupportedRequest, match="several paid jobs"):
        cleaned(text)
    assert "{" not in unicodedata.normalize("NFKC", cleaned(text, escape=True))


@pytest.mark.parametrize("text", ["https://example.com/a.png cat", "cat HTTP://x", "ｈttps：／／x", "<https://x> cat"])
def test_addresses_are_refused_even_where_dashes_are_escaped(text: str) -> None:
    """To Midjourney an address is a picture, which nobody judged."""
    for escape in (False, True):
        with pytest.raises(UnsupportedRequest, match="begins an address") as caught:
            cleaned(text, escape=escape)
        assert "references" in caught.value.remedy


def test_a_prompt_becomes_one_line() -> None:
    """Line breaks, tabs and control characters are single spaces; nothing hangs at the ends."""
    assert cleaned("  a\r\nb\tc\u2028d\x07e  ") == "a b c d e"


def test_control_characters_between_dashes_are_spaces() -> None:
    """What a reader might leave out must not bring two hyphens together."""
    for character in ("\x01", "\x7f", "\x80", "\x8d", "\x9f"):
        assert cleaned(f"cat -{character}-v 5") == "cat - -v 5"


def test_the_negative_prompt_is_told_by_its_name() -> None:
    """An error names the field that has to be changed."""
    with pytest.raises(UnsupportedRequest) as caught:
        clean("rot --v 5", field="negative_prompt", provider="mj")
    assert caught.value.field == "negative_prompt"


def test_prompt_and_parameters_together_have_a_limit() -> None:
    """What Discord would cut off is refused."""
    limit = facts().max_prompt_characters
    assert len(join("x" * (limit - 6), ["--v 7"], provider="mj")) == limit
    with pytest.raises(UnsupportedRequest, match="6,001"):
        join("x" * (limit - 5), ["--v 7"], provider="mj")


@given(st.text(alphabet=st.sampled_from(list("-‐‑‒–—―−⸺⸻﹘﹣－ avrn{}｛\u200b\u2060\ufe0f\u0301:/")), max_size=24))
def test_whatever_is_escaped_cannot_be_refused_afterwards(text: str) -> None:
    """Escaping never leaves anything that would have been refused, whatever characters are mixed."""
    sent = cleaned(text, escape=True)
    assert cleaned(sent) == sent
    assert not re.search(r"--|[{}]", unicodedata.normalize("NFKC", sent))
