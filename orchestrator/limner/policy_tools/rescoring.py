"""Scores of recorded judgements where other packs put a concept into other words: from the vectors that were kept.

The picture is not needed, and may be long erased. A score is computed again only where the concept's wording or
calibration differs, or nobody asked for it then; every other score stays the recorded one, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from limner.policy_tools.recorded import Judgement, Shelf
from limner.steps.inspecting import EMBEDDINGS
from limner_policy.concepts import CONCEPT_DETECTORS, Concept
from limner_policy.detectors.base import ConceptDetector, Detector
from limner_policy.detectors.choosing import concepts_for
from limner_policy.detectors.embeddings import Embedding, EmbeddingDetector, scored_again
from limner_policy.detectors.registry import load_detectors
from limner_policy.errors import DetectorError, PolicyError
from limner_policy.types import Evidence, PolicyInput
from limner_provenance.errors import ProvenanceError

if TYPE_CHECKING:
    from limner.config import Config
    from limner_policy import Pack
    from limner_provenance import AuditLog

NO_VECTORS, OTHER_MODEL, NOT_READY = "no vectors were kept", "another model saw it", "the detector cannot be loaded"
_STAGES = ("request", "image")


class Rescorer:
    """Asks detectors again, by the words of other packs. A model is loaded when the first judgement needs it."""

    def __init__(self, log: AuditLog, packs: Sequence[Pack], config: Config | None = None) -> None:
        """Note what the packs ask; `config` says which models, else the detectors' own defaults."""
        self._log, self._shelf = log, Shelf(log)
        self._settings = {} if config is None else config.detector_settings()
        self._config = config
        self._asked = {name: concepts_for(name, packs) for name in sorted(CONCEPT_DETECTORS)}
        self._before: dict[tuple[str, tuple[str, ...]], dict[str, Concept]] = {}
        self._loaded: dict[str, Detector] = {}
        self._ready: dict[tuple[str, tuple[str, ...]], EmbeddingDetector | None] = {}

    def again(self, judgement: Judgement, facts: PolicyInput) -> tuple[PolicyInput, str | None]:
        """The input with the scores of today's words.

        Returns:
            The input, and why a score that is needed cannot be computed (it is missing then, so the rule's
            `if_unknown` decides); an empty reason where all were, None where none had to be.
        """
        told: str | None = None
        if judgement.stage in _STAGES and facts.evidence:
            for name, concepts in self._asked.items():
                if changed := self._changed(name, concepts, judgement, facts):
                    found, why = self._scored(name, changed, judgement, facts)
                    facts = facts.model_copy(update={"evidence": found})
                    told = told or why
        return facts, told

    def _changed(
        self, name: str, concepts: Mapping[str, Concept], judgement: Judgement, facts: PolicyInput
    ) -> dict[str, Concept]:
        known = {one.category for one in facts.evidence if one.detector == name}
        before = self._concepts_then(name, judgement) if concepts else {}
        return {key: one for key, one in concepts.items() if key not in known or before.get(key) != one}

    def _concepts_then(self, name: str, judgement: Judgement) -> dict[str, Concept]:
        key = (name, tuple(sorted(pack["sha256"] for pack in judgement.packs)))
        if key not in self._before:
            try:
                self._before[key] = concepts_for(name, self._shelf.packs(key[1]))
            except (PolicyError, ProvenanceError):
                # Packs that cannot be opened say nothing of their words, so nothing is taken to be the same.
                self._before[key] = {}
        return self._before[key]

    def _scored(
        self, name: str, changed: Mapping[str, Concept], judgement: Judgement, facts: PolicyInput
    ) -> tuple[tuple[Evidence, ...], str]:
        kept = tuple(one for one in facts.evidence if one.detector != name or one.category not in changed)
        vectors = [one for one in self._vectors(judgement) if one.detector == name]
        if not vectors:
            return kept, NO_VECTORS
        detector = self._detector(name, changed)
        if detector is None:
            return kept, NOT_READY
        if any(one.digest != detector.digest for one in vectors):
            return kept, OTHER_MODEL
        return (*kept, *scored_again(detector, vectors)), ""

    def _vectors(self, judgement: Judgement) -> list[Embedding]:
        ref = judgement.entry.payloads.get(EMBEDDINGS)
        if ref is None:
            return []
        (value,) = self._log.payloads([ref])
        try:
            return [Embedding.from_json(one) for one in _listed(value)]
        except PolicyError:
            return []

    def _detector(self, name: str, concepts: Mapping[str, Concept]) -> EmbeddingDetector | None:
        """A detector with these concepts; None where it cannot be made ready here."""
        key = (name, tuple(sorted(concepts)))
        if key not in self._ready:
            try:
                self._ready[key] = self._made(name, concepts)
            except DetectorError:
                self._ready[key] = None
        return self._ready[key]

    def _made(self, name: str, concepts: Mapping[str, Concept]) -> EmbeddingDetector | None:
        from limner_policy.detectors.settings import Place

        if name not in self._loaded:
            place = Place(self._config.root, self._config.state / "cache" / "detectors") if self._config else Place()
            (self._loaded[name],) = load_detectors([name], settings=self._settings, place=place)
        detector = self._loaded[name]
        if not isinstance(detector, ConceptDetector):
            return None
        ready = detector.with_concepts(concepts)
        if prepare := getattr(ready, "prepare", None):
            prepare()
        return ready if isinstance(ready, EmbeddingDetector) else None


def _listed(value: Any) -> Iterable[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
