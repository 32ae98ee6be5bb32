"""Take in pictures that may carry credentials of their own, whole or broken.

What the library can decode is kept with the state it validates to. What it cannot is kept as a fact: the ingredient
says that its credentials were broken and names their digests, so that one damaged file never costs a paid picture.
Must not know signing.
"""

from __future__ import annotations

import hashlib
import io
from typing import Any

from limner_provenance.credentials.engine import library
from limner_provenance.credentials.images import check_whole
from limner_provenance.credentials.manifest import IngredientFacts, ingredient_label
from limner_provenance.credentials.reading import read_credentials
from limner_provenance.credentials.report import BROKEN
from limner_provenance.credentials.store import manifest_store, without_store


def add_ingredient(builder: Any, place: int, item: IngredientFacts, *, whole_only: bool) -> None:
    """Add one ingredient to c2pa's builder.

    Args:
        builder: A `c2pa.Builder`.
        place: Where the ingredient stands in the facts.
        item: The ingredient.
        whole_only: Keep the manifest only where it validates. The library takes some broken manifests in and then
            fails at signing; the second attempt is made with this.

    Raises:
        ImageUnreadable: it is no whole image.
        C2paError: the library refuses the picture itself.
    """
    mime = check_whole(item.data)
    said = {"title": item.title, "relationship": item.relationship, "label": ingredient_label(place)}
    store = manifest_store(item.data, mime)
    if store is None or not (whole_only and read_credentials(item.data).state == "invalid"):
        try:
            builder.add_ingredient(said, mime, io.BytesIO(item.data))
            return
        except library().C2paError:
            if store is None:
                raise
    digests = f"SHA-256 of the file as found: {_sha256(item.data)}; of its manifest store: {_sha256(store)}."
    bare = without_store(item.data, mime)
    builder.add_ingredient(said | {"description": f"{BROKEN} {digests}"}, mime, io.BytesIO(bare))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
