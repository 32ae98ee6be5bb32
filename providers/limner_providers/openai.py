"""The `openai` provider: OpenAI Images, and every server that speaks its dialects.

Generations, edits (with mask and up to 16 pictures), variations of the older dialect and streamed partial pictures,
through the `openai` package. What models can do, cost, and until when they live is data (`data/openai.json`).
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from limner_providers._check import require
from limner_providers._openai_catalogue import ModelFacts, capabilities_of, models, price_of, vendor
from limner_providers._openai_settings import dialect_of, host_of_settings
from limner_providers._openai_wire import Target, fields_of, files_of, path_of, refuse_misfits
from limner_providers.base import Health, ModelIdentity, OnEvent, ProviderAnswer
from limner_providers.capabilities import Capabilities, CostRule, SizeRule
from limner_providers.errors import ConfigurationInvalid, EngineUnavailable, ModelRetired
from limner_providers.types import ImageRequest, Task

if TYPE_CHECKING:
    from limner_providers._openai_client import Call, Caller
    from limner_providers._openai_read import Received

UNNAMED = "default"
"""What a model is called where the configuration names none and the server chooses."""

_PICTURE_ROOM = 40 * 1024 * 1024  # bytes of an answer for one picture: 3840x2160 pixels of noise are 33 MB of base64
_ROOM = 8 * 1024 * 1024


class OpenAIProvider:
    """OpenAI Images, or a server that speaks like it.

    Args:
        name: what the configuration calls it.
        api_key: sent as `Authorization: Bearer`; the vendor's host needs one, others may not. Never shown.
        base_url: address up to and without `/images`; None: the vendor's. The environment is not read.
        model: the default model; None: at the vendor's host `gpt-image-2`, elsewhere the server's own choice.
        organization, project: sent as `OpenAI-Organization` and `OpenAI-Project`.
        dialect: `gpt-image` or `dall-e` (the older parameters, which most compatible servers speak); `auto`: as the
            model is catalogued; of an uncatalogued one `gpt-image` at the vendor's host, else `dall-e`.
        timeout: seconds that a whole call may take; None: as the model's capabilities say, 600.
        connect_timeout: seconds in which a connection has to come about.
        allowed_hosts: hosts (`host` or `host:port`) from which results may be fetched although they are not public;
            that of `base_url` is among them.
        ca_file: a PEM file of authorities trusted beside the system's.
        headers, query: sent with every call (Azure's `api-key` and `api-version`). Values are never shown.
        safety_identifier: tell the vendor the opaque id of the end user.
        partial_images: unfinished pictures asked for where somebody listens, 1 to 3; each costs some output tokens,
            so none is asked for unless this says so. 0: nothing is streamed.
        tasks, sizes: what a compatible server can do beyond its dialect's minimum; `sizes` is a list, or `any`.
        max_input_bytes: largest picture that it takes; None: as the dialect says.
        price_per_image: what a picture costs at a host that is not the vendor's; None: the cost is not known.
        currency: of `price_per_image`.
        licence: SPDX identifier or `LicenseRef-…` of a model at a host that is not the vendor's.
        base_folder: the folder that a relative `ca_file` counts from.

    Raises:
        ConfigurationInvalid: a setting is wrong; no value is shown that may be secret.
    """

    kind: ClassVar[str] = "openai"
    is_test: ClassVar[bool] = False
    example_settings: ClassVar[Mapping[str, Any]] = {"api_key": "example-key"}

    def __init__(
        self,
        name: str = "openai",
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        model: Annotated[str, Field(min_length=1, max_length=200)] | None = None,
        organization: str | None = None,
        project: str | None = None,
        dialect: Literal["auto", "gpt-image", "dall-e"] = "auto",
        timeout: Annotated[float, Field(gt=0, le=86_400)] | None = None,
        connect_timeout: Annotated[float, Field(gt=0, le=600)] = 5.0,
        allowed_hosts: Sequence[str] = (),
        ca_file: Path | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        safety_identifier: bool = False,
        partial_images: Annotated[int, Field(ge=0, le=3)] = 0,
        tasks: Sequence[Task] | None = None,
        sizes: Literal["any"] | Sequence[str] | None = None,
        max_input_bytes: Annotated[int, Field(ge=1)] | None = None,
        price_per_image: Annotated[Decimal, Field(ge=0)] | None = None,
        currency: str = "USD",
        licence: str | None = None,
        base_folder: Path | None = None,
    ) -> None:
        self.name = name
        self.today: Callable[[], dt.date] = _today
        self._host = host_of_settings(
            name,
            base_url=base_url,
            api_key=api_key,
            organization=organization,
            project=project,
            headers=headers or {},
            query=query or {},
        )
        self._model = model or (vendor().default_model if self._host.is_vendor else None)
        self._dialect = dialect
        self._timeout, self._connect = timeout, connect_timeout
        self._allowed_hosts = tuple(allowed_hosts)
        self._ca_file = None if ca_file is None else str((base_folder or Path()) / ca_file)
        self._safety_identifier = safety_identifier
        self._partial_images = partial_images
        self._tasks = None if tasks is None else tuple(tasks)
        self._sizes = None if sizes is None else _size_rule(name, sizes)
        self._max_input_bytes = max_input_bytes
        self._price = (
            None
            if price_per_image is None
            else CostRule(unit="image", rates={"image": price_per_image}, currency=currency)
        )
        self._licence = licence
        self._targets: dict[str | None, Target] = {}
        self._calls: Caller | None = None

    def __repr__(self) -> str:
        return f"OpenAIProvider({self.name!r}, {self._host.base_url!r}, model={self._model!r})"

    async def models(self) -> list[ModelIdentity]:
        """List the default model and, at the vendor's host, the catalogued ones that live today."""
        names: list[str | None] = [self._model]
        if self._host.is_vendor:
            names += [name for name, facts in models().items() if facts.status(self.today()) != "retired"]
        return [self._identity(name) for name in dict.fromkeys(names)]

    async def identify(self, model: str | None = None) -> ModelIdentity:
        """Say what is known of a model: its name, and at the vendor's host under which terms its pictures stand.

        Raises:
            ModelRetired: the vendor has switched it off; names the successor.
        """
        named = self._named(model)
        self._refuse_retired(named)
        return self._identity(named)

    async def capabilities(self, model: str | None = None) -> Capabilities:
        """Say what a model can do, from the catalogue; of an uncatalogued one its dialect's minimum.

        Raises:
            ModelRetired: the vendor has switched it off; names the successor.
        """
        return self._target(model).able

    async def generate(
        self,
        request: ImageRequest,
        *,
        model: str | None = None,
        seeds: Sequence[int],
        timeout: float | None = None,
        end_user: str | None = None,
        on_event: OnEvent | None = None,
    ) -> ProviderAnswer:
        """Make the pictures with one call; it is never repeated here, as a repetition could be billed twice.

        Seeds are not sent: the API takes none. Where somebody listens and one picture is asked for, it is streamed.

        Raises:
            UnsupportedRequest: a field cannot be honoured, or the server does not take it.
            ModelUnavailable: the server has no such model; `ModelRetired` where the vendor has switched it off.
            EngineUnavailable: nothing was made (`AccessDenied`, `RateLimited`, `QuotaExhausted`).
            ModerationBlocked: the server's moderation refused; stage and categories are kept.
            GenerationFailed: it failed, or gave something that is no picture; `ResultRefused` where that is unsafe.
            OutcomeUnknown: it was sent, and no answer came that can be trusted.
        """
        from anyio import to_thread

        del seeds  # the API takes none
        started = time.perf_counter()
        target = self._target(model)
        require(target.able, request, provider=self.name)
        refuse_misfits(request, target)
        limit = float(target.able.timeout) if timeout is None else timeout
        partial = self._partial_images if on_event is not None and target.able.streaming and request.n == 1 else None
        fields = fields_of(
            request, target, partial_images=partial, end_user=end_user if self._safety_identifier else None
        )
        files = await to_thread.run_sync(files_of, request, target) if request.inputs() else ()
        caller = await self._caller()
        from limner_providers import _openai_make as make

        call = make.call_of(path_of(request), fields, files, most=_ROOM + _PICTURE_ROOM * (request.n + (partial or 0)))
        received = await self._send(caller, call, request=request, target=target, limit=limit, on_event=on_event)
        order = make.Order(
            request=request,
            target=target,
            fields=fields,
            model=self._identity(target.model),
            provider=self.name,
            allowed_hosts=self._allowed_hosts,
            base_url=self._host.base_url,
            tls=caller.tls,
            left=limit - (time.perf_counter() - started),
            warnings=self._lifecycle(target.model),
        )
        return await make.answer_of(received, order, started)

    async def check(self) -> Health:
        """Ask for the list of models, which costs nothing.

        Raises:
            ProviderError: the server is not there, or does not let us in.
        """
        caller = await self._caller()
        from limner_providers import _openai_health as health

        limit = min(30.0, self._timeout or 30.0)
        return await health.look(
            caller, model=self._model, vendor=self._host.is_vendor, secrets=self._host.secrets, timeout=limit
        )

    async def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        if self._calls is not None:
            await self._calls.close()

    async def _send(
        self,
        caller: Caller,
        call: Call,
        *,
        request: ImageRequest,
        target: Target,
        limit: float,
        on_event: OnEvent | None,
    ) -> Received:
        from functools import partial

        from limner_providers._openai_errors import Asked, refused
        from limner_providers._openai_read import Reading

        asked = Asked(provider=self.name, model=target.model, request=request, secrets=self._host.secrets)
        reading = Reading(asked, pictures=request.n, on_event=on_event)
        return await caller.run(call, reading, refuse=partial(refused, asked=asked), timeout=limit)

    async def _caller(self) -> Caller:
        if self._calls is not None:
            return self._calls
        from anyio import to_thread

        # In a thread: importing the package takes a third of a second in which nothing else could go on.
        made = await to_thread.run_sync(self._new_caller)
        self._calls = self._calls or made
        return self._calls

    def _new_caller(self) -> Caller:
        try:
            from limner_providers._http import Timeouts
            from limner_providers._openai_client import Caller
        except ImportError as error:
            remedy = "Install limner[openai]."
            what = f"{self.name}: {error.name or 'a package'} is not installed."
            raise EngineUnavailable(what, remedy=remedy, provider=self.name, retry_safe=False) from error
        return Caller(
            self.name,
            self._host.base_url,
            headers=self._host.headers,
            query=self._host.query,
            timeouts=Timeouts(connect=self._connect),
            ca_file=self._ca_file,
        )

    def _named(self, model: str | None) -> str | None:
        return self._model if model is None or (model == UNNAMED and self._model is None) else model

    def _identity(self, model: str | None) -> ModelIdentity:
        if not self._host.is_vendor:
            return ModelIdentity(
                name=model or UNNAMED, licence=self._licence, source=f"served by {self._host.base_url}"
            )
        facts = models().get(model or "")
        source = "not catalogued" if facts is None else f"{vendor().base_url}; {facts.source}, read {facts.read_on}"
        return ModelIdentity(name=model or UNNAMED, licence=vendor().licence, source=source)

    def _target(self, model: str | None) -> Target:
        named = self._named(model)
        self._refuse_retired(named)
        if named not in self._targets:
            dialect = dialect_of(named, self._dialect, is_vendor=self._host.is_vendor)
            able = self._adjusted(capabilities_of(named, dialect), named)
            self._targets[named] = Target(provider=self.name, model=named, dialect=dialect, able=able)
        return self._targets[named]

    def _adjusted(self, able: Capabilities, model: str | None) -> Capabilities:
        """Put what the configuration and the host say over what the catalogue says."""
        cost: CostRule | None = price_of(model) if self._host.is_vendor else self._price
        changes: dict[str, Any] = {"cost": cost, "cost_known": cost is not None}
        changes["streaming"] = able.streaming and self._partial_images > 0
        if self._timeout is not None:
            changes["timeout"] = max(1, round(self._timeout))
        if self._tasks is not None:
            mask = "transparent-changes" if "inpaint" in self._tasks else None
            changes |= {"tasks": self._tasks, "mask": able.mask or mask}
        if self._sizes is not None:
            changes["size"] = self._sizes
        if self._max_input_bytes is not None:
            changes["max_input_bytes"] = self._max_input_bytes
        return able.model_copy(update=changes)

    def _retiring(self, model: str | None) -> ModelFacts | None:
        facts = models().get(model or "") if self._host.is_vendor else None
        return facts if facts is not None and facts.retires is not None else None

    def _refuse_retired(self, model: str | None) -> None:
        facts = self._retiring(model)
        if facts is None or facts.status(self.today()) != "retired":
            return
        successor = facts.successors[0] if facts.successors else None
        raise ModelRetired(
            f"{self.name}: the vendor switched {facts.name} off on {facts.retires}.",
            successor=successor,
            remedy=f"Use {' or '.join(facts.successors) or 'another model'}.",
            provider=self.name,
        )

    def _lifecycle(self, model: str | None) -> tuple[str, ...]:
        facts = self._retiring(model)
        if facts is None or facts.status(self.today()) != "deprecated":
            return ()
        instead = f"; it names {' or '.join(facts.successors)} instead" if facts.successors else ""
        return (f"the vendor switches {facts.name} off on {facts.retires}{instead}",)


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def _size_rule(name: str, sizes: str | Sequence[str]) -> SizeRule:
    if sizes == "any":
        return SizeRule(multiple_of=8, minimum=64, maximum=4096)
    listed = [sizes] if isinstance(sizes, str) else list(sizes)
    for size in listed:
        width, _, height = size.partition("x")
        if not (width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
            remedy = "Write WIDTHxHEIGHT in pixels, or any."
            raise ConfigurationInvalid(f"providers.{name}.sizes: {size!r} is no size.", remedy=remedy, provider=name)
    if not listed:
        raise ConfigurationInvalid(f"providers.{name}.sizes is empty.", remedy="Leave it out.", provider=name)
    return SizeRule(fixed=tuple(listed))
