"""Content Credentials, the audit log that proves itself, and the store of encrypted payloads."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner_provenance.audit import verify as verify_log
    from limner_provenance.credentials import read_credentials, seal
    from limner_provenance.log import AuditLog

__all__ = ["AuditLog", "read_credentials", "seal", "verify_log"]

# Loaded when first asked for: the modules behind need sqlalchemy or c2pa.
_LAZY = {
    "AuditLog": ("limner_provenance.log", "AuditLog"),
    "read_credentials": ("limner_provenance.credentials", "read_credentials"),
    "seal": ("limner_provenance.credentials", "seal"),
    "verify_log": ("limner_provenance.audit", "verify"),
}


def __getattr__(name: str) -> Any:
    """Load a public name from the module that holds it."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
