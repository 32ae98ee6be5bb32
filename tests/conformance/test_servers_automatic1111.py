"""The Automatic1111 protocol server against the facts, with bare httpx."""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import Any

import httpx
import pytest
from servers.automatic1111_server import Automatic1111App
from servers.pictures import encode, open_picture, plain
from servers.serving import Server

Webui = Server[Automatic1111App]
BODY = {"prompt": "a cat", "seed": 7, "steps": 4, "width": 64, "height": 64, "sampler_name": "Euler"}


def dialect(name: str) -> pytest.MarkDecorator:
    """Pick the server's dialect."""
    return pytest.mark.parametrize("automatic1111_server", [name], indirect=True)


def post(server: Webui, name: str, **body: Any) -> dict[str, Any]:
    """Post to the API and give the answer of a 200."""
    answer = httpx.post(f"{server.url}/sdapi/v1/{name}", json=body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def picture(text: str) -> Any:
    """Decode a picture of an answer."""
    return open_picture(base64.b64decode(text))


def b64(size: tuple[int, int], colour: tuple[int, int, int]) -> str:
    """Encode a plain picture."""
    return base64.b64encode(encode(plain(size, colour))).decode()


def test_a_picture_says_how_it_was_made(automatic1111_server: Webui) -> None:
    """The picture has its infotext under `parameters`, and `info` is a JSON text with the seeds."""
    answer = post(automatic1111_server, "txt2img", **BODY, batch_size=2, negative_prompt="dog")
    info = json.loads(answer["info"])
    assert info["all_seeds"] == [7, 8]
    assert info["sd_model_name"] == "sd15-house"
    text = picture(answer["images"][0]).info["parameters"]
    assert text.splitlines()[:2] == ["a cat", "Negative prompt: dog"]
    assert "Steps: 4, Sampler: Euler, Schedule type: Automatic, CFG scale: 7.0, Seed: 7, Size: 64x64" in text


def test_what_is_not_there_is_dropped_without_a_word(automatic1111_server: Webui) -> None:
    """An unknown checkpoint, LoRA or key changes nothing, and a 200 comes back."""
    plainly = post(automatic1111_server, "txt2img", **BODY)
    spoilt = {**BODY, "prompt": "a cat <lora:nobody:1>", "override_settings": {"sd_model_checkpoint": "none"}, "x": 1}
    answer = post(automatic1111_server, "txt2img", **spoilt)
    assert picture(answer["images"][0]).tobytes() == picture(plainly["images"][0]).tobytes()
    assert "Lora hashes" not in json.loads(answer["info"])["infotexts"][0]


def test_a_saved_batch_begins_with_its_grid_and_a_control_map_ends_the_list(automatic1111_server: Webui) -> None:
    """Not every picture of the list is one that was asked for."""
    unit = {
        "enabled": True,
        "module": "canny",
        "model": "control_v11p_sd15_canny [d14c016b]",
        "image": b64((64, 64), (9, 9, 9)),
    }
    scripts = {"controlnet": {"args": [unit]}}
    answer = post(automatic1111_server, "txt2img", **BODY, batch_size=2, save_images=True, alwayson_scripts=scripts)
    assert json.loads(answer["info"])["index_of_first_image"] == 1
    assert [picture(text).size for text in answer["images"]] == [(128, 64), (64, 64), (64, 64), (64, 64)]


def test_only_what_is_white_in_the_mask_is_painted(automatic1111_server: Webui) -> None:
    """Inpainting keeps the black part of the mask to the pixel."""
    mask = plain((64, 64), (0, 0, 0))
    mask.paste((255, 255, 255), (32, 0, 64, 64))
    mask.paste((0, 0, 0), (0, 0, 8, 8))
    given = {"init_images": [b64((64, 64), (10, 200, 10))], "mask": base64.b64encode(encode(mask)).decode()}
    made = picture(post(automatic1111_server, "img2img", **BODY, **given)["images"][0])
    assert made.getpixel((16, 32)) == (10, 200, 10)
    assert made.getpixel((48, 32)) != (10, 200, 10)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"sampler_name": "Nope"}, 400, "Sampler not found"),
        ({"steps": "many"}, 422, "valid integer"),
        ({"width": 64.5}, 422, "valid integer"),
    ],
)
def test_refusals_are_the_programs_own(
    automatic1111_server: Webui, body: dict[str, Any], status: int, says: str
) -> None:
    """What is refused, and with which words."""
    answer = httpx.post(automatic1111_server.url + "/sdapi/v1/txt2img", json={**BODY, **body})
    assert answer.status_code == status
    assert says in answer.text


