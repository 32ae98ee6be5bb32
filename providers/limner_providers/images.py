"""A picture that goes into a request: read once, checked once, and given in the form that an engine wants.

It knows files and pixels, and nothing of requests or engines. Pillow and numpy are imported when a picture is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner_providers.errors import InvalidRequest, shorten

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

MAX_INPUT_BYTES = 64 * 1024 * 1024
MAX_INPUT_PIXELS = 100_000_000
_MIMES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
_ORIENTATION = 0x0112
_REMEDY = "Give a PNG, JPEG or WebP file, its bytes, a Pillow image or an image of a result."


class InputImage:
    """One picture of a request, immutable; width and height are those of the upright picture.

    Attributes:
        data: the file as it was given; of pixels that came without a file, a PNG.
        mime: `image/png`, `image/jpeg` or `image/webp`.
        width, height: pixels, after a camera's orientation mark is obeyed.
    """

    __slots__ = ("__dict__", "_turned", "data", "height", "mime", "width")

    data: bytes
    mime: str
    width: int
    height: int

    def __init__(self, data: bytes, *, field: str = "image") -> None:
        """Check the file `data` wholly, its pixels included.

        Raises:
            InvalidRequest: it is no whole PNG, JPEG or WebP picture, is animated, or is too large; names `field`.
        """
        if len(data) > MAX_INPUT_BYTES:
            raise _wrong(field, f"({len(data):,} bytes)", f"A picture has at most {MAX_INPUT_BYTES:,} bytes.")
        with _reading(field, data) as image:
            if image.width * image.height > MAX_INPUT_PIXELS:
                raise _wrong(field, f"{image.width}x{image.height}", f"At most {MAX_INPUT_PIXELS:,} pixels.")
            if getattr(image, "n_frames", 1) > 1:
                raise _wrong(field, "(an animation)", "Give a single picture.")
            image.load()
            turned = image.getexif().get(_ORIENTATION, 1) if image.format != "PNG" else 1
            self.mime = _MIMES[str(image.format)]
            self._turned = turned in range(2, 9)
            self.width, self.height = (image.height, image.width) if turned in range(5, 9) else image.size
        self.data = data

    @classmethod
    def of(cls, source: Any, *, field: str = "image") -> InputImage:
        """Take a picture in whatever form a caller has it.

        Args:
            source: a path, the bytes of a file, a Pillow image, an `InputImage`, a uint8 array of shape
                (height, width), (height, width, 3) or (height, width, 4), or anything whose `data` are a file's bytes.
            field: which field of a request an error names.

        Raises:
            InvalidRequest: it is none of these, cannot be read, or is no whole picture.
        """
        if isinstance(source, InputImage):
            return source
        if isinstance(source, str | Path):
            return cls(_read(Path(source), field), field=field)
        if isinstance(source, bytes | bytearray | memoryview):
            return cls(bytes(source), field=field)
        data = getattr(source, "data", None)
        if isinstance(data, bytes):
            if not data:
                raise _wrong(field, "(withheld)", "This image was not released, so it has no bytes to start from.")
            return cls(data, field=field)
        return cls(_as_png(source, field), field=field)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file, lower-case hex."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def size(self) -> str:
        """`WIDTHxHEIGHT` of the upright picture."""
        return f"{self.width}x{self.height}"

    def pixels(self, mode: str = "RGB") -> NDArray[np.uint8]:
        """Decode the upright picture.

        Args:
            mode: `RGB` (height, width, 3), `RGBA` (height, width, 4) or `L` (height, width); transparent pixels are
                laid on white where the mode has no alpha.

        Returns:
            A uint8 array that belongs to the caller.
        """
        import numpy as np

        with self._upright() as image:
            return np.array(_converted(image, mode))

    def png(self, mode: str = "RGB") -> bytes:
        """Encode the upright picture anew as PNG, without any metadata of the file (place, camera, prompt)."""
        with self._upright() as image:
            return _png(_converted(image, mode))

    @cached_property
    def bare(self) -> bool:
        """Whether the file can be passed on as it is: upright, and free of EXIF, XMP and comments."""
        with _reading("image", self.data) as image:
            image.load()
            told = {"exif", "xmp", "comment", "XML:com.adobe.xmp", "parameters"} & image.info.keys()
            return not (self._turned or told or getattr(image, "text", {}))

    @contextlib.contextmanager
    def _upright(self) -> Iterator[Image]:
        from PIL import ImageOps

        with _reading("image", self.data) as image:
            yield ImageOps.exif_transpose(image) if self._turned else image

    def __eq__(self, other: object) -> bool:
        """Compare the files byte by byte."""
        return isinstance(other, InputImage) and self.data == other.data

    def __hash__(self) -> int:
        return hash(self.data)

    def __repr__(self) -> str:
        return f"InputImage({self.mime}, {self.size}, {len(self.data):,} bytes)"


def mask_from_alpha(source: Any) -> InputImage:
    """Make a mask (white changes) from one in OpenAI's convention, where transparent pixels change."""
    image = InputImage.of(source, field="mask")
    return InputImage.of(255 - image.pixels("RGBA")[..., 3], field="mask")


