"""Every engine behind one Protocol: request, capabilities and provider types, and the conformance kit.

Importing this package loads no engine and no image library; they come in where a provider starts to work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from limner_providers.base import Cost, ModelIdentity, ProducedImage, Progress, Provider, ProviderAnswer
from limner_providers.capabilities import Capabilities, Unmet
from limner_providers.errors import ProviderError
from limner_providers.types import ImageRequest

if TYPE_CHECKING:
    from limner_providers.registry import make_provider, provider_kinds

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
    if name in {"make_provider", "provider_kinds"}:  # looking through entry points needs importlib.metadata
        from limner_providers import registry

        return getattr(registry, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
