"""The picture that a task starts from, as the model needs it, and the result put together again.

Pixels only: numpy and Pillow, no torch. What a mask keeps is kept here, bit for bit, whatever the model made of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from limner_providers._diffusers_settings import Settings
    from limner_providers.images import InputImage
    from limner_providers.types import ImageRequest


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """What the model is given to start from.

    Attributes:
        pixels: uint8 RGB of shape (height, width, 3); its sides are multiples of what the model needs, and the result
            is its upper left part.
        mask: uint8 of shape (height, width): 255 changes, 0 stays, between is between; None: everything changes.
        width, height: of the result.
        warnings: what the caller should know of the way here.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.uint8] | None
    width: int
    height: int
    warnings: tuple[str, ...] = ()

    def finish(self, drawn: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Cut `drawn`, as large as the canvas, to the result, with what the mask keeps laid over it.

        A pixel whose mask is 0 is the canvas's own; one whose mask is 255 the drawn one; between, both in proportion.
        """
        import numpy as np

        part = np.s_[: self.height, : self.width]
        if self.mask is None:
            return np.ascontiguousarray(drawn[part])
        weight = self.mask[part].astype(np.uint16)[..., None]
        # The greatest sum is 255 · 255 + 127, which 16 bits hold.
        mixed = (self.pixels[part] * (255 - weight) + drawn[part] * weight + 127) // 255
        return mixed.astype(np.uint8)


def make_canvas(request: ImageRequest, settings: Settings) -> Canvas | None:
    """Bring the request's picture and mask to the size of the work; None: the task starts from noise alone."""
    if request.image is None:
        return None
    size = (settings.width, settings.height)
    pixels, warnings = _picture(request.image)
    mask = None if request.mask is None else request.mask.pixels("L")
    if request.margins is not None:
        pixels, mask = _with_margins(pixels, request.margins)
    if pixels.shape[1::-1] != size:
        warnings += _cut(request.image, size)
        pixels = _resized(pixels, size)
        mask = None if mask is None else _resized(mask, size)
    return Canvas(
        pixels=_padded(pixels, settings.canvas),
        mask=None if mask is None else _padded(mask, settings.canvas),
        width=settings.width,
        height=settings.height,
        warnings=warnings,
    )


def _picture(image: InputImage) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Decode the picture; these models know no transparency."""
    pixels = image.pixels("RGBA")
    if int(pixels[..., 3].min()) == 255:
        return pixels[..., :3], ()
    return image.pixels("RGB"), ("the picture's transparent parts were laid on white",)


def _with_margins(pixels: NDArray[np.uint8], margins: Any) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Lengthen the picture's edges outwards by `margins`, and mask what was not there before.

    The edge's colours are what the part beyond it most likely begins with: the autoencoder sees no hard border where
    old and new meet, and a strength below 1 has something to go on.
    """
    import numpy as np

    around = ((margins.top, margins.bottom), (margins.left, margins.right))
    grown = np.pad(pixels, (*around, (0, 0)), mode="edge")
    return grown, np.pad(np.zeros(pixels.shape[:2], np.uint8), around, constant_values=255)


def _cut(image: InputImage, size: tuple[int, int]) -> tuple[str, ...]:
    """Say that edges are lost where proportions differ by more than a pixel's rounding."""
    width, height = size
    scale = max(width / image.width, height / image.height)
    if image.width * scale < width + 1 and image.height * scale < height + 1:
        return ()
    return (f"the picture of {image.size} was scaled to cover {width}x{height}, and what stood over was cut off",)


def _resized(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale to cover `size`, without distorting, and cut what stands over on both sides alike."""
    import numpy as np
    from PIL import Image, ImageOps

    # Lanczos keeps a picture sharp; on a mask it would overshoot beside every edge and let kept pixels change.
    filtered = Image.Resampling.LANCZOS if pixels.ndim == 3 else Image.Resampling.BILINEAR
    return np.array(ImageOps.fit(Image.fromarray(pixels), size, filtered))


def _padded(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Continue the right and lower edge to `size`."""
    import numpy as np

    height, width = pixels.shape[:2]
    right, below = size[0] - width, size[1] - height
    if not right and not below:
        return np.ascontiguousarray(pixels)
    return np.pad(pixels, ((0, below), (0, right), *(((0, 0),) * (pixels.ndim - 2))), mode="edge")
