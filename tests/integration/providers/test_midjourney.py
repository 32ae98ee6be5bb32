"""The Midjourney provider against protocol servers of both dialects: what is sent, what comes back, what it costs."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from servers import faults
from servers.midjourney_faults import banned, business
from servers.midjourney_server import MidjourneyApp
from servers.midjourney_tasks import Plan, tiles_of
from servers.serving import Server

from limner_providers import ImageRequest, InputImage, JobAccepted, Progress, ProviderAnswer, Reference, _download
from limner_providers.base import Resumable
from limner_providers.errors import (
    AccessDenied,
    EngineUnavailable,
    GenerationFailed,
    ModerationBlocked,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    ResultRefused,
    UnsupportedRequest,
)
from limner_providers.midjourney import MidjourneyProvider
from limner_providers.parts import ImageOrigin

pytestmark = pytest.mark.anyio

MjServer = Server[MidjourneyApp]
Make = Callable[..., MidjourneyProvider]
only_trueai = pytest.mark.parametrize("midjourney_server", ["trueai"], indirect=True)
only_novicezk = pytest.mark.parametrize("midjourney_server", ["novicezk"], indirect=True)


async def imagine(provider: MidjourneyProvider, **fields: Any) -> ProviderAnswer:
    """Ask for red apples."""
    listener = fields.pop("on_event", None)
    timeout = fields.pop("timeout", None)
    request = ImageRequest.build(**{"prompt": "red apple", **fields})
    return await provider.generate(request, seeds=range(7, 7 + request.n), on_event=listener, timeout=timeout)


def origin(answer: ProviderAnswer, index: int = 2) -> ImageOrigin:
    """Name one picture of an answer."""
    return ImageOrigin(provider="mj", job=str(answer.images[0].job), index=index)


async def test_an_imagine_gives_four_single_pictures_with_their_names(
    midjourney_server: MjServer, provider: MidjourneyProvider
) -> None:
    """They are the grid's quadrants, in order, each with its job and number; events tell the job first."""
    told: list[Any] = []
    answer = await imagine(provider, aspect_ratio="3:2", on_event=told.append)
    task = next(iter(midjourney_server.app.tasks.values()))
    assert [(image.job, image.job_index) for image in answer.images] == [(task.id, i) for i in (1, 2, 3, 4)]
    for image, tile in zip(answer.images, tiles_of(task), strict=True):
        assert np.array_equal(np.array(Image.open(io.BytesIO(image.data))), np.array(tile))
        assert (image.width, image.height, image.mime) == (*tile.size, "image/png")
    assert task.prompt == "red apple --ar 3:2 --v 7 --seed 7"
    assert told[0] == JobAccepted(job=task.id)
    assert [event.step for event in told[1:] if isinstance(event, Progress)] == [0, 46]
    assert answer.parameters["seed"] == "7"
    assert answer.parameters["flags"] == "--ar 3:2 --v 7 --seed 7"
    assert answer.request_id == task.id
    assert answer.cost is None
    assert midjourney_server.ledger.billed_images() == 4


@only_trueai
@pytest.mark.parametrize("listed", [True, False])
async def test_singles_are_fetched_where_they_are_listed_and_cut_out_otherwise(
    midjourney_server: MjServer, provider: MidjourneyProvider, listed: bool
) -> None:
    """A single file stays byte for byte what came; without a list the grid is cut."""
    midjourney_server.app.image_urls = listed
    answer = await imagine(provider)
    asked = midjourney_server.ledger.calls("/cdn/")
    assert len(asked) == (4 if listed else 1)
    assert len(answer.images) == 4
    assert answer.warnings == ()
    assert all((image.pixels is None) is listed for image in answer.images)


@only_trueai
async def test_where_singles_cannot_be_fetched_the_grid_does(
    midjourney_server: MjServer, provider: MidjourneyProvider
) -> None:
    """A network of pictures that shuts strangers out costs no paid picture; it is said."""
    midjourney_server.script.always(faults.answer(403, "forbidden"), path="0_")
    answer = await imagine(provider)
    assert len(answer.images) == 4
    assert answer.warnings == ("single pictures could not be fetched; they were cut out of the grid",)


