"""RunPod's serverless API with one endpoint and its worker, hosted or as the `runpod` package's own server speaks.

    with Server(RunPodApp(worker="comfyui")) as server:
        httpx.post(server.url + "/v2/pod1/run", json={"input": {...}}, headers={"Authorization": "Bearer rp-test-…"})

`dialect`: `hosted` (GET /v2/{endpoint}/status, cancel, health) or `local` (no /v2/{endpoint}, all POST, no cancel, no
health, no key; a job is done at its first /status and forgotten with it).
`worker`: `sdxl` (prompt, width, height, seed, num_images … → {"image_url", "images", "seed"}), `turbo` (→ {"images":
[{"image": b64}]}) or `comfyui` (workflow, images → {"images": [{"filename", "type", "data"}]}; `s3=True`: addresses).

Options, changeable while it runs: `key`, `polls` (how often a job is asked for before it is done), `sync` (whether
/runsync waits until the end), `plan(Plan(...))` for the next jobs, `lose()` (all jobs gone: the results' time is over).
`jobs` holds every job with its `input` for a test to look at.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

if __name__ == "__main__":  # run as a program: make the folder above importable, as pytest's `pythonpath` does
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.path.remove(str(Path(__file__).resolve().parent))

from servers.ledger import Arrival
from servers.pictures import colour_of, encode, plain
from servers.serving import App, arguments, run_forever
from servers.wire import Request, Response

Dialect = Literal["hosted", "local"]
Worker = Literal["sdxl", "turbo", "comfyui"]
_PATH = re.compile(r"/(run|runsync|status|stream|cancel|retry|health|purge-queue)(?:/([^/]+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What becomes of a job.

    `output`: instead of the worker's own. `no_output`: COMPLETED without any, as for a result that was too large.
    `error`: FAILED with this value, which the worker sends as text (hosted) or as a JSON text (local). `ends`: another
    final status. `stuck`: never leaves this status. `expires`: status answers 404 once it is done.
    """

    output: Any = None
    no_output: bool = False
    error: Any = None
    ends: str = "COMPLETED"
    stuck: str | None = None
    expires: bool = False


@dataclass(slots=True)
class Job:
    """One job as the endpoint knows it."""

    id: str
    input: dict[str, Any]
    plan: Plan
    policy: dict[str, Any] = field(default_factory=dict)
    asked: int = 0
    status: str = "IN_QUEUE"
    output: Any = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in {"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"}


