"""Encoding: the same pixels, the same bytes; PNG exact; no metadata."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from limner_providers._encode import encode
from limner_providers._pattern import draw

PIXELS = draw("a", 1, 61, 47)


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_the_same_pixels_give_the_same_bytes_without_metadata(output_format: str) -> None:
    """Encoding is deterministic and writes nothing about anybody."""
    data = encode(PIXELS, output_format)
    assert data == encode(PIXELS.copy(), output_format)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert (image.format or "").lower() == output_format
        assert image.size == (61, 47)
        assert image.mode == "RGB"
        assert not image.getexif()
        assert {"exif", "icc_profile", "xmp", "comment", "parameters"}.isdisjoint(image.info)


def test_png_is_exact() -> None:
    """No pixel changes in a PNG."""
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode(PIXELS, "png")))), PIXELS)


@pytest.mark.parametrize("output_format", ["jpeg", "webp"])
def test_quality_orders_size_and_closeness(output_format: str) -> None:
    """0 is the smallest file, 100 the nearest to the pixels, and both are legal."""
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    files = [encode(noise, output_format, quality) for quality in (0, 50, 100)]
    sizes = [len(data) for data in files]
    assert sizes == sorted(sizes)
    errors = [np.abs(np.asarray(Image.open(io.BytesIO(data)), float) - noise).mean() for data in files]
    assert errors == sorted(errors, reverse=True)
