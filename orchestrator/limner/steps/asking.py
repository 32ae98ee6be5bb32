"""What was asked: written down once as `accepted`, and read back from there by every later step."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from limner.context import RequestContext
from limner.versions import limner_version
from limner_providers.types import ImageRequest

if TYPE_CHECKING:
    from limner.records import Record

OnUnsupported = Literal["error", "adapt"]


@dataclass(frozen=True)
class Asked:
    """A request, who made it, the caller's pins (None: any provider, any model), and how strictly it is meant.

    Attributes:
        request: What to make.
        context: Who asks and what for.
        provider: Use only this provider.
        model: Use only this model.
        on_unsupported: `error` refuses what an engine cannot honour, `adapt` takes its listed adaptations.
        timeout: Seconds that one call to an engine may take; None: as the model's capabilities say.
    """

    request: ImageRequest
    context: RequestContext
    provider: str | None = None
    model: str | None = None
    on_unsupported: OnUnsupported = "error"
    timeout: float | None = None


async def accept(record: Record) -> None:
    """Open the record: parameters and pins in the entry; texts, claims, pictures and `extra` as payloads."""
    if record.find("accepted"):
        return
    asked: Asked = record.memory["asked"]
    claims = asked.context.model_dump(exclude_none=True, exclude_defaults=True)
    data: dict[str, Any] = {
        "limner": limner_version(),
        "request": asked.request.to_parameters(),
        "pins": {"provider": asked.provider, "model": asked.model},
        "claimed": {k: claims[k] for k in ("purpose", "audience", "region") if k in claims},
    }
    if asked.on_unsupported != "error":
        data["on_unsupported"] = asked.on_unsupported
    if asked.timeout is not None:
        data["timeout_us"] = round(asked.timeout * 1_000_000)
    await record.add("accepted", data, _payloads(asked, claims), apart=asked.request.inputs().keys())


def _payloads(asked: Asked, claims: dict[str, Any]) -> dict[str, Any]:
    """Everything that may have to be erased one day; `extra` is JSON as text, since it may hold decimals."""
    request = asked.request
    payloads: dict[str, Any] = {"prompt": request.prompt, "context": claims | {"tags": list(asked.context.tags)}}
    if request.negative_prompt is not None:
        payloads["negative_prompt"] = request.negative_prompt
    if request.extra:
        payloads["extra"] = json.dumps(request.extra, sort_keys=True)
    return payloads | {name: image.data for name, image in request.inputs().items()}


def asked(record: Record) -> Asked:
    """Give what was asked, from memory or from the record's `accepted` entry and payloads; decodes its pictures."""
    if "asked" not in record.memory:
        record.memory["asked"] = _read(record)
    found: Asked = record.memory["asked"]
    return found


async def recall(record: Record) -> None:
    """Read what was asked back from the log, in a worker thread: its pictures are decrypted and decoded."""
    if "asked" not in record.memory:
        await asyncio.to_thread(asked, record)


def _read(record: Record) -> Asked:
    entry = record.entry("accepted")
    kept = {name: ref for name, ref in entry.payloads.items() if ref.kind == "bytes"}
    extra = record.payload("accepted", "extra")
    request = ImageRequest.from_parameters(
        entry.data["request"],
        prompt=record.payload("accepted", "prompt"),
        negative_prompt=record.payload("accepted", "negative_prompt"),
        inputs={name: record.log.payload(ref) for name, ref in kept.items()},
        extra=json.loads(extra) if extra else None,
    )
    context = RequestContext.model_validate(record.payload("accepted", "context"))
    timeout = entry.data.get("timeout_us")
    return Asked(
        request,
        context,
        **entry.data["pins"],
        on_unsupported=entry.data.get("on_unsupported", "error"),
        timeout=None if timeout is None else timeout / 1_000_000,
    )


def as_facts(parameters: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Write a request's parameters as flat texts: `{"margins": {"left": 64}}` becomes `{"margins.left": "64"}`."""
    found: dict[str, str] = {}
    for name, value in parameters.items():
        parts = dict(enumerate(value)) if isinstance(value, list) else value
        if isinstance(parts, dict):
            found |= as_facts({str(key): part for key, part in parts.items()}, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = str(value)
    return found
