"""The whole pipeline on the starter model beside a bare diffusers loop with the same steps, in turn in one run.

Bar: at most 3 % more, or at most 15 ms an image besides the detector, whichever is larger.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from limner import AsyncLimner
from limner.config import Config
from limner.records import Record

PROMPT, STEPS, GUIDANCE = "red apple", 20, 3.0


def bare_pipeline() -> Any:
    """Load the starter model as any script would, in the settings that the provider uses on a CPU."""
    import torch
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import logging

    import limner_providers.starter as starter

    logging.disable_progress_bar()
    pipe = StableDiffusionPipeline.from_pretrained(Path(next(iter(starter.__path__))), dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    pipe.unet.to(memory_format=torch.channels_last)
    pipe.vae.to(memory_format=torch.channels_last)
    return pipe


def bare_image(pipe: Any, seed: int) -> float:
    """Draw one picture and encode it; give the milliseconds."""
    import io

    import torch

    started = time.perf_counter()
    generator = torch.Generator("cpu").manual_seed(seed)
    image = pipe(
        PROMPT, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=generator, height=64, width=64
    ).images[0]
    image.save(io.BytesIO(), "PNG")
    return (time.perf_counter() - started) * 1000


async def limner_image(limner: AsyncLimner, seed: int) -> tuple[float, float]:
    """Draw one picture by the whole pipeline; give the milliseconds, and those of them that the detector took."""
    started = time.perf_counter()
    result = await limner.generate(PROMPT, seed=seed, num_inference_steps=STEPS, guidance_scale=GUIDANCE)
    spent = (time.perf_counter() - started) * 1000
    record = Record.load(limner._runtime.log, result.record_id)  # noqa: SLF001  # the figure stands in the record
    return spent, record.entry("judged", stage="image").data["detectors_us"] / 1000


async def measure(rounds: int) -> None:
    """Run both in turn and print the figures."""
    pipe = bare_pipeline()
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncLimner.open(Config(root=Path(folder)), context={"user": "bench"}) as limner:
            await limner_image(limner, 0)
            bare_image(pipe, 0)
            bare, whole, detector = [], [], []
            for seed in range(1, rounds + 1):
                bare.append(bare_image(pipe, seed))
                spent, detecting = await limner_image(limner, seed)
                whole.append(spent)
                detector.append(detecting)
    base = statistics.median(bare)
    detecting = statistics.median(detector)
    besides = statistics.median(w - b - d for w, b, d in zip(whole, bare, detector, strict=True))
    print(f"bare diffusers, one 64x64 picture, {STEPS} steps: {base:.0f} ms")
    print(f"whole pipeline: {statistics.median(whole):.0f} ms, ratio {statistics.median(whole) / base:.3f}")
    print(f"  of which the detector: {detecting:.1f} ms")
    print(f"  besides the detector: {besides:+.1f} ms = {besides / base:+.1%} of the bare loop (bar: 3 % or 15 ms)")


def main() -> None:
    """Read the number of rounds and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    asyncio.run(measure(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
