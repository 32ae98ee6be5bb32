"""The `test` provider: deterministic patterns without an engine, for users' own CI and for fault tests.

Its pictures follow prompt and seed and cannot be taken for anything but patterns. Its faults are switched on by the
constructor. Production refuses it (`is_test`), and the manifest marks what it made.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NoReturn

import anyio
from pydantic import Field

from limner_providers._check import check_seeds, require, within
from limner_providers._encode import encode
from limner_providers._pattern import draw
from limner_providers._requests import canonical_decimal
from limner_providers._schedulers import scheduler_aliases, scheduler_names
from limner_providers.base import Cost, Health, ModelIdentity, OnEvent, ProducedImage, Progress, ProviderAnswer
from limner_providers.capabilities import Capabilities, CostRule, DecimalRange, IntRange, SizeRule
from limner_providers.errors import (
    EngineUnavailable,
    GenerationFailed,
    ModelUnavailable,
    ModerationBlocked,
    OutcomeUnknown,
)
from limner_providers.types import MIME, ImageRequest

Fault = Literal[
    "refused", "failed", "blocked", "unknown", "slow", "short", "surplus", "garbage", "truncated",
    "crash-before-send", "crash-after-send",
]  # fmt: skip

MODEL = ModelIdentity(
    name="limner-test",
    licence="Apache-2.0",
    source="drawn by limner_providers.test; no model and no engine",
    architecture="pattern",
    native_size="64x64",
)
_STEPS = 4  # progress reports a picture where a request names no steps
_SLOW = 30.0  # seconds that `fail="slow"` waits where no delay is given


class TestProvider:
    """An engine that is none.

    Args:
        name: what the configuration calls it.
        fail: None works. `refused`: nothing was sent. `failed`: the engine says no. `blocked`: its moderation does.
            `unknown`: sent, no answer. `slow`: 30 s late. `short`: one picture too few. `surplus`: one too many.
            `garbage`: no picture in the answer. `truncated`: half a file. `crash-before-send`, `crash-after-send`:
            the process is killed (`kill -9`) before or after the work is done and billed.
        fail_first: only so many calls fail, the others work; None: all of them.
        delay: seconds a call takes more.
        cost: price of one picture as a decimal text, None: it names none.
        currency: of `cost`.
        ledger: a file to which one JSON line is written for each call that would be billed: outlives a crash.
    """

    __test__ = False  # pytest: the name begins with Test, it is no test
    kind: ClassVar[str] = "test"
    is_test: ClassVar[bool] = True

    def __init__(
        self,
        name: str = "test",
        *,
        fail: Fault | None = None,
        fail_first: Annotated[int, Field(ge=0)] | None = None,
        delay: Annotated[float, Field(ge=0)] = 0.0,
        cost: Annotated[Decimal, Field(ge=0)] | None = None,
        currency: str = "USD",
        ledger: Path | None = None,
    ) -> None:
        self.name = name
        self.calls = 0
        self.billed = 0
        self._fail: Fault | None = fail
        self._fail_first = fail_first
        self._delay = delay
        self._cost = cost
        self._currency = currency
        self._ledger = ledger

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
            remedy = f"It has only {MODEL.name}."
            raise ModelUnavailable(f"{self.name} has no model {model!r}.", remedy=remedy, provider=self.name)

    async def capabilities(self, model: str | None = None) -> Capabilities:
        """Say what the patterns follow: everything a local engine takes, so that it can stand in for one.

        Raises:
            ModelUnavailable: `model` is another than `limner-test`.
        """
        self._check_model(model)
        cost = (
            None if self._cost is None else CostRule(unit="image", rates={"image": self._cost}, currency=self._currency)
        )
        return Capabilities(
            tasks=("txt2img",),
            kind=self.kind,
            size=SizeRule(maximum=2048, native=MODEL.native_size),
            max_n=100,
            seed=True,
            negative_prompt=True,
            num_inference_steps=IntRange(minimum=1, maximum=1000),
            guidance_scale=DecimalRange(minimum=Decimal(0), maximum=Decimal(100)),
            schedulers=scheduler_names(),
            scheduler_aliases=scheduler_aliases(),
            output_formats=("png", "jpeg", "webp"),
            streaming=True,
            cost=cost,
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
            UnsupportedRequest: a size above 2048 pixels, another task, an unknown scheduler.
            ProviderError: the fault that was switched on.
        """
        del end_user
        started = time.perf_counter_ns()
        require(await self.capabilities(model), request, provider=self.name)
        chosen = check_seeds(request, seeds)
        self.calls += 1
        fault = self._fail if self._fail_first is None or self.calls <= self._fail_first else None
        self._fail_unsent(fault)
        delay = _SLOW if fault == "slow" and not self._delay else self._delay
        await within(timeout, anyio.sleep(delay), provider=self.name)
        self._bill(request)
        self._fail_sent(fault)
        warnings = _tell(request, on_event)
        images = [self._draw(request, seed) for seed in chosen]
        return ProviderAnswer(
            images=tuple(_spoil(images, fault)),
            model=MODEL,
            parameters=_parameters(request),
            cost=None if self._cost is None else Cost(amount=self._cost * request.n, currency=self._currency),
            timings={"generate": (time.perf_counter_ns() - started) // 1000},
            request_id=f"test-{os.getpid()}-{self.calls}",
            warnings=warnings,
        )

    async def close(self) -> None:
        """Nothing is held."""

    def _draw(self, request: ImageRequest, seed: int) -> ProducedImage:
        width, height = request.width or 64, request.height or 64
        pixels = draw(_key(request), seed, width, height)
        pixels.flags.writeable = False
        data = encode(pixels, request.output_format, request.output_compression)
        mime = MIME[request.output_format]
        return ProducedImage(data=data, mime=mime, width=width, height=height, seed=seed, pixels=pixels)

    def _bill(self, request: ImageRequest) -> None:
        """Count the call as done and paid; a ledger file keeps the count when the process is killed."""
        self.billed += 1
        if self._ledger is not None:
            with self._ledger.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"provider": self.name, "pid": os.getpid(), "n": request.n}) + "\n")

    def _fail_unsent(self, fault: Fault | None) -> None:
        if fault == "refused":
            message = f"{self.name} refused the connection; nothing was sent."
            raise EngineUnavailable(message, remedy="Try again.", provider=self.name)
        if fault == "crash-before-send":
            _kill_this_process()

    def _fail_sent(self, fault: Fault | None) -> None:
        if fault == "crash-after-send":
            _kill_this_process()
        if fault == "failed":
            raise GenerationFailed(f"{self.name} could not draw.", remedy="Ask another provider.", provider=self.name)
        if fault == "blocked":
            message = f"{self.name}'s own moderation refused the picture."
            raise ModerationBlocked(message, stage="output", categories=("test",), provider=self.name)
        if fault == "unknown":
            message = f"{self.name} took the request and never answered."
            raise OutcomeUnknown(message, remedy="Do not repeat it: it may have been billed.", provider=self.name)


