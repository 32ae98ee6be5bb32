"""Calls over real sockets: what each way of failing means for who pays, and what never shows."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest

from limner_providers import _http, _http_lanes
from limner_providers._http import Answer, Http, Timeouts, host_of
from limner_providers.errors import (
    ConfigurationInvalid,
    EngineUnavailable,
    GenerationFailed,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    ResultRefused,
)

Server = Callable[..., AbstractAsyncContextManager[Any]]
KEY = "sk-veryverysecret1234567890"


def of(peer: Any, **settings: Any) -> Http:
    return Http("fake", f"http://{peer.host}/v1", headers={"Authorization": f"Bearer {KEY}"}, **settings)


async def fails(http: Http, *, idempotent: bool = False, **how: Any) -> ProviderError:
    """Make one call that must fail, close, and look that nothing secret is on the error."""
    try:
        with pytest.raises(ProviderError) as caught:
            await http.send("GET" if idempotent else "POST", "/x", idempotent=idempotent, **how)
    finally:
        await http.close()
    error = caught.value
    assert KEY not in f"{error!s}{error!r}{error.__dict__}"
    assert error.__cause__ is None
    assert error.__context__ is None
    assert error.provider == "fake"
    return error


def talks(*parts: bytes, close: bool = True, pause: float = 0.0) -> Callable[..., Any]:
    """Make a handler that sends `parts` and hangs up, or stays."""

    async def handler(head: bytes, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        if close:
            writer.close()

    return handler


def silent() -> Callable[..., Any]:
    async def handler(head: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    return handler


@pytest.mark.anyio
async def test_an_answer_is_given_whole(peer: Server, reply: Callable[..., bytes]) -> None:
    """An answer comes with status, lower-case headers, body and the server's id; the path is put behind base_url."""
    async with peer(talks(reply(201, b'{"a": [1]}', X_Request_Id="req-1", Content_Type="application/json"))) as server:
        http = of(server)
        answer = await http.send("POST", "jobs", json={"prompt": "röd"}, idempotent=False)
        await http.close()
        assert (answer.status, answer.json(), answer.request_id) == (201, {"a": [1]}, "req-1")
        assert answer.raise_for_status() is answer
        head = server.requests[0].decode().lower()
        assert head.startswith("post /v1/jobs http/1.1\r\n")
        assert "user-agent: limner/" in head
        assert "content-type: application/json" in head
        assert KEY not in repr(answer) + repr(http)


@pytest.mark.anyio
async def test_connections_are_kept_and_shared(peer: Server, reply: Callable[..., bytes]) -> None:
    """Calls one after the other go over one connection, and closing closes it."""
    async with peer(talks(reply(), close=False)) as server:
        http = of(server)
        for _ in range(3):
            await http.send("GET", "/x", idempotent=True)
        assert server.connections == 1
        await http.close()
        await http.close()


def test_it_lives_through_several_event_loops(reply: Callable[..., bytes], peer: Server) -> None:
    """The same object works in one event loop after the other, closed or not yet used in between."""
    box: list[Http] = []

    async def once() -> int:
        async with peer(talks(reply(), close=False)) as server:
            http = Http("fake", f"http://{server.host}")
            box.append(http)
            box[0].base_url = http.base_url
            answer = await box[0].send("GET", "/x", idempotent=True)
            await box[0].close()
            return answer.status

    assert [anyio.run(once), anyio.run(once)] == [200, 200]


@pytest.mark.anyio
async def test_a_refused_connection_sent_nothing() -> None:
    """Where nobody listens nothing was sent, and the call may be made again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = await fails(Http("fake", f"http://127.0.0.1:{port}"))
    assert type(error) is EngineUnavailable
    assert error.retry_safe
    assert not error.may_have_billed
    assert f"127.0.0.1:{port} refused" in str(error)
    assert "Nothing was sent" in str(error)


@pytest.mark.anyio
async def test_a_connection_that_does_not_come_about_is_given_up() -> None:
    """A host that answers no knock is given up after the time for connecting, and nothing was sent."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        error = await fails(Http("fake", f"http://127.0.0.1:{deaf.getsockname()[1]}", timeouts=Timeouts(connect=0.2)))
        for one in waiting:
            one.close()
    assert type(error) is EngineUnavailable
    assert error.retry_safe
    assert "0.2 s" in str(error)


