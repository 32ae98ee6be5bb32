"""The duties of a decision, carried out on pixels and metadata before sealing; nothing touches the bytes after.

What an engine wrote into the file in clear (prompt, parameters, camera) is taken out: no policy discloses it yet. No
duty has an executor yet either; one that cannot be carried out blocks the release of its image.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from limner.errors import DutyUnfulfilled
from limner.steps.judging import decision_of
from limner.steps.pictures import Picture, pictures

if TYPE_CHECKING:
    from limner.records import Record
    from limner.runtime import Runtime


async def mark(record: Record, runtime: Runtime) -> None:
    """Carry out the duties of the request's and each released image's decision.

    Raises:
        DutyUnfulfilled: A duty has no executor in this version, so nothing is released.
    """
    del runtime
    for picture in pictures(record):
        await asyncio.to_thread(_without_texts, record, picture)
    decisions = [decision_of(record), *(decision_of(record, image=p.index) for p in pictures(record))]
    duties = sorted({duty.name for decision in decisions if decision.allowed for duty in decision.duties})
    if duties:
        raise DutyUnfulfilled(duties, record_id=record.id)


def _without_texts(record: Record, picture: Picture) -> None:
    """Take clear-text metadata out of a picture's file, or say that its own credentials keep it there."""
    from limner_provenance.credentials import without_texts

    plain = without_texts(picture.data)
    picture.data = plain.data
    if plain.kept:
        record.memory.setdefault("warnings", []).append(
            f"image {picture.index} keeps the texts its engine signed with it ({', '.join(plain.kept)})"
        )
