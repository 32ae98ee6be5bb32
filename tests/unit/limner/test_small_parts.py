"""The small parts of the SDK: saving, claims, the command line's order, forks."""

from __future__ import annotations

import inspect
import multiprocessing
import pickle
from pathlib import Path

import pytest

from limner.cli import _config_first
from limner.cli.output import plain
from limner.client import AsyncLimner, Limner, _context
from limner.context import RequestContext
from limner.errors import ConfigInvalid, DutyUnfulfilled, ForkedProcess, LimnerError, PolicyDenied, ReviewRequired
from limner.options import HOW, Options
from limner.portal import Portal
from limner.result import GeneratedImage
from limner_policy.verdicts import Decision, Verdict
from limner_providers import ImageRequest

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
    """The sync client offers each method of the async one with the same parameters and the same help."""
    methods = [n for n, _ in inspect.getmembers(AsyncLimner, inspect.isroutine) if not n.startswith("_")]
    assert methods == [n for n, _ in inspect.getmembers(Limner, inspect.isroutine) if not n.startswith("_")]
    for name in methods:
        one, twin = getattr(AsyncLimner, name), getattr(Limner, name)
        assert str(inspect.signature(one)).replace("AsyncJob", "Job") == str(inspect.signature(twin)), name
        assert inspect.getdoc(one) == inspect.getdoc(twin), name
        assert inspect.iscoroutinefunction(one) or name == "open"
        assert not inspect.iscoroutinefunction(twin), name


def test_the_shown_signature_is_that_of_a_request() -> None:
    """Every field of a request is an argument of some task, with its default, and no argument is unknown to it."""
    tasks = [getattr(Limner, name) for name in ("generate", "edit", "inpaint", "outpaint", "variation", "upscale")]
    shown = {n: p for task in tasks for n, p in inspect.signature(task).parameters.items() if n not in HOW}
    fields = ImageRequest.model_fields
    assert set(shown) - {"self", "left", "top", "right", "bottom"} == set(fields) - {"task", "margins", "origin"}
    for name in set(shown) & set(fields):
        default = shown[name].default
        if default is not inspect.Parameter.empty and name != "extra":
            assert default == fields[name].default, name
    for task in tasks:
        for name in (*Options.__annotations__, "Raises:", "Returns:"):
            assert f"{name}: " in f"{inspect.getdoc(task)} " or name.endswith(":"), (task, name)


@pytest.mark.parametrize(
    ("given", "moved"),
    [
        (["generate", "x", "--config", "f"], ["--config", "f", "generate", "x"]),
        (["generate", "--config=f", "x"], ["--config=f", "generate", "x"]),
        (["generate", "--", "--config", "f"], ["generate", "--", "--config", "f"]),
        (["generate", "x", "--config"], ["--config"]),
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


@pytest.mark.parametrize(
    "error",
    [
        ConfigInvalid("n=0 is wrong.", remedy="Give 1.", record_id="r"),
        PolicyDenied(IMAGE.decision, record_id="r"),
        ReviewRequired(IMAGE.decision, record_id="r"),
        DutyUnfulfilled(["label"], record_id="r"),
    ],
)
def test_errors_travel_whole_between_processes(error: LimnerError) -> None:
    """A worker's error arrives with its message, record and everything else."""
    arrived = pickle.loads(pickle.dumps(error))  # our own bytes
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


def test_help_of_the_sync_client_says_all() -> None:
    """Nobody has to look up the async twin to learn what a parameter means."""
    assert "num_inference_steps: Denoising steps" in (inspect.getdoc(Limner.generate) or "")
    assert Limner.open.__doc__ == AsyncLimner.open.__doc__


@pytest.mark.parametrize("claims", ["ann", 5, [1]])
def test_claims_have_to_be_a_mapping(claims: object) -> None:
    """A wrong kind of context is said to be one, and is no TypeError of somebody else's code."""
    with pytest.raises(ConfigInvalid, match="no mapping"):
        _context(claims, RequestContext())  # type: ignore[arg-type]
    with pytest.raises(ConfigInvalid, match="no file's name"):
        Limner.open(claims if not isinstance(claims, str) else 7)  # type: ignore[arg-type]


def test_what_steers_a_terminal_is_shown_as_written() -> None:
    """A prompt cannot colour, retitle or reverse the terminal of the person who reads the log."""
    assert plain("a\x1b[31mred\u202e\ud800 \U0001f468\u200d\U0001f467") == (
        "a\\x1b[31mred\\u202e\\ud800 \U0001f468\u200d\U0001f467"
    )
    assert plain("two\nlines", lines=True) == "two\nlines"
