"""The policy language, version 1: which keys a pack and a rule have, and what their values are.

Its clauses are `clauses.py`, the `when` tree is `when.py`, files are `loading.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from limner_policy import yaml_reading as nodes
from limner_policy.clauses import (
    EFFECTIVE,
    EXAMPLE,
    ID,
    LINE,
    MODE_FROM,
    MODES,
    NAME,
    PROSE,
    THEN,
    VERDICT,
    Basis,
    Sources,
)
from limner_policy.concept_reading import Concepts, check_named, named_in
from limner_policy.concepts import Concept
from limner_policy.conditions import CANDIDATE_FACTS, EvidenceAtLeast, FactIn, walk
from limner_policy.handling import DEFAULT, NOTHING_KEPT, Handling
from limner_policy.handling_reading import Handlings
from limner_policy.licences.claims import ORGANISATION
from limner_policy.licences.conditions import LicenceCondition
from limner_policy.licences.organisation import Organisation
from limner_policy.listing import Lists
from limner_policy.pack import ALWAYS, Effective, Rule, Source
from limner_policy.shapes import Choice, Key, ListOf, Moment, Notes, Reading, Record, Text, suggestion
from limner_policy.types import STAGES
from limner_policy.verdicts import Verdict
from limner_policy.when import WHEN

SEVERITIES = ("low", "medium", "high", "critical")
MAX_RULES = 1_000


@dataclass(frozen=True)
class RawRule:
    """A rule before the pack's defaults and sources are put in; `node` is where it stands, `values` what was read."""

    node: nodes.Mapping
    path: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Header:
    """A pack as read, before its rules are finished."""

    name: str
    version: str
    title: str
    owner: str
    effective: Effective
    unknown: Verdict
    sources: dict[str, Source]
    rules: tuple[RawRule, ...]
    organisation: Organisation | None = None
    review_by: datetime | None = None
    concepts: dict[str, Concept] = field(default_factory=dict)
    handling: dict[str, Handling] = field(default_factory=dict)


RULE = Record(
    "a rule",
    {
        "id": Key(ID, required=True, help="How decisions and the log name the rule; unique in a file."),
        "title": Key(LINE, required=True, help="A few words that an end user may be shown."),
        "says": Key(PROSE, required=True, help="What the rule does, in one sentence for readers."),
        "why": Key(PROSE, required=True, help="The reason behind it."),
        "basis": Key(
            ListOf(Basis(), "sources", 50), required=True, help="Names under `sources`, or {cite: …} written out."
        ),
        "owner": Key(LINE, help="Who answers for the rule; else the pack's owner."),
        "severity": Key(Choice(SEVERITIES), required=True, help="How grave a breach is."),
        "stage": Key(
            Choice(STAGES),
            required=True,
            help="What is judged: the request, each engine, each picture, or its release.",
        ),
        "mode": Key(Choice(MODES), help="enforce counts; audit and warn are recorded only; off sleeps."),
        "mode_from": Key(MODE_FROM, help="From which day another mode holds: {enforce: 2027-01-15}."),
        "effective": Key(EFFECTIVE, help="{from: DAY, until: DAY}; until is the first day without the rule."),
        "review_by": Key(Moment(), help="The day by which people look at the rule again."),
        "when": Key(WHEN, required=True, help="The condition."),
        "then": Key(THEN, required=True, help="The verdict, with duties."),
        "if_unknown": Key(VERDICT, help="The verdict where the condition cannot be decided."),
        "examples": Key(
            ListOf(EXAMPLE, "examples", 500), help="Cases with the verdict that is expected of the whole pack."
        ),
    },
    lambda read: RawRule(read.node, read.path, read.values),
)


