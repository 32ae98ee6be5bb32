"""Pixels to PNG, JPEG and WebP files: the same pixels give the same bytes, and no metadata.

The only place of this package that needs Pillow.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from limner_providers.errors import EngineUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_QUALITY = 95  # of JPEG and WebP, where a request names none


def encode(pixels: NDArray[np.uint8], output_format: str, quality: int | None = None) -> bytes:
    """Encode uint8 RGB `pixels` of shape (height, width, 3).

    Args:
        pixels: what to write.
        output_format: `png`, `jpeg` or `webp`.
        quality: 0 to 100 for JPEG and WebP, None: 95.

    Raises:
        EngineUnavailable: Pillow is missing or built without this format.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise EngineUnavailable("Pillow is not installed.", remedy="Run: pip install limner") from error
    target = io.BytesIO()
    try:
        Image.fromarray(pixels).save(target, format=output_format.upper(), **_options(output_format, quality))
    except KeyError as error:
        raise EngineUnavailable(f"This Pillow cannot write {output_format}.", remedy="Install a full build.") from error
    return target.getvalue()


def _options(output_format: str, quality: int | None) -> dict[str, Any]:
    chosen = DEFAULT_QUALITY if quality is None else quality
    if output_format == "jpeg":
        # No chroma subsampling: at 64 pixels a side it would smear every coloured edge.
        return {"quality": chosen, "subsampling": 0, "optimize": False}
    if output_format == "webp":
        return {"quality": chosen, "method": 4, "exact": False}
    return {"compress_level": 6}
