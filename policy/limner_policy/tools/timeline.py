"""A rule's life: in which stretches of time it is in force, in which mode. Dates only; no judgement is made here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from limner_policy.pack import Pack, Rule

BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Border:
    """An instant at which a rule begins, ends or changes its mode; `what` is its key, as `mode_from.enforce`."""

    instant: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` (inclusive) until `until` (exclusive, None: for ever) the rule has `mode`; `off` is not in force."""

    start: datetime
    until: datetime | None
    mode: str


def borders(rule: Rule) -> list[Border]:
    """Give the rule's own date borders, in the order of time."""
    found = [Border(start, f"mode_from.{mode}") for start, mode in rule.mode_from]
    if rule.effective.start:
        found.append(Border(rule.effective.start, "effective.from"))
    if rule.effective.until:
        found.append(Border(rule.effective.until, "effective.until"))
    return sorted(found, key=lambda border: (border.instant, border.what))


def spans(pack: Pack, rule: Rule) -> Iterator[Span]:
    """Give the stretches of a rule inside its pack's dates; together they cover all time."""
    dates = (pack.effective.start, pack.effective.until, *(border.instant for border in borders(rule)))
    starts = sorted({BEGINNING, *(one for one in dates if one)})
    for start, until in zip(starts, [*starts[1:], None], strict=True):
        there = pack.effective.covers(start) and rule.effective.covers(start)
        yield Span(start, until, rule.mode_at(start) if there else "off")


def sleeps_from(pack: Pack, rule: Rule, today: datetime) -> bool:
    """Whether the rule is in force at no instant from `today` on."""
    return all(span.mode == "off" for span in spans(pack, rule) if span.until is None or span.until > today)


def never(pack: Pack, rule: Rule) -> bool:
    """Whether the rule is in force at no instant at all."""
    return all(span.mode == "off" for span in spans(pack, rule))


def enforced_within(strict: tuple[Pack, Rule], mild: tuple[Pack, Rule], today: datetime) -> bool:
    """Whether, from `today` on, `strict` counts (mode enforce) whenever `mild` does; False if that never does."""
    instants = {today, *(s.start for pair in (strict, mild) for s in spans(*pair) if s.start > today)}
    counting = [one for one in instants if _mode(*mild, one) == "enforce"]
    return bool(counting) and all(_mode(*strict, one) == "enforce" for one in counting)


def _mode(pack: Pack, rule: Rule, instant: datetime) -> str:
    there = pack.effective.covers(instant) and rule.effective.covers(instant)
    return rule.mode_at(instant) if there else "off"
