"""The candidates of a plan: each provider with the model it would use, what it could do, and what policy says of it.

A provider that is broken is a candidate that was left out, with its reason; it never breaks the plan of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limner.steps.judging import candidate_facts, policy_input
from limner_policy.engine import judge
from limner_policy.types import PolicyInput
from limner_policy.verdicts import Decision
from limner_providers.capabilities import Unmet
from limner_providers.errors import ModelRetired, ModelUnavailable
from limner_providers.fitting import Fit, fit, unmet

if TYPE_CHECKING:
    from limner.records import Record
    from limner.result import PlannedCandidate
    from limner.runtime import Runtime
    from limner.steps.asking import Asked
    from limner_providers.base import ModelIdentity
    from limner_providers.capabilities import Capabilities
    from limner_providers.types import ImageRequest


@dataclass(frozen=True)
class Broken:
    """A provider that cannot be planned with: not loadable, not reachable, or without the model that is asked for."""

    provider: str
    kind: str
    error: Exception

    @property
    def left_out(self) -> tuple[str, ...]:
        """Why it is left out; of a foreign error only its class, since its text may hold anything."""
        from limner.errors import EVERY

        known = isinstance(self.error, EVERY)
        return (str(self.error) if known else f"{self.provider} broke ({type(self.error).__name__}).",)

    @property
    def lacks_the_model(self) -> bool:
        """Whether it is only that it has no such model."""
        return isinstance(self.error, ModelUnavailable) and not isinstance(self.error, ModelRetired)


@dataclass(frozen=True)
class Candidate:
    """One provider and model: how it would carry out the request, and what policy says of using it."""

    provider: str
    kind: str
    model: ModelIdentity
    able: Capabilities
    fit: Fit
    facts: PolicyInput
    decision: Decision

    @property
    def left_out(self) -> tuple[str, ...]:
        """Why it is left out; empty where it fits."""
        denied = () if self.decision.allowed else self.decision.reasons
        return (*(f"{u.field}={u.value}: {u.why} {u.remedy}".strip() for u in self.fit.unmet), *denied)

    def to_leaf(self) -> dict[str, Any]:
        """What the `planned` entry says of it: no texts of the request, fields and rule ids only."""
        hits = [
            {"rule": h.rule, "pack": h.pack, "mode": h.mode, "verdict": h.verdict.value} for h in self.decision.hits
        ]
        leaf: dict[str, Any] = {
            "provider": self.provider,
            "kind": self.kind,
            "model": {"name": self.model.name, "sha256": self.model.sha256, "licence": self.model.licence},
            "unmet": [u.field for u in self.fit.unmet],
            "verdict": self.decision.verdict.value,
            "hits": hits,
        }
        if len(self.fit.calls) > 1:
            leaf["calls"] = list(self.fit.calls)
        if self.able.uncatalogued:
            leaf["uncatalogued"] = True
        if self.fit.adaptations:
            leaf["adaptations"] = [{"field": a.field, "asked": a.asked, "used": a.used} for a in self.fit.adaptations]
        return leaf


def as_planned(candidate: Candidate | Broken) -> PlannedCandidate:
    """Give a candidate as a result shows it."""
    from limner.result import PlannedCandidate

    if isinstance(candidate, Broken):
        return PlannedCandidate(candidate.provider, candidate.kind, "", candidate.left_out)
    calls = candidate.fit.calls if not candidate.left_out else ()
    where = candidate.provider, candidate.kind, candidate.model.name
    return PlannedCandidate(*where, candidate.left_out, _stated(candidate.fit), calls, candidate.able.uncatalogued)


def _stated(found: Fit) -> tuple[Any, ...]:
    """Give adaptations without the values that they change: a result states them, and a prompt stays where it is."""
    return tuple(a.model_copy(update={"changes": {}}) for a in found.adaptations)


async def look(record: Record, runtime: Runtime, name: str, what: Asked) -> Candidate | Broken:
    """Look at one configured provider with the model that is asked for, else with its default one."""
    try:
        provider = runtime.provider(name)
        model = await provider.identify(what.model)
        able = await provider.capabilities(model.name)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the others can still be asked
        return Broken(name, runtime.config.provider_sections()[name].kind, error)
    engine = candidate_facts(record, runtime, provider=provider.name, kind=provider.kind, model=model)
    facts = policy_input(record, "candidate", engine)
    return Candidate(
        provider=provider.name,
        kind=provider.kind,
        model=model,
        able=able,
        fit=fitted(provider.name, able, what),
        facts=facts,
        decision=judge(runtime.packs, facts),
    )


def fitted(provider: str, able: Capabilities, what: Asked) -> Fit:
    """Say how a provider would carry out what was asked; a picture by its name at another engine is nothing to it."""
    request, origin = what.request, what.request.origin
    if origin is not None and origin.provider != provider:
        if request.image is None:
            why = f"the picture is one that {origin.provider} keeps."
            lost = Unmet(field="origin", value="(given)", why=why, remedy="Give the image itself.")
            return Fit(request=request, calls=(request.n,), unmet=(lost,))
        request = request.model_copy(update={"origin": None})
    return fit(able, request, adapt=what.on_unsupported == "adapt")


async def able_to(runtime: Runtime, request: ImageRequest, field: str, seen: Sequence[Candidate]) -> tuple[str, ...]:
    """Name who could honour a field: providers of the configuration, else kinds that could be configured."""
    known = {c.provider: c.able for c in seen}
    for name in runtime.config.provider_sections():
        if name not in known and (able := await _capabilities(runtime, name)):
            known[name] = able
    names = tuple(name for name, able in known.items() if _honours(able, request, field))
    return names or await _kinds_able(request, field)


async def _capabilities(runtime: Runtime, name: str) -> Capabilities | None:
    try:
        return await runtime.provider(name).capabilities()
    except Exception:  # noqa: BLE001 - a broken provider can do nothing
        return None


async def _kinds_able(request: ImageRequest, field: str) -> tuple[str, ...]:
    from limner_providers.kinds import summarise_all

    kinds = [k for k in await summarise_all() if not k.is_test]
    return tuple(
        f"a provider of kind {k.kind}"
        for k in kinds
        if any(_honours(able, request, field) for able in k.capabilities.values())
    )


def _honours(able: Capabilities, request: ImageRequest, field: str) -> bool:
    """Say whether this field, the task it belongs to, and the picture to start from could be honoured."""
    # By whole fields: who takes no references at all cannot honour `references.1.use` either.
    lacks = {u.field.partition(".")[0] for u in unmet(able, request)}
    return request.task in able.tasks and not lacks & {field.partition(".")[0], "image", "origin"}
