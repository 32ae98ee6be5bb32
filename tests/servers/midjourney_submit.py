"""The submit endpoints of the Midjourney proxy: what they accept, and the codes with which they refuse."""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from servers.ledger import Arrival
from servers.midjourney_tasks import GRIDS, Task, buttons_of
from servers.pictures import open_picture
from servers.wire import Response

if TYPE_CHECKING:
    from servers.midjourney_server import MidjourneyApp

_KNOWN_ACTION = re.compile(
    r"MJ::(JOB::[a-z0-9_]+::\d::[^:]+(::SOLO)?|Outpaint::\d+::1::[^:]+::SOLO|CustomZoom::[^:]+"
    r"|Inpaint::1::[^:]+::SOLO|Job::PicReader::(\d|all)|Picread::Retry|BOOKMARK)"
)
_RATIOS = {"PORTRAIT": 2 / 3, "SQUARE": 1.0, "LANDSCAPE": 3 / 2}
_SUBMITTED = "提交成功"
INSTANCE = "1118138338562560102"
_Endpoints = dict[str, Callable[[dict[str, Any]], "Task"]]


class Business(Exception):
    """A submit result other than success: HTTP 200, except where dialect B answers 404."""

    def __init__(
        self, code: int, description: str, *, http: int = 200, task_id: str | None = None, **properties: Any
    ) -> None:
        super().__init__(description)
        self.http = http
        self.body = result(code, description, task_id, **properties)


def result(code: int, description: str, task_id: object = None, **properties: Any) -> dict[str, Any]:
    """A submit result as both dialects write it."""
    return {"code": code, "description": description, "result": task_id, "properties": properties}


def image_of(value: object, field: str) -> bytes:
    """Decode a data URL and check that it holds a picture; code 4 otherwise."""
    match = re.fullmatch(r"data:image/[a-z.+-]+;base64,([A-Za-z0-9+/=]+)", value) if isinstance(value, str) else None
    if match is None:
        raise Business(4, f"{field} base64格式错误")
    try:
        data = base64.b64decode(match[1], validate=True)
        open_picture(data)
    except (binascii.Error, ValueError) as error:
        raise Business(4, f"{field} base64格式错误") from error
    return data


