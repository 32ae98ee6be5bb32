"""The page for lawyers: its files are written as it says, its commands run, and they answer what the page shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from limner import Limner
from limner.cli import policy, policy_papers, run
from limner.errors import PolicyDenied
from limner_policy.tools.findings import KINDS

PAGE = Path(__file__).parents[3] / "docs" / "policy-for-legal.md"
BLOCK = re.compile(r"^```(yaml|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _blocks() -> list[tuple[str, str]]:
    return [(found[1], found[2]) for found in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]


def _save(folder: Path, number: int, text: str) -> None:
    """Do with a YAML block of the page what the page says: save it, make a second version with it, add to that."""
    first, second = folder / "house.policy.yaml", folder / "house-2.policy.yaml"
    if number == 0:
        first.write_text(text, encoding="utf-8")
    elif number == 1:
        second.write_text(first.read_text("utf-8").replace('version: "1"', 'version: "2"') + "\n" + text, "utf-8")
    else:
        second.write_text(second.read_text("utf-8") + text, "utf-8")


def _commands(text: str) -> Iterator[tuple[list[str], str]]:
    """Give each command of a console block with the answer that the page shows."""
    for piece in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, answer = piece.partition("\n")
        program, *arguments = shlex.split(line)
        assert program == "limner"
        yield arguments, answer


def _pattern(shown: str) -> re.Pattern[str]:
    """What the page shows: a line of … stands for any lines, … inside a line for any text; spaces at ends are free."""
    parts = []
    for line in shown.rstrip("\n").split("\n"):
        if line == "…":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(r"[^\n]*".join(re.escape(part) for part in line.rstrip().split("…")) + r" *\n")
    return re.compile("".join(parts) + r"\n*")


def _traffic(folder: Path) -> None:
    """Make the requests that the page's replay speaks of: a sword, refused, and fireworks, made."""
    (folder / "limner.yaml").write_text("providers: {fake: {kind: test}}\npolicy: [house.policy.yaml]\n", "utf-8")
    with Limner.open(folder / "limner.yaml") as limner:
        with pytest.raises(PolicyDenied):
            limner.generate("a golden sword", seed=7)
        limner.generate("fireworks over a castle", seed=7)


def test_the_page_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """From the first file to the printed book every command answers what is printed on the page."""
    monkeypatch.chdir(tmp_path)
    for module in (policy, policy_papers):
        monkeypatch.setattr(module, "day", lambda _: date(2026, 11, 25))
    files = ran = 0
    for kind, text in _blocks():
        if kind == "yaml":
            _save(tmp_path, files, text)
            files += 1
            continue
        for arguments, shown in _commands(text):
            if "replay" in arguments:
                _traffic(tmp_path)
            capsys.readouterr()
            code = run(arguments)
            answer = capsys.readouterr().out
            assert code == (1 if {"diff", "explain"} & set(arguments) else 0), answer
            assert _pattern(shown).fullmatch(answer), f"{arguments}\n{answer}"
            ran += 1
    assert (files, ran) == (3, 8)
    assert (tmp_path / "book.html").is_file()


def test_the_page_names_every_finding_and_its_pictures_exist() -> None:
    """Each kind of finding stands in the table, and each picture and page that is linked is there."""
    text = PAGE.read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"`{kind}`" not in text] == []
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert links
    assert [target for target in links if not (PAGE.parent / target).is_file()] == []
