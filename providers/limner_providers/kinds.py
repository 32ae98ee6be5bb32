"""What each kind of engine can do, told without contacting any: for lists, for the README's table, for `able`.

A kind's class says by `example_settings` how it can be built only to be asked; its capabilities are data.
"""

from __future__ import annotations

from dataclasses import dataclass

from limner_providers.capabilities import Capabilities
from limner_providers.errors import ProviderError
from limner_providers.registry import make_provider, provider_class, provider_kinds
from limner_providers.types import TASKS, Task


@dataclass(frozen=True, kw_only=True)
class KindSummary:
    """One kind of engine.

    Attributes:
        kind: what a configuration calls it.
        models: names of the models that it knows without asking; an engine of the network may have others.
        capabilities: what it can do with each of them, by name; empty where it cannot be loaded here.
        missing: why it cannot be loaded here, None: it can.
        is_test: its pictures are not to be taken for an engine's.
    """

    kind: str
    models: tuple[str, ...] = ()
    capabilities: dict[str, Capabilities]
    missing: str | None = None
    is_test: bool = False

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Tasks that at least one of its models carries out, in the order of the words."""
        able = {task for one in self.capabilities.values() for task in one.tasks}
        return tuple(task for task in TASKS if task in able)


async def summarise(kind: str) -> KindSummary:
    """Say what a kind can do, from its own data.

    Raises:
        ConfigurationInvalid: there is no such kind.
    """
    try:
        made = provider_class(kind)
        provider = make_provider(kind, kind, getattr(made, "example_settings", {}))
        names = tuple(model.name for model in await provider.models())
        able = {name: await provider.capabilities(name) for name in names}
        await provider.close()
    except ProviderError as error:
        if kind not in provider_kinds():
            raise
        return KindSummary(kind=kind, capabilities={}, missing=str(error))
    is_test = bool(getattr(made, "is_test", False))
    return KindSummary(kind=kind, models=names, capabilities=able, is_test=is_test)


async def summarise_all() -> list[KindSummary]:
    """Say it of every kind, in the order of their names."""
    return [await summarise(kind) for kind in provider_kinds()]
