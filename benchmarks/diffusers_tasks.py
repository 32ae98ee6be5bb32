"""Each task of the diffusers provider on the starter beside bare diffusers' own pipeline for it, in one run.

    python benchmarks/diffusers_tasks.py [--rounds 5] [--steps 20] [--threads 2]

Ours decodes the picture, encodes the result as PNG and lays the original over it; the peer opens and writes the same
files. Both make the same number of steps at the same size. Rounds alternate between the two, so that a busy machine
slows both; the ratio is that of the medians, and CPU time hardly knows of other programs.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import anyio

from limner_providers import ImageRequest
from limner_providers._model_source import STARTER
from limner_providers.diffusers import DiffusersProvider

SIDE, MARGIN = 64, 32
SCALE = 2.0


class Peer:
    """The starter as a user of diffusers would load it, with a pipeline for pictures and one for masks."""

    def __init__(self, steps: int) -> None:
        """Load once; the other pipelines share its parts."""
        import diffusers
        import torch

        plain = diffusers.StableDiffusionPipeline.from_pretrained(STARTER, dtype=torch.float32, local_files_only=True)
        plain.unet.to(memory_format=torch.channels_last)
        plain.vae.to(memory_format=torch.channels_last)
        kinds = (diffusers.StableDiffusionImg2ImgPipeline, diffusers.StableDiffusionInpaintPipeline)
        self.img2img, self.inpaint = (kind(**plain.components, requires_safety_checker=False) for kind in kinds)
        for pipe in (plain, self.img2img, self.inpaint):
            pipe.set_progress_bar_config(disable=True)
        (picture,) = plain("red apple", guidance_scale=3, num_inference_steps=steps).images
        self.picture = png(picture)
        self.steps = steps

    def run(self, pipe: Any, **fields: Any) -> None:
        """Draw and write one picture."""
        import torch

        options = {"num_inference_steps": self.steps, "guidance_scale": 3}
        generator = torch.Generator("cpu").manual_seed(7)
        png(pipe("red apple", generator=generator, **options, **fields).images[0])


def png(image: Any) -> bytes:
    """Write a Pillow image as PNG."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def opened(data: bytes, size: tuple[int, int] | None = None) -> Any:
    """Open a picture, scaled to `size`."""
    from PIL import Image

    image = Image.open(io.BytesIO(data)).convert("RGB")
    return image if size is None else image.resize(size, Image.Resampling.LANCZOS)


def half_mask() -> bytes:
    """Give a mask that is white in its right half."""
    from PIL import Image

    mask = Image.new("L", (SIDE, SIDE), 0)
    mask.paste(255, (SIDE // 2, 0, SIDE, SIDE))
    return png(mask)


def tasks(peer: Peer) -> dict[str, tuple[dict[str, Any], Callable[[], None]]]:
    """Give by task: the request's fields, and the peer's work."""
    picture, mask = peer.picture, half_mask()
    double = (int(SIDE * SCALE), int(SIDE * SCALE))
    wide = {"width": SIDE + MARGIN, "height": SIDE}

    def from_picture(strength: float, size: tuple[int, int] | None = None) -> Callable[[], None]:
        return lambda: peer.run(peer.img2img, image=opened(picture, size), strength=strength)

    def masked() -> None:
        peer.run(peer.inpaint, image=opened(picture), mask_image=opened(mask), width=SIDE, height=SIDE)

    def widened() -> None:
        from PIL import Image

        canvas, white = Image.new("RGB", (SIDE + MARGIN, SIDE)), Image.new("L", (SIDE + MARGIN, SIDE), 255)
        canvas.paste(opened(picture))
        white.paste(0, (0, 0, SIDE, SIDE))
        peer.run(peer.inpaint, image=canvas, mask_image=white, **wide)

    return {
        "img2img": ({"strength": 0.6}, from_picture(0.6)),
        "variation": ({"strength": 0.5}, from_picture(0.5)),
        "upscale": ({"strength": 0.5, "scale": SCALE}, from_picture(0.5, double)),
        "inpaint": ({"strength": 1.0, "mask": mask}, masked),
        "outpaint": ({"strength": 1.0, "margins": {"right": MARGIN}}, widened),
    }


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Give the seconds that `work` takes on the clock, and of the processor in all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def compare(name: str, rounds: int, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    """Print one line: medians, and their ratio on the clock and of CPU time."""
    ours(), theirs()  # the first of each makes its pipeline
    pairs = [(timed(ours), timed(theirs)) for _ in range(rounds)]
    (wall, cpu), (peer_wall, peer_cpu) = (
        [statistics.median(column) for column in zip(*side, strict=True)] for side in zip(*pairs, strict=True)
    )
    print(
        f"{name}: {wall:.3f} s beside {peer_wall:.3f} s of bare diffusers: "
        f"ratio {wall / peer_wall:.3f}, of CPU time {cpu / peer_cpu:.3f}",
        flush=True,
    )


def main() -> None:
    """Print one line a task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # the provider does so: the peer shall have it too
    import torch

    torch.set_num_threads(options.threads)  # the setting holds for a thread: the peer draws in this one
    peer = Peer(options.steps)
    provider = DiffusersProvider(threads=options.threads)
    for task, (fields, theirs) in tasks(peer).items():

        def ours(task: str = task, fields: dict[str, Any] = fields) -> None:
            request = ImageRequest.build(
                task=task,
                prompt="red apple",
                image=peer.picture,
                num_inference_steps=options.steps,
                guidance_scale=3,
                **fields,
            )
            anyio.run(lambda: provider.generate(request, seeds=[7]))

        compare(f"{task}, {options.steps} steps", options.rounds, ours, theirs)


if __name__ == "__main__":
    main()