@pytest.mark.parametrize("kind", ["webp", "jpeg"])
async def test_a_grid_of_another_format_is_cut_all_the_same(
    midjourney_server: MjServer, provider: MidjourneyProvider, kind: Any
) -> None:
    """What is answered has the format that was asked for."""
    midjourney_server.app.picture_format, midjourney_server.app.image_urls = kind, False
    answer = await imagine(provider)
    assert {Image.open(io.BytesIO(image.data)).format for image in answer.images} == {"PNG"}
    again = await imagine(provider, output_format="webp", prompt="pear")
    assert {(image.mime, Image.open(io.BytesIO(image.data)).format) for image in again.images} == {
        ("image/webp", "WEBP")
    }


async def test_an_upscale_gives_that_very_picture(midjourney_server: MjServer, provider: MidjourneyProvider) -> None:
    """U2 is the second picture of the grid, alone."""
    first = await imagine(provider)
    second = await imagine(provider, prompt="", task="upscale", origin=origin(first, 2))
    (image,) = second.images
    assert image.job_index == 1
    assert image.job != first.images[0].job
    pixels = InputImage(image.data).pixels()
    assert np.array_equal(pixels, InputImage(first.images[1].data).pixels())
    assert midjourney_server.app.tasks[str(image.job)].index == 2


async def test_a_variation_gives_four_others(midjourney_server: MjServer, provider: MidjourneyProvider) -> None:
    """V3 varies the third picture; its seed is looked up where the proxy tells it."""
    first = await imagine(provider)
    second = await imagine(provider, prompt="", task="variation", origin=origin(first, 3), n=4)
    assert len(second.images) == 4
    task = midjourney_server.app.tasks[str(second.images[0].job)]
    assert (task.action, task.index) == ("VARIATION", 3)
    trueai = midjourney_server.app.dialect == "trueai"
    assert second.parameters.get("seed") == (str(task.seed) if trueai else None)


@only_trueai
async def test_a_variation_answers_the_dialog_that_remix_opens(
    midjourney_server: MjServer, provider: MidjourneyProvider
) -> None:
    """Code 21 with a new task is no earlier task: it waits for its dialog, and gets the prompt."""
    midjourney_server.app.remix = True
    first = await imagine(provider)
    second = await imagine(provider, prompt="a pear", task="variation", origin=origin(first))
    assert len(second.images) == 4
    assert midjourney_server.app.tasks[str(second.images[0].job)].prompt == "a pear"
    assert midjourney_server.ledger.only("/submit/modal").body["prompt"] == "a pear"


@only_trueai
async def test_an_inpainting_changes_only_what_is_white(
    midjourney_server: MjServer, provider: MidjourneyProvider
) -> None:
    """Upscale, press the button, answer the dialog with mask and prompt: outside the mask every pixel stays."""
    grid = await imagine(provider)
    single = await imagine(provider, prompt="", task="upscale", origin=origin(grid, 1))
    before = InputImage(single.images[0].data).pixels()
    mask = np.zeros(before.shape[:2], np.uint8)
    mask[20:40, 10:50] = 255
    painted = await imagine(provider, prompt="a hat", task="inpaint", mask=mask, origin=origin(single, 1))
    assert len(painted.images) == 4
    for image in painted.images:
        after = InputImage(image.data).pixels()
        changed = (after != before).any(axis=-1)
        assert changed.any()
        assert not changed[mask == 0].any()
    assert midjourney_server.ledger.only("/submit/modal").body["prompt"] == "a hat"


@only_trueai
async def test_a_picture_of_a_grid_is_taken_out_and_painted_into(
    midjourney_server: MjServer, provider: MidjourneyProvider
) -> None:
    """One request is enough, and it is said; the job that is told is the painting's."""
    grid = await imagine(provider)
    mask = np.full((64, 64), 255, np.uint8)
    told: list[Any] = []
    painted = await imagine(
        provider, prompt="a hat", task="inpaint", mask=mask, origin=origin(grid, 3), on_event=told.append
    )
    jobs = [event.job for event in told if isinstance(event, JobAccepted)]
    assert jobs == [painted.images[0].job]
    task = midjourney_server.app.tasks[jobs[0]]
    assert (task.action, task.parent.index if task.parent else 0) == ("INPAINT", 3)
    assert painted.warnings == ("the picture was taken out of its grid by an upscale first",)


