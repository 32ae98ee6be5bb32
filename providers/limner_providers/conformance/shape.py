"""Checks of what a provider is, before it makes anything: its Protocol, its models, its capabilities, its weight."""

from __future__ import annotations

import importlib.util
import inspect
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from limner_providers.base import Health, ModelIdentity, Provider
from limner_providers.capabilities import Capabilities
from limner_providers.conformance.hooks import Hooks
from limner_providers.conformance.watching import play
from limner_providers.errors import ModelUnavailable
from limner_providers.types import TASKS

_UNKNOWN = "no-such-model-zqxjv"
_KEYWORDS = ("model", "seeds", "timeout", "end_user", "on_event")


class Shape(Hooks):
    """What can be seen without a request."""

    def test_it_fulfils_the_protocol(self, provider: Provider) -> None:
        """Every attribute and method is there, under its name and with its parameters."""
        assert isinstance(provider, Provider)
        assert isinstance(provider.name, str)
        assert provider.name
        assert isinstance(provider.kind, str)
        assert provider.kind
        assert isinstance(provider.is_test, bool)
        parameters = inspect.signature(provider.generate).parameters
        assert [name for name in _KEYWORDS if name not in parameters] == []
        assert [name for name in _KEYWORDS if parameters[name].kind is not inspect.Parameter.KEYWORD_ONLY] == []
        play(provider, provider.close)

    def test_it_names_its_models(self, provider: Provider) -> None:
        """The first one is the default; each can be identified by its name, and has capabilities."""

        async def work() -> None:
            models = await provider.models()
            assert models, "models() is empty."
            assert all(isinstance(model, ModelIdentity) for model in models)
            names = [model.name for model in models]
            assert len(set(names)) == len(names), f"A name comes twice: {names}."
            assert (await provider.identify()).name == names[0], "The default model is not the first one."
            for name in names[:20]:
                assert (await provider.identify(name)).name == name
                assert isinstance(await provider.capabilities(name), Capabilities)

        play(provider, work)

    def test_a_model_that_nobody_knows(self, provider: Provider) -> None:
        """It is refused as not there, or used with a mark that its facts are not known: never taken for another."""

        async def work() -> None:
            try:
                identity, able = await provider.identify(_UNKNOWN), await provider.capabilities(_UNKNOWN)
            except ModelUnavailable as error:
                named, remedy = error.provider, error.remedy
            else:
                assert identity.name == _UNKNOWN, f"It took {_UNKNOWN} for {identity.name}."
                assert able.uncatalogued, "It claims to know the facts of a model that does not exist."
                return
            assert named == provider.name, "The error does not name the provider."
            assert remedy, "The error has no remedy."

        play(provider, work)

    def test_its_capabilities_hold_together(self, provider: Provider) -> None:
        """They name this kind, a source, at least one task, and do not contradict themselves."""

        async def work() -> None:
            able = await provider.capabilities(self.model)
            assert able == await provider.capabilities(self.model), "Asked twice, it says two things."
            assert able.kind == provider.kind, f"kind is {able.kind!r}, the provider's {provider.kind!r}."
            assert able == Capabilities.model_validate_json(able.model_dump_json()), "They do not survive JSON."
            assert list(_contradictions(able)) == []

        play(provider, work)

    def test_it_can_be_asked_without_a_network(self, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
        """`example_settings` are enough to build it and to hear what it can do: lists and tables are made so."""
        made: Any = type(provider)
        settings = getattr(made, "example_settings", {})
        play(provider, provider.close)
        monkeypatch.setattr(socket.socket, "connect", _no_network)
        built = made("example", **settings)

        async def work() -> None:
            assert built.name == "example"
            for model in await built.models():
                assert (await built.capabilities(model.name)).tasks

        play(built, work)

    def test_it_shows_no_secret(self, provider: Provider) -> None:
        """Neither its representation nor its text holds the key."""
        assert self.secret not in f"{provider!r} {provider}"
        play(provider, provider.close)

    def test_importing_it_is_light(self, provider: Provider) -> None:
        """Its module loads no engine and no image library; they come in where it starts to work."""
        play(provider, provider.close)
        name = _importable(type(provider))
        if name is None:
            pytest.skip("The provider's module cannot be imported by its name.")
        code = f"import importlib, sys; importlib.import_module({name!r}); print(*sys.modules)"
        child = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )
        loaded = set(child.stdout.split())
        assert [module for module in self.heavy if module in loaded] == []

    def test_a_look_at_it_costs_nothing(self, provider: Provider) -> None:
        """`check()` tells whether the engine is there, and no paid call arrives."""

        async def work() -> None:
            before = self.calls()
            health = await provider.check()
            assert isinstance(health, Health)
            assert health.latency is None or health.latency >= 0
            assert self.calls() == before, "check() made a paid call."

        play(provider, work)


def _no_network(*_: object) -> NoReturn:
    raise AssertionError("It went to the network, only to say what it can do.")


def _importable(made: type) -> str | None:
    """Give the module of the class, or of the nearest one it comes from, that can be imported by its name."""
    for one in made.__mro__[:-1]:
        name = one.__module__
        try:
            if importlib.util.find_spec(name) is not None and getattr(sys.modules[name], "__spec__", None):
                return name
        except (ImportError, ValueError):
            continue
    return None


def _contradictions(able: Capabilities) -> Iterator[str]:
    if not able.tasks or [task for task in able.tasks if task not in TASKS]:
        yield f"tasks={able.tasks}"
    if not able.source.strip():
        yield "it names no source"
    if not able.output_formats:
        yield "it answers in no format"
    if ("inpaint" in able.tasks) != (able.mask is not None):
        yield f"inpaint needs a mask: tasks={able.tasks}, mask={able.mask}"
    if [task for task in able.needs_origin if task not in able.tasks]:
        yield f"needs_origin={able.needs_origin} names a task that it does not carry out"
    if able.scale is not None and "upscale" not in able.tasks:
        yield "it takes a scale, and does not upscale"
    if able.cost is not None and not able.cost_known:
        yield "its cost is given, and said not to be known"
    native = able.size.native
    if native is not None and able.size.exact:
        width, height = (int(side) for side in native.split("x"))
        if problem := able.size.problem(width, height):
            yield f"its native size {native} cannot be made: {problem}"
