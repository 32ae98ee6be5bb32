"""What must never be paid twice nor lost at a Midjourney proxy: half-done work, lost answers, late cancels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import numpy as np
import pytest
from servers import faults
from servers.midjourney_faults import business
from servers.midjourney_server import MidjourneyApp
from servers.midjourney_tasks import Plan
from servers.script import Fault, Usual
from servers.serving import Server
from servers.wire import Request, Response

from limner_providers import ImageRequest, InputImage, ProviderAnswer
from limner_providers.errors import (
    OutcomeUnknown,
    RateLimited,
)
from limner_providers.midjourney import MidjourneyProvider
from limner_providers.parts import ImageOrigin

pytestmark = pytest.mark.anyio

MjServer = Server[MidjourneyApp]
Make = Callable[..., MidjourneyProvider]
only_trueai = pytest.mark.parametrize("midjourney_server", ["trueai"], indirect=True)


async def imagine(provider: MidjourneyProvider, **fields: Any) -> ProviderAnswer:
    """Ask for red apples."""
    listener = fields.pop("on_event", None)
    timeout = fields.pop("timeout", None)
    request = ImageRequest.build(**{"prompt": "red apple", **fields})
    return await provider.generate(request, seeds=range(7, 7 + request.n), on_event=listener, timeout=timeout)


def origin(answer: ProviderAnswer, index: int = 2) -> ImageOrigin:
    """Name one picture of an answer."""
    return ImageOrigin(provider="mj", job=str(answer.images[0].job), index=index)


@only_trueai
async def test_a_request_that_already_cost_an_upscale_is_not_made_again(
    midjourney_server: MjServer, provider: MidjourneyProvider
) -> None:
    """Where a picture was taken out of its grid and the painting was not queued, nobody may start over elsewhere."""
    grid = await imagine(provider)
    mask = InputImage.of(np.full((8, 8), 255, np.uint8), field="mask")
    request = ImageRequest(task="inpaint", prompt="a pear", origin=origin(grid), image=_black(8), mask=mask)

    async def full_the_second_time(message: Request, usual: Usual) -> Response:
        if b"upsample" in message.body:
            return await usual()
        return Response.of_json({"code": 23, "description": "队列已满"})

    midjourney_server.script.always(Fault("full", full_the_second_time), path="/submit/action")
    billed = midjourney_server.ledger.billed_images()
    with pytest.raises(RateLimited) as caught:
        await provider.generate(request, seeds=(1,))
    assert midjourney_server.ledger.billed_images() == billed + 1
    assert (caught.value.retry_safe, caught.value.may_have_billed, caught.value.fallback_safe) == (False, True, False)


def _black(side: int) -> InputImage:
    return InputImage.of(np.zeros((side, side, 3), np.uint8), field="image")


@pytest.mark.parametrize("status", [500, 503])
async def test_a_submit_that_failed_is_unknown_where_no_list_can_be_read(
    midjourney_server: MjServer, provider: MidjourneyProvider, status: int
) -> None:
    """Only a list that was read says that nothing was queued; a gateway's 503 without a time says nothing."""
    body = {"error": "x"} if status == 500 else b"upstream connect error"
    midjourney_server.script.next(faults.answer(status, body, work=True), path="/submit/")
    midjourney_server.script.always(faults.answer(502), path="/mj/task/list")
    midjourney_server.script.always(faults.answer(502), path="/mj/task/queue")
    with pytest.raises(OutcomeUnknown) as caught:
        await imagine(provider)
    assert not caught.value.fallback_safe


async def test_an_earlier_task_that_is_not_shown_is_unknown(
    midjourney_server: MjServer, provider: MidjourneyProvider
) -> None:
    """A look that fails after code 21 is not "nothing was made": the same submit is not made again."""
    midjourney_server.script.next(business(21, "任务已存在", task_id="123"), path="/submit/")
    midjourney_server.script.always(faults.unavailable(), path="/fetch")
    with pytest.raises(OutcomeUnknown) as caught:
        await imagine(provider)
    assert (caught.value.retry_safe, caught.value.job) == (False, None)


async def test_a_picture_that_is_being_fetched_is_not_given_up(
    midjourney_server: MjServer, provider: MidjourneyProvider
) -> None:
    """Work that has ended is paid for: who cancels while its pictures are on their way gets them all the same."""
    began = anyio.Event()

    async def slowly(message: Request, usual: Usual) -> Response:
        began_in.call_soon_threadsafe(began.set)
        await asyncio.sleep(0.3)
        return await usual()

    began_in = asyncio.get_running_loop()
    midjourney_server.script.always(Fault("slowly", slowly), path="/cdn/")
    answers: list[ProviderAnswer] = []

    async def ask() -> None:
        answers.append(await imagine(provider))

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await began.wait()
        group.cancel_scope.cancel()
    assert [len(answer.images) for answer in answers] == [4]


async def test_a_cancelled_call_cancels_the_task_where_that_can_be_done(
    midjourney_server: MjServer, provider: MidjourneyProvider
) -> None:
    """The proxy is told where it has a call for it (trueai)."""
    midjourney_server.app.plan(Plan(stuck_at="IN_PROGRESS"))
    accepted = asyncio.Event()
    running = asyncio.ensure_future(imagine(provider, on_event=lambda _: accepted.set()))
    await accepted.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (task,) = midjourney_server.app.tasks.values()
    if midjourney_server.app.dialect == "trueai":
        assert task.fail_reason == "取消任务"
    else:
        assert midjourney_server.ledger.calls("/cancel") == []


@only_trueai
async def test_a_call_cancelled_while_it_submits_finds_its_task_and_cancels_it(
    midjourney_server: MjServer, provider: MidjourneyProvider
) -> None:
    """Not even the answer to the submit is needed: the state names the task."""
    midjourney_server.script.next(faults.hang(work=True), path="/submit/imagine")
    running = asyncio.ensure_future(imagine(provider))
    while not midjourney_server.app.tasks:
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (task,) = midjourney_server.app.tasks.values()
    assert task.fail_reason == "取消任务"
