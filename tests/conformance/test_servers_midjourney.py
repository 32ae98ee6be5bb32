"""The Midjourney protocol server against the facts, with bare httpx, in both dialects."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from servers import faults, midjourney_faults
from servers.midjourney_server import MidjourneyApp
from servers.midjourney_tasks import Plan
from servers.pictures import encode, open_picture, plain
from servers.serving import Server

MidjourneyServer = Server[MidjourneyApp]
only = pytest.mark.parametrize
NOVICEZK = only("midjourney_server", ["novicezk"], indirect=True)
TRUEAI = only("midjourney_server", ["trueai"], indirect=True)


class Proxy:
    """A bare client of one proxy."""

    def __init__(self, server: MidjourneyServer) -> None:
        self.http = httpx.Client(base_url=server.url, headers={"mj-api-secret": server.app.secret or ""})

    def submit(self, name: str, *, prefix: str = "", **body: Any) -> dict[str, Any]:
        """Post a submit and give its result."""
        answer = self.http.post(f"{prefix}/mj/submit/{name}", json=body)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    def fetch(self, task_id: str) -> dict[str, Any]:
        """Ask once for a task."""
        row: dict[str, Any] = self.http.get(f"/mj/task/{task_id}/fetch").json()
        return row

    def finish(self, task_id: str) -> dict[str, Any]:
        """Ask for a task until it has ended; each question moves it one step."""
        for _ in range(20):
            row = self.fetch(task_id)
            if row["status"] in {"SUCCESS", "FAILURE", "CANCEL"}:
                return row
        raise AssertionError(f"the task never ended: {row['status']} {row['progress']}")

    def imagine(self, prompt: str = "cat", **body: Any) -> dict[str, Any]:
        """Imagine to the end."""
        return self.finish(self.submit("imagine", prompt=prompt, **body)["result"])

    def press(self, row: dict[str, Any], label: str, **body: Any) -> dict[str, Any]:
        """Press the button of a finished task (dialect B)."""
        custom_id = next(button["customId"] for button in row["buttons"] if button["label"] == label)
        return self.submit("action", taskId=row["id"], customId=custom_id, **body)


@pytest.fixture
def proxy(midjourney_server: MidjourneyServer) -> Iterator[Proxy]:
    """A bare client with the right secret."""
    made = Proxy(midjourney_server)
    with made.http:
        yield made


def quadrants(data: bytes) -> list[Any]:
    """The colours in the middle of a grid's four quarters."""
    picture = open_picture(data).convert("RGB")
    width, height = picture.size
    return [picture.getpixel((x, y)) for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]


def data_url(data: bytes) -> str:
    """The bytes as a data URL."""
    return "data:image/png;base64," + base64.b64encode(data).decode()


def test_a_task_goes_through_its_states_with_a_preview(midjourney_server: MidjourneyServer, proxy: Proxy) -> None:
    """States come in order; while IN_PROGRESS `imageUrl` is a smaller preview, and only SUCCESS has the grid."""
    task_id = proxy.submit("imagine", prompt="cat --ar 2:1", state="mine")["result"]
    rows = [proxy.fetch(task_id) for _ in range(4)]
    assert [row["status"] for row in rows] == ["SUBMITTED", "IN_PROGRESS", "IN_PROGRESS", "SUCCESS"]
    assert all(isinstance(row["progress"], str) for row in rows)
    preview, grid = (open_picture(httpx.get(row["imageUrl"]).content) for row in rows[2:])
    assert (preview.format, grid.format) == ("WEBP", "PNG")
    assert grid.width > preview.width
    assert abs(grid.width / grid.height - 2) < 0.1
    assert (rows[3]["state"], rows[3]["properties"]["finalPrompt"]) == ("mine", "cat --ar 2:1")
    assert len(set(quadrants(httpx.get(rows[3]["imageUrl"]).content))) == 4
    assert midjourney_server.ledger.billed_images() == 4
    assert ("buttons" in rows[3]) == (midjourney_server.app.dialect == "trueai")


def test_the_same_prompt_gives_the_same_grid_and_another_seed_another(proxy: Proxy) -> None:
    """Pictures belong to the prompt's words and seed."""
    bytes_of = [
        httpx.get(proxy.imagine(prompt)["imageUrl"]).content for prompt in ("a --seed 1", "a --seed 1", "a --seed 9")
    ]
    assert bytes_of[0] == bytes_of[1] != bytes_of[2]


