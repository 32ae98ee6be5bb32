"""Bad providers of an engine over the network: Sketch of the manual, each with one fault that the kit has to find.

`sketch_provider.py` and `test_sketch.py` are written from `docs/writing-a-provider.md` beside this file by
`test_kit_finds_mutants.py`, which runs it and looks at what failed.
"""

# ruff: noqa: D102 - a mutant is described by its class

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from typing import Any, ClassVar

import httpx
import pytest
from sketch_provider import CAPABILITIES, MODEL, SketchProvider  # type: ignore[import-not-found,unused-ignore]
from test_sketch import TestSketch as Sketch  # type: ignore[import-not-found,unused-ignore]

from limner_providers import ImageRequest, Provider, ProviderAnswer
from limner_providers.base import OnEvent
from limner_providers.conformance import StandIn
from limner_providers.errors import (
    EngineUnavailable,
    GenerationFailed,
    ModerationBlocked,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
)

Sketch.__test__ = False


class Mutant(SketchProvider):  # type: ignore[misc,unused-ignore]
    """Sound as it is; each child overrides `generate` or `failed`."""

    def __init__(self, name: str = "sketch", *, base_url: str, api_key: str) -> None:
        super().__init__(name, base_url=base_url, api_key=api_key)
        self.address, self.key = base_url, api_key

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
        """Turn errors by `failed`."""
        error: ProviderError
        try:
            answer: ProviderAnswer = await super().generate(
                request, model=model, seeds=seeds, timeout=timeout, end_user=end_user, on_event=on_event
            )
        except ProviderError as raised:
            error = raised
        else:
            return answer
        raise self.failed(error)

    def failed(self, error: ProviderError) -> Exception:
        """Give what is really raised."""
        return error


class RetriesItself(Mutant):
    """Asks again when the engine did not answer well: pays twice."""

    async def generate(self, request: ImageRequest, **rest: Any) -> ProviderAnswer:
        try:
            return await super().generate(request, **rest)
        except (RateLimited, OutcomeUnknown, GenerationFailed):
            return await super().generate(request, **rest)


class LeaksKeyInMessage(Mutant):
    """Shows the key in an error's text."""

    def failed(self, error: ProviderError) -> Exception:
        return type(error)(f"{error} (key {self.key})", remedy=error.remedy, provider=self.name)


class LeaksKeyInCause(Mutant):
    """Lets a library's error with the key hang on its own, unseen in a traceback."""

    def failed(self, error: ProviderError) -> Exception:
        error.__context__ = ValueError({"authorization": f"Bearer {self.key}"})
        error.__suppress_context__ = True
        return error


class LeaksKeyInLog(Mutant):
    """Logs its headers for whoever looks for faults."""

    def failed(self, error: ProviderError) -> Exception:
        logging.getLogger("sketch").debug("call failed, headers %s", {"authorization": self.key})
        return error


class LeaksKeyInRepr(Mutant):
    """Shows the key where it is represented."""

    def __repr__(self) -> str:
        return f"Sketch({self.address!r}, {self.key!r})"


class LeaksPrompt(Mutant):
    """Repeats the prompt in an error."""

    async def generate(self, request: ImageRequest, **rest: Any) -> ProviderAnswer:
        try:
            return await super().generate(request, **rest)
        except ProviderError as error:
            error.args = (f"{error} Prompt: {request.prompt}",)
            raise


class LosesRequestId(Mutant):
    """Forgets the engine's id of the call."""

    def failed(self, error: ProviderError) -> Exception:
        error.request_id = None
        return error


class LosesRetryAfter(Mutant):
    """Does not read when it may come again."""

    def failed(self, error: ProviderError) -> Exception:
        if isinstance(error, RateLimited):
            error.retry_after = None
        return error


class MakesUpRetryAfter(Mutant):
    """Says a time that the engine never named."""

    def failed(self, error: ProviderError) -> Exception:
        if isinstance(error, RateLimited):
            error.retry_after = error.retry_after or 1.0
        return error


class TakesLostForUnavailable(Mutant):
    """Says that nothing was done when nobody knows: pays twice."""

    def failed(self, error: ProviderError) -> Exception:
        if isinstance(error, OutcomeUnknown):
            return EngineUnavailable("It did not answer.", remedy="Ask again.", provider=self.name)
        return error


class DeniesTheBill(Mutant):
    """Says of an answer without a picture that it costs nothing."""

    def failed(self, error: ProviderError) -> Exception:
        if isinstance(error, GenerationFailed):
            error.may_have_billed = False
        return error


