"""Results are fetched from where it is safe, whole, and as what they are; everything else is refused and says why."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import struct
import zlib
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpcore
import pytest

from limner_providers import _download
from limner_providers._download import download
from limner_providers.errors import GenerationFailed, OutcomeUnknown, ProviderError, ResultRefused

Server = Callable[..., AbstractAsyncContextManager[Any]]
SECRET = "sig=TOPSECRET"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat without waiting."""
    monkeypatch.setattr(_download, "_pause", lambda _: 0.0)


def resolves(*addresses: str) -> Callable[[str, int], Any]:
    """Make a name service that knows one answer and counts who asked."""

    async def resolver(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return addresses

    asked: list[str] = []
    resolver.asked = asked  # type: ignore[attr-defined]
    return resolver


def gives(*answers: bytes, stay: float = 0.0) -> Callable[..., Any]:
    """Make a handler that gives one answer after the other, the last one for good."""
    left = list(answers)

    async def handler(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()
        await asyncio.sleep(stay)
        writer.close()

    return handler


async def refused(url: str, **settings: Any) -> ProviderError:
    """Fetch what must not be given, and look that nothing secret is on the error."""
    with pytest.raises(ProviderError) as caught:
        await download(url, provider="mj", job="j1", request_id="r1", **settings)
    error = caught.value
    assert "TOPSECRET" not in f"{error!s}{error!r}{error.__dict__}"
    assert error.__cause__ is None
    assert error.may_have_billed
    assert not error.fallback_safe
    assert (error.provider, error.job, error.request_id) == ("mj", "j1", "r1")
    return error


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_a_picture_comes_as_it_lies_there(
    peer: Server, reply: Callable[..., bytes], picture: Callable[..., bytes], kind: str
) -> None:
    """The bytes come unchanged, with what they are; a wrong content type is noted and not believed."""
    data = picture(kind)
    async with peer(gives(reply(200, data, Content_Type="image/gif"))) as server:
        found = await download(f"http://{server.host}/a.gif?{SECRET}", provider="mj", allowed_hosts=[server.host])
    assert found.data == data
    assert (found.mime, found.width, found.height) == (f"image/{kind.lower()}", 32, 16)
    assert found.note is not None
    assert "image/gif" in found.note


@pytest.mark.anyio
async def test_the_connection_goes_to_the_address_that_was_checked(
    peer: Server, reply: Callable[..., bytes], picture: Callable[..., bytes], trusting: ssl.SSLContext
) -> None:
    """The name is looked up once, and certificate and Host are still the name's."""
    resolver = resolves("127.0.0.1")
    async with peer(gives(reply(200, picture())), tls=("img.example",)) as server:
        where = f"img.example:{server.port}"
        await download(f"https://{where}/a", provider="mj", allowed_hosts=[where], resolver=resolver, tls=trusting)
        assert resolver.asked == ["img.example"]  # type: ignore[attr-defined]
        assert f"host: {where}" in server.requests[0].decode().lower()
        error = await refused(f"https://{where}/a", allowed_hosts=[where], resolver=resolver)
        assert "certificate" in str(error)
        wrong = f"other.example:{server.port}"
        error = await refused(f"https://{wrong}/a", allowed_hosts=[wrong], resolver=resolver, tls=trusting)
        assert "certificate" in str(error)
        assert len(server.requests) == 1


PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:8.8.8.8", "2002:7f00:1::", "64:ff9b::7f00:1", "2001:0:7f00:1::", "2001:db8::1",
]  # fmt: skip


@pytest.mark.anyio
@pytest.mark.parametrize("address", PRIVATE)
async def test_a_name_with_a_private_address_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is connected to: not for a name that leads there, alone or among good ones, nor for the number itself."""
    tried: list[str] = []
    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connects(tried))
    shown = f"[{address}]" if ":" in address else address
    for resolver in (resolves(address), resolves("8.8.8.8", address)):
        error = await refused(f"https://cdn.example/x?{SECRET}", resolver=resolver)
        assert type(error) is ResultRefused
        assert "cdn.example" in str(error)
    assert type(await refused(f"https://{shown}/x?{SECRET}")) is ResultRefused
    assert tried == []


def connects(tried: list[str]) -> Any:
    """Make a network where nobody answers, and that remembers who was called."""

    async def connect_tcp(self: object, host: str, *args: Any, **settings: Any) -> Any:
        tried.append(host)
        raise httpcore.ConnectError

    return connect_tcp


@pytest.mark.anyio
async def test_a_name_that_changes_its_address_gets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is public first and private when asked again is refused the second time, before connecting."""
    tried: list[str] = []
    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connects(tried))
    answers = [["8.8.8.8"], ["127.0.0.1"]]

    async def rebinding(host: str, port: int) -> Sequence[str]:
        return answers.pop(0)

    assert type(await refused("https://evil.example/x", resolver=rebinding)) is ResultRefused
    assert tried == ["8.8.8.8"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "ftp://8.8.8.8/x",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "http://cdn.example/x",
        "https://user:TOPSECRET@cdn.example/x",
        "https://cdn.example\\@127.0.0.1/x",
        "https://cdn.example /x",
        "https:///x",
        "https://cdn.example:0/x",
        "https://cdn.example:99999/x",
        "https://2130706433/x",
        "https://0x7f.1/x",
        "https://0177.0.0.1/x",
        "https://127.1/x",
        "https://[fe80::1%25eth0]/x",
        "https://[::ffff:7f00:1]/x",
        "https://cdn.example/" + "x" * 9000,
    ],
)
async def test_an_address_that_is_none_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses that are no plain https address are refused before any look-up."""
    tried: list[str] = []
    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connects(tried))
    resolver = resolves("8.8.8.8")
    assert type(await refused(url, resolver=resolver)) is ResultRefused
    assert tried == resolver.asked == []  # type: ignore[attr-defined]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "named", ["127.0.0.1", "127.0.0.1:1", ".0.0.1:{port}", "x127.0.0.1:{port}", "localhost:{port}"]
)
async def test_a_host_is_named_exactly_or_not_at_all(
    peer: Server, reply: Callable[..., bytes], picture: Callable[..., bytes], named: str
) -> None:
    """Another port, a part of the name or another name for it does not let a host in."""
    async with peer(gives(reply(200, picture()))) as server:
        error = await refused(f"http://{server.host}/a", allowed_hosts=[named.format(port=server.port)])
        assert type(error) is ResultRefused
        assert server.connections == 0


@pytest.mark.anyio
async def test_a_redirect_is_checked_like_an_address(
    peer: Server, reply: Callable[..., bytes], picture: Callable[..., bytes], trusting: ssl.SSLContext
) -> None:
    """A redirect to a private host, to http or to another scheme is refused, and nobody there is called."""
    async with peer(gives(reply(200, picture())), tls=("127.0.0.1",)) as private:
        for to in (
            f"https://{private.host}/?{SECRET}", f"http://{private.host}/", f"//{private.host}/", "file:///etc/passwd",
            "http://img.example:{port}/plain",
        ):  # fmt: skip
            async with peer(gives(b""), tls=("img.example",)) as server:
                where = f"img.example:{server.port}"

                async def handler(head: bytes, writer: asyncio.StreamWriter, to: str = to) -> None:
                    writer.write(reply(302, Location=to.format(port=server.port)))

                async with peer(handler, tls=("img.example",)) as first:
                    here = f"img.example:{first.port}"
                    settings = {"allowed_hosts": [here, where], "resolver": resolves("127.0.0.1"), "tls": trusting}
                    assert type(await refused(f"https://{here}/a", **settings)) is ResultRefused
                assert server.connections == 0
        assert private.connections == 0


@pytest.mark.anyio
async def test_redirects_are_followed_five_times(
    peer: Server, reply: Callable[..., bytes], picture: Callable[..., bytes]
) -> None:
    """A few redirects lead to the picture; a loop ends, and one to nowhere too."""
    hop = reply(302, Location="/next")
    async with peer(gives(*[hop] * 5, reply(200, picture()))) as server:
        assert (await download(f"http://{server.host}/a", provider="mj", allowed_hosts=[server.host])).width == 32
    async with peer(gives(hop)) as server:
        assert "redirected more than 5" in str(await refused(f"http://{server.host}/a", allowed_hosts=[server.host]))
        assert server.connections == 6
    async with peer(gives(reply(302))) as server:
        assert "nowhere" in str(await refused(f"http://{server.host}/a", allowed_hosts=[server.host]))


@pytest.mark.anyio
async def test_credentials_stay_with_their_host(
    peer: Server, reply: Callable[..., bytes], picture: Callable[..., bytes]
) -> None:
    """Headers go to the host they were given for, and not along with a redirect."""
    async with peer(gives(reply(200, picture()))) as other:
        async with peer(gives(reply(302, Location=f"http://{other.host}/"))) as server:
            await download(
                f"http://{server.host}/a",
                provider="mj",
                allowed_hosts=[server.host, other.host],
                headers={"Authorization": "Bearer TOPSECRET"},
            )
        assert b"TOPSECRET" in server.requests[0]
        assert b"TOPSECRET" not in other.requests[0]


@pytest.mark.anyio
async def test_a_passing_failure_is_repeated(
    peer: Server, reply: Callable[..., bytes], picture: Callable[..., bytes]
) -> None:
    """Cut connections and a server that is busy are asked again; what stays broken is told, with the job's id."""
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nx"
    async with peer(gives(b"", cut, reply(503), reply(200, picture()))) as server:
        await download(f"http://{server.host}/a", provider="mj", allowed_hosts=[server.host])
        assert server.connections == 4
    async with peer(gives(cut)) as server:
        error = await refused(f"http://{server.host}/a?{SECRET}", allowed_hosts=[server.host])
        assert type(error) is OutcomeUnknown
        assert server.connections == 4
    error = await refused(f"http://{server.host}/a?{SECRET}", allowed_hosts=[server.host])
    assert type(error) is OutcomeUnknown
    assert type(await refused("https://nobody.example/", resolver=resolves())) is OutcomeUnknown


