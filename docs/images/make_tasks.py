"""Makes the pictures of docs/providers/diffusers.md with the starter model: the same bytes on the same machine.

    python docs/images/make_tasks.py

Each file is one row: what the task starts from, then what it made, pixels four times as large.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from limner_providers import ImageRequest
from limner_providers.diffusers import DiffusersProvider

Pixels = NDArray[np.uint8]
FOLDER = Path(__file__).parent / "tasks"
PROVIDER = DiffusersProvider(threads=1)
SEED, GAP, LARGER = 7, 8, 4


def draw(prompt: str, seed: int = SEED, **fields: Any) -> Pixels:
    """Carry out one request on the starter."""
    request = ImageRequest.build(**{"prompt": prompt} | fields)
    (image,) = anyio.run(lambda: PROVIDER.generate(request, seeds=[seed])).images
    assert image.pixels is not None
    return image.pixels


def save(name: str, row: Sequence[Pixels], larger: int = LARGER) -> None:
    """Lay pictures side by side on grey, their tops level, and write them."""
    width = sum(part.shape[1] * larger + GAP for part in row) - GAP
    height = max(part.shape[0] for part in row) * larger
    sheet = Image.new("RGB", (width, height), (128, 128, 128))
    left = 0
    for part in row:
        size = (part.shape[1] * larger, part.shape[0] * larger)
        sheet.paste(Image.fromarray(part).resize(size, Image.Resampling.NEAREST), (left, 0))
        left += size[0] + GAP
    sheet.save(FOLDER / f"{name}.png", optimize=True)


def mask(left: int, top: int, right: int, bottom: int) -> Pixels:
    """Give a 64x64 mask that is white in a box."""
    white = np.zeros((64, 64), np.uint8)
    white[top:bottom, left:right] = 255
    return white


def shown(white: Pixels) -> Pixels:
    """Give a mask as a picture."""
    return np.repeat(white[..., None], 3, axis=2)


def enlarge(image: Pixels) -> Pixels:
    """Double every pixel, so that the small picture stands beside the large ones."""
    return image.repeat(2, axis=0).repeat(2, axis=1)


def main() -> None:
    """Make all files."""
    FOLDER.mkdir(exist_ok=True)
    apple, face, rocket = draw("red apple"), draw("slightly smiling face"), draw("rocket")
    others = ("green apple", "tomato", "strawberry")
    save("img2img", [apple, *(draw(name, task="img2img", image=apple) for name in others)])
    save("variation", [apple, *(draw(name, task="variation", image=apple) for name in ("fruit", "apple", ""))])
    eyes, looks = mask(2, 8, 62, 36), ("nerd face", "smiling face with sunglasses", "winking face")
    save("inpaint", [face, shown(eyes), *(draw(name, task="inpaint", image=face, mask=eyes) for name in looks)])
    leaf = mask(22, 0, 64, 20)
    save("inpaint-leaf", [apple, shown(leaf), draw("green apple", task="inpaint", image=apple, mask=leaf)])
    half, top = np.ascontiguousarray(apple[:, :36]), np.ascontiguousarray(apple[:40])
    beside = draw("red apple", task="outpaint", image=half, margins={"right": 28})
    below = draw("red apple", task="outpaint", image=top, margins={"bottom": 24})
    save("outpaint", [half, beside, top, below])
    row: list[Pixels] = []
    for name, image in (("red apple", apple), ("rocket", rocket)):
        row += [enlarge(image)]
        row += [draw(name, task="upscale", image=image, scale=2.0, strength=strength) for strength in (0.0, None)]
    save("upscale", row, larger=2)


if __name__ == "__main__":
    main()
