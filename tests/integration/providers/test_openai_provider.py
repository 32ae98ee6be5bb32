"""The `openai` provider before the protocol server: what goes out, what comes back, and what is never paid twice."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from PIL import Image
from servers import faults
from servers import openai_faults as vendor
from servers.openai_server import OpenAIApp
from servers.pictures import encode, plain
from servers.script import Fault, Usual
from servers.serving import Server
from servers.wire import Request, Response

from limner_providers import ImageRequest, PartialImage
from limner_providers.capabilities import CostRule
from limner_providers.errors import (
    AccessDenied,
    EngineUnavailable,
    GenerationFailed,
    ModelUnavailable,
    ModerationBlocked,
    OutcomeUnknown,
    ResultRefused,
)
from limner_providers.openai import OpenAIProvider

OpenAIServer = Server[OpenAIApp]
Make = Callable[..., OpenAIProvider]
pytestmark = pytest.mark.anyio
APPLE = ImageRequest(prompt="a red apple")


@pytest.fixture
def make(openai_server: OpenAIServer) -> Make:
    """Give a factory of providers before the server; a test closes what it makes."""

    def made(**settings: Any) -> OpenAIProvider:
        base = {"api_key": openai_server.app.key, "base_url": f"{openai_server.url}/v1", "model": "gpt-image-2"}
        return OpenAIProvider("shop", **{**base, **settings})

    return made


async def test_only_what_is_configured_goes_out(
    openai_server: OpenAIServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vendor's client would add its platform, and the environment's organisation, keys and headers."""
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "from-the-environment")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Spy: from-the-environment\nAuthorization: from-the-environment")
    provider = make(project="proj_1", headers={"X-Trace": "7"}, query={"api-version": "preview"})
    await provider.generate(APPLE, seeds=[1])
    await provider.close()
    call = openai_server.app.ledger.only("/images/generations")
    assert "from-the-environment" not in str(call.headers)
    assert call.headers["authorization"] == f"Bearer {openai_server.app.key}"
    assert (call.headers["openai-project"], call.headers["x-trace"]) == ("proj_1", "7")
    assert call.query == {"api-version": "preview"}
    assert call.headers["user-agent"].startswith("limner/")
    assert [name for name in call.headers if name.startswith("x-stainless")] == []
    assert call.body == {"model": "gpt-image-2", "prompt": "a red apple", "n": 1, "output_format": "png"}


async def test_azures_key_goes_in_its_own_header(openai_server: OpenAIServer, make: Make) -> None:
    """And no `Authorization` beside it."""
    provider = make(api_key=None, base_url=f"{openai_server.url}/openai/v1", headers={"api-key": openai_server.app.key})
    assert (await provider.generate(APPLE, seeds=[1])).images
    await provider.close()
    assert "authorization" not in openai_server.app.ledger.calls("/images")[0].headers


async def test_inbound_bytes_are_kept_and_what_was_used_is_told(openai_server: OpenAIServer, make: Make) -> None:
    """A signed file would stay signed; size, quality and background are those of the answer."""
    sent = encode(plain((1024, 1024), (1, 2, 3)))
    openai_server.app.pictures = [sent]
    provider = make()
    answer = await provider.generate(ImageRequest(prompt="x", quality="low", background="opaque"), seeds=[1])
    await provider.close()
    assert answer.images[0].data == sent
    told = {name: answer.parameters[name] for name in ("size", "quality", "background", "output_format")}
    assert told == {"size": "1024x1024", "quality": "low", "background": "opaque", "output_format": "png"}
    assert answer.request_id == openai_server.app.ledger.only("/images").headers.get("x", answer.request_id)


async def test_a_key_behind_its_scheme_is_never_shown(openai_server: OpenAIServer, make: Make) -> None:
    """A server that repeats the bare key of an `Authorization` header as an error's code."""
    openai_server.script.next(faults.answer(400, {"error": {"code": "zqxjv12345", "type": "x"}}))
    provider = make(api_key=None, headers={"Authorization": "Bearer zqxjv12345"})
    with pytest.raises(GenerationFailed) as raised:
        await provider.generate(APPLE, seeds=[1])
    await provider.close()
    assert "zqxjv" not in f"{raised.value} {vars(raised.value)}"


