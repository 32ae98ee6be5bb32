"""A Midjourney proxy in both dialects: novicezk (A, by index) and trueai (B, by buttons, modal).

    with Server(MidjourneyApp(dialect="trueai")) as server:
        headers = {"mj-api-secret": server.app.secret}
        httpx.post(server.url + "/mj/submit/imagine", json={"prompt": "cat"}, headers=headers)

`MidjourneyApp` options, all changeable while it runs:

* `secret`: the one right secret (A: `mj-api-secret`, else an empty 401; B: `Authorization` wins over `Mj-Api-Secret`,
  else 401 with a text); None accepts anything. `account`: B's `"ok"`, `"disabled"` (401) or `"unavailable"` (403).
* `pace`: None: a task moves on by one step each time it is asked for (4 until SUCCESS); a number: seconds a step.
* `plan(Plan(...), times=1)`: what becomes of the next accepted tasks: stuck, failed, lost, another picture.
* `core_size`, `queue_size`: tasks at work at once (3) and waiting (10): beyond the first a submit is code 22 (accepted,
  with a result), beyond both code 23. A task not ended after `timeout_s` (300) fails with "任务超时".
* `banned`: words that make a submit code 24. `remix`: B asks for a window (code 21, MODAL) on variations and pans too.
* `no_account`: submits are code 3 without any parent being missing.
* `tile`: side of a single picture in pixels; `picture_format`: png, jpeg or webp; `image_urls`: whether B lists single
  pictures. `cdn.expired`: addresses no longer work. `forget_tasks()`: the restart of a store in memory.

`tasks` holds every task with `prompt`, `read` (words and flags), `mask`, `uploads` and `parent` for a test to look at.
A grid's four quadrants have clearly different colours, which belong to the prompt's words and seed; an upscale is that
very quadrant; an inpaint changes the parent's picture only where the mask is white (general knowledge).
Business errors of your own choice: `servers.midjourney_faults`. The notify hook is recorded and never called.
"""

from __future__ import annotations

import itertools
import re
import sys
import time
from pathlib import Path
from typing import Any, Literal

if __name__ == "__main__":  # run as a program: make the folder above importable, as pytest's `pythonpath` does
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.path.remove(str(Path(__file__).resolve().parent))

from servers.ledger import Arrival
from servers.midjourney_cdn import Cdn
from servers.midjourney_submit import Business, Submits
from servers.midjourney_tasks import CANCELLED, TIMED_OUT, Dialect, Plan, Task, final_picture, row_of, tiles_of
from servers.serving import App, arguments, run_forever
from servers.wire import Request, Response

_PATH = re.compile(r"(?:/mj-(relax|fast|turbo))?/mj/(.+)")