@only_trueai
async def test_a_variation_says_where_its_prompt_was_not_used(provider: MidjourneyProvider) -> None:
    """An account without remix opens no dialog: the pictures are paid for, and it is said."""
    grid = await imagine(provider)
    answer = await imagine(provider, prompt="a pear", task="variation", origin=origin(grid))
    assert answer.warnings == ("the proxy asked for no prompt (remix is off): the one given was not used",)


@only_trueai
async def test_a_dialog_whose_answer_is_lost_is_decided_by_the_task(
    midjourney_server: MjServer, provider: MidjourneyProvider
) -> None:
    """The job is known, so nothing is unknown and nothing is submitted again."""
    grid = await imagine(provider)
    single = await imagine(provider, prompt="", task="upscale", origin=origin(grid, 1))
    midjourney_server.script.next(faults.cut("before_headers", work=True), path="/submit/modal")
    mask = np.full((64, 64), 255, np.uint8)
    painted = await imagine(provider, prompt="a hat", task="inpaint", mask=mask, origin=origin(single, 1))
    assert len(painted.images) == 4
    midjourney_server.ledger.only("/submit/modal")


@only_trueai
async def test_img2img_sends_the_picture_to_the_editor(
    midjourney_server: MjServer, provider: MidjourneyProvider
) -> None:
    """A picture of anybody's can be edited."""
    picture = np.full((32, 32, 3), 90, np.uint8)
    answer = await imagine(provider, task="img2img", image=picture)
    assert len(answer.images) == 4
    (task,) = midjourney_server.app.tasks.values()
    assert task.action == "EDIT"
    assert np.array_equal(InputImage(task.uploads[0]).pixels(), picture)


async def test_reference_pictures_travel(midjourney_server: MjServer, provider: MidjourneyProvider) -> None:
    """Pictures go beside the prompt; styles and characters are uploaded first where the proxy can (trueai)."""
    picture = InputImage.of(np.full((8, 8, 3), 90, np.uint8))
    await imagine(provider, references=[Reference(image=picture, weight=2)])
    task = next(iter(midjourney_server.app.tasks.values()))
    assert task.uploads == [picture.data]
    assert task.read.flags["iw"] == "2"
    asking = imagine(
        provider, references=[Reference(image=picture, use="style"), Reference(image=picture, use="character")]
    )
    if midjourney_server.app.dialect == "novicezk":
        with pytest.raises(UnsupportedRequest, match="references as image"):
            await asking
        return
    answer = await asking
    flags = midjourney_server.app.tasks[str(answer.images[0].job)].read.flags
    assert flags["sref"].startswith(midjourney_server.url)
    assert flags["oref"].startswith(midjourney_server.url)
    assert "http" not in answer.parameters["flags"]


async def test_speed_is_a_part_of_the_address_or_a_flag(midjourney_server: MjServer, make_midjourney: Make) -> None:
    """Each proxy is told in its own way."""
    answer = await imagine(make_midjourney(speed="turbo"))
    call = midjourney_server.ledger.only("/submit/imagine")
    if midjourney_server.app.dialect == "trueai":
        assert call.path == "/mj-turbo/mj/submit/imagine"
        assert "--turbo" not in call.body["prompt"]
    else:
        assert call.body["prompt"].endswith(" --turbo")
    assert answer.parameters["speed"] == "turbo"


async def test_the_negative_prompt_is_a_flag(midjourney_server: MjServer, provider: MidjourneyProvider) -> None:
    """It stands behind `--no`, which is no text of the prompt."""
    answer = await imagine(provider, negative_prompt="worms, rot")
    (task,) = midjourney_server.app.tasks.values()
    assert task.read.flags["no"] == "worms, rot"
    assert "worms" not in str(answer.parameters)


async def test_a_prompt_with_parameters_reaches_nobody(
    midjourney_server: MjServer, provider: MidjourneyProvider
) -> None:
    """It is refused before anything is sent, also with reference pictures to upload; escaped it is words."""
    for text in ("cat --v 5", "cat —ar 1:1", "{a,b}", "https://x/y.png cat"):
        with pytest.raises(UnsupportedRequest):
            await imagine(provider, prompt=text)
    assert midjourney_server.ledger.total == 0
    answer = await imagine(provider, prompt="cat --v 5", extra={"midjourney": {"dashes": "escape"}})
    (task,) = midjourney_server.app.tasks.values()
    assert task.read.words == "cat - v 5"
    assert task.read.flags["version"] == "7"
    assert answer.warnings == ("dashes or brackets of the prompt were written otherwise, as asked",)


