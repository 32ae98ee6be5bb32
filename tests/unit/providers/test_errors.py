"""Errors: one tree, facts about retries and money, and nothing lost on the way to another process."""

from __future__ import annotations

import pickle

import pytest

from limner_providers import errors
from limner_providers.errors import (
    Cancelled,
    EngineUnavailable,
    GenerationFailed,
    InvalidRequest,
    ModerationBlocked,
    OutcomeUnknown,
    ProviderError,
    UnsupportedRequest,
)

ALL = [
    InvalidRequest("n", "0", "Give 1 or more."),
    UnsupportedRequest("size", "'7x7'", why="too small.", remedy="Ask for 8x8.", able=("local",), provider="p"),
    ModerationBlocked("The provider refused.", stage="output", categories=("violence",), request_id="r1"),
    OutcomeUnknown("No answer.", provider="p", request_id="r2"),
    GenerationFailed("It failed.", remedy="Ask another.", may_have_billed=True),
]


def test_each_error_of_the_module_stands_in_the_drawn_tree() -> None:
    """The docstring's tree is complete."""
    classes = {name for name, value in vars(errors).items() if isinstance(value, type)}
    drawn = set((errors.__doc__ or "").replace("─", " ").split())
    assert {name for name in classes if issubclass(getattr(errors, name), ProviderError)} <= drawn


@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling(error: ProviderError) -> None:
    """A queue's worker hands its errors to another process whole."""
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_only_what_was_never_sent_is_safe_to_repeat() -> None:
    """The classes say by default what may be retried and what may have cost money."""
    assert EngineUnavailable("x").retry_safe
    assert Cancelled("x").retry_safe
    assert not GenerationFailed("x").retry_safe
    assert not OutcomeUnknown("x").retry_safe
    assert OutcomeUnknown("x").may_have_billed
    assert not EngineUnavailable("x").may_have_billed


def test_the_message_ends_with_the_remedy() -> None:
    """Whoever prints the error prints what to do."""
    assert str(ALL[4]) == "It failed. Ask another."
