"""What is the matter with packs that can be read: rules that do nothing, or nothing any more, and duties of upkeep.

Pure: today is an argument. Broken files never get here; they are `PolicyFileError`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from limner_policy.concepts import CONCEPT_DETECTORS
from limner_policy.conditions import Condition, EvidenceAtLeast, FactIn, Terms, Together, walk
from limner_policy.handling import DEFAULT
from limner_policy.licences.book import embedded_book
from limner_policy.licences.checking import remarks
from limner_policy.licences.conditions import LicenceCondition
from limner_policy.pack import Pack, Rule
from limner_policy.safety import unsafe
from limner_policy.tools import logic
from limner_policy.tools.concept_lint import concept_findings
from limner_policy.tools.findings import Finding
from limner_policy.tools.outline import Outline
from limner_policy.tools.phrases import duty_words, moment
from limner_policy.tools.timeline import never, sleeps_from
from limner_policy.verdicts import Verdict
from limner_policy.wordlists import WordList

STALE_DAYS = 180
SOON_DAYS = 30


@dataclass(frozen=True, slots=True)
class Setting:
    """What lint goes by.

    Attributes:
        today: The day of the question, UTC.
        stale_days: A source read longer ago is stale, from 1 on.
        executed: Duties that can be carried out.
        detectors: Detectors that are installed; None: not known, so nothing is said of them.
    """

    today: date
    stale_days: int = STALE_DAYS
    executed: Collection[str] = field(default=frozenset())
    detectors: Collection[str] | None = None

    @property
    def instant(self) -> datetime:
        """The first instant of today."""
        return datetime(self.today.year, self.today.month, self.today.day, tzinfo=UTC)


def lint(packs: Sequence[Pack], setting: Setting) -> list[Finding]:
    """Give every finding, sorted by file and line. Rules are compared across all packs, since they judge together."""
    found: list[Finding] = []
    for pack in packs:
        found += _of_pack(pack, setting)
        for rule in pack.rules:
            found += _of_rule(pack, rule, setting)
    found += logic.shadowed(packs, setting.instant)
    found += logic.contradictory(packs, setting.instant)
    return sorted(found)


def _of_pack(pack: Pack, setting: Setting) -> Iterator[Finding]:
    lines = Outline(pack)
    if told := unsafe(pack):
        remedy = "Add a rule in `enforce` mode whose verdict is review or deny"
        yield Finding(pack.file, lines.of("rules"), "", "unsafe", f"the pack is unsafe: {told.rstrip('.')}", remedy)
    if pack.review_by:
        yield from _review(pack.file, lines.of("review_by"), "", pack.review_by, setting)
    if pack.organisation:
        what = "what the organisation claims of itself"
        yield from _age(pack.file, lines.of("organisation"), what, pack.organisation.as_of, setting)
    yield from _licence_facts(pack, setting)
    for one in pack.lists:
        yield from _list_age(pack, one, lines.of("lists", one.name), setting)
    yield from _unused(pack, lines)
    yield from concept_findings(pack, lines)
    yield from _unused_handling(pack, lines)
    yield from _sources(pack, lines, setting)


def _unused_handling(pack: Pack, lines: Outline) -> Iterator[Finding]:
    named = {rule.handling.name for rule in pack.rules} | {DEFAULT}
    for one in pack.handling:
        if one.name not in named:
            told = f"no rule names the handling {one.name}"
            remedy = f"Delete it, or write `then: {{verdict: deny, handling: {one.name}}}`"
            yield Finding(pack.file, lines.of("handling", one.name), "", "unused", told, remedy, note=True)


def _sources(pack: Pack, lines: Outline, setting: Setting) -> Iterator[Finding]:
    """Named sources once each, where they stand; sources written out inside a rule, at that rule."""
    named = set()
    for name, line in lines.under("sources"):
        source = lines.source(name)
        named.add(source.get("cite", ""))
        yield from _age(pack.file, line, f"source {name}", source.get("read"), setting)
    for rule in pack.rules:
        for cited in rule.basis:
            if cited.cite not in named:
                what = f"its source “{cited.cite[:60]}”"
                yield from _age(pack.file, rule.lines[0], what, cited.read, setting, rule=rule.id)


def _age(file: str, line: int, what: str, read: str | None, setting: Setting, *, rule: str = "") -> Iterator[Finding]:
    if read is None:
        return
    days = (setting.today - date.fromisoformat(read)).days
    if days > setting.stale_days:
        told = f"{what} is of {read}, {days:,} days old, and may be {setting.stale_days:,}"
        yield Finding(file, line, rule, "stale-source", told, "Look at it again and write that day")
    if days < 0:
        told = f"{what} is of {read}, which is still to come"
        yield Finding(file, line, rule, "read-later", told, "Write the day on which it was looked at")


def _licence_facts(pack: Pack, setting: Setting) -> Iterator[Finding]:
    """Facts are looked at only where a rule of the pack rests on them."""
    asking = next((r for r in pack.rules for node in walk(r.when) if isinstance(node, LicenceCondition)), None)
    if asking is None:
        return
    old = {
        one.row
        for one in remarks(embedded_book(), setting.today, max_age_days=setting.stale_days)
        if one.what == "stale"
    }
    if old:
        told = f"{len(old):,} rows of the licence facts were read more than {setting.stale_days:,} days ago"
        remedy = "See `limner policy licence --list`, and read the licences that you rely on again"
        yield Finding(pack.file, asking.lines[0], asking.id, "stale-source", told, remedy, note=True)


def _list_age(pack: Pack, one: WordList, line: int, setting: Setting) -> Iterator[Finding]:
    if one.refreshed and one.max_age_days:
        days = (setting.today - date.fromisoformat(one.refreshed)).days
        if days > one.max_age_days:
            told = f"list {one.name} was refreshed on {one.refreshed} and may be {one.max_age_days:,} days old"
            who = one.owner or pack.owner
            yield Finding(pack.file, line, "", "stale-source", told, f"Ask {who} to bring it up to date")


def _unused(pack: Pack, lines: Outline) -> Iterator[Finding]:
    cited = {source.cite for rule in pack.rules for source in rule.basis}
    for name, line in lines.under("sources"):
        if lines.source(name).get("cite") not in cited:
            yield Finding(
                pack.file,
                line,
                "",
                "unused",
                f"no rule rests on source {name}",
                "Delete it, or name it under a `basis`",
                note=True,
            )
    used = {one.name for rule in pack.rules for node in walk(rule.when) for one in _lists(node)}
    # Detectors such as `text` are asked for a list by its name; which ones do that is not known here.
    used |= {one.category for rule in pack.rules for one in rule.evidence if one.detector not in CONCEPT_DETECTORS}
    for name, line in lines.under("lists"):
        if name not in used:
            yield Finding(
                pack.file,
                line,
                "",
                "unused",
                f"no rule uses list {name}",
                "Delete it, or use it in a `when`",
                note=True,
            )


def _lists(node: Condition) -> Iterable[WordList]:
    if isinstance(node, Together):
        return [one for part in node.parts if isinstance(part, Terms) for one in part.lists]
    return getattr(node, "lists", ())


def _of_rule(pack: Pack, rule: Rule, setting: Setting) -> Iterator[Finding]:
    file, line = pack.file, rule.lines[0]
    yield from _life(pack, rule, setting)
    yield from logic.impossible(pack, rule)
    if rule.review_by and rule.review_by != pack.review_by:
        yield from _review(file, line, rule.id, rule.review_by, setting)
    if not rule.examples:
        told, remedy = "the rule has no example", "Write one where it holds and one where it does not"
        yield Finding(file, line, rule.id, "no-example", told, remedy)
    if rule.severity == "critical" and rule.if_unknown <= Verdict.ALLOW_WITH_DUTIES and rule.verdict >= Verdict.REVIEW:
        told = f"the rule is critical, and `if_unknown: {rule.if_unknown}` lets pass what cannot be decided"
        yield Finding(file, line, rule.id, "lenient", told, "Write `if_unknown: review` or `deny`", note=True)
    yield from _duties(pack, rule, setting)
    yield from _vocabulary(pack, rule, setting)


def _life(pack: Pack, rule: Rule, setting: Setting) -> Iterator[Finding]:
    file, line = pack.file, rule.lines[0]
    if rule.modes == {"off"}:
        yield Finding(
            file,
            line,
            rule.id,
            "dead",
            "the rule's mode is `off` for ever",
            "Give it a date under `mode_from`, or delete it",
        )
    elif never(pack, rule):
        told = "the rule is in force at no instant: its dates, its modes and those of the pack never meet"
        yield Finding(file, line, rule.id, "dead", told, "Correct `effective` or `mode_from`")
    elif sleeps_from(pack, rule, setting.instant):
        until = rule.effective.until or pack.effective.until
        when = f" since {moment(until)}" if until and until <= setting.instant else ""
        told = f"the rule is not in force any more{when} and will not be again"
        yield Finding(
            file, line, rule.id, "dead", told, "Delete it (the log keeps the packs of then), or give it new dates"
        )
    if rule.verdict is Verdict.ALLOW and rule.if_unknown is Verdict.ALLOW:
        told = "the rule allows, whether it holds or cannot be decided, and no rule loosens another: it changes nothing"
        yield Finding(file, line, rule.id, "dead", told, "Write what follows under `then`, or delete it")


def _review(file: str, line: int, rule: str, by: datetime, setting: Setting) -> Iterator[Finding]:
    whose = "the rule" if rule else "the pack"
    if by <= setting.instant:
        told = f"{whose} had to be looked at again by {moment(by)}"
        yield Finding(file, line, rule, "overdue", told, "Look at it, then write the next day under `review_by`")
    elif by <= setting.instant + timedelta(days=SOON_DAYS):
        told = f"{whose} has to be looked at again by {moment(by)}"
        yield Finding(file, line, rule, "review-soon", told, "Put it on the agenda", note=True)


def _duties(pack: Pack, rule: Rule, setting: Setting) -> Iterator[Finding]:
    for duty in rule.duties:
        if duty.name in setting.executed:
            continue
        told = f"nothing carries out the duty {duty_words(duty)} in this version"
        counts = "enforce" in rule.modes
        remedy = (
            "Until it does, no picture under this rule is released; write `mode: audit`, or verdict review"
            if counts
            else "The rule is recorded only, so nothing is held back; look again after the next version"
        )
        yield Finding(pack.file, rule.lines[0], rule.id, "no-executor", told, remedy, note=not counts)


def _vocabulary(pack: Pack, rule: Rule, setting: Setting) -> Iterator[Finding]:
    for node in walk(rule.when):
        if (
            isinstance(node, EvidenceAtLeast)
            and setting.detectors is not None
            and node.detector not in setting.detectors
        ):
            told = (
                f"no detector {node.detector} is installed here, so the rule's `if_unknown` ({rule.if_unknown}) applies"
            )
            yield Finding(
                pack.file,
                rule.lines[0],
                rule.id,
                "no-detector",
                told,
                f"Install it, or name one of: {', '.join(sorted(setting.detectors))}",
            )
        if isinstance(node, FactIn) and node.fact == "task":
            for odd in sorted(node.values - set(logic.TASKS)):
                told = f"no task is called {odd}"
                yield Finding(
                    pack.file, rule.lines[0], rule.id, "never-true", told, f"The tasks are {', '.join(logic.TASKS)}"
                )
