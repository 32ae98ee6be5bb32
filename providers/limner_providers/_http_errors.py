"""What an HTTP status or a broken connection means for who pays: the one table every engine over the network uses.

Two questions decide: had anything been sent, and may the same call be made again without a danger of paying twice?
No message holds a body, a key or a query: only the status, the content's type and length, and an error's code words.
"""

from __future__ import annotations

import email.utils
import json
import logging
import re
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from limner_providers.errors import (
    AccessDenied,
    EngineUnavailable,
    GenerationFailed,
    OutcomeUnknown,
    ProviderError,
    QuotaExhausted,
    RateLimited,
)

LONGEST_WAIT = 86_400.0  # seconds; a Retry-After beyond a day means as much: not now
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.\[\]-]{0,47}|-?[0-9]{1,9}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
_QUERY = re.compile(r"(?i)(https?:[\\/]+[^\s\"'<>?#]*)[?#][^\s\"'<>]*|(?<=\S)\?(?=[^\s\"'<>]*=)[^\s\"'<>]*")
_USERINFO = re.compile(r"(?i)(https?://)[^\s\"'<>/?#@]*@")
_AUTHORIZATION = re.compile(
    r"(?i)\b(authorization|api-key|x-api-key|mj-api-secret|cookie|set-cookie)\b([\"':=,\sb]+)[^\r\n]*"
)
_KEY = re.compile(r"(?i)\b(bearer\s+|sk-|rpa_|r8_|hf_|key-)[A-Za-z0-9._~+/*-]{6,}=*")
_TOO_MUCH = frozenset({429, 503, 529})


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds a server wants to be left alone: `retry-after-ms`, else `Retry-After` (seconds or a date).

    Args:
        headers: an answer's, with lower-case names.

    Returns:
        0 to 86,400, which stands for a day and all that is longer; None where there is nothing, or nothing that makes
        sense (negative, NaN, past).
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if _NUMBER.fullmatch(milliseconds):
        return _sensible(float(milliseconds) / 1000)
    value = headers.get("retry-after", "").strip()
    if _NUMBER.fullmatch(value):
        return _sensible(float(value))
    then = _date(value)
    # The server's own clock where it tells it: ours may differ by minutes.
    now = _date(headers.get("date", "")) or datetime.now(UTC)
    return _sensible((then - now).total_seconds()) if then else None


def _sensible(seconds: float) -> float | None:
    return min(seconds, LONGEST_WAIT) if seconds >= 0 else None


def _date(value: str) -> datetime | None:
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Take out of a server's words what nobody may see: the `secrets`, keys, credentials' headers and URLs' queries."""
    for secret in sorted({secret for secret in secrets if secret}, key=len, reverse=True):
        text = text.replace(secret, "…")
    text = _AUTHORIZATION.sub(r"\1\2…", text)
    text = _USERINFO.sub(r"\1…@", text)
    text = _QUERY.sub(lambda found: f"{found[1] or ''}?…", text)
    return _KEY.sub(lambda found: f"{found[1]}…", text)


def request_id(headers: Mapping[str, str]) -> str | None:
    """Read the server's own id of the call, None where there is none or it is not a plain word."""
    for name in ("x-request-id", "request-id", "apim-request-id"):
        found = headers.get(name, "").strip()
        if _ID.fullmatch(found):
            return found
    return None


def error_words(body: bytes, secrets: Iterable[str] = ()) -> dict[str, str]:
    """Read `code`, `type` and `param` of an error's JSON: only those that are one plain word and no secret."""
    try:
        told: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(told, dict) and isinstance(told.get("error"), dict):
        told = told["error"]
    if not isinstance(told, dict):
        return {}
    words = {name: str(told[name]) for name in ("code", "type", "param") if isinstance(told.get(name), str | int)}
    hidden = tuple(secret for secret in secrets if secret)
    return {
        name: word
        for name, word in words.items()
        if _WORD.fullmatch(word) and redact(word) == word and not any(secret in word for secret in hidden)
    }


