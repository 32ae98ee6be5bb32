"""Which engine is asked, how often, and when the next one: never where it could bill twice.

Retries and fall-backs live in this step alone. A record that was resumed asks nobody any more.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from limner.errors import EVERY
from limner.retrying import retrying
from limner.steps.asking import asked, recall
from limner.steps.calling import Call, call, failure
from limner.steps.candidates import fitted
from limner.stopping import Stop
from limner_providers.errors import (
    Cancelled,
    GenerationFailed,
    ModerationBlocked,
    OutcomeUnknown,
    ProviderError,
    ResultRefused,
)
from limner_providers.types import SEED_LIMIT

if TYPE_CHECKING:
    from limner.records import Record
    from limner.runtime import Runtime
    from limner_providers.base import Provider
    from limner_providers.capabilities import Capabilities
    from limner_providers.fitting import Fit

_SEED_ROOM = SEED_LIMIT - 1_000
"""Drawn seeds stay this far below the limit, so that the seeds of a batch do too."""


async def attempt(record: Record, runtime: Runtime) -> None:
    """Ask the fitting engines in the plan's order until one has done it, and keep what they give.

    Raises:
        OutcomeUnknown: A call left and nobody knows what became of it; nothing is repeated.
        Cancelled: Whoever asked wanted to stop.
        ProviderError: The engine said no or failed, and no other may be asked or can do it.
    """
    if record.find("attempted"):
        await _resumed(record)
        return
    await recall(record)
    record.memory.setdefault("warnings", []).extend(runtime.check_before_spending())
    first = _first_seed(record)
    left = _fitting(record)
    before: list[str] = []
    while left:
        try:
            await _ask(record, runtime, left.pop(0), first)
            return
        except ProviderError as error:
            if not left or record.find("produced") or not error.fallback_safe:
                for note in before:
                    error.add_note(note)
                raise
            before.append(f"before: {type(error).__name__} {error}")


def _fitting(record: Record) -> list[int]:
    """Give the places of the plan's candidates that fit, from the chosen one on; an approved one stands for all."""
    planned = record.entry("planned").data
    if planned["chosen"] is None:
        return [i for i, c in enumerate(planned["candidates"]) if not c["unmet"] and not c.get("pinned_away")][:1]
    return [
        i
        for i, c in enumerate(planned["candidates"])
        if not c["unmet"] and not c.get("pinned_away") and c["verdict"] in {"allow", "allow_with_duties"}
    ]


async def _ask(record: Record, runtime: Runtime, candidate: int, first_seed: int) -> None:
    """Ask one candidate, in as many calls as it needs for all pictures.

    Raises:
        GenerationFailed: It gave fewer pictures than asked; those that came are kept.
        ProviderError: As the engine says, where it gave none.
    """
    planned = record.entry("planned").data["candidates"][candidate]
    provider = _provider(runtime, planned["provider"])
    model = planned["model"]["name"]
    able = await provider.capabilities(model)
    fit = _fit(record, candidate, provider, able)
    done = 0
    for n in fit.calls:
        it = _call(provider, candidate, model, able, fit, n=n, first=done, seed=first_seed + done)
        try:
            came = await _with_retries(record, runtime, it)
        except ProviderError as error:
            if done:
                raise _cut_short(record, it, done, error) from error
            raise
        done += came
        if came < n:
            raise _too_few(record, it, done)


def _provider(runtime: Runtime, name: str) -> Provider:
    """Give a planned provider; one that is gone since then was not asked for anything.

    Raises:
        ProviderError: It cannot be had any more.
    """
    try:
        return runtime.provider(name)
    except EVERY as error:
        if isinstance(error, ProviderError):
            raise
        raise GenerationFailed(f"{name} is not there any more; nothing was sent.", remedy=str(error)) from error


def _fit(record: Record, candidate: int, provider: Provider, able: Capabilities) -> Fit:
    """Give how the candidate carries the request out; worked out again where another process planned it."""
    known: dict[int, Fit] = record.memory.setdefault("candidates", {})
    if candidate not in known:
        known[candidate] = fitted(provider.name, able, asked(record))
    return known[candidate]


