"""Helpers for the policy tests: packs from a few lines of YAML, and judgement inputs."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from limner_policy.errors import PolicyFileError, Problem
from limner_policy.loading import load_pack_bytes
from limner_policy.pack import Pack
from limner_policy.types import CandidateFacts, ContextFacts, Evidence, PolicyInput, RequestFacts

HEADER = "policy: house\nversion: 1.0\ntitle: House\nowner: legal\n"
RULE = """\
  - id: {id}
    title: Title of {id}
    says: Says {id}.
    why: Because.
    basis: [{{cite: House rule}}]
    severity: high
    stage: {stage}
    when: {when}
    then: {then}
"""

PackOf = Callable[..., Pack]
Given = Callable[..., PolicyInput]
ProblemsOf = Callable[[str], tuple[Problem, ...]]


def rule_text(rule_id: str = "R-1", **parts: str) -> str:
    """One rule in YAML; `extra` holds more lines of it."""
    values = {"id": rule_id, "stage": "request", "when": "{terms: {any_of: [sword]}}", "then": "{verdict: deny}"}
    text = RULE.format(**{**values, **{key: parts[key] for key in values if key in parts}})
    return text + textwrap.indent(parts.get("extra", ""), "    ") + "\n"


@pytest.fixture
def rule() -> Callable[..., str]:
    """Write a rule: `rule("R-1", when=…, then=…, stage=…, extra=…)`."""
    return rule_text


@pytest.fixture
def pack_of() -> PackOf:
    """Load a pack of rules given as YAML texts; `header` holds more lines of the pack."""

    def make(*rules: str, header: str = "", name: str = "house") -> Pack:
        text = HEADER.replace("house", name) + header + "rules:\n" + "".join(rules)
        return load_pack_bytes(text.encode(), f"{name}.yaml")

    return make


@pytest.fixture
def problems_of() -> ProblemsOf:
    """The problems of a file's text."""

    def problems(text: str) -> tuple[Problem, ...]:
        with pytest.raises(PolicyFileError) as caught:
            load_pack_bytes(text.encode(), "house.yaml")
        return caught.value.problems

    return problems


@pytest.fixture
def given() -> Given:
    """A judgement input: `given("prompt", stage=…, evidence=[…], region=…, licence=…)`."""

    def make(
        prompt: str = "", *, stage: Any = "request", instant: str = "2026-11-24T12:00:00Z", **more: Any
    ) -> PolicyInput:
        evidence = tuple(Evidence(**one) for one in more.pop("evidence", ()))
        request = {name: more.pop(name) for name in ("negative_prompt", "task") if name in more}
        candidate = {name: more.pop(name) for name in ("provider", "kind", "model", "licence") if name in more}
        return PolicyInput(
            instant=instant,
            stage=stage,
            request=RequestFacts(prompt=prompt, **{"task": "txt2img", **request}),
            context=ContextFacts(**more),
            candidate=CandidateFacts(**candidate) if candidate else None,
            evidence=evidence,
        )

    return make
