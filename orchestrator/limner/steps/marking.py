"""The duties of a decision, carried out on pixels and metadata before sealing; nothing touches the bytes after.

This version has no executor for any duty yet. A duty that cannot be carried out blocks the release of its image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from limner.errors import DutyUnfulfilled
from limner.steps.judging import decision_of
from limner.steps.pictures import pictures

if TYPE_CHECKING:
    from limner.records import Record
    from limner.runtime import Runtime


async def mark(record: Record, runtime: Runtime) -> None:
    """Carry out the duties of the request's and each released image's decision.

    Raises:
        DutyUnfulfilled: A duty has no executor in this version, so nothing is released.
    """
    del runtime
    decisions = [decision_of(record), *(decision_of(record, image=p.index) for p in pictures(record))]
    duties = sorted({duty.name for decision in decisions if decision.allowed for duty in decision.duties})
    if duties:
        raise DutyUnfulfilled(duties, record_id=record.id)
