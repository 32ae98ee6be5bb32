"""The test provider passes the kit, in each of the shapes in which it stands in for other engines."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from limner_providers import Provider
from limner_providers.conformance import ProviderConformance
from limner_providers.test import TestProvider


class TestPatterns(ProviderConformance):
    """As it is without any setting."""

    network = False
    settings: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def provider(self) -> Provider:
        """Make it with the class's settings."""
        self.made = TestProvider("fake", **self.settings)
        return self.made

    def slow_down(self) -> Mapping[str, Any]:
        """Let the next call take 30 seconds, and the others work."""
        self.made._fail, self.made._fail_first = "slow", self.made.calls + 1
        return {}


class TestOneSeedACall(TestPatterns):
    """As an engine that takes one seed for all pictures of a call, and makes at most four."""

    settings: ClassVar[Mapping[str, Any]] = {"seed": "call", "max_n": 4, "delay": 0.001}

    def slow_down(self) -> Mapping[str, Any]:
        """With a delay of its own, `slow` is no slower."""
        self.made._delay = 0.0
        return super().slow_down()


class TestWithoutSeeds(TestPatterns):
    """As an engine that takes no seed and gives four pictures whatever is asked."""

    settings: ClassVar[Mapping[str, Any]] = {"seed": "none", "call_gives": 4, "max_n": 4, "cost": Decimal("0.04")}


class TestOneTask(TestPatterns):
    """As an engine that only upscales, and tells everything."""

    settings: ClassVar[Mapping[str, Any]] = {"tasks": ("upscale",), "tells": ("job", "partial")}
