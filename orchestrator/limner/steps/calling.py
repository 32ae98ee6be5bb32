"""One call to an engine: durable before it leaves, and its pictures kept as soon as they are here.

It never asks twice and chooses nobody: that is `attempting`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limner.steps.asking import asked
from limner.steps.pictures import Picture
from limner.stopping import Stop
from limner_providers.base import JobAccepted, Progress, Resumable
from limner_providers.errors import GenerationFailed, ModerationBlocked, OutcomeUnknown, ProviderError

if TYPE_CHECKING:
    from limner.records import Record
    from limner_providers.base import Event, Provider, ProviderAnswer
    from limner_providers.types import ImageRequest


@dataclass(frozen=True, kw_only=True)
class Call:
    """What one call asks: of whom, with which seeds, and where its pictures belong in the whole request.

    Attributes:
        provider: Who is asked.
        candidate: Its place among the plan's candidates.
        model: The model's name.
        request: What is asked of it, with the number of this call.
        seeds: One a picture.
        seeds_told: Those of them that the engine takes, which the record names.
        first: Number of its first picture in the whole request.
        total: Pictures of the whole request.
        free: It costs nothing, so that giving it up costs nothing either.
    """

    provider: Provider
    candidate: int
    model: str
    request: ImageRequest
    seeds: tuple[int, ...]
    seeds_told: tuple[int, ...]
    first: int
    total: int
    free: bool


async def call(record: Record, it: Call) -> int:
    """Make the call, and keep what it gives; say how many of the wanted pictures came.

    Raises:
        OutcomeUnknown: Nobody knows what became of it.
        ProviderError: The engine said no or failed, and gave nothing.
    """
    number = len(record.all("attempted")) + 1
    await record.add("attempted", _sent(it, number), durable=True)
    started = time.perf_counter_ns()
    try:
        answer = await _ask(record, it, number)
        made = await asyncio.to_thread(take_over, record, it, number, answer)
        if not made:
            raise _nothing(it, answer)
    except ProviderError as error:
        await record.add("attempt_failed", failure(error, number, started), failure_payloads(error))
        raise
    await keep(record, answer, made, attempt=number, started=started)
    return sum(not picture.surplus for picture in made)


def _sent(it: Call, number: int) -> dict[str, Any]:
    return {
        "attempt": number,
        "candidate": it.candidate,
        "provider": it.provider.name,
        "kind": it.provider.kind,
        "model": it.model,
        "test": it.provider.is_test,
        "n": it.request.n,
        "seeds": [str(seed) for seed in it.seeds_told],
    }


async def _ask(record: Record, it: Call, number: int) -> ProviderAnswer:
    """Call the engine; whatever is no error of a provider's means that nobody knows what happened there.

    Raises:
        Cancelled: Whoever asked wanted to stop.
        OutcomeUnknown: The provider broke in a way it should not.
        ProviderError: As the provider says.
    """
    what = asked(record)
    stop: Stop = record.memory.setdefault("stop", Stop())
    try:
        with stop.while_working(it.provider.name, free=it.free):
            return await it.provider.generate(
                it.request,
                model=it.model,
                seeds=it.seeds,
                timeout=what.timeout,
                end_user=_end_user(what.context.user),
                on_event=_listener(record, number, it),
            )
    except ProviderError:
        raise
    except Exception as error:
        raise OutcomeUnknown(
            f"{it.provider.name} broke while it worked ({type(error).__name__}).",
            remedy="It may have been billed; see the cause, and report it to who wrote the provider.",
            provider=it.provider.name,
        ) from error


def _end_user(user: str | None) -> str | None:
    """Give an opaque id of who asks: the same for the same user, and no name."""
    return None if user is None else hashlib.sha256(f"limner.end_user\n{user}".encode()).hexdigest()


def _listener(record: Record, number: int, it: Call) -> _Listener | None:
    """Listen where somebody wants to know, or a job's name is worth something: engines may charge for telling."""
    wanted = record.memory.get("on_progress") is not None or isinstance(it.provider, Resumable)
    return _Listener(record, number, it) if wanted else None


