"""The Midjourney provider passes the conformance kit against both proxies' protocol servers.

Three of the kit's checks are replaced, since they ask of every task or with every option what this engine has for some
only: a variation without a prompt, an inpainting of a picture of a grid (its upscale is a call of its own), and options
that belong to one task.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from PIL import Image
from servers import faults
from servers.faults import retry_at
from servers.midjourney_faults import banned, business
from servers.midjourney_server import MidjourneyApp
from servers.midjourney_tasks import Dialect, Plan
from servers.script import Fault
from servers.serving import Server

from limner_providers.base import Provider
from limner_providers.conformance import FAULTS, Expectation, ProviderConformance
from limner_providers.conformance.answers import check_answer
from limner_providers.conformance.bench import SEED, Bench
from limner_providers.conformance.probes import PROBES, option_values
from limner_providers.conformance.watching import play
from limner_providers.errors import GenerationFailed, OutcomeUnknown, QuotaExhausted
from limner_providers.midjourney import MidjourneyProvider
from limner_providers.types import ImageRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAID = ("/submit/imagine", "/submit/change", "/submit/action", "/submit/edits", "/submit/retexture")
OWN_TASK = {"edit": "img2img", "vary": "variation", "upscaler": "upscale"}
UNKNOWN_TO_THE_SERVER = {"draft", "hd", "exp", "sv"}  # parameters of newer versions, which it refuses


def half_a_picture() -> bytes:
    """Give the first half of a PNG."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (32, 32, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()[: len(file.getvalue()) // 2]


def submit_faults(secret: str) -> Mapping[str, Fault]:
    """Give what goes wrong at the submit, by the kit's names."""
    busy = {"error": "too many calls"}
    return {
        "401": faults.answer(401),
        "403": faults.answer(403, "unavailable"),
        "echoed-key": faults.answer(401, f"wrong: {secret}", headers={"mj-api-secret": secret}),
        "429": faults.answer(429, busy, headers={"retry-after": "7"}),
        "429-date": faults.answer(429, busy, headers={"retry-after": retry_at(7)}),
        "429-ms": faults.answer(429, busy, headers={"retry-after-ms": "7000"}),
        "429-bare": faults.answer(429, busy),
        "429-nonsense": faults.answer(429, busy, headers={"retry-after": "soon"}),
        "quota": business(4, "总绘图次数已达上限"),
        "500": faults.answer(500, {"status": 500, "error": "Internal Server Error"}),
        "502-html": faults.html_502(),
        "503": faults.unavailable("7"),
        "bad-json": faults.answer(200, b'{"code": 1, "descr', media_type="application/json"),
        "html": faults.html_as("text/html"),
        "huge": faults.endless(start=b'{"code":1,"description":"'),
        "cut-before-headers": faults.cut("before_headers", work=False),
        "cut-in-body": faults.changed("cut", lambda response: response),
        "moderation-input": banned("gore"),
        "hang": faults.hang(),
    }


PLANS = {
    "empty": Plan(silent=True),
    "no-picture": Plan(picture=faults.HTML_PAGE),
    "half-picture": Plan(picture=half_a_picture()),
    "moderation-output": Plan(fail="[Request cancelled due to output filters] `nudity`"),
}