class MidjourneyApp(App):
    """The proxy's state and options; see the module's text."""

    def __init__(
        self,
        *,
        dialect: Dialect = "novicezk",
        secret: str | None = "mj-test-secret-0123456789",
        pace: float | None = None,
        keep: int | None = None,
    ) -> None:
        super().__init__(keep)
        self.dialect: Dialect = dialect
        self.secret = secret
        self.pace = pace
        self.account: Literal["ok", "disabled", "unavailable"] = "ok"
        self.core_size, self.queue_size, self.timeout_s = 3, 10, 300.0
        self.banned: set[str] = {"gore"}
        self.remix = False
        self.no_account = False
        self.tile = 64
        self.picture_format: Literal["png", "jpeg", "webp"] = "png"
        self.image_urls = True
        self.cdn = Cdn()
        self.tasks: dict[str, Task] = {}
        self._plans: list[Plan] = []
        self._ids = itertools.count(1320098173412546)
        self._submits = Submits(self)

    def plan(self, plan: Plan, *, times: int = 1) -> None:
        """Decide what becomes of the next accepted tasks."""
        self._plans += [plan] * times

    def forget_tasks(self) -> None:
        """Lose every task, as a store in memory does at a restart."""
        self.tasks.clear()

    def next_plan(self) -> Plan:
        """Use the next task's plan."""
        return self._plans.pop(0) if self._plans else Plan()

    def new_id(self) -> str:
        """A fresh task id of sixteen digits."""
        return str(next(self._ids))

    def live(self) -> list[Task]:
        """The tasks at work or waiting, oldest first; a task that waits for its window takes no place."""
        return [task for task in list(self.tasks.values()) if not (task.ended or task.modal or task.plan.lost)]

    def find(self, task_id: object) -> Task | None:
        """Find a task that is not lost."""
        task = self.tasks.get(task_id) if isinstance(task_id, str) else None
        return None if task is None or task.plan.lost else task

    async def respond(self, request: Request, arrival: Arrival) -> Response:
        """Answer one request."""
        if request.path.startswith("/cdn/"):
            return self.cdn.answer(request)
        match = _PATH.fullmatch(request.path)
        if match is None or (match[1] and self.dialect == "novicezk"):
            return self._no_path(request)
        refusal = self._unauthorised(request)
        if refusal is not None:
            return refusal
        if request.method == "POST" and request.body:
            try:
                arrival.body = request.json()
            except ValueError:
                return Response.of_json({"timestamp": _now(), "status": 400, "error": "Bad Request"}, 400)
            if not isinstance(arrival.body, dict):
                return Response.of_json({"timestamp": _now(), "status": 400, "error": "Bad Request"}, 400)
        for task in self.live():
            if time.time() - task.submitted > self.timeout_s:
                task.end("FAILURE", TIMED_OUT)
        return self._route(request, arrival, match[1], match[2])

    def _unauthorised(self, request: Request) -> Response | None:
        if self.dialect == "novicezk":
            wrong = self.secret is not None and request.headers.get("mj-api-secret") != self.secret
            return Response(401) if wrong else None
        sent = request.headers.get("authorization") or request.headers.get("mj-api-secret")
        if sent is None and self.secret is not None:
            return Response.of_text("Authorization header missing.", 401)
        if self.account == "unavailable":
            return Response.of_text("Forbidden", 403)
        if self.account == "disabled" or (
            self.secret is not None and sent not in {self.secret, f"Bearer {self.secret}"}
        ):
            return Response.of_text("Unauthorized", 401)
        return None

    def _route(self, request: Request, arrival: Arrival, speed: str | None, path: str) -> Response:
        if request.method == "POST" and path.startswith("submit/"):
            try:
                return self._submits.answer(path.removeprefix("submit/"), arrival, speed, request.base_url)
            except Business as business:
                return Response.of_json(business.body, business.http)
        if request.method == "POST" and path in {"task/list-by-condition", "task/list-by-ids"}:
            ids = (arrival.body or {}).get("ids") or []
            tasks = [task for task in (self.find(name) for name in ids) if task is not None]
            return Response.of_json([self._shown(task, request) for task in tasks])
        if request.method == "GET" and path == "task/list":
            return Response.of_json([row_of(task) for task in self.tasks.values()])
        if request.method == "GET" and path == "task/queue" and self.dialect == "novicezk":
            return Response.of_json([row_of(task) for task in self.live()[self.core_size :]])
        match = re.fullmatch(r"task/([^/]+)/(fetch|cancel|image-seed)", path)
        if match is None or request.method != ("POST" if match[2] == "cancel" else "GET"):
            return self._no_path(request)
        return self._task(request, match[1], match[2])

    def _task(self, request: Request, task_id: str, verb: str) -> Response:
        task = self.find(task_id)
        if verb == "fetch":
            if task is None:
                return Response.of_json(None) if self.dialect == "novicezk" else Response(204)
            return Response.of_json(self._shown(task, request))
        if self.dialect == "novicezk":
            return self._no_path(request)
        if task is None:
            return Response.of_json({"code": 3, "description": "任务不存在或已失效", "result": None}, 404)
        if verb == "cancel":
            if not task.ended:
                task.end("FAILURE", CANCELLED)
            return Response(200)
        if task.status != "SUCCESS":
            return Response.of_json({"code": 4, "description": "关联任务状态错误", "result": None}, 400)
        task.urls["seed"] = str(task.seed)
        return Response.of_json({"code": 1, "description": "成功", "result": str(task.seed)})

    def _shown(self, task: Task, request: Request) -> dict[str, Any]:
        """Show a task and, where the pace is by polls, let it move on first."""
        if task in self.live()[: self.core_size]:
            passed = task.position + 1 if self.pace is None else int((time.time() - task.submitted) / self.pace)
            task.step(passed)
        if task.status == "IN_PROGRESS" and task.progress.endswith("%") and task.progress != "0%":
            self._publish_preview(task, request.base_url)
        if task.status == "SUCCESS" and "done" not in task.urls:
            self._publish(task, request.base_url)
        return row_of(task)

    def _publish_preview(self, task: Task, base: str) -> None:
        if "imageUrl" not in task.urls and task.action not in {"DESCRIBE", "SHORTEN"}:
            picture = final_picture(task)
            size = max(picture.width // 4, 1), max(picture.height // 4, 1)
            path = f"attachments/{task.id}/grid_0.webp"
            task.urls["imageUrl"] = base + self.cdn.put_picture(path, picture, "webp", size=size)

    def _publish(self, task: Task, base: str) -> None:
        task.urls["done"] = True
        if task.action in {"DESCRIBE", "SHORTEN"}:
            task.urls["finalPrompt"] = "1️⃣ a red apple on a table --ar 1:1\n\n2️⃣ an apple, still life --ar 1:1"
            return
        kind = self.picture_format
        path = f"attachments/{task.id}/limner_{task.job}.{kind}"
        if task.plan.picture is not None:
            final = self.cdn.put(path, task.plan.picture, kind)
        else:
            final = self.cdn.put_picture(path, final_picture(task), kind)
        task.urls["imageUrl"] = None if task.plan.silent else base + final
        if self.dialect == "trueai" and self.image_urls and not task.plan.silent:
            task.urls["imageUrls"] = [self._single(task, n, base) for n in range(len(tiles_of(task)))]
            task.urls["thumbnailUrl"] = task.urls["imageUrls"][0]["thumbnail"]

    def _single(self, task: Task, index: int, base: str) -> dict[str, str]:
        picture = tiles_of(task)[index]
        small = max(picture.width // 2, 1), max(picture.height // 2, 1)
        whole, thumb = f"{task.job}/0_{index}.png", f"{task.job}/0_{index}_640_N.webp"
        if task.plan.picture is not None:
            url = self.cdn.put(whole, task.plan.picture, "png", signed=False)
        else:
            url = self.cdn.put_picture(whole, picture, "png", signed=False)
        return {
            "url": base + url,
            "thumbnail": base + self.cdn.put_picture(thumb, picture, "webp", signed=False, size=small),
        }

    def _no_path(self, request: Request) -> Response:
        if self.dialect == "trueai":
            return Response(404)
        return Response.of_json({"timestamp": _now(), "status": 404, "error": "Not Found", "path": request.path}, 404)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000+00:00", time.gmtime())


def main() -> None:
    """Run the server from the command line."""
    parser = arguments("A Midjourney proxy for tests and demos.")
    parser.add_argument("--dialect", choices=("novicezk", "trueai"), default="novicezk")
    parser.add_argument("--secret", help="the one right secret (default: any is right)")
    parser.add_argument("--pace", type=float, default=0.5, help="seconds for each of a task's four steps")
    parser.add_argument("--tile", type=int, default=512, help="side of a single picture in pixels")
    options = parser.parse_args()
    app = MidjourneyApp(dialect=options.dialect, secret=options.secret, pace=options.pace)
    app.tile = options.tile
    run_forever(app, options.port)


if __name__ == "__main__":
    main()
