"""Changes that pictures meet on their way, each a function of pixels. The name of a change says everything of it.

A name is part of the key under which scores are kept: who changes what a change does gives it another name.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np

from limner_policy.detectors.base import Pixels

Change = Callable[[Pixels], Pixels]
_LEAST_SIDE = 8


def _by_image(work: Callable[[Any], Any]) -> Change:
    def change(pixels: Pixels) -> Pixels:
        from PIL import Image

        return np.array(work(Image.fromarray(pixels)).convert("RGB"))

    return change


def _jpeg(quality: int) -> Change:
    def work(image: Any) -> Any:
        from PIL import Image

        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return _by_image(work)


def _smaller(image: Any) -> Any:
    return image.resize((max(image.width // 2, 1), max(image.height // 2, 1)))


def _blurred(image: Any) -> Any:
    from PIL import ImageFilter

    return image.filter(ImageFilter.GaussianBlur(max(min(image.size) / 100, 1)))


def _lettered(image: Any) -> Any:
    from PIL import ImageDraw, ImageFont

    made = image.copy()
    pencil, (width, height) = ImageDraw.Draw(made), made.size
    pencil.rectangle((0, height * 4 // 5, width, height), fill="black")
    font = ImageFont.load_default(size=max(height // 10, 6))
    pencil.text((width // 20, height * 5 // 6), "BREAKING NEWS", font=font, fill="white")
    return made


def _collage(image: Any) -> Any:
    """The picture at a quarter of a sheet, beside three plain tiles."""
    from PIL import Image

    width, height = image.size
    sheet = Image.new("RGB", (2 * width, 2 * height), (236, 232, 222))
    for place, colour in (
        ((width, 0), (90, 140, 190)),
        ((0, height), (200, 120, 80)),
        ((width, height), (110, 160, 100)),
    ):
        sheet.paste(Image.new("RGB", (width, height), colour), place)
    sheet.paste(image, (0, 0))
    return sheet.resize((max(width, _LEAST_SIDE), max(height, _LEAST_SIDE)))


def _cropped(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    top, left = height // 10, width // 10
    return pixels[top : height - top, left : width - left].copy()


def _noisy(pixels: Pixels) -> Pixels:
    noise = np.random.default_rng(20_260_101).normal(0, 20, pixels.shape)
    return np.asarray((pixels + noise).clip(0, 255), dtype=np.uint8)


CHANGES: dict[str, Change] = {
    "JPEG quality 95": _jpeg(95),
    "JPEG quality 75": _jpeg(75),
    "JPEG quality 50": _jpeg(50),
    "JPEG quality 30": _jpeg(30),
    "half size": _by_image(_smaller),
    "a tenth cropped off each side": _cropped,
    "blur of a hundredth of the side": _by_image(_blurred),
    "noise of deviation 20": _noisy,
    "one tile of a collage of four": _by_image(_collage),
    "a band of text over a fifth": _by_image(_lettered),
    "mirrored": lambda pixels: pixels[:, ::-1].copy(),
    "grey": _by_image(lambda image: image.convert("L")),
}
