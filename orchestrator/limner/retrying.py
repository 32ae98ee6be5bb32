"""When a call that did not start is made again: what the engine says, else later each time, and never for long."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from limner_providers.errors import EngineUnavailable, RateLimited

if TYPE_CHECKING:
    from tenacity import AsyncRetrying, RetryCallState

    from limner.config import RoutingSection

_FIRST = 0.5
"""Seconds before the first repetition where the engine does not say; doubled for each further one, and jittered."""


def retrying(routing: RoutingSection, sleep: Callable[[float], Awaitable[None]]) -> AsyncRetrying:
    """Give tenacity's loop for one call: the last error is raised as it is.

    Args:
        routing: How often, and how long a wait is worth.
        sleep: Waits so many seconds.
    """
    from tenacity import AsyncRetrying, retry_if_exception

    return AsyncRetrying(
        retry=retry_if_exception(may_repeat),
        wait=_wait,
        # The wait is known before it begins: whoever asks for a longer one is passed over at once.
        stop=lambda state: state.attempt_number > routing.retries or state.upcoming_sleep > routing.max_wait,
        sleep=sleep,
        reraise=True,
    )


def may_repeat(error: BaseException) -> bool:
    """Say whether the same call may be made again: it did not start, nothing is billed, and it may help."""
    return isinstance(error, EngineUnavailable) and error.retry_safe and not error.may_have_billed


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, RateLimited) and error.retry_after is not None:
        return max(0.0, error.retry_after)
    # Jitter keeps the clients of a busy engine apart; it guards nothing.
    return float(_FIRST * 2.0 ** (state.attempt_number - 1) * random.uniform(1.0, 1.5))  # noqa: S311
