"""The demo, with two prompts instead of eight: what a newcomer sees first has to hold."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from offline import verify_alone

from limner.cli import run
from limner.config import Config
from limner.demo import __main__ as demo
from limner.reading import open_log


@pytest.mark.torch
def test_the_demo_tells_the_whole_story(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pictures, decisions, a denial with its rule, a forgery that is caught, and a log that proves itself."""
    pytest.importorskip("diffusers")
    monkeypatch.setattr(demo, "PROMPTS", ("red apple", "fox"))
    monkeypatch.setattr(sys, "argv", ["limner.demo", "--output", str(tmp_path / "out")])
    assert demo.main() == 0
    told = capsys.readouterr().out
    for words in (
        "4 pictures in",
        "denied by rule GEN-020",
        "=> trusted",
        "=> invalid",
        "bytes: differ",
        "\nVALID-WITH-ERASURE in",
    ):
        assert words in told, words
    for words in ("denied by rule SC-1 of pack starter-concepts", "clip/weapon", "reached", "No picture is kept"):
        assert words in told, words
    folder = tmp_path / "out"
    assert {p.name for p in folder.glob("*.png")} == {
        "contact-sheet.png",
        "forged.png",
        *(f"{prompt}-seed{seed}.png" for prompt in ("red-apple", "fox") for seed in (7, 8)),
    }
    with open_log(Config(root=folder)) as log:
        assert len(list(log.entries(steps=["delivered"]))) == 2
        assert len(list(log.entries(steps=["denied"]))) == 2
        (seen,) = (e for e in log.entries(steps=["judged"]) if e.data.get("hits") and e.data.get("evidence"))
        (weapon,) = (one for one in seen.data["evidence"] if one["category"] == "weapon")
        assert weapon["rules"][0]["comparison"] == "reached"
        assert weapon["score"] >= weapon["rules"][0]["threshold"]
    proven_far_away(folder, tmp_path / "far")


def proven_far_away(folder: Path, far: Path) -> None:
    """A picture of the demo, its evidence and the verifier, copied to an empty folder, verify without a network."""
    far.mkdir()
    config = folder / "limner.yaml"
    config.write_text("{}\n", encoding="utf-8")
    picture, evidence = folder / "fox-seed8.png", far / "fox.evidence"
    assert run(["audit", "evidence", str(picture), "--output", str(evidence), "--config", str(config)]) == 0
    shutil.copy(picture, far)
    code, report = verify_alone(far, "fox.evidence", "fox-seed8.png")
    assert (code, report["verdict"], report["trust"]) == (0, "VALID", "unpinned")
    assert len(evidence.read_bytes()) <= 64 * 1024
    for name in ("fox.evidence", "fox-seed8.png"):
        data = bytearray((far / name).read_bytes())
        data[len(data) // 2] ^= 1
        (far / f"changed-{name}").write_bytes(data)
    assert verify_alone(far, "changed-fox.evidence", "fox-seed8.png")[0] == 1
    assert verify_alone(far, "fox.evidence", "changed-fox-seed8.png")[0] == 1
