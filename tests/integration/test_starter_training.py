"""The training program run as a user runs it: the whole chain, a kill in the middle, the real pictures."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.torch, pytest.mark.slow, pytest.mark.timeout(900)]

_ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = _ROOT / "providers" / "starter"
ONE_THREAD = ("--threads", "1")
"""Sums are then added in one order, so equal runs give equal bits."""
_SHIPPED = _ROOT / "providers" / "limner_providers" / "starter"


def start(*arguments: str) -> subprocess.Popen[str]:
    pytest.importorskip("diffusers")
    environment = {**os.environ, "PYTHONPATH": str(_PROGRAM), "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}
    command = [sys.executable, "-m", "limner_starter", *arguments]
    return subprocess.Popen(command, env=environment, text=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE)


def run(*arguments: str) -> tuple[int, str]:
    process = start(*arguments)
    output, errors = process.communicate(timeout=800)
    return process.returncode, output + errors


def smoke(folder: Path, *more: str) -> tuple[str, ...]:
    return ("train", "--smoke", "--output", str(folder), *more)


def digests(model: Path) -> dict[str, str]:
    files = sorted(file for file in model.rglob("*") if file.is_file())
    return {str(file.relative_to(model)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work folder of a smoke run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("trained")
    code, output = run(*smoke(folder, *ONE_THREAD))
    assert code == 0, output
    return folder


def test_the_chain_ends_in_a_loadable_model(trained: Path) -> None:
    """One command goes from drawings to a folder that StableDiffusionPipeline loads and draws with."""
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(str(trained / "starter"), local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline("red circle", num_inference_steps=2, guidance_scale=3.0, output_type="np").images
    assert picture.shape == (1, 64, 64, 3)
    assert np.isfinite(picture).all()
    assert len((trained / "starter" / "lineage.jsonl").read_text(encoding="utf-8").splitlines()) == 24


def test_the_export_has_the_files_of_the_shipped_folder(trained: Path) -> None:
    """A trained folder holds the same files as the shipped one; only card and notices are written by hand."""
    by_hand = {"MODEL_CARD.md", "LICENSE", "NOTICE"}
    assert set(digests(trained / "starter")) == set(digests(_SHIPPED)) - by_hand


def test_a_killed_run_goes_on_to_the_same_weights(trained: Path, tmp_path: Path) -> None:
    """Killed while the UNet trains, and resumed, a run ends bit for bit where an undisturbed one ends."""
    process = start(*smoke(tmp_path, *ONE_THREAD, "--save-seconds", "0"))
    checkpoint = tmp_path / "checkpoints" / "unet.pt"
    deadline = time.monotonic() + 600
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert checkpoint.exists()
    assert not (tmp_path / "starter").exists(), "the kill came in the middle"
    code, output = run(*smoke(tmp_path, *ONE_THREAD, "--resume"))
    assert code == 0, output
    assert digests(tmp_path / "starter") == digests(trained / "starter")


def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says when it ends with exit code 3; in this process, since a refusal trains nothing."""
    monkeypatch.syspath_prepend(str(_PROGRAM))
    monkeypatch.setattr(sys, "argv", ["limner_starter", *arguments])
    monkeypatch.setenv("COLUMNS", "500")
    from limner_starter.__main__ import main

    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 3
    return capsys.readouterr().err


def test_a_started_run_is_not_overwritten(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training into a used folder without --resume is refused with the way on."""
    assert "--resume" in refusal(monkeypatch, capsys, *smoke(trained))


def test_another_recipe_does_not_resume(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint of another recipe is refused, not continued."""
    assert "other options" in refusal(monkeypatch, capsys, *smoke(trained, "--resume", "--seed", "1"))


def test_a_folder_of_shapes_is_not_trained_as_emoji(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A work folder that holds the smoke run's shapes is refused by a run on the real pictures."""
    assert "holds pictures of" in refusal(monkeypatch, capsys, "data", "--output", str(trained))


@pytest.mark.parametrize("option", [("--device", "abacus"), ("--precision", "fp4"), ("--scale", "0")])
def test_impossible_options_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: tuple[str, str]
) -> None:
    """A device, precision or scale that cannot be is named together with what can."""
    assert option[1] in refusal(monkeypatch, capsys, *smoke(tmp_path, *option))


def test_the_real_pictures_are_those_of_the_lineage(tmp_path: Path) -> None:
    """Installed and drawn anew, all 1,087 pictures have the digests of the shipped lineage."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    code, output = run("data", "--output", str(tmp_path))
    if code == 3 and "npm could not install" in output:
        pytest.skip("npm could not reach its registry")
    assert code == 0, output
    drawn = (tmp_path / "lineage.jsonl").read_text(encoding="utf-8").splitlines()
    shipped = (_SHIPPED / "lineage.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in drawn] == [json.loads(line) for line in shipped]
