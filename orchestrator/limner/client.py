"""`AsyncLimner` and `Limner`: the same methods, awaited and not.

The async client is the only one with logic; the other calls it through a portal (`limner.portal`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from limner.errors import ConfigInvalid
from limner.portal import Portal

if TYPE_CHECKING:
    from limner.config import Config
    from limner.context import RequestContext
    from limner.result import ImageResult
    from limner.runtime import Runtime
    from limner_providers.base import Progress

    Claims = RequestContext | Mapping[str, Any] | None


class AsyncLimner:
    """One governed, signed, audited way to every image model.

    Example:
        async with AsyncLimner.open() as limner:
            result = await limner.generate("red apple", seed=7)
    """

    def __init__(self, runtime: Runtime, context: RequestContext) -> None:
        """Use `open` instead."""
        from limner.requests import RunningRequests

        self._runtime = runtime
        self._context = context
        self._requests = RunningRequests(runtime)

    @classmethod
    def open(cls, config: str | Path | Config | None = None, *, context: Claims = None) -> Self:
        """Open the configured (else the embedded) log, policy and providers.

        Args:
            config: A file, a `Config`, or None: `limner.yaml` of the working folder, else embedded defaults
                (the starter model on the CPU, SQLite and pictures in `.limner/`, a development certificate).
            context: Who asks and what for, for every call of this client.

        Raises:
            ConfigInvalid: The configuration or the context is wrong.
            PolicyFileError: A policy file is wrong; nothing is opened.
            ProvenanceError: The log, a key or a folder cannot be opened.
        """
        from limner.config import Config, load_config
        from limner.context import RequestContext
        from limner.runtime import Runtime

        claims = _context(context, RequestContext())
        return cls(Runtime.open(config if isinstance(config, Config) else load_config(config)), claims)

    @property
    def log_key(self) -> str:
        """The audit log's public key, as a verifier's key of a signed note."""
        return self._runtime.log.vkey

    async def generate(
        self,
        prompt: str,
        *,
        negative_prompt: str | None = None,
        size: str | tuple[int, int] | None = None,
        n: int = 1,
        seed: int | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        scheduler: str | None = None,
        output_format: str = "png",
        output_compression: int | None = None,
        provider: str | None = None,
        model: str | None = None,
        context: Claims = None,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> ImageResult:
        """Make `n` images from a prompt; image i uses seed `seed + i`.

        Args:
            prompt: What to draw.
            negative_prompt: What not to draw.
            size: `WIDTHxHEIGHT` in pixels; None: the model's native size.
            n: 1 to 100.
            seed: 0 to 2³²-1; None: drawn and recorded.
            num_inference_steps: Denoising steps; None: the model's own.
            guidance_scale: How strictly to follow the prompt; None: the model's own.
            scheduler: A scheduler's name; None: the model's own.
            output_format: `png`, `jpeg` or `webp`.
            output_compression: Quality of JPEG and WebP, 0 to 100.
            provider: Use only this configured provider.
            model: Use only this model.
            context: Who asks and what for; replaces the client's.
            on_progress: Told after each step.

        Returns:
            The released images, those withheld, the decision, the plan and the cost.

        Raises:
            InvalidRequest: A field is wrong; nothing was recorded.
            PolicyDenied: A rule says no.
            ReviewRequired: A rule asks for a person.
            UnsupportedRequest: No configured engine can do it.
            ProviderError: The engine failed; `OutcomeUnknown` where nobody knows.
            ProvenanceError: Signing, keys, log or disk cannot do their part.
        """
        from limner.steps.asking import Asked
        from limner_providers.types import ImageRequest

        request = ImageRequest.build(
            prompt=prompt,
            negative_prompt=negative_prompt,
            size=size,
            n=n,
            seed=seed,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            scheduler=scheduler,
            output_format=output_format,
            output_compression=output_compression,
        )
        self._check_provider(provider)
        asked = Asked(request, _context(context, self._context), provider, model)
        return await self._requests.begin(asked, on_progress)

    async def get(self, record_id: str) -> ImageResult:
        """Fetch the result of a record again; one that was produced and not sealed yet is taken to its end.

        Raises:
            RecordNotFound: No record has this id.
            RecordRunning: Another process works on it.
            PolicyDenied: It was denied; the same error as then.
            RequestEnded: It ended without a picture.
        """
        if not isinstance(record_id, str):
            raise ConfigInvalid(f"record_id={record_id!r} is no text.", remedy="Give the record_id of a result.")
        return await self._requests.resume(record_id)

    async def close(self) -> None:
        """Wait for what is paid for, write what waits in the log, and let go of engines and files."""
        await self._requests.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _check_provider(self, provider: str | None) -> None:
        if provider is not None and provider not in (known := self._runtime.config.provider_sections()):
            raise ConfigInvalid(f"provider={provider!r} is not configured.", remedy=f"Use one of: {', '.join(known)}.")


class Limner:
    """One governed, signed, audited way to every image model, without `await`.

    Example:
        with Limner.open() as limner:
            limner.generate("red apple", seed=7).images[0].save("apple.png")
    """

    def __init__(self, core: AsyncLimner) -> None:
        """Use `open` instead."""
        self._core = core
        self._portal = Portal()

    @classmethod
    def open(cls, config: str | Path | Config | None = None, *, context: Claims = None) -> Self:
        """As `AsyncLimner.open`."""
        return cls(AsyncLimner.open(config, context=context))

    @property
    def log_key(self) -> str:
        """The audit log's public key, as a verifier's key of a signed note."""
        return self._core.log_key

    def generate(
        self,
        prompt: str,
        *,
        negative_prompt: str | None = None,
        size: str | tuple[int, int] | None = None,
        n: int = 1,
        seed: int | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        scheduler: str | None = None,
        output_format: str = "png",
        output_compression: int | None = None,
        provider: str | None = None,
        model: str | None = None,
        context: Claims = None,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> ImageResult:
        """As `AsyncLimner.generate`."""
        return self._portal.call(
            self._core.generate,
            prompt,
            negative_prompt=negative_prompt,
            size=size,
            n=n,
            seed=seed,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            scheduler=scheduler,
            output_format=output_format,
            output_compression=output_compression,
            provider=provider,
            model=model,
            context=context,
            on_progress=on_progress,
        )

    def get(self, record_id: str) -> ImageResult:
        """As `AsyncLimner.get`."""
        return self._portal.call(self._core.get, record_id)

    def close(self) -> None:
        """As `AsyncLimner.close`."""
        self._portal.call(self._core.close)
        self._portal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


for _name in ("open", "generate", "get", "close"):  # so that help(Limner.generate) says all, and it is written once
    _method = getattr(Limner, _name)
    getattr(_method, "__func__", _method).__doc__ = getattr(AsyncLimner, _name).__doc__


def _context(given: Claims, otherwise: RequestContext) -> RequestContext:
    from pydantic import ValidationError

    from limner.context import RequestContext

    if given is None:
        return otherwise
    if isinstance(given, RequestContext):
        return given
    if not isinstance(given, Mapping):
        raise ConfigInvalid(f"context={given!r} is no mapping.", remedy='Write e.g. context={"user": "ann"}.')
    try:
        return RequestContext.model_validate(dict(given))
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(str(part) for part in found["loc"])
        known = ", ".join(RequestContext.model_fields)
        raise ConfigInvalid(
            f"context.{where}={found['input']!r}: {found['msg'].removeprefix('Value error, ')}.",
            remedy=f"Fields: {known}.",
        ) from error
