"""Results that arrived after all: fetched by the name that their engine gave the work. Nothing is ever asked again.

For records that were sent and not answered: those that a crash left open, and those that ended as unknown.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from limner.steps.asking import asked, recall
from limner.steps.calling import Call, keep, take_over
from limner.steps.candidates import fitted
from limner.steps.pictures import pictures
from limner_providers.base import Resumable
from limner_providers.errors import GenerationFailed

if TYPE_CHECKING:
    from limner.config import Config
    from limner.records import Record
    from limner.runtime import Runtime
    from limner_provenance import AuditLog
    from limner_provenance.entries import Entry
    from limner_providers.base import Provider


_STILL_THERE = frozenset({"OutcomeUnknown", "ResultRefused"})
"""Errors after which an engine may still have the result of a job: nobody knows, or it was refused here."""


def lost_job(record: Record) -> tuple[Entry, str] | None:
    """Give the newest call whose outcome is not known, and its engine's name for the work; None: there is none."""
    for sent in reversed(record.all("attempted")):
        number = sent.data["attempt"]
        failed = record.find("attempt_failed", attempt=number)
        if record.find("produced", attempt=number) or (failed and failed.data["error"] not in _STILL_THERE):
            continue
        named = record.find("submitted", attempt=number)
        job = (failed.data.get("job") if failed else None) or (named.data["job"] if named else None)
        if job is not None:
            return sent, job
    return None


def fetchable(config: Config, log: AuditLog) -> list[str]:
    """List the records that ended as unknown, and whose engine may still have the result."""
    from limner.records import Record

    able = _kinds_that_keep(config)
    found = []
    for record_id in dict.fromkeys(str(e.record) for e in log.entries(steps=["unknown"])):
        record = Record.load(log, record_id)
        if record.standing == "unknown" and (lost := lost_job(record)) and lost[0].data["provider"] in able:
            found.append(record_id)
    return found


def _kinds_that_keep(config: Config) -> set[str]:
    """Name the configured providers whose kind keeps results for later."""
    from limner.errors import EVERY
    from limner_providers.registry import provider_class

    able = set()
    for name, section in config.provider_sections().items():
        try:
            if hasattr(provider_class(section.kind), "fetch"):
                able.add(name)
        except EVERY:
            continue
    return able


async def fetch(record: Record, runtime: Runtime, *, timeout: float = 0.0) -> int:
    """Fetch what an engine made of a record's lost call, and keep it; `pipeline.run` then takes it to its end.

    Args:
        record: A record whose outcome is not known.
        runtime: Where its provider is configured.
        timeout: Seconds to wait for a result that is not there yet; 0: look once.

    Returns:
        How many pictures came; 0 where there is nothing to fetch.

    Raises:
        OutcomeUnknown: It is not there yet, or its engine does not know it any longer.
        ProviderError: It ended badly, or its engine cannot be asked.
        ConfigInvalid: Its provider is not configured any longer.
    """
    with record.log.lock(record.id):
        await record.refresh()
        lost = lost_job(record)
        if lost is None or record.standing not in {"attempted", "submitted", "attempt_failed", "unknown", "produced"}:
            return 0
        sent, job = lost
        name = sent.data["provider"]
        provider = runtime.provider(name)
        if not isinstance(provider, Resumable):
            return 0
        await recall(record)
        it = await _call(record, sent, runtime.provider(name))
        answer = await provider.fetch(job, it.request, model=it.model, timeout=timeout)
        await asyncio.to_thread(pictures, record)
        made = await asyncio.to_thread(take_over, record, it, sent.data["attempt"], answer)
        if not made:
            raise GenerationFailed(f"{name} gave no picture for the job {job}.", provider=name, job=job)
        await keep(record, answer, made, attempt=sent.data["attempt"])
        await record.settle()
        return len(made)


async def _call(record: Record, sent: Entry, provider: Provider) -> Call:
    """Put the lost call together again, so that its pictures get their numbers."""
    what, model, n = asked(record), sent.data["model"], sent.data["n"]
    able = await provider.capabilities(model)
    fit = fitted(provider.name, able, what)
    before = [e for e in record.all("attempted") if e.data["attempt"] < sent.data["attempt"]]
    answered = [e for e in before if record.find("produced", attempt=e.data["attempt"])]
    return Call(
        provider=provider,
        candidate=sent.data["candidate"],
        model=model,
        request=fit.request.model_copy(update={"n": n, "seed": None}),
        seeds=(),
        seeds_told=(),
        first=sum(e.data["n"] for e in answered),
        total=fit.request.n,
        free=False,
    )
