"""Content Credentials (C2PA): seal an image, read what a file proves, and look after certificates.

Knows image containers, certificates and manifests. Must not know the audit log, policy or any provider; never opens
a network connection unless a time-stamp authority was configured. Everything here blocks: call it from a worker thread.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limner_provenance.credentials.certificates import certificate_signer
    from limner_provenance.credentials.development import development_signer, keep_anchors, trust_anchors
    from limner_provenance.credentials.images import check_whole, sniff
    from limner_provenance.credentials.manifest import IngredientFacts, ManifestFacts, ModelFacts, SoftwareAgent
    from limner_provenance.credentials.plain import without_texts
    from limner_provenance.credentials.reading import read_credentials
    from limner_provenance.credentials.registry import load_signer
    from limner_provenance.credentials.report import Anchor, Credentials, Finding, IngredientNode
    from limner_provenance.credentials.sealing import Sealed, seal
    from limner_provenance.credentials.signer import Signer, check
    from limner_provenance.credentials.source_types import DigitalSourceType, source_type_for, start_of
    from limner_provenance.credentials.store import manifest_store, without_store
    from limner_provenance.credentials.xmp import PictureFields, with_xmp

_HOME = {
    "Anchor": "report",
    "Credentials": "report",
    "DigitalSourceType": "source_types",
    "Finding": "report",
    "IngredientFacts": "manifest",
    "IngredientNode": "report",
    "ManifestFacts": "manifest",
    "ModelFacts": "manifest",
    "PictureFields": "xmp",
    "Sealed": "sealing",
    "Signer": "signer",
    "SoftwareAgent": "manifest",
    "certificate_signer": "certificates",
    "check": "signer",
    "check_whole": "images",
    "development_signer": "development",
    "keep_anchors": "development",
    "load_signer": "registry",
    "manifest_store": "store",
    "read_credentials": "reading",
    "seal": "sealing",
    "sniff": "images",
    "source_type_for": "source_types",
    "start_of": "source_types",
    "trust_anchors": "development",
    "with_xmp": "xmp",
    "without_store": "store",
    "without_texts": "plain",
}

__all__ = [
    "Anchor",
    "Credentials",
    "DigitalSourceType",
    "Finding",
    "IngredientFacts",
    "IngredientNode",
    "ManifestFacts",
    "ModelFacts",
    "PictureFields",
    "Sealed",
    "Signer",
    "SoftwareAgent",
    "certificate_signer",
    "check",
    "check_whole",
    "development_signer",
    "keep_anchors",
    "load_signer",
    "manifest_store",
    "read_credentials",
    "seal",
    "sniff",
    "source_type_for",
    "start_of",
    "trust_anchors",
    "with_xmp",
    "without_store",
    "without_texts",
]


def __getattr__(name: str) -> object:
    """Import the module behind `name` when it is first used (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
