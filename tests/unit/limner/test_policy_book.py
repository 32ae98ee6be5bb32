"""The policy book: complete, in plain words, escaped, and loading nothing."""

from __future__ import annotations

import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest

from limner_policy.loading import load_pack_bytes, load_packs
from limner_policy.pack import Pack
from limner_policy.tools.book import GLOSSARY, book
from limner_policy.tools.coverage import coverage
from limner_policy.tools.findings import Finding
from limner_policy.tools.mutation import mutate
from limner_policy.tools.phrases import example_words, phrase
from limner_policy.when import PREDICATES

EXAMPLES = Path(__file__).parents[3] / "policy" / "examples"
DAY = date(2026, 11, 25)
EVIL = """\
policy: t
version: "1"
title: "<b onmouseover='x()'>T</b>"
owner: o@example.com
sources:
  s: {cite: "C <script>alert(1)</script>", read: 2026-01-01, url: "javascript:alert(1)", quote: "a \\"quote\\" & more"}
rules:
  - id: R-1
    title: "</title><script>x</script>"
    says: "Says \\u202egnorw."
    why: "W </pre><img src=x onerror=y>"
    basis: [s]
    severity: high
    stage: request
    when: {re2: {pattern: '(?:<i>|&amp;)+'}}
    then: {verdict: deny}
    examples:
      - {prompt: "<i>x</i>", expect: deny}
"""


