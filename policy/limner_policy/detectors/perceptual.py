"""A perceptual hash of 256 bits: near pictures have near hashes. Knows pixels and bits, no lists and no policy.

The picture's luma is brought to 64×64, its cosine transform taken, and for the 16×16 lowest frequencies but the
constant ones a bit says whether the coefficient lies above their median. Resizing, JPEG, blur, noise, brightness and
contrast hardly move it; crops do.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from limner_policy.detectors.base import Pixels

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Bits = npt.NDArray[np.uint8]
    Matrix = npt.NDArray[np.float32]
else:
    Bits = Matrix = Any

VERSION = "dct256 1"
HEX_LENGTH = 64
UNRELATED = 128
"""Distance of two unrelated pictures: half of the bits."""
_SIDE, _KEPT = 64, 16
_FLAT = 0.5
"""Standard deviation of the 64×64 luma, in grey levels, below which a picture shows nothing that could be compared."""


def hashes(image: Pixels) -> Bits | None:
    """Hash a picture and its seven mirrored and turned forms.

    Args:
        image: uint8 array of shape (height, width, 3), RGB.

    Returns:
        A uint8 array of shape (8, 32): first the picture as it stands. None for a picture of one colour, whose hash
        would be noise.
    """
    import numpy as np

    small = _luma(image)
    if float(small.std()) < _FLAT:
        return None
    basis = _basis()
    plain = basis @ small @ basis.T
    # Mirroring a picture changes the sign of its odd frequencies in that direction; transposing transposes them.
    signs = np.where(np.arange(1, _KEPT + 1) % 2, -1.0, 1.0).astype(np.float32)
    forms = []
    for one in (plain, plain.T):
        for rows in (1.0, signs[:, None]):
            forms += [one * rows, one * rows * signs[None, :]]
    flat = np.stack(forms).reshape(8, -1)
    return np.packbits(flat > np.median(flat, axis=1, keepdims=True), axis=1)


def to_hex(bits: Bits) -> str:
    """Write one hash of shape (32,) as 64 lower-case hex digits."""
    return bits.tobytes().hex()


def distances(found: Bits, known: Bits) -> npt.NDArray[np.uint16]:
    """Hamming distances of hashes.

    Args:
        found: uint8, shape (m, 32).
        known: uint8, shape (n, 32).

    Returns:
        uint16, shape (m, n), 0…256.
    """
    import numpy as np

    left, right = (np.ascontiguousarray(one).view(np.uint64) for one in (found, known))
    # Word by word: a table of all pairs and words together would not stay in the processor's cache.
    total = np.zeros((len(left), len(right)), dtype=np.uint16)
    for word in range(left.shape[1]):
        total += np.bitwise_count(left[:, word, None] ^ right[None, :, word])
    return total


def likeness(distance: int) -> float:
    """Turn a Hamming distance into a score: 1 for equal hashes, 0 from 128 (unrelated) on."""
    return max(0.0, 1.0 - distance / UNRELATED)


def _luma(image: Pixels) -> Matrix:
    import numpy as np
    from PIL import Image

    grey = Image.fromarray(image).convert("L")
    return np.asarray(grey.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR), dtype=np.float32)


@functools.cache
def _basis() -> Matrix:
    import numpy as np

    frequency = np.arange(1, _KEPT + 1)[:, None]
    place = np.arange(_SIDE)[None, :]
    return np.cos(np.pi * frequency * (2 * place + 1) / (2 * _SIDE)).astype(np.float32)