class _Listener:
    """What hears an engine's events: the caller is told of progress alone, and the log of the job's name.

    Unfinished pictures are neither judged nor signed, so nobody gets them.
    """

    def __init__(self, record: Record, number: int, it: Call) -> None:
        self._record = record
        self._number = number
        self._it = it
        self._jobs: set[str] = set()
        self._told = record.memory.get("on_progress")

    def __call__(self, event: Event) -> None:
        if isinstance(event, JobAccepted) and event.job not in self._jobs:
            self._jobs.add(event.job)
            self._record.note("submitted", {"attempt": self._number, "job": event.job})
        elif isinstance(event, Progress) and self._told is not None:
            image = min(self._it.first + event.image, self._it.total)
            self._told(Progress(step=event.step, steps=event.steps, image=image, images=self._it.total))


def take_over(record: Record, it: Call, number: int, answer: ProviderAnswer) -> list[Picture]:
    """Take the pictures over, each decoded once; what is none is left out, and missing at the end.

    Surplus ones are numbered after all those that were asked for.
    """
    surplus = it.total + sum(p.surplus for p in record.memory.get("pictures", ()))
    made: list[Picture] = []
    for image in answer.images:
        extra = len(made) >= it.request.n
        index = surplus + len(made) - it.request.n if extra else it.first + len(made)
        picture = Picture.of(index, image, attempt=number, surplus=extra)
        if _is_whole(picture):
            made.append(picture)
    return made


def _is_whole(picture: Picture) -> bool:
    """Say whether a file is whole and can be decoded: later nothing could be done about a bad one."""
    from limner_provenance.credentials import check_whole

    try:
        check_whole(picture.data)
        return picture.pixels.size > 0
    except Exception:  # noqa: BLE001 - a decoder raises whatever it likes on bytes that are no picture
        return False


def _nothing(it: Call, answer: ProviderAnswer) -> GenerationFailed:
    gave = f"gave {len(answer.images)} files, none of which is a picture" if answer.images else "gave no picture"
    return GenerationFailed(
        f"{it.provider.name} {gave}.",
        remedy="Ask another provider, and report it to who wrote this one.",
        provider=it.provider.name,
        request_id=answer.request_id,
        may_have_billed=True,
    )


async def keep(
    record: Record, answer: ProviderAnswer, made: list[Picture], *, attempt: int, started: int | None = None
) -> None:
    """Write `produced`: every picture as an encrypted payload, and how it was made."""
    model = answer.model
    timings = dict(answer.timings)
    if started is not None:
        timings["attempt"] = (time.perf_counter_ns() - started) // 1000
    data: dict[str, Any] = {
        "attempt": attempt,
        "model": {"name": model.name, "sha256": model.sha256, "licence": model.licence},
        "parameters": dict(answer.parameters),
        "images": [picture.facts() for picture in made],
        "cost": None if answer.cost is None else {"amount": str(answer.cost.amount), "currency": answer.cost.currency},
        "request_id": answer.request_id,
        "timings_us": timings,
        "warnings": len(answer.warnings),
    }
    if answer.usage:
        data["usage"] = dict(answer.usage)
    record.memory.setdefault("warnings", []).extend(answer.warnings)
    record.memory.setdefault("pictures", []).extend(made)
    record.memory["pictures"].sort(key=lambda picture: picture.index)
    payloads = {name: value for picture in made for name, value in picture.payloads().items()}
    # Denied ones are destroyed alone, so that each picture has a key of its own.
    await record.add("produced", data, payloads, apart=[f"image-{picture.index}" for picture in made])


def failure(error: ProviderError, number: int, started: int | None = None) -> dict[str, Any]:
    """What the log says of a call that failed; the message is a payload, since it may name files."""
    data: dict[str, Any] = {
        "attempt": number,
        "error": type(error).__name__,
        "may_have_billed": error.may_have_billed,
        "request_id": error.request_id,
        "cost": None,
    }
    if started is not None:
        data["timings_us"] = {"attempt": (time.perf_counter_ns() - started) // 1000}
    if error.job is not None:
        data["job"] = error.job
    if isinstance(error, ModerationBlocked):
        data["moderation"] = {"stage": error.stage, "categories": [_plain(c) for c in error.categories]}
    return data


def failure_payloads(error: ProviderError) -> dict[str, Any]:
    """What is kept apart of a call that failed: its message, and the words of the request that moderation named."""
    payloads: dict[str, Any] = {"message": str(error)}
    if isinstance(error, ModerationBlocked) and error.matched:
        payloads["matched"] = json.dumps([_plain(word) for word in error.matched], ensure_ascii=False)
    return payloads


def _plain(text: str) -> str:
    """Write an engine's own word so that canonical JSON can carry it."""
    return text.encode("utf-8", "replace").decode()[:200]
