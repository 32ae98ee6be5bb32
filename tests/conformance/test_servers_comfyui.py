"""The ComfyUI protocol server against the facts, with bare httpx and websockets."""

from __future__ import annotations

import copy
import json
import time
import uuid
from typing import Any

import httpx
import pytest
from servers.comfyui_server import ComfyUIApp
from servers.pictures import encode, open_picture, plain
from servers.serving import Server
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

Comfy = Server[ComfyUIApp]
GRAPH: dict[str, Any] = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "model": ["4", 0],
            "seed": 5,
            "steps": 2,
            "cfg": 7.0,
            "sampler_name": "euler",
            "scheduler": "normal",
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
            "denoise": 1.0,
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15-house.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 32, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["4", 1]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "job"}},
}


def changed(node: str, **inputs: Any) -> dict[str, Any]:
    """The graph with other inputs of one node."""
    graph = copy.deepcopy(GRAPH)
    graph[node]["inputs"] |= inputs
    return graph


def finished(server: Comfy, name: str, seconds: float = 5.0) -> dict[str, Any]:
    """Wait until a graph is in the history."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        row: dict[str, Any] = httpx.get(f"{server.url}/history/{name}").json()
        if row:
            found: dict[str, Any] = row[name]
            return found
        time.sleep(0.01)
    raise AssertionError("the graph never ended")


def submit(server: Comfy, graph: dict[str, Any], **more: Any) -> httpx.Response:
    """Post a graph."""
    return httpx.post(server.url + "/prompt", json={"prompt": graph, **more})


def test_a_graph_ends_in_the_history_with_files_to_view(comfyui_server: Comfy) -> None:
    """History is `{}` before, and afterwards names files that /view gives."""
    name = str(uuid.uuid4())
    assert httpx.get(f"{comfyui_server.url}/history/{name}").json() == {}
    assert submit(comfyui_server, GRAPH, prompt_id=name).json() == {"prompt_id": name, "number": 0, "node_errors": {}}
    row = finished(comfyui_server, name)
    assert row["status"]["status_str"] == "success"
    file = row["outputs"]["9"]["images"][0]
    assert open_picture(httpx.get(comfyui_server.url + "/view", params=file).content).size == (64, 32)
    assert httpx.get(comfyui_server.url + "/api/view", params={"filename": "../x"}).status_code == 400
    assert httpx.get(comfyui_server.url + "/view", params={"filename": "none.png"}).status_code == 404


def test_the_websocket_tells_success_before_the_null_node(comfyui_server: Comfy) -> None:
    """The first frame is `status`; success comes before `executing {node: null}`; previews are binary."""
    comfyui_server.app.previews = True
    with connect(comfyui_server.url.replace("http", "ws") + "/ws?clientId=me") as socket:
        submit(comfyui_server, GRAPH, client_id="me")
        kinds: list[tuple[str, str | None]] = []
        while not kinds or kinds[-1] != ("executing", None):
            frame = socket.recv(timeout=5)
            if isinstance(frame, bytes):
                assert frame[:8] == b"\0\0\0\1\0\0\0\1"
                continue
            message = json.loads(frame)
            kinds.append((message["type"], message["data"].get("node", "-")))
    assert kinds[0][0] == "status"
    assert kinds[-2][0] == "execution_success"
    assert ("progress", "3") in kinds


@pytest.mark.parametrize(
    ("graph", "kind", "says"),
    [
        ({}, "no_prompt", ""),
        ({"1": {"class_type": "Nope", "inputs": {}}}, "invalid_prompt", "Nope does not exist"),
        ({"1": {"inputs": {}}}, "invalid_prompt", "missing the class_type"),
        ({name: GRAPH[name] for name in "345678"}, "prompt_no_outputs", "no outputs"),
        (changed("4", ckpt_name="x.safetensors"), "prompt_outputs_failed_validation", "value_not_in_list"),
        (changed("3", steps=0), "prompt_outputs_failed_validation", "value_smaller_than_min"),
        (changed("3", model=["6", 0]), "prompt_outputs_failed_validation", "return_type_mismatch"),
    ],
)
def test_a_graph_that_cannot_run_is_a_400(comfyui_server: Comfy, graph: dict[str, Any], kind: str, says: str) -> None:
    """The kinds of refusal, and that a refused graph uses up a number."""
    answer = submit(comfyui_server, graph)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == kind
    assert says in answer.text
    assert submit(comfyui_server, GRAPH).json()["number"] == 1


def test_a_bad_branch_is_told_on_a_200(comfyui_server: Comfy) -> None:
    """One output that cannot run leaves the others running, with errors beside the id."""
    graph = {**GRAPH, "19": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}}}
    answer = submit(comfyui_server, graph)
    assert answer.status_code == 200
    assert list(answer.json()["node_errors"]) == ["19"]
    assert list(finished(comfyui_server, answer.json()["prompt_id"])["outputs"]) == ["9"]


def test_work_can_be_stopped_by_name_and_fails_in_the_history(comfyui_server: Comfy) -> None:
    """An interrupt of another id does nothing; a waiting graph is deleted; a failure stands in the history."""
    comfyui_server.app.seconds = 30
    first = submit(comfyui_server, GRAPH).json()["prompt_id"]
    second = submit(comfyui_server, GRAPH).json()["prompt_id"]
    httpx.post(comfyui_server.url + "/interrupt", json={"prompt_id": second})
    httpx.post(comfyui_server.url + "/queue", json={"delete": [second]})
    queue = httpx.get(comfyui_server.url + "/queue").json()
    assert [row[1] for row in queue["queue_running"]] == [first]
    assert queue["queue_pending"] == []
    httpx.post(comfyui_server.url + "/interrupt", json={"prompt_id": first})
    assert finished(comfyui_server, first)["status"]["status_str"] == "error"
    comfyui_server.app.seconds = 0
    comfyui_server.app.fail("out of memory")
    failed = finished(comfyui_server, submit(comfyui_server, GRAPH).json()["prompt_id"])
    assert failed["status"]["messages"][-1][0] == "execution_error"


def test_an_upload_keeps_its_name_unless_another_file_has_it(comfyui_server: Comfy) -> None:
    """The same file is found again; another one of that name gets a number."""
    red, blue = encode(plain((8, 8), (200, 0, 0))), encode(plain((8, 8), (0, 0, 200)))
    names = [
        httpx.post(comfyui_server.url + "/upload/image", files={"image": ("a.png", data, "image/png")}).json()["name"]
        for data in (red, red, blue)
    ]
    assert names == ["a.png", "a.png", "a (1).png"]


def test_a_restart_loses_queue_history_and_sockets(comfyui_server: Comfy) -> None:
    """Everything in memory is gone, and nothing says so."""
    name = submit(comfyui_server, GRAPH).json()["prompt_id"]
    finished(comfyui_server, name)
    comfyui_server.app.restart()
    assert httpx.get(f"{comfyui_server.url}/history/{name}").json() == {}
    assert httpx.get(comfyui_server.url + "/queue").json() == {"queue_running": [], "queue_pending": []}


def test_object_info_lists_what_lies_on_the_disk(comfyui_server: Comfy) -> None:
    """Choices are the first element of an input, and IP-Adapter's nodes are there only where installed."""
    comfyui_server.app.ip_adapter = False
    info = httpx.get(comfyui_server.url + "/object_info").json()
    choices = info["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0]
    assert "sd15-house.safetensors" in choices
    assert "IPAdapter" not in info
    assert httpx.get(comfyui_server.url + "/object_info/Nope").json() == {}


def _listen(socket: ClientConnection) -> None:
    """Listen until nothing comes for a moment, or the socket ends."""
    while True:
        socket.recv(timeout=0.3)


@pytest.mark.parametrize("way", ["stalls", "drops", "refused"])
def test_a_graph_ends_whatever_its_websocket_does(comfyui_server: Comfy, way: Any) -> None:
    """A socket that says nothing, is cut or is refused changes nothing of the work."""
    comfyui_server.app.websocket = way
    address = comfyui_server.url.replace("http", "ws") + "/ws?clientId=me"
    if way == "refused":
        with pytest.raises(InvalidStatus):
            connect(address)
        assert finished(comfyui_server, submit(comfyui_server, GRAPH).json()["prompt_id"])["outputs"]
        return
    with connect(address) as socket:
        name = submit(comfyui_server, GRAPH, client_id="me").json()["prompt_id"]
        assert finished(comfyui_server, name)["outputs"]
        with pytest.raises(TimeoutError if way == "stalls" else ConnectionClosedError):
            _listen(socket)


def test_a_result_can_be_lost_or_hold_no_picture(comfyui_server: Comfy) -> None:
    """A graph that leaves no history, one without pictures, and one that makes a video."""
    comfyui_server.app.vanish()
    gone = submit(comfyui_server, GRAPH).json()["prompt_id"]
    comfyui_server.app.no_pictures = True
    assert finished(comfyui_server, submit(comfyui_server, GRAPH).json()["prompt_id"])["outputs"] == {"9": {}}
    assert httpx.get(f"{comfyui_server.url}/history/{gone}").json() == {}
    comfyui_server.app.no_pictures = False
    video = {**GRAPH, "9": {"class_type": "SaveVideo", "inputs": {"images": ["8", 0]}}}
    row = finished(comfyui_server, submit(comfyui_server, video).json()["prompt_id"])["outputs"]["9"]
    assert row["animated"] == [True]
    assert row["images"][0]["filename"].endswith(".mp4")


def test_newer_servers_cancel_by_id(comfyui_server: Comfy) -> None:
    """/api/jobs is there where the server is new enough, and says how a job stands."""
    comfyui_server.app.seconds = 30
    name = submit(comfyui_server, GRAPH).json()["prompt_id"]
    job = f"{comfyui_server.url}/api/jobs/{name}"
    assert httpx.get(job).status_code == 404
    comfyui_server.app.jobs_api = True
    assert httpx.get(job).json()["status"] in {"pending", "in_progress"}
    assert httpx.post(job + "/cancel").status_code == 200
    assert finished(comfyui_server, name)["status"]["status_str"] == "error"
