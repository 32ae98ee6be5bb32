"""Which engine shall do it: capabilities and the candidate's own judgement, with a reason for each one left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limner.replaying import replay
from limner.result import PlannedCandidate
from limner.steps.asking import Asked, asked
from limner.steps.judging import policy_input, refuse
from limner_policy.engine import judge
from limner_policy.types import CandidateFacts, PolicyInput
from limner_policy.verdicts import Decision
from limner_providers.errors import UnsupportedRequest

if TYPE_CHECKING:
    from limner.records import Record
    from limner.runtime import Runtime
    from limner_providers.base import ModelIdentity, Provider
    from limner_providers.capabilities import Unmet


@dataclass(frozen=True)
class Candidate:
    """One provider and model: what it cannot do of the request, and what policy says of using it."""

    provider: str
    kind: str
    model: ModelIdentity
    pinned_away: str | None
    unmet: tuple[Unmet, ...]
    facts: PolicyInput
    decision: Decision

    @property
    def left_out(self) -> tuple[str, ...]:
        """Why it is left out; empty where it fits."""
        pinned = (self.pinned_away,) if self.pinned_away else ()
        denied = () if self.decision.allowed else self.decision.reasons
        return (*pinned, *(f"{u.field}={u.value}: {u.why} {u.remedy}" for u in self.unmet), *denied)

    def to_leaf(self) -> dict[str, Any]:
        """What the `planned` entry says of it: no texts, fields and rule ids only."""
        return {
            "provider": self.provider,
            "kind": self.kind,
            "model": {"name": self.model.name, "sha256": self.model.sha256, "licence": self.model.licence},
            "pinned_away": self.pinned_away is not None,
            "unmet": [u.field for u in self.unmet],
            "verdict": self.decision.verdict.value,
            "hits": [
                {"rule": h.rule, "pack": h.pack, "mode": h.mode, "verdict": h.verdict.value} for h in self.decision.hits
            ],
        }


async def plan(record: Record, runtime: Runtime) -> None:
    """Order the candidates and leave the unfit ones out.

    Raises:
        UnsupportedRequest: None of them can do what was asked.
        PolicyDenied: Policy forbids every one that could.
        ReviewRequired: A person has to decide about the only ones that could.
    """
    if planned := record.find("planned"):
        if planned.data["chosen"] is None and not record.find("approved"):
            await _nobody_again(record, planned.data["candidates"])
        return
    what = asked(record)
    candidates = [
        c for name in runtime.config.provider_sections() for c in await _candidates(record, runtime, name, what)
    ]
    chosen = next((i for i, c in enumerate(candidates) if not c.left_out), None)
    await record.add(
        "planned",
        {"candidates": [c.to_leaf() for c in candidates], "chosen": chosen, "packs": _packs(candidates)},
        {f"input-{i}": c.facts.to_json() for i, c in enumerate(candidates)},
    )
    record.memory["plan"] = tuple(PlannedCandidate(c.provider, c.kind, c.model.name, c.left_out) for c in candidates)
    if chosen is None:
        await _nobody(record, what, candidates)


async def _candidates(record: Record, runtime: Runtime, name: str, what: Asked) -> list[Candidate]:
    """Look at every model of one provider; a pinned-away provider is named, and not asked."""
    provider = runtime.provider(name)
    if what.provider not in {None, name}:
        return []
    models = await provider.models()
    return [await _candidate(record, runtime, provider, model, what) for model in models]


async def _candidate(
    record: Record, runtime: Runtime, provider: Provider, model: ModelIdentity, what: Asked
) -> Candidate:
    pinned_away = f"the call asks for the model {what.model}" if what.model not in {None, model.name} else None
    capabilities = await provider.capabilities(model.name)
    engine = CandidateFacts(
        provider=provider.name, kind=provider.kind, model=model.name, sha256=model.sha256, licence=model.licence
    )
    facts = policy_input(record, "candidate", engine)
    return Candidate(
        provider=provider.name,
        kind=provider.kind,
        model=model,
        pinned_away=pinned_away,
        unmet=tuple(capabilities.unmet(what.request)),
        facts=facts,
        decision=judge(runtime.packs, facts),
    )


def _packs(candidates: list[Candidate]) -> list[dict[str, str]]:
    """The packs that judged the candidates; the same for all of them."""
    return [dict(pack) for pack in candidates[0].decision.packs] if candidates else []


async def _nobody(record: Record, what: Asked, candidates: list[Candidate]) -> None:
    """Say why no candidate is left: pins that fit none, what nobody can do, or what policy forbids."""
    meant = [c for c in candidates if c.pinned_away is None]
    if not meant:
        known = ", ".join(sorted({f"{c.provider}/{c.model.name}" for c in candidates})) or "none"
        raise UnsupportedRequest("model", str(what.model), why="no provider asked has it.", remedy=f"Known: {known}.")
    able = [(i, c) for i, c in enumerate(candidates) if c in meant and not c.unmet]
    if able:
        # A person could let one of them pass: the mildest verdict decides what happens next.
        index, mildest = min(able, key=lambda pair: pair[1].decision.verdict)
        await refuse(record, mildest.decision, candidate=index)
    first = meant[0].unmet[0]
    raise UnsupportedRequest(first.field, first.value, why=first.why, remedy=first.remedy, provider=meant[0].provider)


async def _nobody_again(record: Record, candidates: list[dict[str, Any]]) -> None:
    """Say it again where a crash came between the plan and the refusal that follows from it."""
    meant = [c for c in candidates if not c["pinned_away"]]
    able = [i for i, c in enumerate(candidates) if not c["pinned_away"] and not c["unmet"]]
    if able:
        decisions = {i: replay(record, {"stage": "candidate", "candidate": i}) for i in able}
        index = min(able, key=lambda i: decisions[i].verdict)
        await refuse(record, decisions[index], candidate=index)
    field = meant[0]["unmet"][0] if meant and meant[0]["unmet"] else "model"
    raise UnsupportedRequest(field, "as recorded", why="no engine could do it then.", remedy="Ask again.")