def test_one_call_at_a_time_goes_on_when_its_client_has_left(automatic1111_server: Webui) -> None:
    """A client that gives up does not end the work, and the next one waits for it."""
    automatic1111_server.app.seconds = 0.3
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(automatic1111_server.url + "/sdapi/v1/txt2img", json=BODY, timeout=0.1)
    begun = time.monotonic()
    post(automatic1111_server, "txt2img", **BODY)
    assert time.monotonic() - begun > 0.3
    assert [call.billed_images for call in automatic1111_server.ledger.calls("txt2img")] == [1, 1]


def test_an_interrupt_ends_whatever_runs_with_a_200(automatic1111_server: Webui) -> None:
    """An interrupt is global, and the picture comes as far as it is; progress is told by the task's name."""
    automatic1111_server.app.seconds = 20
    answers: list[dict[str, Any]] = []
    body = {**BODY, "force_task_id": "mine"}
    thread = threading.Thread(target=lambda: answers.append(post(automatic1111_server, "txt2img", **body)))
    thread.start()
    asked = {"id_task": "mine"}
    while not httpx.post(automatic1111_server.url + "/internal/progress", json=asked).json()["active"]:
        time.sleep(0.01)
    post(automatic1111_server, "interrupt")
    thread.join(5)
    assert len(answers[0]["images"]) == 1
    assert httpx.post(automatic1111_server.url + "/internal/progress", json=asked).json()["completed"]


@dialect("old")
def test_before_schedulers_the_schedule_was_in_the_samplers_name(automatic1111_server: Webui) -> None:
    """`DPM++ 2M Karras` is a sampler of its own and `/schedulers` is missing."""
    assert httpx.get(automatic1111_server.url + "/sdapi/v1/schedulers").status_code == 404
    answer = post(automatic1111_server, "txt2img", **{**BODY, "sampler_name": "DPM++ 2M Karras"})
    assert json.loads(answer["info"])["sampler_name"] == "DPM++ 2M Karras"


@dialect("partial")
def test_a_partial_server_has_no_progress_no_interrupt_and_an_empty_info(automatic1111_server: Webui) -> None:
    """What other programs leave out."""
    assert post(automatic1111_server, "txt2img", **BODY)["info"] == ""
    assert httpx.get(automatic1111_server.url + "/sdapi/v1/progress").status_code == 404
    assert httpx.post(automatic1111_server.url + "/sdapi/v1/interrupt").status_code == 404


def test_a_password_is_asked_for_where_one_is_set(automatic1111_server: Webui) -> None:
    """Basic authentication, on every route."""
    automatic1111_server.app.auth = ("ann", "s3cret")
    url = automatic1111_server.url + "/sdapi/v1/samplers"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, auth=("ann", "s3cret")).status_code == 200


def test_extras_enlarge_and_outpainting_rounds_up_to_64(automatic1111_server: Webui) -> None:
    """`extra-single-image` by factor; the script's sides, rounded as the program does."""
    given = b64((40, 24), (200, 10, 10))
    answer = post(automatic1111_server, "extra-single-image", image=given, upscaler_1="Lanczos", upscaling_resize=2)
    assert picture(answer["image"]).size == (80, 48)
    script = {"script_name": "poor man's outpainting", "script_args": [16, 4, 1, ["left", "up"]]}
    made = picture(post(automatic1111_server, "img2img", **BODY, init_images=[given], **script)["images"][0])
    assert made.size == (64, 64)
    assert made.getpixel((16 + 20, 16 + 12)) == (200, 10, 10)
