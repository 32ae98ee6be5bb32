"""What the built-in providers are made of, for writers of others: HTTP, downloads, pictures, checks, a worker thread.

Each name is brought from its module when it is first asked for, so that only `Http` and `download` need httpx.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner_providers._check import check_seeds, require, within
    from limner_providers._download import download
    from limner_providers._encode import encode
    from limner_providers._http import Answer, Http, Timeouts, check_base_url, redact, segment
    from limner_providers._requests import canonical_decimal
    from limner_providers._sniff import check_picture, picture_from_base64
    from limner_providers._worker import Job, Worker

_HOMES = {
    "Answer": "_http",
    "canonical_decimal": "_requests",
    "check_base_url": "_http",
    "check_picture": "_sniff",
    "check_seeds": "_check",
    "download": "_download",
    "encode": "_encode",
    "Http": "_http",
    "Job": "_worker",
    "picture_from_base64": "_sniff",
    "redact": "_http",
    "require": "_check",
    "segment": "_http",
    "Timeouts": "_http",
    "within": "_check",
    "Worker": "_worker",
}

__all__ = [
    "Answer",
    "Http",
    "Job",
    "Timeouts",
    "Worker",
    "canonical_decimal",
    "check_base_url",
    "check_picture",
    "check_seeds",
    "download",
    "encode",
    "picture_from_base64",
    "redact",
    "require",
    "segment",
    "within",
]


def __getattr__(name: str) -> Any:
    """Bring a name from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"limner_providers.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
