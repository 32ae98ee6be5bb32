"""The command line: what it prints, its exit codes, and how it takes wrong arguments."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., tuple[int, str, str]]


def document(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def test_generate_verify_show_and_audit(command: Command, tmp_path: Path) -> None:
    """The four commands of a first day work one after the other, each with exit code 0."""
    code, out, _ = command("generate", "red apple", "--seed", "7", "--n", "2", "--output", "apple.png", "--json")
    made = document(out)
    assert code == 0
    assert [i["seed"] for i in made["images"]] == ["7", "8"]
    assert [Path(i["file"]).name for i in made["images"]] == ["apple-1.png", "apple-2.png"]
    assert made["verdict"] == "allow"
    assert made["cost"] is None

    code, out, _ = command("verify", "apple-1.png", "--json")
    assert code == 0
    assert document(out)["record_id"] == made["record_id"]
    code, out, _ = command("verify", "apple-1.png")
    assert code == 0
    assert "equal to the record's" in out
    assert "DEVELOPMENT" in out

    code, out, _ = command("audit", "verify", "--json")
    assert code == 0
    assert document(out)["ok"] is True

    code, out, _ = command("audit", "show", "--json")
    assert document(out)["records"][0]["prompt"] == "red apple"
    code, out, _ = command("audit", "show", made["record_id"])
    assert code == 0
    assert "payload prompt: red apple" in out
    assert command("audit", "recover")[:2] == (0, "Nothing is unfinished.\n")


def test_explain_names_plan_and_rules(command: Command) -> None:
    """`--explain` shows each candidate and why it was taken or left."""
    code, out, _ = command("generate", "red apple", "--explain")
    assert code == 0
    assert "limner-test" in out
    assert "nothing in policy objects" in out


def test_a_denied_prompt_is_exit_1(command: Command) -> None:
    """The answer no is exit code 1, with rule, reason and record."""
    code, _, err = command("generate", "a fake designer logo on a handbag")
    assert code == 1
    assert "GEN-020" in err
    code, out, _ = command("generate", "a fake designer logo on a handbag", "--json")
    assert code == 1
    answer = document(out)
    assert answer["error"] == "PolicyDenied"
    assert answer["decision"]["hits"][0]["rule"] == "GEN-020"
    assert answer["record_id"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("generate", "red apple", "--size", "0x0"), "size"),
        (("generate", "red apple", "--size", "big"), "size"),
        (("generate", "red apple", "--n", "0"), "n="),
        (("generate", ""), "prompt"),
        (("generate", "x" * 1_000_000), "prompt"),
        (("generate", "red apple", "--scheduler", "nonsense"), "scheduler"),
        (("generate", "red apple", "--provider", "nobody"), "fake"),
        (("generate", "red apple", "--output", "nowhere/a.png"), "nowhere"),
        (("generate", "red apple", "--output", "a.gif"), ".gif"),
        (("generate", "red apple", "--output", "a.png", "--format", "webp"), "--format"),
        (("generate", "red apple", "--n", "many"), "--n"),
        (("generate",), "PROMPT"),
        (("generat", "red apple"), "generate"),
        (("verify", "a.png", "--colour"), "--colour"),
        (("audit", "verify", "--checkpoint", "missing"), "missing"),
        (("--config", "missing.yaml", "audit", "show"), "missing.yaml"),
        (("audit", "show", "--config", "missing.yaml"), "missing.yaml"),
    ],
)
def test_wrong_input_is_exit_2(command: Command, arguments: tuple[str, ...], says: str) -> None:
    """Wrong usage and wrong fields are exit code 2 with a message that names them."""
    code, _, err = command(*arguments)
    assert code == 2
    assert says in err
    assert len(err) < 3_000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("providers: {l: {kind: difusers}}\n", "diffusers"),
        ("providers: {l: {kind: test, dellay: 1}}\n", "delay"),
        ("providers: {l: {kind: diffusers, model: ./nowhere}}\n", "nowhere"),
        ("policy: [nowhere.yaml]\n", "nowhere.yaml"),
        ("policy: [broken.yaml]\nproviders: {f: {kind: test}}\n", "broken.yaml:2:1"),
    ],
)
def test_wrong_files_are_exit_2(command: Command, tmp_path: Path, text: str, says: str) -> None:
    """A wrong kind, setting, model folder or policy is named, with what was meant."""
    (tmp_path / "broken.yaml").write_text("policy: p\npolicy: q\n", encoding="utf-8")
    (tmp_path / "limner.yaml").write_text(text, encoding="utf-8")
    code, _, err = command("generate", "red apple")
    assert code == 2, err
    assert says in err


def test_verify_says_no_with_exit_1_and_cannot_with_3(command: Command, tmp_path: Path) -> None:
    """A changed or unsigned file is an answer, a truncated one cannot be looked at, a missing one is wrong input."""
    assert command("generate", "red apple", "--seed", "7", "--output", "a.png")[0] == 0
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "changed.png").write_bytes(data[:-40] + bytes([data[-40] ^ 1]) + data[-39:])
    (tmp_path / "short.png").write_bytes(data[: len(data) // 2])
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    assert command("verify", "plain.png")[0] == 1
    assert command("verify", "short.png")[0] == 3
    assert command("verify", "missing.png")[0] == 2
    assert command("verify", "changed.png")[0] in {1, 3}
    _, out, _ = command("verify", "plain.png", "--json")
    assert document(out)["verdict"] == "absent"


def test_verify_without_a_log_checks_the_credentials_alone(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somewhere else the file still says whether it is whole; record, bytes and inclusion are said to be skipped."""
    assert command("generate", "red apple", "--seed", "7", "--output", "a.png")[0] == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.png").write_bytes((tmp_path / "a.png").read_bytes())
    monkeypatch.chdir(elsewhere)
    code, out, _ = command("verify", "a.png", "--json")
    found = document(out)
    assert code == 0
    assert found["verdict"] == "valid"
    assert [s["result"] for s in found["steps"]] == ["good", "good", "skipped", "skipped", "skipped"]
    assert list(elsewhere.iterdir()) == [elsewhere / "a.png"]