def _tell(request: ImageRequest, on_event: OnEvent | None) -> tuple[str, ...]:
    """Report every step; a listener that raises costs no picture, is not asked again, and that is said."""
    if on_event is None:
        return ()
    steps = request.num_inference_steps or _STEPS
    try:
        for done in range(steps * request.n):
            on_event(Progress(step=done % steps + 1, steps=steps, image=done // steps + 1, images=request.n))
    except Exception as error:  # noqa: BLE001 - the listener is foreign code
        return (f"on_event raised {type(error).__name__} and was not called again",)
    return ()


def _key(request: ImageRequest) -> str:
    """Put together everything that steers a picture besides seed and size."""
    steering = {"prompt", "negative_prompt", "num_inference_steps", "guidance_scale", "scheduler"}
    return json.dumps(request.model_dump(include=steering, exclude_none=True), sort_keys=True)


def _parameters(request: ImageRequest) -> dict[str, str]:
    parameters = {
        "size": request.size or "64x64",
        "num_inference_steps": str(request.num_inference_steps or _STEPS),
        "output_format": request.output_format,
    }
    if request.guidance_scale is not None:
        parameters["guidance_scale"] = canonical_decimal(request.guidance_scale)
    if request.scheduler is not None:
        parameters["scheduler"] = request.scheduler
    return parameters


def _spoil(images: list[ProducedImage], fault: Fault | None) -> list[ProducedImage]:
    """Break a good answer in the way that was switched on."""
    if fault == "short":
        return images[:-1]
    if fault == "surplus":
        return [*images, images[-1]]
    if fault == "garbage":
        return [_with_data(image, b"<html>502 Bad Gateway</html>") for image in images]
    if fault == "truncated":
        return [_with_data(image, image.data[: len(image.data) // 2]) for image in images]
    return images


def _with_data(image: ProducedImage, data: bytes) -> ProducedImage:
    return ProducedImage(data=data, mime=image.mime, width=image.width, height=image.height, seed=image.seed)


def _kill_this_process() -> NoReturn:
    if hasattr(signal, "SIGKILL"):
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(137)
