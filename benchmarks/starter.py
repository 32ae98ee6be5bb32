"""The starter model: load time and seconds a picture, each beside the bare work it cannot do without, in one run."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Threads that spin while they wait make every figure several times worse as soon as another program runs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

FOLDER = Path(__file__).resolve().parents[1] / "providers" / "limner_providers" / "starter"
STEPS = 20
GUIDANCE = 3.0
BATCH = 25


def median(work: Callable[[], object], times: int) -> float:
    """Median seconds of ``times`` calls after one that warms up."""
    work()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def load(dtype: Any) -> Any:
    """The pipeline as a user loads it."""
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(str(FOLDER), local_files_only=True, dtype=dtype)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def read_weights() -> None:
    """The bare work of loading: the three weight files into memory."""
    from safetensors.torch import load_file

    for file in FOLDER.rglob("*.safetensors"):
        for tensor in load_file(file).values():
            tensor.float()


def bare_passes(pipeline: Any) -> None:
    """The bare work of one picture: twenty passes of the UNet over a guided pair, and one decoding."""
    import torch

    latent, hidden = torch.randn(2, 4, 16, 16), torch.randn(2, 32, 160)
    with torch.inference_mode():
        for step in range(STEPS):
            pipeline.unet(latent, 999 - step, hidden)
        pipeline.vae.decode(latent[:1])


def draw(pipeline: Any, count: int) -> None:
    """``count`` pictures in one call."""
    pipeline(["red apple"] * count, num_inference_steps=STEPS, guidance_scale=GUIDANCE, output_type="np")


def report(what: str, seconds: float, ratio: str) -> None:
    """One line: figure, seconds, ratio to its peer."""
    print(f"starter {what:<24} {seconds:6.3f} s   {ratio}")


def main() -> None:
    """Print one line a figure."""
    import diffusers.utils.logging as diffusers_logging
    import torch
    import transformers.utils.logging as transformers_logging

    for logging in (diffusers_logging, transformers_logging):
        logging.disable_progress_bar()
    loading, reading = median(lambda: load(torch.float32), 3), median(read_weights, 3)
    report("load", loading, f"{loading / reading:.2f} x reading the weights ({reading:.3f} s)")
    pipeline = load(torch.float32)
    alone, bare = median(lambda: draw(pipeline, 1), 5), median(lambda: bare_passes(pipeline), 5)
    report("picture, alone", alone, f"{alone / bare:.2f} x bare UNet and decoder ({bare:.3f} s)")
    batch = median(lambda: draw(pipeline, BATCH), 1) / BATCH
    report(f"picture, {BATCH} in a batch", batch, f"{batch / alone:.2f} x alone")
    for name, dtype in (("bfloat16", torch.bfloat16), ("float16", torch.float16)):
        taken = median(partial(draw, load(dtype), 1), 3)
        report(f"picture, {name}", taken, f"{taken / alone:.2f} x float32")


if __name__ == "__main__":
    main()
