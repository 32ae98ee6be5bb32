"""InputImage: every form in which a caller has a picture, read once, checked wholly, given upright and bare."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from limner_providers import ImageRequest, InputImage, mask_from_alpha
from limner_providers.errors import InvalidRequest
from limner_providers.images import MAX_INPUT_BYTES, check_mask

Make = Callable[..., ImageRequest]
FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


def pixels(width: int = 6, height: int = 4, channels: int = 3) -> NDArray[np.uint8]:
    """Draw a small picture in which no two pixels are alike."""
    return (
        (np.arange(width * height * channels, dtype=np.uint16) % 251).astype(np.uint8).reshape(height, width, channels)
    )


def file_of(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Write a picture as a file."""
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def png(width: int = 6, height: int = 4) -> bytes:
    """Write the small picture as a PNG."""
    return file_of(Image.fromarray(pixels(width, height)))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_is_kept_as_it_came(kind: str) -> None:
    """Bytes, type, size and digest are the file's own."""
    data = file_of(Image.fromarray(pixels()), kind)
    image = InputImage(data)
    assert (image.data, image.mime, image.size) == (data, FORMATS[kind], "6x4")
    assert image.sha256 == hashlib.sha256(data).hexdigest()
    assert image.pixels().shape == (4, 6, 3)


def test_every_form_of_a_picture_gives_the_same_pixels(tmp_path: Path) -> None:
    """A path, its text, bytes and their views, Pillow's image, an array, and anything with a file in `data`."""
    data = png()
    path = tmp_path / "a.png"
    path.write_bytes(data)
    forms: list[Any] = [
        path, str(path), data, bytearray(data), memoryview(data), Image.open(path), pixels(), InputImage(data),
        SimpleNamespace(data=data),
    ]  # fmt: skip
    for form in forms:
        assert np.array_equal(InputImage.of(form).pixels(), pixels()), type(form).__name__
        if isinstance(form, Image.Image):
            form.close()
    image = InputImage(data)
    assert InputImage.of(image) is image


def test_an_array_and_a_pillow_image_of_one_picture_are_equal() -> None:
    """Equality and hash go by the file, so that a record keeps one payload for both."""
    one, two = InputImage.of(pixels()), InputImage.of(Image.fromarray(pixels()))
    assert one == two
    assert len({one, two}) == 1
    assert one != InputImage.of(pixels(7, 4))
    assert one != "something else"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (b"", "0 bytes"),
        (b"<html>Sign in</html>", "20 bytes"),
        (png(64, 64)[:200], "no whole"),
        (b"GIF89a" + bytes(40), "no whole"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "no whole"),
        ("/no/such/file.png", "No such file"),
        ("\0", "cannot be read"),
        (7, "is no picture"),
        (pixels().astype(np.float32), "is no picture"),
        (np.zeros((0, 4, 3), np.uint8), "is no picture"),
        (np.zeros((4, 4, 7), np.uint8), "is no picture"),
        (SimpleNamespace(data=b""), "withheld"),
        (None, "is no picture"),
    ],
)
def test_what_is_no_picture_is_refused_with_its_field(source: Any, told: str) -> None:
    """Each names the field and a remedy, and is the error of a wrong request."""
    with pytest.raises(InvalidRequest) as caught:
        InputImage.of(source, field="mask")
    assert caught.value.field == "mask"
    assert told in str(caught.value)
    assert caught.value.remedy


def test_a_folder_and_a_file_that_is_too_large_are_refused(tmp_path: Path) -> None:
    """Before anything is read."""
    with pytest.raises(InvalidRequest, match="cannot be read"):
        InputImage.of(tmp_path)
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(MAX_INPUT_BYTES + 1)
    with pytest.raises(InvalidRequest, match="at most 67,108,864 bytes"):
        InputImage.of(large)
    with pytest.raises(InvalidRequest, match="at most 67,108,864 bytes"):
        InputImage(bytes(MAX_INPUT_BYTES + 1))


