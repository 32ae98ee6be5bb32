"""The detector port: what a detector has to be, and how it writes a score. Knows no detector, no policy, no threads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from limner_policy.concepts import Concept
from limner_policy.errors import DetectorError
from limner_policy.types import Evidence
from limner_policy.wordlists import WordList

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]
else:
    Pixels = Any

DEFAULT_BATCH = 8
"""Pictures of one call where a detector does not say."""


@runtime_checkable
class Detector(Protocol):
    """Scores pictures. Offered by other distributions under the entry-point group `limner.detectors`.

    A detector is made without arguments and loads its model at the first `score`, once. It may be called from several
    threads. It raises when it cannot answer: the runner turns that into `unknown`.

    Optional are: `batch`, the most pictures of one `score` call (`DEFAULT_BATCH`); `prepare()`, which loads everything
    and raises what is wrong with it, before anything is spent; `with_lists(lists)` for categories that are lists of the
    packs (`ListDetector`) and `with_concepts(concepts)` for those that are concepts (`ConceptDetector`); `settings`
    with `with_settings` (`settings.ConfigurableDetector`); `embed` and `score_vectors`
    (`embeddings.EmbeddingDetector`); `remote = True` where it sends pictures to somebody else, so that it is asked last
    and not at all about suspected material (`sending.py`); `licence_parts`, the names under which licence facts know
    its code and weights (`licence_parts`).
    """

    @property
    def name(self) -> str:
        """The name that rules use, such as `nsfw`; the entry point has the same name."""
        ...

    @property
    def version(self) -> str:
        """The version of code and preprocessing, which together with `digest` pins a score."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the weights, lower-case hex; empty for a detector without weights."""
        ...

    @property
    def stage(self) -> str:
        """The stage at which it runs; `image` for detectors of pictures."""
        ...

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories that every answer holds, each once."""
        ...

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score pictures.

        Args:
            images: uint8 arrays of shape (height, width, 3), RGB, values 0…255.

        Returns:
            For each picture, in order, one `Evidence` for each category (see `scored`).
        """
        ...


@runtime_checkable
class ListDetector(Detector, Protocol):
    """A detector whose categories are lists of the policy pack: words, or hashes, written there by the pack's owner."""

    def with_lists(self, lists: Mapping[str, WordList]) -> Detector:
        """Make the detector that answers for these lists; it may share what is loaded.

        Args:
            lists: by name, which becomes the category.

        Raises:
            DetectorError: a list holds what the detector cannot use; names list and row.
        """
        ...


@runtime_checkable
class ConceptDetector(Detector, Protocol):
    """A detector whose categories are concepts of the policy pack, put into words there by the pack's owner."""

    def with_concepts(self, concepts: Mapping[str, Concept]) -> Detector:
        """Make the detector that answers for these concepts; it may share what is loaded.

        Args:
            concepts: by name, which becomes the category.
        """
        ...


def licence_parts(detector: Detector) -> tuple[str, ...]:
    """The names that licence facts are asked about: the detector's `licence_parts`, else its own name alone."""
    named = getattr(detector, "licence_parts", None)
    return tuple(map(str, named)) if isinstance(named, tuple | list) and named else (detector.name,)


def batch_of(detector: Detector) -> int:
    """The most pictures that a detector takes in one call.

    Raises:
        DetectorError: its `batch` is no whole number from 1 on.
    """
    batch = getattr(detector, "batch", DEFAULT_BATCH)
    if type(batch) is not int or batch < 1:
        raise DetectorError(
            f"detector {detector.name!r} has batch {batch!r}.", remedy="Give a whole number from 1 on, or leave it out."
        )
    return batch


def scored(detector: Detector, category: str, value: float, reason: str = "") -> Evidence:
    """Evidence of one score: rounded to 6 decimals, or `unknown` where `value` is no number from 0 to 1.

    Args:
        detector: whose score it is.
        category: of what.
        value: 0…1; any number, infinite and NaN too.
        reason: what is to be known of the score.
    """
    value = float(value)
    if not math.isfinite(value) or not -1e-6 <= value <= 1.000_001:
        return unknown(detector.name, category, "the score is no number from 0 to 1", detector.version, detector.digest)
    return Evidence(
        detector=detector.name,
        version=detector.version,
        digest=detector.digest,
        category=category,
        score=f"{min(max(value, 0.0), 1.0):.6f}",
        reason=reason,
    )


def unknown(name: str, category: str, reason: str, version: str = "", digest: str = "") -> Evidence:
    """Evidence that there is none, and why."""
    return Evidence(detector=name, version=version, digest=digest, category=category, status="unknown", reason=reason)