async def test_a_queued_task_is_accepted(midjourney_server: MjServer, provider: MidjourneyProvider) -> None:
    """Code 22 has a job: it is waited for, not submitted again."""
    midjourney_server.app.core_size = 1
    midjourney_server.app.plan(Plan(stuck_at="IN_PROGRESS"))
    with pytest.raises(OutcomeUnknown):
        await imagine(provider, timeout=0.2)
    midjourney_server.app.core_size = 2
    assert len((await imagine(provider, prompt="pear")).images) == 4


async def test_a_full_queue_may_be_asked_again(midjourney_server: MjServer, provider: MidjourneyProvider) -> None:
    """Code 23: nothing was queued and nothing is billed."""
    midjourney_server.script.next(business(23), path="/submit/")
    with pytest.raises(RateLimited) as caught:
        await imagine(provider)
    assert (caught.value.retry_safe, caught.value.may_have_billed) == (True, False)
    assert midjourney_server.ledger.billed_images() == 0


async def test_a_banned_prompt_is_evidence(midjourney_server: MjServer, provider: MidjourneyProvider) -> None:
    """Code 24 is nobody's failure."""
    midjourney_server.script.next(banned("apple"), path="/submit/")
    with pytest.raises(ModerationBlocked) as caught:
        await imagine(provider)
    assert (caught.value.stage, caught.value.matched) == ("input", ("apple",))
    assert "apple" not in str(caught.value)


@pytest.mark.parametrize(
    "fault",
    [
        faults.cut("before_headers", work=True),
        faults.cut("body", work=True),
        faults.html_502(work=True),
        faults.bad_json(work=True),
        faults.answer(200, "ok", work=True),
        faults.answer(500, {"error": "Internal Server Error"}, work=True),
        faults.answer(200, {"code": 1, "result": None}, work=True),
    ],
    ids=lambda fault: fault.name,
)
async def test_a_submit_whose_answer_was_lost_is_found_by_its_state(
    midjourney_server: MjServer, provider: MidjourneyProvider, fault: Any
) -> None:
    """The task is in the proxy's list under a name that only this submit had: paid once, delivered once."""
    midjourney_server.script.next(fault, path="/submit/imagine")
    answer = await imagine(provider)
    assert len(answer.images) == 4
    midjourney_server.ledger.only("/submit/imagine")
    assert midjourney_server.ledger.billed_images() == 4


async def test_a_lost_submit_that_is_in_no_list_stays_unknown(
    midjourney_server: MjServer, provider: MidjourneyProvider
) -> None:
    """Nobody may repeat it; the state by which it can be looked for is told."""
    midjourney_server.script.next(faults.cut("before_headers", work=False), path="/submit/imagine")
    with pytest.raises(OutcomeUnknown, match=r"limner-[0-9a-f]{32}") as caught:
        await imagine(provider)
    assert not caught.value.fallback_safe
    midjourney_server.ledger.only("/submit/imagine")


async def test_looks_that_fail_are_survived(midjourney_server: MjServer, provider: MidjourneyProvider) -> None:
    """Polling cannot bill: outages, cut connections and a moment's ignorance pass."""
    unknown = faults.answer(200, None) if midjourney_server.app.dialect == "novicezk" else faults.answer(204)
    for fault in (faults.html_502(), faults.cut("before_headers"), faults.unavailable("0"), faults.bad_json(), unknown):
        midjourney_server.script.next(fault, path="/fetch")
    assert len((await imagine(provider)).images) == 4
    midjourney_server.ledger.only("/submit/imagine")


@pytest.mark.parametrize("stuck", ["SUBMITTED", "IN_PROGRESS"])
async def test_stuck_work_ends_with_what_is_known(
    midjourney_server: MjServer, provider: MidjourneyProvider, stuck: Any
) -> None:
    """About half of a real proxy's tasks got stuck so: the job and its last status are told, nothing is repeated."""
    midjourney_server.app.plan(Plan(stuck_at=stuck))
    told: list[Any] = []
    with pytest.raises(OutcomeUnknown, match=f"last seen: {stuck}") as caught:
        await imagine(provider, timeout=0.4, on_event=told.append)
    assert caught.value.job == told[0].job
    assert str(caught.value.job) in str(caught.value)
    midjourney_server.ledger.only("/submit/imagine")
    assert midjourney_server.ledger.calls("/cancel") == []


