"""Looks for what nobody may see (keys, prompts) in everything that an error can take to a log."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Iterator

from limner_providers.errors import ProviderError


def shown_by(error: BaseException) -> str:
    """Join everything that a log may show of an error: texts and representations of it and its causes, tracebacks."""
    parts = ["".join(traceback.format_exception(error))]
    for one in _chain(error):
        parts += [str(one), repr(one), repr(one.args), *map(str, getattr(one, "__notes__", ()))]
        if isinstance(one, ProviderError):
            parts.append(repr(vars(one)))
    return "\n".join(parts)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Give the error and everything that led to it, whether or not a traceback would suppress it."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions


def survives_pickling(error: ProviderError) -> bool:
    """Say whether the error comes out of another process as it went in."""
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    same = (type(again), str(again), again.remedy, again.provider, again.request_id)
    return same == (type(error), str(error), error.remedy, error.provider, error.request_id)
