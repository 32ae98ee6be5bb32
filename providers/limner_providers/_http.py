"""The one owner of httpx: connections, time-outs and limits, for every engine over the network.

It knows no engine's words. httpx's types do not leave it: a provider sees `Http`, `Answer` and this package's errors.

    http = Http("forge", "http://127.0.0.1:7860", headers={"Authorization": f"Bearer {key}"}, secrets=[key])
    answer = await http.send("POST", "/sdapi/v1/txt2img", json={...}, idempotent=False, timeout=120)
    if answer.status == 422: ...                 # the engine's own words first, where it has some
    told = answer.raise_for_status().json()      # else one table for all engines
    await http.close()

Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY` …), as httpx reads them.
"""

from __future__ import annotations

import asyncio
import functools
import json as json_module
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
from anyio import lowlevel

from limner_providers import _http_errors as words
from limner_providers._http_body import Body, BodyError, BodyTooLarge
from limner_providers._http_errors import UNKNOWN_REMEDY, redact, retry_after
from limner_providers._http_lanes import Lanes
from limner_providers._http_settings import (
    Timeouts,
    check_base_url,
    checked_headers,
    checked_path,
    gather_secrets,
    host_of,
    host_port,
    seconds,
    segment,
    tls_context,
    user_agent,
)
from limner_providers._http_sockets import ClosingBackend
from limner_providers.errors import (
    EngineUnavailable,
    GenerationFailed,
    OutcomeUnknown,
    ProviderError,
    ResultRefused,
)

__all__ = ["Answer", "Http", "Timeouts", "check_base_url", "host_of", "redact", "retry_after", "segment", "tls_context"]

