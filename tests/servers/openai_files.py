"""The checks of uploaded files, as the edits and variations endpoints make them."""

from __future__ import annotations

from servers.ledger import Upload
from servers.openai_rules import LEGACY, Job, Refused
from servers.pictures import open_picture

MEBI = 1 << 20
_TYPES = ("image/jpeg", "image/png", "image/webp")
_PIL_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


def check_files(job: Job, files: list[Upload]) -> None:
    """Sort the files into `job` and check number, type, bytes, dimensions and transparency; raises Refused."""
    images = [upload for upload in files if upload.field in {"image", "image[]"}]
    job.mask = next((upload for upload in files if upload.field == "mask"), None)
    job.markup = next((upload for upload in files if upload.field == "markup"), None)
    if not images:
        raise Refused("Missing required parameter: 'image'.", "image", "missing_required_parameter")
    if sum(upload.field == "image" for upload in images) > 1:
        text = (
            "Duplicate parameter: 'image'. You provided multiple values for this parameter, whereas only one "
            "is allowed. If you are trying to provide a list of values, use the array syntax instead e.g. "
            "'image[]=<value>'."
        )
        raise Refused(text, "image", "duplicate_parameter")
    most = 1 if job.model in LEGACY else 16
    if len(images) > most:
        text = (
            f"Invalid 'image': array too long. Expected an array with maximum length {most}, but got an array "
            f"with length {len(images)} instead."
        )
        raise Refused(text, "image", "array_above_max_length")
    legacy = job.model in LEGACY
    sizes = [
        _dimensions(upload, "image", ("image/png",) if legacy else _TYPES, 4 if legacy else 50) for upload in images
    ]
    if legacy and sizes[0][0] != sizes[0][1]:
        raise Refused("Uploaded image must be square.", "image", "invalid_image_format")
    if job.mask and job.markup:
        raise Refused("'markup' cannot be combined with 'mask'.", "markup", "invalid_value")
    if job.mask and job.output_format == "gif":
        raise Refused("'mask' is not supported for gif output format.", "mask", "invalid_value")
    for overlay, name in ((job.mask, "mask"), (job.markup, "markup")):
        if overlay is not None:
            _check_overlay(overlay, name, sizes[0])
    if job.markup and "-2.5-" not in job.model:
        raise Refused(f"The model '{job.model}' does not support 'markup'.", "markup", "invalid_value")
    job.images = images


def _check_overlay(upload: Upload, name: str, size: tuple[int, int]) -> None:
    found = _dimensions(upload, name, ("image/png",), 4)
    if found != size:
        text = f"Invalid {name} image format - {name} size does not match image size."
        raise Refused(text, name, f"invalid_{name}_image_format", kind="image_generation_user_error")
    picture = open_picture(upload.data)
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        text = f"Invalid {name} image format - {name} image missing alpha channel."
        raise Refused(text, name, f"invalid_{name}_image_format", kind="image_generation_user_error")


def _dimensions(upload: Upload, name: str, types: tuple[str, ...], most_mebi: int) -> tuple[int, int]:
    if len(upload.data) >= most_mebi * MEBI:
        text = (
            f"Invalid '{name}': file too large. Expected a file below {most_mebi}MB, but got "
            f"{len(upload.data)} bytes instead."
        )
        raise Refused(text, name, "image_too_large")
    if upload.media_type not in types:
        formats = ", ".join(f"'{kind}'" for kind in types)
        text = (
            f"Invalid file '{name}': unsupported mimetype ('{upload.media_type}'). Supported file formats are "
            f"{formats}."
        )
        raise Refused(text, name, "unsupported_file_mimetype")
    try:
        picture = open_picture(upload.data)
    except ValueError as error:
        text = f"Invalid image file or mode for '{name}', please check your image file."
        raise Refused(text, name, "invalid_image_file", kind="image_generation_user_error") from error
    if _PIL_TYPES.get(picture.format or "") not in types:
        text = f"Invalid image file or mode for '{name}', please check your image file."
        raise Refused(text, name, "invalid_image_file", kind="image_generation_user_error")
    return picture.size
