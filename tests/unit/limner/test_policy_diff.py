"""The red-line of two packs: every difference told as a sentence, and in which direction it goes."""

from __future__ import annotations

import pytest

from limner_policy.loading import load_pack_bytes
from limner_policy.pack import Pack
from limner_policy.tools.comparing import PackChange, RuleChange, compare
from limner_policy.tools.redline import lines, redline

OLD = """\
policy: t
version: "1"
title: T
owner: o@example.com
sources:
  s: {cite: Law 1, read: 2026-01-01}
lists:
  rivals: {entities: [{id: a, name: Contoso}, {id: b, name: Fabrikam}]}
rules:
  - id: R-1
    title: No swords
    says: Swords are refused.
    why: W.
    basis: [s]
    severity: high
    stage: image
    effective: {from: 2026-06-01}
    when:
      all:
        - terms: {any_of: [sword, lance], except: [sword lily]}
        - evidence: {detector: nsfw, category: nsfw, at_least: "0.5"}
        - audience: {in: [children, teens]}
        - n: {at_least: 2}
    then: {verdict: review, duties: [watermark]}
    if_unknown: review
    examples:
      - {prompt: a sword, expect: allow}
  - id: R-2
    title: Rivals
    says: Rivals are looked at.
    why: W.
    basis: [{cite: House}]
    severity: low
    stage: request
    when: {entity: {list: rivals, near: [logo], within: 6}}
    then: {verdict: review}
"""


HELD = "held for a person to decide"


def load(text: str, name: str = "t.yaml") -> Pack:
    return load_pack_bytes(text.encode(), name)


def change(old: str, new: str, text: str = OLD) -> RuleChange:
    """Give what became of the one rule that an edit touches."""
    assert old in text
    [pack] = compare([load(text)], [load(text.replace(old, new))])
    [rule] = pack.rules
    return rule


def told(rule: RuleChange) -> list[str]:
    return [f"{one.sign} {one.text}" for one in rule.sentences]


@pytest.mark.parametrize(
    ("old", "new", "effect", "sentence"),
    [
        ('at_least: "0.5"', 'at_least: "0.35"', "tightened", "~ threshold of nsfw/nsfw: 0.50 → 0.35"),
        ('at_least: "0.5"', 'at_least: "0.7"', "loosened", "~ threshold of nsfw/nsfw: 0.50 → 0.70"),
        ("[sword, lance]", "[sword, lance, spear]", "tightened", "~ terms added (1): “spear”"),
        ("[sword, lance]", "[sword]", "loosened", "~ terms dropped (1): “lance”"),
        (
            "except: [sword lily]",
            "except: [sword lily, sword dance]",
            "loosened",
            "~ exceptions added (1): “sword dance”",
        ),
        ("in: [children, teens]", "in: [children]", "loosened", "~ the audience dropped (1): teens"),
        ("at_least: 2", "at_least: 1", "tightened", "~ the number of pictures, at least: 2 → 1"),
        ("verdict: review, duties", "verdict: deny, duties", "tightened", f"~ outcome: {HELD} → refused"),
        ("duties: [watermark]", "duties: [blur]", "both", "- duty dropped: watermark"),
        ("if_unknown: review", "if_unknown: allow", "loosened", f"~ where it cannot be decided: {HELD} → allowed"),
        ("from: 2026-06-01", "from: 2026-07-01", "loosened", "~ effective: from 2026-06-01 on → from 2026-07-01 on"),
        (
            "stage: image\n",
            "stage: image\n    mode: audit\n",
            "loosened",
            "~ mode: in force → recorded only, decides nothing",
        ),
        (
            "says: Swords are refused.",
            "says: Blades are refused.",
            "same",
            "~ says: Swords are refused. → Blades are refused.",
        ),
        (
            "cite: Law 1, read: 2026-01-01",
            "cite: Law 1, read: 2026-05-01",
            "same",
            "~ Law 1: read: 2026-01-01 → 2026-05-01",
        ),
        ("cite: Law 1", "cite: Law 2", "same", "- no longer rests on Law 1"),
        ("a sword, expect: allow}", "a spear, expect: allow}", "same", "+ examples added: 1"),
    ],
)
def test_each_difference_is_a_sentence_with_its_direction(old: str, new: str, effect: str, sentence: str) -> None:
    """Thresholds, words, facts, dates, duties, modes, sources, texts: what changed, and whether it is stricter."""
    found = change(old, new)
    assert (found.rule, found.kind) == ("R-1", "changed")
    assert sentence in told(found)
    assert found.effect == effect


def test_a_word_for_another_is_stricter_and_milder() -> None:
    """A term replaced by another goes both ways."""
    found = change("[sword, lance]", "[sword, spear]")
    assert found.effect == "both"
    assert told(found) == ["~ terms added (1): “spear”", "~ terms dropped (1): “lance”"]


