"""The pictures of the protocol servers."""

from __future__ import annotations

import io
import itertools

import pytest
from PIL import Image
from servers.pictures import bomb_png, encode, grid, noise_png, open_picture, plain, quadrant_colours


def test_a_grids_quadrants_are_clearly_distinct() -> None:
    """Whatever the words, any two of the four colours are far apart, and stay so through JPEG."""
    for word in map(str, range(50)):
        colours = quadrant_colours(word)
        tiles = grid([plain((16, 16), colour) for colour in colours])
        seen = open_picture(encode(tiles, "jpeg")).convert("RGB")
        shown = [seen.getpixel(spot) for spot in ((10, 10), (26, 10), (10, 26), (26, 26))]
        for one, two in itertools.combinations(shown, 2):
            assert isinstance(one, tuple)
            assert isinstance(two, tuple)
            assert sum(abs(a - b) for a, b in zip(one, two, strict=True)) > 100


@pytest.mark.parametrize("octets", [1024, 50_000, 1_500_000])
def test_noise_has_the_size_asked_for(octets: int) -> None:
    """A noise picture is a valid PNG of about the number of bytes."""
    data = noise_png(octets)
    assert abs(len(data) - octets) < 0.02 * octets + 200
    open_picture(data)


def test_a_bomb_is_small_and_claims_much() -> None:
    """A bomb of some kilobytes declares many megapixels, and is a valid PNG."""
    data = bomb_png(4000)
    assert len(data) < 32_000
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (4000, 4000)
        picture.load()


def test_what_is_no_picture_is_told() -> None:
    """Cut and foreign bytes are a ValueError."""
    for data in (b"", b"<html>", encode(plain((64, 64), (1, 2, 3)))[:60]):
        with pytest.raises(ValueError, match="not a picture"):
            open_picture(data)
