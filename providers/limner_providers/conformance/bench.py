"""A provider on the bench: requests that fit it, calls to it, and what is seen at its engine meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from limner_providers.base import OnEvent, Provider, ProviderAnswer
from limner_providers.capabilities import Capabilities
from limner_providers.conformance.hooks import Hooks
from limner_providers.conformance.pictures import mask, sample
from limner_providers.errors import ProviderError, UnsupportedRequest
from limner_providers.rules import SizeRule
from limner_providers.types import ImageRequest

PROMPT = "a red apple on a plate, zqxjvword"
"""What requests ask for; its last word is looked for where no prompt may be."""

SEED = 11
MARGINS = {"left": 16, "top": 8, "right": 0, "bottom": 24}
Fields = Mapping[str, Any]


@dataclass
class Bench:
    """A provider, its hooks and its capabilities.

    Attributes:
        hooks: the test class.
        provider: what is tested.
        able: its capabilities with the hooks' model.
    """

    hooks: Hooks
    provider: Provider
    able: Capabilities

    @classmethod
    async def of(cls, hooks: Hooks, provider: Provider) -> Bench:
        """Ask the provider what it can do."""
        return cls(hooks, provider, await provider.capabilities(hooks.model))

    def first_task(self) -> str:
        """Give the simplest task that it carries out."""
        return "txt2img" if "txt2img" in self.able.tasks else self.able.tasks[0]

    async def request(self, task: str | None = None, **fields: Any) -> ImageRequest:
        """Make a small request that this provider can honour, but for what `fields` ask."""
        task = task or self.first_task()
        prompt = "" if task in self.hooks.promptless else PROMPT
        base: dict[str, Any] = {"prompt": prompt, "task": task, "output_format": self.able.output_formats[0]}
        if not {"size", "aspect_ratio"} & fields.keys() and task == "txt2img":
            base["size"] = small_size(self.able.size)
        return ImageRequest.build(**{**base, **await self._needed(task, fields), **self.hooks.quick, **fields})

    async def _needed(self, task: str, fields: Fields) -> dict[str, Any]:
        if task == "txt2img" or {"image", "origin"} & fields.keys():
            return {}
        width, height = self.hooks.picture_size
        needed: dict[str, Any] = {}
        if task in self.able.needs_origin:
            made = (await self.make(await self.request("txt2img"))).images[0]
            assert made.job, f"{task} needs a picture of its own by its job, and its pictures name none."
            needed["origin"] = {"provider": self.provider.name, "job": made.job, "index": made.job_index}
        else:
            needed["image"] = sample(width, height)
        if task == "inpaint":
            needed["mask"] = mask(width, height)
        if task == "outpaint":
            needed["margins"] = MARGINS
        return needed

    async def make(
        self,
        request: ImageRequest,
        seeds: Sequence[int] | None = None,
        *,
        timeout: float | None = None,
        on_event: OnEvent | None = None,
    ) -> ProviderAnswer:
        """Let the provider carry it out."""
        chosen = range(SEED, SEED + request.n) if seeds is None else seeds
        return await self.provider.generate(
            request, model=self.hooks.model, seeds=list(chosen), timeout=timeout, on_event=on_event
        )

    async def seen(self, request: ImageRequest, seeds: Sequence[int] | None = None) -> tuple[object, tuple[bytes, ...]]:
        """Give what arrived at the engine and the pictures' files: two requests that differ have to differ here."""
        answer = await self.make(request, seeds)
        return self.hooks.arrived(), tuple(image.data for image in answer.images)

    async def refused(self, request: ImageRequest) -> None:
        """See that the provider itself refuses what its capabilities say it cannot do, before anything is sent."""
        fields = [one.field for one in self.able.unmet(request)]
        if request.prompt and request.task in self.hooks.promptless:
            fields.append("prompt")
        assert fields, f"The kit asked for something that the capabilities allow: {request!r}"
        before = self.hooks.calls()
        error = await self.error_of(lambda: self.make(request))
        assert isinstance(error, UnsupportedRequest), f"{fields[0]}: expected UnsupportedRequest, got {error!r}."
        assert error.field in fields, f"It refused {error.field}; what it cannot do is {', '.join(fields)}."
        assert error.provider == self.provider.name, "The error does not name the provider."
        assert not error.may_have_billed, "Nothing was sent, and the error says that it may be billed."
        assert PROMPT.rsplit(maxsplit=1)[-1] not in str(error), "The prompt's text is in the message."
        assert self.hooks.calls() == before, f"{fields[0]}: a paid call left before it was refused."

    async def error_of(self, work: Callable[[], Any]) -> ProviderError:
        """Await `work()` and give the `ProviderError` that it raises; anything else is a failure."""
        try:
            answer = await work()
        except ProviderError as error:
            return error
        except Exception as error:
            raise AssertionError(f"Expected a ProviderError, got {type(error).__name__}.") from error
        made = len(getattr(answer, "images", ()))
        pytest.fail(f"Expected a ProviderError, and it answered with {made} pictures.")


def small_size(rule: SizeRule) -> str | None:
    """Give a size near 64 pixels a side that can be made, the native one where there is none; None: leave it out."""
    if not rule.exact:
        return None
    side = max(64, rule.minimum)
    near = rule.nearest(side, side)
    return near[0] if near else rule.native


def sizes_to_try(rule: SizeRule) -> list[str]:
    """Give a few sizes that can be made: square, wide, and one whose sides are no round numbers."""
    if rule.fixed:
        return list(rule.fixed[-2:])
    step = rule.multiple_of
    native = 1024 if rule.native is None else int(rule.native.partition("x")[0])
    for side in (max(64, rule.minimum), native):
        near = [rule.nearest(*pair) for pair in ((side, side), (2 * side, side), (side + step, side + 3 * step))]
        if found := list(dict.fromkeys(pair[0] for pair in near if pair)):
            return found
    return [] if rule.native is None else [rule.native]
