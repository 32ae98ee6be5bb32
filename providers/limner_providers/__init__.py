"""Every engine behind one Protocol: request, capabilities and provider types, and the conformance kit.

Importing this package loads no engine and no image library; they come in where a provider starts to work.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner_providers.base import Cost, ModelIdentity, ProducedImage, Progress, Provider, ProviderAnswer
    from limner_providers.capabilities import Capabilities, Unmet
    from limner_providers.errors import ProviderError
    from limner_providers.registry import make_provider, provider_kinds
    from limner_providers.types import ImageRequest

_HOMES = {
    "Capabilities": "capabilities",
    "Cost": "base",
    "ImageRequest": "types",
    "ModelIdentity": "base",
    "ProducedImage": "base",
    "Progress": "base",
    "Provider": "base",
    "ProviderAnswer": "base",
    "ProviderError": "errors",
    "Unmet": "capabilities",
    "make_provider": "registry",
    "provider_kinds": "registry",
}

__all__ = [
    "Capabilities",
    "Cost",
    "ImageRequest",
    "ModelIdentity",
    "ProducedImage",
    "Progress",
    "Provider",
    "ProviderAnswer",
    "ProviderError",
    "Unmet",
    "make_provider",
    "provider_kinds",
]


def __getattr__(name: str) -> Any:
    """Bring a public name from its module when it is first asked for (PEP 562): `errors` alone stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