@only("kind", ["png", "jpeg", "webp"])
def test_the_grid_comes_in_the_format_of_the_proxy(
    midjourney_server: MidjourneyServer, proxy: Proxy, kind: str
) -> None:
    """The result may be a png, a jpeg or a webp, and its content type says so."""
    midjourney_server.app.picture_format = kind  # type: ignore[assignment]
    answer = httpx.get(proxy.imagine()["imageUrl"])
    assert answer.headers["content-type"] == f"image/{kind}"
    assert (open_picture(answer.content).format or "").lower() == kind


@NOVICEZK
def test_a_change_by_index_is_that_quadrant(midjourney_server: MidjourneyServer, proxy: Proxy) -> None:
    """U1 to U4 give the four quadrants; the same upscale again is code 21 with the first task's id and status."""
    parent = proxy.imagine()
    colours = quadrants(httpx.get(parent["imageUrl"]).content)
    for index in range(1, 5):
        result = proxy.submit("change", taskId=parent["id"], action="UPSCALE", index=index)
        row = proxy.finish(result["result"])
        assert row["action"] == "UPSCALE"
        picture = open_picture(httpx.get(row["imageUrl"]).content)
        assert picture.getpixel((picture.width // 2, picture.height // 2)) == colours[index - 1]
    again = proxy.submit("simple-change", content=f"{parent['id']} U4")
    assert (again["code"], again["result"], again["properties"]["status"]) == (21, result["result"], "SUCCESS")
    assert midjourney_server.ledger.billed_images() == 8
    variation = proxy.finish(proxy.submit("simple-change", content=f"{parent['id']} V1")["result"])
    assert quadrants(httpx.get(variation["imageUrl"]).content) != colours


@TRUEAI
def test_a_button_upscales_and_single_pictures_are_listed(proxy: Proxy) -> None:
    """B lists four single pictures with thumbnails; U3's button gives the third of them."""
    parent = proxy.imagine()
    assert len(parent["imageUrls"]) == 4
    third = httpx.get(parent["imageUrls"][2]["url"]).content
    assert open_picture(httpx.get(parent["imageUrls"][2]["thumbnail"]).content).format == "WEBP"
    row = proxy.finish(proxy.press(parent, "U3")["result"])
    assert httpx.get(row["imageUrl"]).content == third
    assert (row["parentId"], len(row["imageUrls"])) == (parent["id"], 1)
    assert {"Vary (Region)", "Zoom Out 2x", "Custom Zoom"} <= {button["label"] for button in row["buttons"]}


@TRUEAI
def test_vary_region_opens_a_window_and_repaints_only_under_the_mask(
    midjourney_server: MidjourneyServer, proxy: Proxy
) -> None:
    """The action is code 21 with a task in MODAL; only the modal submit starts and bills it."""
    upscaled = proxy.finish(proxy.press(proxy.imagine("a cat"), "U1")["result"])
    before = midjourney_server.ledger.billed_images()
    opened = proxy.press(upscaled, "Vary (Region)")
    assert (opened["code"], opened["properties"]["remix"]) == (21, True)
    assert opened["properties"]["finalPrompt"] == "a cat"
    assert [proxy.fetch(opened["result"])["status"] for _ in range(3)] == ["MODAL"] * 3
    assert midjourney_server.ledger.billed_images() == before
    mask = plain((64, 64), (0, 0, 0))
    mask.paste((255, 255, 255), (32, 0, 64, 64))
    mask.paste((0, 0, 0), (0, 0, 8, 8))
    result = proxy.submit("modal", taskId=opened["result"], prompt="", maskBase64=data_url(encode(mask)))
    row = proxy.finish(result["result"])
    assert (row["id"], row["action"], row["prompt"]) == (opened["result"], "INPAINT", "a cat")
    old = open_picture(httpx.get(upscaled["imageUrl"]).content).convert("RGB")
    new = [open_picture(httpx.get(entry["url"]).content).convert("RGB") for entry in row["imageUrls"]]
    assert [picture.getpixel((16, 32)) for picture in new] == [old.getpixel((16, 32))] * 4
    assert len({picture.getpixel((48, 32)) for picture in new}) == 4
    assert midjourney_server.app.tasks[row["id"]].mask == encode(mask)
    assert proxy.submit("modal", taskId=row["id"], prompt="x")["code"] == 4


@TRUEAI
def test_custom_zoom_and_remix_go_through_the_window(midjourney_server: MidjourneyServer, proxy: Proxy) -> None:
    """A custom zoom always asks; with remix a variation asks too, and takes the new prompt."""
    parent = proxy.imagine()
    upscaled = proxy.finish(proxy.press(parent, "U1")["result"])
    zoom = proxy.press(upscaled, "Custom Zoom")
    assert zoom["code"] == 21
    midjourney_server.app.remix = True
    varied = proxy.press(parent, "V2")
    assert varied["code"] == 21
    row = proxy.finish(proxy.submit("modal", taskId=varied["result"], prompt="a dog")["result"])
    assert (row["action"], row["prompt"]) == ("VARIATION", "a dog")


@TRUEAI
def test_speed_comes_from_the_path_then_the_flag_then_the_account_filter(proxy: Proxy) -> None:
    """The path's prefix sets the mode; without it the prompt's flag, then the account filter."""
    filtered = {"accountFilter": {"modes": ["RELAX"]}}
    cases: list[tuple[str, str, dict[str, Any], str]] = [
        ("/mj-turbo", "cat --fast", filtered, "TURBO"),
        ("", "cat --turbo", filtered, "TURBO"),
        ("", "cat", filtered, "RELAX"),
        ("", "cat", {}, "FAST"),
    ]
    for prefix, prompt, more, mode in cases:
        task_id = proxy.submit("imagine", prefix=prefix, prompt=prompt, **more)["result"]
        assert proxy.finish(task_id)["mode"] == mode


@TRUEAI
def test_seed_and_cancel_of_the_newer_dialect(proxy: Proxy) -> None:
    """The seed is asked for by task; a cancelled task is a failure with its reason; unknown ones are 404."""
    row = proxy.imagine("cat --seed 77")
    assert proxy.http.get(f"/mj/task/{row['id']}/image-seed").json()["result"] == "77"
    running = proxy.submit("imagine", prompt="dog")["result"]
    early = proxy.http.get(f"/mj/task/{running}/image-seed")
    assert (early.status_code, early.json()["code"]) == (400, 4)
    cancelled = proxy.http.post(f"/mj/task/{running}/cancel")
    assert (cancelled.status_code, cancelled.content) == (200, b"")
    ended = proxy.fetch(running)
    assert (ended["status"], ended["failReason"], ended["progress"]) == ("FAILURE", "取消任务", "")
    unknown = proxy.http.get("/mj/task/1/image-seed")
    assert (unknown.status_code, unknown.json()["code"]) == (404, 3)


def test_unknown_tasks_and_parents_differ_by_dialect(midjourney_server: MidjourneyServer, proxy: Proxy) -> None:
    """An unknown id is `null` (A) or an empty 204 (B); a missing parent is code 3 with 200 (A) or 404 (B)."""
    older = midjourney_server.app.dialect == "novicezk"
    fetched = proxy.http.get("/mj/task/123/fetch")
    assert (fetched.status_code, fetched.content) == ((200, b"null") if older else (204, b""))
    name, body = (
        ("change", {"action": "UPSCALE", "index": 1}) if older else ("action", {"customId": "MJ::JOB::upsample::1::x"})
    )
    answer = proxy.http.post(f"/mj/submit/{name}", json={"taskId": "123"} | body)
    assert (answer.status_code, answer.json()["code"]) == (200 if older else 404, 3)


@TRUEAI
def test_an_unknown_button_is_refused(proxy: Proxy) -> None:
    """A customId outside the grammar, or one of another job, is code 4."""
    parent = proxy.imagine()
    for custom_id in ("MJ::Nonsense", "MJ::JOB::upsample::1::another-job"):
        result = proxy.submit("action", taskId=parent["id"], customId=custom_id)
        assert (result["code"], result["description"]) == (4, "未知的 Action 类型")


def test_secrets_are_checked_in_the_way_of_the_dialect(midjourney_server: MidjourneyServer) -> None:
    """A: an empty 401. B: `Authorization` wins, a missing one is told in a text, an unavailable account is 403."""
    app, address = midjourney_server.app, midjourney_server.url + "/mj/task/list"
    none, wrong = httpx.get(address), httpx.get(address, headers={"mj-api-secret": "wrong"})
    assert (none.status_code, wrong.status_code) == (401, 401)
    if app.dialect == "novicezk":
        assert wrong.content == b""
        return
    assert none.text == "Authorization header missing."
    right = {"mj-api-secret": app.secret or ""}
    assert httpx.get(address, headers=right | {"authorization": "wrong"}).status_code == 401
    assert httpx.get(address, headers={"authorization": app.secret or ""}).status_code == 200
    app.account = "unavailable"
    assert httpx.get(address, headers=right).status_code == 403


def test_the_queue_accepts_with_22_and_rejects_with_23(midjourney_server: MidjourneyServer, proxy: Proxy) -> None:
    """Beyond the account's places a submit is code 22 with a result; beyond the queue it is 23 without one."""
    midjourney_server.app.core_size, midjourney_server.app.queue_size = 1, 1
    first, second, third = (proxy.submit("imagine", prompt=f"cat {n}") for n in range(3))
    assert [first["code"], second["code"], third["code"]] == [1, 22, 23]
    assert (second["properties"]["numberOfQueues"], third["result"]) == (1, None)
    assert proxy.fetch(second["result"])["status"] == "NOT_START"
    proxy.finish(first["result"])
    assert proxy.finish(second["result"])["status"] == "SUCCESS"
    assert midjourney_server.ledger.billed_images() == 8


def test_banned_words_bad_input_and_missing_accounts_have_their_codes(
    midjourney_server: MidjourneyServer, proxy: Proxy
) -> None:
    """Code 24 names the word; 4 is bad input; 3 can also mean that no account is free; nothing is billed."""
    banned = proxy.submit("imagine", prompt="much gore here")
    assert (banned["code"], banned["properties"]["bannedWord"], banned["result"]) == (24, "gore", None)
    bad: list[dict[str, Any]] = [
        {"prompt": " "},
        {"prompt": "a", "base64Array": ["nonsense"]},
        {"prompt": "a", "state": "x" * 256},
    ]
    assert [proxy.submit("imagine", **body)["code"] for body in bad] == [4, 4, 4]
    midjourney_server.app.no_account = True
    assert proxy.submit("imagine", prompt="cat")["code"] == 3
    midjourney_server.script.next(midjourney_faults.business(9), path="/submit/imagine")
    assert proxy.submit("imagine", prompt="cat")["code"] == 9
    assert midjourney_server.ledger.billed_images() == 0


def test_flags_are_read_as_midjourney_reads_them(midjourney_server: MidjourneyServer, proxy: Proxy) -> None:
    """An unknown flag, also one behind an em dash, fails the accepted task; known ones are there to look at."""
    for prompt in ("cat --width 512", "cat \u2014width 512", "cat --ar wide", "cat --seed -1"):
        row = proxy.imagine(prompt)
        assert row["status"] == "FAILURE"
        assert row["failReason"].startswith("[Invalid parameter]")
    row = proxy.imagine("https://example.org/a.png cat --no dog, bird --ar 3:2 --s 50")
    read = midjourney_server.app.tasks[row["id"]].read
    assert (read.words, read.image_urls) == ("cat", ["https://example.org/a.png"])
    assert read.flags == {"no": "dog, bird", "ar": "3:2", "stylize": "50"}


def test_planned_misfortunes(midjourney_server: MidjourneyServer, proxy: Proxy) -> None:
    """A task can be stuck, fail, be lost, or deliver something that is no picture."""
    app = midjourney_server.app
    for plan in (
        Plan(stuck_at="SUBMITTED"),
        Plan(stuck_at="IN_PROGRESS"),
        Plan(fail="Failed to generate"),
        Plan(lost=True),
    ):
        app.plan(plan)
    app.plan(Plan(picture=faults.HTML_PAGE))
    stuck, slow, failing, lost, html = (proxy.submit("imagine", prompt=f"cat {n}")["result"] for n in range(5))
    assert [proxy.fetch(stuck)["status"] for _ in range(6)][-1] == "SUBMITTED"
    assert [proxy.fetch(slow)["status"] for _ in range(6)][-1] == "IN_PROGRESS"
    failed = proxy.finish(failing)
    assert (failed["status"], failed["failReason"], failed["progress"]) == ("FAILURE", "Failed to generate", "")
    assert proxy.http.get(f"/mj/task/{lost}/fetch").content in {b"null", b""}
    assert httpx.get(proxy.finish(html)["imageUrl"]).content == faults.HTML_PAGE
    app.timeout_s = 0.0
    assert proxy.fetch(stuck)["failReason"] == "任务超时"


def test_addresses_are_signed_and_expire(midjourney_server: MidjourneyServer, proxy: Proxy) -> None:
    """A result's address works without the secret, only with its signature, and not for ever."""
    address = proxy.imagine()["imageUrl"]
    assert httpx.get(address).status_code == 200
    assert httpx.get(address.partition("?")[0]).status_code == 404
    midjourney_server.app.cdn.expired = True
    assert httpx.get(address).status_code == 404


def test_lists_give_tasks_by_condition(midjourney_server: MidjourneyServer, proxy: Proxy) -> None:
    """A list by ids gives the known ones, and the whole list all."""
    first, second = (proxy.imagine(prompt)["id"] for prompt in ("a", "b"))
    rows = proxy.http.post("/mj/task/list-by-condition", json={"ids": [second, "unknown"]}).json()
    assert [row["id"] for row in rows] == [second]
    assert {row["id"] for row in proxy.http.get("/mj/task/list").json()} == {first, second}
    queue = proxy.http.get("/mj/task/queue").status_code
    assert queue == (200 if midjourney_server.app.dialect == "novicezk" else 404)


def test_blend_and_describe_take_their_images(midjourney_server: MidjourneyServer, proxy: Proxy) -> None:
    """A blend takes two to five pictures and a shape; a describe ends with a prompt in place of a picture."""
    one = data_url(encode(plain((8, 8), (9, 9, 9))))
    assert proxy.submit("blend", base64Array=[one])["code"] == 4
    row = proxy.finish(proxy.submit("blend", base64Array=[one, one], dimensions="PORTRAIT")["result"])
    picture = open_picture(httpx.get(row["imageUrl"]).content)
    assert abs(picture.width / picture.height - 2 / 3) < 0.05
    assert len(midjourney_server.app.tasks[row["id"]].uploads) == 2
    described = proxy.finish(proxy.submit("describe", base64=one)["result"])
    assert described["action"] == "DESCRIBE"
    assert described["properties"]["finalPrompt"]


@TRUEAI
def test_pictures_can_be_uploaded_for_references(midjourney_server: MidjourneyServer, proxy: Proxy) -> None:
    """An upload gives addresses under which the pictures are found."""
    data = encode(plain((8, 8), (9, 9, 9)))
    result = proxy.submit("upload-discord-images", base64Array=[data_url(data)])
    assert result["code"] == 1
    assert [httpx.get(url).content for url in result["result"]] == [data]
    assert proxy.submit("upload-discord-images", base64Array=["x"])["code"] == 4


@NOVICEZK
def test_the_older_dialect_lacks_what_the_newer_has(proxy: Proxy) -> None:
    """Buttons, windows, cancel and speed prefixes are 404 in dialect A."""
    task_id = proxy.submit("imagine", prompt="cat")["result"]
    paths = ["/mj/submit/action", "/mj/submit/modal", f"/mj/task/{task_id}/cancel", "/mj-fast/mj/submit/imagine"]
    assert [proxy.http.post(path, json={"prompt": "x"}).status_code for path in paths] == [404] * 4


def test_a_pace_in_seconds_needs_no_questions(midjourney_server: MidjourneyServer, proxy: Proxy) -> None:
    """With a pace a task moves on by the clock, however often it is asked for."""
    midjourney_server.app.pace = 1000.0
    task_id = proxy.submit("imagine", prompt="cat")["result"]
    assert {proxy.fetch(task_id)["status"] for _ in range(6)} == {"SUBMITTED"}
    midjourney_server.app.pace = 1e-6
    assert proxy.fetch(task_id)["status"] == "SUCCESS"
