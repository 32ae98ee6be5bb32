"""An Automatic1111 / Forge server (`--api`), and servers that speak only part of it.

    with Server(Automatic1111App(dialect="forge")) as server:
        httpx.post(server.url + "/sdapi/v1/txt2img", json={"prompt": "cat", "steps": 20})

`dialect`: `a1111` (1.10), `forge` (the same and `distilled_cfg_scale`), `old` (before 1.9: samplers such as
`DPM++ 2M Karras`, no `/schedulers`), `partial` (txt2img, img2img and lists alone: no progress, no interrupt, no
extras, an empty `info`, as some servers that are no Automatic1111).

Options, all changeable while it runs: `auth` (user, password) · `seconds` a picture takes · `models`, `vaes`, `loras`,
`control_models` (None: the extension is not there) · `grid`.

As the real program: one call at a time, however many ask; work goes on when the client has left; an interrupt ends the
work at once with the picture as far as it is, and a 200; an unknown checkpoint, LoRA or key is dropped without a word.
`calls` of the ledger hold each body; `billed_images` counts pictures that were drawn.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

if __name__ == "__main__":  # run as a program: make the folder above importable, as pytest's `pythonpath` does
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.path.remove(str(Path(__file__).resolve().parent))

from servers import automatic1111_catalogue as catalogue
from servers.automatic1111_work import Refused, control_units, picture_of, png_base64, work
from servers.ledger import Arrival
from servers.serving import App, arguments, run_forever
from servers.wire import Request, Response

Dialect = Literal["a1111", "forge", "old", "partial"]
WHOLE_NUMBERS = ("width", "height", "steps", "seed", "batch_size", "n_iter")
_PARTIAL = ("txt2img", "img2img", "sd-models", "samplers", "schedulers", "loras", "upscalers", "options")


class Automatic1111App(App):
    """The server's state and options; see the module's text."""

    def __init__(self, *, dialect: Dialect = "a1111", auth: tuple[str, str] | None = None) -> None:
        super().__init__()
        self.dialect: Dialect = dialect
        self.auth = auth
        self.seconds = 0.0
        self.models = [catalogue.model_row("sd15-house"), catalogue.model_row("sdxl-base", hashed=False)]
        self.current_model = "sd15-house"
        self.vaes = ["vae-ft-mse"]
        self.loras = ["pixel-art", "ink"]
        self.control_models: list[str] | None = [
            "control_v11p_sd15_canny [d14c016b]",
            "control_v11f1p_sd15_depth [cfd03158]",
        ]
        self.grid = True
        self.version = {"forge": "f2.0.1v1.10.1", "old": "v1.6.0"}.get(dialect, "v1.10.1")
        self.current: str | None = None
        self.pending: list[str] = []
        self.finished: list[str] = []
        self._queue: asyncio.Lock | None = None
        self._interrupted = asyncio.Event()
        self._started = 0.0
        self._numbers = 0
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def samplers(self) -> dict[str, str]:
        """The names of /samplers with their aliases."""
        return catalogue.OLD_SAMPLERS if self.dialect == "old" else catalogue.SAMPLERS

    def sampler(self, name: str, body: dict[str, Any]) -> tuple[str, str]:
        """The sampler and schedule that are really used; the real program's refusal for an unknown name."""
        if name not in self.samplers:
            raise Refused(404 if self.dialect == "old" else 400, "Sampler not found")
        if self.dialect == "old":
            return name, "Karras" if name.endswith("Karras") else "Automatic"
        wanted = str(body.get("scheduler") or "Automatic").lower()
        return name, catalogue.SCHEDULERS.get(wanted, "Automatic")

    def chosen_model(self, body: dict[str, Any]) -> dict[str, Any]:
        """The model of `override_settings`, or the current one where that is not known."""
        wanted = (body.get("override_settings") or {}).get("sd_model_checkpoint")
        for row in self.models:
            if wanted and wanted in {row["title"], row["model_name"], row["hash"], row["model_name"] + ".safetensors"}:
                return row
        return next(row for row in self.models if row["model_name"] == self.current_model)

    def chosen_vae(self, body: dict[str, Any]) -> str | None:
        """The VAE of `override_settings`, None where it is the model's own."""
        wanted = (body.get("override_settings") or {}).get("sd_vae")
        return wanted if wanted in self.vaes else None

    async def respond(self, request: Request, arrival: Arrival) -> Response:
        """Answer one request."""
        if self.auth is not None and not self._knows(request):
            headers = {"www-authenticate": "Basic"}
            return Response.of_json({"detail": "Incorrect username or password"}, 401, headers)
        if request.method == "POST" and request.body:
            try:
                arrival.body = request.json()
            except ValueError:
                return _invalid("body", "value is not a valid dict", "type_error.dict")
        route = self._route(request)
        if route is None:
            return Response.of_json({"detail": "Not Found"}, 404)
        try:
            return await route(request, arrival)
        except Refused as refusal:
            return Response.of_json(refusal.body, refusal.status)

    def _knows(self, request: Request) -> bool:
        assert self.auth is not None
        expected = base64.b64encode(":".join(self.auth).encode()).decode()
        return request.headers.get("authorization") == f"Basic {expected}"

    def _route(self, request: Request) -> Callable[[Request, Arrival], Awaitable[Response]] | None:
        path = request.path
        if path == "/internal/progress" and request.method == "POST" and self.dialect != "partial":
            return self._internal_progress
        if path.startswith("/controlnet/") and self.control_models is not None and self.dialect != "partial":
            return self._controlnet
        name = path.removeprefix("/sdapi/v1/")
        if name == path or (self.dialect == "partial" and name not in _PARTIAL):
            return None
        if request.method == "GET":
            return self._list if name in self._lists() or name in {"progress", "options"} else None
        posts: dict[str, Callable[[Request, Arrival], Awaitable[Response]]] = {
            "txt2img": self._generate,
            "img2img": self._generate,
            "interrupt": self._interrupt,
            "extra-single-image": self._extra,
            "png-info": self._png_info,
        }
        return posts.get(name)

    def _lists(self) -> dict[str, Any]:
        lists: dict[str, Any] = {
            "samplers": catalogue.sampler_rows(self.samplers),
            "sd-models": self.models,
            "sd-vae": [
                {"model_name": name, "filename": f"/srv/webui/models/VAE/{name}.safetensors"} for name in self.vaes
            ],
            "loras": [catalogue.lora_row(name) for name in self.loras],
            "upscalers": catalogue.upscaler_rows(),
            "latent-upscale-modes": [{"name": name} for name in catalogue.LATENT_MODES],
            "scripts": {
                "txt2img": ["x/y/z plot"],
                "img2img": ["outpainting mk2", "poor man's outpainting", "sd upscale"],
            },
        }
        if self.dialect != "old":
            lists["schedulers"] = catalogue.scheduler_rows()
        if self.dialect == "forge":
            lists["sd-modules"] = lists.pop("sd-vae")
        return lists

    async def _list(self, request: Request, arrival: Arrival) -> Response:
        name = request.path.removeprefix("/sdapi/v1/")
        if name == "progress":
            return Response.of_json(self._progress())
        if name == "options":
            row = self.chosen_model({})
            return Response.of_json(
                {"sd_model_checkpoint": row["title"], "sd_vae": "Automatic", "samples_format": "png"}
            )
        return Response.of_json(self._lists()[name])

    async def _controlnet(self, request: Request, arrival: Arrival) -> Response:
        name = request.path.removeprefix("/controlnet/")
        answers: dict[str, Any] = {
            "version": {"version": 3},
            "model_list": {"model_list": self.control_models},
            "module_list": {"module_list": list(catalogue.CONTROL_MODULES), "module_detail": {}},
            "settings": {"control_net_unit_count": 3},
        }
        return Response.of_json(answers[name]) if name in answers else Response.of_json({"detail": "Not Found"}, 404)

    async def _generate(self, request: Request, arrival: Arrival) -> Response:
        body = arrival.body if isinstance(arrival.body, dict) else {}
        for name in WHOLE_NUMBERS:
            if name in body and (isinstance(body[name], bool) or not isinstance(body[name], int)):
                return _invalid(name, "value is not a valid integer", "type_error.integer")
        if self.control_models is None and control_units(body):
            raise Refused(422, "always on script controlnet not found")
        # a real server's thread goes on when the client has left
        task = asyncio.ensure_future(self._in_turn(request, body, arrival))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        answer: Response = await asyncio.shield(task)
        return answer

    async def _in_turn(self, request: Request, body: dict[str, Any], arrival: Arrival) -> Response:
        self._numbers += 1
        job = str(body.get("force_task_id") or f"task(api-{self._numbers})")
        self.pending.append(job)
        async with self._lock():
            self.pending.remove(job)
            self.current, self._started = job, time.monotonic()
            self._interrupted.clear()
            try:
                made = work(self, body, from_picture=request.path.endswith("img2img"))
                await self._take_time()
                arrival.billed_images = len(made.info["all_seeds"])
            finally:
                self.current = None
                self.finished = [*self.finished[-15:], job]
        images = made.images() if body.get("send_images", True) else []
        info = "" if self.dialect == "partial" else json.dumps(made.info)
        return Response.of_json({"images": images, "parameters": {**body, "init_images": None}, "info": info})

    async def _take_time(self) -> None:
        if self.seconds:
            try:
                await asyncio.wait_for(self._interrupted.wait(), self.seconds)
            except TimeoutError:
                return

    def _lock(self) -> asyncio.Lock:
        if self._queue is None:  # made in the server's own loop
            self._queue = asyncio.Lock()
        return self._queue

    def _share(self) -> float:
        if self.current is None or not self.seconds:
            return 0.0
        return min((time.monotonic() - self._started) / self.seconds, 0.99)

    def _progress(self) -> dict[str, Any]:
        share = self._share()
        state = {
            "skipped": False,
            "interrupted": self._interrupted.is_set(),
            "job": "scripts_txt2img" if self.current else "",
            "job_count": 1 if self.current else 0,
            "job_no": 0,
            "sampling_step": int(share * 20),
            "sampling_steps": 20 if self.current else 0,
        }
        return {"progress": share, "eta_relative": 0.0, "state": state, "current_image": None, "textinfo": None}

    async def _internal_progress(self, request: Request, arrival: Arrival) -> Response:
        job = (arrival.body or {}).get("id_task")
        active = job is not None and job == self.current
        answer: dict[str, Any] = {
            "active": active,
            "queued": job in self.pending,
            "completed": job in self.finished,
            "progress": self._share() if active else None,
            "eta": None,
            "live_preview": None,
            "id_live_preview": -1,
            "textinfo": None if active else "Waiting...",
        }
        return Response.of_json(answer)

    async def _interrupt(self, request: Request, arrival: Arrival) -> Response:
        if self.current is not None:
            self._interrupted.set()
        return Response.of_json({})

    async def _extra(self, request: Request, arrival: Arrival) -> Response:
        body = arrival.body or {}
        picture = picture_of(body.get("image", "")).convert("RGB")
        if body.get("upscaler_1", "None") not in catalogue.UPSCALERS:
            raise Refused(500, "", error="AssertionError", errors=f"could not find upscaler named {body['upscaler_1']}")
        if int(body.get("resize_mode", 0)):
            size = int(body.get("upscaling_resize_w", 512)), int(body.get("upscaling_resize_h", 512))
        else:
            factor = float(body.get("upscaling_resize", 2))
            size = int(picture.width * factor), int(picture.height * factor)
        async with self._lock():
            await self._take_time()
        arrival.billed_images = 1
        return Response.of_json({"html_info": "<p>done</p>", "image": png_base64(picture.resize(size))})

    async def _png_info(self, request: Request, arrival: Arrival) -> Response:
        picture = picture_of((arrival.body or {}).get("image", ""))
        text = str(picture.info.get("parameters", ""))
        return Response.of_json({"info": text, "items": {"parameters": text} if text else {}, "parameters": {}})


def _invalid(name: str, message: str, kind: str) -> Response:
    return Response.of_json({"detail": [{"loc": ["body", name], "msg": message, "type": kind}]}, 422)


def main() -> None:
    """Run the server from the command line."""
    parser = arguments("An Automatic1111 server for tests and demos.")
    parser.add_argument("--dialect", choices=("a1111", "forge", "old", "partial"), default="a1111")
    parser.add_argument("--seconds", type=float, default=0.5, help="how long a call takes")
    options = parser.parse_args()
    app = Automatic1111App(dialect=options.dialect)
    app.seconds = options.seconds
    run_forever(app, options.port)


if __name__ == "__main__":
    main()
