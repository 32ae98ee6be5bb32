"""The small parts of the SDK: saving, claims, the command line's order, forks."""

from __future__ import annotations

import inspect
import multiprocessing
from pathlib import Path

import pytest

from limner.cli import _config_first
from limner.client import AsyncLimner, Limner, _context
from limner.context import RequestContext
from limner.errors import ConfigInvalid, ForkedProcess
from limner.portal import Portal
from limner.result import GeneratedImage
from limner_policy.verdicts import Decision, Verdict

IMAGE = GeneratedImage(0, b"bytes", "image/png", 1, 1, 7, Decision(Verdict.ALLOW, "image"))


def test_save_writes_exactly_the_bytes(tmp_path: Path) -> None:
    """What is saved is what was signed, and no temporary file stays."""
    saved = IMAGE.save(tmp_path / "a.png")
    assert saved.read_bytes() == b"bytes"
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_save_refuses_a_wrong_ending(tmp_path: Path) -> None:
    """A PNG is not written under the name of a JPEG."""
    with pytest.raises(ValueError, match=r"\.png"):
        IMAGE.save(tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


def test_both_clients_have_the_same_methods() -> None:
    """The sync client offers each method of the async one with the same parameters."""
    for name, method in inspect.getmembers(AsyncLimner, inspect.isfunction):
        if name.startswith("_"):
            continue
        twin = getattr(Limner, name)
        assert inspect.signature(method) == inspect.signature(twin), name
    assert inspect.signature(AsyncLimner.open) == inspect.signature(Limner.open)


@pytest.mark.parametrize(
    ("given", "moved"),
    [
        (["generate", "x", "--config", "f"], ["--config", "f", "generate", "x"]),
        (["generate", "--config=f", "x"], ["--config=f", "generate", "x"]),
        (["generate", "--", "--config", "f"], ["generate", "--", "--config", "f"]),
        (["generate", "x", "--config"], ["generate", "x", "--config"]),
    ],
)
def test_config_may_stand_anywhere(given: list[str], moved: list[str]) -> None:
    """`--config FILE` works before and after the command; what follows `--` is left alone."""
    assert _config_first(given) == moved


def test_claims_are_checked() -> None:
    """An unknown or empty claim is refused by name."""
    assert _context({"user": "ann"}, RequestContext()).user == "ann"
    with pytest.raises(ConfigInvalid, match="usr"):
        _context({"usr": "ann"}, RequestContext())
    with pytest.raises(ConfigInvalid, match="user"):
        _context({"user": "a\x00b"}, RequestContext())


async def _answer() -> int:
    return 42


def _in_fork(portal: Portal, queue: multiprocessing.Queue[str]) -> None:
    try:
        portal.call(_answer)
    except ForkedProcess as error:
        queue.put(str(error))


def test_a_fork_gets_a_clear_error_instead_of_hanging() -> None:
    """A client opened before a fork says so when the child uses it."""
    portal = Portal()
    assert portal.call(_answer) == 42
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[str] = context.Queue()
    child = context.Process(target=_in_fork, args=(portal, queue))
    child.start()
    assert "after the fork" in queue.get(timeout=20)
    child.join()
    portal.close()