def _call(
    provider: Provider, candidate: int, model: str, able: Capabilities, fit: Fit, *, n: int, first: int, seed: int
) -> Call:
    seeds = tuple(range(seed, seed + n))
    # An engine with one seed a call, or with none, is not told of one that it could not honour.
    given = seed if fit.request.seed is not None and able.seed is True else None
    return Call(
        provider=provider,
        candidate=candidate,
        model=model,
        request=fit.request.model_copy(update={"n": n, "seed": given}),
        seeds=seeds,
        seeds_told={True: seeds, False: (), "call": seeds[:1]}[able.seed],
        first=first,
        total=fit.request.n,
        free=able.cost is None and able.cost_known,
    )


async def _with_retries(record: Record, runtime: Runtime, it: Call) -> int:
    """Make a call, again where it did not start and may be made again."""
    stop: Stop = record.memory.setdefault("stop", Stop())

    async def wait(seconds: float) -> None:
        with stop.while_working():
            await runtime.sleep(seconds)

    async for again in retrying(runtime.config.routing, wait):
        with again:
            return await call(record, it)
    raise AssertionError  # pragma: no cover - the last attempt's error is raised as it is


def _kept(record: Record, done: int, total: int) -> str:
    return f'The {done} of {total} pictures that came are kept: Limner.get("{record.id}") gives them.'


def _too_few(record: Record, it: Call, done: int) -> GenerationFailed:
    error = GenerationFailed(
        f"{it.provider.name} gave {done} of {it.total} pictures.",
        remedy=_kept(record, done, it.total),
        provider=it.provider.name,
        request_id=record.entry("produced").data.get("request_id"),
        may_have_billed=True,
    )
    for warning in record.memory.get("warnings", ()):  # why one that came could not be taken stands there
        error.add_note(warning)
    return error


def _cut_short(record: Record, it: Call, done: int, error: ProviderError) -> ProviderError:
    """Say that a later call failed after an earlier one gave pictures; a wish to stop or a block stays one."""
    message = f"{it.provider.name} gave {done} of {it.total} pictures before it failed ({type(error).__name__})."
    if isinstance(error, ModerationBlocked):
        return ModerationBlocked(
            message,
            stage=error.stage,
            categories=error.categories,
            matched=error.matched,
            remedy=_kept(record, done, it.total),
            provider=it.provider.name,
            request_id=error.request_id,
            may_have_billed=True,
        )
    kind = Cancelled if isinstance(error, Cancelled) else GenerationFailed
    return kind(
        message,
        remedy=_kept(record, done, it.total),
        provider=it.provider.name,
        request_id=error.request_id,
        job=error.job,
        retry_safe=False,
        may_have_billed=True,
    )


def _first_seed(record: Record) -> int:
    """Give the first seed: the one asked for, else a drawn one; the others count up from it."""
    request = asked(record).request
    return secrets.randbelow(_SEED_ROOM) if request.seed is None else request.seed


async def _resumed(record: Record) -> None:
    """Go on with what was produced, or end as the last call did; nobody is asked again.

    Raises:
        OutcomeUnknown: A call left, and nobody knows what became of it.
        GenerationFailed: The engine had failed.
    """
    still_open = record.state.open_attempts
    if record.find("produced"):
        lost = OutcomeUnknown("The process ended before an answer was kept.")
        for number in still_open:
            await record.add("attempt_failed", failure(lost, int(number)), {"message": str(lost)})
        return
    if still_open or not (failed := record.find("attempt_failed")):
        raise OutcomeUnknown(
            f"Record {record.id} was sent to an engine, and no answer was kept.",
            remedy="It is not sent again, since that could bill twice; look at the provider's own list of jobs, or "
            "fetch the result with `limner audit recover --fetch` where the provider can.",
        )
    _fail_again(failed.data)


def _fail_again(failed: dict[str, Any]) -> None:
    """End as a call did whose failure is recorded, where a crash came before the end itself was.

    Raises:
        OutcomeUnknown: Nobody knew what had become of it.
        GenerationFailed: The engine had failed.
    """
    if failed["error"] == OutcomeUnknown.__name__ or (failed["error"] == ResultRefused.__name__ and "job" in failed):
        raise OutcomeUnknown("Nobody knows what the engine did.", remedy="It is not sent again.")
    raise GenerationFailed(
        f"The engine had failed ({failed['error']}).", remedy="Ask again.", may_have_billed=failed["may_have_billed"]
    )