class Rules:
    """The rules; ids are compared before anything else, so that a doubled one is told whatever else is wrong."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> tuple[RawRule, ...]:
        """Read it."""
        first_lines: dict[str, int] = {}
        for index, key in _rule_ids(node):
            if key.text in first_lines:
                told = f"is the id of another rule too, in line {first_lines[key.text]}"
                notes.add(key, f"{path}[{index}].id", told, "Give each its own")
            first_lines.setdefault(key.text, key.line)
        return ListOf(RULE, "rules", MAX_RULES, tolerant=True).read(node, path, notes)


def _rule_ids(node: nodes.Node) -> Iterator[tuple[int, nodes.Scalar]]:
    for index, item in enumerate(node.items if isinstance(node, nodes.Sequence) else ()):
        for key, value in item.pairs if isinstance(item, nodes.Mapping) else ():
            if key.text == "id" and isinstance(value, nodes.Scalar) and value.text:
                yield index, value


def _header(read: Reading) -> Header:
    values = read.values
    return Header(
        name=values.get("policy", ""),
        version=values.get("version", ""),
        title=values.get("title", ""),
        owner=values.get("owner", ""),
        effective=values.get("effective", ALWAYS),
        unknown=Verdict(values.get("unknown_evidence", "deny")),
        sources=values.get("sources", {}),
        rules=values.get("rules", ()),
        organisation=values.get("organisation"),
        review_by=values.get("review_by"),
        concepts=values.get("concepts", {}),
        handling=values.get("handling", {}),
    )


PACK = Record(
    "a policy pack",
    {
        "policy": Key(NAME, required=True, help="The pack's name: small letters, digits, -."),
        "version": Key(Text("a version", 40), required=True, help="Any text; raise it with each change."),
        "title": Key(LINE, required=True, help="What the pack is called."),
        "owner": Key(LINE, required=True, help="Who answers for it."),
        "effective": Key(EFFECTIVE),
        "review_by": Key(Moment(), help="The day by which people look at the whole pack again."),
        "unknown_evidence": Key(
            Choice(("review", "deny")), help="What holds where something cannot be known: deny (the default) or review."
        ),
        "organisation": Key(ORGANISATION, help="What the house claims of itself, for licence rules."),
        "sources": Key(Sources(), help="What rules rest on, each with the day it was read."),
        "lists": Key(Lists(), help="Long lists of terms or entities, here or in files beside the pack."),
        "concepts": Key(Concepts(), help="What the detector clip looks for, in words: prompts for it and against it."),
        "handling": Key(Handlings(), help="What becomes of denied pictures, by name; `denied` holds for every denial."),
        "rules": Key(Rules(), required=True, help="The rules; their order never matters."),
    },
    _header,
    tolerant=True,
)


def finish_rules(header: Header, notes: Notes) -> tuple[Rule, ...]:
    """Put sources and defaults into the rules and check what no single value shows; problems go into `notes`."""
    for raw in header.rules:
        _check_stage(raw, notes)
        _check_bands(raw, notes)
        _check_mode_dates(raw, notes)
        named = named_in(raw.values["when"], raw.values.get("examples", ()))
        for missing in check_named(raw.node, raw.path, named, header.concepts):
            notes.add(*missing, show=False)
    return tuple(_finished(raw, header, notes) for raw in header.rules)


def _check_stage(raw: RawRule, notes: Notes) -> None:
    stage = raw.values["stage"]
    where = next(node for key, node in raw.node.pairs if key.text == "when")
    for node in walk(raw.values["when"]):
        if isinstance(node, EvidenceAtLeast) and stage in ("request", "candidate"):
            told = f"`evidence` is known at the stages image and release, and this rule's stage is {stage}"
            notes.add(where, f"{raw.path}.when", told, "Write `stage: image`", show=False)
        if isinstance(node, FactIn) and node.fact in CANDIDATE_FACTS and stage == "request":
            told = f"`{node.fact}` is not known at the stage request"
            notes.add(where, f"{raw.path}.when", told, "Write `stage: candidate`", show=False)
        if isinstance(node, LicenceCondition) and stage == "request":
            told = f"`licence: {{{node.key}: …}}` is not known at the stage request"
            notes.add(where, f"{raw.path}.when", told, "Write `stage: candidate`", show=False)


def _check_bands(raw: RawRule, notes: Notes) -> None:
    """A band below the threshold asks a person; that makes sense below a denial alone."""
    verdict = raw.values["then"][0]
    banded = any(isinstance(node, EvidenceAtLeast) and node.review_from for node in walk(raw.values["when"]))
    if banded and verdict is not Verdict.DENY:
        where = next(node for key, node in raw.node.pairs if key.text == "when")
        told = f"`review_from` asks a person below a threshold that denies, and this rule's verdict is {verdict}"
        notes.add(where, f"{raw.path}.when", told, "Lower `at_least`, or write `then: {verdict: deny}`", show=False)


def _check_mode_dates(raw: RawRule, notes: Notes) -> None:
    """A mode that begins outside the rule's own dates would never be met."""
    dates, modes = raw.values.get("effective", ALWAYS), raw.values.get("mode_from", ())
    for start, mode in modes:
        if not dates.covers(start):
            where = next(node for key, node in raw.node.pairs if key.text == "mode_from")
            told = f"{mode} begins on {start.date()}, outside the rule's `effective` dates"
            notes.add(where, f"{raw.path}.mode_from", told, "Move one of the dates", show=False)


def _finished(raw: RawRule, header: Header, notes: Notes) -> Rule:
    values = raw.values
    verdict, duties, named = values["then"]
    denied = header.handling.get(DEFAULT, NOTHING_KEPT)
    unknown = values.get("if_unknown")
    return Rule(
        id=values["id"],
        title=values["title"],
        says=values["says"].strip(),
        why=values["why"].strip(),
        basis=_cited(values["basis"], header, notes),
        owner=values.get("owner", header.owner),
        severity=values["severity"],
        stage=values["stage"],
        mode=values.get("mode", "enforce"),
        effective=values.get("effective", ALWAYS),
        when=values["when"],
        verdict=verdict,
        duties=duties,
        if_unknown=Verdict(unknown) if unknown else header.unknown,
        examples=values.get("examples", ()),
        lines=(raw.node.line, raw.node.last_line),
        mode_from=values.get("mode_from", ()),
        review_by=values.get("review_by", header.review_by),
        handling=_handled(named, header, notes) if named else denied,
        otherwise=denied,
    )


def _handled(named: tuple[nodes.Node, str, str], header: Header, notes: Notes) -> Handling:
    node, path, name = named
    if name not in header.handling:
        remedy = f"Add it under `handling`. {suggestion(name, header.handling)}".strip()
        notes.add(node, path, "names no handling of this pack", remedy)
    return header.handling.get(name, NOTHING_KEPT)


def _cited(basis: tuple[tuple[nodes.Node, str, Source | str], ...], header: Header, notes: Notes) -> tuple[Source, ...]:
    sources: list[Source] = []
    for node, path, given in basis:
        if isinstance(given, Source):
            sources.append(given)
        elif given in header.sources:
            sources.append(header.sources[given])
        else:
            remedy = f"Add it under `sources`, or write {{cite: …}}. {suggestion(given, header.sources)}"
            notes.add(node, path, "names no source of this pack", remedy.strip())
    return tuple(sources)