def is_json(body: bytes) -> bool:
    """Say whether `body` is a JSON object or array: a server's own answer and not a gateway's page."""
    try:
        return isinstance(json.loads(body), dict | list)
    except (ValueError, RecursionError):
        return False


def status_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    provider: str,
    idempotent: bool,
    secrets: Iterable[str] = (),
) -> ProviderError:
    """Say what a status that is no success means.

    | status | non-idempotent call | idempotent call |
    |---|---|---|
    | 3xx, 404, 405, 406, 410, 421, 426, 501 | `EngineUnavailable`, not to be repeated: wrong address | the same |
    | 401, 403, 407, 511 | `AccessDenied` | the same |
    | 402 | `QuotaExhausted` | the same |
    | 429, and 503 or 529 with a time to come again or with JSON | `RateLimited` with `retry_after` | the same |
    | other 503, 529 | `OutcomeUnknown`: gateways say it of answers they lost (Envoy, Heroku) | `RateLimited` |
    | 425 | `EngineUnavailable`: the server would not begin | the same |
    | other 4xx | `GenerationFailed`: the request itself was refused | the same |
    | 408 | `OutcomeUnknown`: gateways say it of answers too | `EngineUnavailable` |
    | 500 and other 5xx with JSON | `GenerationFailed`: the engine itself says that it failed | `EngineUnavailable` |
    | 502, 504, 52x, and 5xx without JSON | `OutcomeUnknown`: a gateway lost the answer | `EngineUnavailable` |

    Args:
        status: not 2xx.
        headers: with lower-case names.
        body: as far as it was read; of it only an error's code words are shown.
        provider: its name in the configuration.
        idempotent: the call changes and costs nothing, so that it may be repeated.
        secrets: what may never be shown.
    """
    message = f"{provider}: {describe(status, headers, body, secrets)}"
    known = request_id(headers)
    wait = retry_after(headers)
    own = status == 429 or idempotent or wait is not None or is_json(body)
    if status in _TOO_MUCH and own:
        remedy = f"Ask again {'later' if wait is None else f'in {wait:g} s'}."
        return RateLimited(message, retry_after=wait, remedy=remedy, provider=provider, request_id=known)
    meaning = _meaning(status, body, idempotent=idempotent)
    return meaning.kind(
        message, remedy=meaning.remedy, provider=provider, request_id=known, retry_safe=meaning.retry_safe
    )


@dataclass(frozen=True, slots=True)
class _Meaning:
    kind: type[ProviderError]
    remedy: str
    retry_safe: bool | None = None


UNKNOWN_REMEDY = "Look into the engine's own list of work, or its bill, before asking again."
_KEY_WRONG = _Meaning(AccessDenied, "Check the key in the configuration: it is missing, wrong or revoked.")
_MOVED = _Meaning(
    EngineUnavailable, "Calls follow no redirects: put the address it points to into base_url.", retry_safe=False
)
_NO_CALL = _Meaning(
    EngineUnavailable, "Check base_url and the model's name: this address has no such call.", retry_safe=False
)
_REJECTED = _Meaning(GenerationFailed, "The engine does not accept this request: change it before asking again.")
_AGAIN = _Meaning(EngineUnavailable, "Ask again later.")
_UNKNOWN = _Meaning(OutcomeUnknown, UNKNOWN_REMEDY)
_FAILED = _Meaning(GenerationFailed, "The engine failed; see its own log.")
_BY_STATUS: Mapping[int, _Meaning] = {
    **dict.fromkeys((401, 407, 511), _KEY_WRONG),
    402: _Meaning(QuotaExhausted, "Top up the account, or use another provider."),
    403: _Meaning(AccessDenied, "Check that the key may use this model and that its account is verified."),
    **dict.fromkeys((404, 405, 406, 410, 421, 426, 501), _NO_CALL),
    425: _AGAIN,
}


