"""Integrity first: a log that does not prove itself gets no numbers and no figures, in code and in the notebook."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner import Limner
from limner.config import Config, load_config
from limner.errors import EVERY, ConfigInvalid
from limner.reading import open_log
from limner.report import Integrity, LogNotClean, examine, make_sample, open_pictures, page, read_history
from limner.report.export import as_html
from limner.report.sample import log_or_sample

pytest.importorskip("polars")
pytest.importorskip("matplotlib")

NOTEBOOK = Path(__file__).parents[3] / "notebooks" / "audit_report.ipynb"
CONFIG = '{"providers": {"fake": {"kind": "test"}}, "policy": ["house.policy.yaml"]}\n'
Copy = Callable[[], Path]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a small history of three requests and give its folder."""
    folder = tmp_path_factory.mktemp("original")
    shutil.copy(Path(__file__).parent / "house.policy.yaml", folder)
    (folder / "limner.yaml").write_text(CONFIG)
    with Limner.open(folder / "limner.yaml", context={"user": "ann", "tenant": "acme"}) as limner:
        for prompt in ("red apple", "a forbidden thing", "rocket"):
            with contextlib.suppress(*EVERY):
                limner.generate(prompt, seed=7)
    return folder


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    """Give a copy of the history that a test may spoil."""
    return Path(shutil.copytree(original, tmp_path / "copy"))


def change(folder: Path, statement: str) -> None:
    """Change the database as somebody who owns the file can: triggers dropped and put back."""
    connection = sqlite3.connect(folder / ".limner" / "audit.db", isolation_level=None)
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    assert connection.execute(statement).rowcount == 1
    for _, sql in triggers:
        connection.execute(sql)
    connection.close()


TURN_THE_VERDICT = """UPDATE entry SET leaf = replace(leaf, '"verdict":"deny"', '"verdict":"allow"')
    WHERE step = 'denied'"""


def test_a_clean_log_is_said_to_be_clean(original: Path) -> None:
    """Size, root and key are the log's own, and the report stands on them."""
    found = examine(original / "limner.yaml")
    with open_log(original / "limner.yaml") as log:
        assert (found.size, found.root, found.origin, found.vkey) == (
            log.size,
            log.head().root.hex(),
            log.origin,
            log.vkey,
        )
        pinned = examine(original / "limner.yaml", log_key=log.vkey)
    assert (found.verdict, found.trust, pinned.trust) == ("VALID", "unpinned", "pinned")
    assert found.clean
    assert read_history(found).requests.height == 3


def test_one_changed_entry_stops_the_report(copy: Path) -> None:
    """A turned verdict is located, and no history can be had of such a log."""
    change(copy, TURN_THE_VERDICT)
    found = examine(copy / "limner.yaml")
    assert not found.clean
    assert any("entry" in one.where for one in found.findings)
    with pytest.raises(LogNotClean, match="NOT CLEAN"):
        read_history(found)


def test_a_log_that_cannot_be_read_is_not_clean(copy: Path) -> None:
    """A ruined first entry is a finding of the report, not a crash of it."""
    change(copy, "UPDATE entry SET leaf = '{}' WHERE idx = 0")
    with pytest.raises(LogNotClean):
        read_history(examine(copy / "limner.yaml"))


@pytest.mark.parametrize("damage", ["cut", "overwritten", "no database"])
def test_a_damaged_file_is_not_clean(copy: Path, damage: str) -> None:
    """A file that no database can be read from is a finding too, and names what to do."""
    database = copy / ".limner" / "audit.db"
    data = database.read_bytes()
    third = len(data) // 3
    database.write_bytes(
        {
            "cut": data[:third],
            "overwritten": data[:third] + b"\0" * 8192 + data[third + 8192 :],
            "no database": b"x" * 512,
        }[damage]
    )
    found = examine(copy / "limner.yaml")
    assert not found.clean
    assert found.findings
    with pytest.raises(LogNotClean):
        found.require_clean()


def test_a_change_after_the_verification_is_noticed(copy: Path) -> None:
    """Numbers come from exactly the verified entries: one that changed in between stops the report."""
    found = examine(copy / "limner.yaml")
    change(copy, TURN_THE_VERDICT)
    with pytest.raises(LogNotClean, match="changed between"):
        read_history(found)


def test_entries_after_the_verification_are_not_counted(copy: Path) -> None:
    """A log that grows meanwhile is no alarm, and what was added is not in the numbers."""
    found = examine(copy / "limner.yaml")
    with Limner.open(copy / "limner.yaml") as limner:
        limner.generate("fox", seed=1)
    assert read_history(found).requests.height == 3
    assert read_history(examine(copy / "limner.yaml")).requests.height == 4


def test_only_a_kept_checkpoint_shows_a_roll_back(original: Path, copy: Path, tmp_path: Path) -> None:
    """Database and anchor rolled back together look clean; the checkpoint that the reader kept says otherwise."""
    with Limner.open(copy / "limner.yaml") as limner:
        limner.generate("fox", seed=1)
    kept = tmp_path / "kept.checkpoint"
    kept.write_text(examine(copy / "limner.yaml").note)
    assert examine(copy / "limner.yaml", checkpoint=kept).clean
    assert examine(original / "limner.yaml").clean
    assert not examine(original / "limner.yaml", checkpoint=kept).clean


