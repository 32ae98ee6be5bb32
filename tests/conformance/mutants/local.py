"""Bad engines on this machine: the test provider, each with one fault that the kit has to find.

Not collected with the other tests: `test_kit_finds_mutants.py` runs this file and looks at what failed.
"""

# ruff: noqa: D102 - a mutant is described by its class

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from limner_providers import ImageRequest, InputImage, ProducedImage, Provider, ProviderAnswer
from limner_providers._encode import encode
from limner_providers.base import OnEvent
from limner_providers.capabilities import Capabilities, IntRange
from limner_providers.conformance import ProviderConformance
from limner_providers.errors import UnsupportedRequest
from limner_providers.test import TestProvider


class Mutant(TestProvider):
    """Sound as it is; each child overrides `changed_request`, `changed_answer` or `generate`."""

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
        """Change the request before, and the answer afterwards."""
        answer = await super().generate(
            self.changed_request(request),
            model=model,
            seeds=self.changed_seeds(list(seeds)),
            timeout=timeout,
            end_user=end_user,
            on_event=on_event,
        )
        return self.changed_answer(request, answer)

    def changed_request(self, request: ImageRequest) -> ImageRequest:
        """Give what is really carried out."""
        return request

    def changed_seeds(self, seeds: list[int]) -> list[int]:
        """Give the seeds that are really used."""
        return seeds

    def changed_answer(self, request: ImageRequest, answer: ProviderAnswer) -> ProviderAnswer:
        """Give what is really answered."""
        return answer

    def with_images(self, answer: ProviderAnswer, *images: ProducedImage) -> ProviderAnswer:
        """Replace the pictures."""
        return dataclasses.replace(answer, images=images)


def without(request: ImageRequest, **changes: Any) -> ImageRequest:
    """Make the request with some fields changed."""
    fields = {name: getattr(request, name) for name in type(request).model_fields}
    return ImageRequest.build(**{**fields, **changes})


class Local(ProviderConformance):
    """What the mutants share."""

    __test__ = False
    network = False
    heavy = ()  # this file itself imports numpy
    mutant: ClassVar[type[TestProvider]] = Mutant

    @pytest.fixture
    def provider(self) -> Provider:
        """Make the mutant."""
        self.made = self.mutant("fake")
        return self.made

    def slow_down(self) -> Mapping[str, Any]:
        """Let the next call take 30 seconds."""
        self.made._fail, self.made._fail_first = "slow", self.made.calls + 1
        return {}


class DropsNegativePrompt(Mutant):
    """Takes a negative prompt and forgets it."""

    def changed_request(self, request: ImageRequest) -> ImageRequest:
        return without(request, negative_prompt=None)


class DropsQuality(Mutant):
    """Takes a quality and forgets it."""

    def changed_request(self, request: ImageRequest) -> ImageRequest:
        return without(request, quality=None)


class DropsReferences(Mutant):
    """Looks at the first reference only."""

    def changed_request(self, request: ImageRequest) -> ImageRequest:
        return without(request, references=request.references[:1])


class DropsOption(Mutant):
    """Takes an option of its own and forgets it."""

    def changed_request(self, request: ImageRequest) -> ImageRequest:
        return without(request, extra={})


class ClampsSteps(Mutant):
    """Says that it takes 10 steps at most, and makes 10 where more are asked for."""

    async def capabilities(self, model: str | None = None) -> Capabilities:
        able = await super().capabilities(model)
        return able.model_copy(update={"num_inference_steps": IntRange(minimum=1, maximum=10)})

    def changed_request(self, request: ImageRequest) -> ImageRequest:
        return without(request, num_inference_steps=min(request.num_inference_steps or 4, 10))


