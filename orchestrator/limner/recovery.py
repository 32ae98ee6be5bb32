"""Requests that a crash left unfinished: what they are, and taking each to its end.

A record that a process works on holds a lock, and is not touched.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from limner.config import Config, load_config
from limner.errors import EVERY
from limner.reading import open_log

if TYPE_CHECKING:
    from limner.records import Record
    from limner.runtime import Runtime
    from limner_provenance.states import RecordState

_MEANS = {
    "accepted": "nothing was sent to an engine",
    "judged": "nothing was sent to an engine",
    "planned": "nothing was sent to an engine",
    "attempted": "it was sent; nobody knows what became of it, and it may have been billed",
    "produced": "the pictures are kept and not all judged and sealed yet",
    "sealed": "the pictures are sealed and were not handed out yet",
}


@dataclass(frozen=True)
class Unfinished:
    """One unfinished request: its record, its state, what that means, and what was done about it now."""

    record: str
    state: str
    means: str
    outcome: str = ""


def recover(config: str | Path | Config | None = None, *, finish: bool = False) -> list[Unfinished]:
    """List the unfinished requests that no process works on; with `finish` take each to its end.

    What was produced is judged, sealed and kept (`Limner.get` fetches it), what was sent and not answered ends as
    unknown, and what was never sent ends as cancelled. Nothing is ever sent again.

    Raises:
        ConfigInvalid: The configuration is wrong.
        ProvenanceError: The log cannot be opened.
    """
    settings = config if isinstance(config, Config) else load_config(config)
    with open_log(settings) as log:
        found = [_unfinished(state) for state in log.unfinished() if not state.waiting]
    return _finish(settings, found) if finish and found else found


def _unfinished(state: RecordState) -> Unfinished:
    step = state.state.partition(":")[0]
    means = "the pictures are kept and not all sealed yet" if state.state == "judged:image" else _MEANS.get(step, step)
    return Unfinished(state.record or "", step, means)


def _finish(config: Config, found: list[Unfinished]) -> list[Unfinished]:
    from limner.portal import Portal

    portal = Portal()
    try:
        return portal.call(_finish_all, config, found)
    finally:
        portal.close()


async def _finish_all(config: Config, found: list[Unfinished]) -> list[Unfinished]:
    from limner.runtime import Runtime

    runtime = Runtime.open(config)
    try:
        return [Unfinished(one.record, one.state, one.means, await _outcome(one.record, runtime)) for one in found]
    finally:
        await runtime.close()


async def _outcome(record_id: str, runtime: Runtime) -> str:
    """Finish one record; whatever is wrong with it keeps none of the others from being finished."""
    from limner.records import Record

    try:
        record = await asyncio.to_thread(Record.load, runtime.log, record_id)
        return await _finish_one(record, runtime)
    except Exception as error:  # noqa: BLE001 - said, record by record
        return f"not finished: {type(error).__name__}"


async def _finish_one(record: Record, runtime: Runtime) -> str:
    from limner.pipeline import run

    if record.find("attempted") is None and await _cancel(record):
        return "ended as cancelled"
    try:
        result = await run(record, runtime)
    except EVERY as error:
        return f"{record.standing}: {type(error).__name__}"
    return f"{len(result.images)} sealed and kept; fetch with limner.get"


async def _cancel(record: Record) -> bool:
    """End a record that was never sent; False where somebody went on with it since it was loaded."""
    with record.log.lock(record.id):
        await record.refresh()
        if record.find("attempted") or record.state.final or record.state.waiting:
            return False
        await record.add("cancelled", {"reason": "interrupted before anything was sent"}, durable=True)
    return True
