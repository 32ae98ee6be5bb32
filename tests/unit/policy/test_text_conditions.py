"""Entities by their context, words together, inflected terms: what they find, and what they leave alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_policy import judge
from limner_policy.conditions import Condition, Entities, Pattern, Terms, Together
from limner_policy.matching import Matcher, Texts
from limner_policy.pack import Pack
from limner_policy.patterns import MAX_SPANS
from limner_policy.types import PolicyInput, RequestFacts
from limner_policy.verdicts import Span
from limner_policy.wordlists import Entity, WordList

PROMPT = ("prompt",)
ARTISTS = WordList(
    "artists",
    entities=(
        Entity("artist:doe", ("Jane Q. Doe", "JQ Doe", "Дое Жанна"), "artist"),
        Entity("artist:rose", ("Rose",), "artist", ambiguous=True),
        Entity("mark:apple", ("Apple",), "mark", near=("phone", "logo"), unless_near=("pie", "tree", "apple juice")),
        Entity("artist:葛飾", ("葛飾太郎",), "artist"),
    ),
)


def spans(condition: Condition, prompt: str) -> tuple[Span, ...]:
    """What the condition finds in a prompt."""
    return Matcher([condition]).search(Texts(RequestFacts(prompt=prompt, task="txt2img"))).get(condition, ())


def names(condition: Entities, prompt: str) -> list[tuple[str, str]]:
    """The entities found, each with the piece of the prompt that names it."""
    return [(span.entity, prompt[span.start : span.end]) for span in spans(condition, prompt)]


def test_a_name_is_found_in_every_spelling_with_its_place_and_id() -> None:
    """Names, aliases, other scripts, disguises: the span is the original's, the id the entity's."""
    entities = Entities((ARTISTS,), PROMPT)
    assert names(entities, "by Jane Q. Doe and jq doe") == [("artist:doe", "Jane Q. Doe"), ("artist:doe", "jq doe")]
    assert names(entities, "Дое Жанна, 葛飾太郎風") == [("artist:doe", "Дое Жанна"), ("artist:葛飾", "葛飾太郎")]
    assert names(entities, "J\u200bQ D0e!") == [("artist:doe", "J\u200bQ D0e")]
    assert names(entities, "a doe in the wood") == []


def test_a_name_needs_its_context() -> None:
    """`near` has to stand within so many words, before or behind; far off it does not count."""
    style = Entities((ARTISTS,), PROMPT, near=("style of", "by"), within=2)
    assert names(style, "a wood in the style of old Rose") == [("artist:rose", "Rose")]
    assert names(style, "Rose, by commission") == [("artist:rose", "Rose")]
    assert names(style, "a rose in a vase, painted long ago by hand") == []
    assert names(style, "a wood, style of one two three Rose") == []


def test_only_ambiguous_names_need_context_where_the_rule_says_so() -> None:
    """With `near_for: ambiguous` a full name counts alone, and a name that is a word counts in context only."""
    style = Entities((ARTISTS,), PROMPT, near=("style of",), near_for="ambiguous")
    assert names(style, "JQ Doe") == [("artist:doe", "JQ Doe")]
    assert names(style, "a rose") == []
    assert names(style, "in the style of rose") == [("artist:rose", "rose")]


def test_a_name_has_a_context_of_its_own() -> None:
    """Apple is a mark beside a phone, and none beside a pie; both together, and it is left alone."""
    marks = Entities((ARTISTS,), PROMPT, kinds=("mark",), within=3)
    assert names(marks, "an apple phone") == [("mark:apple", "apple")]
    assert names(marks, "a red apple") == []
    assert names(marks, "phone beside an apple pie") == []
    assert names(marks, "a logo for apple juice") == []


def test_a_context_that_clears_is_the_rules_too() -> None:
    """`unless_near` of the rule clears every name close to it, and none far away."""
    entities = Entities((ARTISTS,), PROMPT, unless_near=("museum",), within=1)
    assert names(entities, "the JQ Doe museum") == []
    assert names(entities, "JQ Doe outside of the museum") == [("artist:doe", "JQ Doe")]


def test_context_in_scripts_without_spaces() -> None:
    """In Chinese, Japanese and Thai each character counts as a word."""
    artists = WordList("a", entities=(Entity("x", ("葛飾太郎",)), Entity("y", ("สมชาย",))))
    style = Entities((artists,), PROMPT, near=("风格", "スタイル", "สไตล์"), within=2)
    assert names(style, "一幅葛飾太郎的风格的画") == [("x", "葛飾太郎")]
    assert names(style, "葛飾太郎風のスタイル") == [("x", "葛飾太郎")]
    assert names(style, "葛飾太郎出生在东京附近的风格") == []
    assert names(style, "ภาพสไตล์สมชาย") == [("y", "สมชาย")]


def test_words_together_within_words() -> None:
    """Both parts, in either order, with at most so many words between; each match has its place."""
    near = Together((Terms(("child",), PROMPT), Terms(("nude", "naked"), PROMPT)), PROMPT, 2)
    assert spans(near, "a child, one two nude") == (Span("prompt", 2, 7), Span("prompt", 17, 21))
    assert spans(near, "naked child") == (Span("prompt", 0, 5), Span("prompt", 6, 11))
    assert spans(near, "a child, one two three nude") == ()
    assert spans(near, "a child. a child") == ()
    assert len(spans(near, "nude one two three four child naked")) == 2


def test_three_parts_and_a_pattern() -> None:
    """A pattern may be a part; the whole group lies within the bound."""
    parts = (Terms(("girl",), PROMPT), Pattern(r"(?i)\b1[0-7] years?\b", PROMPT), Terms(("bed",), PROMPT))
    near = Together(parts, PROMPT, 4)
    assert [(s.start, s.end) for s in spans(near, "girl, 12 years, on a bed")] == [(0, 4), (6, 14), (21, 24)]
    assert spans(near, "girl, 12 years, on a very wide and old bed") == ()
    assert spans(near, "girl on a bed") == ()


def test_words_together_in_one_sentence() -> None:
    """A sentence ends with its mark or its line; an abbreviation's dot inside a word is none."""
    near = Together((Terms(("child",), PROMPT), Terms(("nude",), PROMPT)), PROMPT, "sentence")
    assert len(spans(near, "a child at home, and far away in it something nude.")) == 2
    assert spans(near, "a child. a nude") == ()
    assert spans(near, "a child\na nude") == ()
    assert spans(near, "子供。nude child") != ()
    assert len(spans(near, "a child n.u.d.e here")) == 2


