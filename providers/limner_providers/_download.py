"""Fetch a result from an address that an engine gave, which is a stranger's word: checked, pinned, limited, decoded.

1. The address is https, or a host that the configuration names; it holds no password.
2. Its name is looked up once, here; every address found is public, or the host is one that is named.
3. The connection goes to the very address that was checked; the certificate is still the name's.
4. A redirect is a new address: from 1. again, at most five, never from https to http.
5. Bytes, time and pixels have limits; the picture's bytes say what it is, and it is decoded once.

No proxy is used: behind one the address that is connected to could not be the one that was checked. A GET changes
nothing, so what fails by accident is asked for again within the same time.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import httpcore
import httpx
from anyio import to_thread
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from limner_providers._addresses import is_named, is_odd_number, is_public, is_usable
from limner_providers._http_body import Body, BodyError, BodyTooLarge
from limner_providers._http_errors import guard_logs, retry_after
from limner_providers._http_settings import tls_context, user_agent
from limner_providers._http_sockets import ClosingBackend
from limner_providers._sniff import MAX_BYTES, MAX_PIXELS, Picture, check_picture
from limner_providers.errors import GenerationFailed, OutcomeUnknown, ProviderError, ResultRefused

__all__ = ["Picture", "Resolver", "download"]

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a host's name and a port to its IP addresses; raises OSError where there are none."""

_MOST_REDIRECTS = 5
_TRIES = 4
_LONGEST_PAUSE = 10.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# 404 too: a network that spreads pictures may learn of a new one a moment later.
_PASSING = frozenset({404, 408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})


class _Passing(Exception):
    """It did not work this time; `status` is None where no answer came."""

    def __init__(self, why: str, *, status: int | None = None, wait: float | None = None) -> None:
        super().__init__(why)
        self.status, self.wait = status, wait


class _Stop(Exception):
    """It will not work; `unsafe` where it must not."""

    def __init__(self, why: str, *, unsafe: bool = True) -> None:
        super().__init__(why)
        self.unsafe = unsafe


@dataclass(frozen=True, slots=True)
class _Address:
    """One address, taken apart."""

    url: httpx.URL
    host: str
    port: int
    named: bool

    @property
    def shown(self) -> str:
        """The address without its query, its path cut after 40 characters."""
        path = self.url.path if len(self.url.path) <= 40 else f"{self.url.path[:40]}…"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.url.scheme}://{host}:{self.port}{_printable(path)}"


async def download(
    url: str,
    *,
    provider: str,
    allowed_hosts: Collection[str] = (),
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
    timeout: float = 120.0,
    connect: float = 5.0,
    headers: Mapping[str, str] | None = None,
    request_id: str | None = None,
    job: str | None = None,
    tls: ssl.SSLContext | None = None,
    resolver: Resolver | None = None,
) -> Picture:
    """Fetch one picture.

    Args:
        url: where the engine says that it lies.
        provider: its name in the configuration, for messages.
        allowed_hosts: what the configuration names, `host` or `host:port` (see `_http.host_of`), each exactly: these
            may have private addresses and speak http.
        max_bytes: of the file, decoded.
        max_pixels: width × height.
        timeout: seconds for everything: redirects, repetitions, decoding.
        connect: seconds for one connection.
        headers: credentials for the address itself, sent only to its own scheme, host and port, and only where the
            configuration names that host.
        request_id: the provider's id of the call, kept in an error.
        job: the provider's id of the work, kept in an error.
        tls: what a TLS connection trusts; None: the system's authorities.
        resolver: looks names up; None: the system.

    Raises:
        ResultRefused: the address is not safe, or what lies there is too large or not taken.
        GenerationFailed: it is not there any more, or it is no picture; it may have been billed.
        OutcomeUnknown: it could not be fetched in the time. It was made: fetch it again by its job.
    """
    guard_logs()
    fetch = _Fetch(
        allowed_hosts,
        max_bytes=max_bytes,
        connect=connect,
        headers=headers or {},
        tls=tls,
        resolver=resolver or _look_up,
    )
    error: ProviderError
    with anyio.move_on_after(timeout):
        try:
            data, told = await fetch.run(url)
            return await _checked(data, told, max_pixels, provider, request_id)
        except _Stop as stop:
            kind = ResultRefused if stop.unsafe else GenerationFailed
            error = kind(
                f"{provider}: the result at {fetch.shown} was not taken: {stop}.",
                remedy="If this host is the engine's own, name it in the provider's settings."
                if stop.unsafe
                else "Ask the engine for the result again, if it still has it.",
                provider=provider,
                request_id=request_id,
                job=job,
                may_have_billed=True,
            )
        except _Passing as passing:
            error = _unfetched(f"{fetch.shown}: {passing}", provider, request_id, job, gone=passing.status == 404)
        except GenerationFailed as failed:
            failed.job = job
            error = failed
        raise error from None
    raise _unfetched(f"{fetch.shown}: it was not there in {timeout:g} s", provider, request_id, job)


