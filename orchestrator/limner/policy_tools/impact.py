"""What other packs would have decided of the requests that are in the log: recorded inputs, judged again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from limner.policy_tools.recorded import JUDGING, Judgement, judgements, recorded_inputs
from limner_policy.engine import judge
from limner_policy.verdicts import Decision, Verdict

if TYPE_CHECKING:
    from limner_policy import Pack
    from limner_policy.types import PolicyInput
    from limner_provenance import AuditLog

_AT_ONCE = 400
"""How many inputs are opened together."""


@dataclass(frozen=True, slots=True)
class Change:
    """A judgement that would come out with another verdict.

    `rules` are those that say so: of the given packs where it became stricter, else those that were dropped. `unknown`
    says that they could not be decided, for instance because the detector they ask for did not run then.
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

    @property
    def kind(self) -> str:
        """From which verdict to which, e.g. `allow→deny`."""
        return f"{self.before}→{self.after}"


@dataclass(slots=True)
class Impact:
    """The outcome of a replay; what could not be replayed is counted by its reason, never as unchanged."""

    replayed: int = 0
    unreplayable: Counter[str] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)

    def by(self, what: str) -> dict[str, int]:
        """Count changes by `kind`, `stage`, `rule`, `provider` or `tenant`; the most frequent first, then by name."""
        counted: Counter[str] = Counter()
        for change in self.changes:
            values = change.rules if what == "rule" else (getattr(change, what),)
            counted.update("(none)" if value is None else value for value in values or ("(none)",))
        return dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))


def replay_log(
    log: AuditLog,
    packs: Sequence[Pack],
    *,
    since: str | None = None,
    until: str | None = None,
    on_progress: Callable[[int, int], object] | None = None,
) -> Impact:
    """Judge every recorded input again with `packs`, each at its own instant, in the order of the log.

    Args:
        log: The log.
        packs: The packs to judge with.
        since: Judgements whose entry is of this instant or later (`instants.spelled`).
        until: Judgements whose entry is from before this instant.
        on_progress: Told now and then how many of the log's entries are passed.
    """
    found, size = Impact(), log.size
    wanted = (j for j in judgements(log.entries(steps=JUDGING, stop=size)) if _covers(since, j.entry.time, until))
    while some := list(islice(wanted, _AT_ONCE)):
        for judgement, facts in zip(some, recorded_inputs(log, some), strict=True):
            _judge_again(found, packs, judgement, facts)
        if on_progress:
            on_progress(some[-1].entry.index or 0, size)
    return found


def _covers(since: str | None, time: str, until: str | None) -> bool:
    return (since is None or since <= time) and (until is None or time < until)


def _judge_again(found: Impact, packs: Sequence[Pack], judgement: Judgement, facts: PolicyInput | str) -> None:
    if isinstance(facts, str):
        found.unreplayable[facts] += 1
        return
    found.replayed += 1
    decision = judge(packs, facts)
    if decision.verdict.value != judgement.verdict:
        found.changes.append(_change(judgement, facts, decision))


def _change(judgement: Judgement, facts: PolicyInput, decision: Decision) -> Change:
    stricter = decision.verdict > Verdict(judgement.verdict)
    now = tuple(sorted({f"{hit.pack}/{hit.rule}" for hit in decision.deciding}))
    if decision.no_policy:
        now = ("(no policy in force)",)
    return Change(
        record=judgement.entry.record or "",
        entry=judgement.entry.index or 0,
        time=judgement.entry.time,
        judged=judgement.name,
        stage=judgement.stage,
        before=judgement.verdict,
        after=decision.verdict.value,
        rules=now if stricter else judgement.rules,
        unknown=stricter and bool(decision.deciding) and all(hit.unknown for hit in decision.deciding),
        provider=facts.candidate.provider if facts.candidate else None,
        tenant=facts.context.tenant,
    )
