"""What other packs would have decided of the requests that are in the log: recorded inputs, judged again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from limner.policy_tools.recorded import JUDGING, Judgement, counts, judgements, recorded_inputs
from limner.policy_tools.rescoring import Rescorer
from limner_policy.engine import judge
from limner_policy.verdicts import Decision, RuleHit, Verdict

if TYPE_CHECKING:
    from limner.config import Config
    from limner_policy import Pack
    from limner_policy.types import PolicyInput
    from limner_provenance import AuditLog

_AT_ONCE = 400
"""How many inputs are opened together."""


@dataclass(frozen=True, slots=True)
class Change:
    """A judgement that would come out differently.

    `what` says in what: `verdict`, `duties`, `reasons` (other rules stand behind the same verdict) or `recorded` (other
    rules that only record, in audit or warn mode). `rules` are those that say so: of the given packs where it became
    stricter or another rule holds, else those that were dropped. `unknown` says that they could not be decided, for
    instance because the detector they ask for did not run then.
    """

    record: str
    entry: int
    time: str
    judged: str
    stage: str
    before: str
    after: str
    rules: tuple[str, ...]
    unknown: bool
    provider: str | None
    tenant: str | None
    what: tuple[str, ...] = ("verdict",)

    @property
    def kind(self) -> str:
        """From which verdict to which, e.g. `allow→deny`; of one that stays, what else changes."""
        if "verdict" in self.what:
            return f"{self.before}→{self.after}"
        return f"{self.after}, other {' and '.join(_WORDS[what] for what in self.what)}"


_WORDS = {"duties": "duties", "reasons": "rules behind it", "recorded": "rules recorded"}


@dataclass(slots=True)
class Impact:
    """The outcome of a replay; what could not be replayed is counted by its reason, never as unchanged.

    `in_part` counts replayed judgements whose entry left its mildest rules out, being too long: of these only verdict
    and duties are compared. `rescored` were decided with scores computed again from what was kept of the picture, as
    the packs put a concept into other words; in `unscored` are those where that could not be done, by the reason: they
    are replayed with that score missing.
    """

    replayed: int = 0
    in_part: int = 0
    unreplayable: Counter[str] = field(default_factory=Counter)
    rescored: int = 0
    unscored: Counter[str] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)

    def by(self, what: str) -> dict[str, int]:
        """Count by `what`, `kind`, `stage`, `rule`, `provider`, `tenant`: the most frequent first, then by name."""
        counted: Counter[str] = Counter()
        for change in self.changes:
            values = {"rule": change.rules, "what": change.what}.get(what) or (getattr(change, what, None),)
            counted.update("(none)" if value is None else value for value in values or ("(none)",))
        return dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))


def replay_log(
    log: AuditLog,
    packs: Sequence[Pack],
    *,
    since: str | None = None,
    until: str | None = None,
    on_progress: Callable[[int, int], object] | None = None,
    config: Config | None = None,
) -> Impact:
    """Judge every recorded input again with `packs`, each at its own instant, in the order of the log.

    Args:
        log: The log.
        packs: The packs to judge with.
        since: Judgements whose entry is of this instant or later (`instants.spelled`).
        until: Judgements whose entry is from before this instant.
        on_progress: Told now and then how many of the log's entries are passed.
        config: Says which models score concepts again; else the detectors' own defaults do.
    """
    found, size = Impact(), log.size
    rescorer = Rescorer(log, packs, config)
    wanted = (j for j in judgements(log.entries(steps=JUDGING, stop=size)) if _covers(since, j.entry.time, until))
    while some := list(islice(wanted, _AT_ONCE)):
        for judgement, facts in zip(some, recorded_inputs(log, some), strict=True):
            _judge_again(found, packs, judgement, facts, rescorer)
        if on_progress:
            on_progress(some[-1].entry.index or 0, size)
    return found


def _covers(since: str | None, time: str, until: str | None) -> bool:
    return (since is None or since <= time) and (until is None or time < until)


def _judge_again(
    found: Impact, packs: Sequence[Pack], judgement: Judgement, facts: PolicyInput | str, rescorer: Rescorer
) -> None:
    if isinstance(facts, str):
        found.unreplayable[facts] += 1
        return
    found.replayed += 1
    found.in_part += "hits_left_out" in judgement.leaf
    facts, why = rescorer.again(judgement, facts)
    if why is not None:
        found.rescored += not why
        found.unscored.update([why] if why else ())
    decision = judge(packs, facts)
    if what := tuple(_differences(judgement.leaf, decision)):
        found.changes.append(_change(judgement, facts, decision, what))


def _differences(leaf: Mapping[str, Any], decision: Decision) -> Iterator[str]:
    if decision.verdict.value != leaf["verdict"]:
        yield "verdict"
    if [duty.to_json() for duty in decision.duties] != list(leaf.get("duties", ())):
        yield "duties"
    if "hits_left_out" in leaf:
        return
    before = set(_recorded(leaf))
    after = {(_rule(hit), hit.combined) for hit in decision.hits}
    if before != after:
        other = {counting for _, counting in before ^ after}
        # Another verdict has other rules behind it anyway.
        if True in other and decision.verdict.value == leaf["verdict"]:
            yield "reasons"
        if False in other:
            yield "recorded"


def _recorded(leaf: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str, bool], bool]]:
    for hit in leaf["hits"]:
        yield (f"{hit['pack']}/{hit['rule']}", hit["verdict"], bool(hit.get("unknown"))), counts(hit)


def _rule(hit: RuleHit) -> tuple[str, str, bool]:
    return f"{hit.pack}/{hit.rule}", hit.verdict.value, hit.unknown


def _change(judgement: Judgement, facts: PolicyInput, decision: Decision, what: tuple[str, ...]) -> Change:
    stricter = decision.verdict > Verdict(judgement.verdict)
    if what[0] == "verdict":
        rules = _behind(decision) if stricter else judgement.rules
    else:
        rules = _others(judgement, decision)
    return Change(
        record=judgement.entry.record or "",
        entry=judgement.entry.index or 0,
        time=judgement.entry.time,
        judged=judgement.name,
        stage=judgement.stage,
        before=judgement.verdict,
        after=decision.verdict.value,
        rules=rules,
        unknown=stricter and bool(decision.deciding) and all(hit.unknown for hit in decision.deciding),
        provider=facts.candidate.provider if facts.candidate else None,
        tenant=facts.context.tenant,
        what=what,
    )


def _behind(decision: Decision) -> tuple[str, ...]:
    if decision.no_policy:
        return ("(no policy in force)",)
    return tuple(sorted({f"{hit.pack}/{hit.rule}" for hit in decision.deciding}))


def _others(judgement: Judgement, decision: Decision) -> tuple[str, ...]:
    """The rules that hold now and did not then, or do so otherwise; where there is none, those that were dropped."""
    before = set(_recorded(judgement.leaf))
    after = {(_rule(hit), hit.combined) for hit in decision.hits}
    return tuple(sorted({rule[0] for rule, _ in after - before or before - after}))
