"""The produced pictures of a record: each decoded once, wherever they come from."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from limner.records import Record
    from limner_providers.base import ProducedImage


@dataclass
class Picture:
    """One produced picture on its way to being sealed; `data` is what the engine gave, or what `mark` made of it."""

    index: int
    data: bytes = field(repr=False)
    mime: str
    width: int
    height: int
    seed: int | None

    @classmethod
    def of(cls, index: int, image: ProducedImage) -> Picture:
        """Take over what a provider produced, its pixels included, so that nobody decodes again."""
        made = cls(index, image.data, image.mime, image.width, image.height, image.seed)
        if image.pixels is not None:
            made.__dict__["pixels"] = image.pixels
        return made

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """The decoded picture: uint8, shape (height, width, 3), RGB."""
        from PIL import Image

        with Image.open(io.BytesIO(self.data)) as image:
            return np.asarray(image.convert("RGB"))

    def facts(self) -> dict[str, Any]:
        """What a log entry says about it."""
        seed = None if self.seed is None else str(self.seed)
        return {"image": self.index, "mime": self.mime, "size": f"{self.width}x{self.height}", "seed": seed}


def pictures(record: Record) -> list[Picture]:
    """Give the record's produced pictures, from memory or from the payloads of its `produced` entry."""
    if "pictures" not in record.memory:
        entry = record.find("produced")
        record.memory["pictures"] = [_read(record, facts) for facts in (entry.data["images"] if entry else ())]
    found: list[Picture] = record.memory["pictures"]
    return found


def _read(record: Record, facts: dict[str, Any]) -> Picture:
    width, height = (int(side) for side in facts["size"].split("x"))
    data = record.payload("produced", f"image-{facts['image']}")
    seed = None if facts["seed"] is None else int(facts["seed"])
    return Picture(facts["image"], data, facts["mime"], width, height, seed)