class MidjourneyConformance(ProviderConformance):
    """What both dialects have in common."""

    dialect: ClassVar[Dialect]
    gives_request_ids = False
    keeps_pixels = False
    without: ClassVar[Mapping[str, str]] = {
        "404-model": "A model is a parameter of the prompt: the proxy knows none.",
        "cut-in-body": "A submit whose answer is cut off is found in the list: shown by tests/integration.",
    }
    expectations: ClassVar[Mapping[str, Expectation]] = {
        "500": Expectation(
            says="the proxy fails, and its list does not show the task",
            kinds=(GenerationFailed, OutcomeUnknown),
            may_have_billed=None,
        ),
        "quota": Expectation(says="the account's number of pictures is used up", kinds=(QuotaExhausted,)),
    }
    server: Server[MidjourneyApp]

    @pytest.fixture
    def provider(self) -> Iterator[Provider]:
        """Give a provider of a proxy that runs for one test."""
        with Server(MidjourneyApp(dialect=self.dialect, secret=self.secret)) as server:
            self.server = server
            yield MidjourneyProvider(
                "mj", base_url=server.url, secret=self.secret, dialect=self.dialect, version="7", poll=(0.005, 0.02)
            )

    def calls(self) -> int:
        """Count submits that make pictures."""
        return sum(len(self.server.ledger.calls(path)) for path in PAID)

    def arrived(self) -> object:
        """Give the last submit but for our own name for it, which is drawn anew each time."""
        last = next(call for call in reversed(self.server.ledger.calls()) if call.path.endswith(PAID))
        return last.path, {name: value for name, value in last.body.items() if name != "state"}

    def busy(self) -> int:
        """Count the calls that still wait for an answer."""
        return sum(1 for call in self.server.ledger.calls() if call.status is None and not call.left)

    def fail_with(self, fault: str) -> None:
        """Spoil the next submit, or what becomes of it."""
        if fault == "refused-connection":
            self.server.stop()
        elif fault in PLANS:
            self.server.app.plan(PLANS[fault])
        else:
            self.server.script.next(submit_faults(self.secret)[fault], path="/submit/")

    def received_mask(self) -> NDArray[np.bool_] | None:
        """Give the mask that the dialog was answered with."""
        masks = [task.mask for task in self.server.app.tasks.values() if task.mask is not None]
        return np.array(Image.open(io.BytesIO(masks[-1])).convert("L")) > 127 if masks else None

    @pytest.mark.parametrize("task", ["txt2img", "img2img", "inpaint", "outpaint", "upscale", "variation"])
    def test_a_task_is_carried_out_or_refused(self, provider: Provider, task: str) -> None:
        """As the kit's; a variation has no prompt, an inpainting takes its picture out of the grid first."""
        if task not in {"inpaint", "variation"}:
            super().test_a_task_is_carried_out_or_refused(provider, task)
            return

        async def work() -> None:
            bench = await Bench.of(self, provider)
            request = await bench.request(task, **({"prompt": ""} if task == "variation" else {}))
            if task not in bench.able.tasks:
                await bench.refused(request)
                return
            before = self.calls()
            await check_answer(bench, request, await bench.make(request), [SEED])
            dialogs = len(self.server.ledger.calls("/submit/modal"))
            assert (self.calls() - before, dialogs) == ((2, 1) if task == "inpaint" else (1, 0))

        play(provider, work)

    async def _ask(self, bench: Bench, request: ImageRequest, name: str) -> None:
        if name in UNKNOWN_TO_THE_SERVER:
            assert isinstance(await bench.error_of(lambda: bench.make(request)), GenerationFailed)
        else:
            await bench.make(request)

    @pytest.mark.parametrize("field", PROBES)
    def test_a_field_makes_a_difference_or_is_refused(self, provider: Provider, field: str) -> None:
        """As the kit's; a negative prompt, which the caller has agreed to have as a flag, arrives as one."""
        if field != "negative_prompt":
            super().test_a_field_makes_a_difference_or_is_refused(provider, field)
            return

        async def work() -> None:
            bench = await Bench.of(self, provider)
            await bench.make(await bench.request(negative_prompt="fog"))
            assert " --no fog" in str(self.arrived())

        play(provider, work)

    def test_each_option_of_its_own_makes_a_difference(self, provider: Provider) -> None:
        """As the kit's, each option with a task that has it; a parameter that the server refuses has arrived too."""

        async def work() -> None:
            bench = await Bench.of(self, provider)
            origin = (await bench.request("upscale")).origin
            assert origin is not None
            grid = await bench.make(await bench.request("upscale", origin=origin))
            single = {"provider": "mj", "job": str(grid.images[0].job), "index": 1}
            of_task: dict[str, dict[str, Any]] = {
                "variation": {"prompt": "", "origin": origin},
                "upscale": {"origin": single},
            }
            for name, rule in bench.able.extra.items():
                task = OWN_TASK.get(name, "txt2img")
                fields = dict(of_task.get(task, {})) | ({"prompt": "a -- b"} if name == "dashes" else {})
                value = "escape" if name == "dashes" else option_values(rule)
                await self._ask(bench, await bench.request(task, **fields, extra={"midjourney": {name: value}}), name)
                with_option = self.arrived()
                if name == "dashes":
                    assert "a - b" in str(with_option)
                    continue
                await bench.make(await bench.request(task, **fields))
                assert self.arrived() != with_option, f"extra.midjourney.{name} was taken and dropped."

        play(provider, work)


class TestNovicezk(MidjourneyConformance):
    """The proxy of novicezk."""

    dialect = "novicezk"


class TestTrueai(MidjourneyConformance):
    """The proxy of trueai-org."""

    dialect = "trueai"


def test_every_fault_of_the_kit_is_shown_or_left_out_with_a_reason() -> None:
    """A fault that the kit learns later does not pass unseen."""
    shown = {*submit_faults(""), *PLANS, "refused-connection", *MidjourneyConformance.without}
    assert shown == set(FAULTS)
