"""From a request to the OpenAI Images API's own parameters and files: generations, edits, variations.

Pure but for encoding pictures; it knows no network. What the capabilities cannot say of a request is refused here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from limner_providers._openai_catalogue import Dialect, steering_texts
from limner_providers.capabilities import Capabilities
from limner_providers.errors import UnsupportedRequest
from limner_providers.images import InputImage
from limner_providers.types import ImageRequest

MOST_PICTURES = 16
MOST_MASK = 3_999_999  # bytes; the endpoint takes less than 4 MB
COMPRESSION = 95  # of JPEG and WebP where a request names none, as everywhere in this package
_SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}

File = tuple[str, tuple[str, bytes, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """To whom a request is written.

    Attributes:
        provider: its name in the configuration.
        model: what the parameter `model` says; None: it is left out.
        dialect: which parameters the server takes.
        able: what the model can do.
    """

    provider: str
    model: str | None
    dialect: Dialect
    able: Capabilities

    @property
    def square(self) -> bool:
        """Whether pictures are taken only as square PNGs, as dall-e-2 does."""
        return self.dialect == "dall-e" and not self.able.uncatalogued


def path_of(request: ImageRequest) -> str:
    """Say which endpoint carries out a request: pictures of any kind make it an edit."""
    if request.task == "variation":
        return "/images/variations"
    return "/images/edits" if request.inputs() else "/images/generations"


def refuse_misfits(request: ImageRequest, target: Target) -> None:
    """Refuse what the capabilities cannot tell, before anything is encoded or sent.

    Raises:
        UnsupportedRequest: names the first field.
    """
    for field, value, why, remedy in _misfits(request, target):
        raise UnsupportedRequest(field, value, why=why, remedy=remedy, provider=target.provider)


def _misfits(request: ImageRequest, target: Target) -> Iterator[tuple[str, str, str, str]]:
    if any(text in request.prompt.lower() for text in steering_texts()):
        why = f"some servers read what follows {' or '.join(steering_texts())} in it as settings."
        yield (
            "prompt",
            f"({len(request.prompt):,} characters)",
            why,
            "Leave that out; settings are fields of the request.",
        )
    pictures = len(request.references) + (request.image is not None)
    if pictures > MOST_PICTURES:
        yield (
            "references",
            f"({len(request.references)} of them)",
            f"an edit takes {MOST_PICTURES} pictures.",
            "Give fewer.",
        )
    if request.task == "variation" and request.prompt:
        yield "prompt", f"({len(request.prompt):,} characters)", "variations take none.", "Leave it out."
    if "input_fidelity" in request.extra.get("openai", {}) and not pictures:
        yield "extra.openai.input_fidelity", "(given)", "no picture is given to be kept.", "Leave it out."
    image = request.image
    if image is not None and target.square and image.width != image.height:
        yield "image", image.size, "it takes square pictures only.", "Cut it, or ask another model."


def fields_of(
    request: ImageRequest, target: Target, *, partial_images: int | None, end_user: str | None
) -> dict[str, Any]:
    """Write the parameters of a request.

    Args:
        request: what is asked; it fits the target.
        target: to whom.
        partial_images: unfinished pictures to be streamed, 0 to 3; None: no stream.
        end_user: an opaque id of who asks; None: it is not told.
    """
    fields: dict[str, Any] = {"model": target.model, "prompt": request.prompt or None, "n": request.n}
    fields |= {"size": size_of(request, target), "quality": request.quality}
    fields |= request.extra.get("openai", {})
    if target.dialect == "dall-e":
        fields |= {"response_format": "b64_json", "user": end_user}
    else:
        fields |= {"background": request.background, "output_format": request.output_format}
        fields["output_compression"] = compression_of(request)
        fields["safety_identifier"] = end_user
        if partial_images is not None:
            fields |= {"stream": True, "partial_images": partial_images}
    return {name: value for name, value in fields.items() if value is not None}


def size_of(request: ImageRequest, target: Target) -> str | None:
    """Say which size is asked for; of an edit that names none the picture's own, where that can be made."""
    asked = target.able.size_for(request)
    image = request.image
    if asked is not None or image is None:
        return asked
    return image.size if target.able.size.problem(image.width, image.height) is None else None


def compression_of(request: ImageRequest) -> int | None:
    """Give the quality of JPEG and WebP; None for PNG."""
    if request.output_format == "png":
        return None
    return COMPRESSION if request.output_compression is None else request.output_compression


def files_of(request: ImageRequest, target: Target) -> list[File]:
    """Encode the pictures of a request: what is drawn from first, then the references, then the mask. This blocks.

    Raises:
        UnsupportedRequest: a picture is too large once it is encoded as the endpoint wants it.
    """
    named = {"image": request.image} | {f"references.{i}": part.image for i, part in enumerate(request.references)}
    pictures = {name: image for name, image in named.items() if image is not None}
    part = "image" if len(pictures) == 1 else "image[]"
    files: list[File] = []
    for index, (name, image) in enumerate(pictures.items()):
        data, mime = _encoded(image, target)
        _check_length(name, data, target.able.max_input_bytes, target)
        files.append((part, (f"image-{index + 1}.{_SUFFIXES[mime]}", data, mime)))
    if request.mask is not None:
        data = mask_of(request.mask)
        _check_length("mask", data, MOST_MASK, target)
        files.append(("mask", ("mask.png", data, "image/png")))
    return files


def _encoded(image: InputImage, target: Target) -> tuple[bytes, str]:
    """Pass a file on where it says nothing of place and camera; else, or where PNG is wanted, encode it anew."""
    if image.bare and not (target.square and image.mime != "image/png"):
        return image.data, image.mime
    return image.png("RGB" if image.mime == "image/jpeg" else "RGBA"), "image/png"


def mask_of(mask: InputImage) -> bytes:
    """Write a mask (white changes) as the endpoint wants it: transparent changes.

    Its colours still show the white: servers that read a mask's brightness in place of its transparency understand it
    too (stable-diffusion.cpp does).

    Returns:
        A PNG with four channels, as large as the mask.
    """
    import io

    import numpy as np
    from PIL import Image

    white = mask.pixels("L")
    picture = np.dstack([white, white, white, 255 - white])
    file = io.BytesIO()
    Image.fromarray(picture, "RGBA").save(file, "PNG", compress_level=6)
    return file.getvalue()


def _check_length(field: str, data: bytes, most: int | None, target: Target) -> None:
    if most is not None and len(data) > most:
        why = f"the endpoint takes at most {most:,} bytes of it."
        raise UnsupportedRequest(
            field,
            f"({len(data):,} bytes)",
            why=why,
            remedy="Make the picture smaller.",
            provider=target.provider,
        )
