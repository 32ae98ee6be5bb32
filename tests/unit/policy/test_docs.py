"""The how-to page: its pack loads, its program runs, and its printed lines are what comes out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from limner_policy import check_examples, load_packs
from limner_policy.conditions import FACTS
from limner_policy.duties import KNOWN_DUTIES
from limner_policy.errors import PolicyFileError
from limner_policy.loading import load_pack_bytes
from limner_policy.when import PREDICATES

PAGE = Path(__file__).parents[3] / "docs" / "policy.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_page_runs_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The YAML of the page saved under its name, the Python of the page executed, the output as shown."""
    (pack,), (program,), (output, *_) = blocks("yaml"), blocks("python"), blocks("text")
    (tmp_path / "house.policy.yaml").write_text(pack)
    monkeypatch.chdir(tmp_path)
    exec(compile(program, str(PAGE), "exec"), {})
    assert capsys.readouterr().out == output


def test_the_page_with_lists_loads_and_its_examples_hold(tmp_path: Path) -> None:
    """The second pack of the page with its list beside it."""
    (pack,), (artists,) = blocks("yml"), blocks("csv")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "artists.csv").write_text(artists)
    (tmp_path / "names.policy.yaml").write_text(pack)
    (loaded,) = load_packs([tmp_path])
    assert check_examples(loaded) == []
    assert [len(one) for one in loaded.lists] == [2, 3]


def test_the_pages_mistakes_are_told_as_printed() -> None:
    """The page's pack with two slips gives exactly the messages that the page shows."""
    slips = blocks("yaml")[0].replace("severity: high", "severity: hihg").replace("- audience:", "- audiense:")
    with pytest.raises(PolicyFileError) as caught:
        load_pack_bytes(slips.encode(), "house.policy.yaml")
    assert f"{caught.value}\n" == blocks("text")[1]


def test_the_page_names_the_whole_vocabulary() -> None:
    """Every predicate, fact and duty of the language stands on the page."""
    text = PAGE.read_text()
    missing = [word for word in (*PREDICATES, *FACTS, *KNOWN_DUTIES) if f"`{word}" not in text]
    assert missing == []
