"""What each fault of an engine has to become: the one table by which the kit judges errors.

The names are those that `Hooks.fail_with` is asked for. Two things matter to whoever pays: whether the same call may be
made again (`retry_safe`), and whether money may be spent already (`may_have_billed`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from limner_providers.errors import (
    AccessDenied,
    EngineUnavailable,
    GenerationFailed,
    ModelUnavailable,
    ModerationBlocked,
    OutcomeUnknown,
    ProviderError,
    QuotaExhausted,
    RateLimited,
)

RETRY_AFTER = 7
"""Seconds that the faults `429`, `429-date`, `429-ms` and `503` name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a fault has to become.

    Attributes:
        says: what the engine does, for whoever writes `fail_with`.
        kinds: the classes that fit; one of them, or a subclass.
        retry_safe: None: either.
        may_have_billed: None: either.
        retry_after: `RateLimited.retry_after` is about `RETRY_AFTER` (True) or None (False); None: not looked at.
        stage: of a moderation's block.
        identified: the answer that told it had a request id, which the error has to carry.
        calls: paid calls that arrive at the engine; None: not looked at.
    """

    says: str
    kinds: tuple[type[ProviderError], ...]
    retry_safe: bool | None = False
    may_have_billed: bool | None = False
    retry_after: bool | None = None
    stage: str | None = None
    identified: bool = True
    calls: int | None = 1


def _lost(says: str, *, identified: bool = False) -> Expectation:
    return Expectation(
        says=says, kinds=(OutcomeUnknown,), retry_safe=False, may_have_billed=True, identified=identified
    )


def _paid(says: str) -> Expectation:
    kinds = (GenerationFailed, OutcomeUnknown)
    return Expectation(says=says, kinds=kinds, retry_safe=False, may_have_billed=True)


def _busy(says: str, *, retry_after: bool | None) -> Expectation:
    return Expectation(says=says, kinds=(RateLimited,), retry_safe=True, retry_after=retry_after)


FAULTS: Mapping[str, Expectation] = {
    "401": Expectation(says="the key is wrong", kinds=(AccessDenied,)),
    "403": Expectation(says="the key has no right to this", kinds=(AccessDenied,)),
    "echoed-key": Expectation(says="401 whose body and headers repeat the key", kinds=(AccessDenied,)),
    "404-model": Expectation(says="there is no such model", kinds=(ModelUnavailable, AccessDenied, EngineUnavailable)),
    "429": _busy("too many calls; Retry-After: 7", retry_after=True),
    "429-date": _busy("too many calls; Retry-After: an HTTP date 7 s from now", retry_after=True),
    "429-ms": _busy("too many calls; retry-after-ms: 7000", retry_after=True),
    "429-bare": _busy("too many calls; no Retry-After", retry_after=False),
    "429-nonsense": _busy("too many calls; Retry-After: soon", retry_after=False),
    "quota": Expectation(says="the account is used up, in the engine's own words for it", kinds=(QuotaExhausted,)),
    "500": Expectation(
        says="500 with the engine's own JSON error",
        kinds=(GenerationFailed, OutcomeUnknown),
        may_have_billed=None,
    ),
    "502-html": _lost("502 with a gateway's HTML page", identified=True),
    "503": Expectation(
        says="503, Retry-After: 7", kinds=(RateLimited, EngineUnavailable), retry_safe=True, retry_after=None
    ),
    "bad-json": _paid("200, and JSON that ends in its middle"),
    "html": _paid("200, and a web page instead of an answer"),
    "empty": _paid("200, and not one picture"),
    "no-picture": _paid("200, and a web page where a picture's bytes should be"),
    "half-picture": _paid("200, and the first half of a picture's bytes"),
    "huge": _paid("200, and a body of 2 GB, or without end"),
    "cut-before-headers": _lost("the request is read whole, then the connection is reset"),
    "cut-in-body": _lost("headers and half of the body, then the connection is reset", identified=False),
    "moderation-input": Expectation(
        says="the engine's own moderation refuses the prompt", kinds=(ModerationBlocked,), stage="input"
    ),
    "moderation-output": Expectation(
        says="the engine's own moderation refuses the picture it made",
        kinds=(ModerationBlocked,),
        may_have_billed=None,
        stage="output",
    ),
    "hang": Expectation(
        says="the request is read whole, and never answered",
        kinds=(OutcomeUnknown,),
        may_have_billed=True,
        identified=False,
    ),
    "refused-connection": Expectation(
        says="nobody listens at the address", kinds=(EngineUnavailable,), retry_safe=True, identified=False, calls=None
    ),
}
"""Every fault by its name."""
