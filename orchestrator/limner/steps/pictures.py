"""The produced pictures of a record: each decoded once, wherever they come from."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from limner_provenance.errors import PayloadErased

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from limner.records import Record
    from limner_provenance.entries import Entry
    from limner_providers.base import ProducedImage


@dataclass
class Picture:
    """One produced picture on its way to being sealed; `data` is what the engine gave, or what `mark` made of it.

    Those that were asked for are numbered from 0 to n-1, surplus ones from n on.
    """

    index: int
    data: bytes = field(repr=False)
    mime: str
    width: int
    height: int
    seed: int | None
    attempt: int = 1
    job: str | None = None
    job_index: int = 1
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    surplus: bool = False
    destroyed: bool = False

    @classmethod
    def of(cls, index: int, image: ProducedImage, *, attempt: int = 1, surplus: bool = False) -> Picture:
        """Take over what a provider produced, its pixels included, so that nobody decodes again."""
        made = cls(
            index,
            image.data,
            image.mime,
            image.width,
            image.height,
            image.seed,
            attempt=attempt,
            job=image.job,
            job_index=image.job_index,
            metadata=dict(image.metadata),
            surplus=surplus,
        )
        if image.pixels is not None:
            made.__dict__["pixels"] = image.pixels
        return made

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """The decoded picture: uint8, shape (height, width, 3), RGB."""
        from PIL import Image

        with Image.open(io.BytesIO(self.data)) as image:
            return np.asarray(image.convert("RGB"))

    def forget(self) -> None:
        """Let go of the bytes and pixels of a picture that policy destroyed."""
        self.data, self.destroyed = b"", True
        self.__dict__.pop("pixels", None)

    def facts(self) -> dict[str, Any]:
        """What a log entry says about it."""
        seed = None if self.seed is None else str(self.seed)
        found = {"image": self.index, "mime": self.mime, "size": f"{self.width}x{self.height}", "seed": seed}
        if self.surplus:
            found["surplus"] = True
        return found if self.job is None else {**found, "job": self.job, "job_index": self.job_index}

    def payloads(self) -> dict[str, Any]:
        """What is kept of it apart from the entry; metadata is JSON as text, since its names are the engine's own."""
        kept: dict[str, Any] = {f"image-{self.index}": self.data}
        if self.metadata:
            kept[f"metadata-{self.index}"] = json.dumps(dict(self.metadata), sort_keys=True)
        return kept


def pictures(record: Record) -> list[Picture]:
    """Give the record's pictures in their order, from memory or from the payloads of its `produced` entries."""
    if "pictures" not in record.memory:
        made = [_read(record, entry, facts) for entry in record.all("produced") for facts in entry.data["images"]]
        record.memory["pictures"] = sorted(made, key=lambda picture: picture.index)
    found: list[Picture] = record.memory["pictures"]
    return found


def _read(record: Record, entry: Entry, facts: dict[str, Any]) -> Picture:
    width, height = (int(side) for side in facts["size"].split("x"))
    number = facts["image"]
    data, destroyed = _data(record, entry, number)
    metadata = entry.payloads.get(f"metadata-{number}")
    return Picture(
        number,
        data,
        facts["mime"],
        width,
        height,
        None if facts["seed"] is None else int(facts["seed"]),
        attempt=entry.data.get("attempt", 1),
        job=facts.get("job"),
        job_index=facts.get("job_index", 1),
        metadata=json.loads(record.log.payload(metadata)) if metadata else {},
        surplus=facts.get("surplus", False),
        destroyed=destroyed,
    )


def _data(record: Record, entry: Entry, number: int) -> tuple[bytes, bool]:
    """Give a picture's bytes; one that was denied may have been destroyed, and nobody needs it any more.

    Raises:
        PayloadErased: It was erased and not denied: nothing can be done with it any more.
    """
    try:
        return record.log.payload(entry.payloads[f"image-{number}"]), False
    except PayloadErased:
        if record.find("judged", stage="image", image=number, verdict="deny"):
            return b"", True
        raise
