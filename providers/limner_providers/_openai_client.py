"""The border to the `openai` package: its client, made safe, and what its failures mean.

The package builds requests and sends them; its retries, redirects and environment are off, its types and texts stay in
here. Answers are read as bytes under a limit, since its own reading would hold a large one in memory several times.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import select
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import anyio
import httpx2
import openai
from anyio import lowlevel
from httpcore2 import AnyIOBackend, AsyncNetworkBackend, AsyncNetworkStream

from limner_providers import _http_errors as words
from limner_providers._http import Timeouts, host_of, tls_context
from limner_providers._http_body import Body, BodyError, BodyTooLarge
from limner_providers._http_lanes import Lanes
from limner_providers._http_settings import user_agent
from limner_providers.errors import GenerationFailed, ProviderError, ResultRefused

T = TypeVar("T")
Refuse = Callable[[int, Mapping[str, str], bytes], ProviderError]
"""From the status, the headers (names in lower case) and the body of an answer that is no success to its error."""
File = tuple[str, tuple[str, bytes, str]]
"""A form's file: field, file name, bytes, media type."""

_MOST_ERROR = 1024 * 1024
_KEEP_ALIVE = 3.0  # shorter than servers' own 5 s, as in `_http`
# What the package adds to these (its platform, the environment's organisation and headers) does not leave.
_KEPT = frozenset({b"host", b"accept", b"content-type", b"content-length", b"transfer-encoding"})
_LOGGERS = (
    "httpx2",
    "httpcore2.connection",
    "httpcore2.http11",
    "httpcore2.http2",
    "httpcore2.proxy",
    "httpcore2.socks",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request.

    Attributes:
        method: `GET` or `POST`.
        path: below the base address.
        fields: of the JSON body, or of the form where there are files.
        files: of the form.
        idempotent: it changes and costs nothing.
        most: bytes that its answer may have.
    """

    method: str
    path: str
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    files: Sequence[File] = field(default=(), repr=False)
    idempotent: bool = False
    most: int = 64 * 1024 * 1024


class Reply:
    """An answer with a good status whose body is still to be read, once."""

    def __init__(self, response: httpx2.Response, most: int) -> None:
        self._response, self._most = response, most
        self.headers = _lower(response.headers)

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def request_id(self) -> str | None:
        """The server's own id of the call."""
        return words.request_id(self.headers)

    async def read(self) -> bytes | bytearray:
        """Read the whole body.

        Raises:
            BodyError: it is too large, or in an encoding that was not asked for.
        """
        told = self.headers
        length, encoding = told.get("content-length", ""), told.get("content-encoding", "")
        body = Body(self._most, length=length, encoding=encoding)
        if length.isascii() and length.isdigit() and encoding.strip().lower() in {"", "identity"}:
            return await self._fill(int(length))
        async for chunk in self._response.aiter_raw():
            body.feed(chunk)
        return body.finish()

    async def _fill(self, length: int) -> bytearray:
        """Read a body whose length is told, and not too large, into its place: megabytes are not moved as it grows."""
        room, at = bytearray(length), 0
        async for chunk in self._response.aiter_raw():
            end = at + len(chunk)
            if end > length:
                raise BodyError("its body is longer than it says")
            room[at:end] = chunk
            at = end
        return room

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Give the body as it comes.

        Raises:
            BodyError: it is too large, or in an encoding that was not asked for.
        """
        if self.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            raise BodyError("its stream is in an encoding that was not asked for")
        size = 0
        async for chunk in self._response.aiter_raw():
            size += len(chunk)
            if size > self._most:
                raise BodyTooLarge(f"its body has more than {self._most:,} bytes")
            yield chunk


class Caller:
    """One provider's connections through the `openai` package; each event loop has its own."""

    def __init__(
        self,
        provider: str,
        base_url: str,
        *,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        timeouts: Timeouts,
        ca_file: str | None,
    ) -> None:
        """Keep the settings, which have been checked; nothing is contacted.

        Raises:
            ConfigurationInvalid: `ca_file` cannot be read.
        """
        _guard_logs()
        self.provider, self._base_url, self._query = provider, base_url, dict(query)
        self._headers = {"user-agent": user_agent(), "accept-encoding": "identity", **headers}
        self.timeouts = timeouts
        self.tls = tls_context(ca_file, provider=provider) if base_url.startswith("https:") or ca_file else None
        self._clients: dict[object, _Loop] = {}

    def __repr__(self) -> str:
        return f"Caller({self.provider!r}, {self._base_url!r})"

    async def run(self, call: Call, read: Callable[[Reply], Awaitable[T]], *, refuse: Refuse, timeout: float) -> T:
        """Send a request once and give what `read` makes of its answer.

        Args:
            call: what is sent.
            read: reads the answer; errors of ours that it raises pass.
            refuse: says what an answer without success means.
            timeout: seconds for the whole call, the reading included.

        Raises:
            EngineUnavailable: nothing was sent, or the call is idempotent and its answer was lost.
            OutcomeUnknown: it was sent, and no whole answer came.
            ResultRefused: the answer is too large or in an encoding that was not asked for.
            ProviderError: what `refuse` and `read` give.
        """
        under_way = _UnderWay(self.provider, call, host_of(self._base_url), self.timeouts.connect)
        failure: ProviderError | None = None
        with anyio.move_on_after(timeout):
            try:
                return await self._exchange(call, read, under_way)
            except ProviderError:
                raise
            except (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError) as error:
                failure = under_way.refused(refuse) or under_way.failure(error)
            except anyio.EndOfStream as error:  # a TLS connection that ends without a word
                failure = under_way.failure(error)
            except BodyError as error:
                failure = under_way.too_much(error)
        # Raised outside, so that no library's exception, whose text or request may hold a key, hangs on it.
        raise failure if failure is not None else under_way.late(timeout)

    async def close(self) -> None:
        """Close this event loop's connections; those of ended loops are forgotten. A later call opens new ones."""
        mine = self._clients.pop(lowlevel.current_token(), None)
        self._forget_ended()
        if mine is not None:
            await mine.lanes.close()
            await mine.client.close()

    async def _exchange(self, call: Call, read: Callable[[Reply], Awaitable[T]], under_way: _UnderWay) -> T:
        loop = self._loop()
        async with loop.lanes.take() as lane:
            under_way.lane = cast("httpx2.AsyncClient", lane)
            response = await self._send(loop.client, call, under_way)
            try:
                reply = Reply(response, call.most)
                under_way.request_id = reply.request_id
                return await read(reply)
            finally:
                await response.aclose()

    async def _send(self, client: openai.AsyncOpenAI, call: Call, under_way: _UnderWay) -> httpx2.Response:
        token = _UNDER_WAY.set(under_way)
        try:
            # The carrier gives every answer unread, so that nothing here is a stream to the package.
            if call.method == "GET":
                return await client.get(call.path, cast_to=httpx2.Response)
            form = {"Content-Type": "multipart/form-data"} if call.files else {}
            return await client.post(
                call.path,
                cast_to=httpx2.Response,
                body=dict(call.fields),
                files=list(call.files) or None,
                options={"headers": form},
            )
        finally:
            _UNDER_WAY.reset(token)

    def _loop(self) -> _Loop:
        token = lowlevel.current_token()
        if token not in self._clients:
            self._forget_ended()
            # The lanes are written for httpx; its successor has the same two methods that they use.
            lanes = Lanes(cast("Any", self._new_lane), _KEEP_ALIVE)
            self._clients[token] = _Loop(self._new_client(), lanes)
        return self._clients[token]

    def _new_lane(self) -> httpx2.AsyncClient:
        lane = httpx2.AsyncClient(verify=self.tls or _PLAIN, limits=_ONE)
        for transport in (lane._transport, *lane._mounts.values()):  # noqa: SLF001 - as in `_http`: no other door
            pool: Any = getattr(transport, "_pool", None)
            if hasattr(pool, "_network_backend"):
                pool._network_backend = _Backend()  # noqa: SLF001
        return lane

    def _new_client(self) -> openai.AsyncOpenAI:
        timeout = httpx2.Timeout(None, connect=self.timeouts.connect)
        carrier = _Carrier(self._headers, verify=_PLAIN, trust_env=False, timeout=timeout)
        return openai.AsyncOpenAI(
            api_key="none",  # the carrier puts the real one in: the package never has it
            admin_api_key="",
            organization="",
            project="",
            webhook_secret="",
            base_url=self._base_url,
            default_query=self._query,
            timeout=timeout,
            max_retries=0,
            http_client=carrier,
        )

    def _forget_ended(self) -> None:
        for token in list(self._clients):
            loop = getattr(token, "native_token", None)
            if isinstance(loop, asyncio.AbstractEventLoop) and loop.is_closed():
                self._clients.pop(token, None)


_ONE = httpx2.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEEP_ALIVE)
_PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # for http alone: it trusts nobody, and reads no authorities' file


