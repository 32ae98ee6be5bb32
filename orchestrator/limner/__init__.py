"""The Limner SDK: one governed, signed, audited way to every image model.

from limner import Limner

with Limner.open() as limner:
    limner.generate("red apple", seed=7).images[0].save("apple.png")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner.client import AsyncLimner, Limner
    from limner.config import Config
    from limner.context import RequestContext
    from limner.result import GeneratedImage, ImageResult
    from limner.verification import Verification, verify_file
    from limner_providers.types import ImageRequest

__all__ = [
    "AsyncLimner",
    "Config",
    "GeneratedImage",
    "ImageRequest",
    "ImageResult",
    "Limner",
    "RequestContext",
    "Verification",
    "verify_file",
]

_WHERE = {
    "AsyncLimner": "limner.client",
    "Config": "limner.config",
    "GeneratedImage": "limner.result",
    "ImageRequest": "limner_providers.types",
    "ImageResult": "limner.result",
    "Limner": "limner.client",
    "RequestContext": "limner.context",
    "Verification": "limner.verification",
    "verify_file": "limner.verification",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        message = f"module 'limner' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return __all__
