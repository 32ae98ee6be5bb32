"""The editors' schema: made of the readers' own shapes, committed, and agreeing with them on real packs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from limner_policy import yaml_reading as nodes
from limner_policy.json_schema import policy_schema, schema_of, text
from limner_policy.language import PACK, RULE
from limner_policy.when import PREDICATES
from limner_policy.yaml_reading import read_yaml_strictly

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "policy" / "schema" / "policy.schema.json"
PACKS = sorted((ROOT / "policy" / "examples").glob("*.policy.yaml"))

jsonschema = pytest.importorskip("jsonschema")


def plain(node: nodes.Node) -> Any:
    """A node as an editor of YAML 1.2 sees it: numbers typed, everything else a text."""
    if isinstance(node, nodes.Mapping):
        return {key.text: plain(value) for key, value in node.pairs}
    if isinstance(node, nodes.Sequence):
        return [plain(item) for item in node.items]
    assert isinstance(node, nodes.Scalar)
    if not node.quoted:
        try:
            return json.loads(node.text, parse_constant=lambda _: node.text)
        except json.JSONDecodeError:
            return node.text
    return node.text


def problems(text: str) -> list[str]:
    """What the schema says against a pack's text."""
    checker = jsonschema.Draft202012Validator(policy_schema())
    value = plain(read_yaml_strictly(text.encode(), file="p.yaml"))
    return [error.message for error in checker.iter_errors(value)]


def test_the_committed_schema_is_the_generated_one() -> None:
    """`policy/schema/policy.schema.json` is what `python -m limner_policy.json_schema` prints."""
    assert COMMITTED.read_text(encoding="utf-8") == text()


def test_the_schema_is_a_schema_and_names_every_key() -> None:
    """It is valid JSON Schema and holds each key of a pack, a rule and a condition, and no other."""
    schema = policy_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]) == set(PACK.keys)
    assert set(schema["properties"]["rules"]["items"]["properties"]) == set(RULE.keys)
    assert set(schema["$defs"]["when"]["properties"]) == set(PREDICATES)


@pytest.mark.parametrize("pack", PACKS, ids=lambda path: path.name)
def test_the_packs_satisfy_it(pack: Path) -> None:
    """Each pack of `policy/examples` is valid for an editor too."""
    assert problems(pack.read_text(encoding="utf-8")) == []


GOOD = """\
policy: house
version: 1.0
title: House
owner: legal
lists:
  artists: {file: lists/artists.csv, owner: ip, refreshed: 2026-11-01, max_age_days: 90}
  short: {terms: [one, 2]}
rules:
  - id: R-1
    title: t
    says: s
    why: w
    basis: [{cite: c}]
    severity: high
    stage: request
    mode: warn
    mode_from: {enforce: 2027-01-15}
    when:
      any:
        - entity: {list: artists, near: [style of], within: 4}
        - together: {parts: [{list: short}, {pattern: 'a+b'}], within: sentence}
        - not: {n: {at_most: 4}}
    then: {verdict: deny, duties: [{visible_label: {text: AI}}, watermark]}
    examples: [{prompt: a, n: 2, tags: [x], expect: allow}]
"""


def test_the_newer_keys_are_in_it() -> None:
    """Lists, entities, words together, modes with dates and amounts are valid."""
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("severity: high", "severity: hihg"),
        ("mode: warn", "mod: warn"),
        ("    why: w\n", ""),
        ("{at_most: 4}", "{at_most: 4, more: 1}"),
        ("watermark", "watermarc"),
        ("enforce: 2027-01-15", "enforce: soon"),
        ("{terms: [one, 2]}", "{terms: [one], file: a.txt}"),
        ("lists/artists.csv", "lists/artists.exe"),
        ("not: {n: {at_most: 4}}", "not: {n: {at_most: 4}, steps: {over: 3}}"),
        ("within: sentence", "within: paragraph"),
    ],
)
def test_an_editor_sees_the_mistake(right: str, wrong: str) -> None:
    """Unknown words and keys, missing keys and two keys in one condition are refused while they are typed."""
    assert right in GOOD
    assert problems(GOOD.replace(right, wrong)) != []


def test_a_new_kind_of_shape_needs_a_schema() -> None:
    """A shape without one is an error of the builder and not a hole in the schema."""
    with pytest.raises(TypeError, match="object has no JSON Schema"):
        schema_of(object())


@pytest.mark.parametrize("pack", PACKS, ids=lambda path: path.name)
def test_the_packs_name_it_in_their_first_line(pack: Path) -> None:
    """An editor finds the schema beside the packs."""
    first, _, _ = pack.read_text(encoding="utf-8").partition("\n")
    assert first.startswith("# yaml-language-server: $schema=")
    assert (pack.parent / first.partition("=")[2]).resolve() == COMMITTED
