"""What every provider checks before it starts: can it do this, and are there as many seeds as pictures?"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TypeVar

import anyio

from limner_providers.capabilities import Capabilities
from limner_providers.errors import Cancelled, InvalidRequest, UnsupportedRequest, shorten
from limner_providers.types import SEED_LIMIT, ImageRequest

T = TypeVar("T")


def require(capabilities: Capabilities, request: ImageRequest, *, provider: str) -> None:
    """Refuse a request that cannot be honoured to the letter.

    Raises:
        UnsupportedRequest: names the first field, why, and what to ask instead.
    """
    for unmet in capabilities.unmet(request):
        raise UnsupportedRequest(unmet.field, unmet.value, why=unmet.why, remedy=unmet.remedy, provider=provider)


def check_seeds(request: ImageRequest, seeds: Sequence[int]) -> tuple[int, ...]:
    """Give the seeds as plain integers, one a picture.

    Raises:
        InvalidRequest: too few, too many, or one outside 0 to 2³²-1.
    """
    if len(seeds) != request.n:
        raise InvalidRequest("seeds", f"({len(seeds)} of them)", f"Give one a picture: {request.n}.")
    for seed in seeds:
        if not 0 <= seed < SEED_LIMIT:
            raise InvalidRequest("seeds", shorten(seed), f"A seed runs from 0 to {SEED_LIMIT - 1}.")
    return tuple(int(seed) for seed in seeds)


async def within(seconds: float | None, work: Awaitable[T], *, provider: str) -> T:
    """Await an engine's work on this machine for at most `seconds` (None: as long as it takes).

    Raises:
        Cancelled: it took longer, and was given up: nothing is left running, nothing is billed.
    """
    try:
        with anyio.fail_after(seconds):
            return await work
    except TimeoutError as error:
        remedy = "Give it more time, or ask for fewer or smaller pictures."
        raise Cancelled(f"{provider} was not ready after {seconds} s.", remedy=remedy, provider=provider) from error
