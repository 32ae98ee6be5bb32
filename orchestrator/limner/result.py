"""What a caller gets back: released images with their decisions, the withheld ones, the plan and the cost."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limner_policy import Decision
    from limner_providers.base import Cost

SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}


@dataclass(frozen=True)
class GeneratedImage:
    """One image of a request.

    Attributes:
        index: Its place in the request, from 0.
        data: The bytes exactly as signed; empty where the image is withheld.
        mime: `image/png`, `image/jpeg` or `image/webp`.
        width: Pixels.
        height: Pixels.
        seed: The seed that makes it again alone; None where the engine has none.
        decision: What policy said of this image.
    """

    index: int
    data: bytes = field(repr=False)
    mime: str
    width: int
    height: int
    seed: int | None
    decision: Decision = field(repr=False)

    def save(self, path: str | Path) -> Path:
        """Write the bytes exactly as signed, whole or not at all; the folder must exist.

        Raises:
            ValueError: The name's ending does not fit the format: a wrong ending misleads every later reader.
            OSError: It cannot be written there.
        """
        path = Path(path)
        fitting = {".jpg", ".jpeg"} if self.mime == "image/jpeg" else {SUFFIXES[self.mime]}
        if path.suffix and path.suffix.lower() not in fitting:
            message = f"{path.name}: the image is {self.mime}; end the name with {' or '.join(sorted(fitting))}."
            raise ValueError(message)
        temporary = path.with_name(f".{path.name}.part")
        try:
            temporary.write_bytes(self.data)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        return path


@dataclass(frozen=True)
class PlannedCandidate:
    """One provider and model that the plan looked at, with the reasons why it was left out (none: it fits)."""

    provider: str
    kind: str
    model: str
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageResult:
    """The outcome of one request of which at least one image was released.

    Attributes:
        record_id: The record in the audit log (UUIDv7); `Limner.get` fetches this result again.
        images: The released images.
        withheld: Images that policy does not release, without their bytes.
        decision: The most severe of the request's and the released images' decisions.
        plan: Every candidate looked at, in order.
        model: The model that drew the images.
        provider: The name of the provider used.
        parameters: The effective parameters, as text.
        cost: What it cost; None where that is not known, never 0 for unknown.
        warnings: What the caller should know, e.g. a development certificate.
    """

    record_id: str
    images: tuple[GeneratedImage, ...]
    withheld: tuple[GeneratedImage, ...]
    decision: Decision = field(repr=False)
    plan: tuple[PlannedCandidate, ...] = field(repr=False)
    model: str = ""
    provider: str = ""
    parameters: dict[str, str] = field(default_factory=dict, repr=False)
    cost: Cost | None = None
    warnings: tuple[str, ...] = ()
