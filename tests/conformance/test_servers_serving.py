"""What all protocol servers share: real sockets that are cut, slow, endless or over TLS, and nothing left behind."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

import httpx
import pytest
from servers import faults
from servers.ledger import Arrival
from servers.serving import App, Server
from servers.wire import Request, Response


class Echo(App):
    """Answers with what it got, and bills one picture for each request."""

    async def respond(self, request: Request, arrival: Arrival) -> Response:
        """Give the body back, or one of the special paths' answers."""
        arrival.billed_images += 1
        if request.path == "/broken":
            raise RuntimeError("a bug of the server")
        if request.path == "/events":
            return Response(200, {"content-type": "text/event-stream"}, iter([b"one\n\n", b"two\n\n", b"three\n\n"]))
        return Response(200, {"content-type": "text/plain"}, request.body or b"nothing")


def test_after_stopping_no_thread_and_no_socket_is_left() -> None:
    """Stopping drops open connections, ends the thread and frees the port, even under a client that hangs."""
    before = threading.active_count()
    with Server(Echo()) as server, httpx.Client() as client:
        client.get(server.url)
        server.script.next(faults.hang())
        with pytest.raises(httpx.ReadTimeout):
            client.get(server.url, timeout=0.1)
        waiting = socket.create_connection(("127.0.0.1", server.port))
        waiting.sendall(b"GET / HTTP/1.1\r\n")
    with waiting:
        waiting.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert waiting.recv(100) == b""
    assert threading.active_count() == before
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)
    with Server(Echo(), port=server.port) as again:
        assert httpx.get(again.url).text == "nothing"


def test_a_port_that_is_taken_is_an_error_where_the_server_is_started() -> None:
    """The bind error is raised in the thread that starts the server."""
    with Server(Echo()) as server, pytest.raises(OSError, match="in use"):
        Server(Echo(), port=server.port).start()


def test_connections_are_kept_and_bodies_come_in_both_encodings() -> None:
    """Two requests of one client share a connection; a chunked upload arrives as one body."""
    with Server(Echo()) as server, httpx.Client() as client:
        assert client.post(server.url, content=iter([b"ab", b"cd" * 50_000])).content == b"ab" + b"cd" * 50_000
        assert client.post(server.url, content=b"x" * 3_000_000).content == b"x" * 3_000_000
        first, second = server.ledger.calls()
        assert first.connection == second.connection
        assert client.get(server.url + "/events").text == "one\n\ntwo\n\nthree\n\n"


def test_tls_is_trusted_through_its_own_authority_only() -> None:
    """Https works with the server's context, and fails with the system's."""
    with Server(Echo(), tls=True) as server:
        with httpx.Client(verify=server.client_context()) as client:
            assert client.get(server.url).text == "nothing"
        with (
            pytest.raises(httpx.ConnectError, match="certificate"),
            httpx.Client(verify=ssl.create_default_context()) as client,
        ):
            client.get(server.url)
        with httpx.Client(verify=server.client_context()) as client:
            server.script.next(faults.cut("body"))
            with pytest.raises(httpx.TransportError):
                client.get(server.url)


@pytest.mark.parametrize(
    ("how", "where", "error"),
    [
        ("reset", "before_headers", httpx.ReadError),
        ("close", "before_headers", httpx.RemoteProtocolError),
        ("reset", "after_headers", httpx.ReadError),
        ("close", "after_headers", httpx.RemoteProtocolError),
        ("reset", "body", httpx.ReadError),
        ("close", "body", httpx.RemoteProtocolError),
    ],
)
def test_cuts_are_real(how: str, where: str, error: type[Exception]) -> None:
    """A reset is a reset and a close an early end, at each place; the work was done and billed."""
    with Server(Echo()) as server:
        server.script.next(faults.cut(where, how=how))  # type: ignore[arg-type]
        with pytest.raises(error):
            httpx.get(server.url)
        call = server.ledger.only()
        assert (call.cut, call.billed_images) == (True, 1)


def test_a_stream_is_cut_after_whole_pieces() -> None:
    """`pieces=2` lets two events arrive and not the third."""
    with Server(Echo()) as server, httpx.Client() as client:
        server.script.next(faults.cut("body", pieces=2))
        got = b""
        with client.stream("GET", server.url + "/events") as answer:
            parts = answer.iter_raw()
            while len(got) < 10:
                got += next(parts)
            with pytest.raises(httpx.ReadError):
                next(parts)
        assert got == b"one\n\ntwo\n\n"


def test_a_kept_connection_is_closed_without_warning() -> None:
    """`close_afterwards` answers in full; the next request finds the connection dead and needs a new one."""
    with Server(Echo()) as server, httpx.Client() as client:
        server.script.next(faults.close_afterwards())
        assert client.get(server.url).text == "nothing"
        server.wait_until_idle()
        assert client.get(server.url).text == "nothing"
        first, second = server.ledger.calls()
        assert first.connection != second.connection


def test_an_endless_body_costs_the_server_nothing_and_ends_with_the_client() -> None:
    """Two gigabytes are declared, or none; the client leaves after the first megabyte and the ledger knows."""
    with Server(Echo()) as server, httpx.Client() as client:
        for fault in (faults.endless(), faults.endless(None, declared=False)):
            server.script.next(fault)
            taken = 0
            with client.stream("GET", server.url) as answer:
                for part in answer.iter_bytes():
                    taken += len(part)
                    if taken > 1 << 20:
                        break
        assert server.script.pending == 0
        server.wait_until_idle()
    assert all(call.left for call in server.ledger.calls())


def test_a_client_that_leaves_is_noted() -> None:
    """A client that gives up before the answer is marked as gone; work done first is billed all the same."""
    with Server(Echo()) as server:
        server.script.next(faults.delay(30))
        server.script.next(faults.delay(30, work_first=True))
        for _ in range(2):
            with pytest.raises(httpx.ReadTimeout):
                httpx.get(server.url, timeout=0.2)
        server.wait_until_idle()
    first, second = server.ledger.calls()
    assert (first.left, first.billed_images) == (True, 0)
    assert (second.left, second.billed_images) == (True, 1)


def test_a_slow_body_arrives_whole() -> None:
    """A dripping body is slow and complete."""
    with Server(Echo()) as server:
        server.script.next(faults.drip(octets=3, seconds=0.001))
        assert httpx.get(server.url).text == "nothing"


def test_the_script_is_used_in_order_and_by_path() -> None:
    """Faults queue up, fit by path and method, and `always` lasts until it is cleared."""
    with Server(Echo()) as server, httpx.Client(base_url=server.url) as client:
        server.script.next(faults.answer(418, "a"), path="/x", times=2)
        server.script.always(faults.answer(419, {"b": 1}), method="POST")
        statuses = [client.get("/y").status_code, client.get("/x").status_code, client.post("/x").status_code]
        assert statuses == [200, 418, 418]
        assert [client.post("/x").status_code for _ in range(3)] == [419] * 3
        server.script.clear()
        assert client.post("/x").status_code == 200
        assert server.ledger.billed_images() == 2


def test_what_is_no_http_and_what_breaks_inside_is_answered() -> None:
    """Bytes that are no request get a 400, a bug of the server a 500; the server goes on."""
    with Server(Echo()) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(b"nonsense\r\n\r\n")
            assert raw.recv(1000).startswith(b"HTTP/1.1 400 ")
        broken = httpx.get(server.url + "/broken")
        assert (broken.status_code, "a bug of the server" in broken.text) == (500, True)
        assert httpx.get(server.url).status_code == 200
