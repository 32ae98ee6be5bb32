"""The `diffusers` provider: Stable Diffusion on this machine, offline, one picture after the other.

Pictures are made one by one and not as a batch: on a CPU the kernels of a batch round otherwise, and a picture of a
batch has to be, byte by byte, the picture made alone with its seed. No safety checker: the policy judges pictures.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from anyio import to_thread
from pydantic import Field

from limner_providers._check import check_seeds, require, within
from limner_providers._diffusers_canvas import Canvas, make_canvas
from limner_providers._diffusers_settings import (
    Settings,
    capabilities_of,
    parameters_of,
    settings_of,
    warnings_of,
)
from limner_providers._encode import encode
from limner_providers._model_source import ModelSource, find_model
from limner_providers._worker import Job, Worker
from limner_providers.base import Health, ModelIdentity, OnEvent, ProducedImage, Progress, ProviderAnswer
from limner_providers.capabilities import Capabilities
from limner_providers.errors import ModelUnavailable, ProviderError, shorten
from limner_providers.types import MIME, ImageRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from limner_providers._diffusers_latents import Start
    from limner_providers._pipeline import Pipeline


class DiffusersProvider:
    """Pictures from a local pipeline; loaded at the first request, kept, and used by one request at a time.

    Args:
        name: what the configuration calls it.
        model: `starter`, a folder in diffusers' layout, a single `.safetensors` file (with `config`), or a hub id
            that is in the local cache; nothing is downloaded.
        device: `cpu`, `cuda`, `cuda:1`, `mps`; None chooses CUDA, then MPS, then the CPU.
        dtype: None chooses float16 on CUDA and float32 elsewhere.
        variant: weights to choose where a folder holds several, such as `fp16`.
        config: for a single file, a folder with the configuration and tokenizer of the same architecture.
        max_side: greatest width and height in pixels.
        max_pixels: greatest width × height; 4,194,304 is 2048x2048.
        threads: how many threads the CPU's computing may use, in the whole process; None leaves it to torch. Set it
            where other programs share the machine; the last bits of a picture may depend on it, so it is recorded.
        base_folder: what relative paths count from; None: the working folder.
    """

    kind: ClassVar[str] = "diffusers"
    is_test: ClassVar[bool] = False
    example_settings: ClassVar[Mapping[str, Any]] = {"model": "starter"}

    def __init__(
        self,
        name: str = "diffusers",
        *,
        model: str = "starter",
        device: str | None = None,
        dtype: Literal["float32", "float16", "bfloat16"] | None = None,
        variant: str | None = None,
        config: str | None = None,
        max_side: Annotated[int, Field(ge=8)] = 2048,
        max_pixels: Annotated[int, Field(ge=64)] = 2048 * 2048,
        threads: Annotated[int, Field(ge=1)] | None = None,
        base_folder: Path | None = None,
    ) -> None:
        self.name = name
        self._model = model
        self._device = device
        self._dtype = dtype
        self._limits = {"max_side": max_side, "max_pixels": max_pixels}
        self._threads = threads
        self._find = functools.partial(find_model, model, base_folder=base_folder, variant=variant, config=config)
        self._worker = Worker()
        self._lock = threading.Lock()
        self._source: ModelSource | None = None
        self._identity: ModelIdentity | None = None
        self._pipeline: Pipeline | None = None

    async def models(self) -> list[ModelIdentity]:
        """Give the configured model; its files are digested the first time, which takes seconds for gigabytes.

        Raises:
            ModelUnavailable: the files are missing or damaged.
        """
        with self._named():
            return [await to_thread.run_sync(self._identify)]

    async def identify(self, model: str | None = None) -> ModelIdentity:
        """Give the configured model; see `models`.

        Raises:
            ModelUnavailable: the files are missing or damaged, or `model` is another than the configured one.
        """
        with self._named():
            self._check_model(model, await to_thread.run_sync(self._find_once))
            return await to_thread.run_sync(self._identify)

    async def check(self) -> Health:
        """Look whether the model's files are there and whole enough to be read; nothing is loaded.

        Raises:
            ModelUnavailable: the files are missing or damaged.
        """
        identity = await self.identify()
        return Health(detail=f"{identity.architecture} on this machine", models=(identity.name,))

    async def capabilities(self, model: str | None = None) -> Capabilities:
        """Say what the model can do, from its configuration files; nothing is loaded.

        Raises:
            ModelUnavailable: the files are missing or damaged, or `model` is another than the configured one.
        """
        with self._named():
            source = await to_thread.run_sync(self._find_once)
            self._check_model(model, source)
            return capabilities_of(source, **self._limits)

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
        """Carry out the request's task once for each of `seeds`; see `Provider.generate`.

        Raises:
            UnsupportedRequest: a field cannot be honoured, or a prompt is longer than 16 windows of the text encoder.
            ModelUnavailable: the model's files are missing or damaged.
            EngineUnavailable: a library, the device, or memory is missing.
            GenerationFailed: the engine failed, or its numbers overflowed.
            Cancelled: never to the caller who cancelled; the work stops at its next step.
        """
        del end_user
        able = await self.capabilities(model)
        require(able, request, provider=self.name)
        with self._named():
            settings = settings_of(request, self._find_once(), able)
            work = functools.partial(self._work, request, settings, check_seeds(request, seeds))
            return await within(timeout, self._worker.run(work, Job(on_event=on_event)), provider=self.name)

    async def close(self) -> None:
        """Let go of the weights, after the work that is going on."""
        await self._worker.run(self._unload, Job())

    def _find_once(self) -> ModelSource:
        with self._lock:
            if self._source is None:
                self._source = self._find()
            return self._source

    def _identify(self) -> ModelIdentity:
        source = self._find_once()
        return self._identity or source.identity()

    def _check_model(self, model: str | None, source: ModelSource) -> None:
        names = dict.fromkeys((source.key, source.name, self._model))
        if model is not None and model not in names:
            remedy = f"It is configured with {source.name}; configure another provider for another model."
            raise ModelUnavailable(f"{self.name} has no model {shorten(model)}.", remedy=remedy)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Put the provider's name on errors of parts that do not know it."""
        try:
            yield
        except ProviderError as error:
            error.provider = error.provider or self.name
            raise

    def _unload(self, _job: Job) -> None:
        self._pipeline = self._identity = None

    def _load_once(self) -> tuple[Pipeline, ModelIdentity, int]:
        """Give the loaded pipeline, whose weights it has, and the microseconds that loading took now."""
        if self._pipeline is not None and self._identity is not None:
            return self._pipeline, self._identity, 0
        from limner_providers._pipeline import load

        source = self._find_once()
        self._pipeline, took = load(source, device=self._device, dtype=self._dtype, threads=self._threads)
        self._identity = source.identity()
        return self._pipeline, self._identity, took

    def _work(self, request: ImageRequest, settings: Settings, seeds: tuple[int, ...], job: Job) -> ProviderAnswer:
        """Make the pictures; runs in the worker's thread."""
        from limner_providers._prompts import condition

        pipeline, identity, loading = self._load_once()
        source = self._find_once()
        started = time.perf_counter_ns()
        canvas = make_canvas(request, settings)
        conditioning = condition(
            pipeline.pipe,
            request.prompt,
            request.negative_prompt,
            guided=settings.guidance_scale > 1,
            limit=source.folder.token_limit,
        )
        drawer = _Drawer(pipeline, request, settings, job, canvas)
        images = tuple(drawer.draw(conditioning.arguments, seed, i) for i, seed in enumerate(seeds))
        generating = (time.perf_counter_ns() - started) // 1000 - drawer.encoding
        computed = {"prompt_windows": str(conditioning.windows)}
        if settings.effective_steps:
            computed["scheduler"] = pipeline.scheduler_name
        return ProviderAnswer(
            images=images,
            model=identity,
            parameters=parameters_of(request, settings) | computed | pipeline.computing,
            timings={"wait": job.waited, "load": loading, "generate": generating, "encode": drawer.encoding},
            warnings=(
                *conditioning.warnings,
                *(canvas.warnings if canvas else ()),
                *warnings_of(settings, source),
                *job.warnings,
            ),
        )