@pytest.mark.anyio
async def test_a_certificate_of_nobody_is_not_accepted(
    peer: Server, reply: Callable[..., bytes], ca_file: Path
) -> None:
    """A certificate that nobody vouches for ends the call before anything is sent; `ca_file` lets a company's pass."""
    async with peer(talks(reply()), tls=("127.0.0.1",)) as server:
        error = await fails(Http("fake", f"https://{server.host}"))
        assert type(error) is EngineUnavailable
        assert not error.retry_safe
        assert "certificate" in str(error)
        assert "ca_file" in error.remedy
        assert server.requests == []
        http = Http("fake", f"https://{server.host}", ca_file=ca_file)
        assert (await http.send("POST", "/x", idempotent=False)).status == 200
        await http.close()


@pytest.mark.anyio
async def test_a_certificate_for_another_name_is_not_accepted(
    peer: Server, reply: Callable[..., bytes], ca_file: Path
) -> None:
    """A certificate for another host's name ends the call before anything is sent."""
    async with peer(talks(reply()), tls=("other.example",)) as server:
        error = await fails(Http("fake", f"https://{server.host}", ca_file=ca_file))
        assert not error.retry_safe
        assert server.requests == []


@pytest.mark.anyio
async def test_https_to_a_server_of_http_is_named(peer: Server, reply: Callable[..., bytes]) -> None:
    """Where the server speaks no TLS the error says to look at base_url."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(reply(400))
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        error = await fails(Http("fake", f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    assert type(error) is EngineUnavailable
    assert not error.retry_safe
    assert "base_url" in error.remedy


CUTS = {
    "before the answer": b"",
    "in the status line": b"HTTP/1.1 20",
    "in the headers": b"HTTP/1.1 200 OK\r\nContent-Le",
    "in the body": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    "in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "no HTTP at all": b"SSH-2.0-OpenSSH\r\n",
}


@pytest.mark.anyio
@pytest.mark.parametrize("where", CUTS)
async def test_a_cut_answer_leaves_the_outcome_open(peer: Server, where: str) -> None:
    """However the connection breaks after the request left: unknown where it may cost, else it may be repeated."""
    async with peer(talks(CUTS[where])) as server:
        error = await fails(of(server))
        assert type(error) is OutcomeUnknown
        assert error.may_have_billed
        assert not error.retry_safe
        error = await fails(of(server), idempotent=True)
        assert type(error) is EngineUnavailable
        assert error.retry_safe


@pytest.mark.anyio
async def test_a_reset_leaves_the_outcome_open(peer: Server) -> None:
    """A connection that is reset after the request left has no known outcome."""

    async def reset(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with peer(reset) as server:
        assert type(await fails(of(server), json={"a": 1})) is OutcomeUnknown


@pytest.mark.anyio
async def test_a_kept_connection_that_dies_is_no_proof_that_nothing_was_read(
    peer: Server, reply: Callable[..., bytes]
) -> None:
    """A second request over a kept connection that is cut is unknown, and is not sent again by itself."""
    count = 0

    async def once(head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        if count == 1:
            writer.write(reply())
        else:
            writer.close()

    async with peer(once) as server:
        http = of(server)
        await http.send("POST", "/x", idempotent=False)
        assert type(await fails(http)) is OutcomeUnknown
        assert count == 2


@pytest.mark.anyio
async def test_the_deadline_holds_for_the_whole_call(peer: Server) -> None:
    """A server that sends a byte now and then does not get round the deadline."""
    drip = [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", *[b"x"] * 60]
    async with peer(talks(*drip, pause=0.05)) as server:
        error = await fails(of(server), timeout=0.4)
        assert type(error) is OutcomeUnknown
        assert "0.4 s" in str(error)
    async with peer(silent()) as server:
        assert type(await fails(of(server, timeouts=Timeouts(total=0.2)))) is OutcomeUnknown
        assert type(await fails(of(server), idempotent=True, timeout=0.2)) is EngineUnavailable


@pytest.mark.anyio
async def test_a_deadline_before_anything_left_costs_nothing(ca_file: Path) -> None:
    """A deadline that passes while TLS is still being agreed on proves that nothing was sent."""

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    async with server:
        http = Http("fake", f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", ca_file=ca_file)
        error = await fails(http, timeout=0.2)
    assert type(error) is EngineUnavailable
    assert error.retry_safe


@pytest.mark.anyio
@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 1e9, True])
async def test_a_senseless_timeout_is_refused(timeout: float) -> None:
    """A time-out that is no sensible number of seconds is refused before anything happens."""
    with pytest.raises(ConfigurationInvalid, match="timeout"):
        await Http("fake", "http://127.0.0.1:9").send("GET", "/", idempotent=True, timeout=timeout)
    with pytest.raises(ConfigurationInvalid, match="connect"):
        Timeouts(connect=timeout)


@pytest.mark.anyio
async def test_a_body_of_two_gigabytes_is_not_read(peer: Server) -> None:
    """A body that is announced too large is refused before it is read; one that is not announced, at the limit."""
    sent = 0

    async def endless(head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while sent < 2**31 and not writer.is_closing():
            writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
            await writer.drain()
            sent += 0x10000

    async with peer(talks(b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n" + bytes(1000), pause=1)) as server:
        error = await fails(of(server))
        assert type(error) is ResultRefused
        assert error.may_have_billed
        assert type(await fails(of(server), idempotent=True)) is GenerationFailed
    async with peer(endless) as server:
        assert type(await fails(of(server, max_body=200_000))) is ResultRefused
        assert type(await fails(of(server), max_body=1000)) is ResultRefused
    assert sent < 64 * 1024 * 1024


@pytest.mark.anyio
async def test_a_gzip_bomb_does_not_grow(peer: Server, reply: Callable[..., bytes]) -> None:
    """A compressed body counts decoded; a small one that nobody asked for is decoded; another encoding is refused."""
    bomb = gzip.compress(bytes(50_000_000))
    async with peer(talks(reply(body=bomb, Content_Encoding="gzip"))) as server:
        assert type(await fails(of(server), max_body=1_000_000)) is ResultRefused
    async with peer(talks(reply(body=gzip.compress(b"[1]"), Content_Encoding="gzip"))) as server:
        http = of(server)
        assert (await http.send("GET", "/", idempotent=True)).json() == [1]
        await http.close()
    async with peer(talks(reply(body=gzip.compress(b"[1]" * 99)[:-9], Content_Encoding="gzip"))) as server:
        assert type(await fails(of(server))) is ResultRefused
    async with peer(talks(reply(body=b"?", Content_Encoding="br"))) as server:
        assert type(await fails(of(server))) is ResultRefused


@pytest.mark.anyio
async def test_a_length_that_is_too_short_cuts_the_body(peer: Server) -> None:
    """Bytes beyond the announced length are not part of the answer."""
    async with peer(talks(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}evil")) as server:
        http = of(server)
        assert (await http.send("GET", "/", idempotent=True)).body == b"{}"
        await http.close()


@pytest.mark.anyio
async def test_a_status_says_enough_when_its_body_breaks_off(peer: Server) -> None:
    """A refusal whose body is cut, or endless, is still that refusal."""
    cut = b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 999\r\n\r\n{"
    async with peer(talks(cut)) as server:
        http = of(server)
        answer = await http.send("POST", "/x", idempotent=False)
        await http.close()
        with pytest.raises(RateLimited) as caught:
            answer.raise_for_status()
        assert caught.value.retry_after == 7
    async with peer(talks(cut.replace(b"999", b"99999999999"), pause=1)) as server:
        http = of(server)
        assert (await http.send("POST", "/x", idempotent=False)).status == 429
        await http.close()


@pytest.mark.anyio
async def test_a_redirect_is_not_followed(peer: Server, reply: Callable[..., bytes]) -> None:
    """A call goes where the configuration says, with its key, and nowhere else."""
    async with peer(talks(reply())) as other, peer(talks(reply(307, Location=f"http://{other.host}/"))) as server:
        http = of(server)
        answer = await http.send("POST", "/x", idempotent=False)
        await http.close()
        with pytest.raises(EngineUnavailable, match="base_url") as caught:
            answer.raise_for_status()
        assert not caught.value.retry_safe
        assert other.connections == 0


@pytest.mark.anyio
async def test_no_json_is_no_success(peer: Server, reply: Callable[..., bytes]) -> None:
    """A success that is no JSON is unknown where it may have cost, and nothing of the page is shown."""
    for body in (b"<html>hello user</html>", b"", b'{"a":', b"\xff\xfe", b"[" * 100_000, b'{"a": NaN}'):
        async with peer(talks(reply(body=body, Content_Type="text/html"))) as server:
            http = of(server)
            unknown = await http.send("POST", "/x", idempotent=False)
            again = await http.send("GET", "/x", idempotent=True)
            await http.close()
        with pytest.raises(OutcomeUnknown) as caught:
            unknown.json()
        assert "hello" not in str(caught.value)
        assert caught.value.__context__ is None
        with pytest.raises(EngineUnavailable):
            again.json()


@pytest.mark.anyio
async def test_keys_and_signed_queries_are_in_no_log(
    peer: Server, reply: Callable[..., bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """With every logger at its loudest, no key, cookie and no query of a redirect is written."""
    caplog.set_level(logging.DEBUG)
    told = reply(302, Location="https://cdn.example/a?sig=TOPSECRET", Set_Cookie="id=TOPSECRET")
    async with peer(talks(told)) as server:
        http = of(server)
        await http.send("GET", "/x", idempotent=True, params={"token": "TOPSECRET"})
        await http.close()
    assert "httpcore" in {record.name.partition(".")[0] for record in caplog.records}
    assert "TOPSECRET" not in caplog.text
    assert KEY not in caplog.text


@pytest.mark.anyio
async def test_a_key_with_a_line_break_is_refused_without_being_shown() -> None:
    """A header that cannot be sent is refused at once, and its value is not shown."""
    with pytest.raises(ConfigurationInvalid) as caught:
        Http("fake", "http://127.0.0.1", headers={"Authorization": f"Bearer {KEY}\n"})
    assert KEY not in str(caught.value)


@pytest.mark.anyio
async def test_many_calls_at_once_all_come_through(peer: Server, reply: Callable[..., bytes]) -> None:
    """Two hundred calls at once are answered, over no more connections than the pool has."""
    async with peer(talks(reply(), close=False)) as server:
        http = of(server)
        answers: list[Answer] = []

        async def one() -> None:
            answers.append(await http.send("POST", "/x", json={}, idempotent=False))

        async with anyio.create_task_group() as group:
            for _ in range(200):
                group.start_soon(one)
        await http.close()
        assert len(answers) == 200
        assert server.connections <= 128
        assert host_of(http.base_url) == server.host


@pytest.mark.anyio
async def test_a_form_with_files_is_sent_as_one(peer: Server, reply: Callable[..., bytes]) -> None:
    """Fields and files go as multipart with their names and types."""
    async with peer(talks(reply())) as server:
        http = of(server)
        await http.send(
            "POST", "/x", idempotent=False, data={"prompt": "x"}, files=[("image", ("a.png", b"123", "image/png"))]
        )
        await http.close()
        assert b"multipart/form-data; boundary=" in server.requests[0]


@pytest.mark.anyio
async def test_a_call_that_never_got_its_turn_sent_nothing(
    peer: Server, reply: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all connections are busy until the deadline, nothing was sent; afterwards calls go on."""
    monkeypatch.setattr(_http_lanes, "MOST", 1)
    free = asyncio.Event()

    async def busy(head: bytes, writer: asyncio.StreamWriter) -> None:
        await free.wait()
        writer.write(reply())

    async with peer(busy) as server:
        http = of(server)
        first = asyncio.create_task(http.send("POST", "/x", idempotent=False))
        while not server.requests:
            await asyncio.sleep(0.01)
        with pytest.raises(EngineUnavailable, match="Nothing was sent") as caught:
            await http.send("POST", "/x", idempotent=False, timeout=0.1)
        assert caught.value.retry_safe
        free.set()
        assert (await first).status == 200
        assert (await http.send("POST", "/x", idempotent=False)).status == 200
        assert server.connections == 1
        await http.close()