async def test_work_that_the_proxy_forgot_is_unknown(midjourney_server: MjServer, provider: MidjourneyProvider) -> None:
    """A store in memory loses tasks at a restart: they may be paid for."""
    midjourney_server.app.plan(Plan(lost=True))
    with pytest.raises(OutcomeUnknown, match="does not know the task any longer") as caught:
        await imagine(provider)
    assert caught.value.job is not None


@pytest.mark.parametrize(
    ("reason", "kind", "billed"),
    [
        ("任务超时", GenerationFailed, True),
        ("[Banned prompt detected] The word `x` is banned", ModerationBlocked, False),
        ("[Invalid parameter] Unrecognized", GenerationFailed, False),
    ],
)
async def test_failed_work_says_why(
    midjourney_server: MjServer, provider: MidjourneyProvider, reason: str, kind: type[ProviderError], billed: bool
) -> None:
    """A proxy's own time-out may have been paid for; what Midjourney refused was not."""
    midjourney_server.app.plan(Plan(fail=reason))
    with pytest.raises(kind) as caught:
        await imagine(provider)
    assert caught.value.may_have_billed is billed
    assert caught.value.job is not None


async def test_success_without_a_picture_is_a_failure(
    midjourney_server: MjServer, provider: MidjourneyProvider
) -> None:
    """Zero pictures are no success; the job is told, since it was paid for."""
    midjourney_server.app.plan(Plan(silent=True))
    with pytest.raises(GenerationFailed, match="names no picture") as caught:
        await imagine(provider)
    assert caught.value.may_have_billed
    assert caught.value.job is not None


@pytest.mark.parametrize(
    ("picture", "kind"),
    [(faults.HTML_PAGE, GenerationFailed), (b"GIF89a" + bytes(40), ResultRefused), (b"", GenerationFailed)],
)
async def test_a_result_that_is_no_picture_is_a_failure_with_its_job(
    midjourney_server: MjServer, provider: MidjourneyProvider, picture: bytes, kind: type[ProviderError]
) -> None:
    """What is called a PNG and is none is not taken."""
    midjourney_server.app.plan(Plan(picture=picture))
    with pytest.raises(kind) as caught:
        await imagine(provider)
    assert caught.value.may_have_billed
    assert caught.value.job is not None
    assert not caught.value.retry_safe


