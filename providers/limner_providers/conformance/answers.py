"""What an answer has to be: whole pictures, as asked, and plain data beside them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from limner_providers.base import Cost, ProducedImage, ProviderAnswer
from limner_providers.conformance.bench import PROMPT, Bench
from limner_providers.conformance.pictures import decoded
from limner_providers.types import MIME, ImageRequest

_WORD = PROMPT.rsplit(maxsplit=1)[-1]
_SHAPE_TOLERANCE = 0.1  # engines round proportions to their own steps


async def check_answer(bench: Bench, request: ImageRequest, answer: ProviderAnswer, seeds: Sequence[int]) -> None:
    """See that `answer` is what `request` asked for, to the letter.

    Raises:
        AssertionError: says what it is not.
    """
    assert isinstance(answer, ProviderAnswer), f"It answered with a {type(answer).__name__}."
    assert isinstance(answer.images, tuple), "images is no tuple."
    made, most = len(answer.images), max(request.n, bench.able.call_gives)
    assert made >= request.n, f"{request.n} pictures were asked for, {made} came, and no error said so."
    assert made <= most, f"{made} pictures came; the capabilities promise {most}."
    for image in answer.images:
        check_image(request, image)
        check_size(request, image)
    check_seeds_told(bench, request, answer, seeds)
    identity = await bench.provider.identify(bench.hooks.model)
    assert answer.model.name == identity.name, f"identify() says {identity.name}, the answer {answer.model.name}."
    check_facts(bench, answer)


def check_image(request: ImageRequest, image: ProducedImage) -> None:
    """See that a picture is whole and of the format that was asked for, and that its pixels are the file's."""
    import numpy as np

    pixels = decoded(image)
    assert image.mime == MIME[request.output_format], f"{request.output_format} was asked for, {image.mime} came."
    if image.pixels is None:
        return
    assert image.pixels.dtype == np.uint8, f"pixels are {image.pixels.dtype}."
    assert image.pixels.shape == pixels.shape, f"pixels have the shape {image.pixels.shape}, the file {pixels.shape}."
    assert not image.pixels.flags.writeable, "pixels can be written to."
    assert image.mime != "image/png" or np.array_equal(image.pixels, pixels), "pixels are not those of the file."


def check_size(request: ImageRequest, image: ProducedImage) -> None:
    """See that a picture has the size, or the proportions, that were asked for."""
    told = f"{image.width}x{image.height}"
    if request.size is not None:
        assert told == request.size, f"{request.size} was asked for, {told} came."
    if request.proportions is not None:
        across, down = request.proportions
        off = abs(image.width / image.height * down / across - 1)
        assert off <= _SHAPE_TOLERANCE, f"{across}:{down} was asked for, {told} came."
    source = request.image
    if request.task == "outpaint" and source is not None and request.margins is not None:
        sides = request.margins
        grown = f"{source.width + sides.left + sides.right}x{source.height + sides.top + sides.bottom}"
        assert told == grown, f"With its margins it is {grown}, and {told} came."
    if request.task == "upscale" and source is not None and request.size is None:
        assert image.width > source.width, f"An upscale of {source.size} gave {told}."
        if request.scale is not None:
            off = abs(image.width / source.width - request.scale)
            assert off < 0.05, f"{request.scale} times {source.size} was asked for, {told} came."


def check_seeds_told(bench: Bench, request: ImageRequest, answer: ProviderAnswer, seeds: Sequence[int]) -> None:
    """See that the pictures name the seeds that make them again."""
    told = [image.seed for image in answer.images]
    if bench.able.seed is True:
        assert told[: request.n] == list(seeds), f"The seeds were {list(seeds)}, the pictures say {told}."
    if bench.able.seed == "call" and len(answer.images) > 1:
        assert set(told) == {None}, f"One seed stands for the call, and single pictures name {told}."


def check_facts(bench: Bench, answer: ProviderAnswer) -> None:
    """See that what stands beside the pictures is plain data, without the prompt."""
    for name in ("parameters", "timings", "usage"):
        kind = str if name == "parameters" else int
        facts = getattr(answer, name)
        wrong = [key for key, value in facts.items() if not isinstance(key, str) or not isinstance(value, kind)]
        assert not wrong, f"{name}: {', '.join(map(str, wrong))} is no {kind.__name__}."
    assert all(value >= 0 for value in (*answer.timings.values(), *answer.usage.values())), "A count is negative."
    assert isinstance(answer.warnings, tuple), "warnings is no tuple."
    assert not any(_WORD in warning for warning in answer.warnings), "The prompt's text is in a warning."
    if bench.hooks.network and bench.hooks.gives_request_ids:
        assert answer.request_id, "The engine gave the call an id, and the answer has none."
    check_cost(answer.cost)


def check_cost(cost: Cost | None) -> None:
    """See that a cost is exact, and that what has no price is not said to have one."""
    if cost is None:
        return
    assert isinstance(cost.amount, Decimal), f"The amount is a {type(cost.amount).__name__}, not a Decimal."
    assert cost.amount.is_finite(), f"The amount is {cost.amount}."
    assert cost.amount >= 0, f"The amount is {cost.amount}."
    assert len(cost.currency) == 3, f"The currency is {cost.currency!r}; ISO 4217 has three letters."
    assert cost.currency.isupper(), f"The currency is {cost.currency!r}; ISO 4217 writes it in capitals."