def check_mask(mask: InputImage) -> str | None:
    """Say what is wrong with a mask in itself; None: nothing."""
    alpha = mask.pixels("RGBA")[..., 3]
    if int(alpha.min()) < 255:
        return "has transparent parts, and in a mask white changes; mask_from_alpha() turns the other convention round."
    if int(mask.pixels("L").max()) < 128:
        return "has no white part, so that nothing would change."
    return None


def _wrong(field: str, value: str, remedy: str, problem: str = "cannot be taken.") -> InvalidRequest:
    return InvalidRequest(field, value, remedy, problem=problem)


def _read(path: Path, field: str) -> bytes:
    try:
        if path.stat().st_size > MAX_INPUT_BYTES:
            raise _wrong(field, f"({path.stat().st_size:,} bytes)", f"A picture has at most {MAX_INPUT_BYTES:,} bytes.")
        return path.read_bytes()
    except InvalidRequest:  # is a ValueError too, and says more
        raise
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no such path"
        raise _wrong(field, shorten(str(path)), _REMEDY, f"cannot be read: {why}.") from error


@contextlib.contextmanager
def _reading(field: str, data: bytes) -> Iterator[Image]:
    """Open a file with Pillow; whatever is wrong with it is one clear error."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Our own limit is tighter than Pillow's warning, and an error.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=tuple(_MIMES)) as image:
                yield image
    except InvalidRequest:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit, far above ours, is met before ours is asked
        raise _wrong(field, "(far too many pixels)", f"At most {MAX_INPUT_PIXELS:,} pixels.") from error
    except Exception as error:  # a decoder raises whatever it likes on bytes that are no picture
        raise _wrong(field, f"({len(data):,} bytes)", _REMEDY, "is no whole PNG, JPEG or WebP picture.") from error


def _converted(image: Image, mode: str) -> Image:
    from PIL.Image import new

    if image.mode.startswith("I;16") or image.mode == "I":
        image = image.point(lambda value: value / 256).convert("L")
    if mode != "RGBA" and (image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info):
        ground = new("RGBA", image.size, "white")
        ground.alpha_composite(image.convert("RGBA"))
        image = ground
    return image if image.mode == mode else image.convert(mode)


def _png(image: Image) -> bytes:
    file = io.BytesIO()
    bare = image.copy()
    bare.info = {}
    bare.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _as_png(source: Any, field: str) -> bytes:
    """Write a Pillow image or an array as a PNG."""
    import numpy as np
    from PIL import Image, ImageOps

    if isinstance(source, Image.Image):
        upright = ImageOps.exif_transpose(source)
        return _png(upright if upright.mode in {"L", "RGB", "RGBA"} else _converted(upright, "RGBA"))
    if isinstance(source, np.ndarray) and source.dtype == np.uint8 and source.ndim in {2, 3} and source.size:
        with contextlib.suppress(TypeError, ValueError):
            return _png(Image.fromarray(source))
    raise _wrong(field, f"({type(source).__name__})", _REMEDY, "is no picture.")
