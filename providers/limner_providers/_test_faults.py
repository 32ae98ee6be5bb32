"""The faults of the `test` provider: what an engine can do wrong, before it works, afterwards, and in its answer."""

from __future__ import annotations

import dataclasses
import os
import signal
from typing import Literal, NoReturn

from limner_providers.base import ProducedImage
from limner_providers.errors import (
    AccessDenied,
    EngineUnavailable,
    GenerationFailed,
    ModelRetired,
    ModerationBlocked,
    OutcomeUnknown,
    QuotaExhausted,
    RateLimited,
)

Fault = Literal[
    "refused", "rate-limited", "quota", "access", "retired", "moderation",
    "failed", "blocked", "unknown", "slow", "short", "surplus", "garbage", "truncated", "cost-unknown",
    "crash-before-send", "crash-after-send",
]  # fmt: skip

SUCCESSOR = "limner-test-2"
"""What a `retired` model names as the next: a name, there is none."""


def fail_unsent(fault: Fault | None, provider: str, *, retry_after: float | None) -> None:
    """Go wrong before anything was done: nothing is billed."""
    if fault == "crash-before-send":
        kill_this_process()
    if fault == "refused":
        raise EngineUnavailable(
            f"{provider} refused the connection; nothing was sent.", remedy="Try again.", provider=provider
        )
    if fault == "rate-limited":
        wait = "later" if retry_after is None else f"in {retry_after:g} s"
        message = f"{provider} has too much to do."
        raise RateLimited(message, retry_after=retry_after, remedy=f"Ask again {wait}.", provider=provider)
    if fault == "quota":
        raise QuotaExhausted(f"{provider}'s account is used up.", remedy="Top it up.", provider=provider)
    if fault == "access":
        raise AccessDenied(f"{provider} does not know this key.", remedy="Check the key.", provider=provider)
    if fault == "retired":
        message = f"{provider} has switched this model off."
        raise ModelRetired(message, successor=SUCCESSOR, remedy=f"Use {SUCCESSOR}.", provider=provider)
    if fault == "moderation":
        raise _blocked(provider, "input", "prompt")


def fail_working(fault: Fault | None, provider: str) -> None:
    """Go wrong while the work is done: the engine says no, and bills nothing."""
    if fault == "failed":
        raise GenerationFailed(f"{provider} could not draw.", remedy="Ask another provider.", provider=provider)


def fail_sent(fault: Fault | None, provider: str, *, job: str | None) -> None:
    """Go wrong after the work was done and billed."""
    if fault == "crash-after-send":
        kill_this_process()
    if fault == "blocked":
        raise _blocked(provider, "output", "picture")
    if fault == "unknown":
        message = f"{provider} took the request and never answered."
        raise OutcomeUnknown(message, remedy="Do not repeat it: it may have been billed.", provider=provider, job=job)


def spoil(images: list[ProducedImage], fault: Fault | None) -> list[ProducedImage]:
    """Break a good answer in the way that was switched on."""
    if fault == "short":
        return images[:-1]
    if fault == "surplus":
        return [*images, images[-1]]
    if fault == "garbage":
        return [_with_data(image, b"<html>502 Bad Gateway</html>") for image in images]
    if fault == "truncated":
        return [_with_data(image, image.data[: len(image.data) // 2]) for image in images]
    return images


def kill_this_process() -> NoReturn:
    """End as from `kill -9`: nothing is cleaned up."""
    if hasattr(signal, "SIGKILL"):
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(137)


def _blocked(provider: str, stage: str, what: str) -> ModerationBlocked:
    return ModerationBlocked(
        f"{provider}'s own moderation refused the {what}.",
        stage=stage,
        categories=("test",),
        remedy="Ask for something else.",
        provider=provider,
        may_have_billed=stage == "output",
    )


def _with_data(image: ProducedImage, data: bytes) -> ProducedImage:
    return dataclasses.replace(image, data=data, pixels=None)
