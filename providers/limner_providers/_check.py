"""What every provider checks before it starts: can it do this, and are there as many seeds as pictures?"""

from __future__ import annotations

from collections.abc import Sequence

from limner_providers.capabilities import Capabilities
from limner_providers.errors import InvalidRequest, UnsupportedRequest, shorten
from limner_providers.types import SEED_LIMIT, ImageRequest


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
