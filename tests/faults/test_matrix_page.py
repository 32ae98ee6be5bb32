"""docs/audit.md and the tests say the same: the fault matrix is made from the tests, its commands exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.matrix import MODULES, PAGE, page_with, rows
from typer.main import get_command

from limner.cli import run
from limner.cli.app import app
from limner_provenance.verify_evidence import main


def test_the_page_holds_what_the_tests_say() -> None:
    """The table in docs/audit.md is the one made from the tests; `make matrix` writes it."""
    assert page_with(rows()) == PAGE.read_text(encoding="utf-8"), "run `make matrix`"


def test_every_line_is_its_own() -> None:
    """No attack stands there twice, no test holds two lines, and each line says something."""
    found = rows()
    marked = [path.stem for path in PAGE.parents[1].glob("tests/faults/test_*.py") if "\n@attack(" in path.read_text()]
    assert sorted(marked) == sorted(f"test_{name}" for name in MODULES)
    assert len({row.attack for row, _ in found}) == len({test for _, test in found}) == len(found) > 40
    assert all(row.attack and row.who and row.by and row.said for row, _ in found)


def test_the_page_names_commands_that_exist() -> None:
    """Every `limner …` command and option named on the page is one that the command line has."""
    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"limner ((?:audit )?[a-z-]+)((?: --[a-z-]+| [A-Z_.a-z]+)*)", text))
    assert len(named) > 5
    root = get_command(app)
    for words, rest in named:
        command = root
        for word in words.split():
            held = getattr(command, "commands", {})
            assert word in held, f"limner {words}"
            command = held[word]
        options = {option for parameter in command.params for option in parameter.opts}
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in options, f"limner {words} {option}"


def test_the_pages_commands_work_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page tells to try is done from top to bottom: each command ends with 0, and the files are there."""
    (tmp_path / "limner.yaml").write_text("providers: {fake: {kind: test}}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    programs: dict[str, Callable[[list[str]], int]] = {"limner": run, "limner-verify-evidence": main}
    block = PAGE.read_text(encoding="utf-8").partition("## Try it")[2].split("```")[1]
    for line in block.strip().splitlines():
        program, *words = shlex.split(line)
        assert programs[program](words) == 0, line
    assert {"a.png", "b.png", "monday.checkpoint", "a.evidence"} <= {path.name for path in tmp_path.iterdir()}
