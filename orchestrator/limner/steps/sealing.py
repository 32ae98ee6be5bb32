"""Content Credentials for every released image, its bytes kept, and the `sealed` entry that commits to them."""

from __future__ import annotations

import asyncio
import base64
from datetime import datetime
from typing import TYPE_CHECKING, Any

from limner.steps.judging import decision_of
from limner.steps.pictures import Picture, pictures

if TYPE_CHECKING:
    from limner.records import Record
    from limner.runtime import Runtime
    from limner_provenance.credentials import ManifestFacts


async def seal(record: Record, runtime: Runtime) -> None:
    """Sign each released image and keep it; durable before anything is handed out.

    Raises:
        SealFailed: An image could not be signed.
        ProvenanceError: It could not be kept.
    """
    for picture in pictures(record):
        if decision_of(record, image=picture.index).allowed and not record.find("sealed", image=picture.index):
            await _seal(record, runtime, picture)
    await record.settle()


async def _seal(record: Record, runtime: Runtime, picture: Picture) -> None:
    from limner_provenance.credentials import seal as sign

    sealed = await asyncio.to_thread(sign, picture.data, _facts(record, picture), runtime.signer)
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


def _facts(record: Record, picture: Picture) -> ManifestFacts:
    """Put together what the manifest says; it points backwards only, to `produced` and the prompt's commitment."""
    from limner_provenance.credentials import ManifestFacts, SoftwareAgent, source_type_for

    accepted, attempted, produced = (record.entry(step) for step in ("accepted", "attempted", "produced"))
    model: dict[str, Any] = produced.data["model"]
    parameters = {k: str(v) for k, v in accepted.data["request"].items() if k not in {"seed", "n"}}
    texts = {name: ref.commitment for name, ref in accepted.payloads.items() if name in {"prompt", "negative_prompt"}}
    statement = {
        "v": 1,
        "log": record.log.origin,
        "record": record.id,
        "image": picture.index,
        "produced": produced.leaf_hash.hex(),
        "commitments": texts,
        "model": {"name": model["name"], "sha256": model["sha256"]},
        "seed": None if picture.seed is None else str(picture.seed),
        "parameters": parameters | dict(produced.data["parameters"]),
    }
    test: bool = attempted.data["test"]
    return ManifestFacts(
        title=f"Limner image {picture.index + 1} of record {record.id}",
        mime=picture.mime,
        software_agent=SoftwareAgent(name=model["name"], sha256=model["sha256"]),
        digital_source_type=source_type_for(test_provider=test),
        created=datetime.fromisoformat(produced.time),
        record=statement,
        test_provider=test,
    )
