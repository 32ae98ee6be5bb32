"""`limner audit evidence` and the stand-alone verifier, from a picture to a verdict in an empty folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner_provenance import verify_evidence

Command = Callable[..., tuple[int, str, str]]
SCRIPT = Path(verify_evidence.__file__)


def verified(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a copy of the script alone in a folder, isolated, and give exit code and report."""
    shutil.copy(SCRIPT, folder / "verify_evidence.py")
    command = [sys.executable, "-I", "verify_evidence.py", *arguments, "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder apart from the house."""
    return tmp_path_factory.mktemp("elsewhere")


def test_a_picture_is_proven_in_an_empty_folder(command: Command, tmp_path: Path, empty: Path) -> None:
    """Generate, make the evidence, copy both away: VALID and 0; any flipped byte of either: 1."""
    assert command("generate", "red apple", "--seed", "7", "--output", "a.png")[0] == 0
    code, out, _ = command("audit", "evidence", "a.png", "--output", "a.evidence", "--disclose", "prompt", "--json")
    assert code == 0
    assert json.loads(out)["image"] == 0
    for name in ("a.png", "a.evidence"):
        shutil.copy(tmp_path / name, empty / name)
    code, report = verified(empty, "a.evidence", "a.png")
    assert (code, report["verdict"], report["trust"]) == (0, "VALID", "unpinned")
    assert report["credentials"] == "not validated here"
    assert [value for _, name, value in report["disclosed"] if name == "prompt"] == ["red apple"]
    assert verified(empty, "a.evidence", "a.png", "--log-key", report["log_key"])[1]["trust"] == "pinned"
    assert len((tmp_path / "a.evidence").read_bytes()) <= 64 * 1024
    for name in ("a.png", "a.evidence"):
        data = bytearray((tmp_path / name).read_bytes())
        data[len(data) // 3] ^= 1
        (empty / name).write_bytes(data)
        assert verified(empty, "a.evidence", "a.png")[0] == 1
        shutil.copy(tmp_path / name, empty / name)


def test_the_script_stands_alone() -> None:
    """Fewer than 400 lines; imports the standard library and cryptography, and nothing of Limner."""
    text = SCRIPT.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 400
    imported = {
        line.split()[1].partition(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))
    }
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}


def test_without_disclosure_the_prompt_is_nowhere(command: Command, tmp_path: Path) -> None:
    """The prompt and the user are in no byte of the file unless asked for."""
    command("generate", "a very secret apple", "--output", "a.png")
    assert command("audit", "evidence", "a.png", "--output", "a.evidence")[0] == 0
    assert b"secret" not in (tmp_path / "a.evidence").read_bytes()


def test_a_record_of_several_images(command: Command, tmp_path: Path) -> None:
    """A record's file proves all its images, a picture's own file that one; another picture is refused."""
    _, out, _ = command("generate", "red apple", "--n", "2", "--output", "a.png", "--json")
    told = json.loads(out)
    files = [str(tmp_path / image["file"]) for image in told["images"]]
    assert command("audit", "evidence", told["record_id"], "--output", "all.evidence")[0] == 0
    everything = (tmp_path / "all.evidence").read_bytes()
    assert verify_evidence.Verification().run(everything, files)["verdict"] == "VALID"
    assert command("audit", "evidence", files[1], "--output", "one.evidence")[0] == 0
    one = (tmp_path / "one.evidence").read_bytes()
    assert verify_evidence.Verification().run(one, files[1:])["verdict"] == "VALID"
    assert verify_evidence.Verification().run(one, files[:1])["verdict"] == "INVALID"


def test_a_denied_request_is_proven_without_a_picture(command: Command, tmp_path: Path) -> None:
    """A denial has evidence: the rule that held, its text in the page, and no image."""
    code, out, _ = command("generate", "naked schoolgirl", "--json", "--output", "a.png")
    assert code == 1
    record = json.loads(out)["record_id"]
    assert command("audit", "evidence", record, "--output", "a.evidence", "--disclose", "all")[0] == 0
    document = (tmp_path / "a.evidence").read_bytes()
    report = verify_evidence.Verification().run(document, [])
    assert (report["verdict"], report["images"]) == ("VALID", [])
    assert report["decisions"][0]["verdict"] == "deny"
    assert "<h3>Rule GEN-001</h3><pre>  - id: GEN-001" in json.loads(document)["page"]["html"]


def test_wrong_input_is_named(command: Command, tmp_path: Path) -> None:
    """A changed picture, one without credentials, an unknown record or field: a clear error, and nothing is written."""
    command("generate", "red apple", "--output", "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(data + b"\0")
    from PIL import Image

    Image.new("RGB", (4, 4)).save(tmp_path / "plain.png")
    refused = [("b.png", 2, "to the last byte"), ("plain.png", 2, "name a record of this log"), ("nobody", 1, "nobody")]
    for what, expected, says in refused:
        code, _, err = command("audit", "evidence", what, "--output", "x.evidence")
        assert (what, code) == (what, expected)
        assert says in " ".join(err.split())
    code, _, err = command("audit", "evidence", "a.png", "--output", "x.evidence", "--disclose", "promt")
    assert code in {2, 3}
    assert "prompt" in err
    assert not (tmp_path / "x.evidence").exists()


def test_a_checkpoint_given_back(command: Command, tmp_path: Path, empty: Path) -> None:
    """An exported checkpoint is proven to be a beginning of the log the evidence rests on."""
    command("generate", "red apple", "--output", "a.png")
    command("audit", "checkpoint", "--output", "old.checkpoint")
    command("generate", "green apple", "--output", "b.png")
    code, *_ = command("audit", "evidence", "b.png", "--output", "b.evidence", "--checkpoint", "old.checkpoint")
    assert code == 0
    for name in ("b.png", "b.evidence", "old.checkpoint"):
        shutil.copy(tmp_path / name, empty / name)
    code, report = verified(empty, "b.evidence", "b.png", "--checkpoint", "old.checkpoint")
    assert (code, report["verdict"]) == (0, "VALID")


def test_the_verifier_is_installed_as_a_command() -> None:
    """The distribution declares `limner-verify-evidence`, and what it names is the script's own main."""
    import tomllib

    told = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))
    module, _, name = told["project"]["scripts"]["limner-verify-evidence"].partition(":")
    assert module == verify_evidence.__name__
    assert callable(getattr(verify_evidence, name))
