"""How much of a pack its examples show: every rule holding and not holding, and both sides of every date border."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from limner_policy.example_checks import ExampleFailure, failure, instant_in_force, judge_example
from limner_policy.pack import Example, Pack, Rule
from limner_policy.tools.phrases import moment
from limner_policy.tools.reach import UNKNOWN, can
from limner_policy.tools.timeline import Border, borders
from limner_policy.verdicts import Decision


@dataclass(frozen=True, slots=True)
class Ran:
    """One example and what came of it; `held` is True, False, or None where its rule could not be decided."""

    rule: Rule
    example: Example
    instant: datetime
    decision: Decision
    held: bool | None


@dataclass(frozen=True, slots=True)
class BorderCover:
    """A date border of a rule, and whether an example stands before it and one at or after it."""

    border: Border
    before: bool
    after: bool

    @property
    def crossed(self) -> bool:
        """Whether both sides are shown."""
        return self.before and self.after


@dataclass(frozen=True, slots=True)
class RuleCover:
    """What the examples beside one rule show.

    `held`, `passed` and `unknown` count examples in which it held, did not hold, and could not be decided;
    `can_be_unknown` says whether the latter can be at all.
    """

    pack: str
    rule: str
    file: str
    line: int
    held: int
    passed: int
    unknown: int
    can_be_unknown: bool
    borders: tuple[BorderCover, ...]

    @property
    def gaps(self) -> list[str]:
        """What no example shows, each as one sentence without its full stop."""
        found = [] if self.held else ["no example in which it holds"]
        found += [] if self.passed else ["no example in which it does not hold"]
        for one in self.borders:
            name = f"{one.border.what} {moment(one.border.instant)}"
            found += [] if one.before else [f"no example with an `as_of` before {name}"]
            found += [] if one.after else [f"no example with an `as_of` at or after {name}"]
        return found


@dataclass(frozen=True, slots=True)
class Coverage:
    """A pack's examples: which failed, and what they show of each rule."""

    pack: Pack
    ran: tuple[Ran, ...]
    failures: tuple[ExampleFailure, ...]
    rules: tuple[RuleCover, ...]

    @property
    def covered_rules(self) -> int:
        """Rules with an example that holds and one that does not."""
        return sum(bool(one.held and one.passed) for one in self.rules)

    @property
    def borders(self) -> list[BorderCover]:
        """All date borders of all rules."""
        return [border for one in self.rules for border in one.borders]

    @property
    def percent(self) -> int:
        """Rules and borders that are covered, of all; rounded down, so that 100 means all."""
        total = len(self.rules) + len(self.borders)
        done = self.covered_rules + sum(border.crossed for border in self.borders)
        return 100 * done // total if total else 100

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON data."""
        return {
            "pack": self.pack.name,
            "version": self.pack.version,
            "sha256": self.pack.sha256,
            "file": self.pack.file,
            "examples": len(self.ran),
            "failures": [str(one) for one in self.failures],
            "rules": len(self.rules),
            "rules_covered": self.covered_rules,
            "date_borders": len(self.borders),
            "date_borders_crossed": sum(border.crossed for border in self.borders),
            "coverage_percent": self.percent,
            "gaps": [{"rule": one.rule, "line": one.line, "gaps": one.gaps} for one in self.rules if one.gaps],
        }


def coverage(pack: Pack) -> Coverage:
    """Judge every example of the pack once."""
    ran = tuple(_ran(pack))
    return Coverage(
        pack=pack,
        ran=ran,
        failures=tuple(_failures(pack, ran)),
        rules=tuple(_cover(pack, rule, [one for one in ran if one.rule is rule]) for rule in pack.rules),
    )


def _ran(pack: Pack) -> Iterator[Ran]:
    for rule in pack.rules:
        for example in rule.examples:
            decision = judge_example(pack, rule, example)
            hit = next((hit for hit in decision.hits if hit.rule == rule.id), None)
            instant = example.as_of or instant_in_force(pack, rule)
            yield Ran(rule, example, instant, decision, False if hit is None else None if hit.unknown else True)


def _failures(pack: Pack, ran: Sequence[Ran]) -> Iterator[ExampleFailure]:
    for one in ran:
        if message := failure(one.rule, one.example, one.decision):
            yield ExampleFailure(
                pack.name, one.rule.id, pack.file, one.example.line, one.example.expect, one.decision, message
            )


def _cover(pack: Pack, rule: Rule, ran: Sequence[Ran]) -> RuleCover:
    return RuleCover(
        pack=pack.name,
        rule=rule.id,
        file=pack.file,
        line=rule.lines[0],
        held=sum(one.held is True for one in ran),
        passed=sum(one.held is False for one in ran),
        unknown=sum(one.held is None for one in ran),
        can_be_unknown=can(rule.when, UNKNOWN) is not False,
        borders=tuple(
            BorderCover(
                border,
                any(one.instant < border.instant for one in ran),
                any(one.instant >= border.instant for one in ran),
            )
            for border in borders(rule)
        ),
    )
