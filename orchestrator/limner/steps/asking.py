"""What was asked: written down once as `accepted`, and read back from there by every later step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner.context import RequestContext
from limner.versions import limner_version
from limner_providers.types import ImageRequest

if TYPE_CHECKING:
    from limner.records import Record


@dataclass(frozen=True)
class Asked:
    """A request, who made it, and the caller's pins (None: any provider, any model)."""

    request: ImageRequest
    context: RequestContext
    provider: str | None = None
    model: str | None = None


async def accept(record: Record) -> None:
    """Open the record: parameters and pins in the entry, texts and claims as payloads."""
    if record.find("accepted"):
        return
    asked: Asked = record.memory["asked"]
    claims = asked.context.model_dump(exclude_none=True, exclude_defaults=True)
    data = {
        "limner": limner_version(),
        "request": asked.request.to_parameters(),
        "pins": {"provider": asked.provider, "model": asked.model},
        "claimed": {k: claims[k] for k in ("purpose", "audience", "region") if k in claims},
    }
    payloads: dict[str, object] = {
        "prompt": asked.request.prompt,
        "context": claims | {"tags": list(asked.context.tags)},
    }
    if asked.request.negative_prompt is not None:
        payloads["negative_prompt"] = asked.request.negative_prompt
    await record.add("accepted", data, payloads)


def asked(record: Record) -> Asked:
    """Give what was asked, from memory or from the record's `accepted` entry and payloads."""
    if "asked" not in record.memory:
        entry = record.entry("accepted")
        request = ImageRequest.from_parameters(
            entry.data["request"],
            prompt=record.payload("accepted", "prompt"),
            negative_prompt=record.payload("accepted", "negative_prompt"),
        )
        context = RequestContext.model_validate(record.payload("accepted", "context"))
        record.memory["asked"] = Asked(request, context, **entry.data["pins"])
    found: Asked = record.memory["asked"]
    return found