MAX_BODY = 128 * 1024 * 1024  # ten pictures of 4 MB as base64 are 54 MB
_MAX_ERROR_BODY = 1024 * 1024
# Shorter than the 5 s of uvicorn and node: a connection that its server is just closing is a call of unknown outcome.
_KEEP_ALIVE = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server answered, whatever its status.

    Attributes:
        status: 100 to 599.
        headers: names in lower case; several of one name are joined by a comma.
        body: decoded; of an error's body perhaps only the beginning.
        provider: who was asked.
        idempotent: whether the call may be repeated.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    provider: str
    idempotent: bool
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def request_id(self) -> str | None:
        """The server's own id of the call, None where it gave none."""
        return words.request_id(self.headers)

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the server wants to be asked again, None where it does not say."""
        return retry_after(self.headers)

    def raise_for_status(self) -> Answer:
        """Give itself where the status is 2xx.

        Raises:
            ProviderError: as the table of `_http_errors.status_error` says.
        """
        if self.ok:
            return self
        raise self.error()

    def error(self) -> ProviderError:
        """Make the error that this status means; see `_http_errors.status_error`."""
        return words.status_error(
            self.status,
            self.headers,
            self.body,
            provider=self.provider,
            idempotent=self.idempotent,
            secrets=self.secrets,
        )

    def json(self) -> Any:
        """Read the body as JSON.

        Raises:
            OutcomeUnknown: it is none, and the call may have been carried out.
            EngineUnavailable: it is none, and the call may be repeated (a gateway's or a log-in page).
        """
        try:
            return json_module.loads(self.body, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            pass  # raised below, so that no body hangs on the exception
        told = words.describe(self.status, self.headers, self.body, self.secrets)
        message = f"{self.provider}: {told} That is no JSON."
        if self.idempotent:
            remedy = "Check base_url; a gateway or a log-in page may stand before the engine."
            raise EngineUnavailable(message, remedy=remedy, provider=self.provider, request_id=self.request_id)
        raise OutcomeUnknown(message, remedy=UNKNOWN_REMEDY, provider=self.provider, request_id=self.request_id)


def _no_constant(name: str) -> float:
    raise ValueError(name)


class Http:
    """One provider's connections.

    It may be used in several event loops, one after the other or side by side: each has connections of its own.
    """

    def __init__(
        self,
        provider: str,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
        timeouts: Timeouts | None = None,
        ca_file: str | Path | None = None,
        max_body: int = MAX_BODY,
    ) -> None:
        """Check the settings; nothing is contacted.

        Args:
            provider: its name in the configuration, for messages.
            base_url: see `check_base_url`.
            headers: sent with every call, credentials included.
            secrets: what may never be shown; values of `Authorization` headers are taken as such by themselves.
            timeouts: None for 5 s to connect and 600 s for a whole call.
            ca_file: a PEM file of authorities that are trusted beside the system's.
            max_body: bytes that an answer may have, decoded.

        Raises:
            ConfigurationInvalid: one of them is wrong; no secret is shown.
        """
        words.guard_logs()
        self.provider = provider
        self.base_url = check_base_url(base_url, provider=provider)
        self.timeouts = timeouts or Timeouts()
        self._headers = {
            "user-agent": user_agent(),
            "accept-encoding": "identity",
            **checked_headers(headers, provider),
        }
        self._secrets = gather_secrets(secrets, self._headers)
        self._tls = tls_context(ca_file, provider=provider) if self.base_url.startswith("https:") else None
        self._max_body = max_body
        self._lanes: dict[object, Lanes] = {}

    def __repr__(self) -> str:
        return f"Http({self.provider!r}, {self.base_url!r})"

    async def send(
        self,
        method: str,
        path: str,
        *,
        idempotent: bool,
        json: Any = None,
        content: bytes | None = None,
        data: Mapping[str, str] | None = None,
        files: Sequence[tuple[str, tuple[str, bytes, str]]] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        max_body: int | None = None,
    ) -> Answer:
        """Make one call, once; redirects are not followed.

        Args:
            method: `GET`, `POST` …
            path: below `base_url`; parts that came from elsewhere go through `segment` first.
            idempotent: it changes and costs nothing, so that it may be made again (a look-up, a poll).
            json: what is sent as JSON; give at most one of `json`, `content` and `data` with `files`.
            content: bytes that are sent as they are.
            data: fields of a form.
            files: of a form: (field, (file name, bytes, media type)).
            params: the query; it may stand in a server's log, so no secrets.
            headers: beside those of every call.
            timeout: seconds for the whole call; None: `timeouts.total`.
            max_body: bytes that the answer may have; None: as set for all.

        Returns:
            The answer, whatever its status: an engine's own error words are its provider's to read.

        Raises:
            EngineUnavailable: no connection, or the call is idempotent and its answer was lost: it may be repeated
                where `retry_safe` says so. Who polls for a job that was accepted goes on, or ends in `OutcomeUnknown`.
            OutcomeUnknown: the call is not idempotent, it began to be sent, and no whole answer came.
            ResultRefused: the answer is larger than allowed, or in an encoding that was not asked for.
            ConfigurationInvalid: a wrong `timeout` or header.
        """
        limit = self.timeouts.total if timeout is None else seconds("timeout", timeout)
        call = _Call(self, idempotent, self._max_body if max_body is None else max_body)
        body = content if json is None else _encode(json)
        extra = checked_headers(headers, self.provider)
        if json is not None:
            extra.setdefault("content-type", "application/json")
        request = httpx.Request(
            method,
            self.base_url + checked_path(path),
            content=body,
            data=data,
            files=files,
            params=params,
            headers={**self._headers, **extra},
            extensions={"trace": call.trace, "timeout": {"connect": self.timeouts.connect}},
        )
        return await call.run(self._loop_lanes(), request, limit)

    async def close(self) -> None:
        """Close this event loop's connections; those of ended loops are forgotten. A later call opens new ones."""
        mine = self._lanes.pop(lowlevel.current_token(), None)
        self._forget_ended()
        if mine is not None:
            await mine.close()

    def _loop_lanes(self) -> Lanes:
        token = lowlevel.current_token()
        if token not in self._lanes:
            self._forget_ended()
            self._lanes[token] = Lanes(self._new_client, _KEEP_ALIVE)
        return self._lanes[token]

    def _new_client(self) -> httpx.AsyncClient:
        client = httpx.AsyncClient(
            verify=self._tls if self._tls is not None else _plain(),
            timeout=httpx.Timeout(None, connect=self.timeouts.connect),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEEP_ALIVE),
        )
        # httpx has no door for it, and a transport given from outside would switch the environment's proxies off.
        for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001
            pool: Any = getattr(transport, "_pool", None)
            if hasattr(pool, "_network_backend"):
                pool._network_backend = ClosingBackend()  # noqa: SLF001
        return client

    def _forget_ended(self) -> None:
        for token in list(self._lanes):
            loop = getattr(token, "native_token", None)
            if isinstance(loop, asyncio.AbstractEventLoop) and loop.is_closed():
                self._lanes.pop(token, None)


