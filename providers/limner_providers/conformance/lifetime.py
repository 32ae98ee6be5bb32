"""Checks of a provider in a program that lives on: time-outs, cancellation, side by side, loop after loop, closing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings

import anyio
import pytest

from limner_providers.base import Provider, ProviderAnswer
from limner_providers.conformance.answers import check_answer
from limner_providers.conformance.bench import PROMPT, SEED, Bench
from limner_providers.conformance.failures import GIVEN_UP, HANGING
from limner_providers.conformance.hooks import Hooks
from limner_providers.conformance.watching import play, soon

_TOGETHER = 4


class Lifetime(Hooks):
    """How it behaves over time."""

    def test_a_time_out_is_an_error_in_time(self, provider: Provider) -> None:
        """An engine that takes too long is given up with an error that says what may have been done."""

        async def work() -> None:
            bench = await Bench.of(self, provider)
            await bench.make(await bench.request())  # what is loaded once is loaded
            request = await bench.request(**self.slow_down())
            with anyio.fail_after(HANGING + 30):  # far more than any machine needs to notice
                error = await bench.error_of(lambda: bench.make(request, timeout=HANGING))
            assert isinstance(error, GIVEN_UP), f"Expected Cancelled or OutcomeUnknown, got {error!r}."
            assert error.provider == provider.name, "The error does not name the provider."
            assert error.remedy, "The error has no remedy."
            assert not (error.retry_safe and error.may_have_billed), "It may be billed, and is said to be repeatable."
            assert await soon(lambda: self.busy() == 0), "The engine still works on what was given up."

        play(provider, work)

    def test_cancelled_it_cancels_the_work(self, provider: Provider) -> None:
        """Cancellation reaches the engine, nothing is left running, and the next request works."""

        async def work() -> None:
            bench = await Bench.of(self, provider)
            usual = await bench.request()
            await bench.make(usual)
            request = await bench.request(**self.slow_down())
            before = self.calls()
            task = asyncio.ensure_future(bench.make(request))
            if self.network:
                assert await soon(lambda: self.calls() > before or task.done()), "No call arrived."
            await anyio.sleep(0.05)
            assert not task.done(), "The slow request was over before it could be cancelled."
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            assert task.cancelled(), "It swallowed the cancellation."
            assert await soon(lambda: self.busy() == 0), "The engine still works on what was cancelled."
            assert (await bench.make(usual)).images

        play(provider, work)

    def test_calls_side_by_side_do_not_mix_up_their_answers(self, provider: Provider) -> None:
        """Each gets its own pictures, however the others end before it."""

        async def work() -> None:
            bench = await Bench.of(self, provider)
            requests = [await bench.request(prompt=f"{PROMPT} {index}") for index in range(_TOGETHER)]
            seeds = [[SEED + index] for index in range(_TOGETHER)]
            alone = [await bench.make(*pair) for pair in zip(requests, seeds, strict=True)]
            repeated = await bench.make(requests[0], seeds[0])
            together: list[ProviderAnswer] = await asyncio.gather(
                *(bench.make(*pair) for pair in zip(requests, seeds, strict=True))
            )
            for request, chosen, answer in zip(requests, seeds, together, strict=True):
                await check_answer(bench, request, answer, chosen)
            if _files(repeated) == _files(alone[0]):  # else the engine never gives the same picture twice
                assert [_files(one) for one in together] == [_files(one) for one in alone], "Answers were mixed up."
            named = [answer.request_id for answer in together if answer.request_id]
            assert len(set(named)) == len(named), "Two calls have one id."

        play(provider, work)

    @pytest.mark.parametrize("close", [True, False], ids=["closed", "left open"])
    def test_it_works_in_one_event_loop_after_another(self, provider: Provider, close: bool) -> None:
        """Connections belong to a loop; a provider lives through several, also where the first was just left."""

        async def work() -> tuple[bytes, ...]:
            bench = await Bench.of(self, provider)
            return _files(await bench.make(await bench.request()))

        with warnings.catch_warnings():
            if not close:  # a loop that ended under its connections is the caller's fault, and only untidy
                warnings.simplefilter("ignore", ResourceWarning)
            assert play(provider, work, close=close)
            gc.collect()
            assert play(provider, work)
            gc.collect()

    def test_it_can_be_closed_at_any_time(self, provider: Provider) -> None:
        """Before it did anything, twice, and between two requests."""

        async def work() -> None:
            await provider.close()
            bench = await Bench.of(self, provider)
            request = await bench.request()
            await bench.make(request)
            await provider.close()
            await provider.close()
            assert (await bench.make(request)).images

        play(provider, work)


def _files(answer: ProviderAnswer) -> tuple[bytes, ...]:
    return tuple(image.data for image in answer.images)
