"""Figures of the detector clip: `python benchmarks/clip.py [--quick]`. Each line names its peer.

ViT-B-32 has weights by chance, made here and saved to a file: what it costs does not depend on what it knows. Bounds
asked for: an embedding at most 1.1 times that of bare open_clip, and 100 concepts at most 1 ms more than one.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from limner_policy.concepts import Concept
from limner_policy.detectors.base import Pixels
from limner_policy.detectors.clip import ClipDetector
from limner_policy.detectors.clip_files import STARTER_FOLDER, ClipSettings, file_sha256
from limner_policy.detectors.running import run_detectors
from limner_policy.detectors.settings import Place

NAME = "ViT-B-32"


def pictures(count: int, side: int) -> list[Pixels]:
    """Noise, which no resizing is quicker with than with any other picture."""
    chance = np.random.default_rng(7)
    return [chance.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(count)]


def concepts(count: int) -> dict[str, Concept]:
    """Concepts of four prompts each."""
    each = (Concept(f"c{n}", (f"thing {n}", f"part {n}"), ("a stone", f"case {n}")) for n in range(count))
    return {one.name: one for one in each}


def by_turns(works: list[Callable[[], object]], rounds: int) -> list[float]:
    """Seconds of each: the median of rounds in which all have their turn, so that a busy machine hits all alike."""
    for work in works:
        work()
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, times in zip(works, taken, strict=True):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
    return [statistics.median(times) for times in taken]


def line(name: str, seconds: float, count: int, peer: str) -> None:
    """One figure."""
    print(f"{name:<56} {seconds * 1e3:9.1f} ms {seconds / count * 1e3:8.2f} ms a picture   {peer}")


def saved(folder: Path) -> ClipSettings:
    """A ViT-B-32 with weights by chance in a file, and the settings that name it."""
    import open_clip
    from safetensors.torch import save_file

    file = folder / "weights.safetensors"
    save_file(open_clip.create_model(NAME).state_dict(), file)
    return ClipSettings(model=NAME, pretrained=str(file), weights_sha256=file_sha256(file))


def bare(model: str, pretrained: str | None, seen: list[Pixels]) -> Callable[[], object]:
    """open_clip as its own page shows it, picture by picture."""
    import open_clip
    import torch
    from PIL import Image

    own, _, transform = open_clip.create_model_and_transforms(model, pretrained=pretrained)
    own.eval()

    def look() -> Any:
        with torch.inference_mode():
            return [own.encode_image(transform(Image.fromarray(one))[None], normalize=True).numpy() for one in seen]

    return look


def large(quick: bool) -> None:
    """ViT-B-32 beside bare open_clip, and many concepts beside one."""
    with tempfile.TemporaryDirectory() as folder:
        settings = saved(Path(folder))
        detector = ClipDetector().with_settings(settings, Place())
        seen = pictures(1 if quick else 4, 512)
        one, many = detector.with_concepts(concepts(1)), detector.with_concepts(concepts(100))
        for each in (one, many):
            each.prepare()
        peer = bare(NAME, settings.pretrained, seen)
        rounds = 3 if quick else 9
        own, theirs = by_turns([lambda: detector.embed(seen), peer], rounds)
        line(f"{NAME}, embedding {len(seen)} of 512×512", own, len(seen), f"{own / theirs:.2f} × bare open_clip")
        single, hundred = by_turns([lambda: run_detectors([one], seen), lambda: run_detectors([many], seen)], rounds)
        line(f"{NAME}, scored for 1 concept", single, len(seen), f"{single / theirs:.2f} × bare open_clip")
        line(f"{NAME}, scored for 100 concepts", hundred, len(seen), f"{hundred / single:.2f} × 1 concept")
        vectors = detector.embed(seen[:1])
        few, lot = by_turns([lambda: one.score_vectors(vectors), lambda: many.score_vectors(vectors)], 200)
        print(f"{'the same without the look: 1 and 100 concepts':<56} {few * 1e3:9.3f} ms and {lot * 1e3:.3f} ms")


def starter(quick: bool) -> None:
    """The starter CLIP at batches of 1, 8 and 32, beside bare open_clip with the same weights."""
    detector = ClipDetector().with_concepts(concepts(6))
    detector.prepare()
    for count in (1, 8, 32):
        seen = pictures(count, 512)
        peer = bare(f"local-dir:{STARTER_FOLDER}", None, seen)
        own, theirs = by_turns([lambda s=seen: run_detectors([detector], s), peer], 3 if quick else 9)  # type: ignore[misc]
        line(f"starter, 6 concepts, batch {count}", own, count, f"{own / theirs:.2f} × bare open_clip")


def main() -> None:
    """Print every figure."""
    quick = "--quick" in sys.argv
    starter(quick)
    large(quick)


if __name__ == "__main__":
    main()