@pytest.mark.anyio
@pytest.mark.parametrize("status", [401, 403, 404, 410, 206, 204])
async def test_what_is_gone_is_said_to_be_gone(peer: Server, reply: Callable[..., bytes], status: int) -> None:
    """A result that its host does not give is a failure that may have been billed, and never a success."""
    async with peer(gives(reply(status))) as server:
        error = await refused(f"http://{server.host}/a", allowed_hosts=[server.host])
        assert type(error) is GenerationFailed
        assert str(status) in str(error)


@pytest.mark.anyio
async def test_a_slow_drip_ends_at_the_deadline(peer: Server) -> None:
    """A server that sends a byte now and then does not hold the call beyond its time."""

    async def drip(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(200):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with peer(drip) as server:
        error = await refused(f"http://{server.host}/a", allowed_hosts=[server.host], timeout=0.3)
        assert type(error) is OutcomeUnknown
        assert "0.3 s" in str(error)


def png_of(width: int, height: int) -> bytes:
    """Write a small PNG that says it has so many pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.anyio
async def test_what_is_too_large_or_no_picture_is_refused(
    peer: Server, reply: Callable[..., bytes], picture: Callable[..., bytes]
) -> None:
    """Two gigabytes, a gzip bomb, a pixel bomb, a page, a GIF, half a file: each is refused with its reason."""
    whole = picture("PNG", (64, 64))
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 0xFF
    cases = [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n" + whole, ResultRefused, "more than"),
        (reply(200, gzip.compress(bytes(90_000_000)), Content_Encoding="gzip"), ResultRefused, "more than"),
        (reply(200, png_of(60_000, 60_000)), ResultRefused, "60000x60000"),
        (reply(200, png_of(640, 480)), GenerationFailed, "decoded"),
        (reply(200, b"<!DOCTYPE html><html>", Content_Type="image/png"), GenerationFailed, "HTML"),
        (reply(200, b'<?xml version="1.0"?><svg onload="x"/>'), ResultRefused, "SVG"),
        (reply(200, picture("GIF")), ResultRefused, "GIF"),
        (reply(200, whole[:-20]), GenerationFailed, "cut off"),
        (reply(200, bytes(broken)), GenerationFailed, "decoded"),
        (reply(200, whole + b"PK\x03\x04"), ResultRefused, "behind its end"),
        (reply(200, b""), GenerationFailed, "empty"),
    ]
    for told, kind, words in cases:
        async with peer(gives(told, stay=0.1)) as server:
            error = await refused(f"http://{server.host}/a?{SECRET}", allowed_hosts=[server.host])
            assert type(error) is kind
            assert words in str(error)
            assert server.connections == 1
