"""The local provider passes the kit, on the shipped starter model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import anyio
import pytest

from limner_providers import Provider
from limner_providers.conformance import ProviderConformance
from limner_providers.diffusers import DiffusersProvider

pytestmark = pytest.mark.torch


class TestStarter(ProviderConformance):
    """All six tasks, in few steps."""

    network = False
    quick: ClassVar[Mapping[str, Any]] = {"num_inference_steps": 6}
    slow: ClassVar[Mapping[str, Any]] = {"num_inference_steps": 1000, "size": "256x256"}

    @pytest.fixture
    def provider(self) -> Iterator[Provider]:
        """Load it for each test anew: what one leaves behind shall not help the next."""
        made = DiffusersProvider("local", threads=1)
        yield made
        anyio.run(made.close)
