"""The `diffusers` provider passes the kit with the starter model on the CPU."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from limner_providers import Provider
from limner_providers.conformance import ProviderConformance
from limner_providers.diffusers import DiffusersProvider

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(importlib.util.find_spec("diffusers") is None, reason="the extra diffusers is not installed"),
]


class TestStarter(ProviderConformance):
    """Every check, with four steps a picture: fewer would leave two strengths no difference."""

    network = False
    quick: ClassVar[Mapping[str, Any]] = {"num_inference_steps": 4}
    slow: ClassVar[Mapping[str, Any]] = {"num_inference_steps": 1000, "n": 100}

    @pytest.fixture
    def provider(self) -> Provider:
        """Give a provider that loads the model at its first request."""
        return DiffusersProvider("local", threads=1)
