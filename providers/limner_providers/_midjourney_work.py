"""One request's way through a proxy: plan, submit, wait, fetch; and what is told of it meanwhile."""

from __future__ import annotations

import time
from dataclasses import dataclass

import anyio

from limner_providers._midjourney_facts import identity
from limner_providers._midjourney_plan import (
    Plan,
    Settings,
    data_address,
    images_for,
    plan_action,
    plan_change,
    plan_imagine,
    plan_single,
)
from limner_providers._midjourney_proxy import Proxy
from limner_providers._midjourney_result import Results
from limner_providers._midjourney_wire import EXISTED, Submitted, Task
from limner_providers.base import Event, JobAccepted, OnEvent, Progress, ProviderAnswer
from limner_providers.errors import GenerationFailed, OutcomeUnknown, ProviderError, UnsupportedRequest
from limner_providers.types import ImageRequest

_SEED_WITHIN = 5.0  # seconds; the proxy asks Midjourney by a private message, which may never be answered


@dataclass(slots=True)
class Teller:
    """Tells a listener what happens; one that raises costs no picture, is not asked again, and that is said."""

    on_event: OnEvent | None
    images: int
    trouble: str | None = None

    def tell(self, event: Event) -> None:
        """Pass one event on."""
        if self.on_event is None:
            return
        try:
            self.on_event(event)
        except Exception as error:  # noqa: BLE001 - the listener is foreign code
            self.on_event = None
            self.trouble = f"on_event raised {type(error).__name__} and was not called again"

    def progress(self, percent: int) -> None:
        """Pass on how far the work is."""
        self.tell(Progress(step=percent, steps=100, image=1, images=self.images))