class SnapsSize(Mutant):
    """Makes another size than was asked for, and says nothing."""

    def changed_request(self, request: ImageRequest) -> ImageRequest:
        if request.width is None or request.height is None:
            return request
        return without(request, size=(max(request.width // 64 * 64, 64), 64))


class GivesFewer(Mutant):
    """Loses the last of several pictures."""

    def changed_answer(self, request: ImageRequest, answer: ProviderAnswer) -> ProviderAnswer:
        return self.with_images(answer, *(answer.images[:-1] or answer.images))


class GivesMore(Mutant):
    """Gives one picture more than its capabilities promise."""

    def changed_answer(self, request: ImageRequest, answer: ProviderAnswer) -> ProviderAnswer:
        return self.with_images(answer, *answer.images, answer.images[-1])


class IgnoresSeed(Mutant):
    """Draws with a seed of its own, and says the one that was given."""

    def changed_seeds(self, seeds: list[int]) -> list[int]:
        return [0] * len(seeds)

    def changed_answer(self, request: ImageRequest, answer: ProviderAnswer) -> ProviderAnswer:
        told = [dataclasses.replace(image, seed=11 + i) for i, image in enumerate(answer.images)]
        return self.with_images(answer, *told)


class BatchDiffers(Mutant):
    """A picture of a batch is another than the one made alone."""

    def changed_seeds(self, seeds: list[int]) -> list[int]:
        return seeds if len(seeds) == 1 else [seed + 1 for seed in seeds]

    def changed_answer(self, request: ImageRequest, answer: ProviderAnswer) -> ProviderAnswer:
        shift = 0 if request.n == 1 else 1
        told = [dataclasses.replace(image, seed=(image.seed or 0) - shift) for image in answer.images]
        return self.with_images(answer, *told)


class LiesAboutFormat(Mutant):
    """Calls a JPEG a PNG."""

    def changed_answer(self, request: ImageRequest, answer: ProviderAnswer) -> ProviderAnswer:
        (first, *rest) = answer.images
        pixels = first.pixels if first.pixels is not None else np.zeros((first.height, first.width, 3), np.uint8)
        return self.with_images(answer, dataclasses.replace(first, data=encode(pixels, "jpeg")), *rest)


class TurnsMaskRound(Mutant):
    """Takes black for what changes."""

    def changed_request(self, request: ImageRequest) -> ImageRequest:
        if request.mask is None:
            return request
        return without(request, mask=InputImage.of(255 - request.mask.pixels("L")))


class MirrorsMask(Mutant):
    """Turns the mask upside down."""

    def changed_request(self, request: ImageRequest) -> ImageRequest:
        if request.mask is None:
            return request
        return without(request, mask=InputImage.of(np.ascontiguousarray(request.mask.pixels("L")[::-1])))


class MisplacesOriginal(Mutant):
    """Gives an outpaint's picture mirrored."""

    def changed_answer(self, request: ImageRequest, answer: ProviderAnswer) -> ProviderAnswer:
        if request.task != "outpaint":
            return answer
        flipped = [np.ascontiguousarray(image.pixels[:, ::-1]) for image in answer.images if image.pixels is not None]
        told = [
            dataclasses.replace(image, data=encode(pixels, request.output_format), pixels=None)
            for image, pixels in zip(answer.images, flipped, strict=True)
        ]
        return self.with_images(answer, *told)


class PromisesTooMuch(Mutant):
    """Declares a task, and refuses it when it is asked."""

    def changed_request(self, request: ImageRequest) -> ImageRequest:
        if request.task == "img2img":
            raise UnsupportedRequest("task", request.task, why="it is not built yet.", provider=self.name)
        return request


class SwallowsCancellation(Mutant):
    """Goes on when it is cancelled."""

    async def generate(self, request: ImageRequest, **rest: Any) -> ProviderAnswer:
        try:
            return await super().generate(request, **rest)
        except asyncio.CancelledError:
            return await super().generate(request, **rest)


class ForgetsTimeout(Mutant):
    """Raises Python's own error when time is up."""

    async def generate(self, request: ImageRequest, **rest: Any) -> ProviderAnswer:
        async with asyncio.timeout(rest.pop("timeout", None)):
            return await super().generate(request, **rest)


class LeavesTask(Mutant):
    """Leaves a task running when it is closed."""

    async def generate(self, request: ImageRequest, **rest: Any) -> ProviderAnswer:
        self.kept = asyncio.ensure_future(asyncio.sleep(3600))
        return await super().generate(request, **rest)


class LeavesThread(Mutant):
    """Leaves a thread running when it is closed."""

    async def generate(self, request: ImageRequest, **rest: Any) -> ProviderAnswer:
        threading.Thread(target=threading.Event().wait, args=(20,), daemon=True).start()
        return await super().generate(request, **rest)


class OneLoopOnly(Mutant):
    """Keeps something of the first event loop."""

    loop: asyncio.AbstractEventLoop | None = None

    async def generate(self, request: ImageRequest, **rest: Any) -> ProviderAnswer:
        self.loop = self.loop or asyncio.get_running_loop()
        await asyncio.wait_for(self.loop.create_future() if self.loop.is_closed() else asyncio.sleep(0), 1)
        return await super().generate(request, **rest)


class MixesUp(Mutant):
    """Keeps the request in itself while it waits."""

    async def generate(self, request: ImageRequest, **rest: Any) -> ProviderAnswer:
        self.request = request
        await asyncio.sleep(0.01)
        return await super().generate(self.request, **rest)


class BreaksWithListener(Mutant):
    """Lets a broken listener break the picture."""

    async def generate(self, request: ImageRequest, **rest: Any) -> ProviderAnswer:
        if rest.get("on_event"):
            rest["on_event"](None)
        return await super().generate(request, **rest)


MUTANTS: list[type[Mutant]] = [
    Mutant,
    DropsNegativePrompt, DropsQuality, DropsReferences, DropsOption, ClampsSteps, SnapsSize, GivesFewer, GivesMore,
    IgnoresSeed, BatchDiffers, LiesAboutFormat, TurnsMaskRound, MirrorsMask, MisplacesOriginal, PromisesTooMuch,
    SwallowsCancellation, ForgetsTimeout, LeavesTask, LeavesThread, OneLoopOnly, MixesUp, BreaksWithListener,
]  # fmt: skip


def conformance(mutant: type[Mutant]) -> type[Local]:
    """Make the test class of a mutant."""
    fields = {"mutant": mutant, "__test__": True, "__module__": __name__}
    return type(f"Test{mutant.__name__}", (Local,), fields)


globals().update({f"Test{mutant.__name__}": conformance(mutant) for mutant in MUTANTS})