class _Call:
    """One call under way: what was sent of it, and what its failures mean."""

    def __init__(self, http: Http, idempotent: bool, limit: int) -> None:
        self._http, self._idempotent, self._limit = http, idempotent, limit
        self._sent = False
        self._answer: Answer | None = None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Notice when the request itself (and not a proxy's CONNECT) begins to leave."""
        if event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            self._sent = True

    async def run(self, lanes: Lanes, request: httpx.Request, limit: float) -> Answer:
        failure: ProviderError | None = None
        answer: Answer | None = None
        with anyio.move_on_after(limit):
            try:
                async with lanes.take() as client:
                    answer = await self._exchange(client, request)
            except BodyTooLarge as error:
                failure = self._refused(str(error), "Ask for fewer or smaller pictures.")
            except BodyError as error:
                failure = self._refused(str(error), "Look for a proxy that changes answers on their way.")
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
                failure = self._failure(error, request)
        # Raised outside, so that no library's exception, whose text may hold a header, hangs on it.
        if answer is None and failure is None:
            failure = self._late(limit)
        if failure is not None:
            if self._answer is not None and not self._answer.ok:
                return self._answer  # its status says enough, however its body broke off
            raise failure
        assert answer is not None
        return answer

    async def _exchange(self, client: httpx.AsyncClient, request: httpx.Request) -> Answer:
        response = await client.send(request, stream=True, follow_redirects=False)
        try:
            headers = _lower(response.headers)
            self._answer = self._told(response.status_code, headers, b"")
            limit = self._limit if self._answer.ok else min(self._limit, _MAX_ERROR_BODY)
            body = Body(limit, length=headers.get("content-length"), encoding=headers.get("content-encoding", ""))
            async for chunk in response.aiter_raw():
                try:
                    body.feed(chunk)
                finally:
                    if not self._answer.ok:
                        self._answer = self._told(response.status_code, headers, body.so_far())
            return self._told(response.status_code, headers, body.finish())
        finally:
            await response.aclose()

    def _told(self, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        http = self._http
        return Answer(
            status=status,
            headers=headers,
            body=body,
            provider=http.provider,
            idempotent=self._idempotent,
            secrets=http._secrets,  # noqa: SLF001 - one module
        )

    def _failure(self, error: Exception, request: httpx.Request) -> ProviderError:
        provider = self._http.provider
        if self._sent:
            return self._lost(_BROKEN.get(type(error), "the connection broke before its answer was whole"))
        if isinstance(error, httpx.ConnectTimeout):
            where = host_port(request.url)
            return self._lost(f"{where} did not accept a connection in {self._http.timeouts.connect:g} s")
        if isinstance(error, httpx.ConnectError | httpx.ProxyError | httpx.ReadError | httpx.WriteError):
            return words.unreachable(error, provider=provider, where=host_port(request.url))
        return self._lost(f"the call could not begin ({type(error).__name__})")

    def _late(self, limit: float) -> ProviderError:
        if not self._sent:
            return self._lost(f"no connection was free or came about in {limit:g} s")
        return self._lost(f"no whole answer came in {limit:g} s")

    def _lost(self, why: str) -> ProviderError:
        known = self._answer.request_id if self._answer is not None else None
        return words.lost(
            why, provider=self._http.provider, sent=self._sent, idempotent=self._idempotent, request_id=known
        )

    def _refused(self, why: str, remedy: str) -> ProviderError:
        provider = self._http.provider
        known = self._answer.request_id if self._answer is not None else None
        kind: type[ProviderError] = GenerationFailed if self._idempotent else ResultRefused
        return kind(f"{provider}: {why}.", remedy=remedy, provider=provider, request_id=known)


_BROKEN: Mapping[type[Exception], str] = {
    httpx.RemoteProtocolError: "it closed the connection, or broke HTTP's rules, before its answer was whole",
    httpx.WriteError: "the connection broke while the request was being sent",
}


@functools.lru_cache(maxsize=1)
def _plain() -> ssl.SSLContext:
    """Give a context for clients that only speak http: httpx would read the authorities' file for nothing."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _encode(value: Any) -> bytes:
    return json_module.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _lower(headers: httpx.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
