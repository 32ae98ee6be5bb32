"""Requests that a crash left unfinished: what they are, and taking each to its end.

A record that a process works on holds a lock, and is not touched.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from limner.config import Config, load_config
from limner.errors import EVERY
from limner.fetching import fetch as fetch_result
from limner.fetching import fetchable
from limner.reading import open_log
from limner.steps.disposing import dispose_of_overdue, overdue

if TYPE_CHECKING:
    from limner.records import Record
    from limner.runtime import Runtime
    from limner_provenance.states import RecordState

_MEANS = {
    "accepted": "nothing was sent to an engine",
    "judged": "nothing was sent to an engine",
    "planned": "nothing was sent to an engine",
    "attempted": "it was sent; nobody knows what became of it, and it may have been billed",
    "submitted": "its engine took the work; nobody knows what became of it, and it may have been billed",
    "attempt_failed": "an engine failed, and no other one was asked yet",
    "unknown": "nobody knows what its engine did; the result may still be there",
    "produced": "the pictures are kept and not all judged and sealed yet",
    "sealed": "the pictures are sealed and were not handed out yet",
    "denied": "the days for which policy keeps its denied pictures are over",
}


@dataclass(frozen=True)
class Unfinished:
    """One unfinished request: its record, its state, what that means, and what was done about it now."""

    record: str
    state: str
    means: str
    outcome: str = ""


def recover(
    config: str | Path | Config | None = None, *, finish: bool = False, fetch: bool = False
) -> list[Unfinished]:
    """List the unfinished requests that no process works on; with `finish` take each to its end.

    What was produced is judged, sealed and kept (`Limner.get` fetches it), what was sent and not answered ends as
    unknown, and what was never sent ends as cancelled. Nothing is ever sent again.

    Args:
        config: A file, a `Config`, or None.
        finish: Take each to its end.
        fetch: Ask the engines for results of work that they took and whose answer was lost, also of records that
            ended as unknown; what they give is judged, sealed and kept. Nothing new is begun, and nothing is billed.

    Raises:
        ConfigInvalid: The configuration is wrong.
        ProvenanceError: The log cannot be opened.
    """
    settings = config if isinstance(config, Config) else load_config(config, engines=fetch)
    with open_log(settings) as log:
        found = [_unfinished(state) for state in log.unfinished() if not state.waiting]
        found += [Unfinished(record, "unknown", _MEANS["unknown"]) for record in fetchable(settings, log) if fetch]
        found += [Unfinished(record, "denied", _MEANS["denied"]) for record in overdue(log)]
    return _finish(settings, found, finish=finish, fetch=fetch) if (finish or fetch) and found else found


def fetchable_records(config: str | Path | Config | None = None) -> list[str]:
    """List the records that ended as unknown, and whose engine may still have the result: `recover(fetch=True)`."""
    settings = config if isinstance(config, Config) else load_config(config, engines=False)
    with open_log(settings) as log:
        return fetchable(settings, log)


def _unfinished(state: RecordState) -> Unfinished:
    step = state.state.partition(":")[0]
    means = "the pictures are kept and not all sealed yet" if state.state == "judged:image" else _MEANS.get(step, step)
    return Unfinished(state.record or "", step, means)


def _finish(config: Config, found: list[Unfinished], *, finish: bool, fetch: bool) -> list[Unfinished]:
    from limner.portal import Portal

    portal = Portal()
    try:
        return portal.call(_finish_all, config, found, finish=finish, fetch=fetch)
    finally:
        portal.close()


async def _finish_all(config: Config, found: list[Unfinished], *, finish: bool, fetch: bool) -> list[Unfinished]:
    from limner.runtime import Runtime

    runtime = Runtime.open(config)
    try:
        return [replace(one, outcome=await _outcome(one, runtime, finish=finish, fetch=fetch)) for one in found]
    finally:
        await runtime.close()


async def _outcome(one: Unfinished, runtime: Runtime, *, finish: bool, fetch: bool) -> str:
    """Finish one record; whatever is wrong with it keeps none of the others from being finished."""
    from limner.records import Record

    try:
        record = await asyncio.to_thread(Record.load, runtime.log, one.record)
        if one.state == "denied":
            return await _destroyed(record) if finish else ""
        said = await _fetched(record, runtime) if fetch else ""
        if record.find("produced") or (finish and one.state != "unknown"):
            said = await _finish_one(record, runtime)
        return said
    except Exception as error:  # noqa: BLE001 - said, record by record
        return f"not finished: {type(error).__name__}"


async def _destroyed(record: Record) -> str:
    with record.log.lock(record.id):
        gone = await dispose_of_overdue(record)
    return f"{gone} destroyed" if gone else "kept: a hold forbids it"


async def _fetched(record: Record, runtime: Runtime) -> str:
    """Fetch what can be, and say what came of it; nothing of an error's text, which may name addresses."""
    try:
        came = await fetch_result(record, runtime)
    except EVERY as error:
        return f"not fetched: {type(error).__name__}"
    return f"{came} fetched" if came else "nothing to fetch"


async def _finish_one(record: Record, runtime: Runtime) -> str:
    from limner.pipeline import run

    if record.find("attempted") is None and await _cancel(record):
        return "ended as cancelled"
    try:
        result = await run(record, runtime)
    except EVERY as error:
        return f"{record.standing}: {type(error).__name__}"
    return f"{len(result.images)} sealed and kept; `limner get` writes them"


async def _cancel(record: Record) -> bool:
    """End a record that was never sent; False where somebody went on with it since it was loaded."""
    with record.log.lock(record.id):
        await record.refresh()
        if record.find("attempted") or record.state.final or record.state.waiting:
            return False
        await record.add("cancelled", {"reason": "interrupted before anything was sent"}, durable=True)
    return True
