"""The conformance kit: subclass `ProviderConformance` in a test file, and pytest says whether a provider is one.

    class TestMine(ProviderConformance):
        network = False

        @pytest.fixture
        def provider(self) -> Provider:
            return MyProvider("mine")

An engine over the network adds four hooks (`calls`, `arrived`, `busy`, `fail_with`), or subclasses
`StandInConformance`, which has them. `docs/writing-a-provider.md` shows both. Only this package needs pytest.
"""

from __future__ import annotations

import pytest

_CHECKS = ("answers", "bench", "failures", "fields", "lifetime", "pictures", "shape", "watching", "work")
pytest.register_assert_rewrite(*(f"{__name__}.{check}" for check in _CHECKS))

from limner_providers.conformance.expectations import FAULTS, Expectation  # noqa: E402 - asserts are rewritten first
from limner_providers.conformance.kit import ProviderConformance, StandInConformance  # noqa: E402
from limner_providers.conformance.stand_in import Call, Reply, StandIn  # noqa: E402

__all__ = ["FAULTS", "Call", "Expectation", "ProviderConformance", "Reply", "StandIn", "StandInConformance"]
