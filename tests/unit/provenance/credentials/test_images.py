"""Container checks: which format, and whole or not."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner_provenance.credentials import check_whole, sniff
from limner_provenance.errors import ImageUnreadable


@pytest.mark.parametrize(("kind", "mime"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")])
def test_the_format_is_told_by_content(picture: Any, kind: str, mime: str) -> None:
    """A file's format is found from its first bytes."""
    assert sniff(picture(kind)) == mime
    assert check_whole(picture(kind)) == mime


@pytest.mark.parametrize("data", [b"", b"GIF89a" + b"\0" * 20, b"<html>not an image</html>", b"RIFF\0\0\0\0WAVE"])
def test_other_bytes_are_refused(data: bytes) -> None:
    """Whatever is none of the three is unreadable, and the remedy is said."""
    with pytest.raises(ImageUnreadable, match="no PNG, JPEG or WebP") as caught:
        sniff(data)
    assert "original file" in caught.value.remedy


def test_every_truncation_is_found(any_picture: bytes) -> None:
    """A file cut at any byte before its end is not whole, and the message names an offset."""
    for length in range(12, len(any_picture)):
        with pytest.raises(ImageUnreadable, match=r"missing at offset \d+"):
            check_whole(any_picture[:length])


def test_a_truncated_png_names_chunk_and_offset(picture: Any) -> None:
    """The message says what is missing and where the file ends."""
    data = picture("PNG")
    cut = data[: data.index(b"IDAT") + 10]
    with pytest.raises(ImageUnreadable, match=rf"rest of chunk IDAT \(\d+ bytes\) is missing at offset {len(cut)}"):
        check_whole(cut)


def test_progressive_jpeg_and_restart_markers_are_whole() -> None:
    """Several scans, stuffed zeros and restart markers do not end a JPEG."""
    import io

    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    for options in ({"progressive": True}, {"restart_marker_blocks": 1}, {"quality": 100}):
        buffer = io.BytesIO()
        Image.fromarray(noise).save(buffer, "JPEG", **options)
        assert check_whole(buffer.getvalue()) == "image/jpeg"
        with pytest.raises(ImageUnreadable):
            check_whole(buffer.getvalue()[:-2])


def test_animated_webp_is_whole() -> None:
    """A WebP whose frames lie in ANMF chunks counts as an image."""
    import io

    from PIL import Image

    buffer = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), (value, 0, 0)) for value in (0, 120, 240)]
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    assert check_whole(buffer.getvalue()) == "image/webp"


@given(st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\xff\0\0\0WEBP", b""]), st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_hostile_bytes_end_in_a_clear_error(start: bytes, rest: bytes) -> None:
    """Random content behind a true signature is unreadable or whole, never another exception."""
    with contextlib.suppress(ImageUnreadable):
        assert check_whole(start + rest) == sniff(start)


def test_a_file_of_endless_parts_is_refused(picture: Any) -> None:
    """Millions of empty chunks do not keep a reader busy."""
    data = picture("PNG")
    chunk = b"\0\0\0\0teXt\0\0\0\0"
    with pytest.raises(ImageUnreadable, match="within 100,000 parts"):
        check_whole(data[:33] + chunk * 150_000 + data[33:])
