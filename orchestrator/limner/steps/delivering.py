"""The end of a good record: what the caller gets, and the entry that says that it was handed out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from limner.result import Attempt, GeneratedImage, ImageResult, PlannedCandidate
from limner.steps.calls import attempts, sent, total_cost
from limner.steps.judging import decision_of
from limner.steps.pictures import Picture, pictures
from limner_provenance.errors import ProvenanceError
from limner_providers.types import MIME

if TYPE_CHECKING:
    from limner.records import Record
    from limner_providers.capabilities import Adaptation

_DEVELOPMENT = "signed with a DEVELOPMENT certificate of this machine: good for trying, proof of nothing to others"


async def deliver(record: Record) -> ImageResult:
    """Hand out what was sealed; the entry rides along with the next commit."""
    wanted = [_image(record, p) for p in pictures(record) if not p.surplus]
    surplus = [_image(record, p) for p in pictures(record) if p.surplus]
    released, more = (tuple(i for i in images if i.data) for images in (wanted, surplus))
    withheld = tuple(i for i in wanted if not i.data)
    if record.find("delivered") is None:
        data = {"images": [i.index for i in released], "withheld": [i.index for i in withheld]}
        await record.add("delivered", data | ({"surplus": [i.index for i in more]} if surplus else {}))
    made = record.entry("produced")
    engine = sent(record, made.data.get("attempt", 1)).data
    calls = attempts(record)
    decisions = [decision_of(record), *(i.decision for i in released)]
    return ImageResult(
        record_id=record.id,
        images=released,
        withheld=withheld,
        decision=max(decisions, key=lambda d: d.verdict),
        plan=_plan(record),
        model=made.data["model"]["name"],
        provider=engine["provider"],
        parameters=dict(made.data["parameters"]),
        cost=total_cost(record),
        warnings=(
            *_uncatalogued(_candidate(record, engine)),
            *_deviations(record, engine, wanted),
            *_warnings(record, calls, wanted, surplus),
        ),
        surplus=more,
        development=any(sealed.data["development"] for sealed in record.all("sealed")),
        attempts=calls,
        adaptations=_adaptations(_candidate(record, engine)),
    )


def _image(record: Record, picture: Picture) -> GeneratedImage:
    from limner_providers.parts import ImageOrigin

    sealed = record.find("sealed", image=picture.index)
    data: bytes = b""
    if sealed is not None:
        data = record.memory.get(f"asset-{picture.index}") or record.log.payload(sealed.payloads["asset"])
    origin = None
    if picture.job is not None:
        provider = sent(record, picture.attempt).data["provider"]
        origin = ImageOrigin(provider=provider, job=picture.job, index=picture.job_index)
    return GeneratedImage(
        picture.index,
        data,
        picture.mime,
        picture.width,
        picture.height,
        picture.seed,
        decision_of(record, image=picture.index),
        origin=origin,
        metadata=dict(picture.metadata),
    )


def _candidate(record: Record, engine: dict[str, Any]) -> dict[str, Any]:
    """Give the plan's candidate that was asked; release 0.1 asked the chosen one."""
    planned = record.entry("planned").data
    found: dict[str, Any] = planned["candidates"][engine.get("candidate", planned["chosen"] or 0)]
    return found


def _adaptations(candidate: dict[str, Any]) -> tuple[Adaptation, ...]:
    from limner_providers.capabilities import Adaptation

    return tuple(Adaptation.model_validate(stated) for stated in candidate.get("adaptations", ()))


def _plan(record: Record) -> tuple[PlannedCandidate, ...]:
    """Give the plan with its reasons, from memory or as its entry tells of it."""
    if "plan" in record.memory:
        made: tuple[PlannedCandidate, ...] = record.memory["plan"]
        return made
    planned = record.find("planned")
    if planned is None:
        return ()
    n = int(record.entry("accepted").data["request"].get("n", 1))
    looked = [_planned(candidate, n) for candidate in planned.data["candidates"]]
    for broken in planned.data.get("broken", ()):
        out = PlannedCandidate(broken["provider"], broken["kind"], "", (broken["error"],))
        looked.insert(broken["place"], out)
    reasons = _reasons(record)
    if len(reasons) != len(looked):
        return tuple(looked)
    return tuple(replace(candidate, left_out=tuple(why)) for candidate, why in zip(looked, reasons, strict=True))


