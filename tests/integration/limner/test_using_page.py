"""The page docs/using.md: its examples run as they stand, and its table of exit codes is true."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from limner import errors
from limner.cli import run
from limner.errors import exit_code

TEXT = (Path(__file__).parents[3] / "docs" / "using.md").read_text("utf-8")
SAYS = (
    r"\[\((\d+), (\d+)\)(, \(\d+, \d+\)){5}\]\n",
    r"size \| .*adapt.*\n\[\('size', '65x70', '\d+x\d+'\)\]\n",
    r"True\nTrue\n(True\n)?",
)


@pytest.mark.parametrize(
    ("code", "says"), list(zip(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL), SAYS, strict=True))
)
def test_an_example_of_the_page_runs(tmp_path: Path, code: str, says: str) -> None:
    """What a reader copies works, with the engine of this machine and no configuration at all."""
    child = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path, timeout=300
    )
    assert re.fullmatch(says, child.stdout), child.stdout


def test_the_exit_codes_of_the_page_are_the_commands() -> None:
    """Each error of the table ends a command with the code beside it."""
    rows = re.findall(r"^\| (`[^|]*) \|[^|]*\| (\d) \|$", TEXT, re.MULTILINE)
    named = [(name, int(code)) for names, code in rows for name in re.findall(r"`(\w+)`", names)]
    assert len(named) > 12
    for name, code in named:
        kind = getattr(errors, name)
        assert exit_code(kind.__new__(kind)) == code, name


def test_the_pages_commands_about_pictures_and_log_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a reader types from the last two blocks does what the page says, in this order."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "limner.yaml").write_text("providers: {fake: {kind: test}}\n", encoding="utf-8")
    (tmp_path / "pictures").mkdir()
    for file in ("apple.png", "pictures/pear.png"):
        assert run(["generate", "a fruit", "--user", "ann", "--output", file]) == 0
    lines = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)[1:] for line in block.splitlines()]
    assert [run(shlex.split(line, comments=True)[1:]) for line in lines] == [0] * 10
    assert capsys.readouterr().out.count("erased: ") == 1
    assert run(["audit", "erase", "--subject", "ann", "--yes"]) == 1
    assert run(["audit", "verify", "--checkpoint", "kept.note"]) == 0
