"""Canvases of the diffusers provider: what a model starts from, and what of it a mask keeps; no torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_providers import ImageRequest
from limner_providers._diffusers_canvas import Canvas, make_canvas
from limner_providers._diffusers_latents import _cells
from limner_providers._diffusers_settings import Settings, effective_steps

Make = Callable[..., ImageRequest]


def settings(width: int, height: int, canvas: tuple[int, int]) -> Settings:
    """Give settings of which only the sizes matter."""
    return Settings(
        width=width,
        height=height,
        canvas=canvas,
        num_inference_steps=1,
        effective_steps=1,
        guidance_scale=1.0,
        scheduler=None,
        strength=1.0,
    )


def made(request: ImageRequest, *sizes: Any) -> Canvas:
    """Make the canvas of a request that has a picture."""
    canvas = make_canvas(request, settings(*sizes))
    assert canvas is not None
    return canvas


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_a_mask_mixes_in_proportion_and_exactly_at_its_ends(kept: int, drawn: int, grey: int) -> None:
    """0 keeps, 255 takes, between is the rounded mean; no sum overflows."""
    one = np.ones((1, 1, 3), np.uint8)
    canvas = Canvas(pixels=one * np.uint8(kept), mask=np.full((1, 1), grey, np.uint8), width=1, height=1)
    (result,) = set(canvas.finish(one * np.uint8(drawn)).ravel().tolist())
    assert abs(result - (kept * (255 - grey) + drawn * grey) / 255) <= 0.5
    if grey in {0, 255}:
        assert result == (drawn if grey else kept)


def test_a_picture_is_continued_to_the_canvas_and_cut_back(request_of: Make) -> None:
    """The right and lower edge are repeated; the result is the upper left part."""
    image = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    canvas = made(request_of(task="img2img", image=image), 7, 5, (8, 16))
    assert canvas.pixels.shape == (16, 8, 3)
    assert np.array_equal(canvas.pixels[:5, :7], image)
    assert np.array_equal(canvas.pixels[5:, :7], np.repeat(image[-1:], 11, axis=0))
    assert np.array_equal(canvas.pixels[:5, 7], image[:, -1])
    assert np.array_equal(canvas.finish(canvas.pixels), image)


def test_margins_lengthen_the_edges_and_are_what_changes(request_of: Make) -> None:
    """The original is in its place, masked as what stays."""
    image = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    margins = {"left": 1, "top": 2, "right": 3, "bottom": 0}
    canvas = made(request_of(task="outpaint", image=image, margins=margins), 8, 6, (8, 8))
    assert canvas.mask is not None
    assert np.array_equal(canvas.pixels[2:6, 1:5], image)
    assert not canvas.mask[2:6, 1:5].any()
    assert int((canvas.mask[:6, :8] == 0).sum()) == 16
    assert np.array_equal(canvas.pixels[0, 1:5], image[0])


def test_txt2img_has_no_canvas(request_of: Make) -> None:
    """There is nothing to start from."""
    assert make_canvas(request_of(), settings(8, 8, (8, 8))) is None


def test_a_thin_line_of_a_mask_frees_its_latents() -> None:
    """One white pixel lets its whole latent change, and no other."""
    mask = np.zeros((16, 24), np.uint8)
    mask[9, 17] = 255
    mask[0, 0] = 51
    cells = _cells(mask, 2, 3)
    assert cells.dtype == np.float32
    assert np.allclose(cells, np.array([[0.2, 0.0, 0.0], [0.0, 0.0, 1.0]]))


@pytest.mark.parametrize(
    ("steps", "strength", "made_steps"),
    [(20, 0.0, 0), (20, 1e-9, 1), (50, 0.58, 29), (50, 0.999, 49), (1000, 1.0, 1000), (1, 0.5, 1)],
)
def test_strength_times_steps_is_rounded_down_exactly(steps: int, strength: float, made_steps: int) -> None:
    """At least one step, unless the strength is nothing."""
    assert effective_steps(steps, strength) == made_steps
