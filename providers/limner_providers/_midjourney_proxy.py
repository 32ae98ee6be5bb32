"""Talking to a proxy: submit once, look for a submit whose answer was lost, poll until a task has ended, cancel.

Polling is the truth and cannot bill, so its failures are survived here; a submit is never repeated. It knows no
request and no picture.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import anyio
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_result,
    stop_after_attempt,
    stop_never,
    wait_exponential,
    wait_random,
)

from limner_providers import _midjourney_wire as wire
from limner_providers._http import Answer, Http, segment
from limner_providers._midjourney_facts import Dialect, Speed
from limner_providers._midjourney_wire import ACCEPTED, EXISTED, IN_QUEUE, Submitted, Task
from limner_providers.errors import (
    AccessDenied,
    GenerationFailed,
    OutcomeUnknown,
    ProviderError,
    ResultRefused,
)

_LONGEST_SUBMIT = 60.0  # seconds; a proxy queues at once and answers
_SHORT = 15.0  # seconds for a look-up
_LAST_LOOK = 5.0
_CANCEL_WITHIN = 5.0
_LIST_BYTES = 32 * 1024 * 1024  # novicezk lists every task it keeps
_PATIENCE = 5  # polls in a row that may say "not known", "not allowed" or "done" without a picture

Confirm = Callable[[], Awaitable[None]]


class Proxy:
    """One configured proxy."""

    def __init__(self, http: Http, *, dialect: Dialect, poll: tuple[float, float]) -> None:
        """Talk over `http`; `poll` is the first pause between two looks at a task and the longest, in seconds."""
        self.http = http
        self.name = http.provider
        self.dialect: Dialect = dialect
        self.poll = poll

    async def submit(
        self,
        call: str,
        body: Mapping[str, Any],
        *,
        speed: Speed | None,
        state: str,
        deadline: float,
        origin: str | None,
    ) -> Submitted:
        """Hand in work, once.

        Args:
            call: what stands behind `/mj/submit/`.
            body: of the call, without `state`.
            speed: trueai's speed, which is a part of the address.
            state: our own name for it, by which it is found again where the answer is lost.
            deadline: on anyio's clock.
            origin: the job that it starts from.

        Returns:
            A submit with a job: accepted, queued, or code 21, whose meaning is the caller's.

        Raises:
            RateLimited, ModerationBlocked, UnsupportedRequest, GenerationFailed …: it was refused, nothing was queued.
            OutcomeUnknown: the answer was lost, and the task is not in the proxy's list.
        """
        lost: ProviderError
        status = 0
        try:
            answer = await self.http.send(
                "POST",
                f"{self._prefix(speed)}/submit/{call}",
                json={**body, "state": state},
                idempotent=False,
                timeout=max(0.01, min(_LONGEST_SUBMIT, self._left(deadline) * 0.8)),
            )
            status = answer.status
            return self._accepted(answer, origin)
        except (OutcomeUnknown, ResultRefused) as error:
            lost = error
        except GenerationFailed as error:
            if status < 500:
                raise
            lost = error  # the server failed, perhaps after it had queued the task
        found, looked = await self.find(state, deadline)
        if found is not None:
            return Submitted(code=ACCEPTED, job=found.job)
        if looked and isinstance(lost, GenerationFailed) and not isinstance(lost, ResultRefused):
            raise lost
        shown = "does not show" if looked else "could not be read, which would show"
        raise OutcomeUnknown(
            f"{lost.args[0]} The proxy's list {shown} the task with the state {state}.",
            remedy="Look for it there before asking again: it may have been carried out and billed.",
            provider=self.name,
            request_id=lost.request_id,
        ) from None

    def _accepted(self, answer: Answer, origin: str | None) -> Submitted:
        submitted = wire.read_submitted(_json(answer)) if answer.status not in {401, 403, 429} else None
        if submitted is None:
            answer.raise_for_status().json()  # raises what it means, for instance of an HTML page
            raise OutcomeUnknown(f"{self.name}: its answer to a submit has no code.", provider=self.name)
        if submitted.code not in {ACCEPTED, EXISTED, IN_QUEUE}:
            raise wire.refused(submitted, provider=self.name, origin=origin)
        if submitted.job is None:
            raise OutcomeUnknown(f"{self.name}: it accepted a submit and named no task.", provider=self.name)
        return submitted

    async def confirm(self, job: str, body: Mapping[str, Any], *, speed: Speed | None, deadline: float) -> None:
        """Answer the dialog that a task waits for (trueai). A lost answer is no loss: the task itself will tell.

        Raises:
            ModerationBlocked, RateLimited, GenerationFailed …: the proxy refused; the task will never begin.
        """
        try:
            answer = await self.http.send(
                "POST",
                f"{self._prefix(speed)}/submit/modal",
                json={**body, "taskId": job},
                idempotent=False,
                timeout=max(0.01, min(_LONGEST_SUBMIT, self._left(deadline))),
            )
            self._accepted(answer, job)
        except (OutcomeUnknown, ResultRefused):
            return

    async def find(self, state: str, deadline: float) -> tuple[Task | None, bool]:
        """Look for a task of ours by its state; three times, since a list may lag behind.

        Returns:
            The task, None where no list shows it; and whether the last look saw the whole of what is there.
        """
        looked = False
        calls = ("/mj/task/queue", "/mj/task/list") if self.dialect == "novicezk" else ("/mj/task/list",)
        for pause in (0.0, 0.25, 1.0):
            await anyio.sleep(pause)
            lists = [await self._rows(call, deadline) for call in calls]
            looked = None not in lists
            for rows in lists:
                mine = (task for row in rows or () if isinstance(row, dict) and row.get("state") == state
                        and (task := wire.read_task(row)) is not None)  # fmt: skip
                if (found := next(mine, None)) is not None:
                    return found, True
        return None, looked

    async def _rows(self, call: str, deadline: float) -> list[Any] | None:
        # The work may be paid for by now: a look at the list is worth two seconds beyond the deadline.
        within = min(_SHORT, max(self._left(deadline), 2.0))
        try:
            answer = await self.http.send("GET", call, idempotent=True, timeout=within, max_body=_LIST_BYTES)
            rows = answer.raise_for_status().json()
        except ProviderError:
            return None
        return rows if isinstance(rows, list) else None

    async def task(self, job: str, *, timeout: float = _SHORT) -> Task | None:
        """Ask for a task; None: the proxy does not know it.

        Raises:
            ProviderError: it could not be asked.
        """
        answer = await self.http.send("GET", f"/mj/task/{segment(job)}/fetch", idempotent=True, timeout=timeout)
        answer.raise_for_status()
        return wire.read_task(answer.json()) if answer.body.strip() else None

    async def wait(
        self,
        job: str,
        *,
        deadline: float,
        on_progress: Callable[[int], object],
        confirm: Confirm | None = None,
        at_least_once: bool = False,
    ) -> Task:
        """Poll until the task has ended well.

        Args:
            job: its id.
            deadline: on anyio's clock.
            on_progress: told 0 to 100 whenever it changes.
            confirm: answers the task's dialog, once, where it shows up only now.
            at_least_once: look once even where the deadline has passed.

        Raises:
            ModerationBlocked, GenerationFailed, Cancelled …: it has ended badly; names the job.
            OutcomeUnknown: it has not ended in the time, or the proxy forgot it; names the job and what was last seen.
        """
        watch = _Watch(self, job, deadline, on_progress, confirm)
        left = self._left(deadline)
        with anyio.move_on_after(max(left, _LAST_LOOK) if at_least_once else max(left, 0.0)):
            retrying = AsyncRetrying(
                retry=retry_if_result(lambda task: task is None),
                stop=stop_never if left > 0 else stop_after_attempt(1),
                retry_error_callback=lambda _: None,
                wait=watch.pause,
                sleep=anyio.sleep,
            )
            found: Task | None = await retrying(watch.look)
            if found is not None:
                return found
        raise watch.unknown("it has not ended in the time it was given")

    async def cancel(self, job: str | None, state: str) -> None:
        """Cancel a task as far as that can be done: trueai only, shielded, in five seconds, without an error."""
        if self.dialect != "trueai":
            return
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CANCEL_WITHIN):
            if job is None:
                found, _ = await self.find(state, anyio.current_time() + _CANCEL_WITHIN)
                job = found.job if found is not None else None
            if job is not None:
                try:
                    await self.http.send("POST", f"/mj/task/{segment(job)}/cancel", idempotent=True, timeout=_SHORT)
                except ProviderError:
                    return

    async def seed(self, job: str, *, timeout: float) -> str | None:
        """Ask which seed a task had (trueai); None: it does not tell, or not in the time."""
        if self.dialect != "trueai" or timeout <= 0:
            return None
        try:
            call = f"/mj/task/{segment(job)}/image-seed"
            answer = await self.http.send("GET", call, idempotent=True, timeout=timeout)
            told = wire.read_submitted(_json(answer))
        except ProviderError:
            return None
        good = told is not None and told.code == ACCEPTED and told.job is not None and told.job.isdigit()
        return told.job if told is not None and good else None

    async def upload(self, pictures: Sequence[str], *, deadline: float) -> list[str]:
        """Lay pictures (data addresses) where Midjourney can read them (trueai); give their addresses. Costs nothing.

        Raises:
            ProviderError: the proxy refused, or answered with something else than one address a picture.
        """
        answer = await self.http.send(
            "POST",
            "/mj/submit/upload-discord-images",
            json={"base64Array": list(pictures)},
            idempotent=True,
            timeout=max(0.01, min(_LONGEST_SUBMIT, self._left(deadline))),
        )
        told = _json(answer)
        submitted = wire.read_submitted(told)
        if submitted is None:
            answer.raise_for_status().json()
        elif submitted.code != ACCEPTED:
            raise wire.refused(submitted, provider=self.name)
        found = told.get("result") if isinstance(told, dict) else None
        if not isinstance(found, list) or len(found) != len(pictures) or not all(map(_is_plain_url, found)):
            message = f"{self.name}: the proxy gave no addresses for the reference pictures; nothing was drawn."
            raise GenerationFailed(message, remedy="Look at the proxy's log.", provider=self.name)
        return found

    def new_state(self) -> str:
        """Make our own name for a submit."""
        return f"limner-{secrets.token_hex(16)}"

    def _prefix(self, speed: Speed | None) -> str:
        return f"/mj-{speed}/mj" if speed is not None and self.dialect == "trueai" else "/mj"

    def _left(self, deadline: float) -> float:
        return deadline - anyio.current_time()


class _Watch:
    """What was seen of one task until now."""

    def __init__(
        self, proxy: Proxy, job: str, deadline: float, on_progress: Callable[[int], object], confirm: Confirm | None
    ) -> None:
        self._proxy, self._job, self._deadline = proxy, job, deadline
        self._on_progress, self._confirm = on_progress, confirm
        first, longest = proxy.poll
        self._usual = wait_exponential(first, max=longest, exp_base=1.3) + wait_random(0, first / 4)
        self._seen: Task | None = None
        self._told: int | None = None
        self._bad = 0
        self._trouble = ""
        self._asked_to_wait = 0.0

    def pause(self, state: RetryCallState) -> float:
        """Give the seconds until the next look: longer each time, and as long as the proxy wants to be left alone."""
        return max(float(self._usual(state)), self._asked_to_wait)

    async def look(self) -> Task | None:
        """Ask once; None: ask again."""
        self._asked_to_wait = 0.0
        try:
            # The scope around all looks keeps the deadline.
            task = await self._proxy.task(self._job)
        except ProviderError as error:
            self._survive(error)
            return None
        if task is None:
            self._count("the proxy does not know the task any longer (its store may be in memory only)")
            return None
        self._seen = task
        return await self._judge(task)

    async def _judge(self, task: Task) -> Task | None:
        if task.status in {"FAILURE", "CANCEL"}:
            raise wire.failure(task, provider=self._proxy.name)
        if task.status == "SUCCESS":
            if task.image_url is not None or task.image_urls:
                return task
            self._count("the work succeeded, and the proxy names no picture")
            return None
        self._bad = 0
        if task.status == "MODAL" and self._confirm is not None:
            confirm, self._confirm = self._confirm, None
            await confirm()
        if task.progress is not None and task.progress != self._told:
            self._told = task.progress
            self._on_progress(task.progress)
        return None

    def _survive(self, error: ProviderError) -> None:
        """Let one failure of a look pass; a refusal that stays has to end."""
        self._trouble = f"the last look failed ({type(error).__name__})"
        self._asked_to_wait = min(float(getattr(error, "retry_after", None) or 0.0), max(0.0, self._left()))
        if isinstance(error, AccessDenied) or not error.retry_safe:
            self._count(f"the proxy lets nobody look at the task ({type(error).__name__})")

    def _count(self, trouble: str) -> None:
        self._bad += 1
        self._trouble = trouble
        if self._bad >= _PATIENCE:
            raise self.unknown(trouble)

    def unknown(self, why: str) -> ProviderError:
        """Say that nobody knows how the task ended, and what was last seen of it."""
        seen = f"last seen: {self._seen.last_seen}" if self._seen is not None else "it was never seen"
        also = f"; {self._trouble}" if self._trouble and self._trouble != why else ""
        kind = GenerationFailed if self._seen is not None and self._seen.status == "SUCCESS" else OutcomeUnknown
        return kind(
            f"{self._proxy.name}: job {self._job} was accepted, and {why} ({seen}{also}).",
            remedy="It may have been billed: fetch its result later by its job, and do not ask for it anew.",
            provider=self._proxy.name,
            job=self._job,
            may_have_billed=True,
        )

    def _left(self) -> float:
        return self._deadline - anyio.current_time()


def _json(answer: Answer) -> Any:
    """Read a body as JSON, whatever the status; None: it is none."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


def _is_plain_url(value: object) -> bool:
    """Say whether an uploaded picture's address can stand in a prompt without becoming something else."""
    good = isinstance(value, str) and value.startswith(("https://", "http://")) and len(value) <= 1000
    return good and not any(character.isspace() or character in "<>{}\"'`\\" for character in str(value))
