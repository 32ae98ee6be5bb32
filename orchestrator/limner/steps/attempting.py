"""One call to an engine: durable before it leaves, and its pictures kept as soon as they are here.

Retries and fall-backs live in this step alone, and only where they cannot bill twice.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any

from limner.steps.asking import asked
from limner.steps.pictures import Picture
from limner_providers.errors import GenerationFailed, OutcomeUnknown, ProviderError
from limner_providers.types import SEED_LIMIT

if TYPE_CHECKING:
    from limner.records import Record
    from limner.runtime import Runtime
    from limner_providers.base import ProviderAnswer

_SEED_ROOM = SEED_LIMIT - 1_000
"""Drawn seeds stay this far below the limit, so that the seeds of a batch do too."""


async def attempt(record: Record, runtime: Runtime) -> None:
    """Ask the chosen engine and keep what it gives.

    Raises:
        OutcomeUnknown: An earlier attempt left and nobody knows what became of it; nothing is repeated.
        ProviderError: The engine said no or failed.
    """
    if record.find("produced"):
        return
    if failed := record.find("attempt_failed"):
        _fail_again(failed.data)
    if record.find("attempted"):
        raise OutcomeUnknown(
            f"Record {record.id} was sent to an engine, and no answer was kept.",
            remedy="It is not sent again, since that could bill twice; look at the provider's own list of jobs.",
        )
    planned = record.entry("planned").data
    candidate = planned["candidates"][planned["chosen"]]
    record.memory.setdefault("warnings", []).extend(runtime.check_before_spending())
    seeds = _seeds(record)
    test = runtime.provider(candidate["provider"]).is_test
    sent = {k: candidate[k] for k in ("provider", "kind")} | {"model": candidate["model"]["name"], "test": test}
    await record.add("attempted", sent | {"attempt": 1, "seeds": [str(s) for s in seeds]}, durable=True)
    started = time.perf_counter_ns()
    try:
        answer = await _ask(record, runtime, candidate, seeds)
    except ProviderError as error:
        await record.add("attempt_failed", _failure(error, started), {"message": str(error)})
        raise
    await _keep(record, answer, started)


async def _ask(record: Record, runtime: Runtime, candidate: dict[str, Any], seeds: list[int]) -> ProviderAnswer:
    """Call the engine; whatever is no error of a provider's means that nobody knows what happened there.

    Raises:
        OutcomeUnknown: The provider broke in a way it should not.
        GenerationFailed: It gave fewer pictures than asked.
        ProviderError: As the provider says.
    """
    request = asked(record).request
    provider = runtime.provider(candidate["provider"])
    try:
        answer = await provider.generate(
            request, model=candidate["model"]["name"], seeds=seeds, on_event=record.memory.get("on_progress")
        )
    except ProviderError:
        raise
    except Exception as error:
        raise OutcomeUnknown(
            f"{provider.name} broke while it worked ({type(error).__name__}).",
            remedy="It may have been billed; see the cause, and report it to who wrote the provider.",
            provider=provider.name,
        ) from error
    if len(answer.images) < request.n:
        raise GenerationFailed(
            f"{provider.name} gave {len(answer.images)} of {request.n} pictures.",
            remedy="Ask for fewer, or ask another provider.",
            provider=provider.name,
            may_have_billed=True,
        )
    record.memory["pictures"] = await asyncio.to_thread(_pictures, provider.name, answer)
    return answer


def _pictures(provider: str, answer: ProviderAnswer) -> list[Picture]:
    """Take the pictures over, decoding those that come without pixels: later nothing could be done about a bad one.

    Raises:
        GenerationFailed: One is no picture.
    """
    made = [Picture.of(i, image) for i, image in enumerate(answer.images)]
    for picture in made:
        try:
            _ = picture.pixels
        except Exception as error:
            raise GenerationFailed(
                f"What {provider} gave as image {picture.index} is no picture.",
                remedy="Report it to who wrote the provider.",
                provider=provider,
                may_have_billed=True,
            ) from error
    return made


async def _keep(record: Record, answer: ProviderAnswer, started: int) -> None:
    """Write `produced`: every picture as an encrypted payload, and how it was made."""
    made: list[Picture] = record.memory["pictures"]
    model = answer.model
    cost = None if answer.cost is None else {"amount": str(answer.cost.amount), "currency": answer.cost.currency}
    data = {
        "model": {"name": model.name, "sha256": model.sha256, "licence": model.licence},
        "parameters": dict(answer.parameters),
        "images": [picture.facts() for picture in made],
        "cost": cost,
        "request_id": answer.request_id,
        "timings_us": dict(answer.timings) | {"attempt": (time.perf_counter_ns() - started) // 1000},
        "warnings": len(answer.warnings),
    }
    record.memory["answer"] = answer
    await record.add("produced", data, {f"image-{p.index}": p.data for p in made})


def _seeds(record: Record) -> list[int]:
    """Give `n` seeds, counting up from the one asked for, or from a drawn one."""
    request = asked(record).request
    first = secrets.randbelow(_SEED_ROOM) if request.seed is None else request.seed
    return list(range(first, first + request.n))


def _fail_again(failure: dict[str, Any]) -> None:
    """End as an attempt did whose failure is recorded, where a crash came before the end itself was.

    Raises:
        GenerationFailed: The engine had failed; where the outcome was not known, it still is not.
    """
    if failure["error"] != OutcomeUnknown.__name__:
        raise GenerationFailed(
            f"The engine had failed ({failure['error']}).",
            remedy="Ask again.",
            may_have_billed=failure["may_have_billed"],
        )


def _failure(error: ProviderError, started: int) -> dict[str, Any]:
    return {
        "attempt": 1,
        "error": type(error).__name__,
        "may_have_billed": error.may_have_billed,
        "request_id": error.request_id,
        "cost": None,
        "timings_us": {"attempt": (time.perf_counter_ns() - started) // 1000},
    }
