"""The Protocol behind which every engine stands, and what an engine answers.

A provider carries out one request at a time as it is told; it never judges, retries, falls back or records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from limner_providers.capabilities import Capabilities
from limner_providers.types import ImageRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Which weights a provider works with.

    Attributes:
        name: the model's name, a folder's name, a hub id, or what the vendor calls it.
        sha256: digest of what is loaded (see `docs/providers.md`), lower-case hex; None where it cannot be known.
        licence: SPDX identifier or `LicenseRef-…`; None where it is not known.
        source: where it came from, in words or as an address.
        architecture: for instance `StableDiffusionPipeline`; None where it is not known.
        native_size: `WIDTHxHEIGHT` made when no size is asked for; None where it is not known.
    """

    name: str
    sha256: str | None = None
    licence: str | None = None
    source: str = "unknown"
    architecture: str | None = None
    native_size: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the work is: `step` of `num_inference_steps` done of picture `image` (from 1) of `images`."""

    step: int
    steps: int
    image: int
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a call cost: an exact `amount` in `currency` (ISO 4217)."""

    amount: Decimal
    currency: str = "USD"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProducedImage:
    """One picture as the engine made it, before anything is marked or signed.

    Attributes:
        data: the encoded file, complete.
        mime: `image/png`, `image/jpeg` or `image/webp`.
        width, height: pixels.
        seed: the seed that makes this very picture again alone; None where the engine does not say.
        pixels: uint8 array of shape (height, width, 3), RGB, exactly what `data` was encoded from, read-only; None
            where the provider did not decode it. For JPEG and WebP the file's pixels differ by its compression.
        metadata: what the engine wrote about the picture, by name.
    """

    data: bytes = field(repr=False)
    mime: str
    width: int
    height: int
    seed: int | None = None
    pixels: NDArray[np.uint8] | None = field(default=None, repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProviderAnswer:
    """What a provider made of one request.

    Attributes:
        images: as many as were asked for, in the order of the seeds; more where the engine gives more.
        model: which weights made them.
        parameters: what was really used (scheduler, steps, guidance, device, versions …), all as canonical text.
        cost: what the call cost; None where there is no price or it is not known.
        timings: how long each part took, in microseconds.
        request_id: the provider's own id of the call.
        warnings: what the caller should know, one sentence each, without prompt texts.
    """

    images: tuple[ProducedImage, ...]
    model: ModelIdentity
    parameters: Mapping[str, str] = field(default_factory=dict)
    cost: Cost | None = None
    timings: Mapping[str, int] = field(default_factory=dict)
    request_id: str | None = None
    warnings: tuple[str, ...] = ()


OnProgress = Callable[[Progress], object]
"""Called in the event loop's thread while the engine works; what it returns is ignored."""


@runtime_checkable
class Provider(Protocol):
    """One configured engine.

    Attributes:
        kind: what it is (`diffusers`, `openai`, …), the same for all of its kind.
        is_test: True where its pictures are not to be taken for an engine's; production refuses it.
        name: what the configuration calls it.
    """

    kind: ClassVar[str]
    is_test: ClassVar[bool]
    name: str

    async def models(self) -> list[ModelIdentity]:
        """List the models it can use, the default one first.

        Raises:
            ModelUnavailable: the configured model's files are missing or corrupt.
        """

    async def capabilities(self, model: str | None = None) -> Capabilities:
        """Say what it can do with `model` (None: its default).

        Raises:
            ModelUnavailable: the model is not there.
        """

    async def generate(
        self,
        request: ImageRequest,
        *,
        model: str | None = None,
        seeds: Sequence[int],
        on_progress: OnProgress | None = None,
    ) -> ProviderAnswer:
        """Carry out `request`, picture i with `seeds[i]`.

        Args:
            request: what to make; its own `seed` is not read, the caller has chosen `seeds` (`request.n` of them).
            model: None for the default.
            seeds: one a picture, each 0 to 2³²-1.
            on_progress: told after each step.

        Raises:
            UnsupportedRequest: it cannot honour a field; nothing was done.
            ModelUnavailable: the model is not there.
            EngineUnavailable: it could not start; nothing was sent.
            GenerationFailed: it started and failed.
            OutcomeUnknown: nobody knows whether it was carried out.
        """

    async def close(self) -> None:
        """Let go of connections, threads and weights; a later call may load them again."""
