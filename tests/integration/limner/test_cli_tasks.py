"""The commands that start from a picture, and what `--explain` and `--json` tell of plan and attempts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Command = Callable[..., tuple[int, str, str]]


def document(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.fixture
def picture(tmp_path: Path) -> str:
    """Give the name of a picture in the working folder."""
    Image.new("RGB", (64, 48), "teal").save(tmp_path / "in.png")
    mask = Image.new("L", (64, 48), 0)
    mask.paste(255, (0, 0, 32, 48))
    mask.save(tmp_path / "mask.png")
    return "in.png"


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], None]:
    """Give a writer of the configuration file."""

    def write(text: str) -> None:
        (tmp_path / "limner.yaml").write_text(text, encoding="utf-8")

    return write


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        (("edit", "in.png", "a red apple", "--strength", "0.5"), "64x48"),
        (("edit", "in.png", "a red apple", "--mask", "mask.png"), "64x48"),
        (("outpaint", "in.png", "sea", "--right", "16"), "80x48"),
        (("variation", "in.png"), "64x48"),
        (("upscale", "in.png", "--scale", "2"), "128x96"),
        (("generate", "a red apple", "--reference", "in.png:style", "--aspect-ratio", "2:1"), None),
    ],
)
def test_every_task_has_a_command(command: Command, picture: str, arguments: tuple[str, ...], size: str | None) -> None:
    """Each one writes a signed picture that verifies."""
    code, out, _ = command(*arguments, "--seed", "7", "--output", "out.png", "--json")
    assert code == 0
    made = document(out)
    assert made["images"][0]["size"] == size or size is None
    assert command("verify", "out.png")[0] == 0


def test_explain_shows_adaptations_and_attempts(command: Command, config: Callable[[str], None]) -> None:
    """Who was left out and why, what was adapted, and each call with its outcome and cost."""
    config(
        "providers:\n  gone: {kind: test, fail: access}\n  fake: {kind: test, max_n: 2, cost: '0.5'}\n"
        "  odd: {kind: diffusers, model: /nowhere}\n"
    )
    code, out, err = command("generate", "red apple", "--n", "3", "--on-unsupported", "adapt", "--explain")
    assert code == 0
    for word in ("AccessDenied", "2 + 1", "calls of 2 + 1", "2 of 2", "1.5 USD", "/nowhere"):
        assert word in out, word
    assert "adapted" in err
    assert "fake made the images" in err
    code, out, _ = command("generate", "red apple", "--n", "3", "--on-unsupported", "adapt", "--json")
    made = document(out)
    assert [a["error"] for a in made["attempts"]] == ["AccessDenied", None, None]
    assert made["adaptations"] == [{"field": "n", "asked": "3", "used": "calls of 2 + 1"}]
    assert made["plan"][2]["left_out"]
    assert made["cost"] == {"amount": "1.5", "currency": "USD"}


def test_surplus_pictures_do_not_change_the_output(
    command: Command, config: Callable[[str], None], tmp_path: Path
) -> None:
    """One picture was asked for, so `--output` names one file; the others are kept, and that is said."""
    config("providers: {fake: {kind: test, call_gives: 4}}\n")
    code, _, err = command("generate", "red apple", "--output", "a.png")
    assert (code, [p.name for p in tmp_path.glob("*.png")]) == (0, ["a.png"])
    assert "3 more than asked for" in err


def test_errors_of_engines_tell_scripts_everything(command: Command, config: Callable[[str], None]) -> None:
    """Moderation with stage and categories, a field with who could honour it, a retired model with its successor."""
    config("providers: {fake: {kind: test, fail: moderation}}\n")
    code, out, _ = command("generate", "red apple", "--json")
    assert code == 3
    assert document(out)["moderation"]["stage"] == "input"
    assert "refused at the input stage" in command("generate", "red apple")[2]
    config("providers: {few: {kind: test, max_n: 1}, many: {kind: test}}\n")
    code, out, _ = command("generate", "red apple", "--n", "2", "--provider", "few", "--json")
    assert (code, document(out)["field"], document(out)["able"]) == (2, "n", ["many"])
    config("providers: {fake: {kind: test, fail: retired}}\n")
    code, out, _ = command("generate", "red apple", "--json")
    assert document(out)["successor"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("edit", "nowhere.png", "x"),
        ("edit", "limner.yaml", "x"),
        ("outpaint", "in.png"),
        ("generate", "x", "--on-unsupported", "maybe"),
        ("generate", "x", "--timeout", "0"),
        ("generate", "x", "--extra", "oops"),
        ("upscale", "in.png", "--scale", "100"),
    ],
)
def test_wrong_input_is_exit_2(command: Command, picture: str, arguments: tuple[str, ...]) -> None:
    """Whatever is wrong with an argument or a picture is exit code 2, and no record begins."""
    code, out, _ = command(*arguments, "--json")
    assert code == 2
    assert document(out)["record_id"] is None


def test_recover_offers_to_fetch(command: Command, config: Callable[[str], None]) -> None:
    """`recover` takes `--fetch` and names nothing where there is nothing to fetch."""
    config("providers: {fake: {kind: test, fail: unknown, tells: [job]}}\n")
    assert command("generate", "red apple")[0] == 3
    code, out, _ = command("audit", "recover", "--fetch", "--json")
    assert (code, document(out)) == (0, {"unfinished": [], "fetchable": []})
