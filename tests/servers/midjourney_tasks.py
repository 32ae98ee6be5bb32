"""Tasks of the Midjourney proxy: their states, their buttons, their pictures and how both dialects write them."""

from __future__ import annotations

import functools
import math
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from servers.midjourney_prompt import Prompt, read_prompt
from servers.pictures import Size, grid, open_picture, plain, quadrant_colours

if TYPE_CHECKING:
    from PIL.Image import Image

Dialect = Literal["novicezk", "trueai"]
TERMINAL = {"SUCCESS", "FAILURE", "CANCEL"}
GRIDS = {"IMAGINE", "VARIATION", "REROLL", "BLEND", "PAN", "ZOOM", "OUTPAINT", "INPAINT", "ACTION", "EDIT", "RETEXTURE"}
TIMED_OUT = "任务超时"
CANCELLED = "取消任务"

_STEPS: dict[Dialect, list[tuple[str, str]]] = {
    "novicezk": [("SUBMITTED", "0%"), ("IN_PROGRESS", "0%"), ("IN_PROGRESS", "46%"), ("SUCCESS", "100%")],
    "trueai": [("SUBMITTED", "0%"), ("IN_PROGRESS", "Waiting to start"), ("IN_PROGRESS", "46%"), ("SUCCESS", "100%")],
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of the next task. Without any field it succeeds.

    `stuck_at`: it never gets past this status. `fail`: it ends as FAILURE with this reason after its progress.
    `lost`: it is accepted, and unknown when asked for (the store in memory after a restart). `picture`: these bytes
    stand at its final address, in place of the right picture. `silent`: SUCCESS without an `imageUrl`.
    """

    stuck_at: Literal["NOT_START", "SUBMITTED", "IN_PROGRESS"] | None = None
    fail: str | None = None
    lost: bool = False
    picture: bytes | None = field(default=None, repr=False)
    silent: bool = False


@dataclass(slots=True)
class Task:
    """One task. `tiles` are its single pictures; `mask` is what a client sent to the modal; `uploads` its images."""

    id: str
    action: str
    prompt: str
    description: str
    dialect: Dialect
    plan: Plan
    state: str | None = None
    notify_hook: str | None = None
    parent: Task | None = None
    index: int = 1
    mode: str = "FAST"
    bot_type: str = "MID_JOURNEY"
    custom_id: str | None = None
    uploads: list[bytes] = field(default_factory=list, repr=False)
    mask: bytes | None = field(default=None, repr=False)
    ratio: float | None = None
    modal: bool = False
    status: str = "NOT_START"
    progress: str = "0%"
    fail_reason: str | None = None
    position: int = -1
    submitted: float = field(default_factory=time.time)
    started: float | None = None
    finished: float | None = None
    job: str = field(default_factory=lambda: str(uuid.uuid4()))
    urls: dict[str, Any] = field(default_factory=dict)
    tile: int = 64

    @property
    def read(self) -> Prompt:
        """The prompt's parts."""
        return read_prompt(self.prompt)

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in TERMINAL

    @property
    def seed(self) -> int:
        """The seed asked for, else one that belongs to the prompt."""
        asked = self.read.flags.get("seed", "")
        return int(asked) if asked.isdigit() else int(uuid.uuid5(uuid.NAMESPACE_URL, self.id).int % 2**32)

    def end(self, status: str, reason: str | None = None) -> None:
        """End the task; a reason makes its progress an empty text, as both servers do."""
        self.status, self.fail_reason, self.finished = status, reason, time.time()
        self.progress = "" if reason else "100%"

    def step(self, position: int) -> None:
        """Move to this step of its life, as far as its plan lets it."""
        steps = _STEPS[self.dialect]
        while self.position < min(position, len(steps) - 1) and not self.ended:
            if self.plan.stuck_at is not None and self.status == self.plan.stuck_at:
                self._stuck()
                return
            self.position += 1
            self.status, self.progress = steps[self.position]
            self.started = self.started or time.time()
            fault = self.read.fault
            if self.status == "IN_PROGRESS" and fault:
                self.end("FAILURE", fault)
            elif self.status == "SUCCESS":
                self.end("FAILURE" if self.plan.fail else "SUCCESS", self.plan.fail)

    def _stuck(self) -> None:
        if self.status == "IN_PROGRESS":
            self.progress = "85%"


def size_of_tile(task: Task) -> Size:
    """A single picture's size: `task.tile` squared in area, in the shape that `--ar` or the blend asked for."""
    ratio = task.ratio or task.read.ratio
    return max(round(task.tile * math.sqrt(ratio)), 2), max(round(task.tile / math.sqrt(ratio)), 2)


def tiles_of(task: Task) -> list[Image]:
    """The single pictures of a task: four, or one for an upscale."""
    if task.parent is not None and task.action in {"UPSCALE", "UPSCALE_HD"}:
        tile = tiles_of(task.parent)[task.index - 1 if len(tiles_of(task.parent)) > 1 else 0]
        return [tile.resize((tile.width * 2, tile.height * 2), 0) if task.action == "UPSCALE_HD" else tile]
    seeds = [task.read.words, task.read.flags.get("seed", "")]
    if task.parent is not None:
        seeds += [task.action, str(task.index), task.parent.prompt]
    colours = quadrant_colours(*seeds)
    if task.action == "INPAINT" and task.parent is not None and task.mask is not None:
        return _repainted(tiles_of(task.parent)[0], task.mask, colours)
    size = tiles_of(task.parent)[0].size if task.parent is not None else size_of_tile(task)
    return [plain(size, colour) for colour in colours]


def _repainted(picture: Image, mask: bytes, colours: list[tuple[int, int, int]]) -> list[Image]:
    white = open_picture(mask).convert("L").resize(picture.size, 0).point(lambda value: 255 if value > 127 else 0)
    result = []
    for colour in colours:
        tile = picture.copy()
        tile.paste(colour, mask=white)
        result.append(tile)
    return result


def final_picture(task: Task) -> Image:
    """What stands at the task's address in the end: a grid of four, or the one picture."""
    tiles = tiles_of(task)
    return grid(tiles) if len(tiles) == 4 else tiles[0]


def buttons_of(task: Task) -> list[dict[str, Any]]:
    """The buttons that a finished task offers, in Midjourney's order."""
    make = functools.partial(_button, job=task.job)
    if task.action in {"UPSCALE", "UPSCALE_HD"}:
        return [
            *([] if task.read.flags.get("version", "").startswith("8") else [
                make("MJ::JOB::upsample_v7_2x_subtle::1::{}::SOLO", "Upscale (Subtle)"),
                make("MJ::JOB::upsample_v7_2x_creative::1::{}::SOLO", "Upscale (Creative)"),
            ]),
            make("MJ::JOB::low_variation::1::{}::SOLO", "Vary (Subtle)"),
            make("MJ::JOB::high_variation::1::{}::SOLO", "Vary (Strong)"),
            make("MJ::Inpaint::1::{}::SOLO", "Vary (Region)"),
            make("MJ::Outpaint::50::1::{}::SOLO", "Zoom Out 2x"),
            make("MJ::Outpaint::75::1::{}::SOLO", "Zoom Out 1.5x"),
            make("MJ::CustomZoom::{}", "Custom Zoom"),
            *(make(f"MJ::JOB::pan_{side}::1::{{}}::SOLO", "", emoji) for side, emoji in _PANS),
            make("MJ::JOB::animate_high::1::{}::SOLO", "Animate (High motion)"),
            make("MJ::JOB::animate_low::1::{}::SOLO", "Animate (Low motion)"),
            make("MJ::BOOKMARK", "", "❤️"),
        ]  # fmt: skip
    if task.action in GRIDS:
        return [
            *(make(f"MJ::JOB::upsample::{index}::{{}}", f"U{index}") for index in range(1, 5)),
            make("MJ::JOB::reroll::0::{}::SOLO", "", "🔄"),
            *(make(f"MJ::JOB::variation::{index}::{{}}", f"V{index}") for index in range(1, 5)),
        ]
    if task.action == "DESCRIBE":
        return [
            *(make(f"MJ::Job::PicReader::{n}", n) for n in ("1", "2", "3", "4", "all")),
            make("MJ::Picread::Retry", ""),
        ]
    return []


_PANS = (("left", "⬅️"), ("right", "➡️"), ("up", "⬆️"), ("down", "⬇️"))


def _button(pattern: str, label: str, emoji: str = "", *, job: str) -> dict[str, Any]:
    return {"customId": pattern.format(job), "emoji": emoji, "label": label, "style": 2, "type": 2}


def row_of(task: Task) -> dict[str, Any]:
    """The task as its dialect writes it."""
    final = task.urls.get("finalPrompt", task.prompt)
    properties: dict[str, Any] = {
        "finalPrompt": final,
        "notifyHook": task.notify_hook,
        "discordInstanceId": "1118138338562560102",
        "flags": 0,
        "nonce": task.id[::-1],
    }
    if task.status in {"IN_PROGRESS", "SUCCESS"}:
        properties["progressMessageId"] = "1" + task.id
    if task.status == "SUCCESS":
        properties |= {"messageId": "2" + task.id, "messageHash": task.job}
    row: dict[str, Any] = {
        "id": task.id,
        "action": task.action,
        "status": task.status,
        "prompt": task.prompt,
        "promptEn": task.prompt,
        "description": task.description,
        "state": task.state,
        "submitTime": round(task.submitted * 1000),
        "startTime": _milliseconds(task.started),
        "finishTime": _milliseconds(task.finished),
        "progress": task.progress,
        "imageUrl": task.urls.get("imageUrl"),
        "failReason": task.fail_reason,
        "properties": properties,
    }
    return row if task.dialect == "novicezk" else row | _more(task)


def _more(task: Task) -> dict[str, Any]:
    done = task.status == "SUCCESS"
    size = final_picture(task).size if done and "imageUrls" in task.urls else (0, 0)
    return {
        "buttons": buttons_of(task) if done else [],
        "botType": task.bot_type,
        "mode": task.mode,
        "imageUrls": task.urls.get("imageUrls", []),
        "thumbnailUrl": task.urls.get("thumbnailUrl", ""),
        "jobId": task.job if done else None,
        "seed": task.urls.get("seed"),
        "imageWidth": size[0],
        "imageHeight": size[1],
        "parentId": task.parent.id if task.parent else None,
        "version": f"v {task.read.flags.get('version', '7')}",
    }


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