@pytest.mark.anyio
async def test_connections_that_nobody_needs_are_closed(
    peer: Server, reply: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a burst the idle connections are let go, and the next call opens its own."""
    monkeypatch.setattr(_http, "_KEEP_ALIVE", 0.0)
    async with peer(talks(reply(), close=False)) as server:
        http = of(server)
        for _ in range(3):
            await http.send("GET", "/x", idempotent=True)
            await asyncio.sleep(0.01)
        assert server.connections == 3
        assert all(len(lanes._all) <= 1 for lanes in http._lanes.values())
        await http.close()


@pytest.mark.anyio
async def test_closing_ends_a_call_under_way(peer: Server) -> None:
    """A call that is under way when its provider closes ends in an unknown outcome, and does not hang."""
    async with peer(silent()) as server:
        http = of(server)
        call = asyncio.create_task(http.send("POST", "/x", idempotent=False, timeout=5))
        while not server.requests:
            await asyncio.sleep(0.01)
        await http.close()
        with pytest.raises(OutcomeUnknown):
            await call


@pytest.mark.anyio
async def test_a_cancelled_call_leaves_its_connection_closed(peer: Server) -> None:
    """Giving a call up closes its connection at once, so that the server notices."""
    async with peer(silent()) as server:
        http = of(server)
        with anyio.move_on_after(0.1) as scope:
            await http.send("POST", "/x", idempotent=False)
        assert scope.cancelled_caught
        (lane,) = (lane for lanes in http._lanes.values() for lane in lanes._all)
        transport: Any = lane._transport
        assert transport._pool.connections == []
        await http.close()
