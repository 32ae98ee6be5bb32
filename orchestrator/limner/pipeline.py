"""The way of one request, top to bottom.

Each step returns at once where the record already holds its entry, so approval, recovery and a queue are this same
function called again, perhaps in another process. Nothing jumps back: a retry or a fall-back lives inside `attempt`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from limner.steps.asking import accept
from limner.steps.attempting import attempt
from limner.steps.delivering import deliver
from limner.steps.ending import refuse_if_ended, write_the_end
from limner.steps.judging import judge_images, judge_request
from limner.steps.marking import mark
from limner.steps.planning import plan
from limner.steps.sealing import seal

if TYPE_CHECKING:
    from limner.records import Record
    from limner.result import ImageResult
    from limner.runtime import Runtime


async def run(record: Record, runtime: Runtime) -> ImageResult:
    """Take a record from its first missing step to its end, and give the result.

    Raises:
        PolicyDenied: A rule says no, or released no image.
        ReviewRequired: A rule asks for a person; the record stays in_review.
        UnsupportedRequest: No configured engine can do what was asked.
        ProviderError: The engine failed; `OutcomeUnknown` where nobody knows whether it worked.
        ProvenanceError: Signing, keys, log or disk cannot do their part.
    """
    with record.log.lock(record.id):
        await record.refresh()
        refuse_if_ended(record)
        async with write_the_end(record):
            await accept(record)
            await judge_request(record, runtime)
            await plan(record, runtime)
            await attempt(record, runtime)
            await judge_images(record, runtime)
            await mark(record, runtime)
            await seal(record, runtime)
            return await deliver(record)
