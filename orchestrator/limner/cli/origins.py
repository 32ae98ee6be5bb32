"""What the engine calls the picture in a file: the file's credentials name the record, and that knows the origin.

So `limner upscale mj.png` works for an engine that takes only pictures that it made itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner import Limner
    from limner.result import GeneratedImage


def with_origin(limner: Limner, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put the image of the record in the place of a file that is, to the last byte, that image and has an origin."""
    image = fields.get("image")
    found = _recorded(limner, image) if isinstance(image, Path) else None
    return fields if found is None or found.origin is None else {**fields, "image": found}


def _recorded(limner: Limner, file: Path) -> GeneratedImage | None:
    """Find a file's image in this log; None where it is another's, was changed, or its record cannot be given again."""
    from limner.errors import EVERY
    from limner_provenance.credentials import read_credentials

    try:
        data = file.read_bytes()
        statement = read_credentials(data).record or {}
        if statement.get("log") != limner.log_key.partition("+")[0]:
            return None
        result = limner.get(str(statement.get("record")))
    except EVERY:  # whatever is wrong with the file, the request itself says it
        return None
    except OSError:
        return None
    return next((i for i in (*result.images, *result.surplus) if i.data == data), None)