class _Drawer:
    """Draws and encodes the pictures of one request, tells how far it is, and adds up the time of encoding."""

    def __init__(
        self, pipeline: Pipeline, request: ImageRequest, settings: Settings, job: Job, canvas: Canvas | None
    ) -> None:
        self.pipeline = pipeline
        self.request = request
        self.settings = settings
        self.job = job
        self.canvas = canvas
        self.encoding = 0

    def draw(self, conditioning: dict[str, object], seed: int, index: int) -> ProducedImage:
        """Make picture `index` of the request, from 0."""
        self.job.check()
        pixels = self._pixels(conditioning, seed, index)
        pixels.flags.writeable = False
        started = time.perf_counter_ns()
        data = encode(pixels, self.request.output_format, self.request.output_compression)
        self.encoding += (time.perf_counter_ns() - started) // 1000
        height, width, _ = pixels.shape
        mime = MIME[self.request.output_format]
        return ProducedImage(data=data, mime=mime, width=width, height=height, seed=seed, pixels=pixels)

    def _pixels(self, conditioning: dict[str, object], seed: int, index: int) -> NDArray[np.uint8]:
        steps = self.settings.effective_steps

        def on_step(step: int) -> None:
            self.job.tell(Progress(step=step, steps=steps, image=index + 1, images=self.request.n))

        if self.canvas is None:
            return self.pipeline.draw(conditioning, self.settings, seed, on_step)
        if not steps:
            return self.canvas.finish(self.canvas.pixels)
        return self.canvas.finish(self.pipeline.draw(conditioning, self.settings, seed, on_step, self._start))

    @functools.cached_property
    def _start(self) -> Start:
        """Encode the canvas once for all pictures of the request."""
        assert self.canvas is not None  # the task starts from a picture
        return self.pipeline.start(self.canvas, self.settings)
