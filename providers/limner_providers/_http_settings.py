"""The settings of an engine over the network, checked: its address, time-outs, headers, and whom TLS trusts.

Nothing here contacts anybody, and no message shows a value that may be secret.
"""

from __future__ import annotations

import functools
import importlib.metadata
import math
import os
import re
import ssl
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from limner_providers.errors import ConfigurationInvalid, GenerationFailed

_LONGEST = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a call may take, in seconds.

    Attributes:
        connect: for one connection to come about, TLS included.
        total: for the whole call, from waiting for a connection to the body's last byte. A deadline, not a pause
            between two bytes.

    Raises:
        ConfigurationInvalid: one is not above 0 and at most a day.
    """

    connect: float = 5.0
    total: float = 600.0

    def __post_init__(self) -> None:
        for name in ("connect", "total"):
            seconds(name, getattr(self, name))


def seconds(name: str, value: float) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not 0 < value <= _LONGEST:
        raise ConfigurationInvalid(f"The time-out {name}={value!r} is wrong.", remedy="Give seconds, above 0 to 86400.")
    return float(value)


def check_base_url(value: str, *, provider: str, field: str = "base_url") -> str:
    """Check an engine's address from the configuration and give it without a slash at its end.

    Raises:
        ConfigurationInvalid: not http or https, no host, or it holds a password, a query or a fragment; of the address
            nothing is shown that may be secret.
    """

    def wrong(why: str, remedy: str) -> ConfigurationInvalid:
        return ConfigurationInvalid(f"{provider}: {field} {why}.", remedy=remedy, provider=provider)

    example = "Write it as https://host[:port][/path]."
    if not isinstance(value, str) or not value or re.search(r"[\x00-\x20\x7f\\]", value):
        raise wrong("is empty, or has a space or another character that no address has", example)
    try:
        url = httpx.URL(value)
        port = url.port
    except (httpx.InvalidURL, ValueError):
        raise wrong("is no address", example) from None
    if url.scheme not in {"http", "https"} or not url.host or port == 0 or (port or 0) > 65535:
        raise wrong("does not name http or https and a host", example)
    if url.userinfo or "@" in value.partition("://")[2].partition("/")[0]:
        raise wrong("holds a user or a password", "Use the provider's setting for its key, as ${ENV}.")
    if url.query or url.fragment or "?" in value or "#" in value:
        raise wrong("holds a query or a fragment", "Leave out everything from '?' or '#' on.")
    if any(part in {".", ".."} for part in urllib.parse.unquote(value.partition("://")[2]).split("/")):
        raise wrong("goes up with '..'", "Write the path as it is.")
    return str(url).rstrip("/")


def host_of(base_url: str) -> str:
    """Give `host:port` of an address that `check_base_url` passed, as `download(allowed_hosts=…)` takes it."""
    return host_port(httpx.URL(base_url))


def segment(value: str) -> str:
    """Quote a piece of a path that came from elsewhere (a job's id), so that it stays one piece.

    Raises:
        GenerationFailed: it is empty, longer than 256 characters, or `.` or `..`.
    """
    if not isinstance(value, str) or not 0 < len(value) <= 256 or value in {".", ".."}:
        raise GenerationFailed("The engine named its work in a way that cannot be asked for.", remedy="See its log.")
    return urllib.parse.quote(value, safe="")


@functools.lru_cache(maxsize=1)
def user_agent() -> str:
    """Name this program and its version as servers see it."""
    try:
        return f"limner/{importlib.metadata.version('limner')}"
    except importlib.metadata.PackageNotFoundError:
        return "limner/unknown"


def tls_context(ca_file: str | Path | None = None, *, provider: str = "limner") -> ssl.SSLContext:
    """Give what a TLS connection trusts: the system's authorities (also `SSL_CERT_FILE`, `SSL_CERT_DIR`) and `ca_file`.

    It is made once for each file and shared.

    Raises:
        ConfigurationInvalid: the file cannot be read or holds no certificate.
    """
    path = None if ca_file is None else str(ca_file)
    try:
        stamp = Path(path).stat().st_mtime_ns if path else 0
        return _context(path, stamp, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    except (OSError, ValueError):
        message = f"{provider}: the file of ca_file cannot be read, or holds no certificate."
    raise ConfigurationInvalid(message, remedy="Name a PEM file of certificates.", provider=provider)


@functools.lru_cache(maxsize=16)
def _context(path: str | None, stamp: int, file: str | None, folder: str | None) -> ssl.SSLContext:  # noqa: ARG001 - the key
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if not context.cert_store_stats()["x509_ca"] and not (paths.cafile or paths.capath):
        import certifi  # httpx brings it: an interpreter without a store of its own (python.org's on macOS)

        context.load_verify_locations(certifi.where())
    if path is not None:
        context.load_verify_locations(path)
    return context


def checked_headers(headers: Mapping[str, str] | None, provider: str) -> dict[str, str]:
    """Check headers before httpx does, whose error would show their values."""
    checked = {}
    for name, value in (headers or {}).items():
        if (
            not re.fullmatch(r"[A-Za-z0-9-]+", name)
            or not isinstance(value, str)
            or not re.fullmatch(r"[\x20-\x7e]*", value)
        ):
            message = f"{provider}: the value of the header {name!r} holds a character that no header can have."
            remedy = "Look for a line break or a quote in the key's variable."
            raise ConfigurationInvalid(message, remedy=remedy, provider=provider)
        checked[name.lower()] = value.strip()
    return checked


def gather_secrets(secrets: Iterable[str], headers: Mapping[str, str]) -> tuple[str, ...]:
    """Gather what may never be shown: what was named, and credentials in the headers."""
    told = {secret for secret in secrets if secret}
    for name, value in headers.items():
        if name in {"authorization", "api-key", "x-api-key", "mj-api-secret", "cookie", "proxy-authorization"}:
            told |= {value, value.rpartition(" ")[2]}
    return tuple(secret for secret in told if secret)


def checked_path(path: str) -> str:
    """Check a path before it is put behind `base_url`."""
    if re.search(r"[\x00-\x20\x7f\\?#]", path) or any(part in {".", ".."} for part in path.split("/")):
        raise GenerationFailed(
            "A call's path holds a character that no path has.", remedy="Report it: a part was not quoted."
        )
    return f"/{path.lstrip('/')}" if path else ""


def host_port(url: httpx.URL) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{host}:{url.port or (443 if url.scheme == 'https' else 80)}"
