"""The diffusers provider on the starter model beside a bare diffusers loop with the same steps, in one run.

    python benchmarks/diffusers_provider.py [--rounds 5] [--steps 20] [--threads 2]

Rounds alternate between the two, so that a busy machine slows both; the ratio is that of the medians, and the least
time of each is the nearest to an idle machine, and CPU time hardly knows of other programs. The peer makes the same
files: it encodes PNG too.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import anyio

from limner_providers import ImageRequest
from limner_providers._model_source import STARTER
from limner_providers.diffusers import DiffusersProvider


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Give the seconds that `work` takes on the clock, and of the processor in all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def load_bare() -> Any:
    """Load the starter as a user of diffusers would."""
    import torch
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(STARTER, dtype=torch.float32, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def draw_bare(pipe: Any, n: int, steps: int) -> None:
    """Make and encode `n` pictures one after the other."""
    import torch

    for seed in range(n):
        generator = torch.Generator("cpu").manual_seed(seed)
        image = pipe("red apple", num_inference_steps=steps, guidance_scale=3, generator=generator).images[0]
        image.save(io.BytesIO(), "PNG")


def draw_batch(pipe: Any, n: int, steps: int) -> None:
    """Make and encode `n` pictures as one batch: faster or slower, but other bytes than the pictures made alone."""
    import torch

    generators = [torch.Generator("cpu").manual_seed(seed) for seed in range(n)]
    for image in pipe(["red apple"] * n, num_inference_steps=steps, guidance_scale=3, generator=generators).images:
        image.save(io.BytesIO(), "PNG")


def draw_provider(provider: DiffusersProvider, n: int, steps: int, on_event: Any = None) -> None:
    """Ask the provider for `n` pictures."""
    request = ImageRequest(prompt="red apple", n=n, num_inference_steps=steps, guidance_scale=3)

    async def call() -> None:
        await provider.generate(request, seeds=range(n), on_event=on_event)

    anyio.run(call)


def compare(name: str, unit: int, rounds: int, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    """Print one line: medians and least times a unit, and the ratio of the medians."""
    pairs = [(timed(ours), timed(theirs)) for _ in range(rounds)]
    (wall, cpu), (peer_wall, peer_cpu) = (columns(side) for side in zip(*pairs, strict=True))
    print(
        f"{name}: {statistics.median(wall) / unit:.3f} s (least {wall[0] / unit:.3f}) beside "
        f"{statistics.median(peer_wall) / unit:.3f} s (least {peer_wall[0] / unit:.3f}): "
        f"ratio {ratio(wall, peer_wall)}, of CPU time {ratio(cpu, peer_cpu)}",
        flush=True,
    )


def ratio(ours: list[float], theirs: list[float]) -> str:
    """Write the ratio of the medians, and that of the least."""
    return f"{statistics.median(ours) / statistics.median(theirs):.3f} (least {ours[0] / theirs[0]:.3f})"


def columns(side: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Give wall times and CPU times, each sorted."""
    return sorted(wall for wall, _ in side), sorted(cpu for _, cpu in side)


def main() -> None:
    """Print one line per figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    rounds, steps = options.rounds, options.steps

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # the provider does so: the peer shall have it too
    import torch

    torch.set_num_threads(options.threads)  # the setting holds for a thread: the peer draws in this one
    pipe = load_bare()  # the libraries' import is not measured: both need it
    provider = DiffusersProvider(threads=options.threads)
    digest, _ = timed(lambda: anyio.run(provider.models))
    again, _ = timed(lambda: anyio.run(provider.models))
    print(f"model digest, first time: {digest * 1000:.0f} ms; again: {again * 1000:.1f} ms")

    def load() -> None:
        draw_provider(DiffusersProvider(threads=options.threads), 1, 1)

    def load_peer() -> None:
        draw_bare(load_bare(), 1, 1)

    compare("load and one step", 1, rounds, load, load_peer)
    draw_provider(provider, 1, 2)
    for n in (1, 4):
        compare(
            f"a picture of {steps} steps, n={n}",
            n,
            rounds,
            lambda n=n: draw_provider(provider, n, steps),  # type: ignore[misc]
            lambda n=n: draw_bare(pipe, n, steps),  # type: ignore[misc]
        )
    compare(
        "a picture with a progress listener, n=1",
        1,
        rounds,
        lambda: draw_provider(provider, 1, steps, [].append),
        lambda: draw_provider(provider, 1, steps),
    )
    compare(
        "a picture one by one, beside bare diffusers' batch of 4",
        4,
        rounds,
        lambda: draw_provider(provider, 4, steps),
        lambda: draw_batch(pipe, 4, steps),
    )


if __name__ == "__main__":
    main()
