"""A small HTTP server on this machine that stands in for an engine: right answers from a function, faults on demand.

    with StandIn(lambda call: Reply.of_json({"image": "…"})) as server:
        server.url                      # "http://127.0.0.1:43211"
        server.fail_with("502-html")    # the next paid call
        server.paid_calls[-1].json()

It bills as engines do: whatever fault comes after the work is a paid call like any other.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, cast

from limner_providers.conformance.expectations import FAULTS, RETRY_AFTER

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\r\n"
_HUGE = 2 << 30
_ERROR = {"error": {"message": "The engine says no.", "code": "engine_error"}}


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it arrived; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Read the body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status, body and headers."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_json(cls, value: Any, status: int = 200, **headers: str) -> Reply:
        """Answer with a value as JSON; an underscore in a header's name becomes a hyphen."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(status, json.dumps(value).encode(), {"content-type": "application/json", **named})


class StandIn:
    """The server; see the module's text."""

    def __init__(
        self,
        answer: Callable[[Call], Reply],
        *,
        paid: Callable[[Call], bool] = lambda call: call.method == "POST",
        words: Mapping[str, tuple[int, Any]] | None = None,
    ) -> None:
        """Answer calls by `answer`, count those that are `paid`, and tell faults by `words` (status and JSON body)."""
        self._answer = answer
        self._paid = paid
        self._words = words or {}
        self._lock = threading.Lock()
        self._fault: str | None = None
        self._connections: set[socket.socket] = set()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._address = ("", 0)
        self.stopped = threading.Event()
        self.paid_calls: list[Call] = []
        self.busy = 0

    @property
    def url(self) -> str:
        """The server's address, without a slash at its end."""
        return f"http://{self._address[0]}:{self._address[1]}"

    def fail_with(self, fault: str) -> None:
        """Make the next paid call go wrong; `refused-connection` stops the server for good.

        Raises:
            KeyError: the kit has no such fault, or nobody said in which words this engine tells it.
        """
        if fault not in FAULTS:
            raise KeyError(f"{fault!r} is no fault of the kit.")
        if fault in _WORDED and fault not in self._words:
            raise KeyError(f"Say in `words` how the engine tells {fault!r}, or name it in `without`.")
        if fault == "refused-connection":
            self.stop()
        else:
            self._fault = fault

    def take_fault(self, call: Call) -> str | None:
        """Note a call that has been read, and give the fault that spoils it."""
        with self._lock:
            if not self._paid(call):
                return None
            self.paid_calls.append(call)
            fault, self._fault = self._fault, None
            return fault

    def reply(self, call: Call, fault: str | None) -> Reply:
        """Make the answer to a call; what is wrong with it is its status, its headers or its body."""
        if fault is None or fault in {"cut-before-headers", "cut-in-body", "hang", "huge"}:
            return self._answer(call)
        if fault in self._words:
            status, body = self._words[fault]
            return Reply.of_json(body, status)
        return _usual(fault, call)

    def count(self, change: int) -> None:
        """Count a call that begins (+1) or ends (-1)."""
        with self._lock:
            self.busy += change

    def opened(self, connection: socket.socket) -> None:
        """Remember a connection, to close it when the server stops."""
        with self._lock:
            self._connections.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._lock:
            self._connections.discard(connection)

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self._address = cast("tuple[str, int]", self._server.server_address)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="stand-in")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening, drop every connection and wait for the threads."""
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        self.stopped.set()
        server.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        server.server_close()


_WORDED = {"quota", "404-model", "empty", "no-picture", "half-picture", "moderation-input", "moderation-output"}


def _usual(fault: str, call: Call) -> Reply:
    """Make the answer by which any HTTP server shows a fault."""
    busy = Reply.of_json(_ERROR, 429)
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=RETRY_AFTER), usegmt=True)
    waits = {
        "429": {"retry-after": str(RETRY_AFTER)},
        "429-date": {"retry-after": then},
        "429-ms": {"retry-after-ms": str(RETRY_AFTER * 1000)},
        "429-bare": {},
        "429-nonsense": {"retry-after": "soon"},
    }
    if fault in waits:
        return replace(busy, headers={**busy.headers, **waits[fault]})
    if fault == "echoed-key":
        told = json.dumps(dict(call.headers))
        return Reply.of_json({"error": {"message": f"Bad key: {told}", "code": told, "type": told}}, 401, x_told=told)
    plain = {
        "401": Reply.of_json(_ERROR, 401),
        "403": Reply.of_json(_ERROR, 403),
        "500": Reply.of_json(_ERROR, 500),
        "502-html": Reply(502, _HTML, {"content-type": "text/html"}),
        "503": Reply(503, b"busy", {"content-type": "text/plain", "retry-after": str(RETRY_AFTER)}),
        "bad-json": Reply(200, b'{"image": "iVBORw0KGgo', {"content-type": "application/json"}),
        "html": Reply(200, _HTML, {"content-type": "text/html"}),
    }
    return plain[fault]


class _Server(ThreadingHTTPServer):
    """Threads that are waited for, and a way from a handler to its stand-in."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, owner: StandIn) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: that a client goes away is what tests are about."""
        del request, client_address


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.owner.opened(self.connection)

    def finish(self) -> None:
        self.owner.closed(self.connection)
        super().finish()

    @property
    def owner(self) -> StandIn:
        return cast("_Server", self.server).owner

    def do_GET(self) -> None:
        self._exchange()

    def do_POST(self) -> None:
        self._exchange()

    def do_DELETE(self) -> None:
        self._exchange()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""

    def _exchange(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(self.command, self.path, headers, body)
        self.owner.count(+1)
        try:
            self._respond(call, self.owner.take_fault(call))
        except OSError:
            self.close_connection = True
        finally:
            self.owner.count(-1)

    def _respond(self, call: Call, fault: str | None) -> None:
        reply = self.owner.reply(call, fault)
        if fault == "hang":
            self._wait_until_left()
        elif fault == "cut-before-headers":
            self._reset()
        elif fault == "cut-in-body":
            self.connection.sendall(self._head(reply, len(reply.body)) + reply.body[: len(reply.body) // 2])
            self._reset()
        elif fault == "huge":
            self._pour(reply)
        else:
            self.connection.sendall(self._head(reply, len(reply.body)) + reply.body)

    def _head(self, reply: Reply, length: int) -> bytes:
        headers = {"x-request-id": f"stand-in-{uuid.uuid4().hex[:12]}", **reply.headers, "content-length": str(length)}
        lines = [f"HTTP/1.1 {reply.status} Status", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode("latin-1")

    def _pour(self, reply: Reply) -> None:
        """Begin well, and go on for two gigabytes."""
        self.connection.sendall(self._head(reply, _HUGE) + reply.body[:-1])
        block = b" " * 65536
        for _ in range(_HUGE // len(block)):
            if self.owner.stopped.is_set():
                break
            self.connection.sendall(block)
        self.close_connection = True

    def _wait_until_left(self) -> None:
        """Never answer; end when the client goes or the server stops."""
        self.close_connection = True
        while not self.owner.stopped.is_set():
            ready, _, _ = select.select([self.connection], [], [], 0.02)
            if ready and not self.connection.recv(1, socket.MSG_PEEK):
                return

    def _reset(self) -> None:
        """Cut the connection hard: the client sees a reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
