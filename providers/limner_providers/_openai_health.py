"""A look at an OpenAI-compatible server that costs nothing: its list of models."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from limner_providers._openai_catalogue import models
from limner_providers._openai_client import Call, Caller, Reply
from limner_providers._openai_errors import Asked, refused
from limner_providers.base import Health
from limner_providers.errors import ProviderError, shorten

_MOST = 4 * 1024 * 1024
_MOST_NAMES = 500
_NO_LIST = "GET /models: its models cannot be listed, nor whether it has the configured one"


async def look(caller: Caller, *, model: str | None, vendor: bool, secrets: tuple[str, ...], timeout: float) -> Health:
    """Ask for the list of models.

    A server that has none is there all the same, and that is said.

    Raises:
        ProviderError: it is not there, or does not let us in.
    """
    asked = Asked(provider=caller.provider, model=model, secrets=secrets)
    statuses: list[int] = []

    def refuse(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        statuses.append(status)
        return refused(status, headers, body, asked)

    started = time.perf_counter()
    rows: list[Mapping[str, Any]] | None = None
    try:
        call = Call(method="GET", path="/models", idempotent=True, most=_MOST)
        rows = await caller.run(call, _rows, refuse=refuse, timeout=timeout)
    except ProviderError:
        if not statuses or statuses[0] not in {404, 405, 501}:
            raise
    latency = round((time.perf_counter() - started) * 1_000_000)
    if rows is None:
        return Health(latency=latency, detail="answers", missing=(_NO_LIST,))
    ends = {str(row["id"]): row.get("shutdown_date") for row in rows}
    names = [name for name in ends if not vendor or _draws(name)]
    missing: tuple[str, ...] = ()
    if vendor and model is not None and model not in ends:
        missing = (f"the model {shorten(model)} is not among those that this key may use",)
    until = ends.get(model or "")
    word = "model" if len(names) == 1 else "models"
    detail = f"{len(names)} {'image ' if vendor else ''}{word}"
    if isinstance(until, str) and len(until) == 10:
        detail += f"; {model} is switched off on {until}"
    return Health(latency=latency, detail=detail, models=tuple(names[:_MOST_NAMES]), missing=missing)


def _draws(name: str) -> bool:
    return name in models() or name.startswith(("gpt-image", "chatgpt-image", "dall-e"))


async def _rows(reply: Reply) -> list[Mapping[str, Any]] | None:
    """Read the rows that name a model; None where the answer is no list."""
    try:
        value = json.loads(await reply.read())
    except (ValueError, RecursionError):
        return None
    data = value.get("data") if isinstance(value, dict) else value
    if not isinstance(data, list):
        return None
    return [row for row in data if isinstance(row, dict) and isinstance(row.get("id"), str) and len(row["id"]) <= 200]