async def test_an_expired_address_is_told_with_its_job(
    midjourney_server: MjServer, provider: MidjourneyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture was made: it is to be fetched by its job, not asked for anew."""
    monkeypatch.setattr(_download, "_pause", lambda _: 0.0)
    midjourney_server.app.cdn.expired = True
    midjourney_server.app.image_urls = False
    with pytest.raises(ProviderError, match="could not be fetched") as caught:
        await imagine(provider)
    assert caught.value.job is not None
    assert "hm=" not in str(caught.value)


async def test_a_result_elsewhere_needs_to_be_named(midjourney_server: MjServer, provider: MidjourneyProvider) -> None:
    """An address on this machine that the configuration does not name is not asked."""

    def elsewhere(response: Any) -> Any:
        body = response.body.replace(midjourney_server.url.encode(), b"http://localhost:9")
        return type(response)(response.status, response.headers, body)

    midjourney_server.script.always(faults.changed("elsewhere", elsewhere), path="/fetch")
    with pytest.raises(ResultRefused) as caught:
        await imagine(provider)
    assert caught.value.job is not None


@only_novicezk
async def test_an_earlier_upscale_of_the_same_picture_is_taken_and_said(
    midjourney_server: MjServer, provider: MidjourneyProvider
) -> None:
    """Code 21: the very same upscale exists; nothing new is made or paid."""
    grid = await imagine(provider)
    first = await imagine(provider, prompt="", task="upscale", origin=origin(grid))
    again = await imagine(provider, prompt="", task="upscale", origin=origin(grid))
    assert again.images[0].job == first.images[0].job
    assert again.warnings == ("the proxy gave the pictures of an earlier task of the very same work",)


async def test_an_earlier_task_of_other_work_is_not_taken(
    midjourney_server: MjServer, provider: MidjourneyProvider
) -> None:
    """Somebody else's pictures are not passed off as what was asked."""
    other = await imagine(provider, prompt="a pear")
    midjourney_server.script.next(business(21, task_id=str(other.images[0].job)), path="/submit/imagine")
    with pytest.raises(GenerationFailed, match="other work") as caught:
        await imagine(provider)
    assert not caught.value.may_have_billed


async def test_an_unknown_parent_is_about_the_origin(midjourney_server: MjServer, provider: MidjourneyProvider) -> None:
    """The proxy has forgotten the grid: nothing was submitted that could bill."""
    grid = await imagine(provider)
    midjourney_server.app.forget_tasks()
    with pytest.raises(UnsupportedRequest) as caught:
        await imagine(provider, prompt="", task="upscale", origin=origin(grid))
    assert caught.value.field == "origin"


async def test_no_account_is_no_failure_of_the_request(
    midjourney_server: MjServer, provider: MidjourneyProvider
) -> None:
    """Code 3 of an imagine: the proxy has nobody to ask; another engine may be."""
    midjourney_server.app.no_account = True
    with pytest.raises(EngineUnavailable) as caught:
        await imagine(provider)
    assert caught.value.fallback_safe


async def test_a_wrong_secret_is_access_denied_and_never_shown(
    midjourney_server: MjServer, make_midjourney: Make
) -> None:
    """Whatever the dialect's 401 looks like."""
    secret = "wrong-secret-5e1f"
    provider = make_midjourney(secret=secret)
    for asking in (imagine(provider), provider.check()):
        with pytest.raises(AccessDenied) as caught:
            await asking
        assert secret not in str(caught.value)
    assert secret not in repr(provider)
    assert midjourney_server.ledger.billed_images() == 0


async def test_accepted_work_is_fetched_later_by_its_job(midjourney_server: MjServer, make_midjourney: Make) -> None:
    """Another process with the job's id gets the same pictures; nothing is submitted."""
    first = make_midjourney()
    midjourney_server.app.plan(Plan(stuck_at="IN_PROGRESS"))
    with pytest.raises(OutcomeUnknown) as caught:
        await imagine(first, timeout=0.3)
    job = str(caught.value.job)
    later = make_midjourney()
    assert isinstance(later, Resumable)
    with pytest.raises(OutcomeUnknown) as still:
        await later.fetch(job, ImageRequest(prompt="red apple"), timeout=0)
    assert still.value.job == job
    task = midjourney_server.app.tasks[job]
    task.plan = Plan()
    answer = await later.fetch(job, ImageRequest(prompt="red apple"))
    assert [(image.job, image.job_index) for image in answer.images] == [(job, i) for i in (1, 2, 3, 4)]
    again = await later.fetch(job, ImageRequest(prompt="red apple"), timeout=0)
    assert len(again.images) == 4
    midjourney_server.ledger.only("/submit/imagine")


async def test_a_listener_that_raises_costs_no_picture(provider: MidjourneyProvider) -> None:
    """It is not asked again, and that is said."""

    def raising(event: object) -> None:
        raise ValueError("no")

    answer = await imagine(provider, on_event=raising)
    assert len(answer.images) == 4
    assert answer.warnings == ("on_event raised ValueError and was not called again",)


async def test_check_tells_reachability_latency_and_dialect(midjourney_server: MjServer, make_midjourney: Make) -> None:
    """A dialect that was mixed up is named with what to set; nothing is submitted."""
    app = midjourney_server.app
    health = await make_midjourney().check()
    assert health.missing == ()
    assert f"speaks {app.dialect}" in health.detail
    assert health.latency is not None
    assert "midjourney-7" in health.models
    other = "trueai" if app.dialect == "novicezk" else "novicezk"
    (mixed,) = (await make_midjourney(dialect=other).check()).missing
    assert f"set dialect: {app.dialect}" in mixed
    assert midjourney_server.ledger.calls("/submit/") == []


async def test_check_says_so_where_no_proxy_is(midjourney_server: MjServer, make_midjourney: Make) -> None:
    """A web page, another service and a closed port are three clear errors."""
    for fault in (faults.html_as("text/html"), faults.answer(200, {"hello": "world"}), faults.answer(404, "no")):
        midjourney_server.script.next(fault)
        with pytest.raises(EngineUnavailable):
            await make_midjourney().check()
    with pytest.raises(EngineUnavailable, match="refused"):
        await make_midjourney(base_url="http://127.0.0.1:9").check()