async def test_the_end_user_is_told_only_where_the_configuration_says_so(
    openai_server: OpenAIServer, make: Make
) -> None:
    """An opaque id, under the vendor's name for it."""
    silent, open_hearted = make(), make(safety_identifier=True)
    for provider in (silent, open_hearted):
        await provider.generate(APPLE, seeds=[1], end_user="h_abc")
        await provider.close()
    first, second = openai_server.app.ledger.calls("/images")
    assert ("safety_identifier" in first.body, second.body["safety_identifier"]) == (False, "h_abc")


async def test_a_call_is_priced_by_its_tokens(openai_server: OpenAIServer, make: Make) -> None:
    """Exactly, at the rates of the catalogue; only a host of the vendor's own has them."""
    provider = make()
    target = provider._target(None)
    rates = {"text_input": Decimal("0.000005"), "image_output": Decimal("0.00003")}
    able = target.able.model_copy(update={"cost": CostRule(unit="token", rates=rates)})
    provider._targets["gpt-image-2"] = type(target)(
        provider="shop", model="gpt-image-2", dialect="gpt-image", able=able
    )
    answer = await provider.generate(APPLE, seeds=[1])
    openai_server.app.usage = "none"
    unknown = await provider.generate(APPLE, seeds=[1])
    await provider.close()
    text, image = answer.usage["input_text_tokens"], answer.usage["output_image_tokens"]
    assert answer.cost is not None
    assert answer.cost.amount == text * rates["text_input"] + image * rates["image_output"]
    assert unknown.cost is None
    assert "the cost is not known" in " ".join(unknown.warnings)


async def test_fewer_pictures_are_kept_and_told(openai_server: OpenAIServer, make: Make) -> None:
    """What is paid is not thrown away; whoever asked sees how many came."""
    openai_server.app.fewer = 1
    provider = make()
    answer = await provider.generate(ImageRequest(prompt="x", n=3), seeds=[1, 2, 3])
    await provider.close()
    assert len(answer.images) == 2
    assert "2 of 3 pictures came" in answer.warnings


async def test_results_without_end_are_not_all_taken(openai_server: OpenAIServer, make: Make) -> None:
    """Ten thousand rows cost neither our memory nor that many calls to strangers; how many came is told."""
    picture = base64.b64encode(encode(plain((16, 16), (9, 9, 9)))).decode()
    openai_server.script.next(vendor.rows(*[{"b64_json": picture}] * 10_000))
    provider = make()
    answer = await provider.generate(APPLE, seeds=[1])
    await provider.close()
    assert len(answer.images) == 11
    assert "10000 results came, of which 11 were looked at" in answer.warnings


async def test_one_broken_picture_costs_no_other(openai_server: OpenAIServer, make: Make) -> None:
    """HTML, a bomb's header and broken base64 beside a good picture."""
    bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\2\0\0\0" + bytes(4)
    good = encode(plain((64, 64), (9, 9, 9)))
    openai_server.app.pictures = [b"<html>please sign in</html>" * 20, bomb * 9, good]
    provider = make()
    answer = await provider.generate(ImageRequest(prompt="x", n=3), seeds=[1, 2, 3])
    assert [image.data for image in answer.images] == [good]
    assert sum("could not be taken" in warning for warning in answer.warnings) == 2
    openai_server.app.pictures = [b"<html>"]
    with pytest.raises(GenerationFailed) as raised:
        await provider.generate(APPLE, seeds=[1])
    await provider.close()
    assert raised.value.may_have_billed


async def test_a_stream_gives_unfinished_pictures_first(openai_server: OpenAIServer, make: Make) -> None:
    """As many as configured; the finished one is the answer's, with its bill."""
    heard: list[Any] = []
    provider = make(partial_images=2)
    answer = await provider.generate(APPLE, seeds=[1], on_event=heard.append)
    await provider.close()
    call = openai_server.app.ledger.only("/images")
    assert (call.body["stream"], call.body["partial_images"]) == (True, 2)
    assert [type(event) for event in heard] == [PartialImage, PartialImage]
    assert [event.index for event in heard] == [0, 1]
    assert len(answer.images) == 1
    assert answer.usage["output_image_tokens"] > 0