class Work:
    """One request's way: plan, submit, wait, fetch."""

    def __init__(
        self,
        proxy: Proxy,
        results: Results,
        settings: Settings,
        request: ImageRequest,
        *,
        deadline: float,
        teller: Teller,
        seed_lookup: bool,
    ) -> None:
        """Take `request` to `proxy`; `deadline` is on anyio's clock."""
        self._proxy, self._results, self._settings, self._request = proxy, results, settings, request
        self._deadline, self._teller, self._seed_lookup = deadline, teller, seed_lookup
        self._warnings: list[str] = []
        self._timings: dict[str, int] = {}
        self._dialog_opened = False
        self._done_before = False

    async def carry_out(self, seed: int) -> ProviderAnswer:
        """Submit it and wait for it; `seed` is sent where a prompt is. Raises as `MidjourneyProvider.generate`."""
        try:
            plan = await self._plan(seed)
            task = await self._carried_out(plan)
        except ProviderError as error:
            if self._done_before:  # to ask again, or somebody else, would be paid on top of it
                error.retry_safe, error.may_have_billed = False, True
            raise
        return await self._answer(task, plan)

    async def _carried_out(self, plan: Plan) -> Task:
        state, job = self._proxy.new_state(), None
        try:
            with _Clock(self._timings, "submit"):
                submitted = await self._proxy.submit(
                    plan.call, plan.body, speed=plan.speed, state=state, deadline=self._deadline, origin=plan.origin
                )
            job = submitted.job or ""
            return await self._wait(plan, submitted, job, state)
        except anyio.get_cancelled_exc_class():
            await self._proxy.cancel(job, state)
            raise

    async def collect(self, job: str) -> ProviderAnswer:
        """Wait for work that was accepted earlier. Raises as `MidjourneyProvider.fetch`."""
        with _Clock(self._timings, "wait"):
            task = await self._proxy.wait(
                job, deadline=self._deadline, on_progress=self._teller.progress, at_least_once=True
            )
        return await self._answer(task, None)

    async def _plan(self, seed: int) -> Plan:
        request, settings = self._request, self._settings
        if request.task in {"txt2img", "img2img"}:
            plan_imagine(settings, request, seed, {})  # refuses a prompt before any picture is uploaded
            return plan_imagine(settings, request, seed, await self._uploaded())
        if settings.dialect == "novicezk":
            return plan_change(settings, request)
        parent = await self._parent()
        single = plan_single(settings, request, parent)
        if single is not None:
            parent = await self._taken_out(single)
        return plan_action(settings, request, parent)

    async def _taken_out(self, plan: Plan) -> Task:
        """Take a picture out of its grid, so that it can be painted into; the work that was asked for comes after."""
        state = self._proxy.new_state()
        try:
            submitted = await self._proxy.submit(
                plan.call, plan.body, speed=plan.speed, state=state, deadline=self._deadline, origin=plan.origin
            )
            task = await self._proxy.wait(submitted.job or "", deadline=self._deadline, on_progress=lambda _: None)
        except ProviderError as error:
            error.job = None  # whoever fetches this job later would get a picture that nobody asked for
            raise
        self._done_before = True
        self._warnings.append("the picture was taken out of its grid by an upscale first")
        return task

    async def _uploaded(self) -> dict[str, list[str]]:
        """Lay style and character references where Midjourney can read them."""
        found = {}
        for use in ("style", "character"):
            pictures = [data_address(image) for image in images_for(self._request, use)]
            if pictures:
                found[use] = await self._proxy.upload(pictures, deadline=self._deadline)
        return found

    async def _parent(self) -> Task:
        origin = self._request.origin
        job = origin.job if origin is not None and origin.provider == self._settings.provider else None
        task = await self._proxy.task(job) if job is not None else None
        if task is None:
            why = "the proxy does not know that picture (any longer)." if job else "it takes only its own pictures."
            remedy = "Make the picture anew with this provider."
            raise UnsupportedRequest("origin", "(given)", why=why, remedy=remedy, provider=self._settings.provider)
        return task

    async def _wait(self, plan: Plan, submitted: Submitted, job: str, state: str) -> Task:
        """Wait for the task, and answer the dialog that it may open."""

        async def confirm() -> None:
            self._dialog_opened = True
            empty = {"prompt": plan.body.get("prompt", "")}
            dialog = plan.dialog if plan.dialog is not None else empty
            await self._proxy.confirm(job, dialog, speed=plan.speed, deadline=self._deadline)

        opens = submitted.code == EXISTED and (plan.call == "action" or submitted.waits_for_dialog)
        if submitted.code == EXISTED and not opens:
            await self._check_existing(plan, job, state)
        self._teller.tell(JobAccepted(job=job))
        with _Clock(self._timings, "wait"):
            if opens:
                await confirm()
            return await self._proxy.wait(
                job, deadline=self._deadline, on_progress=self._teller.progress, confirm=None if opens else confirm
            )

    async def _check_existing(self, plan: Plan, job: str, state: str) -> None:
        """Take an earlier task in the new one's place only where it is the very same work.

        Raises:
            GenerationFailed: it is other work; nothing was queued.
            OutcomeUnknown: the proxy would not show it.
        """
        try:
            task = await self._proxy.task(job)
        except ProviderError as error:
            name = self._settings.provider
            message = f"{name}: the proxy answered with a task that it does not show ({type(error).__name__})."
            raise OutcomeUnknown(message, remedy="Look at the proxy's list of tasks.", provider=name) from None
        if task is None or task.state == state:
            return
        if plan.call == "change":
            short = f"{plan.body['action'][0]}{plan.body['index']}"
            same = task.description in {"", f"/up {plan.origin} {short}"}
        else:
            same = task.prompt is None or task.prompt.strip() == plan.body.get("prompt")
        if not same:
            name = self._settings.provider
            message = f"{name}: the proxy answered with an earlier task, of other work; nothing was queued."
            raise GenerationFailed(message, remedy="Look at the proxy's list of tasks.", provider=name)
        self._warnings.append("the proxy gave the pictures of an earlier task of the very same work")

    async def _answer(self, task: Task, plan: Plan | None) -> ProviderAnswer:
        with anyio.CancelScope(shield=True):  # it is paid for: who gives up now still gets it into his record
            with _Clock(self._timings, "fetch"):
                images, said = await self._results.fetch(task, self._request, self._deadline)
            seed = str(plan.seed) if plan is not None and plan.seed is not None else await self._seed(task)
        self._warnings += said
        self._warnings += _notes(plan, dialog=self._dialog_opened) if plan is not None else ()
        if self._teller.trouble is not None:
            self._warnings.append(self._teller.trouble)
        speed = task.speed or (plan.speed if plan is not None else None)
        known = {
            "dialect": self._settings.dialect,
            "job": task.job,
            "seed": seed,
            "speed": speed,
            "version": task.version,
        }
        known["flags"] = " ".join(plan.flags) if plan is not None else None
        return ProviderAnswer(
            images=tuple(images),
            model=identity(self._settings.model, self._settings.dialect),
            parameters={name: value for name, value in known.items() if value},
            timings=self._timings,
            request_id=task.job,
            warnings=tuple(self._warnings),
        )

    async def _seed(self, task: Task) -> str | None:
        """Learn which seed a task had; an upscale has none of its own."""
        if task.seed is not None or not task.is_grid or not self._seed_lookup:
            return task.seed
        left = self._deadline - anyio.current_time()
        return await self._proxy.seed(task.job, timeout=min(_SEED_WITHIN, left))


def _notes(plan: Plan, *, dialog: bool) -> list[str]:
    """Say how what was carried out differs from what was asked."""
    notes = list(plan.notes)
    if plan.escaped:
        notes.append("dashes or brackets of the prompt were written otherwise, as asked")
    if plan.dialog is not None and plan.dialog.get("prompt") and not dialog:
        notes.append("the proxy asked for no prompt (remix is off): the one given was not used")
    return notes


class _Clock:
    """Notes how long something took, in microseconds."""

    def __init__(self, timings: dict[str, int], name: str) -> None:
        self._timings, self._name, self._start = timings, name, 0

    def __enter__(self) -> None:
        self._start = time.perf_counter_ns()

    def __exit__(self, *_: object) -> None:
        self._timings[self._name] = (time.perf_counter_ns() - self._start) // 1000