def _reasons(record: Record) -> list[list[str]]:
    """Give the reasons in words; none where they were not kept, or were erased."""
    try:
        return record.payload("planned", "reasons") or []
    except ProvenanceError:
        return []


def _planned(candidate: dict[str, Any], n: int) -> PlannedCandidate:
    left_out = _left_out(candidate)
    calls = tuple(candidate.get("calls", (n,))) if not left_out else ()
    where = candidate["provider"], candidate["kind"], candidate["model"]["name"]
    return PlannedCandidate(*where, left_out, _adaptations(candidate), calls, candidate.get("uncatalogued", False))


def _left_out(candidate: dict[str, Any]) -> tuple[str, ...]:
    """Give fields and rules that left a candidate out, as its entry names them."""
    denied = [h["rule"] for h in candidate["hits"] if h["verdict"] == candidate["verdict"] and h["mode"] == "enforce"]
    return (*candidate["unmet"], *(denied if candidate["verdict"] in {"review", "deny"} else ()))


def _warnings(
    record: Record, calls: tuple[Attempt, ...], wanted: list[GeneratedImage], surplus: list[GeneratedImage]
) -> tuple[str, ...]:
    found: list[str] = list(record.memory.get("warnings", ()))
    found += _fallen_back(calls)
    n = int(record.entry("accepted").data["request"].get("n", 1))
    if len(wanted) < n:
        found.append(f"{len(wanted)} of {n} pictures: {_shortage(calls)}")
    if any(e.data["development"] for e in record.all("sealed")):
        found.append(_DEVELOPMENT)
    if withheld := sum(not i.data for i in wanted):
        found.append(f"{withheld} of {len(wanted)} images are withheld by policy")
    if held := sum(not i.data for i in surplus):
        found.append(f"{held} of {len(surplus)} surplus images are withheld by policy")
    return tuple(dict.fromkeys(found))


def _uncatalogued(candidate: dict[str, Any]) -> tuple[str, ...]:
    name = candidate["model"]["name"]
    said = f"the model {name} is not catalogued here: it was asked for no more than the least that its kind can do"
    return (said,) if candidate.get("uncatalogued") else ()


def _deviations(record: Record, engine: dict[str, Any], wanted: list[GeneratedImage]) -> tuple[str, ...]:
    """Say where the pictures are not of the size or format that was asked for: some servers choose their own."""
    request = record.entry("accepted").data["request"]
    adapted = {stated["field"]: stated["used"] for stated in _candidate(record, engine).get("adaptations", ())}
    size = adapted.get("size", request.get("size"))
    kind = MIME[adapted.get("output_format", request["output_format"])]
    made = {f"{image.width}x{image.height}" for image in wanted} if size and size[0].isdigit() else set()
    other = {image.mime for image in wanted} - {kind}
    return (
        *(f"{engine['provider']} gave {found} where {size} was asked for" for found in sorted(made - {size})),
        *(f"{engine['provider']} gave {found} where {kind} was asked for" for found in sorted(other)),
    )


def _shortage(calls: tuple[Attempt, ...]) -> str:
    last = calls[-1]
    if last.error == "OutcomeUnknown":
        return f"nobody knows what became of the last call to {last.provider}; it may have been billed"
    failed = f" ({last.error})" if last.error else ""
    return f"{last.provider} gave no more{failed}"


def _fallen_back(calls: tuple[Attempt, ...]) -> list[str]:
    """Say which providers failed before another one made the pictures."""
    maker = next((c.provider for c in reversed(calls) if c.images), None)
    failed = {c.provider: c for c in calls if c.error and c.provider != maker}
    return [
        f"{c.provider} failed: {c.error} {c.message}".strip() + f"; {maker} made the images" for c in failed.values()
    ]
