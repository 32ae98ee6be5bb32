"""What an engine wrote about a picture can be taken out of its file without touching a pixel."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from limner_provenance.credentials import ManifestFacts, Signer, check_whole, read_credentials, seal, without_texts
from limner_provenance.errors import ImageUnreadable

MakeFacts = Callable[..., ManifestFacts]
PROMPT = "a red apple, Steps: 20, Seed: 7"


def _picture(form: str, *, told: bool, profile: bool = False) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    file = io.BytesIO()
    options: dict[str, Any] = {}
    if told and form == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_text("parameters", PROMPT)
        texts.add_itxt("XML:com.adobe.xmp", f"<x>{PROMPT}</x>")
        texts.add_text("workflow", PROMPT, zip=True)
        options |= {"pnginfo": texts}
    if told and form != "PNG":
        exif = Image.Exif()
        exif[0x9286] = PROMPT
        options |= {"exif": exif.tobytes(), "xmp": PROMPT.encode()}
        options |= {"comment": PROMPT.encode()} if form == "JPEG" else {}
    if profile:
        options |= {"icc_profile": b"\0" * 128 + b"acsp-like profile"}
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def _pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB").tobytes()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_texts_go_and_pixels_and_profile_stay(form: str) -> None:
    """The prompt is nowhere in the file any more, the picture is the same, and the colour profile is still there."""
    data = _picture(form, told=True, profile=True)
    plain = without_texts(data)
    assert plain.removed
    assert not plain.kept
    assert b"red apple" not in plain.data
    assert check_whole(plain.data)
    assert _pixels(plain.data) == _pixels(data)
    with Image.open(io.BytesIO(plain.data)) as image:
        assert "icc_profile" in image.info
        assert not {"parameters", "exif", "xmp", "comment", "workflow"} & image.info.keys()
    assert without_texts(plain.data).data == plain.data


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_picture_without_texts_keeps_its_bytes(form: str) -> None:
    """Nothing is rewritten where there is nothing to take out."""
    data = _picture(form, told=False)
    assert without_texts(data).data is data
    assert without_texts(data).removed == ()


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_what_hides_behind_the_end_goes_too(form: str) -> None:
    """Bytes after the end marker are no part of the picture."""
    data = _picture(form, told=False)
    plain = without_texts(data + PROMPT.encode())
    assert plain.removed == ("trailer",)
    assert plain.data == data


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_signed_picture_is_left_as_it_is(form: str, facts: MakeFacts, signer: Signer) -> None:
    """Credentials cover these bytes: taking texts out would turn a valid signature into a broken one."""
    data = _picture(form, told=True)
    signed = seal(data, facts(data), signer).data
    plain = without_texts(signed)
    assert plain.data is signed
    assert plain.kept
    assert read_credentials(plain.data).state in {"valid", "trusted"}


@given(st.sampled_from(["PNG", "JPEG", "WEBP"]), st.integers(0, 2000), st.binary(min_size=1, max_size=8))
def test_broken_files_are_refused_or_come_out_readable_to_the_end(form: str, at: int, junk: bytes) -> None:
    """Whatever the bytes are, the answer is a whole container or one clear error."""
    data = bytearray(_picture(form, told=True))
    data[at : at + len(junk)] = junk
    try:
        plain = without_texts(bytes(data))
    except ImageUnreadable:
        return
    assert check_whole(plain.data)
