"""A process that dies at any step of a request: the log opens, proves itself, and says what is unfinished."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from limner import Limner, verify_file
from limner.config import Config
from limner.reading import open_log
from limner.recovery import recover
from limner_provenance.audit import verify as verify_log
from limner_provenance.states import derive

STEPS = ("accept", "judge_request", "plan", "attempt", "judge_images", "mark", "seal", "deliver")

CHILD = """
import os, signal, sys
from pathlib import Path
from limner import Limner
from limner.config import Config
import limner.pipeline as pipeline

root, step, when, settings = Path(sys.argv[1]), sys.argv[2], sys.argv[3], eval(sys.argv[4])
config = Config.model_validate({"providers": {"fake": {"kind": "test", **settings}}, "root": root})

def dying(real):
    async def step(record, *rest):
        if when == "before":
            record.log.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        await real(record, *rest)
        record.log.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    return step

if step:
    setattr(pipeline, step, dying(getattr(pipeline, step)))
with Limner.open(config, context={"user": "ann"}) as limner:
    print("opened", flush=True)
    for seed in range(1000):
        limner.generate("red apple", seed=seed)
"""


def house(root: Path) -> Config:
    return Config.model_validate({"providers": {"fake": {"kind": "test"}}, "root": root})


def child(root: Path, step: str = "", when: str = "", **settings: object) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", CHILD, str(root), step, when, repr(settings)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def died(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors


def proves_itself(config: Config) -> None:
    with open_log(config) as log:
        report = verify_log(log)
    assert report.ok, report.findings


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step(tmp_path: Path, step: str, when: str) -> None:
    """Whatever was begun is listed with its state, finishing ends it, and a produced picture is never lost."""
    died(child(tmp_path, step, when))
    config = house(tmp_path)
    proves_itself(config)
    found = recover(config)
    if (step, when) == ("accept", "before"):
        assert found == []
        return
    delivered = (step, when) == ("deliver", "after")
    assert len(found) == (0 if delivered else 1)
    recover(config, finish=True)
    assert recover(config) == []
    proves_itself(config)
    produced = delivered or STEPS.index(step) > STEPS.index("attempt") or (step, when) == ("attempt", "after")
    with open_log(config) as log:
        sealed = [e.record for e in log.entries(steps=["sealed"])]
    assert len(sealed) == (1 if produced else 0)
    if produced:
        with Limner.open(config) as limner:
            image = limner.get(str(sealed[0])).images[0]
        assert verify_file(image.save(tmp_path / "a.png"), config=config).good


@pytest.mark.parametrize("fault", ["crash-before-send", "crash-after-send"])
def test_killed_inside_the_engine(tmp_path: Path, fault: str) -> None:
    """A request that left and was not answered ends as unknown: it is never sent again."""
    ledger = tmp_path / "ledger"
    died(child(tmp_path, fail=fault, ledger=str(ledger)))
    config = house(tmp_path)
    (found,) = recover(config)
    assert found.state == "attempted"
    (done,) = recover(config, finish=True)
    assert done.outcome.startswith("unknown")
    billed = ledger.read_text().count("\n") if ledger.exists() else 0
    assert billed == (1 if fault == "crash-after-send" else 0)


def test_a_running_request_of_another_process_is_not_unfinished(tmp_path: Path) -> None:
    """`recover` leaves alone what a living process works on, and lists it once that process is dead."""
    process = child(tmp_path, delay=30)
    config = house(tmp_path)
    try:
        deadline = time.monotonic() + 30
        while not list((tmp_path / ".limner" / "run").glob("*-*")):
            assert time.monotonic() < deadline, process.poll()
            time.sleep(0.05)
        time.sleep(0.5)
        assert recover(config) == []
        assert recover(config, finish=True) == []
    finally:
        os.kill(process.pid, signal.SIGKILL)
        died(process)
    assert [f.state for f in recover(config)] == ["attempted"]


def test_killed_at_random_moments(tmp_path: Path) -> None:
    """However often it dies, the log opens and proves itself, and every delivered picture can be fetched."""
    rounds = 200 if os.environ.get("LIMNER_SOAK") else 6
    chance = random.Random(7)
    config = house(tmp_path)
    for _ in range(rounds):
        process = child(tmp_path)
        assert process.stdout is not None
        assert process.stdout.readline() == "opened\n"
        time.sleep(chance.uniform(0.0, 0.6))
        os.kill(process.pid, signal.SIGKILL)
        died(process)
        proves_itself(config)
        recover(config, finish=True)
        assert recover(config) == []
    with open_log(config) as log:
        delivered = [str(e.record) for e in log.entries(steps=["delivered"])]
    with Limner.open(config) as limner:
        assert all(limner.get(record).images for record in delivered)
    assert list(tmp_path.rglob("*.part")) == []


EVENTS = """
import os, signal, sys
from pathlib import Path
from limner import ImageRequest, Limner
from limner.config import Config
from limner.records import Record
from limner_providers import JobAccepted
from limner_providers.test import TestProvider