@dataclass(frozen=True, slots=True)
class _Loop:
    """What one event loop has: the package's client, which builds requests, and the connections they go over."""

    client: openai.AsyncOpenAI
    lanes: Lanes


class _UnderWay:
    """One call under way: what was sent of it, what was refused, and what its failures mean."""

    def __init__(self, provider: str, call: Call, where: str, connect: float) -> None:
        self._provider, self._call, self._where, self._connect = provider, call, where, connect
        self._sent = False
        self._no: tuple[int, dict[str, str], bytes] | None = None
        self.request_id: str | None = None
        self.lane: httpx2.AsyncClient | None = None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Notice when the request itself (and not a proxy's CONNECT) begins to leave."""
        if event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            self._sent = True
            info["request"].extensions.pop("trace", None)  # the other nine events would only cost time

    def note(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Keep an answer without success."""
        self._no = (status, headers, body)

    def refused(self, refuse: Refuse) -> ProviderError | None:
        """Give the error of an answer without success; None: there was none."""
        return None if self._no is None else refuse(*self._no)

    def failure(self, error: Exception) -> ProviderError:
        """Say what a broken connection means."""
        if self._sent:
            return self._lost("it closed or broke the connection before its answer was whole")
        if _is_late(error):
            return self._lost(f"{self._where} did not accept a connection in {self._connect:g} s")
        return words.unreachable(error, provider=self._provider, where=self._where)

    def late(self, timeout: float) -> ProviderError:
        """Say what an answer that did not come in time means."""
        what = "no whole answer came" if self._sent else "no connection was free or came about"
        return self._lost(f"{what} in {timeout:g} s")

    def too_much(self, error: BodyError) -> ProviderError:
        """Say what an answer that may not be read means."""
        kind = GenerationFailed if self._call.idempotent else ResultRefused
        remedy = (
            "Ask for fewer or smaller pictures." if isinstance(error, BodyTooLarge) else "Look for a proxy between."
        )
        return kind(f"{self._provider}: {error}.", remedy=remedy, provider=self._provider, request_id=self.request_id)

    def _lost(self, why: str) -> ProviderError:
        return words.lost(
            why,
            provider=self._provider,
            sent=self._sent,
            idempotent=self._call.idempotent,
            request_id=self.request_id,
        )


_UNDER_WAY: contextvars.ContextVar[_UnderWay] = contextvars.ContextVar("limner_openai_call")


class _Carrier(httpx2.AsyncClient):
    """Sends what the package built over the call's own lane: our headers alone, no redirects, errors cut short."""

    def __init__(self, headers: Mapping[str, str], **settings: Any) -> None:
        super().__init__(**settings)
        self._ours = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send one request; how is decided here, whatever the package would like."""
        del options
        under_way = _UNDER_WAY.get()
        kept = [pair for pair in request.headers.raw if pair[0].lower() in _KEPT]
        request.headers = httpx2.Headers([*kept, *self._ours])
        request.extensions["trace"] = under_way.trace
        assert under_way.lane is not None
        response = await under_way.lane.send(request, stream=True, follow_redirects=False)
        if response.is_success:
            return response
        body = b""
        try:
            body = await _beginning(response)
        finally:
            under_way.note(response.status_code, _lower(response.headers), body)
            await response.aclose()
        return httpx2.Response(response.status_code, request=request)


async def _beginning(response: httpx2.Response) -> bytes:
    """Read an error's body as far as it may go, or came."""
    body = Body(_MOST_ERROR, encoding=response.headers.get("content-encoding", ""))
    with contextlib.suppress(BodyError, httpx2.HTTPError, httpx2.StreamError):
        async for chunk in response.aiter_raw():
            body.feed(chunk)
    return body.so_far()


class _Backend(AsyncNetworkBackend):
    """anyio's sockets with two changes.

    A TLS handshake that fails or is cancelled closes its socket at once (see `_http_sockets`). And whether an idle
    connection was closed by its server is asked of the socket itself: it is asked at every call, and the way through
    anyio's attributes takes ten times as long.
    """

    def __init__(self) -> None:
        self._inner = AnyIOBackend()

    async def connect_tcp(self, *args: Any, **settings: Any) -> AsyncNetworkStream:
        """Connect, as httpcore2 wants it."""
        stream = await self._inner.connect_tcp(*args, **settings)
        handshake = stream.start_tls

        async def start_tls(*args: Any, **settings: Any) -> AsyncNetworkStream:
            try:
                return _quick(await handshake(*args, **settings))
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await stream.aclose()
                raise

        stream.start_tls = start_tls  # type: ignore[method-assign]
        return _quick(stream)

    async def sleep(self, seconds: float) -> None:
        """Wait between two attempts to connect."""
        await anyio.sleep(seconds)


def _quick(stream: AsyncNetworkStream) -> AsyncNetworkStream:
    if not hasattr(select, "poll"):  # Windows
        return stream
    usual, channel = stream.get_extra_info, stream.get_extra_info("socket")

    def get_extra_info(info: str) -> Any:
        return _is_readable(channel) if info == "is_readable" else usual(info)

    stream.get_extra_info = get_extra_info  # type: ignore[method-assign]
    return stream


def _is_readable(channel: Any) -> bool:
    """Say whether something, or the end, can be read without waiting; of a closed socket that is so."""
    number = -1 if channel is None else channel.fileno()
    if number < 0:
        return True
    waiting = select.poll()
    waiting.register(number, select.POLLIN)
    return bool(waiting.poll(0))


def _lower(headers: httpx2.Headers) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw, content in headers.raw:  # its own reading of names and values takes ten times as long
        name, value = raw.decode("latin-1").lower(), content.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _is_late(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, httpx2.ConnectTimeout):
            return True
        error = error.__cause__ or error.__context__
    return False


class _Redacting(logging.Filter):
    """Takes queries and credentials out of what the HTTP library under the package logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = words.redact(record.getMessage()), ()
        return True


def _guard_logs() -> None:
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(found, _Redacting) for found in logger.filters):
            logger.addFilter(_Redacting())
