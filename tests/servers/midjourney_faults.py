"""Faults of the Midjourney proxy: business errors, which come with HTTP 200."""

from __future__ import annotations

from typing import Any

from servers.faults import answer
from servers.midjourney_submit import result
from servers.script import Fault

DESCRIPTIONS = {
    3: "关联任务不存在或已失效",
    4: "校验错误",
    9: "提交失败，系统异常",
    21: "任务已存在",
    22: "排队中，前面还有1个任务",
    23: "队列已满，请稍后尝试",
    24: "可能包含敏感词",
}


def business(
    code: int, description: str | None = None, *, task_id: str | None = None, http: int = 200, **properties: Any
) -> Fault:
    """A submit result with this code; nothing was accepted. `task_id` is its `result`."""
    text = description if description is not None else DESCRIPTIONS.get(code, "失败")
    return answer(http, result(code, text, task_id, **properties), name=f"code {code}")


def banned(word: str = "gore", prompt: str = "a gore scene") -> Fault:
    """Code 24, the block of a word."""
    return business(24, promptEn=prompt, bannedWord=word)


def null_task() -> Fault:
    """A fetch that answers `null`, as dialect A does for a task it does not know."""
    return answer(200, None, name="null")
