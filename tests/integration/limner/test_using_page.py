"""The page docs/using.md: its examples run as they stand, and its table of exit codes is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from limner import errors
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
