"""`AsyncLimner` and `Limner`: the same methods, awaited and not.

The async client is the only one with logic; the other calls it through a portal (`limner.portal`).
"""

from __future__ import annotations

import asyncio
import difflib
import functools
import math
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar, Unpack, cast

from limner.errors import ConfigInvalid
from limner.options import HOW, How, Options, spelled_out
from limner.portal import Portal

if TYPE_CHECKING:
    from limner.config import Config
    from limner.context import RequestContext
    from limner.jobs import AsyncJob, Job
    from limner.options import Claims
    from limner.requests import Running
    from limner.result import ImageResult
    from limner.runtime import Runtime
    from limner.steps.asking import Asked
    from limner_providers.types import ImageRequest

P = ParamSpec("P")
T = TypeVar("T")

_MAX_TIMEOUT = 86_400.0


class AsyncLimner:
    """One governed, signed, audited way to every image model.

    Pictures (`image`, `mask`, those of `references` and `control`) are given as a path, bytes, a Pillow image, an array
    or an image of an earlier result, which the engine that made it may know by its own name.

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

    @spelled_out
    async def generate(self, prompt: str, **options: Unpack[Options]) -> ImageResult:
        """Make `n` images from a prompt; image i uses seed `seed + i`.

        Args:
            prompt: What to draw.
        """
        return await self._ask("txt2img", options, prompt=prompt)

    @spelled_out
    async def edit(
        self, image: Any, prompt: str, *, mask: Any = None, strength: float | None = None, **options: Unpack[Options]
    ) -> ImageResult:
        """Draw an image anew by a prompt: all of it, or with a mask only where that is white.

        Args:
            image: The picture to start from.
            prompt: What to draw.
            mask: As large as the image; white changes, black stays.
            strength: 0 to 1, how far the result may leave the image.
        """
        task = "img2img" if mask is None else "inpaint"
        return await self._ask(task, options, image=image, prompt=prompt, mask=mask, strength=strength)

    @spelled_out
    async def inpaint(
        self, image: Any, mask: Any, prompt: str, *, strength: float | None = None, **options: Unpack[Options]
    ) -> ImageResult:
        """Draw anew where a mask is white; outside of it every pixel that the engine can keep stays.

        Args:
            image: The picture to start from.
            mask: As large as the image; white changes, black stays.
            prompt: What to draw there.
            strength: 0 to 1, how far the result may leave the image.
        """
        return await self._ask("inpaint", options, image=image, prompt=prompt, mask=mask, strength=strength)

    @spelled_out
    async def outpaint(
        self,
        image: Any,
        prompt: str = "",
        *,
        left: int = 0,
        top: int = 0,
        right: int = 0,
        bottom: int = 0,
        strength: float | None = None,
        **options: Unpack[Options],
    ) -> ImageResult:
        """Draw beyond an image's sides.

        Args:
            image: The picture to start from.
            prompt: What to draw there; may be empty.
            left: Pixels to add on this side, as `top`, `right` and `bottom`; one of them at least.
            top: See `left`.
            right: See `left`.
            bottom: See `left`.
            strength: 0 to 1, how far the result may leave the image.
        """
        margins = {"left": left, "top": top, "right": right, "bottom": bottom}
        return await self._ask("outpaint", options, image=image, prompt=prompt, margins=margins, strength=strength)

    @spelled_out
    async def variation(
        self, image: Any, prompt: str = "", *, strength: float | None = None, **options: Unpack[Options]
    ) -> ImageResult:
        """Make images that are like another one.

        Args:
            image: The picture to start from.
            prompt: What to draw; may be empty.
            strength: 0 to 1, how far the result may leave the image.
        """
        return await self._ask("variation", options, image=image, prompt=prompt, strength=strength)

    @spelled_out
    async def upscale(
        self,
        image: Any,
        scale: float | None = None,
        *,
        prompt: str = "",
        strength: float | None = None,
        **options: Unpack[Options],
    ) -> ImageResult:
        """Make an image larger.

        Args:
            image: The picture to start from.
            scale: How many times, above 1, to 8; None: the engine's own, or as `size` says.
            prompt: What it shows; may be empty.
            strength: 0 to 1, how far the result may leave the image.
        """
        return await self._ask("upscale", options, image=image, prompt=prompt, scale=scale, strength=strength)

    async def run(self, request: ImageRequest, **how: Unpack[How]) -> ImageResult:
        """Carry out a ready request.

        Args:
            request: What to make.
            how: `provider`, `model`, `context`, `timeout`, `on_unsupported` and `on_progress`, as of `generate`.

        Returns:
            As `generate`.

        Raises:
            Exception: As `generate`.
        """
        return await (await self._begin(request, how)).wait()

    async def submit(self, request: ImageRequest, **how: Unpack[How]) -> AsyncJob:
        """Begin a ready request without waiting for it; its record's id is known at once.

        Args:
            request: What to make.
            how: As of `run`.

        Returns:
            The job, which can be waited for and cancelled.

        Raises:
            ConfigInvalid: An argument is wrong; nothing was recorded.
        """
        from limner.jobs import AsyncJob

        return AsyncJob(await self._begin(request, how))

    async def get(self, record_id: str) -> ImageResult:
        """Fetch the result of a record again; one that was produced and not sealed yet is taken to its end.

        No engine is asked that was asked before. Where fewer pictures came than were asked for, a warning says so.

        Raises:
            RecordNotFound: No record has this id.
            RecordRunning: Another process works on it.
            PolicyDenied: It was denied; the same error as then.
            RequestEnded: It ended without a picture.
        """
        return await (await self._requests.resume(_record_id(record_id))).wait()

    async def cancel(self, record_id: str) -> bool:
        """Stop a running request of this client, at its engine where that can be done.

        Args:
            record_id: Of `submit`'s job, or of a running request.

        Returns:
            Whether it ended as cancelled. False where it is too late: pictures that came are judged, sealed and kept.
            What the engine did until then may have been billed; the record says whether that is so.

        Raises:
            RecordNotFound: No record has this id.
        """
        return await self._requests.cancel(_record_id(record_id))

    async def close(self) -> None:
        """Wait for what is paid for, write what waits in the log, and let go of engines and files."""
        await self._requests.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, task: str, options: Options, **fields: Any) -> ImageResult:
        """Make the request of a task's own fields and the shared ones, and carry it out."""
        how = cast("How", {name: value for name, value in options.items() if name in HOW})
        shared = {name: value for name, value in options.items() if name not in HOW}
        request = await _request({"task": task, **fields, **shared})
        return await (await self._begin(request, how)).wait()

    async def _begin(self, request: ImageRequest, how: How) -> Running:
        return await self._requests.begin(self._asked(request, how), how.get("on_progress"))

    def _asked(self, request: ImageRequest, how: How) -> Asked:
        """Check how a request is to be carried out.

        Raises:
            ConfigInvalid: An argument is wrong.
        """
        from limner.steps.asking import Asked
        from limner_providers.types import ImageRequest

        if not isinstance(request, ImageRequest):
            raise ConfigInvalid(f"request={type(request).__name__} is no request.", remedy="Give an ImageRequest.")
        if unknown := set(how) - set(HOW):
            raise ConfigInvalid(f"{min(unknown)!r} is no argument.", remedy=f"Known: {', '.join(HOW)}.")
        provider, model = how.get("provider"), how.get("model")
        if provider is not None and provider not in (known := self._runtime.config.provider_sections()):
            raise ConfigInvalid(f"provider={provider!r} is not configured.", remedy=f"Use one of: {', '.join(known)}.")
        if model is not None and not (isinstance(model, str) and 0 < len(model) <= 500):
            raise ConfigInvalid(
                f"model={str(model)[:80]!r} is no model's name.", remedy="Give a text, or leave it out."
            )
        strictness = how.get("on_unsupported", "error")
        if strictness not in {"error", "adapt"}:
            raise ConfigInvalid(f"on_unsupported={strictness!r} is not known.", remedy='Use "error" or "adapt".')
        _check_kinds(request.extra, {n: s.kind for n, s in self._runtime.config.providers.items()})
        context = _context(how.get("context"), self._context)
        return Asked(request, context, provider, model, strictness, _timeout(how.get("timeout")))