def _unfetched(
    what: str, provider: str, request_id: str | None, job: str | None, *, gone: bool = False
) -> ProviderError:
    kind: type[ProviderError] = GenerationFailed if gone else OutcomeUnknown
    return kind(
        f"{provider}: the result was made and could not be fetched from {what}.",
        remedy="Ask the engine for the result again by its job, not for a new picture.",
        provider=provider,
        request_id=request_id,
        job=job,
        may_have_billed=True,
    )


async def _checked(data: bytes, told: str, max_pixels: int, provider: str, request_id: str | None) -> Picture:
    found = await to_thread.run_sync(
        lambda: check_picture(data, max_pixels=max_pixels, decode=True, provider=provider, request_id=request_id),
        abandon_on_cancel=True,
    )
    note = None
    if told and told not in {found.mime, "application/octet-stream", "binary/octet-stream"}:
        note = f"the server called the picture {told}; it is {found.mime}"
    return Picture(data=data, mime=found.mime, width=found.width, height=found.height, note=note)


class _Fetch:
    """One result's way: its redirects and repetitions."""

    def __init__(
        self,
        allowed: Collection[str],
        *,
        max_bytes: int,
        connect: float,
        headers: Mapping[str, str],
        tls: ssl.SSLContext | None,
        resolver: Resolver,
    ) -> None:
        self._allowed, self._max_bytes, self._connect = tuple(allowed), max_bytes, connect
        self._headers, self._tls, self._resolver = headers, tls, resolver
        self._home: tuple[str, str, int] | None = None
        self.shown = "(an address)"

    async def run(self, url: str) -> tuple[bytes, str]:
        """Give the bytes and the content type that was told for them."""
        first = self._address(url)
        self._home = _origin(first)
        self.shown = first.shown
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_Passing), stop=stop_after_attempt(_TRIES), wait=_pause, reraise=True
        )
        return await retrying(self._follow, first)

    async def _follow(self, address: _Address) -> tuple[bytes, str]:
        for _ in range(_MOST_REDIRECTS + 1):
            found = await self._get(address)
            if not isinstance(found, str):
                return found
            address = self._next(address, found)
            self.shown = address.shown
        raise _Stop(f"it was redirected more than {_MOST_REDIRECTS} times")

    def _next(self, address: _Address, location: str) -> _Address:
        try:
            to = str(address.url.join(location))
        except (httpx.InvalidURL, ValueError):
            to = ""
        following = self._address(to)
        if address.url.scheme == "https" and following.url.scheme != "https":
            raise _Stop("it was redirected from https to http")
        return following

    def _address(self, url: str) -> _Address:
        if not isinstance(url, str) or not 0 < len(url) <= 8192 or re.search(r"[\x00-\x20\x7f\\]", url):
            raise _Stop("its address is no address")
        try:
            parsed = httpx.URL(url)
            host, port = parsed.raw_host.decode("ascii").lower(), parsed.port
        except (httpx.InvalidURL, ValueError):
            parsed = None
        if parsed is None or parsed.scheme not in {"http", "https"} or not host or port == 0 or (port or 0) > 65535:
            raise _Stop("its address is no address of http or https")
        if parsed.userinfo or "@" in url.partition("://")[2].partition("/")[0]:
            raise _Stop("its address holds a user or a password")
        host = host.strip("[]")
        port = port or (443 if parsed.scheme == "https" else 80)
        self.shown = f"{parsed.scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        named = is_named(host, port, parsed.scheme, self._allowed)
        if "%" in host or is_odd_number(host):
            raise _Stop("its host is a number in an unusual spelling")
        if parsed.scheme == "http" and not named:
            raise _Stop("its address is not https, and the configuration does not name its host")
        return _Address(parsed, host, port, named)

    async def _get(self, address: _Address) -> tuple[bytes, str] | str:
        """Ask once: the bytes and their told type, or where it points to."""
        headers = {
            "user-agent": user_agent(),
            "accept": "image/png, image/jpeg, image/webp",
            "accept-encoding": "identity",
        }
        if address.named and _origin(address) == self._home:
            headers |= {name.lower(): value for name, value in self._headers.items()}
        with _network_words():
            async with self._answer(address, headers) as answer:
                told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
                if answer.status in _REDIRECTS:
                    return told.get("location") or _nowhere()
                _check_status(answer.status, told)
                return await self._body(answer, told), _mime(told)

    async def _body(self, answer: httpcore.Response, told: Mapping[str, str]) -> bytes:
        try:
            body = Body(self._max_bytes, length=told.get("content-length"), encoding=told.get("content-encoding", ""))
            async for chunk in answer.aiter_stream():
                body.feed(chunk)
            return body.finish()
        except BodyTooLarge as error:
            raise _Stop(str(error)) from None
        except BodyError as error:
            raise _Passing(str(error)) from None

    @asynccontextmanager
    async def _answer(self, address: _Address, headers: Mapping[str, str]) -> AsyncIterator[httpcore.Response]:
        url = address.url
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        backend = _Pinned(address, self._resolver)
        tls = (self._tls or tls_context()) if url.scheme == "https" else None
        async with httpcore.AsyncConnectionPool(
            ssl_context=tls, max_connections=1, max_keepalive_connections=0, network_backend=backend
        ) as pool:
            timeouts = {"connect": self._connect}
            async with pool.stream(
                "GET", target, headers=list(headers.items()), extensions={"timeout": timeouts}
            ) as answer:
                yield answer