def test_disguises_do_not_stretch_a_distance() -> None:
    """Letters spaced out, of what is looked for and of what stands between, count as the words they are."""
    near = Together((Terms(("child",), PROMPT), Terms(("nude",), PROMPT)), PROMPT, 1)
    assert len(spans(near, "c h i l d  v e r y  n u d e")) == 2
    assert len(spans(near, "ch1ld so nud3")) == 2


def test_excepted_phrases_are_no_part() -> None:
    """What is excepted from a part is excepted from the whole."""
    near = Together((Terms(("kid",), PROMPT, ("kid leather",)), Terms(("naked",), PROMPT)), PROMPT, "text")
    assert spans(near, "kid leather gloves, naked eye") == ()
    assert len(spans(near, "kid leather on a naked kid")) == 2


def test_parts_are_no_hits_of_their_own() -> None:
    """Only the group is a match, and only in its fields."""
    near = Together(
        (Terms(("child",), ("negative_prompt",)), Terms(("nude",), ("negative_prompt",))), ("negative_prompt",), 3
    )
    matcher = Matcher([near])
    assert matcher.search(Texts(RequestFacts(prompt="nude child", task="t"))) == {}
    hits = matcher.search(Texts(RequestFacts(prompt="", negative_prompt="nude child", task="t")))
    assert list(hits) == [near]


def test_inflected_terms() -> None:
    """The asked-for forms count, inside no other word, and the other conditions of the pack do not get them."""
    plural = Terms(("sword", "slit wrist"), PROMPT, inflect=("plural",))
    assert [(s.start, s.end) for s in spans(plural, "two Swords, sword, slit wrists")] == [(4, 10), (12, 17), (19, 30)]
    assert spans(plural, "swordfish") == ()
    both = Matcher([plural, other := Terms(("sword",), PROMPT)])
    assert other not in both.search(Texts(RequestFacts(prompt="swords", task="t")))


def test_a_list_serves_many_conditions() -> None:
    """The same list in two conditions, one of them with more words, gives each its own hits."""
    one = WordList("one", terms=("cat", "dog"))
    first, second = Terms((), PROMPT, lists=(one,)), Terms(("cow",), PROMPT, ("hot dog",), (one,))
    third = Terms((), PROMPT, ("hot dog",), (one,))
    hits = Matcher([first, second, third]).search(Texts(RequestFacts(prompt="hot dog, cow", task="t")))
    assert hits == {first: (Span("prompt", 4, 7),), second: (Span("prompt", 9, 12),)}


