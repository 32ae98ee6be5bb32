"""What the `diffusers` provider can do with one model, and how it carries out one request: all of it before torch.

Reads the model's configuration files and the catalogue only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from limner_providers._catalogue import model_facts, pipelines
from limner_providers._encode import DEFAULT_QUALITY
from limner_providers._model_source import ModelSource
from limner_providers._pipeline_folder import PipelineFolder, read_json
from limner_providers._requests import canonical_decimal
from limner_providers._schedulers import scheduler_aliases, scheduler_names
from limner_providers.capabilities import Capabilities, DecimalRange, IntRange, SizeRule
from limner_providers.errors import ModelUnavailable, UnsupportedRequest
from limner_providers.types import TASKS, ImageRequest, Task

DEFAULT_SCALE = Decimal(2)
TILED_ABOVE = 2**21
"""Pixels above which the autoencoder works in overlapping tiles: undivided, its memory grows to gigabytes."""

_INPAINTING: tuple[Task, ...] = ("inpaint", "outpaint")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a request's pictures are made: the effective values, defaults filled in.

    Attributes:
        width, height: of the result, in pixels.
        canvas: width and height that the model works at: the next multiples of what it needs.
        num_inference_steps: steps of the whole schedule.
        effective_steps: steps that are really made: fewer with a strength below 1.
        guidance_scale: classifier-free guidance.
        scheduler: a name of the table; None: the model's own.
        strength: how far the picture may be left, None for txt2img.
    """

    width: int
    height: int
    canvas: tuple[int, int]
    num_inference_steps: int
    effective_steps: int
    guidance_scale: float
    scheduler: str | None
    strength: float | None

    @property
    def tiled(self) -> bool:
        """Whether the autoencoder works in tiles: a function of the size alone, as it decides last bits."""
        return self.canvas[0] * self.canvas[1] > TILED_ABOVE


def is_inpainting_model(folder: PipelineFolder) -> bool:
    """Say whether the UNet is one that is shown mask and picture (9 channels), and can do nothing else.

    Raises:
        ModelUnavailable: it is neither such a one nor an ordinary one of 4 channels.
    """
    channels = read_json(folder.path / "unet" / "config.json").get("in_channels", 4)
    if channels not in {4, 9}:
        remedy = "Ordinary models have 4, inpainting models 9."
        raise ModelUnavailable(f"{folder.path / 'unet'} has {channels} input channels.", remedy=remedy)
    return bool(channels == 9)


def capabilities_of(source: ModelSource, *, max_side: int, max_pixels: int) -> Capabilities:
    """Say what a model can do.

    Raises:
        ModelUnavailable: its UNet is of a kind that is not supported.
    """
    folder = source.folder
    return Capabilities(
        tasks=_INPAINTING if is_inpainting_model(folder) else TASKS,
        kind="diffusers",
        size=SizeRule(
            multiple_of=folder.multiple_of,
            minimum=folder.multiple_of,
            maximum=max_side,
            max_pixels=max_pixels,
            native=f"{folder.native_side}x{folder.native_side}",
        ),
        max_n=100,
        seed=True,
        negative_prompt=True,
        negative_prompt_guidance_above=Decimal(1),
        num_inference_steps=IntRange(minimum=1, maximum=1000),
        guidance_scale=DecimalRange(minimum=Decimal(0), maximum=Decimal(100)),
        default_guidance_scale=Decimal(_defaults(source)["guidance_scale"]),
        schedulers=scheduler_names(),
        scheduler_aliases=scheduler_aliases(),
        strength=True,
        mask="white-changes",
        scale=DecimalRange(minimum=Decimal(1), maximum=Decimal(4)),
        default_scale=DEFAULT_SCALE,
        keeps_size=True,
        output_formats=("png", "jpeg", "webp"),
        streaming=True,
        source=f"the configuration files of {source.name}",
    )


