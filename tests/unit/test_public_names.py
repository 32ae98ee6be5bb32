"""Each package's public names are held here: adding one is a decision, not an accident."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

# limner_policy and limner_provenance.credentials hold theirs beside their own tests.
PUBLIC = {
    "limner_providers": [
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
    ],
    "limner_provenance": ["AuditLog", "read_credentials", "seal", "verify_log"],
    "limner": [
        "AsyncLimner",
        "Config",
        "GeneratedImage",
        "ImageRequest",
        "ImageResult",
        "Limner",
        "RequestContext",
        "Verification",
        "verify_file",
    ],
}


@pytest.mark.parametrize("package", sorted(PUBLIC))
def test_public_names_are_the_listed_ones(package: str) -> None:
    """`__all__` is sorted, is what stands here, and each of its names can be imported."""
    module = importlib.import_module(package)
    assert list(module.__all__) == sorted(module.__all__)
    assert sorted(module.__all__) == sorted(PUBLIC[package])
    assert all(getattr(module, name) is not None for name in module.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name of a lazy package fails as it would in any other."""
    for package in PUBLIC:
        with pytest.raises(AttributeError, match="Limmer"):
            importlib.import_module(package).Limmer  # noqa: B018  # the access is the test


HEAVY = (
    "torch",
    "diffusers",
    "open_clip",
    "onnxruntime",
    "c2pa",
    "sqlalchemy",
    "sqlmodel",
    "alembic",
    "httpx",
    "openai",
    "PIL",
    "numpy",
)


def test_importing_the_client_loads_nothing_heavy() -> None:
    """`from limner import Limner, ImageRequest` loads no model, database, HTTP or picture library."""
    code = f"from limner import Limner, ImageRequest; import sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