class Submits:
    """The submit endpoints of one app."""

    def __init__(self, app: MidjourneyApp) -> None:
        self._app = app

    def answer(self, name: str, arrival: Arrival, speed: str | None, base: str) -> Response:
        """Answer POST /mj/submit/<name>; 404 for an endpoint that the dialect does not have."""
        only_a: _Endpoints = {"change": self._change, "simple-change": self._simple_change}
        only_b: _Endpoints = {
            "action": self._action,
            "modal": self._modal,
            "shorten": self._shorten,
            "edits": functools.partial(self._edit, action="EDIT"),
            "edit": functools.partial(self._edit, action="EDIT"),
            "retexture": functools.partial(self._edit, action="RETEXTURE"),
        }
        both: _Endpoints = {"imagine": self._imagine, "blend": self._blend, "describe": self._describe}
        body: dict[str, Any] = arrival.body or {}
        if name == "upload-discord-images" and self._app.dialect == "trueai":
            return Response.of_json(self._upload(body, base))
        do = (both | (only_a if self._app.dialect == "novicezk" else only_b)).get(name)
        if do is None:
            return Response(404)
        _check_common(body)
        task = do(body)
        if task.modal:
            more = {"remix": True, "finalPrompt": task.prompt}
            return Response.of_json(result(21, "Waiting for window confirm", task.id, **more))
        self._mode(task, body, speed)
        return Response.of_json(self._accept(task, arrival))

    def _accept(self, task: Task, arrival: Arrival) -> dict[str, Any]:
        app = self._app
        app.tasks[task.id] = task
        ahead = len([one for one in app.live() if one is not task]) - app.core_size
        arrival.billed_images += 4 if task.action in GRIDS else int(task.action.startswith("UPSCALE"))
        if ahead < 0:
            return result(1, _SUBMITTED, task.id, discordInstanceId=INSTANCE)
        text = f"排队中，前面还有{ahead + 1}个任务"
        return result(22, text, task.id, numberOfQueues=ahead + 1, discordInstanceId=INSTANCE)

    def _refuse_when_full(self) -> None:
        if len(self._app.live()) >= self._app.core_size + self._app.queue_size:
            raise Business(23, "队列已满，请稍后尝试", discordInstanceId=INSTANCE)

    def _mode(self, task: Task, body: dict[str, Any], speed: str | None) -> None:
        account = body.get("accountFilter") or {}
        modes = account.get("modes") or []
        flags = [name for name in ("relax", "fast", "turbo") if name in task.read.flags]
        task.mode = str(speed or (flags[0] if flags else None) or (modes[0] if modes else "FAST")).upper()
        task.bot_type = str(body.get("botType") or (task.parent.bot_type if task.parent else "MID_JOURNEY"))

    def _new(self, action: str, prompt: str, description: str, body: dict[str, Any], **more: Any) -> Task:
        if self._app.no_account:
            raise Business(3, "无可用的账号实例")
        word = next((word for word in self._app.banned if word in prompt.lower().split()), None)
        if word is not None:
            raise Business(24, "可能包含敏感词", promptEn=prompt, bannedWord=word)
        self._refuse_when_full()
        return Task(
            self._app.new_id(), action, prompt, description, self._app.dialect, self._app.next_plan(),
            state=body.get("state"), notify_hook=body.get("notifyHook"), tile=self._app.tile, **more,
        )  # fmt: skip

    def _imagine(self, body: dict[str, Any]) -> Task:
        prompt = _prompt(body)
        uploads = [image_of(value, "base64Array") for value in body.get("base64Array") or []]
        return self._new("IMAGINE", prompt, f"/imagine {prompt}", body, uploads=uploads)

    def _shorten(self, body: dict[str, Any]) -> Task:
        prompt = _prompt(body)
        return self._new("SHORTEN", prompt, f"/shorten {prompt}", body)

    def _edit(self, body: dict[str, Any], *, action: str) -> Task:
        prompt = _prompt(body)
        image = body.get("image")
        if not isinstance(image, str) or not image:
            raise Business(4, "image不能为空")
        uploads = [] if image.startswith(("http://", "https://")) else [image_of(image, "image")]
        return self._new(action, prompt, f"/edit {prompt}", body, uploads=uploads)

    def _blend(self, body: dict[str, Any]) -> Task:
        values = body.get("base64Array")
        if not isinstance(values, list) or not 2 <= len(values) <= 5:
            raise Business(4, "base64List参数错误")
        dimensions = body.get("dimensions") or "SQUARE"
        if dimensions not in _RATIOS:
            raise Business(4, "dimensions参数错误")
        uploads = [image_of(value, "base64Array") for value in values]
        return self._new("BLEND", "", f"/blend {len(uploads)}", body, uploads=uploads, ratio=_RATIOS[dimensions])

    def _describe(self, body: dict[str, Any]) -> Task:
        if self._app.dialect == "trueai" and body.get("link"):
            return self._new("DESCRIBE", "", "/describe", body)
        if not body.get("base64"):
            raise Business(4, "base64不能为空")
        return self._new("DESCRIBE", "", "/describe", body, uploads=[image_of(body["base64"], "base64")])

    def _upload(self, body: dict[str, Any], base: str) -> dict[str, Any]:
        values = body.get("base64Array")
        if not isinstance(values, list) or not values:
            raise Business(4, "base64Array不能为空")
        urls = []
        for value in values:
            data = image_of(value, "base64Array")
            kind = {"PNG": "png", "JPEG": "jpeg", "WEBP": "webp"}.get(open_picture(data).format or "", "png")
            urls.append(base + self._app.cdn.put(f"uploads/{self._app.new_id()}.{kind}", data, kind))
        return result(1, _SUBMITTED, urls)

    def _simple_change(self, body: dict[str, Any]) -> Task:
        match = re.fullmatch(r"(\S+) (?:([UV])([1-4])|R)", str(body.get("content") or "").strip())
        if match is None:
            raise Business(4, "content参数错误")
        action = {"U": "UPSCALE", "V": "VARIATION", None: "REROLL"}[match[2]]
        return self._change({**body, "taskId": match[1], "action": action, "index": int(match[3] or 0) or None})

    def _change(self, body: dict[str, Any]) -> Task:
        task_id, action, index = body.get("taskId"), body.get("action"), body.get("index")
        if not task_id:
            raise Business(4, "taskId不能为空")
        if action not in {"UPSCALE", "VARIATION", "REROLL"}:
            raise Business(4, "action参数错误")
        if action != "REROLL" and (isinstance(index, bool) or not isinstance(index, int) or not 1 <= index <= 4):
            raise Business(4, "index参数错误")
        parent = self._app.find(task_id)
        if parent is None:
            raise Business(3, "关联任务不存在或已失效")
        if parent.status != "SUCCESS":
            raise Business(4, "关联任务状态错误")
        if parent.action not in {"IMAGINE", "VARIATION", "REROLL", "BLEND"}:
            raise Business(4, "关联任务不允许执行变化")
        short = {"UPSCALE": f"U{index}", "VARIATION": f"V{index}", "REROLL": "R"}[action]
        description = f"/up {parent.id} {short}"
        twin = next((task for task in self._app.tasks.values() if task.description == description), None)
        if action == "UPSCALE" and twin is not None:
            more: dict[str, Any] = {"status": twin.status, "imageUrl": twin.urls.get("imageUrl")}
            raise Business(21, "任务已存在", task_id=twin.id, **more)
        return self._new(action, parent.prompt, description, body, parent=parent, index=index or 1, ratio=parent.ratio)

    def _action(self, body: dict[str, Any]) -> Task:
        custom_id = body.get("customId")
        if not isinstance(custom_id, str) or not _KNOWN_ACTION.fullmatch(custom_id):
            raise Business(4, "未知的 Action 类型")
        parent = self._parent(body)
        if parent.status != "SUCCESS":
            raise Business(4, "关联任务状态错误")
        if custom_id not in {button["customId"] for button in buttons_of(parent)}:
            raise Business(4, "未知的 Action 类型")
        action, index = _meaning(custom_id)
        modal = action in {"INPAINT", "CUSTOM_ZOOM"} or (self._app.remix and action in {"VARIATION", "REROLL", "PAN"})
        action = "ZOOM" if action == "CUSTOM_ZOOM" else action
        more: dict[str, Any] = {"parent": parent, "index": index, "custom_id": custom_id, "ratio": parent.ratio}
        task = self._new(action, parent.prompt, f"/action {parent.id}", body, **more)
        if modal:
            task.modal, task.status = True, "MODAL"
            self._app.tasks[task.id] = task
        return task

    def _modal(self, body: dict[str, Any]) -> Task:
        task = self._parent(body)
        if not task.modal:
            raise Business(4, "关联任务状态错误")
        if task.action == "INPAINT":
            task.mask = image_of(body.get("maskBase64"), "maskBase64")
        if body.get("prompt"):
            task.prompt = str(body["prompt"])
        self._refuse_when_full()
        task.modal, task.status = False, "NOT_START"
        return task

    def _parent(self, body: dict[str, Any]) -> Task:
        task = self._app.find(body.get("taskId"))
        if task is None:
            raise Business(3, "关联任务不存在或已失效", http=404)
        return task


def _check_common(body: dict[str, Any]) -> None:
    state = body.get("state")
    if state is not None and (not isinstance(state, str) or len(state) > 255):
        raise Business(4, "state参数错误")


def _prompt(body: dict[str, Any]) -> str:
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise Business(4, "prompt不能为空")
    return prompt


def _meaning(custom_id: str) -> tuple[str, int]:
    """What a button does, and to which of the four pictures."""
    parts = custom_id.split("::")
    if parts[1] != "JOB":
        zoom = {"Inpaint": "INPAINT", "CustomZoom": "CUSTOM_ZOOM", "Outpaint": "OUTPAINT"}
        return zoom.get(parts[1], "ACTION"), 1
    name, index = parts[2], int(parts[3]) or 1
    for start, action in (("upsample_", "UPSCALE_HD"), ("upsample", "UPSCALE"), ("pan_", "PAN"), ("reroll", "REROLL")):
        if name.startswith(start):
            return action, index
    return ("VARIATION" if name.endswith("variation") else "VIDEO"), index
