"""A picture is what its bytes say, whole, or it is refused with a reason, whatever the bytes are."""

from __future__ import annotations

import base64
import io
import struct
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from limner_providers._sniff import check_picture, picture_from_base64
from limner_providers.errors import GenerationFailed, ResultRefused


def make(kind: str, size: tuple[int, int] = (24, 16), **options: object) -> bytes:
    """Make a small noisy picture."""
    file = io.BytesIO()
    Image.effect_noise(size, 50).convert("RGB").save(file, kind, **options)
    return file.getvalue()


def animation(kind: str) -> bytes:
    """Make two frames in one file."""
    return make(kind, save_all=True, append_images=[Image.new("RGB", (24, 16), "red")], duration=50)


SAMPLES = {
    "png": make("PNG"),
    "jpeg": make("JPEG"),
    "progressive": make("JPEG", progressive=True),
    "webp": make("WEBP"),
    "lossless": make("WEBP", lossless=True),
    "extended": make("WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"),
}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("decode", [False, True])
def test_a_picture_is_known_by_its_bytes(name: str, decode: bool) -> None:
    """Each format is known with its size, with and without decoding, and padding at the end is let pass."""
    data = SAMPLES[name]
    found = check_picture(data, decode=decode)
    assert found[1:] == (24, 16)
    assert found.mime == {"png": "image/png", "jpeg": "image/jpeg", "progressive": "image/jpeg"}.get(name, "image/webp")
    assert check_picture(data + b"\0\n", decode=decode) == found


@pytest.mark.parametrize("name", SAMPLES)
def test_every_cut_is_noticed(name: str) -> None:
    """Cut anywhere, a picture is no picture, already by its structure."""
    data = SAMPLES[name]
    for end in range(len(data) - (1 if name in {"png", "jpeg", "progressive"} else 2)):
        with pytest.raises(GenerationFailed):
            check_picture(data[:end])


@pytest.mark.parametrize("name", SAMPLES)
def test_something_behind_the_end_is_refused(name: str) -> None:
    """Another file behind the picture is refused: it would be signed with it."""
    with pytest.raises(ResultRefused, match="behind its end"):
        check_picture(SAMPLES[name] + b"PK\x03\x04" + bytes(30))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_animations_are_refused(kind: str) -> None:
    """A result is one picture."""
    with pytest.raises(ResultRefused):
        check_picture(animation(kind))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"  <!doctype html>", "HTML"),
        (b"\xef\xbb\xbf<html>", "HTML"),
        (b'{"error": 1}', "JSON"),
        (b"<?xml version='1.0'?><svg>", "SVG"),
        (b"\0\0\0\x20ftypavif", "AVIF"),
        (b"BM" + bytes(60), "BMP"),
        (b"hello", "no PNG"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, words: str) -> None:
    """The reason says what the bytes are instead, where that is plain to see."""
    with pytest.raises(GenerationFailed, match=words) as caught:
        check_picture(data, provider="fake", request_id="r1")
    assert caught.value.may_have_billed
    assert (caught.value.provider, caught.value.request_id) == ("fake", "r1")


def bomb(width: int, height: int) -> bytes:
    """Make a PNG of a few bytes that says it has so many pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def test_pixels_have_a_limit_before_they_are_decoded() -> None:
    """A picture that says it is huge is refused by its header."""
    for size in ((50_000, 50_000), (2**31 - 1, 1), (1, 2**31 - 1)):
        with pytest.raises(ResultRefused, match="pixels"):
            check_picture(bomb(*size), decode=True)
    with pytest.raises(ResultRefused):
        check_picture(SAMPLES["png"], max_pixels=24 * 16 - 1)
    assert check_picture(SAMPLES["png"], max_pixels=24 * 16)
    with pytest.raises(GenerationFailed):
        check_picture(bomb(0, 5))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_broken_bytes_give_one_kind_of_error(name: str, data: st.DataObject) -> None:
    """Flipped, cut, doubled or swapped bytes are a picture still or a clear error, never a crash."""
    changed = bytearray(SAMPLES[name])
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    changed = changed[: data.draw(st.integers(0, len(changed)))] if data.draw(st.booleans()) else changed
    try:
        found = check_picture(bytes(changed), decode=True)
    except GenerationFailed:
        return
    assert found.width * found.height > 0


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x99\0\0\0WEBPVP8 "])
)
def test_any_bytes_are_judged(body: bytes, start: bytes) -> None:
    """Bytes without any sense are refused too."""
    with pytest.raises(GenerationFailed):
        check_picture(start + body, decode=True)


PLAIN = base64.b64encode(SAMPLES["png"]).decode()


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.encode(),
        PLAIN.rstrip("="),
        f"data:image/png;base64,{PLAIN}",
        f"data:;base64,{PLAIN}",
        f"data:image/jpeg;charset=utf-8;base64,{PLAIN.rstrip('=')}",
        "\n".join(PLAIN[at : at + 76] for at in range(0, len(PLAIN), 76)) + "\r\n",
        f"  {PLAIN}\t",
    ],
)
def test_base64_is_read_in_its_usual_spellings(text: str) -> None:
    """Line breaks, missing padding and a data address in front change nothing."""
    found = picture_from_base64(text, decode=True)
    assert (found.data, found.mime, found.width, found.height) == (SAMPLES["png"], "image/png", 24, 16)


@pytest.mark.parametrize(
    "text",
    ["", "…", "AAAA", f"{PLAIN[:40]}!{PLAIN[40:]}", f"data:image/png,{PLAIN}", PLAIN[:-9], PLAIN + PLAIN, None, 5,
     "data:image/png;base64,", "https://cdn.example/a.png", "=", f"{PLAIN[:8]}=={PLAIN[8:]}", b"\xff\xfe"],
)  # fmt: skip
def test_what_is_no_base64_of_a_picture_is_refused(text: str) -> None:
    """Anything else is a clear error that shows nothing of the text."""
    with pytest.raises(GenerationFailed) as caught:
        picture_from_base64(text, provider="fake")
    assert "fake: the result" in str(caught.value)


def test_base64_has_a_limit_before_it_is_decoded() -> None:
    """A text too long for the limit is refused before it is decoded, one just within it is read."""
    with pytest.raises(ResultRefused):
        picture_from_base64("A" * 10_000, max_bytes=1000)
    with pytest.raises(ResultRefused):
        picture_from_base64(PLAIN, max_bytes=len(SAMPLES["png"]) - 1)
    assert picture_from_base64(PLAIN, max_bytes=len(SAMPLES["png"])).width == 24


@given(st.text(max_size=200))
def test_any_text_is_judged(text: str) -> None:
    """Whatever stands there is refused, never a crash."""
    with pytest.raises(GenerationFailed):
        picture_from_base64(text)


def test_a_jpeg_without_pixels_is_no_jpeg() -> None:
    """Beginning and end alone are no picture."""
    for data in (
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xff\xff",
        b"\xff\xd8\xff\xda\0\x02\xff\xd9",
        b"\xff\xd8\xff\xe0\0\0",
    ):
        with pytest.raises(GenerationFailed):
            check_picture(data)
