"""The classes to subclass: all checks together, and the same with a stand-in of the engine behind them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

from limner_providers.conformance.failures import Failures
from limner_providers.conformance.fields import Fields
from limner_providers.conformance.lifetime import Lifetime
from limner_providers.conformance.shape import Shape
from limner_providers.conformance.stand_in import Call, Reply, StandIn
from limner_providers.conformance.work import Work


class ProviderConformance(Shape, Work, Fields, Failures, Lifetime):
    """Every check of a provider. Override the fixture `provider` and, over a network, the hooks; see `Hooks`."""


class StandInConformance(ProviderConformance):
    """Every check, against a small HTTP server whose answers the test class writes.

    Override `answer` and the fixture `provider`, which asks for the fixture `stand_in` and uses its `url`. The
    faults that all HTTP servers have come by themselves; `words` adds those that an engine tells in its own.

    Attributes:
        words: for `quota`, `404-model`, `empty`, `no-picture`, `half-picture`, `moderation-input` and
            `moderation-output`: status and JSON body of the engine's own answer; also for others, instead of the usual.
    """

    words: ClassVar[Mapping[str, tuple[int, Any]]] = {}
    stood_in: StandIn

    def answer(self, call: Call) -> Reply:
        """Answer a call rightly. Override it."""
        raise NotImplementedError(f"{type(self).__name__} has to answer {call.method} {call.path}.")

    def paid(self, call: Call) -> bool:
        """Say whether the engine would bill a call; every POST where it is not overridden."""
        return call.method == "POST"

    @pytest.fixture
    def stand_in(self) -> Iterator[StandIn]:
        """Run the stand-in for one test."""
        with StandIn(self.answer, paid=self.paid, words=self.words) as server:
            self.stood_in = server
            yield server

    def calls(self) -> int:
        """Count the paid calls."""
        return len(self.stood_in.paid_calls)

    def arrived(self) -> object:
        """Give path and body of the last paid call; a body of JSON is decoded."""
        call = self.stood_in.paid_calls[-1]
        try:
            return call.path, json.loads(call.body)
        except ValueError:
            return call.path, call.body

    def busy(self) -> int:
        """Count the calls that are being answered."""
        return self.stood_in.busy

    def fail_with(self, fault: str) -> None:
        """Spoil the next paid call."""
        self.stood_in.fail_with(fault)
