"""The duties of a decision, carried out on pixels and metadata before sealing; nothing touches the bytes after.

What an engine wrote into the file in clear (prompt, parameters, camera) is taken out; how the picture came to be is
written in, as XMP with IPTC's fields. A prompt stands there only under `disclose_prompt`, the one duty that has
an executor yet; one that cannot be carried out blocks the release of its image.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from limner.errors import DutyUnfulfilled
from limner.policy_tools.abilities import EXECUTED_DUTIES
from limner.steps import describing
from limner.steps.judging import decision_of
from limner.steps.pictures import Picture, pictures
from limner_provenance.errors import CredentialError, ImageUnreadable

if TYPE_CHECKING:
    from limner.records import Record
    from limner.runtime import Runtime
    from limner_policy.verdicts import Duty


async def mark(record: Record, runtime: Runtime) -> None:
    """Carry out the duties of the request's and each released image's decision.

    Raises:
        DutyUnfulfilled: A duty cannot be carried out, so nothing is released.
    """
    del runtime
    released = [picture for picture in pictures(record) if decision_of(record, image=picture.index).allowed]
    duties = {picture.index: _duties(record, picture) for picture in released}
    _require_executors(record, [duty for found in duties.values() for duty in found])
    for picture in released:
        await asyncio.to_thread(_write, record, picture, describing.disclosed(duties[picture.index]) or frozenset())


def _duties(record: Record, picture: Picture) -> tuple[Duty, ...]:
    """Give the duties of an image: the request's and its own."""
    decisions = (decision_of(record), decision_of(record, image=picture.index))
    return tuple(duty for decision in decisions if decision.allowed for duty in decision.duties)


def _require_executors(record: Record, duties: list[Duty]) -> None:
    missing = {duty.name for duty in duties} - EXECUTED_DUTIES
    if describing.disclosed(duties) is None:
        missing.add("disclose_prompt")
    if missing:
        raise DutyUnfulfilled(sorted(missing), record_id=record.id)


def _write(record: Record, picture: Picture, names: frozenset[str]) -> None:
    """Write what the file says of itself, in place of what the engine wrote.

    A picture that its engine signed is left as it was signed, unless a prompt has to be disclosed: then its metadata
    are written anew, and the file as it came is the parent.
    """
    from limner_provenance.credentials import manifest_store, with_xmp, without_store, without_texts

    if manifest_store(picture.data, picture.mime) is not None:  # type: ignore[arg-type]
        if not names:
            _tell_kept(record, picture)
            return
        record.memory[f"signed-{picture.index}"] = picture.data
        picture.data = without_store(picture.data, picture.mime)  # type: ignore[arg-type]
    plain = without_texts(picture.data)
    try:
        picture.data = with_xmp(plain.data, describing.fields(record, picture, names))
    except ImageUnreadable:
        raise
    except CredentialError as error:
        unfulfilled = DutyUnfulfilled(["disclose_prompt"], record_id=record.id)
        unfulfilled.add_note(str(error))
        raise unfulfilled from error


def _tell_kept(record: Record, picture: Picture) -> None:
    """Say which clear-text metadata stay because the engine's own credentials cover them."""
    from limner_provenance.credentials import without_texts

    if kept := without_texts(picture.data).kept:
        record.memory.setdefault("warnings", []).append(
            f"image {picture.index} keeps the texts its engine signed with it ({', '.join(kept)})"
        )
