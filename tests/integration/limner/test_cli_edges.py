"""The command line and the client at their edges: hostile prompts, unwritable answers, a forgotten close."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from limner import Limner
from limner.cli.generate import _progress
from limner.config import Config
from limner.errors import ClientClosed
from limner_providers.base import Progress

Command = Callable[..., tuple[int, str, str]]


def test_a_prompt_is_shown_as_written(command: Command) -> None:
    """Markup and escape sequences in a prompt neither break the list of records nor act on the reader's terminal."""
    prompt = "[bold]x[/red] \x1b[31mtree"
    assert command("generate", prompt, "--output", "[dim].png")[0] == 0
    code, out, _ = command("audit", "show")
    assert code == 0
    assert "[bold]x[/red] \\x1b[31mtree" in out
    record = json.loads(command("audit", "show", "--json")[1])["records"][0]["record"]
    code, out, _ = command("audit", "show", record)
    assert code == 0
    assert "\x1b" not in out
    assert "[dim].png" in command("verify", "[dim].png")[1]


@pytest.mark.parametrize("name", ["nowhere/a.png", ".", "a" * 300 + ".png", "/proc/a.png"])
def test_an_unwritable_output_is_refused_before_an_engine_is_asked(command: Command, tmp_path: Path, name: str) -> None:
    """Where the picture could not be written nothing is spent, recorded or left behind."""
    code, out, _ = command("generate", "red apple", "--json", "--output", name)
    assert code in {2, 3}
    assert "--output" in json.loads(out)["message"]
    assert [p.name for p in tmp_path.iterdir()] == ["limner.yaml"]


def test_a_picture_that_cannot_be_written_is_named_with_its_record(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A disk that fills up while the engine works costs no picture: the error says where it is kept."""

    def full(path: Path, _data: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    code, out, _ = command("generate", "red apple", "--json", "--output", "a.png")
    monkeypatch.undo()
    found = json.loads(out)
    assert code == 3
    assert found["error"] == "StorageUnavailable"
    assert not list(tmp_path.glob("*.png*"))
    with Limner.open(tmp_path / "limner.yaml") as limner:
        assert len(limner.get(found["record_id"]).images) == 1


def test_verify_by_somebody_who_may_not_read_the_keys(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever cannot look into the keys' folder still learns everything else that the file proves."""

    def closed(folder: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(folder))

    assert command("generate", "red apple", "--output", "a.png")[0] == 0
    monkeypatch.setattr("limner_provenance.credentials.trust_anchors", closed)
    code, out, _ = command("verify", str(tmp_path / "a.png"), "--json")
    assert code == 0
    assert json.loads(out)["verdict"] == "valid"


def test_init_that_fails_leaves_nothing(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A disk that is full while setting up leaves no half of it, and the command can be given again."""

    def full(path: Path, _data: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    (tmp_path / "new").mkdir()
    monkeypatch.setattr(Path, "write_bytes", full)
    assert command("init", "new")[0] == 3
    monkeypatch.undo()
    assert list((tmp_path / "new").iterdir()) == []
    assert command("init", str(tmp_path / "new"))[0] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("generate", "red", "--n", "two"), "--n"),
        (("generate",), "PROMPT"),
        (("nonsense",), "nonsense"),
        (("audit", "verify", "--log-key", "foo"), "--log-key 'foo'"),
        (("audit", "verify", "--checkpoint", "limner.yaml"), "no signed checkpoint"),
        (("verify", "limner.yaml", "--trust", "limner.yaml"), "no certificate"),
    ],
)
def test_wrong_usage_is_json_too(command: Command, arguments: tuple[str, ...], says: str) -> None:
    """A script that asked for JSON gets JSON and exit code 2, whatever is wrong with the arguments."""
    code, out, _ = command(*arguments, "--json")
    assert code == 2
    assert says in json.loads(out)["message"]


def test_a_config_option_without_its_file_is_named(command: Command) -> None:
    """A forgotten FILE at the end is not called an unknown option."""
    code, _, err = command("generate", "red", "--config")
    assert code == 2
    assert "requires an argument" in err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_poor_terminal_stops_no_answer(command: Command, tmp_path: Path, encoding: str) -> None:
    """Characters that the output cannot carry are escaped; JSON stays JSON."""
    assert command("generate", "ein Äpfelchen 🍎", "--output", "ü.png")[0] == 0
    for arguments in (["verify", "ü.png"], ["audit", "show", "--json"]):
        done = subprocess.run(
            [sys.executable, "-c", "from limner.cli import main; main()", *arguments],
            cwd=tmp_path,
            env={"PYTHONIOENCODING": encoding, "PATH": "", "LC_ALL": "C.UTF-8"},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode(encoding))["records"][0]["prompt"] == "ein Äpfelchen 🍎"


def test_an_answer_that_cannot_be_written_is_exit_3(command: Command, tmp_path: Path) -> None:
    """A full disk behind the output is neither a good answer nor a no."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    assert command("generate", "red apple", "--output", "a.png")[0] == 0
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from limner.cli import main; main()", "verify", "a.png"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 3
    assert b"Traceback" not in done.stderr


def test_a_program_that_forgets_to_close_still_ends(tmp_path: Path) -> None:
    """The client's thread holds no process alive, and what was asked stands whole in the log."""
    (tmp_path / "limner.yaml").write_text("providers: {fake: {kind: test}}\n", encoding="utf-8")
    program = "from limner import Limner; print(Limner.open().generate('red apple').record_id)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    with Limner.open(tmp_path / "limner.yaml") as limner:
        assert len(limner.get(done.stdout.strip()).images) == 1


def test_a_closed_client_says_so(house: Callable[..., Config]) -> None:
    """After closing, every call says that the client was closed; closing twice is fine."""
    limner = Limner.open(house())
    record_id = limner.generate("red apple").record_id
    limner.close()
    with pytest.raises(ClientClosed, match=r"Limner\.open"):
        limner.generate("red apple")
    with pytest.raises(ClientClosed, match=r"Limner\.open"):
        limner.get(record_id)
    limner.close()


def test_a_listener_that_raises_costs_no_picture(limner: Limner) -> None:
    """A broken progress bar ends in a warning, and the picture is there."""

    def broken(_progress: object) -> None:
        raise ZeroDivisionError

    result = limner.generate("red apple", on_progress=broken)
    assert len(result.images) == 1
    assert any("ZeroDivisionError" in warning for warning in result.warnings)


def test_the_bar_ends_where_the_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step of the last picture fills the bar, and the first step does not."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    seen = []
    monkeypatch.setattr("rich.progress.Progress.update", lambda _bar, _task, **told: seen.append(told))
    with _progress(quiet=False) as told:
        assert told is not None
        told(Progress(step=1, steps=20, image=1, images=2))
        told(Progress(step=20, steps=20, image=2, images=2))
    assert [s["completed"] for s in seen] == [1, 40]
    assert {s["total"] for s in seen} == {40}
