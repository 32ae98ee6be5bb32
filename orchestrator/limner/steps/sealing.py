"""Content Credentials for every released image, its bytes kept, and the `sealed` entry that commits to them."""

from __future__ import annotations

import asyncio
import base64
from datetime import datetime
from typing import TYPE_CHECKING, Any

from limner.steps import describing
from limner.steps.asking import as_facts
from limner.steps.calls import produced, sent
from limner.steps.judging import decision_of
from limner.steps.pictures import Picture, pictures

if TYPE_CHECKING:
    from limner.records import Record
    from limner.runtime import Runtime
    from limner_provenance.credentials import ManifestFacts
    from limner_provenance.credentials.sealing import Sealed
    from limner_provenance.entries import Entry


async def seal(record: Record, runtime: Runtime) -> None:
    """Sign each released image and keep it, surplus ones too; durable before anything is handed out.

    Raises:
        SealFailed: An image could not be signed.
        ProvenanceError: It could not be kept.
    """
    for picture in pictures(record):
        if decision_of(record, image=picture.index).allowed and not record.find("sealed", image=picture.index):
            await _seal(record, runtime, picture)
    await record.settle()


async def _seal(record: Record, runtime: Runtime, picture: Picture) -> None:
    sealed = await asyncio.to_thread(_sign, record, runtime, picture)
    data = {
        "image": picture.index,
        "mime": sealed.mime,
        "manifest_sha256": sealed.manifest_sha256,
        "instance_id": sealed.instance_id,
        "certificate_sha256": sealed.certificate_sha256,
        "development": runtime.signer.development,
    }
    record.memory[f"asset-{picture.index}"] = sealed.data
    # A manifest is small: as text it rides in the entry's own transaction and costs no file of its own.
    manifest = base64.b64encode(sealed.manifest).decode("ascii")
    await record.add("sealed", data, {"asset": sealed.data, "manifest": manifest})


def _sign(record: Record, runtime: Runtime, picture: Picture) -> Sealed:
    from limner_provenance.credentials import seal as sign

    return sign(picture.data, _facts(record, picture), runtime.signer)


def _facts(record: Record, picture: Picture) -> ManifestFacts:
    """Put together what the manifest says; it points backwards only, to `produced` and to commitments."""
    from limner_provenance.credentials import ManifestFacts, SoftwareAgent

    made = produced(record, picture.attempt)
    model: dict[str, Any] = made.data["model"]
    received = record.memory.get(f"signed-{picture.index}")
    ingredients, signed = describing.ingredients(record).of(picture, received=received)
    return ManifestFacts(
        title=f"Limner image {picture.index + 1} of record {record.id}",
        mime=picture.mime,
        software_agent=SoftwareAgent(name=model["name"], sha256=model["sha256"]),
        digital_source_type=describing.source_type(record, picture),
        created=datetime.fromisoformat(made.time),
        record=_statement(record, picture, made),
        test_provider=describing.is_test(record, picture),
        ingredients=ingredients,
        models=() if signed else describing.models(record, picture),
        unchanged=signed,
        metadata_written=received is not None,
    )


_COMMITTED = ("prompt", "negative_prompt", "extra", "image", "mask", "reference", "control")
"""Payloads of `accepted` whose commitments a manifest repeats; claims about who asked are none of its business."""


def _statement(record: Record, picture: Picture, made: Entry) -> dict[str, Any]:
    accepted = record.entry("accepted")
    request = accepted.data["request"]
    model = made.data["model"]
    statement = {
        "v": 1,
        "log": record.log.origin,
        "record": record.id,
        "image": picture.index,
        "produced": made.leaf_hash.hex(),
        "commitments": {
            name: ref.commitment for name, ref in accepted.payloads.items() if name.partition("-")[0] in _COMMITTED
        },
        "model": {"name": model["name"], "sha256": model["sha256"]},
        "seed": None if picture.seed is None else str(picture.seed),
        "task": request["task"],
        "parameters": as_facts({k: v for k, v in request.items() if k not in {"seed", "n"}})
        | dict(made.data["parameters"]),
    }
    adapted = _adapted(record, picture)
    return statement | ({"adaptations": adapted} if adapted else {})


def _adapted(record: Record, picture: Picture) -> list[str]:
    """Name the fields that were adapted for the engine that made the picture."""
    planned = record.entry("planned").data
    place = sent(record, picture.attempt).data.get("candidate", planned["chosen"])
    return [stated["field"] for stated in planned["candidates"][place].get("adaptations", ())]
