"""From a canvas to what denoising starts from, and what stays as it is while the rest is drawn.

Runs in a worker's thread beside `_pipeline`. Nothing here draws random numbers: the autoencoder's most likely latents
are taken and no sample, so that a picture's noise is its seed's alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from limner_providers._diffusers_canvas import Canvas


@dataclass(frozen=True, kw_only=True)
class Start:
    """What the pictures of a request start from; the same for each of them.

    Attributes:
        latents: of the whole canvas, (1, 4, h, w).
        mask: how far each latent may change, (1, 1, h, w) from 0 to 1; None: all wholly.
        shown: for an inpainting model: the latents of what it may see of the picture, (1, 4, h, w); else None.
    """

    latents: torch.Tensor
    mask: torch.Tensor | None = None
    shown: torch.Tensor | None = None


def make_start(pipe: Any, canvas: Canvas) -> Start:
    """Encode a canvas for the model that `pipe` has."""
    import torch

    latents = encode_pixels(pipe, canvas.pixels)
    if canvas.mask is None:
        return Start(latents=latents)
    mask = torch.from_numpy(_cells(canvas.mask, latents.shape[-2], latents.shape[-1])).to(latents.device)[None, None]
    if pipe.unet.config.in_channels == latents.shape[1]:
        return Start(latents=latents, mask=mask)
    return Start(latents=latents, mask=mask, shown=encode_pixels(pipe, canvas.pixels, canvas.mask))


def _cells(mask: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float32]:
    """Give each latent the greatest value of its pixels: a thin white line has to change something too."""
    import numpy as np

    tall, wide = mask.shape[0] // height, mask.shape[1] // width
    cells: NDArray[np.float32] = mask.reshape(height, tall, width, wide).max(axis=(1, 3)).astype(np.float32) / 255
    return cells


def encode_pixels(pipe: Any, pixels: NDArray[np.uint8], hidden: NDArray[np.uint8] | None = None) -> torch.Tensor:
    """Encode uint8 RGB (height, width, 3) to scaled latents (1, 4, height / factor, width / factor).

    Where `hidden`, a mask of the same height and width, is 128 or more, a middle grey is encoded instead.
    """
    import numpy as np
    import torch

    image = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None] * 2 - 1
    if hidden is not None:
        image = image * torch.from_numpy(hidden < 128)
    with torch.no_grad(), _upcast(pipe) as vae:
        latents: torch.Tensor = vae.encode(image.to(vae.device, vae.dtype)).latent_dist.mode().to(pipe.unet.dtype)
    factor = float(vae.config.scaling_factor)
    statistics = _statistics(vae.config, latents)
    return latents * factor if statistics is None else (latents - statistics[0]) * factor / statistics[1]


def decode_latents(pipe: Any, latents: torch.Tensor) -> torch.Tensor:
    """Decode scaled latents (1, 4, h, w) to a picture of 0..1 floats, (3, height, width).

    Done here and not by the pipelines: they print a warning each time they work with a half precise autoencoder.
    """
    import torch

    with torch.no_grad(), _upcast(pipe) as vae:
        latents = latents.to(vae.dtype)
        factor = float(vae.config.scaling_factor)
        statistics = _statistics(vae.config, latents)
        plain = latents / factor if statistics is None else latents * statistics[1] / factor + statistics[0]
        image: torch.Tensor = vae.decode(plain, return_dict=False)[0][0]
    return (image * 0.5 + 0.5).clamp(0, 1)


@contextlib.contextmanager
def _upcast(pipe: Any) -> Iterator[Any]:
    """Give the autoencoder, in single precision where its half precision would overflow, as SDXL's does."""
    import torch

    vae = pipe.vae
    is_xl = getattr(pipe, "text_encoder_2", None) is not None
    if not (is_xl and vae.dtype == torch.float16 and vae.config.force_upcast):
        yield vae
        return
    vae.to(dtype=torch.float32)
    try:
        yield vae
    finally:
        vae.to(dtype=torch.float16)


def _statistics(config: Any, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Give mean and deviation of an autoencoder whose latents are normalised by them; None: they are not."""
    mean, deviation = config.get("latents_mean"), config.get("latents_std")
    if mean is None or deviation is None:
        return None
    return like.new_tensor(mean).view(1, -1, 1, 1), like.new_tensor(deviation).view(1, -1, 1, 1)


class Keeper:
    """Puts back, after each step, what the mask keeps: the canvas's latents as noisy as the next step expects.

    A grey part is put back in the first steps and left free in the others, the more of them the lighter it is, which
    is what a lower strength does. (Mixing it in at each step would bring it back wholly, as the steps multiply.)
    """

    def __init__(self, start: Start, noise: torch.Tensor) -> None:
        self.start = start
        self.noise = noise

    def keep(self, pipe: Any, index: int, latents: torch.Tensor) -> torch.Tensor:
        """Give the latents after step `index` with the kept parts as they were."""
        import torch

        mask = self.start.mask
        if mask is None:
            return latents
        schedule = pipe.scheduler.timesteps
        following = len(schedule) - pipe.num_timesteps + index + 1
        original = self.start.latents
        if following < len(schedule):
            original = pipe.scheduler.add_noise(original, self.noise, schedule[following : following + 1])
        kept = (1 - mask > (index + 1) / pipe.num_timesteps) | (mask == 0)
        return torch.where(kept, original.to(latents.dtype), latents)


def noise_like(latents: torch.Tensor, seed: int) -> torch.Tensor:
    """Draw the noise that the pipelines draw first from this seed's generator on the CPU."""
    import torch
    from diffusers.utils.torch_utils import randn_tensor

    generator = torch.Generator("cpu").manual_seed(seed)
    noise: torch.Tensor = randn_tensor(latents.shape, [generator], device=latents.device, dtype=latents.dtype)
    return noise
