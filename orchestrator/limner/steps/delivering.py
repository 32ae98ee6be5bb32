"""The end of a good record: what the caller gets, and the entry that says that it was handed out."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from limner.result import GeneratedImage, ImageResult, PlannedCandidate
from limner.steps.judging import decision_of
from limner.steps.pictures import Picture, pictures

if TYPE_CHECKING:
    from limner.records import Record
    from limner_providers.base import Cost

_DEVELOPMENT = "signed with a DEVELOPMENT certificate of this machine: good for trying, proof of nothing to others"


async def deliver(record: Record) -> ImageResult:
    """Hand out what was sealed; the entry rides along with the next commit."""
    images = [_image(record, picture) for picture in pictures(record)]
    released = tuple(i for i in images if i.data)
    withheld = tuple(i for i in images if not i.data)
    if record.find("delivered") is None:
        await record.add("delivered", {"images": [i.index for i in released], "withheld": [i.index for i in withheld]})
    attempted, produced = record.entry("attempted"), record.entry("produced")
    decisions = [decision_of(record), *(i.decision for i in released)]
    return ImageResult(
        record_id=record.id,
        images=released,
        withheld=withheld,
        decision=max(decisions, key=lambda d: d.verdict),
        plan=_plan(record),
        model=produced.data["model"]["name"],
        provider=attempted.data["provider"],
        parameters=dict(produced.data["parameters"]),
        cost=_cost(produced.data["cost"]),
        warnings=_warnings(record, withheld),
    )


def _image(record: Record, picture: Picture) -> GeneratedImage:
    sealed = record.find("sealed", image=picture.index)
    data: bytes = b""
    if sealed is not None:
        data = record.memory.get(f"asset-{picture.index}") or record.log.payload(sealed.payloads["asset"])
    decision = decision_of(record, image=picture.index)
    return GeneratedImage(picture.index, data, picture.mime, picture.width, picture.height, picture.seed, decision)


def _plan(record: Record) -> tuple[PlannedCandidate, ...]:
    """Give the plan with its reasons, or what the entry still says of it when it is read back later."""
    if "plan" in record.memory:
        made: tuple[PlannedCandidate, ...] = record.memory["plan"]
        return made
    planned = record.find("planned")
    candidates = planned.data["candidates"] if planned else []
    return tuple(PlannedCandidate(c["provider"], c["kind"], c["model"]["name"], _left_out(c)) for c in candidates)


def _left_out(candidate: dict[str, Any]) -> tuple[str, ...]:
    """Give fields and rules that left a candidate out, as its entry names them."""
    denied = [h["rule"] for h in candidate["hits"] if h["verdict"] == candidate["verdict"] and h["mode"] == "enforce"]
    return (*candidate["unmet"], *(denied if candidate["verdict"] in {"review", "deny"} else ()))


def _cost(cost: dict[str, str] | None) -> Cost | None:
    from limner_providers.base import Cost

    return None if cost is None else Cost(amount=Decimal(cost["amount"]), currency=cost["currency"])


def _warnings(record: Record, withheld: tuple[GeneratedImage, ...]) -> tuple[str, ...]:
    answer = record.memory.get("answer")
    found: list[str] = [*record.memory.get("warnings", ()), *(answer.warnings if answer else ())]
    if any(e.data["development"] for e in record.all("sealed")):
        found.append(_DEVELOPMENT)
    if withheld:
        found.append(f"{len(withheld)} of {len(withheld) + len(record.all('sealed'))} images are withheld by policy")
    return tuple(dict.fromkeys(found))
