"""The two judgements of a record's own: of the request, and of each produced image.

Translates our types into the policy leaf's `PolicyInput`, keeps each input as a payload, and writes each decision down.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from limner.errors import PolicyDenied, ReviewRequired
from limner.replaying import replay
from limner.steps.asking import as_facts, asked, recall
from limner.steps.calls import produced, sent
from limner.steps.disposing import dispose_of_given, dispose_of_made, may_keep_what_was_seen
from limner.steps.inspecting import NOTHING, kept, of_given, of_made
from limner.steps.pictures import Picture, pictures
from limner_policy.detectors.sending import forbids_sending, sends
from limner_policy.engine import judge
from limner_policy.types import CandidateFacts, ContextFacts, Evidence, PolicyInput, RequestFacts, Stage
from limner_policy.verdicts import Decision, Verdict
from limner_providers.base import ModelIdentity

if TYPE_CHECKING:
    from limner.records import Record
    from limner.runtime import Runtime


def policy_input(
    record: Record, stage: Stage, candidate: CandidateFacts | None = None, evidence: tuple[Evidence, ...] = ()
) -> PolicyInput:
    """Put together what policy may look at; rule dates use the instant at which the request was accepted."""
    what = asked(record)
    parameters = as_facts(what.request.to_parameters())
    return PolicyInput(
        instant=record.entry("accepted").time,
        stage=stage,
        request=RequestFacts(
            prompt=what.request.prompt,
            negative_prompt=what.request.negative_prompt or "",
            task=parameters.pop("task"),
            size=parameters.pop("size", None),
            n=parameters.pop("n"),
            parameters=parameters,
            inputs=tuple(what.request.inputs()),
        ),
        context=ContextFacts.model_validate(what.context.model_dump()),
        candidate=candidate,
        evidence=evidence,
    )


async def judge_request(record: Record, runtime: Runtime) -> None:
    """Decide what no engine changes; the pictures that the request brings are judged like those that are made.

    Raises:
        PolicyDenied: A rule says no.
        ReviewRequired: A rule asks for a person.
    """
    if record.find("judged", stage="request"):
        if not record.find("planned") and not record.find("approved"):
            # A crash may have come between the judgement and the refusal that follows from it.
            await refuse(record, decision_of(record))
        return
    facts = policy_input(record, "request")
    decision, spent, found = judge(runtime.packs, facts), {}, NOTHING
    if decision.verdict is not Verdict.DENY:
        # What is refused for its words alone costs no detector anything.
        started = time.perf_counter_ns()
        found = await of_given(record, runtime, lambda evidence: _may_not_leave(runtime, facts, evidence))
        if found.evidence:
            spent = {"detectors_us": (time.perf_counter_ns() - started) // 1000}
            facts = facts.model_copy(update={"evidence": found.evidence})
            decision = judge(runtime.packs, facts)
    seen = kept(found) if may_keep_what_was_seen(decision) else {}
    await record.add("judged", decision.to_leaf() | spent, {"input": facts.to_json()} | seen, apart=seen)
    record.memory["decision"] = decision
    await refuse(record, decision)


async def judge_images(record: Record, runtime: Runtime) -> None:
    """Decide on each produced image by the evidence of every detector that active rules name.

    Raises:
        PolicyDenied: No image is released.
        ReviewRequired: No image is released, and a person could release one.
    """
    waiting = [p for p in pictures(record) if not record.find("judged", stage="image", image=p.index)]
    if waiting:
        await recall(record)
        started = time.perf_counter_ns()

        def stop(place: int, evidence: tuple[Evidence, ...]) -> bool:
            facts = policy_input(record, "image", drawn_by(record, runtime, waiting[place]))
            return _may_not_leave(runtime, facts, evidence)

        looked = await of_made(record, runtime, [p.pixels for p in waiting], stop)
        spent = (time.perf_counter_ns() - started) // 1000
        for picture, found in zip(waiting, looked, strict=True):
            facts = policy_input(record, "image", drawn_by(record, runtime, picture), found.evidence)
            decision = judge(runtime.packs, facts)
            leaf = decision.to_leaf() | {"image": picture.index, "detectors_us": spent}
            seen = kept(found) if may_keep_what_was_seen(decision) else {}
            await record.add("judged", leaf, {"input": facts.to_json()} | seen, apart=seen)
            record.memory[f"decision-{picture.index}"] = decision
    await _dispose(record)
    wanted = [p for p in pictures(record) if not p.surplus] or pictures(record)
    decisions = {p.index: decision_of(record, image=p.index) for p in wanted}
    if not any(d.allowed for d in decisions.values()):
        index = min(decisions, key=lambda i: decisions[i].verdict)
        await refuse(record, decisions[index], image=index)


def _may_not_leave(runtime: Runtime, facts: PolicyInput, evidence: tuple[Evidence, ...]) -> bool:
    """Say whether a picture may not be shown to a detector that sends it away, after what the others found."""
    remote = (detector.name for detector in runtime.detectors("image", facts.instant) if sends(detector))
    decision = judge(runtime.packs, facts.model_copy(update={"evidence": evidence}))
    return forbids_sending(decision, remote)


async def _dispose(record: Record) -> None:
    """Treat denied images as policy says, also those of a run that a crash cut short."""
    if record.find("delivered"):
        return
    denied = {entry.data["image"] for entry in record.all("judged", stage="image", verdict="deny")}
    await dispose_of_made(record, {i: decision_of(record, image=i) for i in sorted(denied)}, pictures(record))


def drawn_by(record: Record, runtime: Runtime, picture: Picture) -> CandidateFacts:
    """Say which engine and model drew a picture, as policy wants to know it."""
    model, engine = produced(record, picture.attempt).data["model"], sent(record, picture.attempt).data
    found: dict[tuple[str, str], CandidateFacts] = record.memory.setdefault("drawn_by", {})
    which = engine["provider"], model["name"]
    if which not in found:
        found[which] = candidate_facts(
            record, runtime, provider=which[0], kind=engine["kind"], model=ModelIdentity(**model)
        )
    return found[which]


def candidate_facts(
    record: Record, runtime: Runtime, *, provider: str, kind: str, model: ModelIdentity
) -> CandidateFacts:
    """Say what policy may know of an engine and its model: the licence facts of every part that takes part, too.

    The detectors that look at the pictures are such parts.
    """
    from limner_policy.detectors.base import licence_parts
    from limner_policy.licences import facts_for

    request, instant = asked(record).request, record.entry("accepted").time
    looking = runtime.detectors("image", instant)
    return CandidateFacts(
        provider=provider,
        kind=kind,
        model=model.name,
        sha256=model.sha256,
        licence=model.licence,
        parts=facts_for(
            kind=kind,
            model=model.name,
            licence=model.licence,
            loras=[lora.name for lora in request.lora],
            controls=[control.model for control in request.control if control.model],
            detectors=[name for detector in looking for name in licence_parts(detector)],
            instant=instant,
        ),
    )


def decision_of(record: Record, image: int | None = None) -> Decision:
    """Give a decision of this record: from memory, else by judging the recorded input again with the recorded packs.

    Without `image` it is that of the refusal, else that of the request.
    """
    key = "decision" if image is None else f"decision-{image}"
    if key not in record.memory:
        refused = record.find("denied") or record.find("in_review")
        where: dict[str, Any] = refused.data["where"] if refused else {"stage": "request"}
        record.memory[key] = replay(record, {"stage": "image", "image": image} if image is not None else where)
    found: Decision = record.memory[key]
    return found


async def refuse(record: Record, decision: Decision, **where: int) -> None:
    """End a record that policy does not let go on; pass where it does.

    Raises:
        PolicyDenied: The verdict is deny.
        ReviewRequired: The verdict is review.
    """
    if decision.allowed:
        return
    record.memory["decision"] = decision
    data = {
        "verdict": decision.verdict.value,
        "rules": sorted({h.rule for h in decision.deciding}),
        "where": {"stage": decision.stage, **where},
    }
    if decision.verdict is Verdict.DENY:
        await dispose_of_given(record, decision)
        await record.add("denied", data, durable=True)
        raise PolicyDenied(decision, record_id=record.id)
    await record.add("in_review", data, durable=True)
    raise ReviewRequired(decision, record_id=record.id)
