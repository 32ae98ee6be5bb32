"""The small parts of asking: when a call is repeated, what a wish to stop stops, and what options mean."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from limner.cli.request_options import RequestOptions, asking
from limner.config import Config, RoutingSection
from limner.errors import ConfigInvalid
from limner.retrying import may_repeat, retrying
from limner.steps.asking import as_facts
from limner.steps.candidates import fitted
from limner.stopping import Stop
from limner_providers import Capabilities, ImageRequest
from limner_providers.errors import (
    AccessDenied,
    Cancelled,
    EngineUnavailable,
    GenerationFailed,
    ModelRetired,
    ModerationBlocked,
    OutcomeUnknown,
    ProviderError,
    QuotaExhausted,
    RateLimited,
)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (EngineUnavailable("x"), True),
        (RateLimited("x"), True),
        (EngineUnavailable("x", retry_safe=False), False),
        (EngineUnavailable("x", may_have_billed=True), False),
        (AccessDenied("x"), False),
        (QuotaExhausted("x"), False),
        (Cancelled("x"), False),
        (GenerationFailed("x", retry_safe=True), False),
        (ModerationBlocked("x"), False),
        (ModelRetired("x"), False),
        (OutcomeUnknown("x"), False),
        (ValueError(), False),
    ],
)
def test_only_what_did_not_start_is_repeated(error: Exception, again: bool) -> None:
    """A call is made again only where it did not start, cost nothing, and may go better."""
    assert may_repeat(error) is again


async def _repeat(routing: RoutingSection, *errors: ProviderError) -> tuple[int, list[float], str]:
    waited: list[float] = []
    made = 0
    left = list(errors)

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    try:
        async for again in retrying(routing, sleep):
            with again:
                made += 1
                if left:
                    raise left.pop(0)
    except ProviderError as error:
        return made, waited, str(error)
    return made, waited, ""


def test_the_engine_says_how_long() -> None:
    """Where an engine says when to come again, that is waited, and else longer each time."""
    busy = [RateLimited("1", retry_after=3.5), RateLimited("2", retry_after=0.0), EngineUnavailable("3")]
    made, waited, said = asyncio.run(_repeat(RoutingSection(retries=3), *busy))
    assert (made, said) == (4, "")
    assert waited[:2] == [3.5, 0.0]
    assert 2.0 <= waited[2] <= 3.0


def test_the_last_error_is_raised_as_it_is() -> None:
    """After the last repetition, or before a wait that is too long, the engine's own error comes out."""
    busy = [RateLimited(str(i), retry_after=1.0) for i in range(9)]
    assert asyncio.run(_repeat(RoutingSection(retries=2), *busy)) == (3, [1.0, 1.0], "2")
    assert asyncio.run(_repeat(RoutingSection(max_wait=0.9), *busy)) == (1, [], "0")
    assert asyncio.run(_repeat(RoutingSection(retries=0), *busy)) == (1, [], "0")


@pytest.mark.parametrize("routing", [{"retries": -1}, {"retries": 11}, {"max_wait": -1}, {"max_wait": float("inf")}])
def test_routing_is_checked(routing: dict[str, Any]) -> None:
    """A number of retries or a wait that makes no sense is refused where it is written."""
    with pytest.raises(ValueError, match=next(iter(routing))):
        Config.model_validate({"routing": routing})


def test_a_wish_to_stop_stops_what_runs_and_what_would_begin() -> None:
    """While an engine works it is cancelled; what had not begun does not begin; what is free costs nothing."""

    async def scenario() -> list[ProviderError]:
        stop, found = Stop(), []
        asyncio.get_running_loop().call_later(0.01, stop.ask)
        for free in (False, True):
            try:
                with stop.while_working("engine", free=free):
                    await asyncio.sleep(30)
            except Cancelled as error:
                found.append(error)
        return found  # type: ignore[return-value]

    running, beginning = asyncio.run(scenario())
    assert running.may_have_billed
    assert "while engine worked" in str(running)
    assert not beginning.may_have_billed
    assert "nothing more was sent" in str(beginning)


