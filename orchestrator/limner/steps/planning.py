"""Which engines shall do it, in which order: capabilities and each candidate's own judgement, with the reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from limner.replaying import replay
from limner.steps.asking import Asked, asked
from limner.steps.candidates import Broken, Candidate, able_to, as_planned, look
from limner.steps.judging import refuse
from limner_providers.errors import GenerationFailed, ProviderError, UnsupportedRequest
from limner_providers.fitting import LEFT_OUT

if TYPE_CHECKING:
    from limner.records import Record
    from limner.runtime import Runtime


async def plan(record: Record, runtime: Runtime) -> None:
    """Order the candidates and leave the unfit ones out.

    Raises:
        UnsupportedRequest: None of them can do what was asked; says which field, and who could.
        ModelUnavailable: Nobody has the model; `ModelRetired` where its vendor switched it off.
        ProviderError: Nobody is left, since a provider is broken.
        PolicyDenied: Policy forbids every one that could.
        ReviewRequired: A person has to decide about the only ones that could.
    """
    if planned := record.find("planned"):
        if planned.data["chosen"] is None and not record.find("approved"):
            await _nobody_again(record, planned.data)
        return
    what = asked(record)
    names = runtime.config.routed() if what.provider is None else (what.provider,)
    looked = [await look(record, runtime, name, what) for name in names]
    candidates = [c for c in looked if isinstance(c, Candidate)]
    chosen = next((i for i, c in enumerate(candidates) if not c.left_out), None)
    record.memory["candidates"] = {i: c.fit for i, c in enumerate(candidates)}
    record.memory["plan"] = tuple(map(as_planned, looked))
    await record.add("planned", _data(looked, candidates, chosen), _payloads(looked, candidates))
    if chosen is None:
        await _nobody(record, runtime, what, looked)


def _data(looked: list[Candidate | Broken], candidates: list[Candidate], chosen: int | None) -> dict[str, Any]:
    data: dict[str, Any] = {
        "candidates": [c.to_leaf() for c in candidates],
        "chosen": chosen,
        # The packs that judged the candidates are the same for all of them.
        "packs": [dict(pack) for pack in candidates[0].decision.packs] if candidates else [],
    }
    broken = [
        {"place": place, "provider": c.provider, "kind": c.kind, "error": type(c.error).__name__}
        for place, c in enumerate(looked)
        if isinstance(c, Broken)
    ]
    return data | ({"broken": broken} if broken else {})


def _payloads(looked: list[Candidate | Broken], candidates: list[Candidate]) -> dict[str, Any]:
    """The judgements' inputs, and the reasons in words: they may name files."""
    payloads: dict[str, Any] = {f"input-{i}": c.facts.to_json() for i, c in enumerate(candidates)}
    reasons = [list(c.left_out) for c in looked]
    return payloads | ({"reasons": reasons} if any(reasons) else {})


async def _nobody(record: Record, runtime: Runtime, what: Asked, looked: list[Candidate | Broken]) -> None:
    """Say why no candidate is left: what policy forbids, what is broken, or what nobody can do."""
    candidates = [c for c in looked if isinstance(c, Candidate)]
    able = [(i, c) for i, c in enumerate(candidates) if not c.fit.unmet]
    if able:
        # A person could let one of them pass: the mildest verdict decides what happens next.
        index, mildest = min(able, key=lambda pair: pair[1].decision.verdict)
        await refuse(record, mildest.decision, candidate=index)
    # That a provider has no such model is no cause while another one has it.
    causes = [c for c in looked if not (isinstance(c, Broken) and c.lacks_the_model and what.model)] or looked
    first = causes[0]
    error = first.error if isinstance(first, Broken) else await _unsupported(runtime, what, first, candidates)
    if not isinstance(error, ProviderError) and isinstance(first, Broken):
        error = _foreign(first)
    for other in looked:
        if other is not first:
            error.add_note(f"{other.provider}: {' '.join(other.left_out)}")
    raise error


def _foreign(broken: Broken) -> Exception:
    """Give an error of ours for whatever a provider raised that it should not; one of ours stays as it is."""
    from limner.errors import EVERY

    if isinstance(broken.error, EVERY):
        return broken.error
    error = GenerationFailed(
        f"{broken.provider} broke while it was looked at ({type(broken.error).__name__}); nothing was sent.",
        remedy="See the cause, and report it to who wrote the provider.",
        provider=broken.provider,
    )
    error.__cause__ = broken.error
    return error


async def _unsupported(
    runtime: Runtime, what: Asked, first: Candidate, candidates: list[Candidate]
) -> UnsupportedRequest:
    unmet = first.fit.unmet[0]
    field = unmet.field.partition(".")[0]
    # An option of one kind means nothing to the others, so they cannot honour it.
    able = () if field == "extra" else await able_to(runtime, what.request, unmet.field, candidates)
    could = f"It could be honoured by {', '.join(able)}." if able else ""
    if unmet.adaptation is not None and what.on_unsupported == "error":
        used = unmet.adaptation.used
        becomes = f"is {used}" if used == LEFT_OUT else f"becomes {used}"
        could = f'{could} Or say on_unsupported="adapt": {field} {becomes}.'.strip()
    return UnsupportedRequest(
        unmet.field,
        unmet.value,
        why=unmet.why,
        remedy=f"{unmet.remedy} {could}".strip(),
        able=able,
        provider=first.provider,
    )


async def _nobody_again(record: Record, planned: dict[str, Any]) -> None:
    """Say it again where a crash came between the plan and the refusal that follows from it."""
    candidates = [c for c in planned["candidates"] if not c.get("pinned_away")]
    able = [i for i, c in enumerate(planned["candidates"]) if c in candidates and not c["unmet"]]
    if able:
        decisions = {i: replay(record, {"stage": "candidate", "candidate": i}) for i in able}
        index = min(able, key=lambda i: decisions[i].verdict)
        await refuse(record, decisions[index], candidate=index)
    field = candidates[0]["unmet"][0] if candidates and candidates[0]["unmet"] else "model"
    raise UnsupportedRequest(field, "as recorded", why="no engine could do it then.", remedy="Ask again.")