class ForgetsCategories(Mutant):
    """Loses why the engine refused."""

    def failed(self, error: ProviderError) -> Exception:
        if isinstance(error, ModerationBlocked):
            error.categories = ()
        return error


class TakesBlockForFailure(Mutant):
    """Takes a moderation's refusal for a failure, so that somebody else would be asked."""

    def failed(self, error: ProviderError) -> Exception:
        if isinstance(error, ModerationBlocked):
            return GenerationFailed("It failed.", remedy="Ask another.", provider=self.name)
        return error


class LetsLibraryErrorsOut(Mutant):
    """Raises what its library raises."""

    def failed(self, error: ProviderError) -> Exception:
        return httpx.ReadError("read failed") if isinstance(error, OutcomeUnknown) else error


class NoRemedy(Mutant):
    """Says what is wrong and not what to do."""

    def failed(self, error: ProviderError) -> Exception:
        error.remedy = ""
        return error


class DoesNotPickle(Mutant):
    """Hangs something on its error that cannot go to another process."""

    def failed(self, error: ProviderError) -> Exception:
        error.connection = lambda: None  # type: ignore[attr-defined,unused-ignore]
        return error


class EmptyIsSuccess(Mutant):
    """Answers without pictures, and calls that a success."""

    async def generate(self, request: ImageRequest, **rest: Any) -> ProviderAnswer:
        try:
            return await super().generate(request, **rest)
        except GenerationFailed:
            return ProviderAnswer(images=(), model=MODEL)


class DropsSize(Mutant):
    """Says that it takes any size, and asks for the native one."""

    async def generate(self, request: ImageRequest, **rest: Any) -> ProviderAnswer:
        fields = {name: getattr(request, name) for name in type(request).model_fields} | {"size": "512x512"}
        return await super().generate(ImageRequest.build(**fields), **rest)


class ChecksAfterwards(Mutant):
    """Sends a request before it looks whether it can be honoured."""

    async def generate(self, request: ImageRequest, **rest: Any) -> ProviderAnswer:
        await self._http.send("POST", "/draw", json={"prompt": "x", "size": "64x64", "seed": 1}, idempotent=False)
        return await super().generate(request, **rest)


class LeavesSocket(Mutant):
    """Opens a connection that it never closes."""

    kept: ClassVar[list[socket.socket]] = []

    async def generate(self, request: ImageRequest, **rest: Any) -> ProviderAnswer:
        host, _, port = self.address.removeprefix("http://").partition(":")
        self.kept.append(socket.create_connection((host, int(port))))
        return await super().generate(request, **rest)


class ShieldsTheCall(Mutant):
    """Goes on with the call when it was cancelled, so that the engine works for nobody."""

    async def generate(self, request: ImageRequest, **rest: Any) -> ProviderAnswer:
        self.task = asyncio.ensure_future(super().generate(request, **rest))
        return await asyncio.shield(self.task)


class AsksTheNetworkForCapabilities(Mutant):
    """Cannot say what it can do without its engine."""

    async def capabilities(self, model: str | None = None) -> Any:
        (await self._http.send("GET", "/health", idempotent=True)).raise_for_status()
        return CAPABILITIES


MUTANTS: list[type[Mutant]] = [
    Mutant,
    RetriesItself, LeaksKeyInMessage, LeaksKeyInCause, LeaksKeyInLog, LeaksKeyInRepr, LeaksPrompt, LosesRequestId,
    LosesRetryAfter, MakesUpRetryAfter, TakesLostForUnavailable, DeniesTheBill, ForgetsCategories,
    TakesBlockForFailure, LetsLibraryErrorsOut, NoRemedy, DoesNotPickle, EmptyIsSuccess, DropsSize, ChecksAfterwards,
    LeavesSocket, ShieldsTheCall, AsksTheNetworkForCapabilities,
]  # fmt: skip


class Network(Sketch):  # type: ignore[misc,unused-ignore]
    """What the mutants share."""

    __test__ = False
    mutant: ClassVar[type[Mutant]] = Mutant

    @pytest.fixture
    def provider(self, stand_in: StandIn) -> Provider:
        """Make the mutant."""
        return self.mutant("sketch", base_url=stand_in.url, api_key=self.secret)


def conformance(mutant: type[Mutant]) -> type[Network]:
    """Make the test class of a mutant."""
    fields = {"mutant": mutant, "__test__": True, "__module__": __name__}
    return type(f"Test{mutant.__name__}", (Network,), fields)


globals().update({f"Test{mutant.__name__}": conformance(mutant) for mutant in MUTANTS})
