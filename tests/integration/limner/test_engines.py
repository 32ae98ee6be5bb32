"""The whole way with the real providers against protocol servers: OpenAI Images and the Midjourney proxy."""

from __future__ import annotations

import base64
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import faults, midjourney_faults, openai_faults
from servers.midjourney_server import MidjourneyApp
from servers.openai_server import OpenAIApp
from servers.pictures import encode, plain
from servers.serving import Server
from servers.wire import Response

from limner import ImageRequest, Limner, verify_file
from limner.config import Config
from limner.errors import (
    AccessDenied,
    Cancelled,
    GenerationFailed,
    ModerationBlocked,
    OutcomeUnknown,
    RequestEnded,
    ResultRefused,
    UnsupportedRequest,
)
from limner.reading import open_log
from limner.records import Record
from limner.recovery import fetchable_records, recover
from limner.steps.calls import attempts
from limner_provenance.audit import verify as verify_log
from limner_provenance.credentials import read_credentials

House = Callable[..., Config]
OpenAI = Server[OpenAIApp]
Midjourney = Server[MidjourneyApp]


def openai(server: OpenAI, **settings: Any) -> dict[str, Any]:
    """Give the section of a provider that asks this server."""
    base = {"kind": "openai", "base_url": f"{server.url}/v1", "api_key": server.app.key, "model": "gpt-image-2"}
    return base | settings


def midjourney(server: Midjourney, **settings: Any) -> dict[str, Any]:
    """Give the section of a provider that asks this proxy, which works as fast as it can."""
    server.app.pace = 0.02
    base = {"kind": "midjourney", "base_url": server.url, "secret": server.app.secret, "dialect": server.app.dialect}
    return base | {"poll": [0.02, 0.05], "version": "7"} | settings


def proven(config: Config, record_id: str) -> Record:
    """Read a record back, after checking that its log proves itself."""
    with open_log(config) as log:
        assert verify_log(log).ok
        record = Record.load(log, record_id)
        assert record.state.irregular == ()
        return record


def test_openai_is_governed_signed_and_recorded(house: House, openai_server: OpenAI, tmp_path: Path) -> None:
    """One call, a signed picture that verifies, its cost, what was counted for it, and no key in any entry."""
    config = house(providers={"openai": openai(openai_server, price_per_image="0.02")})
    with Limner.open(config, context={"user": "ann"}) as limner:
        result = limner.generate("a red apple", size="1024x1024", quality="low")
    assert verify_file(result.images[0].save(tmp_path / "a.png"), config=config).good
    assert len(openai_server.ledger.calls("/v1/images/generations")) == 1
    assert result.cost is not None
    assert str(result.cost.amount) == "0.02"
    assert result.images[0].seed is None
    record = proven(config, result.record_id)
    assert record.entry("produced").data["usage"]
    assert record.entry("attempted").data["seeds"] == []
    with open_log(config) as log:
        assert str(openai_server.app.key) not in "".join(e.leaf for e in log.entries())


@pytest.mark.parametrize("openai_server", ["lax"], indirect=True)
def test_a_model_that_nobody_catalogued_is_marked(house: House, openai_server: OpenAI) -> None:
    """A compatible server's own model is asked for its dialect's least, and result and record say so."""
    section = openai(openai_server, model="house-model")
    config = house(providers={"openai": section})
    with Limner.open(config) as limner:
        result = limner.generate("a red apple")
        again = limner.get(result.record_id)
    assert result.plan[0].uncatalogued
    assert again.plan == result.plan
    assert any("house-model is not catalogued" in w for w in again.warnings)
    assert proven(config, result.record_id).entry("planned").data["candidates"][0]["uncatalogued"] is True


