"""The test provider: deterministic patterns, and every fault as it would come from an engine."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import anyio
import numpy as np
import pytest
from PIL import Image

from limner_providers import Cost, ImageRequest, Progress, Provider, ProviderError
from limner_providers.base import Event
from limner_providers.errors import (
    AccessDenied,
    EngineUnavailable,
    GenerationFailed,
    InvalidRequest,
    ModelRetired,
    ModelUnavailable,
    ModerationBlocked,
    OutcomeUnknown,
    QuotaExhausted,
    RateLimited,
    UnsupportedRequest,
)
from limner_providers.test import Fault, TestProvider

pytestmark = pytest.mark.anyio
Make = Callable[..., ImageRequest]


async def test_it_is_a_provider_and_says_that_it_is_none_for_production() -> None:
    """It fulfils the Protocol and carries the mark."""
    provider = TestProvider("fake")
    assert isinstance(provider, Provider)
    assert (provider.name, provider.kind, provider.is_test) == ("fake", "test", True)
    (model,) = await provider.models()
    assert model.name == "limner-test"
    await provider.close()


async def test_each_picture_is_whole_and_as_large_as_asked(request_of: Make) -> None:
    """Data, pixels, size, type and seed belong together."""
    answer = await TestProvider().generate(request_of(n=3, size="80x48"), seeds=[7, 8, 9])
    assert [image.seed for image in answer.images] == [7, 8, 9]
    for image in answer.images:
        assert (image.width, image.height, image.mime) == (80, 48, "image/png")
        assert image.pixels is not None
        assert image.pixels.shape == (48, 80, 3)
        assert not image.pixels.flags.writeable
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(image.data))), image.pixels)
    assert len({image.data for image in answer.images}) == 3


@pytest.mark.parametrize("size", ["1x1", "7x5", "31x32", "64x64", "2048x3"])
async def test_any_size_up_to_2048_can_be_drawn(request_of: Make, size: str) -> None:
    """Tiny and narrow pictures are drawn too."""
    (image,) = (await TestProvider().generate(request_of(size=size), seeds=[1])).images
    assert f"{image.width}x{image.height}" == size


async def test_a_picture_of_a_batch_is_the_picture_made_alone(request_of: Make) -> None:
    """The seed alone decides, as for the real engine."""
    batch = await TestProvider().generate(request_of(n=4), seeds=[3, 4, 5, 6])
    alone = await TestProvider().generate(request_of(), seeds=[5])
    assert batch.images[2].data == alone.images[0].data


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "blue car"},
        {"negative_prompt": "blur"},
        {"guidance_scale": 5},
        {"scheduler": "ddim"},
        {"num_inference_steps": 9},
    ],
    ids=lambda fields: next(iter(fields)),
)
async def test_every_field_that_it_takes_changes_the_picture(request_of: Make, fields: dict[str, Any]) -> None:
    """Nothing is accepted and dropped."""
    plain = await TestProvider().generate(request_of(), seeds=[1])
    changed = await TestProvider().generate(request_of(**fields), seeds=[1])
    assert plain.images[0].data != changed.images[0].data


@pytest.mark.parametrize(("output_format", "magic"), [("jpeg", b"\xff\xd8"), ("webp", b"RIFF")])
async def test_other_formats_are_written(request_of: Make, output_format: str, magic: bytes) -> None:
    """The type that is said is the type that comes."""
    (image,) = (await TestProvider().generate(request_of(output_format=output_format), seeds=[1])).images
    assert image.mime == f"image/{output_format}"
    assert image.data.startswith(magic)


async def test_progress_is_told_step_by_step(request_of: Make) -> None:
    """As many reports as steps, picture after picture."""
    heard: list[Event] = []
    await TestProvider().generate(request_of(n=2, num_inference_steps=3), seeds=[1, 2], on_event=heard.append)
    steps = [event for event in heard if isinstance(event, Progress)]
    assert len(steps) == len(heard)
    assert [(step.image, step.step) for step in steps] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
    assert {(step.steps, step.images) for step in steps} == {(3, 2)}


async def test_the_price_is_exact_or_none(request_of: Make) -> None:
    """Five at 0.04 cost 0.20; without a price there is no cost, which is not 0."""
    priced = await TestProvider(cost=Decimal("0.04")).generate(request_of(n=5), seeds=range(5))
    assert priced.cost == Cost(amount=Decimal("0.20"), currency="USD")
    assert (await TestProvider().generate(request_of(), seeds=[1])).cost is None
    capabilities = await TestProvider(cost=Decimal("0.04")).capabilities()
    assert capabilities.cost is not None
    assert capabilities.cost.rates == {"image": Decimal("0.04")}


@pytest.mark.parametrize("seeds", [[], [1], [1, 2, 3], [1, -1], [1, 2**32]])
async def test_seeds_that_do_not_fit_are_refused(request_of: Make, seeds: list[int]) -> None:
    """One a picture, each below 2³²."""
    with pytest.raises(InvalidRequest, match="seeds"):
        await TestProvider().generate(request_of(n=2), seeds=seeds)


async def test_what_it_cannot_do_is_refused_before_it_counts(request_of: Make) -> None:
    """Another task, a size too large, an unknown scheduler or model."""
    provider = TestProvider("fake")
    for fields in ({"size": "2049x64"}, {"scheduler": "magic"}):
        with pytest.raises(UnsupportedRequest) as caught:
            await provider.generate(request_of(**fields), seeds=[1])
        assert caught.value.field in fields
        assert caught.value.provider == "fake"
    with pytest.raises(ModelUnavailable, match="limner-test"):
        await provider.generate(request_of(), model="sdxl", seeds=[1])
    assert (provider.calls, provider.billed) == (0, 0)


RAISED: list[tuple[Fault, type[ProviderError], int, bool]] = [
    ("refused", EngineUnavailable, 0, True),
    ("rate-limited", RateLimited, 0, True),
    ("quota", QuotaExhausted, 0, False),
    ("access", AccessDenied, 0, False),
    ("retired", ModelRetired, 0, False),
    ("moderation", ModerationBlocked, 0, False),
    ("failed", GenerationFailed, 0, False),
    ("blocked", ModerationBlocked, 1, False),
    ("unknown", OutcomeUnknown, 1, False),
]


@pytest.mark.parametrize(("fault", "kind", "billed", "again"), RAISED)
async def test_a_fault_is_raised_as_an_engine_would(
    request_of: Make, fault: Fault, kind: type[ProviderError], billed: int, again: bool
) -> None:
    """The class says what may be retried, the counter what was billed, and the error does not deny it."""
    provider = TestProvider("fake", fail=fault)
    with pytest.raises(kind) as caught:
        await provider.generate(request_of(), seeds=[1])
    assert type(caught.value) is kind
    assert caught.value.provider == "fake"
    assert caught.value.remedy
    assert provider.billed == billed
    assert caught.value.may_have_billed == bool(billed)
    assert caught.value.retry_safe == again


async def test_what_an_error_carries(request_of: Make) -> None:
    """When to come again, who follows, what was found and where, and the job that may be fetched."""
    with pytest.raises(RateLimited) as limited:
        await TestProvider(fail="rate-limited", retry_after=1.5).generate(request_of(), seeds=[1])
    assert limited.value.retry_after == 1.5
    with pytest.raises(ModelRetired) as retired:
        await TestProvider(fail="retired").generate(request_of(), seeds=[1])
    assert retired.value.successor == "limner-test-2"
    for fault, stage in (("moderation", "input"), ("blocked", "output")):
        with pytest.raises(ModerationBlocked) as blocked:
            await TestProvider(fail=fault).generate(request_of(), seeds=[1])  # type: ignore[arg-type]
        assert (blocked.value.stage, blocked.value.categories) == (stage, ("test",))
    with pytest.raises(OutcomeUnknown) as unknown:
        await TestProvider(fail="unknown", tells=("job",)).generate(request_of(), seeds=[1])
    assert unknown.value.job is not None
    assert unknown.value.job.startswith("test-")


async def test_faults_may_pass(request_of: Make) -> None:
    """`fail_first` lets later calls work, which is what a retry needs."""
    provider = TestProvider(fail="refused", fail_first=2)
    for _ in range(2):
        with pytest.raises(EngineUnavailable):
            await provider.generate(request_of(), seeds=[1])
    assert len((await provider.generate(request_of(), seeds=[1])).images) == 1


async def test_short_and_surplus_answers(request_of: Make) -> None:
    """One picture too few, one too many."""
    assert len((await TestProvider(fail="short").generate(request_of(n=3), seeds=[1, 2, 3])).images) == 2
    assert len((await TestProvider(fail="surplus").generate(request_of(n=3), seeds=[1, 2, 3])).images) == 4


@pytest.mark.parametrize("fault", ["garbage", "truncated"])
async def test_spoilt_bytes_do_not_decode(request_of: Make, fault: Fault) -> None:
    """What comes is no picture, and no pixels pretend that it is."""
    (image,) = (await TestProvider(fail=fault).generate(request_of(), seeds=[1])).images
    assert image.pixels is None
    with pytest.raises((OSError, SyntaxError)):
        Image.open(io.BytesIO(image.data)).load()


async def test_a_slow_provider_can_be_given_up(request_of: Make) -> None:
    """The wait can be cancelled, and what was not done is not billed."""
    provider = TestProvider(fail="slow")
    with anyio.move_on_after(0.05) as scope:
        await provider.generate(request_of(), seeds=[1])
    assert scope.cancelled_caught
    assert provider.billed == 0


@pytest.mark.parametrize(("fault", "lines"), [("crash-before-send", 0), ("crash-after-send", 1)])
async def test_a_crash_kills_the_process_and_the_ledger_tells_what_was_billed(
    tmp_path: Path, fault: Fault, lines: int
) -> None:
    """The child dies as from `kill -9`; the file that the provider wrote survives it."""
    ledger = tmp_path / "ledger.jsonl"
    code = (
        "import anyio, pathlib, sys; from limner_providers import ImageRequest\n"
        "from limner_providers.test import TestProvider\n"
        f"provider = TestProvider(fail={fault!r}, ledger=pathlib.Path(sys.argv[1]))\n"
        "async def main(): await provider.generate(ImageRequest(prompt='a'), seeds=[1])\n"
        "anyio.run(main)"
    )
    child = subprocess.run([sys.executable, "-c", code, str(ledger)], check=False, capture_output=True)
    assert child.returncode == -signal.SIGKILL
    written = ledger.read_text().splitlines() if ledger.exists() else []
    assert [json.loads(line)["n"] for line in written] == [1] * lines


def test_every_fault_is_tried_here() -> None:
    """A new fault needs a test."""
    tried = {fault for fault, *_ in RAISED} | {"short", "surplus", "garbage", "truncated", "slow", "cost-unknown"}
    assert tried | {"crash-before-send", "crash-after-send"} == set(get_args(Fault))
