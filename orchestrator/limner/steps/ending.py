"""How a record ends when it does not end as delivered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeVar

from limner.errors import (
    Cancelled,
    OutcomeUnknown,
    PolicyDenied,
    ProvenanceError,
    ProviderError,
    RequestEnded,
    ResultRefused,
    ReviewRequired,
)
from limner.steps.judging import decision_of

E = TypeVar("E", bound=BaseException)

if TYPE_CHECKING:
    from limner.records import Record


def refuse_if_ended(record: Record) -> None:
    """Raise what a record that ended without a picture ended with; pass where it can go on or has been delivered.

    Raises:
        PolicyDenied: It was denied.
        ReviewRequired: It waits for a person.
        OutcomeUnknown: Nobody knows what the engine did with it.
        RequestEnded: It failed or was cancelled.
    """
    state = record.standing
    if state == "denied":
        raise PolicyDenied(decision_of(record), record_id=record.id)
    if state == "in_review":
        raise ReviewRequired(decision_of(record), record_id=record.id)
    if state == "unknown":
        error = OutcomeUnknown(
            f"Record {record.id} was sent to an engine and nobody knows what became of it.",
            remedy="Where the engine keeps results, `limner audit recover --fetch` asks for it; nothing is sent again.",
        )
        raise _named(error, record)
    if state in {"failed", "cancelled"}:
        billed = any(e.data.get("may_have_billed") for e in record.all("attempt_failed"))
        remedy = "It may have been billed, and a new request would be paid anew." if billed else "Ask again."
        raise RequestEnded(f"Record {record.id} ended as {state}.", remedy=remedy, record_id=record.id)


@contextlib.asynccontextmanager
async def write_the_end(record: Record) -> AsyncIterator[None]:
    """Write how the record ended when a step raises, and tell the error which record it belongs to.

    A record with a produced picture is not ended by an error: the picture is paid for and kept, and `recover`
    (or `Limner.get`) goes on from there.
    """
    try:
        yield
    except (PolicyDenied, ReviewRequired):
        raise
    except asyncio.CancelledError:
        if not record.find("attempted"):
            await _end(record, "cancelled", "cancelled by the caller", None)
        raise
    except OutcomeUnknown as error:
        await _end(record, "unknown", type(error).__name__, error)
        raise
    except Exception as error:
        _named(error, record)
        with contextlib.suppress(ProvenanceError):
            await record.rescue()
        if record.state.final or record.state.waiting:
            raise
        if record.find("produced"):
            if record.id not in str(error):  # where the error has not said it itself
                error.add_note(
                    f"The pictures are kept in record {record.id}; `limner audit recover --finish` goes on there."
                )
        else:
            # An engine that was asked may have been paid, whatever broke here.
            lost = record.state.open_attempts or waits_at_its_engine(error)
            step = "unknown" if lost else _ending(record, error)
            await _end(record, step, type(error).__name__, error)
        raise


def waits_at_its_engine(error: BaseException) -> bool:
    """Say whether a result was made and not taken, as from a host that nobody named: it can still be fetched."""
    return isinstance(error, ResultRefused) and error.job is not None


def _ending(record: Record, error: Exception) -> str:
    """Say how an error ends its record: what the caller cancelled has not failed."""
    stop = record.memory.get("stop")
    return "cancelled" if isinstance(error, Cancelled) and stop is not None and stop.asked else "failed"


def _named(error: E, record: Record) -> E:
    """Tell an error which record it belongs to; the leaves' errors know nothing of records."""
    error.__dict__["record_id"] = record.id
    return error


async def _end(record: Record, step: str, reason: str, error: BaseException | None) -> None:
    """Add the final entry; the message is a payload, since it may name files. A dead database hides no error."""
    if error is not None:
        _named(error, record)
    with contextlib.suppress(ProvenanceError):
        await record.rescue()
        if record.entries:
            data: dict[str, Any] = {"reason": reason}
            if step == "cancelled" and isinstance(error, ProviderError):
                data["may_have_billed"] = error.may_have_billed
            await record.add(step, data, {"message": str(error)} if error else {}, durable=True)
