"""Runs one training stage: resume, learning rate, checkpoints, progress bar, log.

It knows that a stage has steps and a state, and nothing about pictures or networks.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from limner_starter.errors import BadWorkFolder
from limner_starter.recipe import Budget
from limner_starter.workspace import Workspace, replaced

_LOG_EVERY = 50


class Stage(Protocol):
    """What the loop trains."""

    name: str
    title: str
    budget: Budget

    def step(self, number: int) -> Mapping[str, float]:
        """Does optimiser step ``number`` (from 0) and returns the figures to show; ``loss`` is among them."""

    def state(self) -> dict[str, Any]:
        """Everything that the next step rests on: tensors, numbers, and dicts of them."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over what ``state`` gave."""


@dataclass(frozen=True)
class Run:
    """What all stages of one run share.

    Attributes:
        fingerprint: Digest of recipe, data and precision; a checkpoint of another one is refused.
        save_seconds: Seconds between two checkpoints of a stage.
    """

    workspace: Workspace
    fingerprint: str
    progress: Progress
    save_seconds: float


def run_stage(stage: Stage, run: Run) -> None:
    """Trains ``stage`` to its last step, from its checkpoint where there is one.

    Raises:
        BadWorkFolder: The checkpoint belongs to another run.
    """
    first = _resume(stage, run)
    task = run.progress.add_task(stage.title, total=stage.budget.steps, completed=first, loss="")
    saved, figures = time.monotonic(), _Averages()
    for number in range(first, stage.budget.steps):
        with _told_when_interrupted(stage, run, number):
            figures.add(stage.step(number))
        run.progress.update(task, advance=1, loss=figures.short())
        if (number + 1) % _LOG_EVERY == 0:
            _log(run, stage.name, number + 1, figures.take())
        if time.monotonic() - saved > run.save_seconds:
            _save(stage, run, number + 1)
            saved = time.monotonic()
    if first < stage.budget.steps:
        _save(stage, run, stage.budget.steps)


def learning_rate(budget: Budget, step: int, *, warm_up: int, floor: float) -> float:
    """Linear warm-up over ``warm_up`` steps, then half a cosine down to ``floor`` of the budget's rate."""
    done = step / budget.steps
    cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
    return budget.learning_rate * min(1.0, (step + 1) / warm_up) * cosine


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Gives every parameter group the same rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def progress_bar(console: Console) -> Progress:
    """The progress display: stage, bar, steps, time gone, time left, loss."""
    return Progress(
        TextColumn("{task.description:<34}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
        console=console,
    )


class _Averages:
    """Means of the figures since they were last taken."""

    def __init__(self) -> None:
        self._rows: list[Mapping[str, float]] = []

    def add(self, row: Mapping[str, float]) -> None:
        self._rows.append(row)

    def take(self) -> dict[str, float]:
        rows, self._rows = self._rows, []
        return {key: round(sum(row[key] for row in rows) / len(rows), 5) for key in rows[0]}

    def short(self) -> str:
        return f"loss {self._rows[-1]['loss']:.3f}"


def _save(stage: Stage, run: Run, step: int) -> None:
    with replaced(run.workspace.checkpoint(stage.name)) as temporary:
        torch.save({"fingerprint": run.fingerprint, "step": step, "state": stage.state()}, temporary)


def _resume(stage: Stage, run: Run) -> int:
    path = run.workspace.checkpoint(stage.name)
    if not path.exists():
        return 0
    saved = torch.load(path, map_location="cpu", weights_only=True)
    if saved["fingerprint"] != run.fingerprint:
        raise BadWorkFolder(
            f"{path} was trained with other options or pictures: give those of its start, or another --output"
        )
    stage.restore(saved["state"])
    return int(saved["step"])


@contextmanager
def _told_when_interrupted(stage: Stage, run: Run, step: int) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        # The step may have half happened: keep the last checkpoint, which is whole.
        path = run.workspace.checkpoint(stage.name)
        kept = "its last checkpoint is kept" if path.exists() else "it starts anew"
        run.progress.console.print(f"stopped in {stage.title} at step {step}; {kept}; go on with --resume")
        raise


def _log(run: Run, stage: str, step: int, figures: Mapping[str, float]) -> None:
    with run.workspace.log.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps({"stage": stage, "step": step, **figures}) + "\n")
