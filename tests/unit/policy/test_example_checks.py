"""Examples beside rules: what they stand for, and how a failing one is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from limner_policy.example_checks import check_examples
from limner_policy.pack import Pack

PackOf = Callable[..., Pack]
WriteRule = Callable[..., str]


def examples(*lines: str) -> str:
    return "examples:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


def test_good_examples_give_no_failure(pack_of: PackOf, rule: WriteRule) -> None:
    """Prompts, facts and scores that come out as expected."""
    pack = pack_of(
        rule("R-1", extra=examples("prompt: a sword, expect: deny", "prompt: an apple, expect: allow")),
        rule(
            "R-2",
            stage="image",
            when="{evidence: {detector: nsfw, category: nsfw, at_least: 0.8}}",
            extra="if_unknown: review\n"
            + examples(
                "evidence: [{detector: nsfw, category: nsfw, score: 0.8}], expect: deny",
                "evidence: [{detector: nsfw, category: nsfw, score: unknown}], expect: review",
                "expect: allow",
            ),
        ),
        rule("R-3", stage="candidate", when="{licence: {in: [gpl]}}", extra=examples("licence: GPL, expect: deny")),
    )
    assert check_examples(pack) == []


def test_a_wrong_verdict_is_told_with_file_line_and_reason(pack_of: PackOf, rule: WriteRule) -> None:
    """The failure names where the example stands, what was expected, and why it came out otherwise."""
    pack = pack_of(rule("R-1", extra=examples("prompt: a sword, expect: allow", "prompt: an apple, expect: deny")))
    first, second = check_examples(pack)
    assert str(first) == (
        "house.yaml:16: house/R-1: expected allow, got deny (deny: house/R-1 (Title of R-1): Says R-1.)"
    )
    assert str(second) == "house.yaml:17: house/R-1: expected deny, got allow"


def test_an_example_that_another_rule_decides_fails(pack_of: PackOf, rule: WriteRule) -> None:
    """A denial by a neighbour is no proof of the rule it stands beside."""
    other = rule("R-2", when="{terms: {any_of: [gun]}}", extra=examples("prompt: a sword, expect: deny"))
    (failure,) = check_examples(pack_of(rule("R-1"), other))
    assert "by R-1 and not by this rule" in str(failure)


@pytest.mark.parametrize(
    "extra",
    ["mode: audit", "mode: off", "effective: {from: 2027-01-01}", "effective: {until: 2020-01-01}"],
)
def test_examples_run_where_the_rule_is_not_yet_or_no_longer_in_force(
    pack_of: PackOf, rule: WriteRule, extra: str
) -> None:
    """A rule in audit mode or outside its dates is tested as if it were enforced at an instant of its own."""
    pack = pack_of(
        rule("R-1", extra=f"{extra}\n" + examples("prompt: a sword, expect: deny")),
        rule("R-2", when="{task: {in: [x]}}"),
    )
    assert check_examples(pack) == []


def test_as_of_puts_an_example_on_a_day(pack_of: PackOf, rule: WriteRule) -> None:
    """A border of dates can be held by two examples."""
    text = rule(
        "R-1",
        extra="effective: {from: 2026-12-02}\n"
        + examples(
            "prompt: sword, as_of: 2026-12-01, expect: allow",
            "prompt: sword, as_of: '2026-12-02T00:00:00Z', expect: deny",
        ),
    )
    assert check_examples(pack_of(text, rule("R-2", when="{task: {in: [x]}}"))) == []