@pytest.mark.parametrize("side", [10_001, 12_000, 20_000, 100_000])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    """Just above the limit, and far above it, in a few bytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with pytest.raises(InvalidRequest, match="At most 100,000,000 pixels"):
        InputImage(data)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_refused(kind: str) -> None:
    """It has no single picture."""
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    with pytest.raises(InvalidRequest, match="single picture"):
        InputImage(file_of(frames[0], kind, save_all=True, append_images=frames[1:]))


@pytest.mark.parametrize("turned", range(1, 9))
def test_a_cameras_orientation_is_obeyed(turned: int) -> None:
    """Width, height and pixels are those of the upright picture, as a viewer shows it."""
    exif = Image.Exif()
    exif[0x0112] = turned
    image = InputImage(file_of(Image.fromarray(pixels(16, 8)), "JPEG", exif=exif, quality=100, subsampling=0))
    assert image.size == ("8x16" if turned > 4 else "16x8")
    upright = image.pixels()
    assert upright.shape == (image.height, image.width, 3)
    moves: dict[int, Callable[[Any], Any]] = {
        1: lambda p: p,
        2: np.fliplr,
        3: lambda p: np.rot90(p, 2),
        4: np.flipud,
        5: lambda p: np.transpose(p, (1, 0, 2)),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: np.rot90(np.transpose(p, (1, 0, 2)), 2),
        8: np.rot90,
    }
    plain = InputImage(file_of(Image.fromarray(pixels(16, 8)), "JPEG", quality=100, subsampling=0)).pixels()
    assert np.array_equal(upright, moves[turned](plain))
    assert image.bare is (turned == 1 and not exif)


def test_a_new_file_has_no_metadata_of_the_old() -> None:
    """Place, camera and prompt do not travel to an engine."""
    from PIL.PngImagePlugin import PngInfo

    told = PngInfo()
    told.add_text("parameters", "a secret prompt")
    image = InputImage(file_of(Image.fromarray(pixels()), pnginfo=told))
    assert not image.bare
    assert b"secret" in image.data
    assert b"secret" not in image.png()
    assert np.array_equal(InputImage(image.png()).pixels(), pixels())
    assert InputImage(png()).bare


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_exif_and_xmp_make_a_file_that_is_not_bare(kind: str) -> None:
    """Such a file is encoded anew before it goes out."""
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    assert not InputImage(file_of(Image.fromarray(pixels()), kind, exif=exif)).bare
    assert InputImage(file_of(Image.fromarray(pixels()), kind)).bare


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "YCbCr", "HSV", "F", "PA", "La"])
def test_every_mode_of_pillow_is_read_or_refused(mode: str) -> None:
    """Never a wrong shape, and never another error."""
    try:
        source = Image.fromarray(pixels()).convert("L" if mode in {"I;16", "La", "PA"} else mode)
        source = source.convert(mode) if source.mode != mode else source
    except ValueError:
        pytest.skip(f"Pillow makes no {mode} from this picture.")
    image = InputImage.of(source)
    assert image.pixels("RGB").shape == (4, 6, 3)
    assert image.pixels("RGBA").shape == (4, 6, 4)
    assert image.pixels("L").shape == (4, 6)


def test_sixteen_bits_keep_their_brightness() -> None:
    """Half of 65,535 is half of 255 and not white."""
    grey = Image.fromarray(np.full((4, 6), 0x8000, np.uint16))
    assert int(InputImage(file_of(grey)).pixels("L")[0, 0]) == 128


def test_transparent_pixels_lie_on_white_where_there_is_no_alpha() -> None:
    """And keep their own alpha where there is."""
    image = InputImage.of(np.full((4, 6, 4), (10, 20, 30, 0), np.uint8))
    assert image.pixels("RGB")[0, 0].tolist() == [255, 255, 255]
    assert image.pixels("RGBA")[0, 0, 3] == 0


def test_pixels_belong_to_the_caller() -> None:
    """Changing them changes no other reader's."""
    image = InputImage(png())
    first = image.pixels()
    first[:] = 0
    assert np.array_equal(image.pixels(), pixels())


def test_a_picture_is_not_shown() -> None:
    """Its representation tells type and size only."""
    assert repr(InputImage(png())) == f"InputImage(image/png, 6x4, {len(png()):,} bytes)"


def test_a_mask_in_the_other_convention_is_turned_round() -> None:
    """Transparent in, white out; anything else of the picture does not matter."""
    source = np.full((4, 6, 4), 200, np.uint8)
    source[..., 3] = 255
    source[:2, :, 3] = 0
    mask = mask_from_alpha(source)
    assert np.array_equal(mask.pixels("L"), np.where(np.arange(4)[:, None] < 2, 255, 0) * np.ones((1, 6)))
    assert check_mask(mask) is None


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (np.zeros((4, 6), np.uint8), "no white part"),
        (np.full((4, 6), 127, np.uint8), "no white part"),
        (np.full((4, 6), 128, np.uint8), None),
        (np.full((4, 6, 4), (255, 255, 255, 0), np.uint8), "transparent"),
        (np.full((4, 6, 4), 255, np.uint8), None),
    ],
)
def test_what_is_wrong_with_a_mask_is_said(mask: NDArray[np.uint8], told: str | None) -> None:
    """Nothing white changes nothing; transparent parts are the other convention."""
    problem = check_mask(InputImage.of(mask))
    assert (problem is None) if told is None else (told in str(problem))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FORMATS)), st.data())
def test_a_spoilt_file_is_refused_or_read_and_nothing_else(kind: str, data: st.DataObject) -> None:
    """Whatever byte is changed, cut off or put in: an InvalidRequest, or a picture of a sane size."""
    whole = bytearray(file_of(Image.fromarray(pixels(9, 7)), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(whole) - 1))
        how = data.draw(st.sampled_from(["change", "cut", "insert"]))
        if how == "cut":
            del whole[place:]
        elif how == "insert":
            whole[place:place] = data.draw(st.binary(min_size=1, max_size=8))
        else:
            whole[place] = data.draw(st.integers(0, 255))
        if not whole:
            break
    try:
        image = InputImage(bytes(whole))
    except InvalidRequest:
        return
    assert image.pixels().shape == (image.height, image.width, 3)
    assert image.png()


@given(st.binary(max_size=300))
def test_bytes_that_are_no_picture_never_raise_anything_else(data: bytes) -> None:
    """Noise is an InvalidRequest."""
    with pytest.raises(InvalidRequest):
        InputImage(data)