async def test_nothing_is_streamed_unless_the_configuration_says_so(openai_server: OpenAIServer, make: Make) -> None:
    """An unfinished picture costs tokens, so that a listener alone is no reason to ask for one."""
    heard: list[Any] = []
    provider = make()
    await provider.generate(APPLE, seeds=[1], on_event=heard.append)
    await provider.close()
    assert "stream" not in openai_server.app.ledger.only("/images").body
    assert heard == []


async def test_an_edit_can_be_streamed_too(openai_server: OpenAIServer, make: Make) -> None:
    """Its numbers and booleans travel in a form as texts."""
    heard: list[Any] = []
    provider = make(partial_images=1)
    picture = Image.new("RGB", (64, 64))
    request = ImageRequest.build(prompt="x", task="img2img", image=picture)
    assert (await provider.generate(request, seeds=[1], on_event=heard.append)).images
    await provider.close()
    call = openai_server.app.ledger.only("/images/edits")
    assert (call.body["stream"], call.body["partial_images"], len(heard)) == ("true", "1", 1)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (vendor.stream_without_completed(), OutcomeUnknown),
        (vendor.stream_broken_json(), OutcomeUnknown),
        (vendor.stream_error("output"), ModerationBlocked),
        (faults.cut("body", pieces=1, how="close"), OutcomeUnknown),
        (vendor.error(429, "x", code="insufficient_quota"), EngineUnavailable),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_a_broken_stream_is_no_success(
    openai_server: OpenAIServer, make: Make, fault: Fault, kind: type[Exception]
) -> None:
    """Both clients of the vendor end silently where a stream is cut; one request is made, and no second."""
    openai_server.script.next(fault)
    provider = make(partial_images=1)
    with pytest.raises(kind) as raised:
        await provider.generate(APPLE, seeds=[1], on_event=lambda event: None)
    await provider.close()
    assert raised.value.__context__ is None
    assert len(openai_server.app.ledger.calls("/images")) == 1


@pytest.mark.parametrize(
    "fault",
    [vendor.json_instead_of_stream(), vendor.stream_noise(), faults.cut("body", pieces=2), faults.drip(4096, 0)],
    ids=lambda fault: fault.name,
)
async def test_what_a_stream_may_be_is_read(openai_server: OpenAIServer, make: Make, fault: Fault) -> None:
    """JSON from a server that ignores `stream`, comments and CRLF, a cut behind the last event, drops of bytes."""
    openai_server.script.next(fault)
    provider = make(partial_images=1)
    answer = await provider.generate(APPLE, seeds=[1], on_event=lambda event: None)
    await provider.close()
    assert len(answer.images) == 1


@pytest.mark.parametrize(("octets", "whole"), [(1, True), (3, False)])
async def test_a_stream_whose_last_event_lacks_its_empty_line(
    openai_server: OpenAIServer, make: Make, octets: int, whole: bool
) -> None:
    """A paid picture that came whole is taken; one whose JSON is cut is an unknown outcome."""

    async def shortened(request: Request, usual: Usual) -> Response:
        picture = base64.b64encode(encode(plain((64, 64), (5, 5, 5)))).decode()
        event = json.dumps({"type": "image_generation.completed", "b64_json": picture})
        text = f"event: image_generation.completed\ndata: {event}\n"
        return Response(200, {"content-type": "text/event-stream"}, text[:-octets].encode())

    openai_server.script.next(Fault("shortened", shortened))
    provider = make(partial_images=1)
    try:
        if whole:
            answer = await provider.generate(APPLE, seeds=[1], on_event=lambda event: None)
            assert answer.images[0].width == 64
        else:
            with pytest.raises(OutcomeUnknown):
                await provider.generate(APPLE, seeds=[1], on_event=lambda event: None)
    finally:
        await provider.close()


