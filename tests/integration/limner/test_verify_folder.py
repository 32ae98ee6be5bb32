"""`limner verify FOLDER`: each picture on its line, what is counted, and the exit codes."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from limner.verification import Verifier
from limner.verification_folder import pictures_in, verify_files

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(command: Command, tmp_path: Path) -> Path:
    """Give a folder that the log's pictures are in, under names and beside files that mislead."""
    made = tmp_path / "pictures"
    (made / "below").mkdir(parents=True)
    (made / ".hidden").mkdir()
    assert command("generate", "red apple", "--n", "2", "--output", "apple.png")[0] == 0
    data = (tmp_path / "apple-1.png").read_bytes()
    (made / "b.jpg").write_bytes(data)
    (made / "below" / "a").write_bytes((tmp_path / "apple-2.png").read_bytes())
    (made / ".hidden" / "c.png").write_bytes(data)
    (made / "d.png").symlink_to(tmp_path / "apple-1.png")
    (made / "notes.png").write_text("no picture")
    return made


def documents(text: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Parse JSON Lines: a document for each picture, and the summary."""
    *pictures, last = (json.loads(line) for line in text.splitlines())
    return pictures, last["summary"]


def spoil(folder: Path) -> None:
    """Add a picture that is not whole, one without credentials, and one that was changed."""
    data = (folder / "b.jpg").read_bytes()
    (folder / "cut.png").write_bytes(data[:500])
    Image.new("RGB", (8, 8)).save(folder / "plain.png")
    body = b"tEXtTitle\0pear"
    text = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    (folder / "changed.png").write_bytes(data[:33] + text + data[33:])  # after the header


def test_a_folder_of_good_pictures_is_exit_0(command: Command, folder: Path) -> None:
    """Pictures are told by their bytes, in the order of names; links and hidden folders are passed over."""
    code, out, _ = command("verify", "pictures", "--json")
    pictures, summary = documents(out)
    assert code == 0
    assert [one["file"] for one in pictures] == ["pictures/b.jpg", "pictures/below/a"]
    assert all(one["good"] and one["verdict"] == "trusted" for one in pictures)
    assert (summary["files"], summary["good"], summary["development"], summary["passed_over"]) == (2, True, 2, 1)
    assert summary["stops_first"] == min(one["credentials"]["stops_validating"] for one in pictures)
    code, out, _ = command("verify", "pictures")
    assert code == 0
    assert "2 pictures in" in out
    assert "1 other files passed over" in out


@pytest.mark.parametrize("threads", ["1", "4"])
def test_one_bad_picture_is_exit_1_and_told(command: Command, folder: Path, threads: str) -> None:
    """However many threads: each has its verdict, `--bad` leaves the good ones out, the summary counts all."""
    spoil(folder)
    code, out, _ = command("verify", "pictures", "--json", "--threads", threads)
    pictures, summary = documents(out)
    assert code == 1
    assert {Path(one["file"]).name: one["verdict"] for one in pictures} == {
        "a": "trusted", "b.jpg": "trusted", "changed.png": "invalid", "cut.png": "unreadable", "plain.png": "absent",
    }  # fmt: skip
    assert (summary["bad"], summary["files"], summary["good"]) == (3, 5, False)
    assert summary["counted"] == {"trusted": 2, "invalid": 1, "unreadable": 1, "absent": 1}
    (changed,) = (one for one in pictures if one["file"].endswith("changed.png"))
    assert changed["differences"] == [{"what": "metadata", "says": "tEXt added"}]
    (cut,) = (one for one in pictures if one["file"].endswith("cut.png"))
    assert "is not whole" in cut["problem"]
    bad, again = documents(command("verify", "pictures", "--bad", "--json")[1])
    assert (len(bad), again["files"]) == (3, 5)
    code, out, _ = command("verify", "pictures", "--bad")
    assert code == 1
    assert "3 did not come out good" in out
    assert "b.jpg" not in out


def test_pictures_of_nobody_are_counted_as_not_checked(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without the log they are good as far as they go, and the summary says how far that is."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, out, _ = command("verify", str(folder), "--json")
    _, summary = documents(out)
    assert (code, summary["not_checked"], summary["counted"]) == (0, 2, {"valid": 2})
    assert "2 could not be held against a record of this log" in command("verify", str(folder))[1]


@pytest.mark.parametrize("name", ["empty", "texts"])
def test_a_folder_without_pictures_is_exit_2(command: Command, tmp_path: Path, name: str) -> None:
    """Nothing was verified, so it must not look as if all were good."""
    (tmp_path / name).mkdir()
    if name == "texts":
        (tmp_path / name / "a.txt").write_text("a")
    code, out, err = command("verify", name)
    assert (code, out) == (2, "")
    assert "holds no PNG, JPEG or WebP" in err
    code, out, _ = command("verify", name, "--json")
    assert (code, json.loads(out)["error"]) == (2, "ConfigInvalid")


def test_a_file_that_vanishes_is_unreadable_and_stops_nothing(command: Command, folder: Path, tmp_path: Path) -> None:
    """What was listed and is gone a moment later is an answer of its own; the others are verified."""
    files, _ = pictures_in(folder)
    (folder / "b.jpg").unlink()
    with Verifier(tmp_path / "limner.yaml") as verifier:
        found = list(verify_files(verifier, files, threads=2))
    assert [one.verdict for one in found] == ["unreadable", "trusted"]
    assert "b.jpg cannot be read" in found[0].problem