class _Pinned(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that were checked, whatever a second look-up would say."""

    def __init__(self, address: _Address, resolver: Resolver) -> None:
        self._address, self._resolver = address, resolver
        self._inner = ClosingBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception | None = None
        for ip in await self._checked(host, port):
            try:
                return await self._inner.connect_tcp(ip, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError("no address")

    async def _checked(self, host: str, port: int) -> Sequence[str]:
        found = [host] if _is_ip(host) else await self._look_up(host, port)
        good = is_usable if self._address.named else is_public
        if not all(good(ip) for ip in found):
            raise _Stop("its host has an address that is not public, and the configuration does not name it")
        return found

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        try:
            found = list(dict.fromkeys(await self._resolver(host, port)))
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise _Passing("its host has no known address")
        return found


async def _look_up(host: str, port: int) -> Sequence[str]:
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class _network_words:  # noqa: N801 - read as a verb in a with
    """Turns the HTTP library's errors into ours, without their text."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, httpcore.ConnectError | httpcore.ConnectTimeout):
            if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in (error.__cause__, error.__context__)):
                raise _Passing("its certificate was not accepted") from None
            raise _Passing("no connection came about") from None
        if isinstance(error, httpcore.NetworkError | httpcore.ProtocolError | httpcore.TimeoutException):
            raise _Passing("the connection broke before the file was whole") from None


def _check_status(status: int, told: Mapping[str, str]) -> None:
    if 200 <= status < 300 and status not in {204, 206}:
        return
    if status in _PASSING:
        raise _Passing(f"it answered {status}", status=status, wait=retry_after(told))
    raise _Stop(f"it answered {status}", unsafe=False)


def _pause(state: RetryCallState) -> float:
    """Wait a little longer each time, and as long as the server wants, up to ten seconds."""
    error = state.outcome.exception() if state.outcome is not None else None
    told = error.wait if isinstance(error, _Passing) else None
    return min(_LONGEST_PAUSE, max(told or 0.0, wait_exponential_jitter(initial=0.2, max=4, jitter=0.2)(state)))


def _nowhere() -> str:
    raise _Stop("it was redirected to nowhere")


def _origin(address: _Address) -> tuple[str, str, int]:
    return (address.url.scheme, address.host, address.port)


def _mime(told: Mapping[str, str]) -> str:
    mime = told.get("content-type", "").split(";")[0].strip().lower()
    return mime if re.fullmatch(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}", mime) else ""


def _printable(text: str) -> str:
    return re.sub(r"[^\x21-\x7e…]", "?", text)
