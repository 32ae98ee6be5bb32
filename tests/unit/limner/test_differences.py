"""What differs between two pictures is told by what it is, and where."""

from __future__ import annotations

import io

import pytest
from PIL import Image, PngImagePlugin

from limner.differences import Difference, differences

FORMS = ("PNG", "JPEG", "WEBP")


def picture(size: tuple[int, int] = (16, 8), form: str = "PNG", **options: object) -> bytes:
    """Give a picture whose left half is dark, and whose upper right corner is bright."""
    image = Image.new("RGB", size, (20, 30, 40))
    image.paste((200, 90, 10), (size[0] // 2, 0, size[0], size[1] // 2))
    return encoded(image, form, **options)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **({"lossless": True} if form == "WEBP" else {}), **options)
    return buffer.getvalue()


def painted(data: bytes, box: tuple[int, int, int, int]) -> Image.Image:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    image.paste((255, 255, 255), box)
    return image


def words(*texts: tuple[str, str]) -> PngImagePlugin.PngInfo:
    found = PngImagePlugin.PngInfo()
    for name, value in texts:
        found.add_text(name, value)
    return found


@pytest.mark.parametrize("form", FORMS)
def test_equal_files_differ_in_nothing(form: str) -> None:
    """Of each format."""
    assert differences(picture(form=form), picture(form=form)) == ()


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_changed_pixels_are_counted_and_placed(form: str) -> None:
    """Where coding is lossless, the count and the rectangle are exact."""
    kept = picture(form=form)
    (found,) = differences(kept, encoded(painted(kept, (3, 2, 6, 5)), form))
    assert found == Difference("pixels", "9 of 128 pixels differ, from (3, 2) to (5, 4)")


def test_a_jpegs_changed_pixels_are_found() -> None:
    """A block that is coded with loss is placed within its block of eight by eight."""
    kept = picture((32, 32), "JPEG", subsampling=0)
    (found,) = differences(kept, encoded(painted(kept, (8, 16, 16, 24)), "JPEG", subsampling=0))
    assert found.what == "pixels"
    assert "from (8, 16) to (15, 23)" in found.says


def test_other_sizes_and_formats_are_told() -> None:
    """A size in words of its own; of another format nothing else is compared."""
    assert differences(picture(), picture((8, 8))) == (Difference("pixels", "8x8 pixels, the record has 16x8"),)
    (found,) = differences(picture(), picture(form="WEBP"))
    assert (found.what, found.says) == ("format", "image/webp, the record has image/png")


def test_pixels_packed_anew_are_the_same_pixels() -> None:
    """Another compression of the same pixels is told apart from other pixels."""
    (found,) = differences(picture(compress_level=9), picture(compress_level=0))
    assert found.what == "encoding"


def test_metadata_are_told_by_their_names() -> None:
    """Added, taken out and changed chunks; the pixels are not mentioned."""
    one, other = (picture(pnginfo=words(("Title", text))) for text in ("apple", "pear"))
    assert differences(one, other) == (Difference("metadata", "tEXt changed"),)
    assert differences(one, picture()) == (Difference("metadata", "tEXt taken out"),)
    assert differences(picture(), one) == (Difference("metadata", "tEXt added"),)
    exif = Image.Exif()
    exif[270] = "apple"
    assert differences(picture(form="JPEG"), picture(form="JPEG", exif=exif)) == (Difference("metadata", "APP1 added"),)
    plain = picture(form="JPEG")
    adobe = plain[:2] + b"\xff\xee\x00\x07Adobe" + plain[2:]
    assert differences(plain, adobe) == (Difference("metadata", "APP14 added"),)


def test_pixels_and_metadata_are_told_both() -> None:
    """One difference does not hide the other."""
    kept = picture(pnginfo=words(("Title", "apple")))
    found = differences(kept, encoded(painted(kept, (0, 0, 1, 1))))
    assert [one.what for one in found] == ["pixels", "metadata"]


def test_image_data_that_decode_no_more_are_told() -> None:
    """A broken stream of pixels is a difference of pixels, and no exception."""
    import struct
    import zlib

    kept = picture()
    start = kept.index(b"IDAT")
    (length,) = struct.unpack(">I", kept[start - 4 : start])
    body = b"IDAT" + bytes(length)
    broken = kept[:start] + body + struct.pack(">I", zlib.crc32(body)) + kept[start + 8 + length :]
    (found,) = differences(kept, broken)
    assert found == Difference("pixels", "the image data differ and no longer decode")


def test_files_that_are_no_pictures_are_compared_by_bytes() -> None:
    """Length first; at one length the count and the first place."""
    assert differences(b"abcd", b"abc") == (Difference("bytes", "3 bytes, the record has 4"),)
    assert differences(b"abcd", b"abxy") == (Difference("bytes", "2 of 4 bytes, the first at offset 2"),)
