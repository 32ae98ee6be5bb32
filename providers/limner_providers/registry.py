"""From a provider's kind and settings, as a configuration file holds them, to a provider.

The built-in kinds are found without looking through the installed distributions; others come from the entry points
`limner.providers`, each naming a class whose keyword-only parameters are its settings.
"""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError, create_model

from limner_providers.base import Provider
from limner_providers.errors import ConfigurationInvalid, EngineUnavailable

GROUP = "limner.providers"
_BUILT_IN: Mapping[str, str] = {
    "diffusers": "limner_providers.diffusers:DiffusersProvider",
    "midjourney": "limner_providers.midjourney:MidjourneyProvider",
    "openai": "limner_providers.openai:OpenAIProvider",
    "test": "limner_providers.test:TestProvider",
}


def provider_kinds() -> tuple[str, ...]:
    """List the kinds that can be configured: built in and installed, sorted."""
    return tuple(sorted({*_BUILT_IN, *(entry.name for entry in entry_points(group=GROUP))}))


def make_provider(name: str, kind: str, settings: Mapping[str, Any], *, base_folder: Path | None = None) -> Provider:
    """Make a provider; nothing is loaded or contacted yet.

    Args:
        name: what the configuration calls it.
        kind: `diffusers`, `test`, or one that is installed.
        settings: everything else the configuration says of it.
        base_folder: the configuration file's folder, for kinds that take paths.

    Raises:
        ConfigurationInvalid: an unknown kind or setting (with a suggestion), a missing or wrong setting. Values are
            not shown, as they may be secrets.
        EngineUnavailable: the kind's module needs something that is not installed.
    """
    factory = _factory(name, kind)
    accepted = _parameters(factory)
    values = dict(settings)
    _check_keys(name, kind, values, accepted)
    if base_folder is not None and "base_folder" in accepted:
        values.setdefault("base_folder", base_folder)
    return factory(name, **_typed(name, factory, accepted, values))


def provider_class(kind: str) -> Callable[..., Provider]:
    """Give the class (or function) that makes providers of a kind.

    Raises:
        ConfigurationInvalid: there is no such kind.
        EngineUnavailable: the kind's module needs something that is not installed.
    """
    return _factory(kind, kind)


def _factory(name: str, kind: str) -> Callable[..., Provider]:
    if kind in _BUILT_IN:
        entry = EntryPoint(name=kind, value=_BUILT_IN[kind], group=GROUP)
    else:
        found = list(entry_points(group=GROUP, name=kind))
        if not found:
            raise _unknown(name, "kind", kind, provider_kinds())
        entry = found[0]
    try:
        loaded: Callable[..., Provider] = entry.load()
    except ImportError as error:
        remedy = f"Install {error.name or 'what it needs'}."
        raise EngineUnavailable(f"providers.{name}: kind {kind} cannot be loaded.", remedy=remedy) from error
    return loaded


def _parameters(factory: Callable[..., Provider]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(factory).parameters.values()
    return {parameter.name: parameter for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}


def _check_keys(name: str, kind: str, settings: Mapping[str, Any], accepted: Mapping[str, inspect.Parameter]) -> None:
    offered = [key for key in accepted if key != "base_folder"]
    for key in settings:
        if key not in offered:
            raise _unknown(name, f"setting of kind {kind}", key, offered)
    missing = [key for key in offered if accepted[key].default is inspect.Parameter.empty and key not in settings]
    if missing:
        message = f"providers.{name}: {', '.join(missing)} is missing."
        raise ConfigurationInvalid(message, remedy=f"A provider of kind {kind} needs it.", provider=name)


def _unknown(name: str, what: str, word: str, known: Iterable[str]) -> ConfigurationInvalid:
    listed = sorted(known)
    near = difflib.get_close_matches(word, listed, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    message = f"providers.{name}: {word!r} is no {what}."
    return ConfigurationInvalid(message, remedy=f"{hint}Known: {', '.join(listed)}.", provider=name)


def _typed(
    name: str,
    factory: Callable[..., Provider],
    accepted: Mapping[str, inspect.Parameter],
    values: Mapping[str, Any],
) -> dict[str, Any]:
    """Hold the settings against the parameters' annotations, and convert what a file writes as text."""
    hints = typing.get_type_hints(factory.__init__ if inspect.isclass(factory) else factory, include_extras=True)
    fields: dict[str, Any] = {key: (hints.get(key, Any), accepted[key].default) for key in values}
    model = create_model("Settings", __config__=ConfigDict(arbitrary_types_allowed=True), **fields)
    try:
        checked = model(**values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        message = f"providers.{name}.{'.'.join(map(str, first['loc']))} is not valid: {first['msg']}."
        raise ConfigurationInvalid(message, remedy="Correct it.", provider=name) from None
    return {key: getattr(checked, key) for key in values}
