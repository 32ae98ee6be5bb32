"""`limner audit erase`, `hold`, `sweep` and `rotate-key`: what a privacy officer types and reads, and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner.policy_tools.instants import ending

Command = Callable[..., tuple[int, str, str]]


def answer(command: Command, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run a command with --json, and give its document."""
    got, out, err = command(*arguments, "--json")
    assert got == code, out + err
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.fixture
def people(command: Command) -> dict[str, str]:
    """Let ann and bob ask for a picture each, and give their records."""
    return {
        user: answer(command, "generate", f"apple of {user}", "--user", user, "--output", f"{user}.png")["record_id"]
        for user in ("ann", "bob")
    }


def test_an_erasure_is_looked_at_confirmed_and_told(command: Command, people: dict[str, str], tmp_path: Path) -> None:
    """Dry run, refusal without --yes, the erasure, nothing the second time; the log says VALID-WITH-ERASURE."""
    planned = answer(command, "audit", "erase", "--subject", "ann", "--dry-run")
    assert (planned["done"], planned["records"], planned["pictures"] > 0) == (False, [people["ann"]], True)
    assert command("audit", "erase", "--subject", "ann")[0] == 2
    assert answer(command, "audit", "erase", "--subject", "ann", code=2)["error"] == "ConfigInvalid"
    done = answer(command, "audit", "erase", "--subject", "ann", "--yes", "--reason", "asked on paper")
    assert (done["done"], done["payloads"], done["key_kept"]) == (True, planned["payloads"], False)
    code, out, _ = command("audit", "erase", "--subject", "ann", "--yes")
    assert (code, "Nothing is kept" in out) == (0, True)
    report = answer(command, "audit", "verify")
    assert (report["verdict"], report["ok"]) == ("VALID-WITH-ERASURE", True)
    assert command("audit", "show", people["ann"])[0] == 0
    assert "apple of bob" in command("audit", "show", people["bob"])[1]
    stored = b"".join(p.read_bytes() for p in (tmp_path / ".limner").rglob("*") if p.is_file())
    assert b"asked on paper" not in stored


def test_one_record_goes_alone(command: Command, people: dict[str, str]) -> None:
    """The command says that the user's key stays; an unknown record is the answer no."""
    code, out, _ = command("audit", "erase", "--record", people["bob"], "--yes")
    assert (code, "data key stays" in out) == (0, True)
    assert answer(command, "audit", "erase", "--record", "nowhere", "--dry-run", code=1)["error"] == "RecordNotFound"


def test_a_hold_is_set_listed_obeyed_and_released(command: Command, people: dict[str, str]) -> None:
    """Under a hold an erasure and its dry run are exit code 1; after the release it goes through."""
    assert people
    hold = answer(command, "audit", "hold", "--subject", "ann", "--reason", "court 7", "--until", "2099-01-01")
    assert (hold["stands"], hold["until"]) == (True, "2099-01-02T00:00:00.000000Z")
    (listed,) = answer(command, "audit", "hold", "--list")["holds"]
    assert (listed["subject"], listed["reason"]) == ("ann", "court 7")
    assert "court 7" in command("audit", "hold", "--list")[1]
    refused = answer(command, "audit", "erase", "--subject", "ann", "--yes", code=1)
    assert refused["error"] == "ErasureHeld"
    assert hold["hold"] in refused["message"]
    assert answer(command, "audit", "erase", "--subject", "ann", "--dry-run", code=1)["holds"] == [hold["hold"]]
    assert answer(command, "audit", "hold", "--release", hold["hold"], "--reason", "over")["stands"] is False
    assert answer(command, "audit", "hold", "--release", hold["hold"], code=2)["error"] == "EntryInvalid"
    assert answer(command, "audit", "erase", "--subject", "ann", "--yes")["done"] is True
    assert "erased" in command("audit", "hold", "--list")[1]


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("2099-01-01", "2099-01-02T00:00:00.000000Z"),
        ("20990101", "2099-01-02T00:00:00.000000Z"),
        ("2099-01-01T10:00", "2099-01-01T10:00:00.000000Z"),
        ("2099-01-01T10:00:00+02:00", "2099-01-01T08:00:00.000000Z"),
    ],
)
def test_a_hold_lasts_to_the_end_of_its_day(text: str, means: str) -> None:
    """However a day is written, it is included; a time is meant to the second."""
    assert ending(text, "--until") == means


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("erase",), "one of --subject and --record"),
        (("erase", "--subject", "a", "--record", "b"), "one of --subject and --record"),
        (("erase", "--subject", " "), "--subject is empty"),
        (("hold",), "one of --subject and --record"),
        (("hold", "--subject", "a"), "needs a reason"),
        (("hold", "--subject", "a", "--reason", "x", "--until", "soon"), "--until 'soon' is no date"),
        (("hold", "--subject", "a", "--reason", "x", "--until", "2020-01-01"), "is over"),
        (("hold", "--list", "--subject", "a"), "--list stands alone"),
        (("hold", "--release", "x", "--until", "2099-01-01"), "--release stands alone"),
        (("hold", "--release", "x"), "has no hold"),
    ],
)
def test_wrong_arguments_name_what_is_wrong(command: Command, arguments: tuple[str, ...], word: str) -> None:
    """Each is exit code 2 with the option's name, and nothing is written."""
    answer(command, "generate", "red apple")
    before = answer(command, "audit", "verify")["size"]
    code, _, err = command("audit", *arguments)
    assert (code, word in err.replace("\n", " ")) == (2, True), err
    assert answer(command, "audit", "verify")["size"] == before


@pytest.mark.parametrize(
    "arguments",
    [("erase", "--subject", "a", "--yes"), ("hold", "--list"), ("sweep",), ("rotate-key",)],
)
def test_where_there_is_no_log_none_is_made(command: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Looking after a log never begins one: exit code 3."""
    assert command("audit", *arguments)[0] == 3
    assert not (tmp_path / ".limner").exists()


def test_a_rotated_key_and_a_swept_store(command: Command, people: dict[str, str]) -> None:
    """Old and new key are told, either can be pinned, evidence is made under the new one, and the sweep counts."""
    turned = answer(command, "audit", "rotate-key")
    for name in ("old_key", "log_key"):
        report = answer(command, "audit", "verify", "--log-key", turned[name])
        assert (report["ok"], report["trust"], report["rotations"]) == (True, "pinned", 1)
    assert command("audit", "evidence", people["ann"], "--output", "ann.evidence")[0] == 0
    assert answer(command, "audit", "sweep") == {"erased": 0, "unreferenced": 0, "alone": True}
    assert command("audit", "rotate-key")[0] == command("audit", "sweep")[0] == 0
