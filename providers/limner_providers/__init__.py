"""Every engine behind one Protocol: request, capabilities and provider types, and the conformance kit.

Importing this package loads no engine and no image library; they come in where a provider starts to work.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner_providers.base import (
        Cost,
        Health,
        JobAccepted,
        ModelIdentity,
        PartialImage,
        ProducedImage,
        Progress,
        Provider,
        ProviderAnswer,
    )
    from limner_providers.capabilities import Adaptation, Capabilities, Unmet
    from limner_providers.errors import ProviderError
    from limner_providers.images import InputImage, mask_from_alpha
    from limner_providers.parts import ControlImage, ImageOrigin, Lora, Margins, Reference
    from limner_providers.registry import make_provider, provider_kinds
    from limner_providers.types import ImageRequest

_HOMES = {
    "Adaptation": "capabilities",
    "Capabilities": "capabilities",
    "ControlImage": "parts",
    "Cost": "base",
    "Health": "base",
    "ImageOrigin": "parts",
    "ImageRequest": "types",
    "InputImage": "images",
    "JobAccepted": "base",
    "Lora": "parts",
    "make_provider": "registry",
    "Margins": "parts",
    "mask_from_alpha": "images",
    "ModelIdentity": "base",
    "PartialImage": "base",
    "ProducedImage": "base",
    "Progress": "base",
    "Provider": "base",
    "provider_kinds": "registry",
    "ProviderAnswer": "base",
    "ProviderError": "errors",
    "Reference": "parts",
    "Unmet": "capabilities",
}

__all__ = [
    "Adaptation",
    "Capabilities",
    "ControlImage",
    "Cost",
    "Health",
    "ImageOrigin",
    "ImageRequest",
    "InputImage",
    "JobAccepted",
    "Lora",
    "Margins",
    "ModelIdentity",
    "PartialImage",
    "ProducedImage",
    "Progress",
    "Provider",
    "ProviderAnswer",
    "ProviderError",
    "Reference",
    "Unmet",
    "make_provider",
    "mask_from_alpha",
    "provider_kinds",
]


def __getattr__(name: str) -> Any:
    """Bring a public name from its module when it is first asked for (PEP 562): `errors` alone stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