def test_spans_stay_bounded_and_fast() -> None:
    """Twenty thousand matches of every kind in 100,000 characters end in a bounded answer."""
    near = Together((Terms(("child",), PROMPT), Terms(("nude",), PROMPT)), PROMPT, 3)
    entities = Entities((ARTISTS,), PROMPT, near=("by",), within=3)
    assert len(spans(near, "child nude " * 9_000)) == MAX_SPANS
    assert len(spans(entities, "by rose " * 12_000)) == MAX_SPANS


LETTERS = st.lists(st.sampled_from("abcx"), max_size=12)


@given(LETTERS, st.integers(0, 4))
def test_together_agrees_with_a_plain_search(words: list[str], within: int) -> None:
    """Against trying every combination of places: the same places take part."""
    doubled = [word * 2 for word in words]
    places = {letter: [i for i, word in enumerate(words) if word == letter] for letter in "abc"}
    expected = {
        place
        for one in places["a"]
        for two in places["b"]
        for three in places["c"]
        if max(one, two, three) - min(one, two, three) - 1 <= within
        for place in (one, two, three)
    }
    condition = Together(tuple(Terms((letter * 2,), PROMPT) for letter in "abc"), PROMPT, within)
    assert [span.start // 3 for span in spans(condition, " ".join(doubled))] == sorted(expected)[:MAX_SPANS]


@given(LETTERS, st.integers(0, 4))
def test_near_agrees_with_a_plain_search(words: list[str], within: int) -> None:
    """Against comparing every pair: a name counts where a context word is within the bound and no clearing one is."""
    one = WordList("one", entities=(Entity("a", ("aa",)),))
    condition = Entities((one,), PROMPT, near=("bb",), unless_near=("cc",), within=within)

    def close(i: int, letter: str) -> bool:
        return any(word == letter and abs(i - j) - 1 <= within for j, word in enumerate(words))

    expected = [i for i, word in enumerate(words) if word == "a" and close(i, "b") and not close(i, "c")]
    found = spans(condition, " ".join(word * 2 for word in words))
    assert [span.start // 3 for span in found] == expected[:MAX_SPANS]


def test_entities_and_together_in_a_pack(
    pack_of: Callable[..., Pack], rule: Callable[..., str], given: Callable[..., PolicyInput]
) -> None:
    """As written in YAML: a list in the pack, its names in context, and a decision whose log leaf names no entity."""
    header = (
        "lists:\n  stars:\n    entities:\n      - {id: star:x, name: Xenia Quill, aliases: [XQ], kind: actor}\n"
        "      - {id: star:y, name: May, kind: actor, ambiguous: yes}\n"
    )
    when = "{entity: {list: stars, near: [photo of], near_for: ambiguous, kinds: [actor]}}"
    minors = "{together: {parts: [{any_of: [child], inflect: [plural]}, {pattern: '(?i)nud.'}], within: 4}}"
    pack = pack_of(rule("R-1", when=when), rule("R-2", when=minors), header=header)
    decision = judge([pack], given("a portrait of xq in may"))
    assert [(h.rule, [(s.start, s.end, s.entity) for s in h.spans]) for h in decision.hits] == [
        ("R-1", [(14, 16, "star:x")])
    ]
    assert "star:x" not in str(decision.to_leaf())
    assert judge([pack], given("photo of May")).verdict.value == "deny"
    assert judge([pack], given("May flowers")).verdict.value == "allow"
    assert [hit.rule for hit in judge([pack], given("two children, nude")).hits] == ["R-2"]


@pytest.mark.parametrize(
    ("when", "told"),
    [
        (
            "{entity: {list: star}}",
            "names no list of this pack (found star). Add it under `lists`. Did you mean stars?",
        ),
        ("{entity: {list: words}}", "is a list of terms, not of entities (found words). Use `terms`"),
        ("{terms: {list: stars}}", "is a list of entities, not of terms (found stars). Use `entity`"),
        ("{terms: {except: [a]}}", "needs `any_of` or `list`"),
        ("{terms: {any_of: [a], inflect: [plurals]}}", "Did you mean plural?"),
        ("{entity: {list: stars, within: 4}}", "has `within` and nothing to be near"),
        (
            "{entity: {list: stars, near: [by], within: 4000}}",
            "has to be a number of words from 0 to 1000 (found 4000)",
        ),
        ("{entity: {list: stars, near_for: all}}", "has `near_for` and no `near`"),
        (
            "{entity: {list: stars, kinds: [actress]}}",
            "no entity of the list has the kind actress. Did you mean actor?",
        ),
        ("{together: {parts: [{any_of: [a]}], within: 3}}", "needs two parts at least"),
        ("{together: {parts: [{any_of: [a]}, {any_of: [b]}]}}", "has no `within`"),
        ("{together: {parts: [{any_of: [a]}, {any_of: [b]}], within: page}}", "from 0 to 1000 or sentence or text"),
        (
            "{together: {parts: [{any_of: [a]}, {any_of: [b], pattern: c}], within: 3}}",
            "is a pattern or words, not both",
        ),
        ("{n: {}}", "needs a bound"),
        ("{n: {at_least: 5, under: 4}}", "no number lies inside these bounds"),
        ("{n: {at_most: four}}", "has to be a number from 0 on (found four)"),
        ("{inputs: {has: [picture]}}", "Write one of: image, mask, reference, control"),
        ("{tags: {any: [x]}}", "is not a key here"),
    ],
)
def test_each_mistake_in_these_conditions_is_told(
    when: str, told: str, problems_of: Callable[[str], Any], rule: Callable[..., str]
) -> None:
    """What is wrong, with the nearest right word."""
    lists = "lists:\n  words: {terms: [a, b]}\n  stars: {entities: [{id: s, name: Star, kind: actor}]}\n"
    text = f"policy: house\nversion: 1\ntitle: t\nowner: o\n{lists}rules:\n" + rule("R-1", when=when)
    assert told in "\n".join(map(str, problems_of(text)))


EVERYTHING = (
    Terms(("nude", "severed head", "裸体", "голая"), PROMPT, ("nude pink",), inflect=("plural", "verb")),
    Pattern(r"(?i)nu.e", PROMPT),
    Entities((ARTISTS,), PROMPT, near=("by", "style of"), unless_near=("not",), within=2, near_for="ambiguous"),
    Together((Terms(("nude",), PROMPT), Pattern("[a-z]{3}", PROMPT), Terms(("head", "by"), PROMPT)), PROMPT, 3),
    Together((Terms(("nude",), PROMPT), Terms(("head",), PROMPT)), PROMPT, "sentence"),
)
HARD = st.lists(
    st.sampled_from(
        [
            *("nude ", "n u d e ", "n.u.d.3", "severed\u200b head", "b\u202eedun\u202c", "by Rose ", "JQ Doe", "not "),
            *(
                "裸体",
                "голая",
                "\u0301",
                "ＮＵＤＥ",
                "Ηead",
                "nuuude",
                "s3vered h3ad!",
                ". ",
                "\n",
                "I|l1",
                "🅽",
                "İ",
                "ß",
                "ﬁ",
            ),
        ]
    )
    | st.text(max_size=3),
    max_size=25,
).map("".join)


@given(HARD)
def test_any_prompt_is_searched_and_every_span_lies_in_it(prompt: str) -> None:
    """Whatever disguises are mixed, nothing breaks, spans are in order, not empty, and inside the prompt."""
    hits = Matcher(EVERYTHING).search(Texts(RequestFacts(prompt=prompt, task="t")))
    for found in hits.values():
        assert list(found) == sorted(set(found))
        assert all(0 <= span.start < span.end <= len(prompt) for span in found)
    pieces = {prompt[span.start : span.end] for span in hits.get(EVERYTHING[1], ())}
    assert all(len(piece) >= 2 for piece in pieces)


@given(HARD)
def test_a_plain_word_is_found_beside_any_disguise(prompt: str) -> None:
    """No mixture of disguises hides a word that stands there in plain letters."""
    hits = Matcher(EVERYTHING).search(Texts(RequestFacts(prompt=f"nude\n\n{prompt}", task="t")))
    assert Span("prompt", 0, 4) in hits.get(EVERYTHING[0], ()) or len(hits[EVERYTHING[0]]) == MAX_SPANS


@pytest.mark.parametrize("between", [", ", ". ", "; ", " (", ": ", "\n", "、"])
def test_an_excepted_phrase_ends_where_a_thought_ends(between: str) -> None:
    """A comma, a full stop or a bracket in the middle makes two phrases of one, and the word counts."""
    naked = Terms(("naked",), PROMPT, excepted=("naked eye",))
    assert spans(naked, "seen with the naked eye, and the naked-eye view") == ()
    assert spans(naked, f"a woman, naked{between}eye contact") == (Span("prompt", 9, 14),)


def test_an_excepted_phrase_may_have_a_full_stop_of_its_own() -> None:
    """Where the exception is written with such a sign, it holds with it."""
    beheading = Terms(("beheading",), PROMPT, excepted=("beheading of St. John",))
    assert spans(beheading, "The beheading of St. John, after Caravaggio") == ()
