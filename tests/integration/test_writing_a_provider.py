"""docs/writing-a-provider.md: its provider passes the kit as its test file says, and is found by its entry point."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "writing-a-provider.md"
TEXT = PAGE.read_text("utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page's files as a reader would, with the metadata of an installed distribution beside them."""
    made = tmp_path_factory.mktemp("sketch")
    for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        name = re.match(r"# (\w+\.py)\n", code)
        assert name, "Each example begins with its file's name."
        (made / name[1]).write_text(code, encoding="utf-8")
    (entry,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    section, line = entry.strip().splitlines()
    assert section == '[project.entry-points."limner.providers"]'
    info = made / "sketch-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sketch\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[limner.providers]\n" + line.replace('"', "") + "\n", encoding="utf-8")
    return made


def child(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python where the page's files are installed."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, check=False, capture_output=True, text=True
    )


def test_the_pages_provider_passes_the_kit(folder: Path) -> None:
    """The reader's own command: every check runs, none fails, and hardly any has nothing to look at."""
    done = child(folder, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "test_sketch.py")
    assert done.returncode == 0, done.stdout[-3000:]
    told = re.search(r"(\d+) passed(?:, (\d+) skipped)?", done.stdout)
    assert told, done.stdout[-500:]
    assert int(told[1]) > 100
    assert int(told[2] or 0) == 0


def test_the_pages_provider_is_found_by_its_entry_point(folder: Path) -> None:
    """`kind: sketch` makes it, its settings are checked, and lists can ask what it can do."""
    code = (
        "import anyio, json\n"
        "from limner_providers import make_provider, provider_kinds\n"
        "from limner_providers.errors import ConfigurationInvalid\n"
        "from limner_providers.kinds import summarise\n"
        "made = make_provider('mine', 'sketch', {'base_url': 'https://sketch.example', 'api_key': 'k'})\n"
        "try: make_provider('mine', 'sketch', {'base_url': 'https://sketch.example', 'api_keys': 'k'})\n"
        "except ConfigurationInvalid as error: wrong = str(error)\n"
        "kind = anyio.run(summarise, 'sketch')\n"
        "print(json.dumps([made.name, 'sketch' in provider_kinds(), wrong, kind.models, kind.tasks]))\n"
    )
    done = child(folder, "-W", "error", "-c", code)
    assert done.returncode == 0, done.stderr
    name, known, wrong, models, tasks = json.loads(done.stdout)
    assert (name, known, models, tasks) == ("mine", True, ["sketch-1"], ["txt2img"])
    assert "Did you mean api_key?" in wrong


def test_the_page_says_how_many_lines_it_takes() -> None:
    """The provider stays an example that is read in one go, and the number of faults is right."""
    from limner_providers.conformance import FAULTS

    provider, kit = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    code = [line for line in provider.splitlines() if line.strip()]
    assert len(code) <= 65
    assert len([line for line in kit.splitlines() if line.strip()]) <= 30
    assert f"{len(FAULTS)} faults" in TEXT
