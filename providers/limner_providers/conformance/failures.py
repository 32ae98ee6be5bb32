"""Checks of what a provider makes of its engine's faults: the right error, one paid call, and no secret anywhere."""

from __future__ import annotations

import logging

import pytest

from limner_providers.base import Provider
from limner_providers.conformance.bench import PROMPT, Bench
from limner_providers.conformance.expectations import FAULTS, RETRY_AFTER, Expectation
from limner_providers.conformance.hooks import Hooks
from limner_providers.conformance.secrets import shown_by, survives_pickling
from limner_providers.conformance.watching import play
from limner_providers.errors import (
    Cancelled,
    GenerationFailed,
    ModerationBlocked,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
)

HANGING = 1.0
"""Seconds that a call to an engine that never answers is given."""


class Failures(Hooks):
    """What becomes of faults; for engines over a network."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Ask for every fault, but for those that an engine's protocol cannot show."""
        if "fault" in metafunc.fixturenames:
            marks = {name: [pytest.mark.skip(reason=why)] for name, why in self.without.items()}
            faults = [pytest.param(name, marks=marks.get(name, [])) for name in FAULTS if self.network]
            metafunc.parametrize("fault", faults)

    def expectation(self, fault: str) -> Expectation:
        """Say what a fault has to become here."""
        return self.expectations.get(fault, FAULTS[fault])

    def test_a_fault_becomes_the_right_error(self, provider: Provider, fault: str) -> None:
        """Its class, whether it may be repeated or was billed, its provider, id and remedy; and one paid call."""

        async def work() -> None:
            bench = await Bench.of(self, provider)
            request = await bench.request()
            before = self.calls()
            self.fail_with(fault)
            error = await bench.error_of(lambda: bench.make(request, timeout=HANGING if fault == "hang" else None))
            expected = self.expectation(fault)
            made = self.calls() - before
            assert expected.calls in {None, made}, f"{made} paid calls: a provider makes one, and never a second."
            self.check_error(provider, error, expected)

        play(provider, work)

    def check_error(self, provider: Provider, error: ProviderError, expected: Expectation) -> None:
        """See that an error says all that whoever retries, falls back or repairs needs to know."""
        kinds = " or ".join(kind.__name__ for kind in expected.kinds)
        assert isinstance(error, expected.kinds), f"Expected {kinds}, got {type(error).__name__}: {error}"
        assert error.provider == provider.name, f"provider={error.provider!r}."
        assert error.remedy, f"{type(error).__name__} has no remedy."
        assert error.remedy in str(error), "The message does not hold the remedy."
        assert expected.retry_safe in {None, error.retry_safe}, f"retry_safe={error.retry_safe}."
        assert expected.may_have_billed in {None, error.may_have_billed}, f"may_have_billed={error.may_have_billed}."
        assert not (error.retry_safe and error.may_have_billed), "It may be billed, and is said to be safe to repeat."
        if expected.identified and self.gives_request_ids:
            assert error.request_id, "The engine's id of the call was lost."
        if isinstance(error, RateLimited) and expected.retry_after is not None:
            self.check_wait(error.retry_after, named=expected.retry_after)
        if isinstance(error, ModerationBlocked):
            self.check_moderation(error, expected.stage)
        if isinstance(error, ModerationBlocked | OutcomeUnknown):
            assert not error.fallback_safe, "Nobody else may be asked after this, and fallback_safe says so."
        assert survives_pickling(error), "The error does not survive the way to another process."

    def check_moderation(self, error: ModerationBlocked, stage: str | None) -> None:
        """See that what the engine said of its refusal was kept."""
        assert isinstance(error.categories, tuple), "categories is no tuple."
        if self.tells_moderation:
            assert error.stage == stage, f"The engine refused at the {stage} stage, stage={error.stage!r}."
            assert error.categories, "The engine named categories, and they were lost."
        else:
            assert error.stage in {None, stage}, f"stage={error.stage!r} was made up."

    def check_wait(self, told: float | None, *, named: bool) -> None:
        """See that a Retry-After was read, whatever its shape, and that none was made up."""
        if not named:
            assert told is None, f"The engine named no time that makes sense, and retry_after={told}."
            return
        assert told is not None, "The engine's Retry-After was not read."
        assert RETRY_AFTER - 3 <= told <= RETRY_AFTER + 1, f"Retry-After was {RETRY_AFTER} s, retry_after={told}."

    def test_a_fault_shows_no_secret(self, provider: Provider, fault: str, caplog: pytest.LogCaptureFixture) -> None:
        """Neither the error, nor what led to it, nor a log at its most talkative holds the key; no error the prompt."""
        caplog.set_level(logging.DEBUG)

        async def work() -> str:
            bench = await Bench.of(self, provider)
            request = await bench.request()
            self.fail_with(fault)
            error = await bench.error_of(lambda: bench.make(request, timeout=HANGING if fault == "hang" else None))
            return shown_by(error)

        shown = play(provider, work)
        assert self.secret not in shown, "The key can be read in the error or in what led to it."
        assert PROMPT.rsplit(maxsplit=1)[-1] not in shown, "The prompt can be read in the error or in what led to it."
        logged = "\n".join((caplog.text, *(repr(record.args) for record in caplog.records)))
        assert self.secret not in logged, "The key can be read in the log."

    def test_after_a_fault_the_next_call_works(self, provider: Provider) -> None:
        """One broken connection spoils no other call."""
        if not self.network:
            pytest.skip("The engine is on this machine.")
        faults = [fault for fault in ("502-html", "cut-before-headers", "cut-in-body") if fault not in self.without]

        async def work() -> None:
            bench = await Bench.of(self, provider)
            request = await bench.request()
            for fault in faults:
                self.fail_with(fault)
                await bench.error_of(lambda: bench.make(request))
                assert (await bench.make(request)).images

        play(provider, work)

    def test_not_one_of_several_pictures_is_no_success(self, provider: Provider) -> None:
        """An answer without any is an error that says it may be billed, also where several were asked for."""
        if not self.network or "empty" in self.without:
            pytest.skip("The engine is on this machine, or cannot show it.")

        async def work() -> None:
            bench = await Bench.of(self, provider)
            request = await bench.request(n=min(2, bench.able.max_n))
            self.fail_with("empty")
            error = await bench.error_of(lambda: bench.make(request))
            assert isinstance(error, GenerationFailed | OutcomeUnknown), repr(error)
            assert error.may_have_billed, "No picture came, and the error denies that it may be billed."

        play(provider, work)


GIVEN_UP = (Cancelled, OutcomeUnknown)
"""What a time-out may become: nothing was done, or nobody knows."""
