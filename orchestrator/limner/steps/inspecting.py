"""Evidence about pictures: those that were made, and those that a request brings.

Detectors run in a worker thread. Knows pixels, files and evidence, no rule and no verdict.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from limner.steps.asking import asked
from limner_policy.detectors import credentials
from limner_policy.detectors.running import Inspection
from limner_policy.detectors.sending import Stop, inspect_in_turn
from limner_policy.engine import required_detectors
from limner_policy.types import Evidence

if TYPE_CHECKING:
    from limner.records import Record
    from limner.runtime import Runtime
    from limner_providers.images import InputImage

_STAGE: Final = "image"
EMBEDDINGS: Final = "embeddings"
"""The payload's name, beside `input` of the same judgement."""
NOTHING: Final = Inspection(())


async def of_made(record: Record, runtime: Runtime, images: Sequence[Any], stop: Stop) -> list[Inspection]:
    """Give what came of looking at pictures that an engine made, each with the evidence of given credentials.

    Args:
        record: The record, its request recalled.
        runtime: What is open.
        images: uint8 arrays of shape (height, width, 3), RGB.
        stop: Says of an image by its place, and what was found in it, that it may not be sent to a detector elsewhere.
    """
    found = await _run(record, runtime, images, stop)
    origin = await _credentials(record, runtime) or ()
    return [one._replace(evidence=(*one.evidence, *origin)) for one in found]


async def of_given(record: Record, runtime: Runtime, stop: Callable[[tuple[Evidence, ...]], bool]) -> Inspection:
    """Give what came of looking at the pictures that the request brings; `image` counts them as `inputs()` names them.

    A picture with transparent parts is looked at twice: as it is seen on white, and with what is hidden under them,
    which an engine may well use. `stop` says of what was found in them that none may be sent to a detector elsewhere.
    """
    inputs = list(asked(record).request.inputs().values())
    if not inputs or not required_detectors(runtime.packs, _STAGE, record.entry("accepted").time):
        return NOTHING
    views = await asyncio.to_thread(lambda: [view for view in enumerate(inputs) for view in _views(*view)])

    def suspected(number: int, evidence: tuple[Evidence, ...]) -> bool:
        return stop(tuple(one.model_copy(update={"image": views[number][0], "of": "input"}) for one in evidence))

    found = await _run(record, runtime, [pixels for _, pixels in views], suspected)
    looks = list(zip((number for number, _ in views), found, strict=True))
    seen = [one.model_copy(update={"image": n, "of": "input"}) for n, look in looks for one in look.evidence]
    vectors = tuple(one.about(n, "input") for n, look in looks for one in look.embeddings)
    return Inspection((*seen, *(await _credentials(record, runtime) or ())), vectors)


def kept(found: Inspection) -> dict[str, Any]:
    """Give the payload of what detectors saw, so that other concepts can be asked of it when the picture is gone.

    It tells what a picture shows, so it is kept apart like the picture itself, and erased with it.
    """
    return {EMBEDDINGS: [one.to_json() for one in found.embeddings]} if found.embeddings else {}


async def _run(record: Record, runtime: Runtime, images: Sequence[Any], stop: Stop) -> list[Inspection]:
    detectors = runtime.detectors(_STAGE, record.entry("accepted").time)
    return await asyncio.to_thread(inspect_in_turn, detectors, images, stop)


def _views(number: int, image: InputImage) -> Iterable[tuple[int, Any]]:
    yield number, image.pixels("RGB")
    whole = image.pixels("RGBA")
    if whole[..., 3].min() < 255:
        yield number, whole[..., :3].copy()


async def _credentials(record: Record, runtime: Runtime) -> tuple[Evidence, ...] | None:
    """Say what the given files state of themselves, where a rule asks for it; of no file, that nothing was stated."""
    if credentials.NAME not in required_detectors(runtime.packs, _STAGE, record.entry("accepted").time):
        return None
    if "given_credentials" not in record.memory:
        inputs = list(asked(record).request.inputs().values())
        read = await asyncio.to_thread(lambda: [_read(image.data, runtime.trust) for image in inputs])
        record.memory["given_credentials"] = tuple(
            one.model_copy(update={"image": number}) for number, evidence in enumerate(read) for one in evidence
        )
    kept: tuple[Evidence, ...] = record.memory["given_credentials"]
    return kept or credentials.of_no_file()


def _read(data: bytes, trust: bytes | None) -> tuple[Evidence, ...]:
    from limner_provenance.credentials import read_credentials
    from limner_provenance.errors import ProvenanceError

    try:
        found = read_credentials(data, trust=trust)
    except ProvenanceError as error:
        return credentials.unreadable(f"its credentials could not be read: {type(error).__name__}")
    return credentials.from_credentials(found.state, found.training_mining)
