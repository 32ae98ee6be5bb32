"""The six tasks as the `test` provider carries them out: a pattern alone, or laid over the picture that was given.

Pure: equal requests and seeds give equal pixels. It knows nothing of faults, prices or events.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from limner_providers._pattern import draw
from limner_providers.rules import SizeRule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from limner_providers.images import InputImage
    from limner_providers.types import ImageRequest

NATIVE = "64x64"  # where nothing says otherwise
SIZES = SizeRule(maximum=2048, native=NATIVE)
_SCALE = 2.0  # of an upscale that names neither scale nor size
_STRENGTHS = {"img2img": 0.75, "variation": 0.5, "inpaint": 1.0, "outpaint": 1.0, "upscale": 0.15}
_STEERING = frozenset(
    {"prompt", "negative_prompt", "num_inference_steps", "guidance_scale", "scheduler", "quality", "strength", "task"}
)


def canvas(request: ImageRequest) -> tuple[int, int]:
    """Give width and height of the pictures that `request` asks for, in pixels."""
    image = request.image
    if request.width and request.height:
        return request.width, request.height
    if request.proportions is not None:
        return _pair(SIZES.of_aspect(*request.proportions) or NATIVE)
    if image is None:
        return _pair(NATIVE)
    if request.margins is not None:
        margins = request.margins
        return image.width + margins.left + margins.right, image.height + margins.top + margins.bottom
    if request.task == "upscale":
        scale = request.scale or _SCALE
        return round(image.width * scale), round(image.height * scale)
    return image.width, image.height


def _pair(size: str) -> tuple[int, int]:
    width, height = size.split("x")
    return int(width), int(height)


def paint(request: ImageRequest, seed: int) -> NDArray[np.uint8]:
    """Make one picture: uint8 of shape (height, width, 3), RGB, or (height, width, 4) for a transparent background.

    Where a mask is black, and in an outpaint's original, every pixel is the given picture's own.
    """
    clear = request.background == "transparent"
    width, height = canvas(request)
    pattern = draw(_key(request), seed, width, height, clear=clear)
    if request.image is None:
        return pattern
    mode = "RGBA" if clear else "RGB"
    if request.margins is not None:
        return _around(request, pattern, request.image.pixels(mode))
    ground = _resized(request.image, mode, width, height)
    return _mixed(ground, pattern, _share(request, width, height))


def _share(request: ImageRequest, width: int, height: int) -> NDArray[np.float64]:
    """Say for each pixel, 0 to 1, how much of the pattern it takes: shape (height, width, 1)."""
    import numpy as np

    strength = _STRENGTHS[request.task] if request.strength is None else request.strength
    if request.mask is None:
        return np.full((height, width, 1), strength)
    return _resized(request.mask, "L", width, height)[..., None] / 255 * strength


def _around(request: ImageRequest, pattern: NDArray[np.uint8], image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay the original into the pattern; beyond its sides the strength says how far its edges are left."""
    import numpy as np

    assert request.margins is not None
    margins = request.margins
    sides = ((margins.top, margins.bottom), (margins.left, margins.right), (0, 0))
    stretched = np.pad(image, sides, mode="edge")
    share = np.full((*pattern.shape[:2], 1), _STRENGTHS["outpaint"] if request.strength is None else request.strength)
    tall, wide, _ = image.shape
    share[margins.top : margins.top + tall, margins.left : margins.left + wide] = 0
    return _mixed(stretched, pattern, share)


def _mixed(ground: NDArray[np.uint8], pattern: NDArray[np.uint8], share: NDArray[np.float64]) -> NDArray[np.uint8]:
    import numpy as np

    mixed: NDArray[np.uint8] = np.rint(ground * (1 - share) + pattern * share).astype(np.uint8)
    return mixed


def _resized(image: InputImage, mode: str, width: int, height: int) -> NDArray[np.uint8]:
    """Decode a picture in this size; a mask's black stays black, as no pixel is mixed with its neighbours."""
    import numpy as np
    from PIL import Image

    pixels = image.pixels(mode)
    if (image.width, image.height) == (width, height):
        return pixels
    how = Image.Resampling.NEAREST if mode == "L" else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(pixels).resize((width, height), how))


def _key(request: ImageRequest) -> str:
    """Put together everything that steers a picture besides seed and size: a field that is taken changes something."""
    steering = {
        name: getattr(request, name)
        for name in sorted(_STEERING)
        if getattr(request, name) is not None and (name, getattr(request, name)) != ("task", "txt2img")
    }
    for field in ("references", "control", "lora"):
        if parts := getattr(request, field):
            steering[field] = [_told(part) for part in parts]
    if options := request.extra.get("test"):
        steering["extra"] = options
    return json.dumps(steering, sort_keys=True)


def _told(part: object) -> list[str]:
    names = sorted(type(part).model_fields)  # type: ignore[attr-defined]
    return [_as_text(getattr(part, name)) for name in names]


def _as_text(value: object) -> str:
    return str(getattr(value, "sha256", value))