def _meaning(status: int, body: bytes, *, idempotent: bool) -> _Meaning:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status < 400:
        return _MOVED
    if status < 500 and status != 408:
        return _REJECTED
    if idempotent:
        return _AGAIN
    if status in {408, 502, 503, 504} or 520 <= status < 530 or not is_json(body):
        return _UNKNOWN
    return _FAILED


def describe(status: int, headers: Mapping[str, str], body: bytes, secrets: Iterable[str] = ()) -> str:
    """Tell an answer in words that hold nothing of its body but an error's code words."""
    mime = headers.get("content-type", "").split(";")[0].strip().lower()
    kind = mime if re.fullmatch(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}", mime) else "no content type"
    words = error_words(body, secrets)
    shown = "".join(f", {name} {word}" for name, word in words.items())
    return f"it answered {status} ({kind}, {len(body):,} bytes{shown})."


def lost(why: str, *, provider: str, sent: bool, idempotent: bool, request_id: str | None = None) -> ProviderError:
    """Say what a call without a whole answer means; `why` are words of ours, as in "it did not answer in 5 s"."""
    message = f"{provider}: {why}."
    if not sent:
        return EngineUnavailable(f"{message} Nothing was sent.", remedy="Ask again later.", provider=provider)
    if idempotent:
        return EngineUnavailable(message, remedy="Ask again later.", provider=provider, request_id=request_id)
    return OutcomeUnknown(message, remedy=UNKNOWN_REMEDY, provider=provider, request_id=request_id)


def unreachable(error: BaseException, *, provider: str, where: str) -> EngineUnavailable:
    """Say why no connection came about: name, certificate, refused, or no way there. Nothing was sent.

    Args:
        error: what the HTTP library raised; its text is not shown.
        provider: its name in the configuration.
        where: `host:port`.
    """
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            # `verify_message` is a sentence of OpenSSL's own and holds names at most.
            return _unreachable(
                f"the certificate of {where} was not accepted ({cause.verify_message.rstrip('.')})",
                "Check the host's name in base_url; for a company's own authority name its file in ca_file.",
                provider,
                retry_safe=False,
            )
        if isinstance(cause, ssl.SSLError):
            remedy = "Check whether base_url should begin with http:// or https://, and its port."
            return _unreachable(f"no secure connection to {where} came about", remedy, provider, retry_safe=False)
        if isinstance(cause, socket.gaierror):
            later = cause.errno == socket.EAI_AGAIN
            remedy = "Check the name in base_url and this machine's name service."
            return _unreachable(f"the host of {where} has no known address", remedy, provider, retry_safe=later)
    remedy = "Check that it runs and that base_url and any proxy are right; then ask again."
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return _unreachable(f"{where} refused the connection", remedy, provider)
    return _unreachable(f"no connection to {where} came about ({type(error).__name__})", remedy, provider)


def _unreachable(why: str, remedy: str, provider: str, *, retry_safe: bool = True) -> EngineUnavailable:
    return EngineUnavailable(
        f"{provider}: {why}. Nothing was sent.", remedy=remedy, provider=provider, retry_safe=retry_safe
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Go through everything that led to `error`, groups included, each once."""
    waiting, seen = [error], set()
    while waiting:
        cause = waiting.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        if isinstance(cause, BaseExceptionGroup):
            waiting.extend(cause.exceptions)
        waiting.extend(found for found in (cause.__cause__, cause.__context__) if found)


class _Redacting(logging.Filter):
    """Takes signed queries and credentials out of what the HTTP libraries log."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        return True


def guard_logs() -> None:
    """Keep signed addresses and credentials out of httpx's and httpcore's own logs; repeating it changes nothing."""
    for name in (
        "httpx",
        "httpcore.connection",
        "httpcore.http11",
        "httpcore.http2",
        "httpcore.proxy",
        "httpcore.socks",
    ):
        logger = logging.getLogger(name)
        if not any(isinstance(found, _Redacting) for found in logger.filters):
            logger.addFilter(_Redacting())
