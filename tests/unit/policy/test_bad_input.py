"""Hostile and broken files and prompts: an exact message, and bounded work."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner_policy import Pack, PolicyFileError, embedded_pack, judge, load_pack_bytes, load_packs
from limner_policy.safety import unsafe
from limner_policy.types import PolicyInput

HEADER = "policy: house\nversion: 1\ntitle: House\nowner: legal\nrules:\n"
WriteRule = Callable[..., str]
ProblemsOf = Callable[[str], Any]


def test_an_unknown_predicate_three_levels_deep_is_told_in_its_place(problems_of: ProblemsOf, rule: WriteRule) -> None:
    """With line, column, path and the nearest known word."""
    (problem,) = problems_of(HEADER + rule("R-1", when="{all: [{any: [{not: {terns: {any_of: [a]}}}]}]}"))
    assert str(problem) == (
        "house.yaml:13:32: rules[0].when.all[0].any[0].not: `terns` is no condition. Did you mean terms?"
    )


@pytest.mark.parametrize(
    "pattern", ["(a{1000}){1000}", "((((a{30}){30}){30}){30})", "a{100001}", r"(\pL{500}){500}", "(x+x+)+y{1001}"]
)
def test_a_pattern_that_would_explode_is_refused(pattern: str, problems_of: ProblemsOf, rule: WriteRule) -> None:
    """RE2 says no while the pack is loaded, in its own words."""
    (problem,) = problems_of(HEADER + rule("R-1", when=f"{{re2: {{pattern: '{pattern}'}}}}"))
    assert problem.path == "rules[0].when.re2.pattern"
    assert "is no RE2 pattern" in problem.message


def test_a_pattern_that_is_slow_elsewhere_is_linear_here(
    pack_of: Callable[..., Pack], rule: WriteRule, given: Callable[..., PolicyInput]
) -> None:
    """(a+)+$ on 100,000 letters ends at once."""
    pack = pack_of(rule("R-1", when="{re2: {pattern: '(a+)+(b+)+c'}}"))
    assert judge([pack], given("ab" * 50_000)).allowed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [x]\nb: [*a, *a]\n", "anchors (&name) are not accepted"),
        ("%YAML 1.1\n---\npolicy: a\n", "directives"),
        ("policy: a\n---\npolicy: b\n", "a second document begins here"),
        ("policy: !!python/object:os.system a\n", "tags (!name) are not accepted"),
        ("policy:\ta\n\tversion: 1\n", "a tab stands where only spaces may"),
        ("policy: a\nrules: " + "[" * 50 + "]" * 50, "more than 24 levels of nesting"),
        ("policy: a\x00b\n", "a character that YAML does not allow"),
        ("policy: a\x85b\n", "line ends like U+0085 are not accepted"),
        ("<<: {a: b}\npolicy: a\n", "merge keys"),
    ],
)
def test_yaml_that_expands_or_deceives_is_refused(text: str, message: str, problems_of: ProblemsOf) -> None:
    """Billion laughs, directives, tags, tabs, depth, odd characters: refused where they stand."""
    assert message in "\n".join(map(str, problems_of(text)))


def test_a_pack_that_is_too_large_is_not_parsed(tmp_path: Path) -> None:
    """50 MB of YAML are refused by their size."""
    file = tmp_path / "big.yaml"
    with file.open("wb") as stream:
        stream.truncate(50 * 1024 * 1024)
    with pytest.raises(PolicyFileError, match="and may have 1,048,576"):
        load_packs([file])


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("effective: {from: 2027-01-01, until: 2026-01-01}\n", "ends before it begins"),
        ("effective: {from: 2026-02-30}\n", "is no date of the calendar"),
        ("mode_from: {enforce: 2027-01-01, warn: 2027-01-01}\n", "enforce and warn begin at the same instant"),
        ("mode_from: {}\n", "names no mode"),
        ("mode_from: {on: 2027-01-01}\n", "is not a key here"),
        (
            "effective: {until: 2026-12-01}\nmode_from: {enforce: 2027-01-01}\n",
            "enforce begins on 2027-01-01, outside the rule's `effective` dates",
        ),
        ("review_by: next year\n", "has to be a date"),
    ],
)
def test_dates_that_contradict_each_other_are_told(
    extra: str, message: str, problems_of: ProblemsOf, rule: WriteRule
) -> None:
    """A rule that ends before it begins, or that changes its mode when it is not in force."""
    assert message in "\n".join(map(str, problems_of(HEADER + rule("R-1", extra=extra))))


def test_a_broken_pack_leaves_nothing_in_force(tmp_path: Path, rule: WriteRule) -> None:
    """One bad list of one pack, and no pack at all is loaded."""
    (tmp_path / "a.yaml").write_text(HEADER + rule("R-1"))
    lists = "lists: {words: {file: words.txt}}\n"
    (tmp_path / "b.yaml").write_text(HEADER.replace("rules:\n", f"{lists}rules:\n") + rule("R-1"))
    (tmp_path / "words.txt").write_text("\n")
    with pytest.raises(PolicyFileError) as caught:
        load_packs([tmp_path])
    assert [Path(problem.file).name for problem in caught.value.problems] == ["words.txt"]


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "nude child ",
        "n u d e ",
        "n\u200bu\u200bd\u200be",
        "пudе ",
        "\u202eedun\u202c ",
        "1!|0 ",
        "k1||3r n00d3s ",
        "裸体",
        "\u0301",
        "🅽🆄🅳🅴",
        "how to make a ",
        "((((",
        "a.b-c_",
        "nuuuuude",
        "ΗΙΥ",
    ],
)
def test_prompts_of_100_000_characters_are_decided(piece: str, given: Callable[..., PolicyInput]) -> None:
    """Whatever they consist of, with the embedded pack; anything quadratic would run into the time limit."""
    packs = load_packs([embedded_pack()])
    decision = judge(packs, given(piece * (100_000 // len(piece)), negative_prompt=piece * 100))
    assert all(not hit.failed for hit in decision.hits)
    assert len(str(decision.to_leaf())) < 64 * 1024


@pytest.mark.parametrize(
    "prompt",
    [
        "a photo of a пudе man",
        "a \u202eedun\u202c man",
        "n\u00adu\u2060d\u200de",
        "N U D E",
        "nud3!",
        "ｎｕｄｅ",
        "ᴎude nudᏋ nude",
    ],
)
def test_the_embedded_pack_sees_through_disguises(prompt: str, given: Callable[..., PolicyInput]) -> None:
    """Homoglyphs, overrides, hidden characters, spacing, leetspeak and width hide nothing."""
    assert judge(load_packs([embedded_pack()]), given(prompt)).verdict.value == "deny"


def test_a_pack_that_allows_everything_is_called_unsafe(
    pack_of: Callable[..., Pack], rule: WriteRule, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing enforced, or nothing that refuses: loading says so in the log, and a real safeguard is not blamed."""
    watched, lax = rule("R-1", extra="mode: audit\n"), rule("R-1", then="{verdict: allow}", extra="if_unknown: allow\n")
    assert "ever in `enforce` mode" in unsafe(pack_of(watched))
    assert "gives review or deny" in unsafe(pack_of(lax))
    # A question about words is never unknown, so what holds where it is (deny, unless written) refuses nothing.
    assert "gives review or deny" in unsafe(pack_of(rule("R-1", then="{verdict: allow}")))
    asks = rule("R-1", when="{audience: {in: [children]}}", then="{verdict: allow}")
    assert unsafe(pack_of(asks)) == ""
    assert unsafe(pack_of(rule("R-1"))) == ""
    assert unsafe(pack_of(rule("R-1", extra="mode: warn\nmode_from: {enforce: 2099-01-01}\n"))) == ""
    (tmp_path / "lax.yaml").write_text(HEADER + lax)
    with caplog.at_level(logging.WARNING, "limner_policy"):
        load_packs([tmp_path, embedded_pack()])
    assert [record.getMessage().split(" is unsafe")[0] for record in caplog.records] == [
        f"Policy house ({tmp_path / 'lax.yaml'})"
    ]


def test_an_empty_policy_denies(given: Callable[..., PolicyInput]) -> None:
    """No pack, and a pack whose rules all sleep, refuse everything; a pack without rules is no pack."""
    assert judge([], given("apple")).verdict.value == "deny"
    with pytest.raises(PolicyFileError, match="has 0 items and may have 1 to"):
        load_pack_bytes((HEADER.rstrip() + " []\n").encode(), "empty.yaml")