def settings_of(request: ImageRequest, source: ModelSource, able: Capabilities) -> Settings:
    """Fill in what a request leaves open; `able` are the model's capabilities, which it meets.

    Raises:
        UnsupportedRequest: `upscale` to a size that is smaller than the picture.
    """
    defaults = _defaults(source)
    width, height = _size(request, source, able)
    steps = request.num_inference_steps or defaults["num_inference_steps"]
    strength = None
    if request.task != "txt2img":
        strength = float(defaults["strength"][request.task]) if request.strength is None else request.strength
    step = source.folder.multiple_of
    return Settings(
        width=width,
        height=height,
        canvas=(-(-width // step) * step, -(-height // step) * step),
        num_inference_steps=steps,
        effective_steps=steps if strength is None else effective_steps(steps, strength),
        guidance_scale=float(defaults["guidance_scale"]) if request.guidance_scale is None else request.guidance_scale,
        scheduler=request.scheduler and able.scheduler_named(request.scheduler),
        strength=strength,
    )


def effective_steps(steps: int, strength: float) -> int:
    """Give how many of `steps` a strength leaves: their exact product rounded down, at least 1 unless it is 0."""
    if strength == 0:
        return 0
    # Exact, since in floats 50 steps at a strength of 0.58 would be 28.
    return max(1, int(steps * Decimal(repr(strength))))


def parameters_of(request: ImageRequest, settings: Settings) -> dict[str, str]:
    """Write down what was really used, as canonical text."""
    parameters = {
        "size": f"{settings.width}x{settings.height}",
        "num_inference_steps": str(settings.num_inference_steps),
        "guidance_scale": canonical_decimal(settings.guidance_scale),
        "output_format": request.output_format,
    }
    if settings.strength is not None:
        parameters |= {
            "strength": canonical_decimal(settings.strength),
            "effective_steps": str(settings.effective_steps),
        }
    if settings.canvas != (settings.width, settings.height):
        parameters["canvas"] = f"{settings.canvas[0]}x{settings.canvas[1]}"
    if settings.tiled:
        parameters["vae_tiling"] = "true"
    if request.output_format != "png":
        quality = request.output_compression
        parameters["output_compression"] = str(DEFAULT_QUALITY if quality is None else quality)
    return parameters


def warnings_of(settings: Settings, source: ModelSource) -> Iterator[str]:
    """Say what the caller should know of these settings."""
    if settings.guidance_scale < 1:
        yield f"guidance_scale {canonical_decimal(settings.guidance_scale)} works as 1: no guidance"
    if settings.strength == 0:
        yield "strength 0 draws nothing: the picture is only brought to its size and encoded anew"
    native, area = source.folder.native_side, settings.canvas[0] * settings.canvas[1]
    if not native * native / 16 <= area <= 4 * native * native:
        yield f"{settings.width}x{settings.height} is far from the {native}x{native} the model was trained for"


def _defaults(source: ModelSource) -> dict[str, Any]:
    """Give steps, guidance and strengths for requests that name none: the model's own where they are known."""
    general: dict[str, Any] = pipelines()[source.folder.class_name]["defaults"]
    own: dict[str, Any] = model_facts(source.key).get("defaults", {})
    return {**general, **own, "strength": {**general["strength"], **own.get("strength", {})}}


def _size(request: ImageRequest, source: ModelSource, able: Capabilities) -> tuple[int, int]:
    """Give width and height of the result."""
    image, side = request.image, source.folder.native_side
    asked = able.size_for(request)
    if asked is not None:
        width, height = map(int, asked.split("x"))
    elif image is None:
        return side, side
    elif request.margins is not None:
        margins = request.margins
        return image.width + margins.left + margins.right, image.height + margins.top + margins.bottom
    else:
        scale = (request.scale or float(DEFAULT_SCALE)) if request.task == "upscale" else 1
        return round(image.width * scale), round(image.height * scale)
    if request.task == "upscale" and image is not None and (width < image.width or height < image.height):
        why = f"the picture has {image.size} already."
        raise UnsupportedRequest("size", asked, why=why, remedy="Ask for more, or for img2img.")
    return width, height
