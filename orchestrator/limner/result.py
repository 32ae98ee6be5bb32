"""What a caller gets back: released images with their decisions, the withheld ones, the plan and the cost."""

from __future__ import annotations

import base64
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from limner_policy import Decision
    from limner_providers.base import Cost
    from limner_providers.capabilities import Adaptation
    from limner_providers.parts import ImageOrigin

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
        origin: Its name at the engine that made it, by which further work can start from it; None where it has none.
        metadata: What the engine wrote about it, e.g. `revised_prompt`.
    """

    index: int
    data: bytes = field(repr=False)
    mime: str
    width: int
    height: int
    seed: int | None
    decision: Decision = field(repr=False)
    origin: ImageOrigin | None = field(default=None, repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)

    def _repr_html_(self) -> str:
        """Show the picture in a notebook."""
        if not self.data:
            return f"<p>image {self.index + 1}: withheld</p>"
        shown = base64.b64encode(self.data).decode()
        about = f"image {self.index + 1}, {self.width}×{self.height}" + (
            "" if self.seed is None else f", seed {self.seed}"
        )
        return f'<img src="data:{self.mime};base64,{shown}" alt="{about}" title="{about}" style="max-width: 24em">'

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
    """One provider and model that the plan looked at.

    Attributes:
        provider: Its configured name.
        kind: Its kind.
        model: The model's name; empty where it could not be asked for one.
        left_out: Why it was left out; empty: it fits.
        adaptations: What it would do otherwise than asked, where the caller allowed that.
        calls: Pictures of each call to it; more than one call where n is split.
        uncatalogued: Nobody wrote down this model's facts: it was taken for the least that its kind can do.
    """

    provider: str
    kind: str
    model: str
    left_out: tuple[str, ...] = ()
    adaptations: tuple[Adaptation, ...] = ()
    calls: tuple[int, ...] = ()
    uncatalogued: bool = False


@dataclass(frozen=True)
class Attempt:
    """One call to an engine, whatever became of it.

    Attributes:
        number: 1 for the first call of the request.
        provider: The provider's configured name.
        model: The model's name.
        n: How many pictures it was asked for.
        images: How many it gave.
        error: Class of the error it ended with; None: it gave pictures. `OutcomeUnknown` where nobody knows.
        message: What the error said; empty where there is none, or it was erased.
        may_have_billed: Whether it may have cost money although it failed.
        cost: What it cost; None where that is not known.
        duration: Microseconds, as the provider's caller saw it; None where it was not recorded.
        request_id: The provider's own id of the call.
        job: The provider's id of the work.
        moderation: Stage and categories where the engine's own moderation refused, else empty.
    """

    number: int
    provider: str
    model: str
    n: int
    images: int = 0
    error: str | None = None
    message: str = field(default="", repr=False)
    may_have_billed: bool = True
    cost: Cost | None = None
    duration: int | None = None
    request_id: str | None = None
    job: str | None = None
    moderation: Mapping[str, object] = field(default_factory=dict)


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
        cost: What all calls cost together; None where one is not known, never 0 for unknown.
        warnings: What the caller should know, e.g. a development certificate.
        development: A development certificate signed: it shows integrity on this machine, not who signed.
        surplus: Released images beyond the number asked for, where the engine gives more; signed and kept as well.
        attempts: Every call to an engine, failed ones included, in order.
        adaptations: What was done otherwise than asked, where the caller allowed that.
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
    surplus: tuple[GeneratedImage, ...] = field(default=(), repr=False)
    development: bool = False
    attempts: tuple[Attempt, ...] = field(default=(), repr=False)
    adaptations: tuple[Adaptation, ...] = ()

    def _repr_html_(self) -> str:
        """Show the released pictures in a notebook, with the verdict and the record's id."""
        shown = " ".join(image._repr_html_() for image in (*self.images, *self.surplus))
        less = f", {len(self.withheld)} withheld" if self.withheld else ""
        return f"<p>{shown}</p><p>policy {self.decision.verdict.value}{less} · record {self.record_id}</p>"
