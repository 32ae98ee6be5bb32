"""Decodes a picture file for detectors, or says what is wrong with it. Knows files and pixels, no detector.

The orchestrator hands decoded pixels on; this is for those who start from files, such as the maker of hash lists.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

from limner_policy.detectors.base import Pixels
from limner_policy.errors import DetectorError

MAX_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 100_000_000
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_FORMATS = ("PNG", "JPEG", "WEBP")
_REMEDY = "Give a whole PNG, JPEG or WebP picture."


def decode(source: bytes | Path, *, name: str = "") -> Pixels:
    """Decode one picture, upright.

    16-bit pictures keep their upper eight bits, CMYK and palettes become RGB, and transparent pixels are laid on white.

    Args:
        source: a file's bytes, or its path.
        name: how an error calls it; default its path.

    Returns:
        A uint8 array of shape (height, width, 3), RGB.

    Raises:
        DetectorError: it cannot be read, is no whole picture, is an animation, or is too large; names which and how.
    """
    called = name or (str(source) if isinstance(source, Path) else "the picture")
    data = _read(source, called) if isinstance(source, Path) else source
    if len(data) > MAX_BYTES:
        raise DetectorError(f"{called} has {len(data):,} bytes.", remedy=f"At most {MAX_BYTES:,} bytes.")
    return _decoded(data, called)


def _read(path: Path, called: str) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DetectorError(f"{called} has {path.stat().st_size:,} bytes.", remedy=f"At most {MAX_BYTES:,} bytes.")
        return path.read_bytes()
    except OSError as error:
        raise DetectorError(f"{called} cannot be read: {error.strerror}.", remedy="Check the path.") from None


def _decoded(data: bytes, called: str) -> Pixels:
    import numpy as np
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            # Our own limit is tighter than Pillow's warning, and an error.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                _check(image, called)
                return np.array(_as_rgb(ImageOps.exif_transpose(image)))
    except DetectorError:
        raise
    except Image.DecompressionBombError:
        raise DetectorError(f"{called} has far too many pixels.", remedy=f"At most {MAX_PIXELS:,}.") from None
    except Exception as error:  # noqa: BLE001 -- a decoder raises whatever it likes on bytes that are no picture
        raise DetectorError(f"{called} is no whole picture ({type(error).__name__}).", remedy=_REMEDY) from None


def _check(image: Any, called: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width}x{image.height}"
        raise DetectorError(f"{called} has {size} pixels.", remedy=f"At most {MAX_PIXELS:,} pixels.")
    if getattr(image, "n_frames", 1) > 1:
        raise DetectorError(f"{called} is an animation of {image.n_frames} frames.", remedy="Give a single picture.")


def _as_rgb(image: Any) -> Any:
    from PIL import Image

    if image.mode.startswith("I"):
        image = image.point(lambda value: value / 256).convert("L")
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image.convert("RGBA"))
        image = ground
    return image.convert("RGB")