@pytest.mark.parametrize("openai_server", ["dall-e"], indirect=True)
async def test_variations_and_addresses_of_the_older_dialect(openai_server: OpenAIServer, make: Make) -> None:
    """A square picture makes others; results at addresses of the configured host are fetched, new prompts kept."""
    provider = make(model="dall-e-2")
    square = Image.new("RGB", (64, 64), "red")
    request = ImageRequest.build(task="variation", image=square, n=2, size="256x256")
    answer = await provider.generate(request, seeds=[1, 2])
    assert [(image.width, image.height) for image in answer.images] == [(256, 256)] * 2
    call = openai_server.app.ledger.only("/images/variations")
    assert [file.field for file in call.files] == ["image"]
    assert "prompt" not in call.body
    three = make(model="dall-e-3")
    told = await three.generate(ImageRequest(prompt="x", extra={"openai": {"style": "natural"}}), seeds=[1])
    assert told.images[0].metadata["revised_prompt"].startswith("A detailed picture")
    for one in (provider, three):
        await one.close()


@pytest.mark.parametrize("openai_server", ["dall-e"], indirect=True)
async def test_results_at_addresses_are_fetched_from_named_hosts_alone(openai_server: OpenAIServer, make: Make) -> None:
    """The server's own host is named by `base_url`; a private address that nobody named is not asked."""
    server = openai_server.app
    name = server._keep(encode(plain((64, 64), (5, 5, 5))), "png", _Base(openai_server.url))  # type: ignore[arg-type]
    provider = make(model="dall-e-2")
    for address in (name, name.removeprefix(openai_server.url), f"..{name.removeprefix(openai_server.url)}"):
        openai_server.script.next(vendor.rows({"url": address}))
        assert (await provider.generate(APPLE, seeds=[1])).images[0].width == 64
    openai_server.script.next(vendor.rows({"url": "https://10.0.0.1/x.png?sig=secret-signature"}))
    with pytest.raises(ResultRefused) as raised:
        await provider.generate(APPLE, seeds=[1])
    await provider.close()
    assert raised.value.may_have_billed
    assert "secret-signature" not in str(raised.value)