def test_conditions_that_come_and_go_are_told() -> None:
    """A further condition makes a rule milder; `all` that became `any` makes it stricter."""
    found = change("        - n: {at_least: 2}\n", "        - n: {at_least: 2}\n        - region: {in: [eu]}\n")
    assert told(found) == ["~ condition added: the region is eu"]
    assert change("      all:\n", "      any:\n").effect == "tightened"
    one = "{entity: {list: rivals, near: [logo], within: 6}}"
    wrapped = change(f"when: {one}", f"when: {{all: [{one}, {{region: {{in: [eu]}}}}]}}")
    assert told(wrapped) == ["~ a condition now stands in addition to others", "~ condition added: the region is eu"]


def test_lists_are_compared_row_by_row() -> None:
    """An entity that is added is named at its rule, and the list's rows are counted at the pack."""
    new = OLD.replace("{id: b, name: Fabrikam}", "{id: b, name: Fabrikam, aliases: [Fab]}, {id: c, name: Northwind}")
    [pack] = compare([load(OLD)], [load(new)])
    assert [one.text for one in pack.sentences] == ["list rivals: 2 → 3 rows"]
    assert told(pack.rules[0]) == [
        "~ list rivals: entities added (1): “Northwind”",
        "~ list rivals: entities changed (1): “Fabrikam”",
    ]


def test_rules_that_come_go_and_are_renamed() -> None:
    """A new rule is read out whole, one that is gone too; one with another id and the same condition is renamed."""
    cut = OLD[: OLD.index("  - id: R-2")]
    [added] = compare([load(cut)], [load(OLD)])[0].rules
    assert (added.kind, added.effect) == ("added", "tightened")
    assert "+ then" not in told(added)
    assert "+ House" in told(added)
    [gone] = compare([load(OLD)], [load(cut)])[0].rules
    assert (gone.kind, gone.effect) == ("removed", "loosened")
    [renamed] = compare([load(OLD)], [load(OLD.replace("id: R-2", "id: R-9"))])[0].rules
    assert (renamed.kind, renamed.rule, renamed.effect) == ("renamed", "R-9", "same")


def test_a_rule_that_only_records_changes_no_decision() -> None:
    """A new rule in audit mode is added and decides nothing."""
    cut = OLD[: OLD.index("  - id: R-2")]
    [added] = compare([load(cut)], [load(OLD.replace("severity: low\n", "severity: low\n    mode: audit\n"))])[0].rules
    assert (added.kind, added.effect) == ("added", "same")


def test_the_same_bytes_do_not_differ_and_packs_are_paired_by_name() -> None:
    """Equal packs are left out; of several, each is held against the one of its name, or against none."""
    other = load(OLD.replace("policy: t", "policy: u"))
    assert compare([load(OLD)], [load(OLD, "elsewhere.yaml")]) == []
    names = [(one.name, one.old is None, one.new is None) for one in compare([load(OLD)], [load(OLD), other])]
    assert names == [("u", True, False)]


def _changes() -> list[PackChange]:
    text = OLD.replace('version: "1"', 'version: "2"').replace("[sword, lance]", "[sword, '<script>alert(1)</script>']")
    return compare([load(OLD)], [load(text)])


def test_the_page_escapes_and_loads_nothing() -> None:
    """What stands in a pack is text on the page; there is no script and no address of a resource."""
    page = redline(_changes())
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "src=" not in page
    assert "Content-Security-Policy" in page


def test_the_lines_name_versions_and_count() -> None:
    """The lines begin with both versions and a count."""
    first, second, *_ = lines(_changes())
    assert first.startswith("t: 1 (")
    assert second == "  rules: 1 changed both ways"


def test_a_condition_of_very_many_cases_is_compared_in_bounded_time() -> None:
    """Where cases are too many, an outcome is still compared, and of a changed condition nothing is claimed."""
    facts = ("region", "audience", "purpose", "tenant", "project")
    parts = [", ".join(f"{{{fact}: {{in: [{part}{i} , z]}}}}" for i, fact in enumerate(facts)) for part in "abcdef"]
    when = f"{{all: [{', '.join(f'{{any: [{part}]}}' for part in parts)}]}}"
    text = OLD[: OLD.index("  - id: R-1")] + OLD[OLD.index("  - id: R-2") :].replace(
        "{entity: {list: rivals, near: [logo], within: 6}}", when
    )
    assert change("then: {verdict: review}", "then: {verdict: deny}", text).effect == "tightened"
    found = change("[a0 , z]", "[a0 , y]", text)
    assert found.effect == "not told"
    assert "~ the region added (1): y" in told(found)
