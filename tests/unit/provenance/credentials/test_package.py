"""The package's names and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from limner_provenance import credentials

_NAMES = [
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


def test_public_names_are_held() -> None:
    """The public names are these, sorted, and each can be had."""
    assert credentials.__all__ == _NAMES
    assert all(getattr(credentials, name) is not None for name in _NAMES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as in any other package."""
    with pytest.raises(AttributeError, match="reed_credentials"):
        credentials.reed_credentials  # noqa: B018 - the access is the test


def test_importing_loads_nothing_heavy() -> None:
    """Neither the package nor its types load c2pa, cryptography, numpy or PIL."""
    code = (
        "import sys, limner_provenance.credentials as c; c.ManifestFacts, c.Credentials, c.Signer, c.sniff; "
        "print(sorted({'c2pa', 'cryptography', 'numpy', 'PIL', 'sqlalchemy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_library_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without c2pa-python the error says how to get it."""
    from limner_provenance.credentials import engine
    from limner_provenance.errors import CredentialError

    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(CredentialError, match="pip install"):
        engine.library()
