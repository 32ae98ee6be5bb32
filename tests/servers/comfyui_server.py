"""A ComfyUI server: graphs, queue, history, uploads, /object_info, and the websocket.

    with Server(ComfyUIApp()) as server:
        httpx.post(server.url + "/prompt", json={"prompt": graph, "client_id": "me"})

Options, all changeable while it runs: `seconds` a graph takes · `files` (checkpoints, LoRAs … on its disk) ·
`ip_adapter` (whether those nodes are installed) · `jobs_api` (newer: /api/jobs and cancelling by id) · `websocket`:
`"ok"`, `"stalls"` (connects, then says nothing), `"drops"` (cut in the middle of the work) or `"refused"` (404) ·
`previews` (binary frames while it works) · `fail(message)`: the next graph ends with `execution_error`.
`restart()`: history, queue and sockets are gone, as when the program is started again. `vanish()`: a finished graph
leaves no history. `no_pictures`: output nodes end without images.

As the real program (0.3.64): `/history/{id}` is `{}` for a graph that waits, works, or was never there; success is told
before `executing {node: null}`; a refused graph uses up a number; an interrupt of nothing is a 200; every route exists
under /api too. `jobs` holds each accepted graph; `billed_images` counts the pictures of a graph when it was accepted.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import struct
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if __name__ == "__main__":  # run as a program: make the folder above importable, as pytest's `pythonpath` does
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.path.remove(str(Path(__file__).resolve().parent))

from servers.comfyui_check import Refused, check
from servers.comfyui_nodes import Files, node_table, object_info
from servers.comfyui_run import Run
from servers.ledger import Arrival
from servers.multipart import BadForm, parse_form
from servers.pictures import encode, open_picture
from servers.serving import App, arguments, run_forever
from servers.websocket import Socket, upgrade
from servers.wire import Request, Response

if TYPE_CHECKING:
    from PIL.Image import Image

TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


@dataclass(slots=True)
class Job:
    """One accepted graph."""

    id: str
    number: int
    graph: dict[str, Any]
    client: str | None
    ends: list[str]
    extra: dict[str, Any] = field(default_factory=dict)
    status: Literal["pending", "running", "success", "error", "interrupted"] = "pending"
    outputs: dict[str, Any] = field(default_factory=dict)
    messages: list[Any] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)


class ComfyUIApp(App):
    """The server's state and options; see the module's text."""

    def __init__(self) -> None:
        super().__init__()
        self.files = Files()
        self.ip_adapter = True
        self.jobs_api = False
        self.seconds = 0.0
        self.previews = False
        self.no_pictures = False
        self.websocket: Literal["ok", "stalls", "drops", "refused"] = "ok"
        self.jobs: dict[str, Job] = {}
        self.history: dict[str, dict[str, Any]] = {}
        self.uploads: dict[str, bytes] = {}
        self.output: dict[str, bytes] = {}
        self.sockets: dict[str, Socket] = {}
        self._failures: list[str] = []
        self._vanish = 0
        self._numbers = itertools.count()
        self._names = itertools.count(1)
        self._queue: asyncio.Lock | None = None
        self._running: set[asyncio.Task[None]] = set()

    def fail(self, message: str = "CUDA out of memory", *, times: int = 1) -> None:
        """Let the next graphs end with an execution error."""
        self._failures += [message] * times

    def vanish(self, times: int = 1) -> None:
        """Let the next graphs leave no history when they end."""
        self._vanish += times

    def restart(self) -> None:
        """Lose the queue, the history and every websocket; the files stay."""
        for task in list(self._running):
            task.get_loop().call_soon_threadsafe(task.cancel)
        for socket in list(self.sockets.values()):
            socket.drop()
        self.jobs.clear()
        self.history.clear()
        self.sockets.clear()

    @property
    def table(self) -> dict[str, dict[str, Any]]:
        """The nodes as they are now."""
        return node_table(self.files, sorted(self.uploads), ip_adapter=self.ip_adapter)

    async def respond(self, request: Request, arrival: Arrival) -> Response:
        """Answer one request."""
        path = request.path.removeprefix("/api") if not request.path.startswith("/api/jobs") else request.path
        if request.media_type == "application/json" and request.body:
            try:
                arrival.body = request.json()
            except ValueError:
                return Response.of_text("500 Internal Server Error", 500)
        verb, _, rest = path.lstrip("/").partition("/")
        if path == "/ws":
            return self._websocket(request)
        if path.startswith("/api/jobs"):
            return self._jobs(request, arrival, path.removeprefix("/api/jobs").strip("/"))
        if request.method == "POST":
            return self._post(arrival, path, request)
        return self._get(request, verb, rest)

    def _get(self, request: Request, verb: str, rest: str) -> Response:
        if verb == "object_info":
            table = self.table
            names = [rest] if rest else list(table)
            return Response.of_json({name: object_info(table, name) for name in names if name in table})
        if verb == "history":
            found = {rest: self.history[rest]} if rest in self.history else {}
            return Response.of_json(found if rest else self.history)
        if verb == "view":
            return self._view(request)
        answers: dict[str, Any] = {
            "prompt": {"exec_info": {"queue_remaining": len(self._live())}},
            "queue": self._queues(),
            "system_stats": {
                "system": {"os": "posix", "comfyui_version": "0.3.64", "python_version": "3.11.7", "argv": ["main.py"]},
                "devices": [{"name": "cpu", "type": "cpu", "vram_total": 1, "vram_free": 1}],
            },
            "features": {"supports_preview_metadata": True, "max_upload_size": 104857600},
            "embeddings": [],
        }
        return (
            Response.of_json(answers[verb]) if verb in answers and not rest else Response.of_text("404: Not Found", 404)
        )

    def _post(self, arrival: Arrival, path: str, request: Request) -> Response:
        body = arrival.body if isinstance(arrival.body, dict) else {}
        if path == "/prompt":
            return self._submit(body, arrival)
        if path == "/upload/image":
            return self._upload(request, arrival)
        orders = {"/interrupt": self._interrupt, "/queue": self._delete_waiting, "/history": self._delete_history}
        if path not in orders:
            return Response.of_text("404: Not Found", 404)
        orders[path](body)
        return Response(200)

    def _interrupt(self, body: dict[str, Any]) -> None:
        for job in self._live():
            if job.status == "running" and body.get("prompt_id", job.id) == job.id:
                job.stop.set()

    def _delete_waiting(self, body: dict[str, Any]) -> None:
        for name in body.get("delete", []):
            if name in self.jobs and self.jobs[name].status == "pending":
                del self.jobs[name]

    def _delete_history(self, body: dict[str, Any]) -> None:
        for name in body.get("delete", []):
            self.history.pop(name, None)

    def _submit(self, body: dict[str, Any], arrival: Arrival) -> Response:
        number = next(self._numbers)
        try:
            ends, errors = check(body.get("prompt"), self.table)
        except Refused as refusal:
            return Response.of_json(refusal.body, 400)
        name = str(body.get("prompt_id") or uuid.uuid4())
        job = Job(name, number, body["prompt"], body.get("client_id"), ends, body.get("extra_data") or {})
        self.jobs[name] = job
        arrival.billed_images = self._count(job)
        task = asyncio.get_running_loop().create_task(self._work(job))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return Response.of_json({"prompt_id": name, "number": number, "node_errors": errors})

    def _count(self, job: Job) -> int:
        sizes = [
            node["inputs"].get("batch_size", 1)
            for node in job.graph.values()
            if node["class_type"] == "EmptyLatentImage"
        ]
        return int(sizes[0]) if sizes else 1

    async def _work(self, job: Job) -> None:
        if self._queue is None:
            self._queue = asyncio.Lock()
        async with self._queue:
            if job.id not in self.jobs:
                return
            job.status = "running"
            self._tell(job, "execution_start", {"timestamp": 0})
            self._tell(job, "execution_cached", {"nodes": []})
            try:
                await self._run(job)
            except Exception as error:  # noqa: BLE001 - what a node raises ends its graph, not the server
                self._failed(job, str(error), type(error).__name__)
            if self._vanish:
                self._vanish -= 1
                self.history.pop(job.id, None)
                del self.jobs[job.id]

    async def _run(self, job: Job) -> None:
        run = Run(job.graph, self._opened)
        for end in job.ends:
            run.value(end)
        pace = self.seconds / max(len(run.order), 1)
        for place, node in enumerate(run.order):
            self._tell(job, "executing", {"node": node, "display_node": node})
            self._progress(job, node, place, len(run.order))
            if self.websocket == "drops" and place == len(run.order) // 2:
                self._socket_of(job, lambda socket: socket.drop())
            if self._failures and job.graph[node]["class_type"].startswith("KSampler"):
                self._failed(job, self._failures.pop(0), "OutOfMemoryError", node)
                return
            if await self._stopped(job, pace):
                job.status = "interrupted"
                self._tell(job, "execution_interrupted", {"node_id": node, "node_type": job.graph[node]["class_type"]})
                self._remember(job, "error", completed=False)
                return
        for end in job.ends:
            job.outputs[end] = {} if self.no_pictures else self._saved(job, end, run.saved[end])
            self._tell(job, "executed", {"node": end, "display_node": end, "output": job.outputs[end]})
        job.status = "success"
        self._tell(job, "execution_success", {"timestamp": 0})
        self._remember(job, "success", completed=True)
        self._tell(job, "executing", {"node": None})

    async def _stopped(self, job: Job, pace: float) -> bool:
        if pace:
            try:
                await asyncio.wait_for(job.stop.wait(), pace)
            except TimeoutError:
                return False
        return job.stop.is_set()

    def _failed(self, job: Job, message: str, kind: str, node: str = "3") -> None:
        job.status = "error"
        facts = {"node_id": node, "node_type": job.graph.get(node, {}).get("class_type"), "executed": []}
        text = {"exception_message": message, "exception_type": kind, "traceback": ["…"]}
        self._tell(job, "execution_error", {**facts, **text, "current_inputs": {}, "current_outputs": []})
        self._remember(job, "error", completed=False)

    def _remember(self, job: Job, status: str, *, completed: bool) -> None:
        self.history[job.id] = {
            "prompt": [job.number, job.id, job.graph, job.extra, job.ends],
            "outputs": job.outputs,
            "status": {"status_str": status, "completed": completed, "messages": job.messages},
            "meta": {},
        }

    def _saved(self, job: Job, end: str, pictures: list[Image]) -> dict[str, Any]:
        kind = job.graph[end]["class_type"]
        folder = "temp" if kind == "PreviewImage" else "output"
        prefix = str(job.graph[end]["inputs"].get("filename_prefix", "ComfyUI"))
        subfolder, _, stem = prefix.rpartition("/")
        rows = []
        for picture in pictures:
            name = f"{stem}_{next(self._names):05d}_.{'mp4' if kind == 'SaveVideo' else 'png'}"
            self.output["/".join((folder, subfolder, name))] = (
                b"\0\0\0\x18ftypmp42" if kind == "SaveVideo" else encode(picture)
            )
            rows.append({"filename": name, "subfolder": subfolder, "type": folder})
        return {"images": rows, "animated": [True]} if kind == "SaveVideo" else {"images": rows}

    def _opened(self, name: str) -> Image:
        return open_picture(self.uploads[name])

    def _view(self, request: Request) -> Response:
        name, kind = request.query.get("filename", ""), request.query.get("type", "output")
        if ".." in name or name.startswith("/"):
            return Response(400)
        if kind == "input":
            data = self.uploads.get(name)
        else:
            data = self.output.get("/".join((kind, request.query.get("subfolder", ""), name)))
        if data is None:
            return Response(404)
        headers = {"content-type": "video/mp4" if name.endswith("mp4") else "image/png"}
        return Response(200, {**headers, "content-disposition": f'filename="{name}"'}, data)

    def _upload(self, request: Request, arrival: Arrival) -> Response:
        try:
            texts, files = parse_form(request.headers.get("content-type", ""), request.body)
        except BadForm:
            return Response(400)
        arrival.body, arrival.files = texts, files
        found = [file for file in files if file.field == "image" and file.filename]
        if not found:
            return Response(400)
        name, data = found[0].filename, found[0].data
        stem, dot, ending = name.rpartition(".")
        for number in itertools.count(1):
            same = self.uploads.get(name)
            if same is None or texts.get("overwrite") in {"true", "1"} or _digest(same) == _digest(data):
                break
            name = f"{stem} ({number}){dot}{ending}"
        self.uploads[name] = data
        return Response.of_json(
            {"name": name, "subfolder": str(texts.get("subfolder", "")), "type": texts.get("type", "input")}
        )

    def _jobs(self, request: Request, arrival: Arrival, rest: str) -> Response:
        name, _, verb = rest.partition("/")
        job = self.jobs.get(name)
        if not self.jobs_api:
            return Response.of_text("404: Not Found", 404)
        if job is None:
            return Response.of_json({"error": "Job not found"}, 404)
        if verb == "cancel" and request.method == "POST":
            job.stop.set()
            if job.status == "pending":
                del self.jobs[name]
            return Response.of_json({"status": "cancelled"})
        words = {"running": "in_progress", "success": "completed", "error": "failed", "interrupted": "failed"}
        return Response.of_json({"id": name, "status": words.get(job.status, job.status), "outputs": job.outputs})

    def _live(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.status in {"pending", "running"}]

    def _queues(self) -> dict[str, Any]:
        rows = {"pending": [], "running": []}  # type: dict[str, list[Any]]
        for job in self._live():
            rows[job.status].append([job.number, job.id, job.graph, job.extra, job.ends])
        return {"queue_running": rows["running"], "queue_pending": rows["pending"]}

    def _websocket(self, request: Request) -> Response:
        if self.websocket == "refused":
            return Response.of_text("404: Not Found", 404)
        name = request.query.get("clientId") or uuid.uuid4().hex

        async def use(socket: Socket) -> None:
            socket.stalled = self.websocket == "stalls"
            self.sockets[name] = socket
            info = {"exec_info": {"queue_remaining": len(self._live())}}
            socket.send_json({"type": "status", "data": {"status": info, "sid": name}})
            try:
                await socket.listen()
            finally:
                if self.sockets.get(name) is socket:
                    del self.sockets[name]

        return upgrade(request, use)

    def _socket_of(self, job: Job, use: Any) -> None:
        socket = self.sockets.get(job.client or "")
        if socket is not None:
            use(socket)

    def _tell(self, job: Job, kind: str, data: dict[str, Any]) -> None:
        data = {**data, "prompt_id": job.id}
        if kind.startswith("execution_"):
            job.messages.append([kind, data])
        self._socket_of(job, lambda socket: socket.send_json({"type": kind, "data": data}))

    def _progress(self, job: Job, node: str, place: int, count: int) -> None:
        if not job.graph[node]["class_type"].startswith("KSampler"):
            return
        steps = int(job.graph[node]["inputs"].get("steps", 20))
        for step in (1, steps):
            facts = {"value": step, "max": steps, "prompt_id": job.id, "node": node}
            self._socket_of(job, lambda socket, facts=facts: socket.send_json({"type": "progress", "data": facts}))
        if self.previews:
            from servers.pictures import plain_bytes

            data = struct.pack(">II", 1, 1) + plain_bytes((16, 16), (90, 90, 90), "jpeg")
            self._socket_of(job, lambda socket: socket.send_bytes(data))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main() -> None:
    """Run the server from the command line."""
    parser = arguments("A ComfyUI server for tests and demos.")
    parser.add_argument("--seconds", type=float, default=0.5, help="how long a graph takes")
    options = parser.parse_args()
    app = ComfyUIApp()
    app.seconds = options.seconds
    run_forever(app, options.port)


if __name__ == "__main__":
    main()
