"""What the two proxies answer, read once and strictly: submit results, tasks, and what their failures mean.

It contacts nobody. Words of a proxy never get into a message: they may repeat a prompt. Known ones are translated by
`data/midjourney.json`, of Midjourney's own only the title in square brackets is shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from limner_providers._midjourney_facts import Dialect, Phrase, meaning
from limner_providers.errors import (
    AccessDenied,
    Cancelled,
    EngineUnavailable,
    GenerationFailed,
    ModerationBlocked,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    UnsupportedRequest,
)

ACCEPTED, EXISTED, IN_QUEUE = 1, 21, 22
_NOT_FOUND, _INVALID, _QUEUE_FULL, _BANNED = 3, 4, 23, 24
_MOST_SINGLES = 16  # a grid has four; each is fetched, so a list without end must not be believed
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_PERCENT = re.compile(r"(\d{1,3})\s*%")
_TITLE = re.compile(r"\s*\[([A-Za-z0-9 _'-]{1,60})\]")
_QUOTED = re.compile(r"[`\"“]([^`\"”\n]{1,60})[`\"”]")
_GRIDS = frozenset({"IMAGINE", "VARIATION", "REROLL", "BLEND", "PAN", "ZOOM"})
_SINGLES = frozenset({"UPSCALE", "UPSCALE_HD"})


@dataclass(frozen=True, slots=True)
class Submitted:
    """A proxy's answer to a submit: code, the task's id (None where it named none) and what it said beside."""

    code: int
    job: str | None
    description: str = field(default="", repr=False)
    properties: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def waits_for_dialog(self) -> bool:
        """Whether the new task waits for `/mj/submit/modal` (trueai's meaning of code 21)."""
        told = "window confirm" in self.description.lower() or "remix" in self.properties
        return self.code == EXISTED and (told or "finalPrompt" in self.properties)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task as a proxy tells it.

    Attributes:
        job: its id.
        status: in capitals; empty where it is not told.
        progress: 0 to 100, None where it is not told.
        image_url: of a grid or a single picture; of unfinished work a preview, which is never used.
        image_urls: of the single pictures of a grid, where the proxy knows them.
        buttons: ids of what can be done next.
    """

    job: str
    action: str = ""
    status: str = ""
    progress: int | None = None
    prompt: str | None = field(default=None, repr=False)
    description: str = field(default="", repr=False)
    state: str | None = None
    image_url: str | None = field(default=None, repr=False)
    image_urls: tuple[str, ...] = field(default=(), repr=False)
    reason: str = field(default="", repr=False)
    buttons: tuple[str, ...] = field(default=(), repr=False)
    seed: str | None = None
    speed: str | None = None
    version: str | None = None
    started: bool = False

    @property
    def is_grid(self) -> bool:
        """Whether its picture holds four: the buttons say so, else the kind of work."""
        if self.action in _SINGLES:
            return False
        return self.action in _GRIDS or any(one.startswith("MJ::JOB::upsample::") for one in self.buttons)

    @property
    def last_seen(self) -> str:
        """Its status and progress in a few words, for a message."""
        shown = self.status if re.fullmatch(r"[A-Z_]{1,20}", self.status) else "an unknown status"
        return shown if self.progress is None else f"{shown}, {self.progress} %"


def read_submitted(told: Any) -> Submitted | None:
    """Read a submit's answer; None: it is none, so that nobody knows what became of the submit."""
    if not isinstance(told, dict) or type(told.get("code")) is not int:
        return None
    properties = told.get("properties")
    return Submitted(
        code=told["code"],
        job=read_id(told.get("result")),
        description=_text(told.get("description")),
        properties=properties if isinstance(properties, dict) else {},
    )


def read_id(value: Any) -> str | None:
    """Read a task's id, which comes as a text and sometimes as a number; None: it is none."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if _ID.fullmatch(text) else None


def read_task(told: Any) -> Task | None:
    """Read a task; None: it is none (`null` and an empty body mean that the id is not known)."""
    job = read_id(told.get("id")) if isinstance(told, dict) else None
    if job is None:
        return None
    found = _PERCENT.search(_text(told.get("progress")))
    seed = read_id(told.get("seed"))
    return Task(
        job=job,
        action=_text(told.get("action")).upper(),
        status=_text(told.get("status")).upper(),
        progress=min(int(found[1]), 100) if found else None,
        prompt=told.get("prompt") if isinstance(told.get("prompt"), str) else None,
        description=_text(told.get("description")),
        state=told.get("state") if isinstance(told.get("state"), str) else None,
        image_url=_text(told.get("imageUrl")) or None,
        image_urls=_urls(told.get("imageUrls")),
        reason=_text(told.get("failReason")),
        buttons=_buttons(told.get("buttons")),
        seed=seed if seed is not None and seed.isdigit() else None,
        speed=_word(told.get("mode")),
        version=_word(told.get("version")),
        started=bool(told.get("startTime")) or bool(found and int(found[1])),
    )


def refused(submitted: Submitted, *, provider: str, origin: str | None = None) -> ProviderError:
    """Make the error of a submit that was answered and not accepted: nothing was queued, nothing is billed.

    Args:
        submitted: its code is none of 1, 21 and 22.
        provider: its name in the configuration.
        origin: the job that the submit starts from, None: it starts from none.
    """
    code, phrase = submitted.code, meaning(submitted.description)
    if code == _BANNED:
        return _banned(submitted, provider)
    if code == _QUEUE_FULL:
        message = f"{provider}: the proxy's queue is full; nothing was queued."
        return RateLimited(message, remedy="Ask again later.", provider=provider)
    if code == _NOT_FOUND and phrase is None:
        means = "parent" if origin is not None else "no-account"
        phrase = Phrase(means=means, says=_NOT_FOUND_SAYS[means], words=())
    told = phrase.says if phrase is not None else _CODES.get(code, "it refused")
    message = f"{provider}: the proxy answered code {code}: {told}."
    error = _meant(phrase, message, submitted.description, provider, origin)
    error.may_have_billed = False
    return error


def failure(task: Task, *, provider: str) -> ProviderError:
    """Make the error of an accepted task that failed or was cancelled."""
    phrase = meaning(task.reason)
    if task.status == "CANCEL" and phrase is None:
        phrase = Phrase(means="cancelled", says="somebody cancelled it", words=())
    title = _TITLE.match(task.reason)
    told = phrase.says if phrase is not None else "it told no reason that is known"
    shown = f" ({title[1]})" if title else ""
    error = _meant(phrase, f"{provider}: the work failed: {told}{shown}.", task.reason, provider, None)
    error.job = task.job
    begun = task.started and (phrase is None or phrase.means == "failed")
    if begun or (phrase is not None and phrase.means in {"timeout", "cancelled"}):
        # The proxy lost sight of work that Midjourney may have carried out.
        error.may_have_billed, error.retry_safe = True, False
    return error


def other_dialect(dialect: Dialect) -> Dialect:
    """Give the one of the two that is not `dialect`."""
    return "trueai" if dialect == "novicezk" else "novicezk"


_CODES = {
    _INVALID: "the request is not valid",
    9: "the proxy failed inside",
    EXISTED: "it answered with another task",
}
_NOT_FOUND_SAYS = {
    "parent": "it does not know that picture any longer",
    "no-account": "it has no account that works",
}


def _banned(submitted: Submitted, provider: str) -> ModerationBlocked:
    word = _text(submitted.properties.get("bannedWord"))
    return ModerationBlocked(
        f"{provider}: the proxy's list of banned words refused the prompt; nothing was queued.",
        stage="input",
        categories=("banned word",),
        matched=(word[:100],) if word else (),
        remedy="Change the prompt; `matched` holds the word, where the proxy named it.",
        provider=provider,
        may_have_billed=False,
    )


def _meant(phrase: Phrase | None, message: str, words: str, provider: str, origin: str | None) -> ProviderError:
    means = phrase.means if phrase is not None else None
    if phrase is not None and means == "moderation":
        title = _TITLE.match(words)
        return ModerationBlocked(
            message,
            stage=phrase.stage,
            categories=(title[1] if title else "prompt",),
            matched=_quoted(words),
            remedy="Change the prompt; `matched` holds what was named of it.",
            provider=provider,
        )
    if means == "parent":
        why = f"{phrase.says if phrase else ''}."
        remedy = "Give an image of a grid that this provider made, or make it anew."
        shown = "(given)" if origin else "(none)"
        return UnsupportedRequest("origin", shown, why=why, remedy=remedy, provider=provider)
    if means in {"busy", "quota", "access", "no-account", "cancelled"}:
        kinds: dict[str, tuple[type[ProviderError], str]] = {
            "busy": (RateLimited, "Ask again later."),
            "quota": (QuotaExhausted, "Look at the proxy's accounts and limits."),
            "access": (AccessDenied, "Look at the proxy's accounts and settings."),
            "no-account": (EngineUnavailable, "Look at the proxy's accounts; then ask again."),
            "cancelled": (Cancelled, "Ask again if the picture is still wanted; the work may have been billed."),
        }
        kind, remedy = kinds[str(means)]
        return kind(message, remedy=remedy, provider=provider)
    remedy = "Correct the request." if means == "invalid" else "Look at the proxy's log before asking again."
    return GenerationFailed(message, remedy=remedy, provider=provider)


def _quoted(words: str) -> tuple[str, ...]:
    """Give the words that a moderation quotes: of the prompt, as a rule."""
    return tuple(dict.fromkeys(found.strip() for found in _QUOTED.findall(words)))[:8]


def _word(value: Any) -> str | None:
    """Read a short plain word of the proxy's; None: there is none."""
    word = _text(value).strip().lower()
    return word if re.fullmatch(r"[a-z0-9._ -]{1,20}", word) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _urls(value: Any) -> tuple[str, ...]:
    """Read the single pictures' addresses, which come as objects with `url` or as plain texts."""
    if not isinstance(value, list):
        return ()
    found = (_text(one.get("url")) if isinstance(one, dict) else _text(one) for one in value[:_MOST_SINGLES])
    return tuple(url for url in found if url)


def _buttons(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(_text(one.get("customId")) for one in value if isinstance(one, dict) and one.get("customId"))