class _Base:
    """What the server's store of files asks of a request."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url


@pytest.mark.parametrize("openai_server", ["lax"], indirect=True)
async def test_a_careless_server_is_understood_and_what_differs_is_told(
    openai_server: OpenAIServer, make: Make
) -> None:
    """It takes a size that it cannot make and uses another without a word: the caller hears of it."""
    provider = make(model="local", sizes=["100x100"])
    answer = await provider.generate(ImageRequest(prompt="x", size="100x100"), seeds=[1])
    assert "size 100x100 was asked for, and 512x512 came" in answer.warnings
    assert answer.parameters["uncatalogued"] == "true"
    openai_server.script.next(vendor.plain_text_error(400))
    with pytest.raises(GenerationFailed):
        await provider.generate(APPLE, seeds=[1])
    await provider.close()


async def test_a_look_tells_models_and_says_what_is_missing(openai_server: OpenAIServer, make: Make) -> None:
    """It costs nothing; a server without a list is there all the same; a wrong key is refused."""
    provider = make()
    health = await provider.check()
    assert "gpt-image-2" in health.models
    assert health.latency is not None
    openai_server.script.next(faults.answer(404, {"detail": "Not Found"}))
    assert (await provider.check()).missing
    wrong = make(api_key="sk-wrong-0123456789")
    with pytest.raises(AccessDenied) as raised:
        await wrong.check()
    assert "sk-wrong" not in str(raised.value)
    for one in (provider, wrong):
        await one.close()
    assert openai_server.app.ledger.billed_images() == 0


async def test_a_wrong_certificate_and_a_right_one(tmp_path: Path) -> None:
    """An authority that nobody named is not trusted, and nothing was sent; named by `ca_file` it is."""
    with Server(OpenAIApp(), tls=True) as server:
        settings: dict[str, Any] = {"api_key": server.app.key, "base_url": f"{server.url}/v1", "model": "gpt-image-2"}
        stranger = OpenAIProvider("shop", **settings)
        with pytest.raises(EngineUnavailable, match="certificate") as raised:
            await stranger.generate(APPLE, seeds=[1])
        assert not raised.value.retry_safe
        (tmp_path / "ca.pem").write_bytes(_authority(server))
        friend = OpenAIProvider("shop", **settings, ca_file=Path("ca.pem"), base_folder=tmp_path)
        assert (await friend.generate(APPLE, seeds=[1])).images
        for one in (stranger, friend):
            await one.close()


def _authority(server: OpenAIServer) -> bytes:
    assert server._authority is not None
    pem = server._authority.cert_pem.bytes()
    assert isinstance(pem, bytes)
    return pem


async def test_unknown_hosts_and_unknown_models(make: Make) -> None:
    """Each is told as what it is."""
    nowhere = make(base_url="http://no-such-host.invalid/v1")
    with pytest.raises(EngineUnavailable, match="has no known address"):
        await nowhere.generate(APPLE, seeds=[1])
    wrong = make(model="gpt-image-77")
    with pytest.raises(ModelUnavailable, match="gpt-image-77"):
        await wrong.generate(APPLE, seeds=[1])
    for one in (nowhere, wrong):
        await one.close()


async def test_the_time_is_the_requests_own(openai_server: OpenAIServer, make: Make) -> None:
    """The whole call ends with its deadline, also where bytes keep dripping."""
    openai_server.script.next(faults.drip(64, 0.05))
    provider = make()
    with anyio.fail_after(20), pytest.raises(OutcomeUnknown, match=r"in 0\.5 s"):
        await provider.generate(APPLE, seeds=[1], timeout=0.5)
    await provider.close()


async def test_cancelled_it_leaves_the_server(openai_server: OpenAIServer, make: Make) -> None:
    """The connection is closed at once, so that the server can stop."""
    openai_server.script.next(faults.hang())
    provider = make()
    task = asyncio.ensure_future(provider.generate(APPLE, seeds=[1]))
    while not openai_server.app.ledger.calls("/images"):
        await anyio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with anyio.fail_after(10):
        while not openai_server.app.ledger.only("/images").left:
            await anyio.sleep(0.01)
    await provider.close()


async def test_sixty_four_calls_share_connections(openai_server: OpenAIServer, make: Make) -> None:
    """Each gets its own answer; connections are kept and used again."""
    openai_server.app.pictures = [encode(plain((64, 64), (7, 7, 7)))]
    provider = make()
    for _ in range(3):
        answers = await asyncio.gather(*(provider.generate(APPLE, seeds=[1]) for _ in range(64)))
        assert len({answer.request_id for answer in answers}) == 64
    await provider.close()
    calls = openai_server.app.ledger.calls("/images")
    assert len(calls) == 192
    assert len({call.connection for call in calls}) <= 130


async def test_logs_hold_no_key_and_no_query(
    openai_server: OpenAIServer, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Even at their most talkative."""
    caplog.set_level(logging.DEBUG)
    provider = make(query={"code": "query-secret-123"})
    await provider.generate(APPLE, seeds=[1])
    await provider.close()
    shown = caplog.text + repr([record.args for record in caplog.records])
    assert str(openai_server.app.key) not in shown
    assert "query-secret" not in shown
    assert "a red apple" not in shown


async def test_importing_the_client_does_not_stop_the_loop() -> None:
    """The package is loaded in a thread of its own, the first time it is needed."""
    seen: list[str] = []
    provider = OpenAIProvider("shop", base_url="http://127.0.0.1:9/v1")
    made = provider._new_caller

    def noted() -> Any:
        seen.append(threading.current_thread().name)
        return made()

    provider._new_caller = noted  # type: ignore[method-assign]
    with pytest.raises(EngineUnavailable):
        await provider.generate(APPLE, seeds=[1])
    await provider.close()
    assert seen
    assert seen != [threading.main_thread().name]


def test_the_mask_is_obeyed_as_the_server_reads_it(openai_server: OpenAIServer, make: Make) -> None:
    """White is drawn anew, black stays, pixel for pixel at this server."""

    async def work() -> bytes:
        provider = make()
        picture = Image.new("RGB", (1024, 1024), (200, 10, 10))
        mask = Image.new("L", (1024, 1024))
        mask.paste(255, (0, 0, 512, 1024))
        request = ImageRequest.build(prompt="x", task="inpaint", image=picture, mask=mask)
        answer = await provider.generate(request, seeds=[1])
        await provider.close()
        return answer.images[0].data

    with Image.open(io.BytesIO(asyncio.run(work()))) as made:
        assert made.getpixel((900, 500)) == (200, 10, 10)
        assert made.getpixel((100, 500)) != (200, 10, 10)
