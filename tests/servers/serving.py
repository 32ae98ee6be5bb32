"""Serve an app on 127.0.0.1 in a thread of its own, with a ledger, a script of faults and optional TLS.

A server subclasses `App` and writes `respond(request, arrival) -> Response`. `Server(app)` is a context manager:

    with Server(OpenAIApp()) as server:
        server.url            # "http://127.0.0.1:43211", without a slash at the end
        server.app            # the app: its options may be changed while it runs
        server.script.next(faults.html_502())
        server.ledger.only("/images/generations").body

`Server(app, tls=True)` serves https with a certificate of a throw-away authority; `server.client_context()` trusts it.
On leaving, every connection is dropped and the thread has ended.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import signal
import socket
import ssl
import threading
import time
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from servers.ledger import Arrival, Ledger
from servers.script import Script
from servers.wire import BadRequestLine, CutNow, Request, Response, read_request, send

READ_LIMIT = 1 << 20

AppT = TypeVar("AppT", bound="App")


class App:
    """What a protocol server is: it answers requests and bills them."""

    def __init__(self, keep: int | None = None) -> None:
        """Keep every arrival in the ledger, or no more than `keep`."""
        self.script = Script()
        self.ledger = Ledger(keep)

    async def respond(self, request: Request, arrival: Arrival) -> Response:
        """Answer one request; complete `arrival` with the decoded body and what is billed."""
        raise NotImplementedError

    def finish(self, request: Request, response: Response) -> Response:
        """Add to every answer, faults included, what the vendor's front door adds (a request id)."""
        return response

    async def handle(self, request: Request, arrival: Arrival) -> Response:
        """Answer by the script where a fault fits, else rightly."""
        fault = self.script.take(request)
        if fault is None:
            response = await self.respond(request, arrival)
        else:
            arrival.fault = fault.name
            response = await fault.answer(request, lambda: self.respond(request, arrival))
        return self.finish(request, response)


class Server(Generic[AppT]):
    """An app that is being served; see the module's text."""

    def __init__(self, app: AppT, *, port: int = 0, tls: bool = False) -> None:
        """Serve `app` on this port (0: a free one)."""
        self.app = app
        self.port = port
        self._authority = _authority() if tls else None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        """The server's address, without a slash at the end."""
        return f"{'https' if self._authority else 'http'}://127.0.0.1:{self.port}"

    @property
    def script(self) -> Script:
        """The app's script of faults."""
        return self.app.script

    @property
    def ledger(self) -> Ledger:
        """The app's ledger."""
        return self.app.ledger

    @property
    def open_connections(self) -> int:
        """How many clients are connected now."""
        return len(self._writers)

    def wait_until_idle(self, seconds: float = 5.0) -> None:
        """Wait until every client has gone and the ledger knows it; AssertionError after `seconds`."""
        end = time.monotonic() + seconds
        while self._writers:
            assert time.monotonic() < end, f"{len(self._writers)} connections are still open after {seconds} s"
            time.sleep(0.005)

    def client_context(self) -> ssl.SSLContext:
        """A context that trusts this server's certificate; AssertionError without TLS."""
        assert self._authority, "the server was made without tls=True"
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context

    def start(self) -> Self:
        """Start serving; returns when connections are accepted."""
        self._thread = threading.Thread(target=self._run, name="protocol-server", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def stop(self) -> None:
        """Stop serving, drop every connection and wait for the thread."""
        if self._thread is None or self._loop is None or self._stop is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - handed to start(), which raises it in the caller's thread
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        # asyncio's own server loses a socket whose accepting falls together with its closing: this one accepts itself
        listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._loop.add_reader(listener, self._accept, listener, self._server_context())
        self._ready.set()
        await self._stop.wait()
        self._loop.remove_reader(listener)
        listener.close()
        for writer in self._writers.values():
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in range(
            3
        ):  # a transport closes its socket in a later turn of the loop, one over TLS in a still later one
            await asyncio.sleep(0)

    def _server_context(self) -> ssl.SSLContext | None:
        if self._authority is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
        return context

    def _accept(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        try:
            channel, _ = listener.accept()
        except OSError:  # the client is gone already
            return
        channel.setblocking(False)
        number = next(self._numbers)
        task = asyncio.get_running_loop().create_task(self._connection(channel, context, number))
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            writer = self._writers.pop(number, None)
            if writer is None:  # ended before its transport was there
                channel.close()
            else:
                writer.close()

        task.add_done_callback(ended)

    async def _connection(self, channel: socket.socket, context: ssl.SSLContext | None, number: int) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(READ_LIMIT)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, channel, ssl=context)
            writer = self._writers[number] = asyncio.StreamWriter(transport, protocol, reader, loop)
            await self._exchange(reader, writer, number)
        except (CutNow, OSError, asyncio.IncompleteReadError):  # cut as planned, or the client is gone
            pass
        except BadRequestLine as error:
            with contextlib.suppress(ConnectionError):
                await send(writer, Response.of_text(f"Bad request: {error}.", 400))

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while (request := await read_request(reader, writer, self.url, number)) is not None:
            arrival = self.app.ledger.note(request)
            try:
                response = await self._unless_gone(request, arrival, reader)
            except Exception as error:  # noqa: BLE001 - a server that fails says so in an answer, it does not hang
                response = Response.of_text(f"The test server itself failed: {type(error).__name__}: {error}", 500)
            if response is None:
                return
            arrival.status = response.status
            arrival.cut = response.cut is not None
            response.close = response.close or request.headers.get("connection", "").lower() == "close"
            try:
                await send(writer, response, head_only=request.method == "HEAD")
            except ConnectionError:
                arrival.left = True
                raise
            if response.upgraded is not None:
                await response.upgraded(reader, writer)
                return
            if response.close:
                return

    async def _unless_gone(self, request: Request, arrival: Arrival, reader: asyncio.StreamReader) -> Response | None:
        """Answer, unless the client goes away first: then the ledger says so and a hanging fault is ended."""
        work = asyncio.ensure_future(self.app.handle(request, arrival))
        await asyncio.sleep(0)
        if not work.done():
            gone = asyncio.ensure_future(_end_of(reader))
            try:
                await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                gone.cancel()
                if not work.done():
                    arrival.left = True
                    work.cancel()
        return None if arrival.left else await work


async def _end_of(reader: asyncio.StreamReader) -> None:
    """Wait until the client has closed its side. A pipelined request would be no end, but no client here sends one."""
    while not reader.at_eof() and reader.exception() is None:
        await asyncio.sleep(0.02)


def _authority() -> Any:
    import trustme

    return trustme.CA()


def run_forever(app: App, port: int) -> None:
    """Serve from the command line until interrupted."""
    with Server(app, port=port) as server:
        print(f"{type(app).__name__} at {server.url}", flush=True)  # noqa: T201 - a program's own output
        done = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: done.set())
        done.wait()


def arguments(text: str) -> argparse.ArgumentParser:
    """Make a parser with the options that every server has."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    return parser
