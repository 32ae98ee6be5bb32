"""The kit itself: a provider with one fault fails exactly there, and a sound one passes everything."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

MUTANTS = Path(__file__).parent / "mutants"
PAGE = Path(__file__).parents[2] / "docs" / "writing-a-provider.md"

# By mutant: a check that has to find it.
LOCAL = {
    "DropsNegativePrompt": "makes_a_difference_or_is_refused[negative_prompt]",
    "DropsQuality": "makes_a_difference_or_is_refused[quality]",
    "DropsReferences": "makes_a_difference_or_is_refused[second reference]",
    "DropsOption": "option_of_its_own",
    "ClampsSteps": "beyond_a_limit",
    "SnapsSize": "size_is_met_exactly",
    "GivesFewer": "as_many_pictures",
    "GivesMore": "as_many_pictures",
    "IgnoresSeed": "seed_makes_its_picture_again",
    "BatchDiffers": "seed_makes_its_picture_again",
    "LiesAboutFormat": "format_is_what_comes_or_is_refused[png]",
    "TurnsMaskRound": "white_changes",
    "MirrorsMask": "white_changes",
    "MisplacesOriginal": "original_in_its_place",
    "PromisesTooMuch": "task_is_carried_out_or_refused[img2img]",
    "SwallowsCancellation": "cancelled_it_cancels",
    "ForgetsTimeout": "time_out_is_an_error",
    "LeavesTask": "as_many_pictures",
    "LeavesThread": "as_many_pictures",
    "OneLoopOnly": "one_event_loop_after_another",
    "MixesUp": "mix_up",
    "BreaksWithListener": "listener_that_raises",
}
NETWORK = {
    "RetriesItself": "right_error[429]",
    "LeaksKeyInMessage": "no_secret[502-html]",
    "LeaksKeyInCause": "no_secret[502-html]",
    "LeaksKeyInLog": "no_secret[502-html]",
    "LeaksKeyInRepr": "shows_no_secret",
    "LeaksPrompt": "no_secret[500]",
    "LosesRequestId": "right_error[500]",
    "LosesRetryAfter": "right_error[429-date]",
    "MakesUpRetryAfter": "right_error[429-nonsense]",
    "TakesLostForUnavailable": "right_error[cut-in-body]",
    "DeniesTheBill": "right_error[no-picture]",
    "ForgetsCategories": "right_error[moderation-input]",
    "TakesBlockForFailure": "right_error[moderation-output]",
    "LetsLibraryErrorsOut": "right_error[cut-before-headers]",
    "NoRemedy": "right_error[401]",
    "DoesNotPickle": "right_error[401]",
    "EmptyIsSuccess": "right_error[empty]",
    "DropsSize": "size_is_met_exactly",
    "ChecksAfterwards": "makes_a_difference_or_is_refused[negative_prompt]",
    "LeavesSocket": "as_many_pictures",
    "ShieldsTheCall": "cancelled_it_cancels",
    "AsksTheNetworkForCapabilities": "without_a_network",
}


CHOOSING = """
import json, pathlib

def pytest_collection_modifyitems(items):
    expected = json.loads((pathlib.Path(__file__).parent / "expected.json").read_text())
    items[:] = [item for item in items if expected.get(item.cls.__name__.removeprefix("Test"), "") in item.name]
"""


def judged(folder: Path, file: str, expected: dict[str, str]) -> dict[str, set[str]]:
    """Let pytest run, in a process of its own, every check of the sound provider and of each mutant the one it is for.

    Returns:
        The names of the failed checks by class.
    """
    (folder / "test_mutants.py").write_text((MUTANTS / file).read_text("utf-8"), encoding="utf-8")
    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    (folder / "conftest.py").write_text(CHOOSING, encoding="utf-8")
    report = folder / "report.xml"
    options = ["-q", "--tb=no", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={folder}"]
    command = [sys.executable, "-m", "pytest", *options, f"--junitxml={report}", "test_mutants.py"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    assert report.exists(), done.stdout[-2000:] + done.stderr[-2000:]
    failed: dict[str, set[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        found = failed.setdefault(str(case.get("classname")).rpartition(".Test")[2], set())
        if case.find("failure") is not None:
            found.add(str(case.get("name")))
    return failed


def check(failed: dict[str, set[str]], expected: dict[str, str]) -> None:
    """See that the sound one passed, and that each mutant failed where it had to."""
    assert failed.pop("Mutant") == set(), "The kit fails a sound provider."
    assert sorted(failed) == sorted(expected)
    assert [name for name in expected if not failed[name]] == [], "The kit passes a provider with this fault."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write the manual's provider and its test file."""
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        (tmp_path / code.split()[1]).write_text(code, encoding="utf-8")
    return tmp_path


def test_the_kit_finds_every_bad_engine_of_this_machine(tmp_path: Path) -> None:
    """Each fault of a local engine is found by the check that is there for it."""
    check(judged(tmp_path, "local.py", LOCAL), LOCAL)


def test_the_kit_finds_every_bad_provider_of_a_network(folder: Path) -> None:
    """Each fault of a provider over HTTP is found by the check that is there for it."""
    check(judged(folder, "network.py", NETWORK), NETWORK)