def test_openai_edit_with_a_mask(house: House, openai_server: OpenAI) -> None:
    """An edit of a picture of a result names that one as its parent."""
    import numpy as np

    config = house(providers={"openai": openai(openai_server)})
    with Limner.open(config) as limner:
        first = limner.generate("a red apple", size="1024x1024").images[0]
        mask = np.zeros((1024, 1024), np.uint8)
        mask[:512] = 255
        result = limner.edit(first, "a green apple", mask=mask)
    assert len(openai_server.ledger.calls("/v1/images/edits")) == 1
    told = [(i.title, i.relationship) for i in read_credentials(result.images[0].data).ingredients]
    inputs = [("mask", "inputTo"), ("model gpt-image-2", "inputTo")]
    assert told == [("image to start from", "parentOf"), *inputs]


def test_a_wrong_key_falls_back_and_a_block_does_not(
    house: House, openai_server: OpenAI, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """Who is not let in is passed over, and no key is in any message; a moderation block ends the request."""
    wrong = "sk-wrong-key-0123456789"
    config = house(providers={"openai": openai(openai_server, api_key=wrong), "fake": {}})
    with Limner.open(config) as limner:
        result = limner.generate("a red apple")
        assert result.provider == "fake"
        with pytest.raises(AccessDenied) as caught:
            limner.generate("a red apple", provider="openai")
    assert wrong not in f"{result!r} {result.warnings} {result.attempts} {caught.value} {caplog.text}"
    openai_server.script.next(openai_faults.moderation_blocked())
    with (
        Limner.open(house(providers={"openai": openai(openai_server), "fake": {}})) as limner,
        pytest.raises(ModerationBlocked) as blocked,
    ):
        limner.generate("a red apple")
    record = proven(config, str(blocked.value.record_id))
    assert record.entry("attempt_failed").data["moderation"]["stage"] == blocked.value.stage
    assert len(record.all("attempted")) == 1


def test_retry_after_and_quota(house: House, openai_server: OpenAI, waits: list[float]) -> None:
    """429 is waited for as it says and asked again; an empty account goes to the next one at once."""
    openai_server.script.next(openai_faults.rate_limited(retry_after="7"))
    config = house(providers={"openai": openai(openai_server), "fake": {}})
    with Limner.open(config) as limner:
        result = limner.generate("a red apple")
        assert (result.provider, waits, len(result.attempts)) == ("openai", [7.0], 2)
        openai_server.script.next(openai_faults.quota_exhausted())
        assert limner.generate("a red apple").provider == "fake"
    assert waits == [7.0]


def test_an_answer_that_was_lost_is_never_repeated(house: House, openai_server: OpenAI) -> None:
    """After a gateway's own page the outcome is unknown: one call was made, and nobody else is asked."""
    openai_server.script.next(faults.html_502(work=True))
    config = house(providers={"openai": openai(openai_server), "fake": {}})
    with Limner.open(config) as limner, pytest.raises(OutcomeUnknown) as caught:
        limner.generate("a red apple")
    assert len(openai_server.ledger.calls("/v1/images/generations")) == 1
    assert proven(config, str(caught.value.record_id)).standing == "unknown"


def test_midjourney_gives_one_and_keeps_four(house: House, midjourney_server: Midjourney, tmp_path: Path) -> None:
    """One picture is asked for; four are paid for, signed and kept, and the job's name stands in the record."""
    config = house(providers={"mj": midjourney(midjourney_server)})
    with Limner.open(config, context={"user": "ann"}) as limner:
        result = limner.generate("a red apple", aspect_ratio="1:1")
        assert (len(result.images), len(result.surplus)) == (1, 3)
        again = limner.get(result.record_id)
    assert [i.data for i in again.surplus] == [i.data for i in result.surplus]
    assert all(verify_file(i.save(tmp_path / f"{i.index}.png"), config=config).good for i in result.surplus)
    record = proven(config, result.record_id)
    assert record.entry("submitted").data["job"]
    assert result.images[0].origin is not None
    assert result.images[0].origin.job == record.entry("submitted").data["job"]
    assert result.cost is None


def test_midjourney_upscales_its_own_picture(house: House, midjourney_server: Midjourney) -> None:
    """A picture of a result is upscaled by its job; another engine's picture is refused with the reason."""
    config = house(providers={"mj": midjourney(midjourney_server), "fake": {"tasks": ["txt2img"]}})
    with Limner.open(config) as limner:
        second = limner.generate("a red apple", n=4, provider="mj").images[1]
        larger = limner.upscale(second)
        foreign = limner.generate("a red apple", provider="fake").images[0]
        with pytest.raises(UnsupportedRequest) as caught:
            limner.upscale(foreign)
    assert larger.provider == "mj"
    assert read_credentials(larger.images[0].data).ingredients[0].relationship == "parentOf"
    assert caught.value.field in {"image", "task"}


def test_midjourney_negative_prompt_is_an_adaptation(house: House, midjourney_server: Midjourney) -> None:
    """`--no` is no negative prompt: without leave it is refused, with leave it is listed."""
    config = house(providers={"mj": midjourney(midjourney_server)})
    with Limner.open(config) as limner:
        with pytest.raises(UnsupportedRequest):
            limner.generate("a red apple", negative_prompt="blur")
        result = limner.generate("a red apple", negative_prompt="blur", seed=7, n=5, on_unsupported="adapt")
    assert {a.field for a in result.adaptations} >= {"negative_prompt", "n", "seed"}
    assert "blur" not in str(result.adaptations)
    assert (len(result.images), len(result.surplus)) == (5, 3)
    assert len(proven(config, result.record_id).all("submitted")) == 2


def test_midjourney_work_that_took_too_long_is_fetched_later(house: House, midjourney_server: Midjourney) -> None:
    """A time-out leaves an unknown outcome and the job's name; later its pictures are fetched, sealed and delivered."""
    section = midjourney(midjourney_server)
    midjourney_server.app.pace = 1.0
    config = house(providers={"mj": section})
    with Limner.open(config) as limner, pytest.raises(OutcomeUnknown) as caught:
        limner.generate("a red apple", timeout=0.5)
    assert caught.value.job
    record_id = str(caught.value.record_id)
    assert fetchable_records(config) == [record_id]
    done = _fetched(config)
    assert done.startswith("1 sealed"), done
    with Limner.open(config) as limner:
        result = limner.get(record_id)
    assert (len(result.images), len(result.surplus)) == (1, 3)
    assert len(midjourney_server.ledger.calls("/mj/submit/imagine")) == 1
    proven(config, record_id)


def _fetched(config: Config) -> str:
    """Fetch until the proxy is done, as somebody would who tries again."""
    deadline = time.monotonic() + 30
    while True:
        (found,) = recover(config, fetch=True)
        if not found.outcome.startswith("not fetched") or time.monotonic() > deadline:
            return found.outcome
        time.sleep(0.3)


def test_midjourney_banned_words(house: House, midjourney_server: Midjourney) -> None:
    """The proxy's own block is kept apart from errors, and nobody else is asked."""
    midjourney_server.script.next(midjourney_faults.banned(), path="/mj/submit/imagine")
    config = house(providers={"mj": midjourney(midjourney_server), "fake": {}})
    with Limner.open(config) as limner, pytest.raises(ModerationBlocked) as caught:
        limner.generate("a gory scene")
    assert [e.step for e in proven(config, str(caught.value.record_id)).entries][-2:] == ["attempt_failed", "failed"]


@pytest.mark.parametrize("midjourney_server", ["trueai"], indirect=True)
def test_the_command_line_asks_either(
    midjourney_server: Midjourney,
    openai_server: OpenAI,
    command: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`limner generate --provider NAME --output a.png` writes one signed picture that verifies, for each engine."""
    monkeypatch.setenv("OPENAI_TEST_KEY", str(openai_server.app.key))
    monkeypatch.setenv("MJ_TEST_SECRET", str(midjourney_server.app.secret))
    sections = {
        "openai": openai(openai_server, api_key="${OPENAI_TEST_KEY}"),
        "mj": midjourney(midjourney_server, secret="${MJ_TEST_SECRET}"),
    }
    (tmp_path / "limner.yaml").write_text(json.dumps({"providers": sections}), encoding="utf-8")
    for name in sections:
        code, out, _ = command("generate", "a red apple", "--provider", name, "--output", f"{name}.png", "--json")
        assert code == 0, out
        assert [Path(i["file"]).name for i in json.loads(out)["images"]] == [f"{name}.png"]
        assert command("verify", f"{name}.png")[0] == 0
    assert command("audit", "verify")[0] == 0


def test_cancel_reaches_the_engine(house: House, midjourney_server: Midjourney) -> None:
    """A request that is cancelled while the proxy works is cancelled there too, where the proxy can do that."""
    section = midjourney(midjourney_server)
    midjourney_server.app.pace = 30.0
    config = house(providers={"mj": section, "fake": {}})
    with Limner.open(config) as limner:
        job = limner.submit(ImageRequest(prompt="a red apple"))
        with open_log(config) as log:
            while not list(log.entries(steps=["submitted"])):
                time.sleep(0.05)
        stopped = limner.cancel(job.record_id)
        with pytest.raises((Cancelled, OutcomeUnknown)):
            job.wait()
    record = proven(config, job.record_id)
    assert stopped is (record.standing == "cancelled")
    assert len(record.all("attempted")) == 1
    assert record.standing == "cancelled"
    assert record.entry("cancelled").data["may_have_billed"] is True
    if midjourney_server.app.dialect == "trueai":
        assert [c.path for c in midjourney_server.ledger.calls() if c.path.endswith("/cancel")]
        assert all(t.ended for t in midjourney_server.app.tasks.values())


def test_words_of_the_prompt_that_a_proxy_named_are_kept_apart(house: House, midjourney_server: Midjourney) -> None:
    """The banned word is the user's: whoever asked is told, the log's entries hold none of it."""
    midjourney_server.script.next(midjourney_faults.banned("zqxjv"), path="/mj/submit/imagine")
    config = house(providers={"mj": midjourney(midjourney_server)})
    with Limner.open(config) as limner, pytest.raises(ModerationBlocked) as caught:
        limner.generate("a zqxjv scene")
    assert caught.value.matched == ("zqxjv",)
    record = proven(config, str(caught.value.record_id))
    assert not any("zqxjv" in entry.leaf for entry in record.entries)
    with open_log(config) as log:
        (call,) = attempts(Record.load(log, record.id))
    assert call.moderation == {"stage": "input", "categories": ["banned word"], "matched": ["zqxjv"]}


def test_a_result_that_was_refused_here_is_fetched_once_its_host_is_named(
    house: House, midjourney_server: Midjourney
) -> None:
    """A paid picture at a host that nobody named waits at its engine until the configuration names it."""
    section = midjourney(midjourney_server)
    elsewhere = midjourney_server.url.replace("127.0.0.1", "localhost")
    real = midjourney_server.url

    def moved(response: Response) -> Response:
        body = response.body if isinstance(response.body, bytes) else b""
        return dataclasses.replace(response, body=body.replace(real.encode(), elsewhere.encode()))

    midjourney_server.script.always(faults.changed("moved", moved), path="/fetch")
    with Limner.open(house(providers={"mj": section})) as limner, pytest.raises(ResultRefused) as caught:
        limner.generate("a red apple")
    record_id = str(caught.value.record_id)
    named = house(providers={"mj": section | {"allowed_hosts": [elsewhere.removeprefix("http://")]}})
    assert fetchable_records(named) == [record_id]
    (found,) = recover(named, fetch=True)
    assert found.outcome.startswith("1 sealed"), found.outcome
    with Limner.open(named) as limner:
        assert len(limner.get(record_id).images) == 1
    assert len(midjourney_server.ledger.calls("/mj/submit/imagine")) == 1
    proven(named, record_id)


def test_another_format_costs_only_a_names_ending(
    openai_server: OpenAI,
    command: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that answers with JPEG where PNG was asked for: the paid picture is written, over no other file."""
    monkeypatch.setenv("OPENAI_TEST_KEY", str(openai_server.app.key))
    sections = {"openai": openai(openai_server, api_key="${OPENAI_TEST_KEY}")}
    (tmp_path / "limner.yaml").write_text(json.dumps({"providers": sections}), encoding="utf-8")
    (tmp_path / "b.jpg").write_bytes(b"mine")
    jpeg = base64.b64encode(encode(plain((64, 64), (200, 9, 9)), "jpeg")).decode()
    for name, written in (("a", "a.jpg"), ("b", None)):
        openai_server.script.next(openai_faults.rows({"b64_json": jpeg}))
        code, out, _ = command("generate", "a red apple", "--output", f"{name}.png", "--json")
        told = json.loads(out)
        assert code == 0, out
        file = Path(told["images"][0]["file"])
        assert file.name == written or file.name.startswith("b-")
        assert any("image/jpeg" in warning for warning in told["warnings"])
        assert command("verify", str(file))[0] == 0
    assert (tmp_path / "b.jpg").read_bytes() == b"mine"


def test_who_cancels_while_pictures_arrive_still_gets_them(house: House, midjourney_server: Midjourney) -> None:
    """The work has ended and is paid for: it is too late to cancel, and nothing of it is lost."""
    midjourney_server.script.always(faults.delay(1.0), path="/cdn/")
    config = house(providers={"mj": midjourney(midjourney_server)})
    with Limner.open(config) as limner:
        job = limner.submit(ImageRequest(prompt="a red apple"))
        deadline = time.monotonic() + 20
        while not midjourney_server.ledger.calls("/cdn/") and time.monotonic() < deadline:
            time.sleep(0.02)
        assert limner.cancel(job.record_id) is False
        result = job.wait()
    assert (len(result.images), len(result.surplus)) == (1, 3)
    assert proven(config, job.record_id).standing == "delivered"


@pytest.mark.parametrize("openai_server", ["lax"], indirect=True)
def test_a_block_after_pictures_stays_a_block(house: House, openai_server: OpenAI) -> None:
    """The first of two calls gave its picture, the second was refused: stage and categories are told, one is kept."""
    blocked = openai_faults.moderation_blocked(stage="output", categories=("sexual",))
    openai_server.script.next(openai_faults.rows({"b64_json": _png()}))
    openai_server.script.next(blocked)
    config = house(providers={"openai": openai(openai_server, model="dall-e-3"), "fake": {}})
    with Limner.open(config) as limner:
        with pytest.raises(ModerationBlocked) as caught:
            limner.generate("a red apple", n=2, on_unsupported="adapt")
        kept = limner.get(str(caught.value.record_id))
    assert (caught.value.stage, caught.value.categories) == ("output", ("sexual",))
    assert (caught.value.fallback_safe, len(kept.images), kept.provider) == (False, 1, "openai")


def test_a_picture_that_could_not_be_taken_is_told_why(house: House, openai_server: OpenAI) -> None:
    """One of two is an HTML page: the error says so, and whoever fetches a failed record hears what may be billed."""
    page = base64.b64encode(b"<html>please sign in</html>").decode()
    openai_server.script.next(openai_faults.rows({"b64_json": _png()}, {"b64_json": page}))
    openai_server.script.next(openai_faults.rows({"b64_json": page}))
    with Limner.open(house(providers={"openai": openai(openai_server)})) as limner:
        with pytest.raises(GenerationFailed, match="1 of 2") as caught:
            limner.generate("a red apple", n=2)
        assert any("HTML" in note for note in caught.value.__notes__)
        with pytest.raises(GenerationFailed) as nothing:
            limner.generate("a red apple")
        with pytest.raises(RequestEnded, match="paid anew"):
            limner.get(str(nothing.value.record_id))


def _png() -> str:
    return base64.b64encode(encode(plain((64, 64), (200, 9, 9)))).decode()