class RunPodApp(App):
    """The endpoint's state and options; see the module's text."""

    def __init__(
        self,
        *,
        dialect: Dialect = "hosted",
        worker: Worker = "sdxl",
        key: str | None = "rp-test-key-0123456789",
        endpoint: str = "pod1",
    ) -> None:
        super().__init__()
        self.dialect: Dialect = dialect
        self.worker: Worker = worker
        self.key = key if dialect == "hosted" else None
        self.endpoint = endpoint
        self.polls = 2
        self.sync = True
        self.s3 = False
        self.jobs: dict[str, Job] = {}
        self.lost: set[str] = set()
        self.files: dict[str, bytes] = {}
        self._plans: list[Plan] = []
        self._numbers = itertools.count(1)

    def plan(self, plan: Plan, *, times: int = 1) -> None:
        """Decide what becomes of the next jobs."""
        self._plans += [plan] * times

    def lose(self) -> None:
        """Forget every job, as after its results' time or a purge."""
        self.lost |= set(self.jobs)

    async def respond(self, request: Request, arrival: Arrival) -> Response:
        """Answer one request."""
        if request.path.startswith("/files/"):
            data = self.files.get(request.path)
            return Response(200, {"content-type": "image/png"}, data) if data else Response.of_text("NoSuchKey", 404)
        if self.key is not None and request.headers.get("authorization") not in {f"Bearer {self.key}", self.key}:
            return Response(401)
        path = request.path
        if self.dialect == "hosted":
            if not path.startswith(f"/v2/{self.endpoint}/"):
                return Response.of_json({"error": "endpoint not found"}, 404)
            path = path.removeprefix(f"/v2/{self.endpoint}")
        match = _PATH.fullmatch(path)
        if match is None or (self.dialect == "local" and match[1] not in {"run", "runsync", "status", "stream"}):
            return Response.of_json({"detail": "Not Found"}, 404)
        if request.body:
            try:
                arrival.body = request.json()
            except ValueError:
                return Response.of_json({"error": "invalid json"}, 400)
        return self._answer(request, arrival, match[1], match[2])

    def _answer(self, request: Request, arrival: Arrival, verb: str, name: str | None) -> Response:
        reads = {"status", "stream", "health"} if self.dialect == "hosted" else set()
        if request.method != ("GET" if verb in reads else "POST"):
            return Response.of_json({"detail": "Method Not Allowed"}, 405)
        if verb in {"run", "runsync"}:
            return self._submit(request, arrival, verb)
        if verb == "health":
            return Response.of_json(self._health())
        job = self.jobs.get(name or "")
        if job is None or job.id in self.lost:
            return self._unknown()
        if verb == "cancel":
            if not job.ended:
                job.status = "CANCELLED"
            return Response.of_json({"id": job.id, "status": job.status})
        if verb == "stream":
            self._step(job, request, arrival)
            pieces = [] if job.output is None else [{"output": job.output}]
            return Response.of_json({"status": job.status, "stream": pieces})
        return self._status(job, request, arrival)

    def _unknown(self) -> Response:
        if self.dialect == "local":
            return Response.of_json({"id": None, "status": "FAILED", "error": "Job ID not found"})
        return Response.of_json({"error": "job not found"}, 404)

    def _submit(self, request: Request, arrival: Arrival, verb: str) -> Response:
        body = arrival.body if isinstance(arrival.body, dict) else {}
        if not isinstance(body.get("input"), dict):
            if self.dialect == "local":
                return Response.of_json({"detail": [{"loc": ["body", "input"], "msg": "Field required"}]}, 422)
            return Response.of_json({"error": "input is required"}, 400)
        prefix = "sync-" if verb == "runsync" else ""
        name = f"{prefix}{uuid.UUID(int=next(self._numbers))}" + ("-u1" if self.dialect == "hosted" else "")
        plan = self._plans.pop(0) if self._plans else Plan()
        job = self.jobs[name] = Job(name, body["input"], plan, body.get("policy") or {})
        if verb == "run":
            return Response.of_json({"id": name, "status": "IN_QUEUE" if self.dialect == "hosted" else "IN_PROGRESS"})
        while self.sync and not job.ended and job.plan.stuck is None:
            self._step(job, request, arrival)
        return Response.of_json(self._shown(job))

    def _status(self, job: Job, request: Request, arrival: Arrival) -> Response:
        self._step(job, request, arrival)
        if job.ended and (job.plan.expires or self.dialect == "local"):
            self.lost.add(job.id)
            if job.plan.expires:
                return self._unknown()
        return Response.of_json(self._shown(job))

    def _step(self, job: Job, request: Request, arrival: Arrival) -> None:
        """Let the job move on by one step each time it is asked for."""
        if job.ended:
            return
        if job.plan.stuck is not None:
            job.status = job.plan.stuck
            return
        job.asked += 1
        if self.dialect == "hosted" and job.asked <= self.polls:
            job.status = "IN_PROGRESS" if job.asked > 1 else "IN_QUEUE"
            return
        self._end(job, request, arrival)

    def _end(self, job: Job, request: Request, arrival: Arrival) -> None:
        job.status = "FAILED" if job.plan.error is not None else job.plan.ends
        if job.status != "COMPLETED":
            return
        if job.plan.output is not None:
            job.output = job.plan.output
            return
        try:
            pictures = self._pictures(job)
        except ValueError as error:
            job.status, job.plan = "FAILED", Plan(error=str(error))
            return
        arrival.billed_images = len(pictures)
        job.output = None if job.plan.no_output else self._packed(pictures, request, job)

    def _pictures(self, job: Job) -> list[bytes]:
        if self.worker == "comfyui":
            return self._graph_pictures(job.input)
        if not job.input.get("prompt"):
            raise ValueError("prompt is a required input.")
        count, seed = int(job.input.get("num_images", 1)), int(job.input.get("seed") or 0)
        size = int(job.input.get("width", 1024)), int(job.input.get("height", 1024))
        words = job.input["prompt"], job.input.get("negative_prompt", "")
        return [encode(plain(size, colour_of(*words, seed + number))) for number in range(count)]

    def _graph_pictures(self, given: dict[str, Any]) -> list[bytes]:
        graph = given.get("workflow")
        if not graph:
            raise ValueError("Missing 'workflow' parameter")
        latents = [node["inputs"] for node in graph.values() if node.get("class_type") == "EmptyLatentImage"]
        first = latents[0] if latents else {}
        size, count = (int(first.get("width", 512)), int(first.get("height", 512))), int(first.get("batch_size", 1))
        words = json.dumps(graph, sort_keys=True)
        return [encode(plain(size, colour_of(words, number))) for number in range(count)]

    def _packed(self, pictures: list[bytes], request: Request, job: Job) -> Any:
        texts = [base64.b64encode(data).decode() for data in pictures]
        if self.worker == "turbo":
            return {"generation_time": 0.72, "images": [{"image": text} for text in texts]}
        if self.worker == "sdxl":
            urls = ["data:image/png;base64," + text for text in texts]
            return {"image_url": urls[0], "images": urls, "seed": job.input.get("seed")}
        rows = []
        for number, (data, text) in enumerate(zip(pictures, texts, strict=True), start=1):
            row = {"filename": f"ComfyUI_{number:05d}_.png", "type": "base64", "data": text}
            if self.s3:
                path = f"/files/{job.id}/{row['filename']}"
                self.files[path] = data
                row |= {"type": "s3_url", "data": request.base_url + path}
            rows.append(row)
        return {"images": rows}

    def _shown(self, job: Job) -> dict[str, Any]:
        row: dict[str, Any] = {"id": job.id, "status": job.status}
        if job.ended:
            row |= {"delayTime": 824, "executionTime": 3391, "workerId": "w-1"}
        if job.status == "COMPLETED" and not job.plan.no_output:
            row["output"] = job.output
        if job.status == "FAILED":
            error = job.plan.error
            row["error"] = error if isinstance(error, str) and self.dialect == "hosted" else json.dumps(error)
        return row

    def _health(self) -> dict[str, Any]:
        live = [job for job in self.jobs.values() if not job.ended]
        ended = [job.status for job in self.jobs.values() if job.ended]
        jobs = {
            "completed": ended.count("COMPLETED"),
            "failed": ended.count("FAILED"),
            "inProgress": sum(job.status == "IN_PROGRESS" for job in live),
            "inQueue": sum(job.status == "IN_QUEUE" for job in live),
            "retried": 0,
        }
        return {"jobs": jobs, "workers": {"idle": 1, "running": 0, "initializing": 0, "ready": 1, "throttled": 0}}


def main() -> None:
    """Run the server from the command line."""
    parser = arguments("RunPod's serverless API for tests and demos.")
    parser.add_argument("--worker", choices=("sdxl", "turbo", "comfyui"), default="sdxl")
    parser.add_argument("--dialect", choices=("hosted", "local"), default="hosted")
    options = parser.parse_args()
    run_forever(RunPodApp(dialect=options.dialect, worker=options.worker), options.port)


if __name__ == "__main__":
    main()
