"""The page docs/providers/openai.md: its example runs, its tables are complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from inspect import signature
from pathlib import Path

from servers.openai_server import OpenAIApp
from servers.serving import Server

from limner_providers._openai_catalogue import capabilities_of, models
from limner_providers.openai import OpenAIProvider

TEXT = (Path(__file__).parents[3] / "docs" / "providers" / "openai.md").read_text("utf-8")


def test_the_example_of_the_page_runs(openai_server: Server[OpenAIApp]) -> None:
    """What a reader copies works against a server."""
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    environment = os.environ | {"OPENAI_URL": f"{openai_server.url}/v1", "OPENAI_KEY": str(openai_server.app.key)}
    child = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment, timeout=120
    )
    assert re.fullmatch(r"1360x768 image/png \d+\n1360x768\n", child.stdout)


def test_every_setting_and_every_option_is_on_the_page() -> None:
    """A new one has to be described."""
    settings = [name for name in signature(OpenAIProvider).parameters if name not in {"name", "base_folder"}]
    options = {option for name, facts in models().items() for option in capabilities_of(name, facts.dialect).extra}
    assert [name for name in [*settings, *sorted(options)] if f"`{name}`" not in TEXT] == []
