"""What a detector saw in a picture, as numbers: kept beside a judgement so that scores can be computed again.

An embedding tells what a picture shows, so it belongs into a payload that can be erased, never into an entry or a log.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from limner_policy.detectors.base import Detector, Pixels
from limner_policy.errors import PolicyInputError
from limner_policy.types import Evidence

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]
else:
    Vectors = Any


@runtime_checkable
class EmbeddingDetector(Detector, Protocol):
    """A detector that first turns a picture into vectors, and scores those alone; `score` is one after the other."""

    def embed(self, images: Sequence[Pixels]) -> list[Vectors | None]:
        """Look at pictures.

        Returns:
            For each picture, in order, float32 of shape (views, dimensions); None where it cannot be looked at.
        """
        ...

    def score_vectors(self, vectors: Sequence[Vectors | None]) -> list[list[Evidence]]:
        """Score what `embed` gave: the same vectors always have the same scores."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """The vectors of one picture by one detector: float32 of shape (views, dimensions).

    `image` and `of` say which picture, as in `Evidence`; `version` and `digest` are the detector's then.
    """

    detector: str
    version: str
    digest: str
    vectors: Vectors = field(repr=False)
    image: int = 0
    of: Literal["output", "input"] = "output"

    def about(self, image: int, of: Literal["output", "input"]) -> Embedding:
        """The same vectors as those of another picture."""
        return replace(self, image=image, of=of)

    def to_json(self) -> dict[str, Any]:
        """As canonical JSON data: the numbers little-endian, in base64, with their SHA-256."""
        data = self.vectors.astype("<f4").tobytes()
        return {
            "detector": self.detector,
            "version": self.version,
            "digest": self.digest,
            "image": self.image,
            "of": self.of,
            "views": int(self.vectors.shape[0]),
            "dimensions": int(self.vectors.shape[1]),
            "float32": base64.b64encode(data).decode("ascii"),
            "sha256": hashlib.sha256(data).hexdigest(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Embedding:
        """Read back what `to_json` gave, bit for bit.

        Raises:
            PolicyInputError: it is none, or its numbers are not those of its digest.
        """
        import numpy as np

        try:
            numbers = base64.b64decode(data["float32"], validate=True)
            views, dimensions = int(data["views"]), int(data["dimensions"])
            vectors = np.frombuffer(numbers, dtype="<f4").reshape(views, dimensions)
            names = {key: str(data[key]) for key in ("detector", "version", "digest")}
            found = cls(**names, vectors=vectors, image=int(data["image"]), of=data["of"])
            wanted = data["sha256"]
        except (KeyError, TypeError, ValueError) as error:
            raise PolicyInputError(f"this embedding cannot be read: {type(error).__name__}.") from None
        if hashlib.sha256(numbers).hexdigest() != wanted:
            raise PolicyInputError("this embedding holds other numbers than its digest says.")
        return found


def scored_again(detector: EmbeddingDetector, embeddings: Iterable[Embedding]) -> list[Evidence]:
    """The evidence of embeddings that were kept, by a detector with the same digest; of others there is none.

    Args:
        detector: with the concepts of today, or of another pack.
        embeddings: of any detectors.
    """
    own = [one for one in embeddings if (one.detector, one.digest) == (detector.name, detector.digest)]
    rows = detector.score_vectors([one.vectors for one in own])
    return [
        evidence.model_copy(update={"image": one.image, "of": one.of})
        for one, row in zip(own, rows, strict=True)
        for evidence in row
    ]
