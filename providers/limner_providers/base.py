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
class JobAccepted:
    """The provider took the work and named it: its result can be fetched by `job` even if this process dies."""

    job: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialImage:
    """A picture that is not finished, for whoever watches. Not judged and not signed: `limner` hands none out."""

    data: bytes = field(repr=False)
    mime: str
    index: int


Event = Progress | JobAccepted | PartialImage
OnEvent = Callable[[Event], object]
"""Called in the event loop's thread while the engine works; what it returns or raises changes nothing."""


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
        job: the provider's id of the work it is from, by which later work can name it; None where there is none.
        job_index: which picture of that work, from 1.
    """

    data: bytes = field(repr=False)
    mime: str
    width: int
    height: int
    seed: int | None = None
    pixels: NDArray[np.uint8] | None = field(default=None, repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict)
    job: str | None = None
    job_index: int = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProviderAnswer:
    """What a provider made of one request.

    Attributes:
        images: as many as were asked for, in the order of the seeds; more where the engine gives more, and fewer
            where it gave fewer: whoever asked has to notice, and pictures that are paid for are not thrown away.
        model: which weights made them.
        parameters: what was really used (scheduler, steps, guidance, device, versions …), all as canonical text.
        cost: what the call cost; None where there is no price or it is not known.
        timings: how long each part took, in microseconds.
        request_id: the provider's own id of the call.
        usage: what was counted for the bill, by kind (`input_text_tokens`, …).
        warnings: what the caller should know, one sentence each, without prompt texts.
    """

    images: tuple[ProducedImage, ...]
    model: ModelIdentity
    parameters: Mapping[str, str] = field(default_factory=dict)
    cost: Cost | None = None
    timings: Mapping[str, int] = field(default_factory=dict)
    request_id: str | None = None
    usage: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What a look at an engine found.

    Attributes:
        latency: microseconds of the round trip, None for an engine on this machine.
        detail: what it said of itself, a few words.
        models: names of the models that it says it has; empty where it does not say.
        missing: what of its interface is not there, each with what cannot be done without it.
    """

    latency: int | None = None
    detail: str = ""
    models: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


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

    async def identify(self, model: str | None = None) -> ModelIdentity:
        """Say which weights `model` names (None: its default); a vendor's model that nobody catalogued has a name only.

        Raises:
            ModelUnavailable: the model is not there; `ModelRetired` where its vendor has switched it off.
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
        timeout: float | None = None,
        end_user: str | None = None,
        on_event: OnEvent | None = None,
    ) -> ProviderAnswer:
        """Carry out `request`, picture i with `seeds[i]`.

        Cancelled, it cancels the work at the engine where that can be done, and stops.

        Args:
            request: what to make; its own `seed` is not read, the caller has chosen `seeds` (`request.n` of them).
            model: None for the default.
            seeds: one a picture, each 0 to 2³²-1; an engine that takes none does not read them.
            timeout: seconds that the whole call may take, None: as the model's capabilities say.
            end_user: an opaque id of who asks, for a vendor that wants one; used only where the configuration says so.
            on_event: told of progress, of the job's id and of unfinished pictures.

        Raises:
            UnsupportedRequest: it cannot honour a field; nothing was done.
            ModelUnavailable: the model is not there.
            EngineUnavailable: it did not start; nothing was made (`RateLimited`, `AccessDenied`, `QuotaExhausted`).
            ModerationBlocked: its own moderation refused.
            GenerationFailed: it started and failed.
            OutcomeUnknown: nobody knows whether it was carried out.
        """

    async def check(self) -> Health:
        """Look whether the engine is there and lets us in, without making anything that costs.

        Raises:
            ProviderError: it is not there, or does not let us in.
        """

    async def close(self) -> None:
        """Let go of connections, threads and weights; a later call may load them again."""


@runtime_checkable
class Resumable(Protocol):
    """A provider whose accepted work outlives the call: its result can be fetched later, by another process too."""

    async def fetch(
        self, job: str, request: ImageRequest, *, model: str | None = None, timeout: float | None = None
    ) -> ProviderAnswer:
        """Fetch the result of accepted work; nothing new is begun, and nothing is billed.

        Args:
            job: as `JobAccepted`, or an error's `job`, named it.
            request: what was asked then.
            model: which model was asked, None for the default.
            timeout: seconds to wait for it, None: as for a whole request; 0: look once.

        Raises:
            GenerationFailed, ModerationBlocked, Cancelled: it has ended badly.
            OutcomeUnknown: it has not ended in the time, or the provider does not know it any longer.
            EngineUnavailable: the provider could not be asked.
        """
