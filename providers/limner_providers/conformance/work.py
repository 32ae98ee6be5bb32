"""Checks of what a provider makes: every task, format, size, number and seed that its capabilities promise."""

from __future__ import annotations

import pytest

from limner_providers.base import Event, JobAccepted, PartialImage, Progress, Provider
from limner_providers.conformance.answers import check_answer
from limner_providers.conformance.bench import MARGINS, PROMPT, SEED, Bench, sizes_to_try
from limner_providers.conformance.hooks import Hooks
from limner_providers.conformance.pictures import FORMATS, decoded, mask, sample
from limner_providers.conformance.watching import play
from limner_providers.errors import InvalidRequest
from limner_providers.types import MIME, TASKS


class Work(Hooks):
    """What comes of requests that a provider can honour."""

    @pytest.mark.parametrize("task", TASKS)
    def test_a_task_is_carried_out_or_refused(self, provider: Provider, task: str) -> None:
        """A declared task gives whole pictures by one paid call; another is refused before anything is sent."""

        async def work() -> None:
            bench = await Bench.of(self, provider)
            request = await bench.request(task)
            if task not in bench.able.tasks:
                await bench.refused(request)
                return
            if task in self.promptless:
                await bench.refused(await bench.request(task, prompt=PROMPT))
            before = self.calls()
            answer = await bench.make(request)
            await check_answer(bench, request, answer, [SEED])
            paid = self.calls() - before
            assert not self.network or paid == 1, f"{paid} paid calls for one picture."

        play(provider, work)

    @pytest.mark.parametrize("output_format", sorted(MIME))
    def test_a_format_is_what_comes_or_is_refused(self, provider: Provider, output_format: str) -> None:
        """The bytes are of the declared format, whatever the engine calls them."""

        async def work() -> None:
            bench = await Bench.of(self, provider)
            request = await bench.request(output_format=output_format)
            if output_format not in bench.able.output_formats:
                await bench.refused(request)
                return
            await check_answer(bench, request, await bench.make(request), [SEED])

        play(provider, work)

    def test_a_size_is_met_exactly(self, provider: Provider) -> None:
        """Where pixels can be chosen, the picture has them; also one that is not square."""

        async def work() -> None:
            bench = await Bench.of(self, provider)
            if "txt2img" not in bench.able.tasks or not bench.able.size.exact:
                return
            for size in sizes_to_try(bench.able.size):
                request = await bench.request(size=size)
                await check_answer(bench, request, await bench.make(request), [SEED])

        play(provider, work)

    @pytest.mark.parametrize("aspect", ["1:1", "3:2", "9:16", "100:1"])
    def test_proportions_are_met_or_refused(self, provider: Provider, aspect: str) -> None:
        """An `aspect_ratio` is turned into pixels of that shape, or refused."""

        async def work() -> None:
            bench = await Bench.of(self, provider)
            if "txt2img" not in bench.able.tasks:
                return
            request = await bench.request(aspect_ratio=aspect)
            if bench.able.unmet(request):
                await bench.refused(request)
                return
            await check_answer(bench, request, await bench.make(request), [SEED])

        play(provider, work)

    def test_as_many_pictures_come_as_were_asked_for(self, provider: Provider) -> None:
        """Up to three in one paid call, where it makes several."""

        async def work() -> None:
            bench = await Bench.of(self, provider)
            for n in range(1, min(bench.able.max_n, 3) + 1):
                request = await bench.request(n=n)
                before = self.calls()
                answer = await bench.make(request)
                await check_answer(bench, request, answer, range(SEED, SEED + n))
                paid = self.calls() - before
                assert not self.network or paid == 1, f"{paid} paid calls for n={n}."

        play(provider, work)

    def test_a_seed_makes_its_picture_again(self, provider: Provider) -> None:
        """Where a provider takes seeds: the same bytes twice, another picture with another, and a batch's alone."""

        async def work() -> None:
            bench = await Bench.of(self, provider)
            if not bench.able.seed:
                return
            request = await bench.request()
            first, again, other = [await bench.seen(request, [seed]) for seed in (SEED, SEED, SEED + 1)]
            assert first[1] == again[1], "The same seed gave another picture."
            assert first != other, "Another seed made no difference: not in the picture, not at the engine."
            if bench.able.seed is True and bench.able.max_n > 1:
                batch = await bench.make(await bench.request(n=2), [SEED, SEED + 1])
                files = [image.data for image in batch.images[:2]]
                assert files == [first[1][0], other[1][0]], "A picture of a batch is another when made alone."

        play(provider, work)

    @pytest.mark.parametrize("seeds", [[], [1, 2], [-1], [2**32]])
    def test_seeds_that_do_not_fit_are_refused(self, provider: Provider, seeds: list[int]) -> None:
        """One a picture, each below 2³², where a provider takes them; one that takes none does not read them."""

        async def work() -> None:
            bench = await Bench.of(self, provider)
            request = await bench.request()
            if not bench.able.seed:
                assert (await bench.make(request, seeds)).images
                return
            before = self.calls()
            error = await bench.error_of(lambda: bench.make(request, seeds))
            assert isinstance(error, InvalidRequest), f"Expected InvalidRequest, got {error!r}."
            assert self.calls() == before, "A paid call left before the seeds were checked."

        play(provider, work)

    def test_white_changes_and_black_stays(self, provider: Provider) -> None:
        """A mask reaches the engine in the one convention, neither turned round nor mirrored."""
        import numpy as np

        async def work() -> None:
            bench = await Bench.of(self, provider)
            if "inpaint" not in bench.able.tasks:
                return
            width, height = self.picture_size
            answer = await bench.make(await bench.request("inpaint", output_format=_lossless(bench)))
            white = mask(width, height) > 127
            received = self.received_mask()
            if received is not None:
                assert received.shape == white.shape, f"A mask of {received.shape} arrived, given was {white.shape}."
                assert np.array_equal(received, white), "Another mask arrived than was given."
            if not self.keeps_pixels:
                assert received is not None, "keeps_pixels is False: received_mask() has to tell which mask arrived."
                return
            if "inpaint" in bench.able.needs_origin:
                return
            pixels, given = decoded(answer.images[0]), sample(width, height)
            assert np.array_equal(pixels[~white], given[~white]), "Pixels changed where the mask is black."
            assert np.any(pixels[white] != given[white]), "Nothing changed where the mask is white."

        play(provider, work)

    def test_outpainting_leaves_the_original_in_its_place(self, provider: Provider) -> None:
        """The picture lies where its margins say, pixel by pixel where the provider promises that."""
        import numpy as np

        async def work() -> None:
            bench = await Bench.of(self, provider)
            if "outpaint" not in bench.able.tasks or not self.keeps_pixels:
                return
            width, height = self.picture_size
            answer = await bench.make(await bench.request("outpaint", output_format=_lossless(bench)))
            inside = decoded(answer.images[0])[MARGINS["top"] :, MARGINS["left"] :][:height, :width]
            assert np.array_equal(inside, sample(width, height)), "The original is not in its place, or changed."

        play(provider, work)

    def test_events_are_what_they_say(self, provider: Provider) -> None:
        """Progress does not run over its end, an unfinished picture is one, a job has a name."""
        heard: list[Event] = []

        async def work() -> None:
            bench = await Bench.of(self, provider)
            await bench.make(await bench.request(), on_event=heard.append)
            for event in heard:
                if isinstance(event, Progress):
                    assert 0 <= event.step <= event.steps, repr(event)
                    assert 1 <= event.image <= event.images, repr(event)
                elif isinstance(event, PartialImage):
                    assert event.mime in FORMATS, repr(event)
                    assert event.data, repr(event)
                else:
                    assert isinstance(event, JobAccepted), f"{type(event).__name__} is no event."
                    assert event.job, "A job without a name."

        play(provider, work)

    def test_a_listener_that_raises_costs_no_picture(self, provider: Provider) -> None:
        """A broken progress bar changes nothing of what is made."""

        def broken(_: Event) -> None:
            raise ZeroDivisionError

        async def work() -> None:
            bench = await Bench.of(self, provider)
            request = await bench.request()
            answer = await bench.make(request, on_event=broken)
            await check_answer(bench, request, answer, [SEED])

        play(provider, work)


def _lossless(bench: Bench) -> str:
    return "png" if "png" in bench.able.output_formats else bench.able.output_formats[0]
