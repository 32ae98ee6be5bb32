"""The page docs/providers/midjourney.md: its example runs, its tables are complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from inspect import signature
from pathlib import Path

import pytest
from servers.midjourney_server import MidjourneyApp
from servers.serving import Server

from limner_providers._midjourney_facts import facts
from limner_providers.midjourney import MidjourneyProvider

TEXT = (Path(__file__).parents[3] / "docs" / "providers" / "midjourney.md").read_text("utf-8")


@pytest.mark.parametrize("midjourney_server", ["trueai"], indirect=True)
def test_the_example_of_the_page_runs(midjourney_server: Server[MidjourneyApp]) -> None:
    """What a reader copies works against a proxy."""
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    midjourney_server.app.pace = 0.1
    environment = os.environ | {"MJ_URL": midjourney_server.url, "MJ_SECRET": str(midjourney_server.app.secret)}
    child = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment, timeout=120
    )
    lines = child.stdout.splitlines()
    assert lines[0].startswith("JobAccepted(job=")
    assert lines[-2:] == ["4 --ar 3:2 --v 7 --stylize 250 --seed 7", "1 image/png"]


def test_every_setting_and_every_option_is_on_the_page() -> None:
    """A new one has to be described."""
    settings = [name for name in signature(MidjourneyProvider).parameters if name not in {"name", "base_folder"}]
    assert [name for name in [*settings, *facts().options] if f"`{name}`" not in TEXT] == []
