"""Pictures that the kit gives to an engine, and a look at those that come back."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from limner_providers.base import ProducedImage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}


def sample(width: int, height: int, which: int = 0) -> NDArray[np.uint8]:
    """Draw a picture of soft colours with coarse grain: no two places are alike, and a moved pixel is seen.

    Returns:
        uint8 RGB of shape (height, width, 3); another for another `which`.
    """
    import numpy as np

    rows, columns = np.mgrid[0:height, 0:width]
    grain = np.random.default_rng(which).integers(0, 64, (height, width))
    red, green, blue = (rows * 190 // height, columns * 190 // width, (rows + columns) * 190 // (height + width))
    return (np.stack([red, green, blue], axis=-1) + grain[..., None]).astype(np.uint8)


def mask(width: int, height: int) -> NDArray[np.uint8]:
    """Draw a mask that is not the same turned or mirrored: white in the upper right quarter. Shape (height, width)."""
    import numpy as np

    drawn = np.zeros((height, width), np.uint8)
    drawn[: height // 2, width // 2 :] = 255
    return drawn


def decoded(image: ProducedImage) -> NDArray[np.uint8]:
    """Decode a picture wholly.

    Returns:
        uint8 RGB of shape (height, width, 3).

    Raises:
        AssertionError: it is no whole picture of the type and size that it says.
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    assert image.mime in FORMATS, f"mime={image.mime!r} is none of {', '.join(FORMATS)}."
    try:
        with Image.open(io.BytesIO(image.data)) as opened:
            opened.load()
            assert opened.format == FORMATS[image.mime], f"mime says {image.mime}, and the file is {opened.format}."
            size = opened.size
            pixels = np.asarray(opened.convert("RGB"))
    except (OSError, SyntaxError, UnidentifiedImageError) as error:
        raise AssertionError(f"{len(image.data)} bytes are no whole picture: {type(error).__name__}.") from error
    assert size == (image.width, image.height), f"the file is {size}, and it says {image.width}x{image.height}."
    return pixels