def test_a_wish_that_comes_too_late_changes_nothing() -> None:
    """What ended by itself before the wish took effect gives its result."""

    async def scenario() -> int:
        stop = Stop()
        with stop.while_working("engine"):
            answer = 42
        stop.ask()
        return answer

    assert asyncio.run(scenario()) == 42


def test_parameters_are_flat_texts_for_policy() -> None:
    """Nested parts of a request get names with dots; every value is a text."""
    nested = {"n": 2, "margins": {"left": 8}, "lora": [{"name": "a", "weight": "0.5"}, {"name": "b"}]}
    assert as_facts(nested) == {
        "n": "2",
        "margins.left": "8",
        "lora.0.name": "a",
        "lora.0.weight": "0.5",
        "lora.1.name": "b",
    }


def test_a_name_of_another_engine_is_no_picture() -> None:
    """A picture by its name at another engine is unmet, unless the picture itself was given too."""
    from limner.context import RequestContext
    from limner.steps.asking import Asked

    able = Capabilities(tasks=("variation",), source="test")
    origin = {"provider": "one", "job": "j", "index": 1}
    alone = Asked(ImageRequest.build(task="variation", origin=origin), RequestContext())
    (lost,) = fitted("other", able, alone).unmet
    assert (lost.field, lost.why) == ("origin", "the picture is one that one keeps.")
    keeps = Capabilities(tasks=("variation",), needs_origin=("variation",), source="test")
    assert fitted("one", keeps, alone).unmet == ()


# -- the command line ------------------------------------------------------------------------------------------------


def read(*arguments: str) -> tuple[Mapping[str, Any], RequestOptions]:
    """Read a command line of one command that has an argument and an option of its own."""
    found: list[Any] = []

    def own(image: Path, deep: bool = False) -> Mapping[str, Any]:
        """Do it."""
        return {"image": image, "deep": deep}

    app = typer.Typer()
    app.command()(asking(own, lambda _, fields, options: found.extend((fields, options))))
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return found[0], found[1]


def test_a_command_has_its_own_arguments_and_the_shared_ones() -> None:
    """Every command takes the shared options beside its own, with their defaults."""
    own, options = read("a.png", "--deep", "--seed", "7", "--reference", "b.png:style", "--reference", "c.png")
    assert own == {"image": Path("a.png"), "deep": True}
    fields = options.fields()
    assert fields["seed"] == 7
    assert fields["references"] == [{"image": "b.png", "use": "style"}, {"image": "c.png"}]
    assert fields["on_unsupported"] == "error"
    assert fields["output_format"] == "png"


def test_options_of_an_engine_are_json_or_text() -> None:
    """`--extra` takes numbers, truth values and texts; a missing part is named with the right way to write it."""
    _, options = read("a", "--extra", "mj.stylize=250", "--extra", "mj.tile=true", "--extra", "sd.note=a=b")
    assert options.fields()["extra"] == {"mj": {"stylize": 250, "tile": True}, "sd": {"note": "a=b"}}
    for wrong in ("stylize=250", "mj.stylize", ".x=1", "mj.=1"):
        with pytest.raises(ConfigInvalid, match="KIND"):
            RequestOptions(extra=[wrong]).fields()


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"output": Path("a.jpg")}, "jpeg"), ({"output": Path("a")}, "png"), ({"image_format": "webp"}, "webp")],
)
def test_the_format_follows_the_output(given: dict[str, Any], expected: str) -> None:
    """A file's ending says the format where nothing else does."""
    assert RequestOptions(**given).fields()["output_format"] == expected


@pytest.mark.parametrize("given", [{"output": Path("a.gif")}, {"output": Path("a.png"), "image_format": "jpeg"}])
def test_a_format_that_does_not_fit_is_refused(given: dict[str, Any]) -> None:
    """An ending that means nothing, or something else than `--format`, is wrong usage."""
    with pytest.raises(ConfigInvalid, match="--"):
        RequestOptions(**given).fields()


def test_claims_are_those_that_were_made() -> None:
    """What was not said is not claimed."""
    assert json.loads(json.dumps(RequestOptions(user="ann").claims())) == {"user": "ann"}