def _blocking(
    method: Callable[Concatenate[AsyncLimner, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Limner, P], T]:
    """Make the method of `Limner` of the one of `AsyncLimner`: same arguments, same text, no `await`."""

    @functools.wraps(method)
    def call(self: Limner, /, *args: P.args, **options: P.kwargs) -> T:
        return self._portal.call(method, self._core, *args, **options)

    return call


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

    generate = _blocking(AsyncLimner.generate)
    edit = _blocking(AsyncLimner.edit)
    inpaint = _blocking(AsyncLimner.inpaint)
    outpaint = _blocking(AsyncLimner.outpaint)
    variation = _blocking(AsyncLimner.variation)
    upscale = _blocking(AsyncLimner.upscale)
    run = _blocking(AsyncLimner.run)
    get = _blocking(AsyncLimner.get)
    cancel = _blocking(AsyncLimner.cancel)

    def submit(self, request: ImageRequest, **how: Unpack[How]) -> Job:
        """As `AsyncLimner.submit`."""
        from limner.jobs import Job

        return Job(self._portal.call(self._core.submit, request, **how), self._portal)

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


for _name in ("open", "submit", "close"):  # so that help(Limner.submit) says all, and it is written once
    _method = getattr(Limner, _name)
    getattr(_method, "__func__", _method).__doc__ = getattr(AsyncLimner, _name).__doc__


_PARTS = ("references", "control", "lora")


async def _request(fields: dict[str, Any]) -> ImageRequest:
    """Make a request; where it has pictures, in a worker thread, since they are read and decoded.

    Raises:
        InvalidRequest: A field is wrong.
    """
    from limner.result import ImageResult
    from limner_providers.types import ImageRequest

    fields = {name: value for name, value in fields.items() if value is not None}
    if isinstance(image := fields.get("image"), ImageResult):
        raise ConfigInvalid(
            f"image is a whole result of {len(image.images)} pictures.",
            remedy="Give one of them, e.g. result.images[0].",
        )
    # An image of a result is known to the engine that made it by a name of its own.
    origin = getattr(fields.get("image"), "origin", None)
    if origin is not None:
        fields.setdefault("origin", origin)
    if any(name in fields for name in ("image", *_PARTS)):
        return await asyncio.to_thread(ImageRequest.build, **fields)
    return ImageRequest.build(**fields)


def _record_id(value: object) -> str:
    if not isinstance(value, str):
        raise ConfigInvalid(f"record_id={value!r} is no text.", remedy="Give the record_id of a result.")
    return value


def _check_kinds(extra: Mapping[str, Any], configured: Mapping[str, str]) -> None:
    """Refuse options for a kind of engine that there is none of: a misspelt one would be read by nobody.

    Raises:
        ConfigInvalid: There is no such kind.
    """
    if not extra:
        return
    from limner_providers.registry import provider_kinds

    kinds = {*provider_kinds(), *configured.values()}
    for name in extra:
        if name not in kinds:
            near = configured.get(name) or next(iter(difflib.get_close_matches(name, sorted(kinds), n=1)), None)
            guess = f"Did you mean {near!r}? " if near else ""
            raise ConfigInvalid(
                f"extra.{name[:80]} is for no kind of engine that is known here.",
                remedy=f"{guess}Kinds: {', '.join(sorted(kinds))}.",
            )


def _timeout(value: object) -> float | None:
    """Check a call's time-out, in seconds.

    Raises:
        ConfigInvalid: It is no number above 0 and up to a day.
    """
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not (math.isfinite(float(value)) and 0 < float(value) <= _MAX_TIMEOUT):  # type: ignore[arg-type]
        raise ConfigInvalid(f"timeout={value!r} is no time-out.", remedy="Give seconds: above 0, up to 86400.")
    return float(value)  # type: ignore[arg-type]


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