root, step, number, when = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
providers = {
    "gone": {"kind": "test", "fail": "access"},
    "fake": {"kind": "test", "max_n": 2, "cost": "1", "ledger": str(root / "ledger")},
}
config = Config.model_validate({"providers": providers, "root": root})
seen = 0

def die_at(name, before, record):
    global seen
    if name != step:
        return
    seen += before == (when == "before")
    if seen == number and before == (when == "before"):
        record.log.flush()
        os.kill(os.getpid(), signal.SIGKILL)

add, note, draw = Record.add, Record.note, TestProvider.generate

async def dying_add(self, name, data, payloads=None, **more):
    die_at(name, True, self)
    entry = await add(self, name, data, payloads, **more)
    die_at(name, False, self)
    return entry

def dying_note(self, name, data):
    die_at(name, True, self)
    note(self, name, data)
    die_at(name, False, self)

async def generate(self, request, **rest):
    if rest["on_event"] is not None:
        rest["on_event"](JobAccepted(job=f"job-{self.calls}"))
    return await draw(self, request, **rest)

async def fetch(self, job, request, *, model=None, timeout=None):
    raise AssertionError

Record.add, Record.note, TestProvider.generate, TestProvider.fetch = dying_add, dying_note, generate, fetch
with Limner.open(config, context={"user": "ann"}) as limner:
    limner.run(ImageRequest(prompt="red apple", n=5, seed=7), on_unsupported="adapt")
"""

POINTS = [
    ("attempt_failed", 1),
    ("attempted", 2),
    ("attempted", 3),
    ("submitted", 3),
    ("produced", 1),
    ("produced", 2),
    ("produced", 3),
    ("judged", 4),
    ("sealed", 5),
]
"""Entries at which to die: call 1 is refused by the first provider, calls 2 to 4 make 2 + 2 + 1 pictures."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("step", "number"), POINTS)
def test_killed_within_a_split_request(tmp_path: Path, step: str, number: int, when: str) -> None:
    """Killed anywhere between a fall-back and the last of three calls, nothing paid is lost and nothing sent again."""
    arguments = [sys.executable, "-c", EVENTS, str(tmp_path), step, str(number), when]
    died(subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    ledger = tmp_path / "ledger"
    billed = ledger.read_text().count("\n") if ledger.exists() else 0
    config = Config.model_validate(
        {
            "providers": {
                "gone": {"kind": "test"},
                "fake": {"kind": "test", "max_n": 2, "ledger": str(ledger)},
            },
            "root": tmp_path,
        }
    )
    proves_itself(config)
    (found,) = recover(config)
    recover(config, finish=True)
    proves_itself(config)
    assert recover(config) == []
    assert (ledger.read_text().count("\n") if ledger.exists() else 0) == billed
    with open_log(config) as log:
        entries = list(log.entries(record=found.record))
        state = derive(entries)
    kept = sum(len(e.data["images"]) for e in entries if e.step == "produced")
    assert state.irregular == ()
    lost = sum(e.step == "attempted" for e in entries) > sum(e.step == "attempt_failed" for e in entries)
    assert state.ending == ("delivered" if kept else "unknown" if lost else "failed")
    assert sum(e.step == "sealed" for e in entries) == kept
    if kept:
        with Limner.open(config) as limner:
            result = limner.get(found.record)
        assert [i.seed for i in result.images] == list(range(7, 7 + kept))
        assert kept == 5 or any(w.startswith(f"{kept} of 5 pictures") for w in result.warnings)
        assert verify_file(result.images[-1].save(tmp_path / "a.png"), config=config).good
