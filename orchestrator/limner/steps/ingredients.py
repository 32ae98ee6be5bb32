"""The pictures that went into a picture, as its manifest names them, and what they mean for how it came to be.

Blocks for milliseconds a picture: for a worker thread. Nothing here may fail a picture that is paid for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner_provenance.errors import ProvenanceError

if TYPE_CHECKING:
    from limner.steps.pictures import Picture
    from limner_provenance.credentials import IngredientFacts
    from limner_provenance.credentials.source_types import Start
    from limner_providers.images import InputImage
    from limner_providers.types import ImageRequest

_TITLES = {"image": "image to start from", "mask": "mask", "reference": "reference", "control": "control image"}


@dataclass(frozen=True)
class Ingredients:
    """What went into the pictures of one request.

    Attributes:
        given: The caller's pictures: the one to start from as `parentOf`, the others as `inputTo`.
        start: What the one to start from is, by its own credentials; see `credentials.source_types`.
    """

    given: tuple[IngredientFacts, ...] = ()
    start: Start = "nothing"

    def of(self, picture: Picture, *, received: bytes | None = None) -> tuple[tuple[IngredientFacts, ...], bool]:
        """Give a picture's ingredients, and whether it is one that its engine had signed.

        Such a picture is itself the parent, opened and not changed: its own credentials are kept in ours. `received`
        is the file as it came, where its metadata were written anew.
        """
        from limner_provenance.credentials import IngredientFacts, manifest_store

        if received is None and manifest_store(picture.data, picture.mime) is None:  # type: ignore[arg-type]
            return self.given, False
        signed = IngredientFacts(data=received or picture.data, title="as received from the engine")
        inputs = (i.model_copy(update={"relationship": "inputTo"}) for i in self.given)
        return (signed, *inputs), True


def of_request(request: ImageRequest) -> Ingredients:
    """Read the request's pictures as ingredients."""
    from limner_provenance.credentials import IngredientFacts

    given = []
    for name, image in request.inputs().items():
        kind, _, number = name.partition("-")
        title = _TITLES[kind] + (f" {int(number) + 1}" if number else "")
        relationship = "parentOf" if name == "image" else "inputTo"
        given.append(IngredientFacts(data=_whole(image), title=title, relationship=relationship))
    parent = next((i for i in given if i.relationship == "parentOf"), None)
    return Ingredients(tuple(given), start="nothing" if parent is None else _start(parent.data))


def _whole(image: InputImage) -> bytes:
    """Give the file; one that can be decoded and is no whole container is written anew, so that it can be sealed."""
    from limner_provenance.credentials import check_whole

    try:
        check_whole(image.data)
    except ProvenanceError:
        return image.png("RGBA")
    return image.data


def _start(data: bytes) -> Start:
    """Say what a given picture is; what states nothing of itself may be a photograph."""
    from limner_provenance.credentials import read_credentials, start_of

    try:
        found = read_credentials(data)
    except ProvenanceError:
        return "other"
    return start_of(found.state, found.digital_source_type)
