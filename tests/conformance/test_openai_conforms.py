"""The `openai` provider passes the conformance kit, in both dialects, against the protocol server."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from servers import faults
from servers import openai_faults as vendor
from servers.openai_server import OpenAIApp
from servers.script import Fault
from servers.serving import Server

from limner_providers.base import Provider
from limner_providers.conformance import ProviderConformance
from limner_providers.conformance.expectations import RETRY_AFTER
from limner_providers.openai import OpenAIProvider
from limner_providers.types import TASKS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HALF = "iVBORw0KGgoAAAANSUhEUgAABAAAAAQACAIAAADwf7zUAAA"
PAGE = "PCFET0NUWVBFIGh0bWw+PGh0bWw+PGJvZHk+UGxlYXNlIHNpZ24gaW48L2JvZHk+PC9odG1sPg=="


def _fault(name: str) -> Fault:
    made: Mapping[str, Any] = {
        "401": lambda: vendor.error(401, "Incorrect API key provided.", code="invalid_api_key"),
        "403": vendor.unverified,
        "echoed-key": vendor.echo_key,
        "404-model": lambda: vendor.model_not_found("gpt-image-2"),
        "429": lambda: vendor.rate_limited(retry_after=str(RETRY_AFTER)),
        "429-date": lambda: vendor.rate_limited(retry_after=faults.retry_at(RETRY_AFTER)),
        "429-ms": lambda: vendor.rate_limited(retry_after=None, retry_after_ms=str(RETRY_AFTER * 1000)),
        "429-bare": lambda: vendor.rate_limited(retry_after=None),
        "429-nonsense": lambda: vendor.rate_limited(retry_after="soon"),
        "quota": vendor.quota_exhausted,
        "500": vendor.server_error,
        "502-html": faults.html_502,
        "503": lambda: faults.unavailable(str(RETRY_AFTER)),
        "bad-json": faults.bad_json,
        "html": lambda: faults.html_as("text/html"),
        "empty": vendor.empty_data,
        "no-picture": lambda: vendor.rows({"b64_json": PAGE}),
        "half-picture": lambda: vendor.rows({"b64_json": HALF}),
        "huge": faults.endless,
        "cut-before-headers": lambda: faults.cut("before_headers"),
        "cut-in-body": lambda: faults.cut("body"),
        "moderation-input": lambda: vendor.moderation_blocked("input"),
        "moderation-output": lambda: vendor.moderation_blocked("output"),
        "hang": faults.hang,
    }
    fault: Fault = made[name]()
    return fault


class OpenAIConformance(ProviderConformance):
    """The hooks that both dialects share."""

    keeps_pixels = False
    dialect: ClassVar[str] = "gpt-image"
    named: ClassVar[str] = "gpt-image-2"
    server: Server[OpenAIApp]

    @pytest.fixture
    def provider(self) -> Iterator[Provider]:
        """Give a provider before a server of this dialect."""
        with Server(OpenAIApp(dialect=self.dialect, key=self.secret)) as server:  # type: ignore[arg-type]
            self.server = server
            yield OpenAIProvider("vendor", api_key=self.secret, base_url=f"{server.url}/v1", model=self.named)

    def calls(self) -> int:
        """Count the calls that draw."""
        return len(self.server.app.ledger.calls("/v1/images", "POST"))

    def arrived(self) -> object:
        """Give the last call's parameters and files."""
        last = self.server.app.ledger.calls("/v1/images", "POST")[-1]
        return last.path, last.body, [(file.field, file.data) for file in last.files]

    def busy(self) -> int:
        """Count the calls that are neither answered nor left."""
        return sum(a.status is None and not a.left for a in self.server.app.ledger.calls("/v1/images", "POST"))

    def fail_with(self, fault: str) -> None:
        """Spoil the next call that draws."""
        if fault == "refused-connection":
            self.server.stop()
            return
        self.server.app.script.next(_fault(fault), path="/v1/images")

    def received_mask(self) -> NDArray[np.bool_] | None:
        """Read the mask of the last call: transparent pixels are to be drawn anew."""
        import numpy as np
        from PIL import Image

        files = self.server.app.ledger.calls("/v1/images", "POST")[-1].files
        sent = next(file.data for file in files if file.field == "mask")
        with Image.open(io.BytesIO(sent)) as picture:
            clear: NDArray[np.bool_] = np.asarray(picture.getchannel("A")) == 0
            return clear


class TestGPTImage(OpenAIConformance):
    """Today's models."""


class TestGPTImage25(OpenAIConformance):
    """A model with more words for quality."""

    named = "gpt-image-2.5-flare"


class TestDallE2(OpenAIConformance):
    """The older dialect, as compatible servers speak it: results lie at addresses unless base64 is asked for."""

    dialect = "dall-e"
    named = "dall-e-2"

    @pytest.mark.parametrize("task", [task for task in TASKS if task != "variation"])
    def test_a_task_is_carried_out_or_refused(self, provider: Provider, task: str) -> None:
        """As everywhere; variations take no prompt, and the kit gives one: they are tested beside the kit."""
        super().test_a_task_is_carried_out_or_refused(provider, task)


class TestUncatalogued(OpenAIConformance):
    """A model that nobody catalogued, on a careless server that answers errors as plain texts."""

    dialect = "lax"
    named = "some-local-model"
    gives_request_ids = False
