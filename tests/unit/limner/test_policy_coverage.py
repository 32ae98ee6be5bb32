"""What examples show of a pack, and which small changes of it they would notice."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from limner_policy.example_checks import check_examples
from limner_policy.loading import load_pack_bytes, load_packs
from limner_policy.matching import Matcher
from limner_policy.pack import Pack
from limner_policy.tools.coverage import coverage
from limner_policy.tools.mutants import mutants
from limner_policy.tools.mutation import mutate

PACK = """\
policy: t
version: "1"
title: T
owner: o@example.com
rules:
  - id: R-1
    title: T
    says: It is so.
    why: W.
    basis: [{cite: S}]
    severity: high
    stage: request
    effective: {from: 2026-06-01, until: 2026-09-01}
    when: {terms: {any_of: [sword, lance]}}
    then: {verdict: deny}
    examples:
      - {prompt: a sword, expect: deny}
      - {prompt: a lance, expect: deny}
      - {prompt: a pear, expect: allow}
  - id: R-2
    title: T
    says: It is so.
    why: W.
    basis: [{cite: S}]
    severity: high
    stage: image
    mode: warn
    mode_from: {enforce: 2027-01-01}
    when: {all: [{evidence: {detector: nsfw, category: nsfw, at_least: "0.5"}}, {audience: {in: [teens]}}]}
    then: {verdict: deny}
    if_unknown: review
    examples:
      - {audience: teens, evidence: [{detector: nsfw, category: nsfw, score: "0.6"}], expect: deny}
"""
DATES = """\
      - {prompt: a sword, as_of: "2026-05-31T23:59:59Z", expect: allow}
      - {prompt: a sword, as_of: "2026-06-01T00:00:00Z", expect: deny}
      - {prompt: a sword, as_of: "2026-08-31T23:59:59Z", expect: deny}
      - {prompt: a sword, as_of: "2026-09-01T00:00:00Z", expect: allow}
  - id: R-2
"""


def load(text: str) -> Pack:
    return load_pack_bytes(text.encode(), "t.policy.yaml")


def survivors(pack: Pack, rule: str, **setting: bool) -> list[str]:
    return [one.what for one in mutate(coverage(pack), **setting).survivors if one.rule == rule]


def test_gaps_are_named() -> None:
    """A rule without the other side, and a date without an example on both sides of it, are gaps."""
    found = coverage(load(PACK))
    first, second = found.rules
    assert (first.held, first.passed, first.can_be_unknown) == (2, 1, False)
    assert first.gaps == [
        "no example with an `as_of` before effective.from 2026-06-01",
        "no example with an `as_of` at or after effective.until 2026-09-01",
    ]
    assert "no example in which it does not hold" in second.gaps
    assert second.can_be_unknown
    assert (found.covered_rules, len(found.borders), found.percent) == (1, 3, 20)


def test_examples_on_both_sides_close_the_gaps() -> None:
    """With an example before and after each border the rule has no gap, and every example holds."""
    found = coverage(load(PACK.replace("  - id: R-2\n", DATES)))
    assert found.failures == ()
    assert found.rules[0].gaps == []


def test_an_example_with_a_day_shows_that_days_mode() -> None:
    """A rule with dated modes is shown as it is on the example's day; without a day it is shown enforced."""
    score = 'evidence: [{detector: nsfw, category: nsfw, score: "0.6"}]'
    before = f'      - {{audience: teens, as_of: "2026-12-31T23:59:59Z", {score}, expect: allow}}\n'
    after = before.replace("2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z").replace("expect: allow", "expect: deny")
    pack = load(PACK + before + after)
    assert [str(one) for one in check_examples(pack)] == []
    assert coverage(pack).rules[1].borders[0].crossed
    assert not [what for what in survivors(pack, "R-2") if what.startswith("mode_from")]


def test_a_day_outside_all_dates_is_refused_and_may_be_shown() -> None:
    """Where nothing is in force everything is refused, so an example of such a day expects a denial."""
    alone = (
        PACK[: PACK.index("  - id: R-2")] + '      - {prompt: a pear, as_of: "2026-05-01T00:00:00Z", expect: deny}\n'
    )
    assert check_examples(load(alone)) == []


def test_every_date_moved_by_a_day_is_noticed_by_examples_at_its_edges() -> None:
    """Examples in the last second before and in the first second of a day notice a date that moves by one day."""
    assert [what for what in survivors(load(PACK), "R-1") if "2026-" in what]
    shown = PACK.replace("  - id: R-2\n", DATES)
    assert not [what for what in survivors(load(shown), "R-1") if "2026-" in what]


def test_a_word_without_an_example_survives() -> None:
    """A dropped word is noticed exactly where an example holds by it alone."""
    assert "dropped “lance”" not in survivors(load(PACK), "R-1")
    bare = PACK.replace("      - {prompt: a lance, expect: deny}\n", "")
    assert "dropped “lance”" in survivors(load(bare), "R-1")


def test_a_dropped_rule_a_turned_condition_and_a_milder_verdict_are_noticed() -> None:
    """The plainest changes are noticed by an example that holds and one that does not."""
    noticed = {(one.rule, one.kind) for one in mutate(coverage(load(PACK))).changes if one.noticed_by}
    assert {("R-1", "rule"), ("R-1", "negate"), ("R-1", "verdict"), ("R-2", "rule"), ("R-2", "verdict")} <= noticed


