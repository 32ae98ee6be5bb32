"""The `test` provider: deterministic patterns without an engine, for users' own CI and for fault tests.

Its pictures follow the request and its seed, and cannot be taken for anything but patterns. Its faults are switched on
by the constructor. Production refuses it (`is_test`), and the manifest marks what it made.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import anyio
from anyio import lowlevel
from pydantic import Field

from limner_providers._check import check_seeds, require, within
from limner_providers._encode import encode
from limner_providers._pattern_tasks import NATIVE, SIZES, canvas, paint
from limner_providers._requests import canonical_decimal
from limner_providers._schedulers import scheduler_aliases, scheduler_names
from limner_providers._test_faults import Fault, fail_sent, fail_unsent, fail_working, spoil
from limner_providers.base import (
    Cost,
    Event,
    Health,
    JobAccepted,
    ModelIdentity,
    OnEvent,
    PartialImage,
    ProducedImage,
    Progress,
    ProviderAnswer,
)
from limner_providers.capabilities import Capabilities, CostRule, DecimalRange, IntRange, OptionRule, ReferenceRule
from limner_providers.errors import ModelUnavailable, UnsupportedRequest, shorten
from limner_providers.types import MIME, TASKS, ImageRequest, Task

__all__ = ["MODEL", "Fault", "TestProvider"]

MODEL = ModelIdentity(
    name="limner-test",
    licence="Apache-2.0",
    source="drawn by limner_providers.test; no model and no engine",
    architecture="pattern",
    native_size=NATIVE,
)
_STEPS = 4  # progress reports a picture where a request names no steps
_SLOW = 30.0  # seconds that `fail="slow"` waits where no delay is given


class TestProvider:
    """An engine that is none.

    Args:
        name: what the configuration calls it.
        fail: None works; else what goes wrong, as the table in `docs/providers.md` says.
        fail_first: only so many calls fail, the others work; None: all of them.
        retry_after: seconds that `rate-limited` names, None: it names none.
        delay: seconds a call takes more.
        cost: price of one picture as a decimal text, None: it names none.
        currency: of `cost`.
        ledger: a file to which one JSON line is written for each call that would be billed: outlives a crash.
        tasks: the tasks it carries out, None: all six.
        max_n: most pictures of one call.
        call_gives: pictures that every call gives, however few are asked for; 0: as many as asked.
        seed: `image`: one a picture. `call`: one for all pictures of a call. `none`: it takes none, and no two of its
            calls give the same picture.
        tells: what it tells beside its progress: `job`, its id of the work; `partial`, unfinished pictures.
    """

    __test__ = False  # pytest: the name begins with Test, it is no test
    kind: ClassVar[str] = "test"
    is_test: ClassVar[bool] = True
    example_settings: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self,
        name: str = "test",
        *,
        fail: Fault | None = None,
        fail_first: Annotated[int, Field(ge=0)] | None = None,
        retry_after: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None,
        delay: Annotated[float, Field(ge=0)] = 0.0,
        cost: Annotated[Decimal, Field(ge=0)] | None = None,
        currency: str = "USD",
        ledger: Path | None = None,
        tasks: Annotated[tuple[Task, ...], Field(min_length=1)] | None = None,
        max_n: Annotated[int, Field(ge=1, le=100)] = 100,
        call_gives: Annotated[int, Field(ge=0, le=100)] = 0,
        seed: Literal["image", "call", "none"] = "image",
        tells: tuple[Literal["job", "partial"], ...] = (),
    ) -> None:
        self.name = name
        self.calls = 0
        self.billed = 0
        self._fail: Fault | None = fail
        self._fail_first = fail_first
        self._retry_after = retry_after
        self._delay = delay
        self._cost = cost
        self._currency = currency
        self._ledger = ledger
        self._tasks = TASKS if tasks is None else tuple(task for task in TASKS if task in tasks)
        self._max_n = max_n
        self._call_gives = call_gives
        self._seed = seed
        self._tells = frozenset(tells)

    async def models(self) -> list[ModelIdentity]:
        """List the one that is none."""
        return [MODEL]

    async def identify(self, model: str | None = None) -> ModelIdentity:
        """Give the one that is none.

        Raises:
            ModelUnavailable: `model` is another than `limner-test`.
        """
        self._check_model(model)
        return MODEL

    async def check(self) -> Health:
        """Say that it is there: it always is, whatever faults are switched on."""
        return Health(detail="no engine: patterns for tests", models=(MODEL.name,))

    def _check_model(self, model: str | None) -> None:
        if model not in {None, MODEL.name}:
            message = f"{self.name} has no model {shorten(model)}."
            raise ModelUnavailable(message, remedy=f"It has only {MODEL.name}.", provider=self.name)

    async def capabilities(self, model: str | None = None) -> Capabilities:
        """Say what the patterns follow: everything a request can hold, so that it can stand in for any engine.

        Raises:
            ModelUnavailable: `model` is another than `limner-test`.
        """
        self._check_model(model)
        seeds: dict[str, bool | Literal["call"]] = {"image": True, "call": "call", "none": False}
        rates = None if self._cost is None else {"image": self._cost}
        return Capabilities(
            tasks=self._tasks,
            kind=self.kind,
            size=SIZES,
            max_n=self._max_n,
            call_gives=self._call_gives,
            seed=seeds[self._seed],
            negative_prompt=True,
            num_inference_steps=IntRange(minimum=1, maximum=1000),
            guidance_scale=DecimalRange(minimum=Decimal(0), maximum=Decimal(100)),
            schedulers=scheduler_names(),
            scheduler_aliases=scheduler_aliases(),
            strength=self._tasks != ("txt2img",),
            scale=DecimalRange(minimum=Decimal(1), maximum=Decimal(8)) if "upscale" in self._tasks else None,
            output_formats=("png", "jpeg", "webp"),
            backgrounds=("transparent", "opaque", "auto"),
            qualities=("low", "medium", "high"),
            references=ReferenceRule(maximum=16, uses=("image", "style", "character"), weight=True),
            mask="white-changes" if "inpaint" in self._tasks else None,
            control=("canny", "depth", "openpose"),
            lora=16,
            extra={"pattern": OptionRule(type="integer", minimum=Decimal(0), maximum=Decimal(999), says="another one")},
            streaming=True,
            cost=rates and CostRule(unit="image", rates=rates, currency=self._currency),
            cost_known=self._fail != "cost-unknown",
            source="limner_providers.test",
        )

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
        """Draw a pattern for each seed, or fail as the constructor was told.

        Raises:
            UnsupportedRequest: a picture above 2048 pixels a side, a task that was switched off, an unknown scheduler.
            Cancelled: it took longer than `timeout`; nothing is billed.
            ProviderError: the fault that was switched on.
        """
        del end_user
        started = time.perf_counter_ns()
        require(await self.capabilities(model), request, provider=self.name)
        self._check_canvas(request)
        chosen = None if self._seed == "none" else check_seeds(request, seeds)
        self.calls += 1
        job = f"test-{os.getpid()}-{self.calls}"
        fault = self._fail if self._fail_first is None or self.calls <= self._fail_first else None
        fail_unsent(fault, self.name, retry_after=self._retry_after)
        teller = _Teller(on_event, self._tells)
        teller.job(job)
        images = await within(timeout, self._work(request, chosen, job, fault, teller), provider=self.name)
        fail_working(fault, self.name)
        self._bill(request, len(images))
        fail_sent(fault, self.name, job=job if "job" in self._tells else None)
        return ProviderAnswer(
            images=tuple(spoil(images, fault)),
            model=MODEL,
            parameters=_parameters(request),
            cost=self._charge(len(images), fault),
            timings={"generate": (time.perf_counter_ns() - started) // 1000},
            request_id=job,
            warnings=tuple(teller.warnings),
        )

    async def close(self) -> None:
        """Nothing is held."""

    def _check_canvas(self, request: ImageRequest) -> None:
        """Refuse a picture whose size follows from one that was given, and is too large."""
        width, height = canvas(request)
        if problem := SIZES.too_large(width, height):
            remedy = "Give a smaller picture, or a size."
            raise UnsupportedRequest("size", f"{width}x{height}", why=problem, remedy=remedy, provider=self.name)

    async def _work(
        self, request: ImageRequest, seeds: tuple[int, ...] | None, job: str, fault: Fault | None, teller: _Teller
    ) -> list[ProducedImage]:
        await anyio.sleep(_SLOW if fault == "slow" and not self._delay else self._delay)
        count = max(request.n, self._call_gives)
        images = []
        for index in range(count):
            drawn, told = self._seed_of(seeds, index, count)
            image = _draw(request, drawn, told, job if "job" in self._tells else None, index)
            teller.picture(request, image, index, count)
            images.append(image)
            await lowlevel.checkpoint()  # others get their turn, and a cancellation reaches us between two pictures
        return images

    def _seed_of(self, seeds: tuple[int, ...] | None, index: int, count: int) -> tuple[int, int | None]:
        """Say which seed picture `index` is drawn with, and which one makes it again alone."""
        if seeds is None:
            return self.calls * 1000 + index, None
        if self._seed == "call":
            return seeds[0] + index, seeds[0] if count == 1 else None
        seed = seeds[index] if index < len(seeds) else (seeds[-1] + index - len(seeds) + 1) % 2**32
        return seed, seed

    def _bill(self, request: ImageRequest, made: int) -> None:
        """Count the call as done and paid; a ledger file keeps the count when the process is killed."""
        self.billed += 1
        if self._ledger is not None:
            line = {"provider": self.name, "pid": os.getpid(), "n": request.n, "made": made}
            with self._ledger.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def _charge(self, made: int, fault: Fault | None) -> Cost | None:
        if self._cost is None or fault == "cost-unknown":
            return None
        return Cost(amount=self._cost * made, currency=self._currency)


class _Teller:
    """Tells a listener; one that raises costs no picture, is not asked again, and that is said."""

    def __init__(self, on_event: OnEvent | None, tells: frozenset[str]) -> None:
        self._on_event = on_event
        self._tells = tells
        self.warnings: list[str] = []

    def job(self, job: str) -> None:
        """Tell the id of the work, where it has been switched on."""
        if "job" in self._tells:
            self._tell(JobAccepted(job=job))

    def picture(self, request: ImageRequest, image: ProducedImage, index: int, images: int) -> None:
        """Tell every step of a picture, and in its middle what would be seen of it."""
        for event in self._steps(request, image, index, images):
            self._tell(event)

    def _steps(self, request: ImageRequest, image: ProducedImage, index: int, images: int) -> Iterator[Event]:
        if self._on_event is None:
            return
        steps = request.num_inference_steps or _STEPS
        for step in range(1, steps + 1):
            yield Progress(step=step, steps=steps, image=index + 1, images=images)
            if "partial" in self._tells and step == (steps + 1) // 2:
                yield PartialImage(data=image.data, mime=image.mime, index=index)

    def _tell(self, event: Event) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception as error:  # noqa: BLE001 - the listener is foreign code
            self._on_event = None
            self.warnings.append(f"on_event raised {type(error).__name__} and was not called again")


def _draw(request: ImageRequest, drawn: int, told: int | None, job: str | None, index: int) -> ProducedImage:
    pixels = paint(request, drawn)
    pixels.flags.writeable = False
    height, width, channels = pixels.shape
    return ProducedImage(
        data=encode(pixels, request.output_format, request.output_compression),
        mime=MIME[request.output_format],
        width=width,
        height=height,
        seed=told,
        pixels=pixels if channels == 3 else None,
        job=job,
        job_index=index + 1,
    )


def _parameters(request: ImageRequest) -> dict[str, str]:
    width, height = canvas(request)
    parameters = {
        "size": f"{width}x{height}",
        "num_inference_steps": str(request.num_inference_steps or _STEPS),
        "output_format": request.output_format,
    }
    if request.guidance_scale is not None:
        parameters["guidance_scale"] = canonical_decimal(request.guidance_scale)
    if request.scheduler is not None:
        parameters["scheduler"] = request.scheduler
    return parameters
