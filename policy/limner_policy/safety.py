"""Says of a pack that it is no safeguard: nothing in it can ever refuse anything or send it to a person."""

from __future__ import annotations

from limner_policy.amounts import InputsHave, TagsHave
from limner_policy.conditions import AllOf, AnyOf, Condition, FactIn, Not, TextCondition, walk
from limner_policy.pack import Pack, Rule
from limner_policy.verdicts import Verdict


def unsafe(pack: Pack) -> str:
    """Why the pack allows everything, as one sentence; empty where it does not."""
    if not any("enforce" in rule.modes for rule in pack.rules):
        return "none of its rules is ever in `enforce` mode, so it allows everything."
    if not any(_restrains(rule) for rule in pack.rules):
        return "none of its rules in `enforce` mode gives review or deny, so it allows everything."
    return ""


def _restrains(rule: Rule) -> bool:
    # What is asked of words, tags and given pictures is never unknown: there `if_unknown` restrains nothing.
    unknown = rule.if_unknown if any(map(_can_be_unknown, walk(rule.when))) else rule.verdict
    return "enforce" in rule.modes and max(rule.verdict, unknown) >= Verdict.REVIEW


def _can_be_unknown(node: Condition) -> bool:
    if isinstance(node, FactIn):
        return node.fact != "task"
    return not isinstance(node, AllOf | AnyOf | Not | TextCondition | TagsHave | InputsHave)
