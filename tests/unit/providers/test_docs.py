"""The examples of docs/providers.md run, and the tables of the pages are complete."""

from __future__ import annotations

import re
import subprocess
import sys
from inspect import signature
from pathlib import Path
from typing import get_args

import pytest

from limner_providers.diffusers import DiffusersProvider
from limner_providers.registry import provider_class
from limner_providers.test import Fault, TestProvider

PAGE = Path(__file__).parents[3] / "docs" / "providers.md"


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL))
def test_an_example_of_the_page_runs(code: str) -> None:
    """What a reader copies works."""
    child = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    size, scheduler, made = child.stdout.splitlines()
    assert size == "size sides run from 1 to 2048 pixels. The nearest that can be made: 2048x64."
    assert scheduler.startswith("scheduler it is not known. Known: ddim, ddpm,")
    assert made == "[7, 8] limner-test"


def test_every_setting_and_every_fault_is_on_the_page() -> None:
    """A new one has to be described."""
    text = PAGE.read_text("utf-8")
    local = (PAGE.parent / "providers" / "diffusers.md").read_text("utf-8")
    settings = [name for name in signature(DiffusersProvider).parameters if name not in {"name", "base_folder"}]
    assert [name for name in settings if f"| `{name}` |" not in local] == []
    ours = [name for name in signature(TestProvider).parameters if name != "name"]
    section = text[text.index("## The `test` kind") :]
    assert [name for name in ours if f"`{name}`" not in section] == []
    assert [fault for fault in get_args(Fault) if f"`{fault}`" not in section] == []


@pytest.mark.parametrize("kind", ["diffusers", "midjourney", "openai", "test"])
def test_no_page_names_a_setting_that_does_not_exist(kind: str) -> None:
    """The table of settings follows the class when one is taken out or gets another name."""
    page = PAGE if kind == "test" else PAGE.parent / "providers" / f"{kind}.md"
    table = page.read_text("utf-8").partition("| setting | meaning |\n|---|---|\n")[2].partition("\n\n")[0]
    named = [name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert named
    assert set(named) == {*signature(provider_class(kind)).parameters} - {"name", "base_folder", "args", "kwargs"}
