"""The RunPod protocol server against the facts, with bare httpx, in both dialects."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest
from servers.pictures import open_picture
from servers.runpod_server import Plan, RunPodApp
from servers.serving import Server

Pod = Server[RunPodApp]
INPUT = {"prompt": "a cat", "width": 64, "height": 32, "seed": 7}


def client(server: Pod) -> httpx.Client:
    """Make a bare client of the endpoint."""
    base = server.url + (f"/v2/{server.app.endpoint}" if server.app.dialect == "hosted" else "")
    return httpx.Client(base_url=base, headers={"authorization": f"Bearer {server.app.key}"})


def finish(http: httpx.Client, job: str) -> dict[str, Any]:
    """Ask for a job until it has ended."""
    for _ in range(10):
        row: dict[str, Any] = http.get(f"/status/{job}").json()
        if row["status"] not in {"IN_QUEUE", "IN_PROGRESS"}:
            return row
    raise AssertionError("the job never ended")


def test_a_job_waits_works_and_completes(runpod_server: Pod) -> None:
    """/run gives an id; /status goes through the states and then holds the output."""
    with client(runpod_server) as http:
        started = http.post("/run", json={"input": INPUT}).json()
        assert started["status"] == "IN_QUEUE"
        seen = [http.get(f"/status/{started['id']}").json() for _ in range(3)]
    assert [row["status"] for row in seen] == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    data = base64.b64decode(seen[-1]["output"]["image_url"].partition(",")[2])
    assert open_picture(data).size == (64, 32)
    assert seen[-1]["executionTime"] == 3391


def test_runsync_answers_at_once_or_with_a_job_to_ask_for(runpod_server: Pod) -> None:
    """A sync call that takes too long names its job."""
    with client(runpod_server) as http:
        assert http.post("/runsync", json={"input": INPUT}).json()["status"] == "COMPLETED"
        runpod_server.app.sync = False
        answer = http.post("/runsync", json={"input": INPUT}).json()
        assert answer["status"] == "IN_QUEUE"
        assert answer["id"].startswith("sync-")
        assert finish(http, answer["id"])["status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (Plan(no_output=True), {"status": "COMPLETED"}),
        (Plan(error="out of memory"), {"status": "FAILED", "error": "out of memory"}),
        (Plan(ends="TIMED_OUT"), {"status": "TIMED_OUT"}),
    ],
)
def test_a_job_can_end_badly(runpod_server: Pod, plan: Plan, expected: dict[str, str]) -> None:
    """COMPLETED without output, FAILED with a text, TIMED_OUT."""
    runpod_server.app.plan(plan)
    with client(runpod_server) as http:
        row = finish(http, http.post("/run", json={"input": INPUT}).json()["id"])
    assert {name: row.get(name) for name in ("status", "error", "output")} == {"error": None, "output": None} | expected


def test_a_result_whose_time_is_over_is_a_404(runpod_server: Pod) -> None:
    """Results are kept for a while only, and an unknown job looks the same."""
    with client(runpod_server) as http:
        job = http.post("/run", json={"input": INPUT}).json()["id"]
        finish(http, job)
        runpod_server.app.lose()
        assert http.get(f"/status/{job}").status_code == 404
        assert http.get("/status/nobody-u1").status_code == 404


def test_cancel_ends_a_job_and_a_wrong_key_does_nothing(runpod_server: Pod) -> None:
    """Cancelling is by id; without the key nothing is told."""
    with client(runpod_server) as http:
        job = http.post("/run", json={"input": INPUT}).json()["id"]
        assert http.post(f"/cancel/{job}").json() == {"id": job, "status": "CANCELLED"}
        assert http.get(f"/status/{job}", headers={"authorization": "Bearer wrong"}).status_code == 401
        assert http.get("/health").json()["jobs"]["inQueue"] == 0


def test_the_comfyui_worker_gives_files_in_the_answer_or_by_address(runpod_server: Pod) -> None:
    """worker-comfyui: base64, or addresses where a bucket is set."""
    runpod_server.app.worker = "comfyui"
    graph = {"5": {"class_type": "EmptyLatentImage", "inputs": {"width": 32, "height": 32, "batch_size": 2}}}
    with client(runpod_server) as http:
        rows = http.post("/runsync", json={"input": {"workflow": graph}}).json()["output"]["images"]
        assert [row["type"] for row in rows] == ["base64", "base64"]
        runpod_server.app.s3 = True
        rows = http.post("/runsync", json={"input": {"workflow": graph}}).json()["output"]["images"]
        assert open_picture(httpx.get(rows[0]["data"]).content).size == (32, 32)
        assert http.post("/runsync", json={"input": {}}).json()["error"] == "Missing 'workflow' parameter"


@pytest.mark.parametrize("runpod_server", ["local"], indirect=True)
def test_the_packages_own_server_posts_everything_and_forgets(runpod_server: Pod) -> None:
    """Status is a POST, runs the job, and a second one does not know it; errors are JSON; no cancel or health."""
    with client(runpod_server) as http:
        job = http.post("/run", json={"input": INPUT}).json()["id"]
        assert http.get(f"/status/{job}").status_code == 405
        assert http.post(f"/status/{job}").json()["status"] == "COMPLETED"
        assert http.post(f"/status/{job}").json() == {"id": None, "status": "FAILED", "error": "Job ID not found"}
        assert http.post(f"/cancel/{job}").status_code == 404
        assert http.get("/health").status_code == 404
        assert http.post("/run", json={}).status_code == 422
        runpod_server.app.plan(Plan(error={"message": "boom"}))
        failed = http.post("/runsync", json={"input": INPUT}).json()
        assert json.loads(failed["error"]) == {"message": "boom"}
