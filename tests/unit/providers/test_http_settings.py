"""The settings of every engine over the network: its address, its headers, what it trusts."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner_providers._addresses import is_named, is_odd_number, is_public, is_usable
from limner_providers._http import Http, Timeouts, check_base_url, host_of, segment, tls_context
from limner_providers._http_body import Body, BodyError, BodyTooLarge
from limner_providers.errors import ConfigurationInvalid, GenerationFailed


@pytest.mark.parametrize(
    ("value", "kept", "host"),
    [
        ("https://api.example/v1/", "https://api.example/v1", "api.example:443"),
        ("http://127.0.0.1:7860", "http://127.0.0.1:7860", "127.0.0.1:7860"),
        ("HTTP://Host//", "http://host", "host:80"),
        ("http://[::1]:8080/mj", "http://[::1]:8080/mj", "[::1]:8080"),
    ],
)
def test_a_good_address_is_kept(value: str, kept: str, host: str) -> None:
    """An address loses the slash at its end; its host is told with its port."""
    assert check_base_url(value, provider="x") == kept
    assert host_of(kept) == host


@pytest.mark.parametrize(
    "value",
    [
        "",
        "api.example/v1",
        "ftp://api.example",
        "https://",
        "https:///v1",
        "https://user:TOPSECRET@api.example",
        "https://TOPSECRET@api.example",
        "https://@api.example",
        "https://api.example/v1?key=TOPSECRET",
        "https://api.example/v1?",
        "https://api.example/v1#TOPSECRET",
        "https://api.example/ v1",
        "https://api.example/v1\n",
        "https://api.example\\v1",
        "https://api.example:port/",
        "https://api.example:0",
        "https://api.example:70000",
        "https://api.example/../v1",
        "https://api.example/%2e%2e/v1",
        "https://[::1",
        None,
        7,
    ],
)
def test_a_wrong_address_is_refused_without_its_secrets(value: str) -> None:
    """A wrong address names the field and what to do, and shows nothing of the address."""
    with pytest.raises(ConfigurationInvalid) as caught:
        check_base_url(value, provider="mj")
    assert "mj: base_url" in str(caught.value)
    assert caught.value.remedy
    assert "TOPSECRET" not in str(caught.value)


def test_a_wrong_file_of_authorities_is_refused(tmp_path: Path) -> None:
    """A missing or empty file of authorities is a wrong setting."""
    (tmp_path / "empty.pem").write_text("")
    for name in ("nowhere.pem", "empty.pem"):
        with pytest.raises(ConfigurationInvalid, match="ca_file"):
            tls_context(tmp_path / name, provider="mj")


def test_contexts_are_shared() -> None:
    """Reading the system's authorities takes milliseconds, and is done once."""
    assert tls_context() is tls_context()


def test_time_outs_have_their_defaults() -> None:
    """Five seconds to connect, ten minutes for a call."""
    assert (Timeouts().connect, Timeouts().total) == (5.0, 600.0)


@pytest.mark.parametrize("value", ["", ".", "..", "x" * 257])
def test_a_job_that_is_no_name_is_refused(value: str) -> None:
    """An id that cannot be one piece of a path is refused."""
    with pytest.raises(GenerationFailed):
        segment(value)


def test_a_job_stays_one_piece_of_a_path() -> None:
    """An id from elsewhere cannot leave its place in a path."""
    assert segment("../admin?x#y%2f") == "..%2Fadmin%3Fx%23y%252f"


@pytest.mark.parametrize("name", ["bad name", "bad:name", ""])
def test_a_header_that_cannot_be_sent_is_refused(name: str) -> None:
    """A header's name is a plain word."""
    with pytest.raises(ConfigurationInvalid):
        Http("x", "http://host", headers={name: "v"})


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e"])
def test_public_addresses_are_public(address: str) -> None:
    """Addresses of the open internet pass."""
    assert is_public(address)


@pytest.mark.parametrize(
    "address", ["x", "", "127.1", "8.8.8.8.", "fe80::1%eth0", "2606:4700::1%1", "64:ff9b::808:808"]
)
def test_everything_else_is_not(address: str) -> None:
    """What is no address in its usual spelling, or holds another one, does not pass."""
    assert not is_public(address)


def test_a_configured_host_may_be_anywhere_but_nowhere() -> None:
    """A host that is named may be private; unspecified, multicast and broadcast are no hosts."""
    assert [is_usable(ip) for ip in ("127.0.0.1", "10.0.0.1", "::1")] == [True] * 3
    assert [is_usable(ip) for ip in ("0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "x")] == [False] * 5


@pytest.mark.parametrize(
    ("host", "odd"),
    [("2130706433", True), ("0x7f.0.0.1", True), ("010.8.8.8", True), ("127.1", True), ("1.2.3.4.", True),
     ("8.8.8.8", False), ("cdn.example", False), ("1.example", False), ("a.0x7f", True)],
)  # fmt: skip
def test_numbers_in_unusual_spelling_are_noticed(host: str, odd: bool) -> None:
    """Octal, hexadecimal, short and single-number spellings are read differently by different libraries."""
    assert is_odd_number(host) is odd


def test_hosts_are_named_exactly() -> None:
    """Without a port a name means the scheme's own."""
    assert is_named("a.example", 443, "https", ["A.example"])
    assert not is_named("a.example", 8443, "https", ["a.example"])
    assert not is_named("a.example", 443, "http", ["a.example"])
    assert is_named("::1", 8080, "http", ["[::1]:8080"])
    assert not is_named("b.a.example", 443, "https", ["a.example", ".a.example", "*.a.example", ""])


def test_a_body_counts_what_it_decodes() -> None:
    """The limit holds for announced, received and decoded bytes."""
    body = Body(5)
    body.feed(b"12345")
    assert body.finish() == b"12345"
    with pytest.raises(BodyTooLarge):
        body.feed(b"6")
    with pytest.raises(BodyTooLarge):
        Body(5, length="6")
    with pytest.raises(BodyError):
        Body(5, encoding="zstd")
    with pytest.raises(BodyError):
        Body(5, encoding="gzip").feed(b"no gzip")