def test_verify_with_a_log_elsewhere_that_does_not_answer_says_so(command: Command, tmp_path: Path) -> None:
    """A server that is down is not called a log that is not there; the steps with the log are skipped all the same."""
    pytest.importorskip("psycopg")
    assert command("generate", "red apple", "--seed", "7", "--output", "a.png")[0] == 0
    url = "postgresql+psycopg://ann@127.0.0.1:9/limner"
    (tmp_path / "limner.yaml").write_text(f'audit: {{url: "{url}"}}\nkeys: {{url: "{url}"}}\n', encoding="utf-8")
    found = document(command("verify", "a.png", "--json")[1])
    assert [s["result"] for s in found["steps"]] == ["good", "good", "skipped", "skipped", "skipped"]
    assert found["steps"][2]["says"].startswith("the audit log is not at hand: ")
    assert "127.0.0.1" in found["steps"][2]["says"]


def test_reading_commands_need_a_log(command: Command, tmp_path: Path) -> None:
    """Where there is no log, reading says so with exit code 3 and makes none."""
    for arguments in (("audit", "show"), ("audit", "verify"), ("audit", "recover")):
        code, _, err = command(*arguments)
        assert code == 3
        assert "audit.db" in err
    assert not (tmp_path / ".limner").exists()


def test_init_writes_once(command: Command, tmp_path: Path) -> None:
    """`init` writes configuration, policy, log and keys, prints the log's key, and overwrites nothing."""
    code, out, _ = command("init", "fresh", "--json")
    made = document(out)
    assert code == 0
    assert made["log_key"].startswith("limner/")
    folder = tmp_path / "fresh"
    assert (folder / "policy" / "general.policy.yaml").exists()
    assert stat.S_IMODE((folder / ".limner" / "keys").stat().st_mode) == 0o700
    assert all(stat.S_IMODE(k.stat().st_mode) == 0o600 for k in (folder / ".limner" / "keys").iterdir() if k.is_file())
    assert (folder / ".limner" / ".gitignore").read_text().strip() == "*"
    assert command("init", "fresh")[0] == 2
    code, _, _ = command("audit", "verify", "--config", str(folder / "limner.yaml"))
    assert code == 0