def test_a_threshold_needs_examples_close_to_it() -> None:
    """A score far from the threshold notices no small move of it; scores at its border notice both."""
    moved = [what for what in survivors(load(PACK), "R-2") if what.startswith("threshold")]
    assert moved == ["threshold 0.50 → 0.51 (stricter evidence)", "threshold 0.50 → 0.49 (weaker evidence)"]
    edge = "".join(
        f'      - {{audience: teens, evidence: [{{detector: nsfw, category: nsfw, score: "{one}"}}], expect: {end}}}\n'
        for one, end in (("0.5", "deny"), ("0.499999", "allow"))
    )
    assert not [what for what in survivors(load(PACK + edge), "R-2") if what.startswith("threshold")]


def test_what_follows_from_not_knowing_is_changed_too() -> None:
    """A rule that can be undecided gets another if_unknown, which only an undecided example notices."""
    assert "if_unknown review → allow" in survivors(load(PACK), "R-2")
    unknown = '      - {evidence: [{detector: nsfw, category: nsfw, score: "0.6"}], expect: review}\n'
    assert not [what for what in survivors(load(PACK + unknown), "R-2") if what.startswith("if_unknown")]
    assert not [one for one in mutants(load(PACK).rules[0]) if one.kind == "if_unknown"]


def test_long_lists_are_thinned_in_runs_unless_every_word_is_wanted() -> None:
    """Twenty words give at most eight changes, or twenty."""
    words = ", ".join(f"word{chr(97 + i)}" for i in range(20))
    rule = load(PACK.replace("[sword, lance]", f"[{words}]")).rules[0]
    assert sum(one.kind == "term" for one in mutants(rule)) == 7
    assert sum(one.kind == "term" for one in mutants(rule, every_word=True)) == 20


def test_a_change_is_noticed_exactly_where_the_whole_changed_pack_fails_an_example() -> None:
    """Judging changes apart gives what loading each changed pack whole and running its examples gives."""
    pack = load(PACK.replace("  - id: R-2\n", DATES))
    for rule, found in (
        (rule, [one for one in mutate(coverage(pack)).changes if one.rule == rule.id]) for rule in pack.rules
    ):
        for mutant, one in zip(mutants(rule), found, strict=True):
            rules = tuple(mutant.rule if other is rule else other for other in pack.rules)
            left = tuple(other for other in rules if other)
            whole = dataclasses.replace(pack, rules=left, matcher=Matcher(other.when for other in left))
            # Examples of a rule that was dropped are gone with it, so they are looked at beside the whole pack.
            fails = bool(check_examples(whole)) or (mutant.rule is None and bool(rule.examples))
            assert fails is (one.noticed_by is not None), mutant.what


def test_an_example_that_fails_already_notices_nothing() -> None:
    """A change is not counted as noticed by an example that was wrong before."""
    wrong = PACK.replace("{prompt: a pear, expect: allow}", "{prompt: a pear, expect: deny}")
    assert "turned round: the prompt names “sword” or “lance”" not in survivors(
        load(wrong), "R-1"
    )  # a sword notices it
    found = mutate(
        coverage(
            load(
                wrong.replace("      - {prompt: a sword, expect: deny}\n", "").replace(
                    "      - {prompt: a lance, expect: deny}\n", ""
                )
            )
        )
    )
    assert all(one.noticed_by is None for one in found.changes if one.rule == "R-1")


def test_changed_conditions_of_every_kind_can_be_judged() -> None:
    """Each change of a rule with every kind of condition is a rule that the engine evaluates without failing."""
    when = """
      any:
        - all:
            - {entity: {list: rivals, kinds: [mark, firm], near: [logo], unless_near: [review], within: 4}}
            - {not: {inputs: {has: [image, mask]}}}
            - {tags: {has: [a, b]}}
        - {together: {parts: [{any_of: [child, kid]}, {any_of: [beer, wine]}], within: 6}}
        - {all: [{n: {at_least: 2, at_most: 4}}, {region: {not_in: [us, ca]}}]}
        - {terms: {any_of: [sword, lance], except: [sword lily], fields: [prompt, negative_prompt], inflect: [plural]}}
        - {re2: {pattern: 'a+b', fields: [prompt, negative_prompt]}}"""
    lists = "lists:\n  rivals: {entities: [{id: x, name: Contoso, kind: mark}, {id: y, name: Fabrikam, kind: firm}]}\n"
    text = PACK[: PACK.index("  - id: R-2")].replace("{terms: {any_of: [sword, lance]}}", when)
    found = mutate(coverage(load(text.replace("rules:", f"{lists}rules:"))))
    assert {one.kind for one in found.changes} >= {
        "context",
        "exception",
        "field",
        "logic",
        "negate",
        "part",
        "term",
        "threshold",
        "value",
    }
    assert found.score > 0


@pytest.mark.parametrize(("name", "least"), [("general", 85), ("eu-marketing", 95)])
def test_the_packs_are_covered_whole(name: str, least: int) -> None:
    """Both packs have every rule and date shown, no failing example, and the mutation score that the docs report."""
    [pack] = load_packs([Path(__file__).parents[3] / "policy" / "examples" / f"{name}.policy.yaml"])
    found = coverage(pack)
    assert [str(one) for one in found.failures] == []
    assert [one.gaps for one in found.rules if one.gaps] == []
    assert found.percent == 100
    assert mutate(found).score >= least