def test_a_key_of_another_log_is_found(original: Path, tmp_path: Path) -> None:
    """A pinned key that is not the log's makes the report stop; a text that is no key is the reader's slip."""
    with Limner.open(load_config(folder=tmp_path)) as other:
        foreign = other.log_key
    assert not examine(original / "limner.yaml", log_key=foreign).clean
    with pytest.raises(ConfigInvalid, match="LOG_KEY"):
        examine(original / "limner.yaml", log_key="not a key")


def test_a_report_without_keys_says_what_it_could_not_open(copy: Path) -> None:
    """An auditor without data keys gets every number of the entries, and is told what stayed closed."""
    (copy / ".limner" / "keys.db").unlink()
    (copy / ".limner" / "keys" / "kek").unlink()
    found = examine(copy / "limner.yaml")
    assert found.clean
    history = read_history(found)
    wall = open_pictures(history)
    assert {picture.state for picture in wall.pictures} == {"not opened"}
    assert set(history.claims["payload"]) == {"not opened"}
    assert history.packs_not_opened == 1
    text = repr(page.scope_table(history, wall))
    assert "claims of requests that were erased / not opened  0 / 3" in text


def test_where_no_log_is_at_hand_a_sample_is_made(
    original: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A configured log is never replaced by a sample, and a sample is always said to be one."""
    made: list[str] = []

    def pretend(folder: str) -> Config:
        made.append(folder)
        return load_config(folder=tmp_path)

    monkeypatch.setattr("limner.report.sample.make_sample", pretend)
    monkeypatch.chdir(original)
    assert log_or_sample()[1] is False
    assert log_or_sample(original / "limner.yaml")[1] is False
    assert made == []
    monkeypatch.chdir(tmp_path)
    assert log_or_sample()[1] is True
    assert len(made) == 1
    with pytest.raises(ConfigInvalid):
        log_or_sample(tmp_path / "missing.yaml")


@pytest.mark.slow
def test_the_notebook_reports_a_clean_log(original: Path, tmp_path: Path) -> None:
    """The notebook says first that the log proves itself, draws every figure, and warns of nothing."""
    cells = run_notebook(original, tmp_path)
    assert "The log proves itself: VALID" in text_of(cells)
    assert "SAMPLE" not in text_of(cells)
    assert pictures_in(cells) == 7
    assert [o for c in cells for o in c.get("outputs", ()) if o.output_type == "stream"] == []


@pytest.mark.slow
def test_the_notebook_refuses_a_changed_log(copy: Path, tmp_path: Path) -> None:
    """With one row changed the notebook fails, says so in its first output, lists the finding and draws nothing."""
    change(copy, TURN_THE_VERDICT)
    with pytest.raises(Exception, match="THIS LOG IS NOT CLEAN") as caught:
        run_notebook(copy, tmp_path)
    assert type(caught.value).__name__ == "PapermillExecutionError"
    import nbformat

    cells = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
    assert "THIS LOG IS NOT CLEAN" in text_of(cells)
    assert "entry" in text_of(cells)
    assert pictures_in(cells) == 0


def test_notebooks_are_committed_without_outputs() -> None:
    """No output of anybody's machine is in the repository, and papermill finds the parameters."""
    for file in NOTEBOOK.parent.glob("*.ipynb"):
        content = json.loads(file.read_text(encoding="utf-8"))
        code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
        assert [cell["metadata"].get("tags") for cell in code].count(["parameters"]) == 1
        assert content["metadata"]["kernelspec"]["name"] == "python3"


def test_the_html_of_a_report_loads_nothing(tmp_path: Path) -> None:
    """An auditor's laptop without network shows the whole report: no script or style comes from elsewhere."""
    pytest.importorskip("nbconvert")
    import re

    import nbformat

    page = as_html(nbformat.read(NOTEBOOK, as_version=4))
    assert re.findall(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["']?(?:https?:)?//""", page) == []


def run_notebook(folder: Path, out: Path) -> list[Any]:
    """Run the notebook as its user does, and give its cells."""
    papermill = pytest.importorskip("papermill")
    parameters = {"CONFIG": str(folder / "limner.yaml")}
    written = out / "out.ipynb"
    done = papermill.execute_notebook(
        NOTEBOOK, written, parameters, kernel_name="python3", progress_bar=False, cwd=out, log_output=False
    )
    return list(done.cells)


def text_of(cells: list[Any]) -> str:
    """Give what the cells' outputs say in words."""
    found = [output.get("data", {}) for cell in cells for output in cell.get("outputs", ())]
    return "\n".join(str(data.get("text/plain", "")) + str(data.get("text/html", "")) for data in found)


def pictures_in(cells: list[Any]) -> int:
    """Count the pictures among the outputs."""
    return sum("image/png" in o.get("data", {}) for cell in cells for o in cell.get("outputs", ()))


def test_the_sample_refuses_no_folder_twice(tmp_path: Path) -> None:
    """A sample never mixes with what a folder holds already."""
    (tmp_path / "limner.yaml").write_text(CONFIG)
    with pytest.raises(ConfigInvalid, match=r"limner\.yaml"):
        make_sample(tmp_path, starter=False)
    assert (tmp_path / "limner.yaml").read_text() == CONFIG


def test_integrity_without_a_log_is_not_clean(tmp_path: Path) -> None:
    """No log is no clean log."""
    found: Integrity = examine(load_config(folder=tmp_path))
    assert not found.clean
