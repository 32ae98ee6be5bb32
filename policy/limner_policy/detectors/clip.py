"""The detector `clip`: concepts that a pack puts into words, by any model of open_clip (extra `clip`).

A picture is looked at once, whatever the number of concepts; what was seen can be kept (`embeddings.py`) and scored
again with other words. Knows concepts and vectors, no thresholds.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any, Self

from limner_policy.concepts import PLACE, Concept
from limner_policy.detectors import clip_files
from limner_policy.detectors.base import Pixels, scored, unknown
from limner_policy.detectors.clip_files import ClipFiles, ClipSettings
from limner_policy.detectors.clip_scores import Aim, Aims, aim
from limner_policy.detectors.clip_texts import PromptCache
from limner_policy.detectors.embeddings import Vectors
from limner_policy.detectors.settings import Place
from limner_policy.errors import DetectorUnavailable
from limner_policy.types import Evidence

_EXTRA = "Install it: pip install 'limner[clip]'."
_NEEDS = ("open_clip", "torch", "torchvision")
_CODE = "1"
"""Of this detector's own preprocessing and arithmetic."""

_NOT_SEEN = "the picture is more than 8 times as long as it is wide"
_NO_NUMBERS = "the model gave no numbers for it"


class ClipDetector:
    """Scores a picture for each concept of the pack, 0 (nearer to what contrasts) to 1.

    The margin is the cosine to the nearest positive prompt less that to the nearest contrast prompt, and the score
    `1 / (1 + exp(-(scale * margin + offset)))`. Scale and offset are those of the concept's calibration; where it has
    none, the model's own logit scale and 0, which is the softmax of the two. A concept that is calibrated for other
    weights is `unknown`. A picture that is no square is looked at in squares that cover it, and the highest counts.

    Raises:
        DetectorUnavailable: open-clip-torch or torch is not installed.
    """

    name = "clip"
    stage = "image"
    settings = ClipSettings

    def __init__(self, concepts: Mapping[str, Concept] | None = None, *, engine: _Engine | None = None) -> None:
        """Keep the concepts; the starter model, unless there is another engine, is looked for at first use."""
        self._engine = engine or _Engine(ClipSettings(), Place())
        self._concepts = tuple(concept for _, concept in sorted((concepts or {}).items()))
        self.version = f"{_CODE}, open_clip_torch {_installed()}"

    @property
    def batch(self) -> int:
        """Pictures of one call, as set."""
        return self._engine.settings.batch

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of its concepts."""
        return tuple(one.name for one in self._concepts)

    @property
    def licence_parts(self) -> tuple[str, ...]:
        """What the licence facts are asked about: the code, and the weights in use."""
        return (self.name, self._engine.settings.weights_name)

    @property
    def digest(self) -> str:
        """SHA-256 over weights, configuration, preprocessing and tokenizer (`clip_files.together`).

        Raises:
            DetectorError: a file is missing, or not the one whose digest is given.
        """
        return self._engine.files.digest

    def with_settings(self, settings: ClipSettings, place: Place) -> Self:
        """The detector with another model; see `ClipSettings`."""
        return type(self)({one.name: one for one in self._concepts}, engine=_Engine(settings, place))

    def with_concepts(self, concepts: Mapping[str, Concept]) -> Self:
        """The detector with these concepts as its categories; the loaded model is shared."""
        return type(self)(concepts, engine=self._engine)

    def prepare(self) -> None:
        """Load the model and embed the prompts, so that whatever is wrong with them is told before a picture is made.

        Raises:
            DetectorError: the model cannot be loaded, or a prompt is longer than it reads.
        """
        _ = self._engine.model
        _ = self._aims

    def embed(self, images: Sequence[Pixels]) -> list[Vectors | None]:
        """Embed uint8 RGB arrays of shape (height, width, 3); each vector has length 1."""
        return self._engine.model.images(images) if images else []

    def score_vectors(self, vectors: Sequence[Vectors | None]) -> list[list[Evidence]]:
        """Score what `embed` gave."""
        return [self._score(one) for one in vectors]

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score uint8 RGB arrays of shape (height, width, 3)."""
        return self.score_vectors(self.embed(images))

    def lines(self) -> dict[str, tuple[float, float]]:
        """Scale and offset that make each concept's margin its score, of the concepts that have one."""
        return {one.name: (one.scale, one.offset) for one in self._aims.each if one.scale != 0.0}

    def _score(self, vectors: Vectors | None) -> list[Evidence]:
        import numpy as np

        if vectors is None:
            return [self._unknown(name, _NOT_SEEN) for name in self.categories]
        if not np.isfinite(vectors).all():
            return [self._unknown(name, _NO_NUMBERS) for name in self.categories]
        values = self._aims.values(vectors)
        return [self._evidence(one, value) for one, value in zip(self._aims.each, values, strict=True)]

    def _evidence(self, one: Aim, value: float) -> Evidence:
        if one.scale == 0.0:
            return self._unknown(one.name, one.reason)
        return scored(self, one.name, value, one.reason)

    def _unknown(self, category: str, reason: str) -> Evidence:
        return unknown(self.name, category, reason, self.version, self.digest)

    @cached_property
    def _aims(self) -> Aims:
        engine = self._engine
        return Aims([aim(one, engine.prompts(one), self.digest, engine.model.logit_scale) for one in self._concepts])


class _Engine:
    """The model and the prompts that it has embedded, shared by detectors with different concepts."""

    def __init__(self, settings: ClipSettings, place: Place) -> None:
        self.settings = settings
        self._place = place
        self._lock = threading.RLock()
        self._files: ClipFiles | None = None
        self._model: Any = None
        self._prompts = PromptCache(place.cache)

    @property
    def files(self) -> ClipFiles:
        """The model's files, found once."""
        with self._lock:
            if self._files is None:
                self._files = clip_files.find(self.settings, self._place.folder)
        return self._files

    @property
    def model(self) -> Any:
        """The model, loaded once."""
        with self._lock:
            if self._model is None:
                from limner_policy.detectors.clip_model import ClipModel

                self._model = ClipModel(self.files, self.settings)
        return self._model

    def prompts(self, concept: Concept) -> Any:
        """A concept's prompts as unit vectors, the positive ones first: float64 of shape (prompts, dimensions)."""
        with self._lock:
            return self._prompts.get(self.files.digest, concept.prompts_sha256, lambda: self._embedded(concept))

    def _embedded(self, concept: Concept) -> Any:
        import numpy as np

        prompts = (*concept.positive, *concept.contrast)
        texts = [form.replace(PLACE, prompt) for prompt in prompts for form in concept.templates]
        rows = self.model.texts(texts).astype(np.float64).reshape(len(prompts), len(concept.templates), -1)
        means = rows.mean(axis=1)
        return means / np.linalg.norm(means, axis=1, keepdims=True)


def _installed() -> str:
    """The version of open_clip, which is not imported for it."""
    for name in _NEEDS:
        if importlib.util.find_spec(name) is None:
            raise DetectorUnavailable(f"detector clip needs {name}, which is not installed.", remedy=_EXTRA)
    return version("open_clip_torch")
