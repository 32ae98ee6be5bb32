"""The `midjourney` kind: a Midjourney proxy, novicezk's or trueai's, which carries work to Midjourney and back.

It submits once, polls until the work has ended, and fetches the pictures at once. Retrying and falling back are
`limner`'s; polling, looking for a submit whose answer was lost, and downloading are done here, since they cannot bill.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import anyio
from pydantic import Field

from limner_providers._check import check_seeds
from limner_providers._http import Http, Timeouts, host_of, tls_context
from limner_providers._midjourney_facts import (
    VERSION,
    Bot,
    Dialect,
    Model,
    Speed,
    capabilities_of,
    find_model,
    identity,
    model_name,
    models_for,
)
from limner_providers._midjourney_health import look_after
from limner_providers._midjourney_plan import Settings, check_task
from limner_providers._midjourney_proxy import Proxy
from limner_providers._midjourney_result import Results
from limner_providers._midjourney_work import Teller, Work
from limner_providers.base import Health, ModelIdentity, OnEvent, ProviderAnswer
from limner_providers.capabilities import Capabilities
from limner_providers.errors import ConfigurationInvalid, ModelUnavailable, UnsupportedRequest
from limner_providers.types import ImageRequest

_ADAPTED = frozenset({"negative_prompt", "seed"})  # a caller may have agreed to a flag, and to one seed for a call


class MidjourneyProvider:
    """Midjourney by one proxy.

    Args:
        name: what the configuration calls it.
        base_url: the proxy's address; a `/mj` at its end may be left out.
        secret: its API secret; None where it wants none.
        dialect: `novicezk` or `trueai`: whose proxy it is, or whose it imitates.
        bot, version: the model that is used where a request names none; version None: what the account has set.
        speed: which of the account's speeds is used; None: its own.
        timeout: seconds that a whole request may take; 600.
        connect_timeout: seconds for one connection; 5.
        poll: seconds until the second look at a task, and at most between two looks.
        allowed_hosts: `host` or `host:port` of results that are not at a public https address.
        seed_lookup: ask which seed a variation or inpainting had (trueai); takes up to 5 s.
        ca_file: a PEM file of authorities to trust beside the system's.
        base_folder: what a relative `ca_file` counts from.

    Raises:
        ConfigurationInvalid: a setting is wrong.
    """

    kind: ClassVar[str] = "midjourney"
    is_test: ClassVar[bool] = False
    example_settings: ClassVar[Mapping[str, Any]] = {"base_url": "https://midjourney.example", "dialect": "trueai"}

    def __init__(
        self,
        name: str = "midjourney",
        *,
        base_url: str,
        secret: str | None = None,
        dialect: Dialect = "novicezk",
        bot: Bot = "midjourney",
        version: str | int | float | None = None,
        speed: Speed | None = None,
        timeout: Annotated[float, Field(gt=0, le=86_400)] = 600.0,
        connect_timeout: Annotated[float, Field(gt=0, le=600)] = 5.0,
        poll: tuple[Annotated[float, Field(gt=0, le=60)], Annotated[float, Field(gt=0, le=300)]] = (1.0, 5.0),
        allowed_hosts: tuple[str, ...] = (),
        seed_lookup: bool = True,
        ca_file: Path | None = None,
        base_folder: Path | None = None,
    ) -> None:
        self.name = name
        self._dialect: Dialect = dialect
        self._speed: Speed | None = speed
        self._timeout, self._seed_lookup = timeout, seed_lookup
        if ca_file is not None and base_folder is not None:
            ca_file = base_folder / ca_file
        self._default = _default_model(name, bot, version, dialect)
        if poll[0] > poll[1]:
            message = f"providers.{name}.poll: the first pause is longer than the longest."
            raise ConfigurationInvalid(message, remedy="Write [first, longest] in seconds.", provider=name)
        http = Http(
            name,
            base_url.rstrip("/").removesuffix("/mj") if isinstance(base_url, str) else base_url,
            headers={"mj-api-secret": secret} if secret else {},
            secrets=[secret] if secret else [],
            timeouts=Timeouts(connect=connect_timeout, total=timeout),
            ca_file=ca_file,
        )
        self._proxy = Proxy(http, dialect=dialect, poll=poll)
        tls: ssl.SSLContext | None = tls_context(ca_file, provider=name) if ca_file is not None else None
        hosts = (*allowed_hosts, host_of(http.base_url))
        self._results = Results(name, http.base_url, allowed_hosts=hosts, connect=connect_timeout, tls=tls)

    def __repr__(self) -> str:
        return f"MidjourneyProvider({self.name!r}, {self._proxy.http.base_url!r}, dialect={self._dialect!r})"

    async def models(self) -> list[ModelIdentity]:
        """List Midjourney's models that are catalogued, the configured one first; nothing is contacted."""
        known = [model for model in models_for(self._dialect) if model.name != self._default.name]
        return [identity(model, self._dialect) for model in (self._default, *known)]

    async def identify(self, model: str | None = None) -> ModelIdentity:
        """Say which model `model` names.

        Raises:
            ModelUnavailable: it is no name of a model of Midjourney's.
        """
        return identity(self._model(model), self._dialect)

    async def capabilities(self, model: str | None = None) -> Capabilities:
        """Say what `model` can do through this proxy; nothing is contacted.

        Raises:
            ModelUnavailable: it is no name of a model of Midjourney's.
        """
        return capabilities_of(self._model(model), self._dialect, timeout=max(1, round(self._timeout)))

    async def generate(
        self,
        request: ImageRequest,
        *,
        model: str | None = None,
        seeds: Sequence[int],
        timeout: float | None = None,
        end_user: str | None = None,  # noqa: ARG002 - neither proxy knows end users
        on_event: OnEvent | None = None,
    ) -> ProviderAnswer:
        """Carry out `request`; every task but an upscale gives four pictures, however few are asked for.

        `seeds[0]` is sent as `--seed` where a prompt is sent. At the deadline nothing is cancelled: what is paid for
        can still be fetched by its job. A cancelled call cancels the task (trueai; novicezk cannot).

        Raises:
            UnsupportedRequest: it cannot honour a field, or Midjourney would read the prompt as something else.
            ModelUnavailable: it is no name of a model of Midjourney's.
            EngineUnavailable: nothing was queued (`RateLimited`, `AccessDenied`, `QuotaExhausted`).
            ModerationBlocked: the proxy's or Midjourney's moderation refused.
            GenerationFailed: it was refused or failed (`ResultRefused`: the result is not safe to take).
            OutcomeUnknown: nobody knows; names the job where one was accepted.
        """
        settings = self._settings(model)
        self._require(await self.capabilities(model), request)
        check_task(settings, request)
        chosen = check_seeds(request, seeds)
        deadline = anyio.current_time() + (self._timeout if timeout is None else max(0.0, timeout))
        return await self._work(settings, request, deadline, on_event).carry_out(chosen[0])

    async def fetch(
        self, job: str, request: ImageRequest, *, model: str | None = None, timeout: float | None = None
    ) -> ProviderAnswer:
        """Fetch the result of work that was accepted earlier, perhaps by another process.

        Args:
            job: as `JobAccepted` or an error named it.
            request: what was asked then.
            model: which model was asked.
            timeout: seconds to wait for it; None: as for a whole request.

        Raises:
            GenerationFailed, ModerationBlocked, Cancelled: it has ended badly.
            OutcomeUnknown: it has not ended in the time, or the proxy does not know it any longer.
        """
        settings = self._settings(model)
        deadline = anyio.current_time() + (self._timeout if timeout is None else max(0.0, timeout))
        return await self._work(settings, request, deadline, None).collect(job)

    async def check(self) -> Health:
        """Look whether the proxy is there, lets us in and speaks the configured dialect; nothing is submitted.

        Raises:
            ProviderError: it is not there, or does not let us in.
        """
        names = tuple(model.name for model in await self.models())
        return await look_after(self._proxy, models=names)

    async def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        await self._proxy.http.close()

    def _work(self, settings: Settings, request: ImageRequest, deadline: float, on_event: OnEvent | None) -> Work:
        return Work(
            self._proxy,
            self._results,
            settings,
            request,
            deadline=deadline,
            teller=Teller(on_event, request.n),
            seed_lookup=self._seed_lookup,
        )

    def _settings(self, model: str | None) -> Settings:
        return Settings(provider=self.name, dialect=self._dialect, model=self._model(model), speed=self._speed)

    def _model(self, name: str | None) -> Model:
        if name is None:
            return self._default
        found = find_model(name, provider=self.name)
        if found.bot == "niji" and found.version is None and self._dialect == "novicezk":
            message = f"{self.name}: novicezk has no bot of Niji's own."
            raise ModelUnavailable(message, remedy="Name its version, for example niji-6.", provider=self.name)
        return found

    def _require(self, able: Capabilities, request: ImageRequest) -> None:
        """Refuse what cannot be honoured; a negative prompt as `--no` and one seed for four can."""
        for unmet in able.unmet(request):
            adapted = unmet.adaptation is not None and not unmet.adaptation.changes
            if not (adapted and unmet.field in _ADAPTED):
                field, why = unmet.field, unmet.why
                raise UnsupportedRequest(field, unmet.value, why=why, remedy=unmet.remedy, provider=self.name)


def _default_model(name: str, bot: Bot, version: str | float | None, dialect: Dialect) -> Model:
    told = None if version is None else str(version)
    if told is not None and not VERSION.fullmatch(told):
        message = f"providers.{name}.version: {told[:20]!r} is no version."
        raise ConfigurationInvalid(message, remedy='Write for example version: "7".', provider=name)
    if bot == "niji" and told is None and dialect == "novicezk":
        message = f"providers.{name}.version is missing."
        remedy = "novicezk has no bot of Niji's own: name its version."
        raise ConfigurationInvalid(message, remedy=remedy, provider=name)
    return find_model(model_name(bot, told), provider=name)