class _Reader(HTMLParser):
    """Counts open elements, and collects texts, anchors and what would load something."""

    void = frozenset({"meta", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module", params=["general", "eu-marketing"])
def pack(request: pytest.FixtureRequest) -> Pack:
    """Give each pack that is shipped."""
    return load_packs([EXAMPLES / f"{request.param}.policy.yaml"])[0]


def test_the_book_holds_everything_that_is_signed(pack: Pack) -> None:
    """Each rule with its sentence, reason, sources, examples and exact lines; sources with days; glossary; digest."""
    page = book(pack, DAY)
    text = read(page).text
    for rule in pack.rules:
        assert all(part in text for part in (rule.id, rule.title, rule.says, rule.why, pack.rule_text(rule.id)[:200]))
        assert all(source.cite in text and (source.via or "") in text for source in rule.basis)
        # Invisible characters of an example are spelled out on the page, so only plain ones are looked for as they are.
        assert all(example_words(e) in text for e in rule.examples if example_words(e).isprintable())
    assert all(word in text and meaning in text for word, meaning in GLOSSARY)
    assert text.count(pack.sha256) == 2
    assert "signature" in text


def test_the_book_is_one_file_that_loads_nothing(pack: Pack) -> None:
    """No script, picture, style sheet or font from elsewhere; links go to the web or to a place in the page."""
    reader = read(book(pack, DAY))
    tags = {tag for tag, _ in reader.seen}
    assert not tags & {"script", "img", "link", "iframe", "object", "embed", "form", "base"}
    assert not [attributes for _, attributes in reader.seen if {"src", "style", "onclick"} & attributes.keys()]
    anchors = {attributes["id"] for _, attributes in reader.seen if "id" in attributes}
    for target in (str(attributes["href"]) for tag, attributes in reader.seen if tag == "a"):
        assert target.startswith(("https://", "http://")) or target.removeprefix("#") in anchors


def test_the_same_pack_gives_the_same_book(pack: Pack) -> None:
    """Nothing but the day of printing changes, so two prints of one digest can be compared."""
    assert book(pack, DAY) == book(pack, DAY)
    assert book(pack, DAY).replace("2026-11-25", "") != book(pack, date(2027, 1, 9)).replace("2026-11-25", "")


def test_everything_from_a_pack_is_escaped() -> None:
    """Markup, quotes, addresses of programs and direction characters in a pack are text on the page."""
    page = book(load_pack_bytes(EVIL.encode(), "<evil>.yaml"), DAY)
    reader = read(page)
    assert not {tag for tag, _ in reader.seen} & {"script", "img", "b "}
    assert "javascript:" not in "".join(str(a.get("href", "")) for _, a in reader.seen)
    assert "\u202e" not in page
    assert "\\u202e" in page
    assert "<script>alert(1)</script>" in reader.text
    assert not [a for _, a in reader.seen if any(name.startswith("on") for name in a)]


def test_state_findings_and_score_stand_on_it(pack: Pack) -> None:
    """The book says how many examples hold, what lint found, and the mutation score that was measured."""
    measured = mutate(coverage(pack))
    finding = Finding(pack.file, 7, "R-1", "overdue", "it had to be looked at", "Look")
    text = read(book(pack, DAY, findings=[finding], measured=measured)).text
    total = sum(len(rule.examples) for rule in pack.rules)
    assert f"{total} of {total} come out as written" in text
    assert f"{measured.score} % of {len(measured.changes)} small changes" in text
    assert "line 7, R-1: it had to be looked at" in text


def test_an_example_that_fails_is_marked() -> None:
    """The table of a rule says which example does not come out as written."""
    wrong = EVIL.replace("expect: deny}", "expect: allow}")
    assert "<td>fails</td>" in book(load_pack_bytes(wrong.encode(), "t.yaml"), DAY)


WORDED = {
    "all: [{region: {in: [eu]}}]": "all of these hold: (the region is eu)",
    "not: {region: {not_in: [eu, us]}}": "this does not hold: (the region is none of eu or us)",
    "any: [{tags: {has: [a, b]}}]": "at least one of these holds: (the request carries the tag a or b)",
    "terms: {any_of: [x, y], except: [x ray], fields: [prompt, negative_prompt]}": (
        "the prompt or the negative prompt names “x” or “y”, other than in “x ray”"
    ),
    "re2: {pattern: 'a+b'}": "the prompt matches the pattern a+b",
    "entity: {list: rivals, near: [logo], within: 3}": (
        "the prompt names somebody or something on the list rivals (1 rows), at most 3 words from “logo”"
    ),
    "together: {parts: [{any_of: [a1]}, {pattern: 'b+'}], within: sentence}": (
        "the prompt holds together, in one sentence: “a1”; and a match of b+"
    ),
    "inputs: {has: [image]}": "the request brings a picture to start from",
    "n: {at_least: 2, under: 5}": "the number of pictures is at least 2 and under 5",
    "task: {in: [inpaint]}": "the task is inpaint",
    "purpose: {in: [ads]}": "the purpose is ads",
}


@pytest.mark.parametrize(("when", "words"), WORDED.items())
def test_conditions_in_plain_words(when: str, words: str) -> None:
    """Each predicate reads as English and says exactly what it asks."""
    lists = "lists: {rivals: {entities: [{id: a, name: Contoso}]}}\n"
    text = re.sub(r"(?m)^    when: .*$", f"    when: {{{when}}}", EVIL).replace("rules:\n", f"{lists}rules:\n")
    assert phrase(load_pack_bytes(text.encode(), "t.yaml").rules[0].when).line == words


def test_every_predicate_has_words() -> None:
    """No predicate of the language is described by the name of a class."""
    values = {
        "all": "[{region: {in: [eu]}}]", "any": "[{region: {in: [eu]}}]", "not": "{region: {in: [eu]}}",
        "terms": "{any_of: [x]}", "re2": "{pattern: 'a+'}", "entity": "{list: rivals}",
        "together": "{parts: [{any_of: [a1]}, {any_of: [b1]}], within: 3}",
        "evidence": "{detector: nsfw, category: nsfw, at_least: '0.5'}",
        "licence": "{allows: commercial_outputs}", "tags": "{has: [x]}", "inputs": "{has: [image]}",
    }  # fmt: skip
    lists = "lists: {rivals: {entities: [{id: a, name: Contoso}]}}\n"
    for name in PREDICATES:
        value = values.get(name) or ("{at_least: 2}" if name in _AMOUNTS else "{in: [x]}")
        text = re.sub(r"(?m)^    when: .*$", f"    when: {{{name}: {value}}}", EVIL).replace(
            "stage: request", "stage: image"
        )
        told = phrase(
            load_pack_bytes(text.replace("rules:\n", f"{lists}rules:\n").encode(), "t.yaml").rules[0].when
        ).line
        assert not re.search(r"\b[A-Z][a-z]+[A-Z]\w+ holds", told), name


_AMOUNTS = {"n", "steps", "width", "height", "pixels", "guidance_scale", "strength"}
