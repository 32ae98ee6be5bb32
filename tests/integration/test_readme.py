"""The examples of README and docs are executed as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from limner.cli import run
from limner_policy import check_examples, load_pack_bytes

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Give the fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.torch
def test_the_sdk_and_the_commands_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ten lines of Python make and sign a picture, and the three of shell verify it."""
    pytest.importorskip("diffusers")
    monkeypatch.chdir(tmp_path)
    (code,) = blocks(README, "python")
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert printed.startswith("allow None ")
    assert "No counterfeit brands" in printed
    assert (tmp_path / "apple.png").stat().st_size > 1_000
    commands = [
        line.partition("#")[0]
        for block in blocks(README, "sh")
        for line in block.splitlines()
        if line.startswith("limner ")
    ]
    assert len(commands) == 3
    for command in commands:
        assert run(shlex.split(command)[1:]) == 0, command


def test_the_policy_of_the_readme() -> None:
    """The policy example is a pack, and its own examples hold."""
    (text,) = (block for block in blocks(README, "yaml") if block.startswith("policy:"))
    pack = load_pack_bytes(text.encode(), "README.md")
    assert len(pack.rules) == 1
    assert list(check_examples(pack)) == []


def test_the_configuration_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every provider of the configuration example can be made and says what it can do; nothing is contacted."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("MJ_SECRET", "s")
    monkeypatch.chdir(tmp_path)
    (text,) = (block for block in blocks(README, "yaml") if block.startswith("providers:"))
    (tmp_path / "limner.yaml").write_text(text, encoding="utf-8")
    assert run(["providers", "list", "--json"]) == 0


def test_every_link_of_the_readme_and_docs_leads_somewhere() -> None:
    """Relative links name files of this repository."""
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "notebooks").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_make_targets_of_the_readme_exist() -> None:
    """`make demo`, `make test` and `make bench` are targets of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"(?:^|`)make (\w+)", README, flags=re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
