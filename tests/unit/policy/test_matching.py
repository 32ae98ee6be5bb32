"""Searching prompts: whole words, spans in the original text, exceptions, patterns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_policy import patterns
from limner_policy.conditions import Pattern, Terms
from limner_policy.matching import Matcher, Texts, term_key
from limner_policy.patterns import MAX_SPANS, compile_pattern
from limner_policy.types import RequestFacts
from limner_policy.verdicts import Span

BOTH = ("prompt", "negative_prompt")


def found(condition: Terms | Pattern, prompt: str, negative: str = "") -> list[str]:
    """The matched pieces of the original texts."""
    request = RequestFacts(prompt=prompt, negative_prompt=negative, task="txt2img")
    spans = Matcher([condition]).search(Texts(request)).get(condition, ())
    texts = {"prompt": prompt, "negative_prompt": negative}
    return [texts[span.field][span.start : span.end] for span in spans]


@pytest.mark.parametrize(
    ("prompt", "pieces"),
    [
        ("a nude, sitting", ["nude"]),
        ("Nude NUDE", ["Nude", "NUDE"]),
        ("denuded hills", []),
        ("nudes", []),
        ("a n\u200bu\u200bde\u0301 on a beach", ["n\u200bu\u200bde\u0301"]),
        ("ｎuｄｅ and nud3", ["ｎuｄｅ", "nud3"]),
        ("so n-u-d-e, so", ["n-u-d-e"]),
        ("nude's", ["nude"]),
        ("ﬁne nude ﬁne", ["nude"]),
    ],
)
def test_a_term_is_a_whole_word_and_its_span_is_in_the_original(prompt: str, pieces: list[str]) -> None:
    """What is reported is exactly what stands in the prompt, whatever folding did to its length."""
    assert found(Terms(("nude",), ("prompt",)), prompt) == pieces


def test_a_phrase_matches_across_any_separators() -> None:
    """Spaces, hyphens, underscores and line ends between the words of a phrase are one."""
    phrase = Terms(("naked woman",), ("prompt",))
    assert found(phrase, "a naked_woman, a naked -\n woman") == ["naked_woman", "naked -\n woman"]
    assert found(phrase, "naked and a woman") == []


def test_scripts_without_spaces_match_inside_a_run() -> None:
    """Chinese, Japanese, Korean and Thai terms need no word border; Russian and Hindi ones do."""
    assert found(Terms(("裸体",), ("prompt",)), "海边的裸体女人") == ["裸体"]
    assert found(Terms(("누드",), ("prompt",)), "누드를") == ["누드"]
    assert found(Terms(("голая",), ("prompt",)), "Голая, голаяя") == ["Голая"]
    assert found(Terms(("नग्न",), ("prompt",)), "एक नग्न औरत") == ["नग्न"]


def test_a_match_inside_an_excepted_phrase_does_not_count() -> None:
    """The phrase clears its own word and no other in the same prompt."""
    terms = Terms(("naked",), ("prompt",), excepted=("naked mole rat", "naked eye"))
    assert found(terms, "a Naked-Mole rat seen with the naked eye") == []
    assert found(terms, "naked mole rat beside a naked man") == ["naked"]


def test_only_the_named_fields_are_searched() -> None:
    """A negative prompt is searched where the rule says so and nowhere else."""
    assert found(Terms(("nude",), ("prompt",)), "apple", "nude") == []
    assert found(Terms(("nude",), ("negative_prompt",)), "nude", "nude") == ["nude"]
    assert found(Pattern("nu.e", BOTH), "nude", "nuke") == ["nuke", "nude"]


def test_a_pattern_sees_the_original_and_the_folded_text() -> None:
    """Hidden characters do not hide from a pattern, and its span is in the original."""
    pattern = Pattern(r"(?i)fake\s+\w+ logo", ("prompt",))
    assert found(pattern, "a Fake  Acme logo") == ["Fake  Acme logo"]
    assert found(pattern, "é f\u200bake Acme logo") == ["f\u200bake Acme logo"]


def test_conditions_do_not_mix() -> None:
    """Two conditions with a common term and a pattern each get their own hits."""
    first, second, third = Terms(("cat", "dog"), ("prompt",)), Terms(("dog",), BOTH), Pattern("c.t", ("prompt",))
    hits = Matcher([first, second, third]).search(Texts(RequestFacts(prompt="dog cat", task="txt2img")))
    assert hits[first] == (Span("prompt", 0, 3), Span("prompt", 4, 7))
    assert hits[second] == (Span("prompt", 0, 3),)
    assert hits[third] == (Span("prompt", 4, 7),)


def test_spans_are_bounded() -> None:
    """A prompt of one word ten thousand times over reports its first places only."""
    assert len(found(Terms(("nude",), ("prompt",)), "nude " * 10_000)) == MAX_SPANS
    assert len(found(Pattern("nude", ("prompt",)), "nude " * 10_000)) == MAX_SPANS


def test_patterns_that_do_not_fit_are_refused_when_they_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set over its memory bound is refused before it is ever used."""
    monkeypatch.setattr(patterns, "SET_MEMORY", 1 << 14)
    with pytest.raises(ValueError, match="need more than 16,384 bytes together"):
        Matcher([Pattern(f"[a-q][^u-z]{{{size}}}x", ("prompt",)) for size in (10, 11, 12)])


def test_an_answer_of_re2_without_its_sentinel_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """RE2 tells of a lack of memory by finding nothing; the pattern that always matches gives that away."""

    class Exhausted:
        def Match(self, text: bytes) -> list[int]:  # noqa: N802 -- RE2's own name
            return []

    matcher = Matcher([Pattern("nude", ("prompt",))])
    monkeypatch.setattr(matcher._patterns, "_set", Exhausted())
    with pytest.raises(MemoryError):
        matcher.search(Texts(RequestFacts(prompt="nude", task="txt2img")))


def test_re2_errors_speak_re2s_words() -> None:
    """A wrong pattern raises ValueError and prints nothing by itself."""
    with pytest.raises(ValueError, match=r"invalid perl operator: \(\?="):
        compile_pattern("(?=a)b")


plain_words = st.text("abcdefgh", min_size=1, max_size=4)


@given(st.lists(plain_words, min_size=1, max_size=6), st.lists(plain_words, max_size=12))
def test_the_automaton_finds_what_comparing_words_finds(terms: list[str], prompt: list[str]) -> None:
    """Against a plain comparison of each word with each term: the same places."""
    text = " ".join(prompt)
    # Single letters in a row also have a reading as one word, which the plain comparison does not know.
    joined = [word for word in prompt if len(word) > 1]
    text = " ".join(joined)
    expected, position = [], 0
    for word in joined:
        if word in terms:
            expected.append((position, position + len(word)))
        position += len(word) + 1
    condition = Terms(tuple(terms), ("prompt",))
    hits = Matcher([condition]).search(Texts(RequestFacts(prompt=text, task="txt2img")))
    assert [(span.start, span.end) for span in hits.get(condition, ())] == expected[:MAX_SPANS]


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_a_term_is_found_in_any_surroundings(before: str, term: str, after: str) -> None:
    """A term put between two texts with spaces is found, and its span lies where it was put."""
    if not term_key(term):
        return
    condition = Terms((term,), ("prompt",))
    text = f"{before} {term} {after}"
    hits = Matcher([condition]).search(Texts(RequestFacts(prompt=text, task="txt2img")))
    if len(hits.get(condition, ())) < MAX_SPANS:
        inside = [s for s in hits[condition] if len(before) < s.end and s.start < len(before) + 1 + len(term)]
        assert inside