def test_a_missing_record_is_exit_1(command: Command) -> None:
    """A record that is not there is an answer."""
    assert command("generate", "red apple")[0] == 0
    assert command("audit", "show", "01900000-0000-7000-8000-000000000000")[0] == 1


def test_help_names_every_command(command: Command) -> None:
    """`limner --help` is the table of contents."""
    code, out, _ = command("--help")
    assert code == 0
    for word in ("init", "generate", "verify", "audit"):
        assert word in out
    assert command("--version")[1].startswith("limner ")


def test_policy_lint_and_test(command: Command, tmp_path: Path) -> None:
    """A whole pack is 0, a broken one 2 with its place, one whose example fails or is missing 1."""
    assert command("policy", "lint")[0] == 0
    code, out, _ = command("policy", "test", "--json")
    assert (code, document(out)["failures"]) == (0, [])
    text = (Path(__file__).parent / "house.policy.yaml").read_text(encoding="utf-8")
    house = tmp_path / "house.yaml"
    house.write_text(text, encoding="utf-8")
    code, out, _ = command("policy", "test", "house.yaml")
    assert code == 0
    assert "2 of 2 examples of 1 rules hold." in out
    house.write_text(text.replace("severity:", "severty:"), encoding="utf-8")
    code, _, err = command("policy", "lint", "house.yaml")
    assert code == 2
    assert "house.yaml:12:5" in err
    assert "severity" in err
    house.write_text(text.replace('"red apple", expect: allow', '"red apple", expect: deny'), encoding="utf-8")
    code, _, err = command("policy", "test", "house.yaml")
    assert code == 1
    assert "house.yaml:19" in err
    house.write_text(text[: text.index("    examples:")], encoding="utf-8")
    assert command("policy", "test", "house.yaml")[0] == 1
    assert command("policy", "lint", "nowhere.yaml")[0] == 2


def test_a_checkpoint_kept_elsewhere_shows_a_roll_back(command: Command, tmp_path: Path) -> None:
    """Database and anchor together rolled back pass alone, and fail against the exported checkpoint."""
    import shutil

    assert command("generate", "red apple", "--seed", "1")[0] == 0
    shutil.copytree(tmp_path / ".limner", tmp_path / "snapshot")
    assert command("generate", "red apple", "--seed", "2")[0] == 0
    code, out, _ = command("audit", "checkpoint", "--output", "kept.note")
    assert code == 0
    assert "audit verify --checkpoint kept.note" in out
    assert command("audit", "checkpoint")[1] == (tmp_path / "kept.note").read_text(encoding="utf-8")
    assert command("audit", "verify", "--checkpoint", "kept.note")[0] == 0
    shutil.rmtree(tmp_path / ".limner")
    (tmp_path / "snapshot").rename(tmp_path / ".limner")
    assert command("audit", "verify")[0] == 0
    code, out, _ = command("audit", "verify", "--checkpoint", "kept.note")
    assert code == 1
    assert "checkpoint file" in out
    assert command("audit", "checkpoint", "--output", "nowhere/kept.note")[0] == 3


def test_migrate_of_a_database_at_head_changes_nothing(command: Command, tmp_path: Path) -> None:
    """A database of this version stays as it is; where there is none, or another file, exit code 3 says so."""
    assert command("audit", "migrate")[0] == 3
    assert command("generate", "red apple")[0] == 0
    before = (tmp_path / ".limner" / "audit.db").read_bytes()
    code, out, _ = command("audit", "migrate")
    assert code == 0
    assert "already" in out
    assert (tmp_path / ".limner" / "audit.db").read_bytes() == before
    assert command("audit", "verify")[0] == 0
