"""Looking whether a proxy is there, lets us in, and is of the dialect that the configuration says. Submits nothing."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from limner_providers._midjourney_facts import Dialect
from limner_providers._midjourney_proxy import Proxy
from limner_providers._midjourney_wire import other_dialect, read_task
from limner_providers.base import Health
from limner_providers.errors import EngineUnavailable, ProviderError

_WITHIN = 15.0


async def look_after(proxy: Proxy, *, models: tuple[str, ...]) -> Health:
    """Ask for a task that nobody has: one call tells reachability, the secret, latency and the dialect.

    novicezk answers `null`, trueai an empty 204; where that contradicts the configuration, a call that only trueai has
    decides.

    Raises:
        AccessDenied: the secret is wrong or missing.
        EngineUnavailable: it is not there, or what is there is no proxy.
    """
    started = time.perf_counter_ns()
    nobody = f"limner-{secrets.token_hex(8)}"
    answer = await proxy.http.send("GET", f"/mj/task/{nobody}/fetch", idempotent=True, timeout=_WITHIN)
    latency = (time.perf_counter_ns() - started) // 1000
    answer.raise_for_status()
    body = answer.body.strip()
    if body and read_task(told := answer.json()) is None and told not in (None, {}):
        message = f"{proxy.name}: something answers at base_url that is no Midjourney proxy."
        raise EngineUnavailable(message, remedy="Check base_url.", provider=proxy.name, retry_safe=False)
    guess: Dialect = "novicezk" if body else "trueai"
    missing: tuple[str, ...] = ()
    if guess != proxy.dialect and await _speaks_trueai(proxy, nobody) == (guess == "trueai"):
        told = f"dialect: it speaks {guess} and is configured as {proxy.dialect}; set dialect: {guess}"
        missing = (f"{told}, or upscale, variation and inpaint will fail",)
    said = [f"speaks {guess if missing else proxy.dialect}", await _accounts(proxy)]
    return Health(latency=latency, detail=", ".join(filter(None, said)), models=models, missing=missing)


async def _speaks_trueai(proxy: Proxy, nobody: str) -> bool:
    """Say whether the proxy has the call for a task's seed, which novicezk has not: it answers with a code."""
    try:
        answer = await proxy.http.send("GET", f"/mj/task/{nobody}/image-seed", idempotent=True, timeout=_WITHIN)
        told = json.loads(answer.body)
    except (ProviderError, ValueError):
        return False
    return isinstance(told, dict) and type(told.get("code")) is int


async def _accounts(proxy: Proxy) -> str:
    """Count the proxy's accounts, where it shows them (novicezk)."""
    if other_dialect(proxy.dialect) == "novicezk":
        return ""
    try:
        answer = await proxy.http.send("GET", "/mj/account/list", idempotent=True, timeout=_WITHIN)
        found: Any = answer.raise_for_status().json()
    except ProviderError:
        return ""
    if not isinstance(found, list):
        return ""
    working = sum(1 for one in found if isinstance(one, dict) and one.get("enable") is True)
    return f"{working} of {len(found)} accounts enabled"
