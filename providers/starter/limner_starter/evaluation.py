"""Measures a model folder: how often its pictures are the ones their prompts name, how fast, how faithful.

Writes ``figures.json`` and three sheets. It trains nothing and needs the training pictures to compare with.
"""

from __future__ import annotations

import hashlib
import json
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from limner_starter.autoencoder import psnr
from limner_starter.names import WORDING, common_names, contact_names, positions
from limner_starter.pictures import Pixels, TrainingSet
from limner_starter.sampling import Sampler
from limner_starter.sheets import Cell, write_sheet
from limner_starter.spaces import Judge
from limner_starter.workspace import replaced, write_json

_BATCH = 25
_ROUND = 10_000
_ALL = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the pictures are drawn."""

    steps: int = 20
    guidance: float = 3.0
    seeds: int = 2
    all_names: bool = False


@dataclass(frozen=True)
class Bench:
    """What the measurements share."""

    sampler: Sampler
    judge: Judge
    data: TrainingSet
    place: Mapping[str, int]
    drawn: Path
    console: Console

    def draw(self, prompts: Sequence[str], seeds: Sequence[int], what: str) -> Pixels:
        """One picture for each prompt and seed, in batches."""
        starts = range(0, len(prompts), _BATCH)
        return np.concatenate(
            [
                self._batch(prompts[start : start + _BATCH], seeds[start : start + _BATCH])
                for start in track(starts, what, console=self.console)
            ]
        )

    def draw_names(self, names: Sequence[str], first_seed: int, what: str) -> Pixels:
        """A picture of each name; the seed is ``first_seed`` plus the name's place in the training set."""
        return self.draw(names, [first_seed + self.place[name] for name in names], what)

    def _batch(self, prompts: Sequence[str], seeds: Sequence[int]) -> Pixels:
        """Drawn once and kept: a measurement that was stopped goes on where it was."""
        key = hashlib.sha256(json.dumps([self.sampler.digest, list(prompts), list(seeds)]).encode()).hexdigest()[:24]
        file = self.drawn / f"{key}.npy"
        if not file.is_file():
            with replaced(file) as temporary, temporary.open("wb") as handle:
                np.save(handle, self.sampler.draw(prompts, seeds))
        return np.asarray(np.load(file), dtype=np.uint8)


def evaluate(model: Path, data: TrainingSet, settings: Settings, results: Path, console: Console) -> dict[str, Any]:
    """Measures ``model``; writes ``figures.json`` and the sheets contact, names and limits (PNG) to ``results``."""
    results.mkdir(parents=True, exist_ok=True)
    sampler = Sampler(model, steps=settings.steps, guidance=settings.guidance)
    place = positions(data.names)
    bench = Bench(sampler, Judge(sampler.vae, data), data, place, results / "drawn", console)
    common = [name for name in common_names() if name in place]
    figures: dict[str, Any] = {
        "settings": asdict(settings),
        "machine": _machine(),
        "load_seconds": round(sampler.load_seconds, 3),
        "autoencoder_psnr_db": round(psnr(sampler.vae, data.rgb), 2),
    }
    rounds = [
        bench.draw_names(common, _ROUND * number, f"common names, round {number + 1}")
        for number in range(settings.seeds)
    ]
    figures["seconds_a_picture"] = _seconds(sampler, common)
    figures["common_names"] = [share(bench, common, pictures) for pictures in rounds]
    figures["difference_of_seeds"] = _seed_difference(rounds)
    _sheets(bench, common, rounds, results, settings)
    if settings.all_names:
        # Seeds of their own, so that this figure is another sample than the common names'.
        figures["all_names"] = share(bench, data.names, bench.draw_names(data.names, _ALL, "all names"))
    write_json(results / "figures.json", figures)
    console.print_json(data=figures)
    return figures


def share(bench: Bench, names: Sequence[str], pictures: Pixels) -> dict[str, Any]:
    """How many pictures are nearest to the training picture of their own name, and which are not, by space."""
    right = np.array([bench.place[name] for name in names])
    figures: dict[str, Any] = {"pictures": len(names)}
    for space, found in bench.judge.nearest(pictures).items():
        wrong = np.flatnonzero(found != right)
        figures[space] = {
            "right": len(names) - len(wrong),
            "share": round(1 - len(wrong) / len(names), 4),
            "wrong": {names[i]: bench.data.names[found[i]] for i in wrong.tolist()},
        }
    return figures


def _seconds(sampler: Sampler, names: Sequence[str]) -> dict[str, float]:
    """Median seconds of a picture drawn alone, and of one in a batch of 25; warmed up by what went before."""
    alone = [_timed(sampler, [names[i]]) for i in range(7)]
    return {
        "alone": round(statistics.median(alone), 3),
        "in_a_batch": round(_timed(sampler, names[:_BATCH]) / len(names[:_BATCH]), 3),
    }


def _timed(sampler: Sampler, prompts: Sequence[str]) -> float:
    started = time.perf_counter()
    sampler.draw(prompts, range(len(prompts)))
    return time.perf_counter() - started


def _seed_difference(rounds: Sequence[Pixels]) -> dict[str, float] | None:
    """RMS pixel difference (0 … 255) of one name's pictures under two seeds, and of two names' pictures."""
    if len(rounds) < 2:
        return None
    first, second = (pictures.astype(np.float32) for pictures in rounds[:2])

    def difference(other: Any) -> float:
        return round(float(np.sqrt(((first - other) ** 2).mean((1, 2, 3))).mean()), 2)

    return {"same_name": difference(second), "other_name": difference(np.roll(second, 1, axis=0))}


def _sheets(bench: Bench, common: Sequence[str], rounds: Sequence[Pixels], results: Path, settings: Settings) -> None:
    how = f"{settings.steps} steps, guidance {settings.guidance:g}"
    contact = contact_names(bench.place)
    shown = [pictures[[common.index(name) for name in contact]] for pictures in rounds[:2]]
    real = bench.data.rgb[[bench.place[name] for name in contact]]
    cells = [Cell(name, [real[i], *(seed[i] for seed in shown)]) for i, name in enumerate(contact)]
    title = f"training picture, then two drawn with different seeds; {how}; 64x64 enlarged 1.5x (Lanczos)"
    write_sheet(results / "contact.png", cells, title=title, columns=6, enlarge=1.5)

    wrong = set(share(bench, common, rounds[0])["latents"]["wrong"])
    cells = [Cell(name, [rounds[0][i]], name in wrong) for i, name in enumerate(common)]
    title = f"{len(common)} common names, first round, {how}; red: nearest latent is another; enlarged 1.25x (Lanczos)"
    write_sheet(results / "names.png", cells, title=title, columns=20, enlarge=1.25)

    prompts = [prompt for group in WORDING.values() for prompt in group]
    pictures = [bench.draw(prompts, range(first, first + len(prompts)), "free prompts") for first in (7, 1007)]
    cells = [Cell(prompt or "(empty prompt)", [seed[i] for seed in pictures]) for i, prompt in enumerate(prompts)]
    title = f"prompts that are no training names, two seeds; {how}; enlarged 1.5x (Lanczos)"
    write_sheet(results / "limits.png", cells, title=title, columns=6, enlarge=1.5)


def _machine() -> dict[str, str | int]:
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
