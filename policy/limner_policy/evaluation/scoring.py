"""Scores the pictures of a data set by the runner that judgements use; what a detector cannot score stays unknown.

Knows files, detectors and the cache, no figure. Pictures are read and never written anywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limner_policy.detectors.base import Detector, Pixels
from limner_policy.detectors.pictures import decode
from limner_policy.detectors.running import run_detectors
from limner_policy.errors import DetectorError, EvaluationInvalid
from limner_policy.evaluation.cache import Cache, key_of
from limner_policy.evaluation.dataset import DataSet
from limner_policy.evaluation.judged import Judged, Target, source_id

CHUNK = 32
_CHUNK_PIXELS = 50_000_000
Answer = tuple[str | None, str]
"""A score of six decimals and no reason, or None and the reason."""
Answers = Mapping[tuple[str, str, str], Answer]
"""By picture (SHA-256), detector, category."""
Progress = Callable[[str, int, int], object]
"""Told what is being done, how much of it is done, and of how much."""
Change = Callable[[Pixels], Pixels]


@dataclass(frozen=True, slots=True)
class Scorer:
    """Detectors with what their categories mean, where their scores are kept, and how long one picture may take."""

    detectors: tuple[Detector, ...]
    definition: str
    cache: Cache
    timeout: float
    progress: Progress = lambda *_: None

    def score(self, files: Mapping[str, Path], change: str = "", how: Change | None = None) -> Answers:
        """Score pictures, or copies changed in one way.

        Args:
            files: by SHA-256.
            change: a name for the change, which says everything of it; empty for the picture as it is.
            how: the change.
        """
        keys = {detector.name: key_of(detector, self.definition) for detector in self.detectors}
        found: dict[tuple[str, str, str], Answer] = {}
        missing: dict[str, list[Detector]] = {}
        for picture in files:
            for detector in self.detectors:
                kept = self.cache.get(keys[detector.name], picture, change)
                if kept is None or set(kept) != set(detector.categories):
                    missing.setdefault(picture, []).append(detector)
                else:
                    found |= {(picture, detector.name, name): (score, "") for name, score in kept.items()}
        done, what = len(files) - len(missing), f"scoring {change}" if change else "scoring"
        self.progress(what, done, len(files))
        for chunk in self._chunks(missing, files, how, found):
            self._run(chunk, missing, keys, change, found)
            done += len(chunk)
            self.progress(what, done, len(files))
        self.progress(what, len(files), len(files))
        return found

    def _chunks(
        self,
        missing: Mapping[str, list[Detector]],
        files: Mapping[str, Path],
        how: Change | None,
        found: dict[tuple[str, str, str], Answer],
    ) -> Iterator[dict[str, Pixels]]:
        """Pictures, decoded, as many as may lie in memory; one that cannot be decoded is unknown to every detector."""
        chunk: dict[str, Pixels] = {}
        for picture, detectors in missing.items():
            try:
                pixels = decode(files[picture])
                chunk[picture] = pixels if how is None else how(pixels)
            except DetectorError:
                reason = "it is no picture that can be decoded"
                found |= {(picture, one.name, name): (None, reason) for one in detectors for name in one.categories}
                continue
            if len(chunk) >= CHUNK or sum(one.shape[0] * one.shape[1] for one in chunk.values()) > _CHUNK_PIXELS:
                yield chunk
                chunk = {}
        if chunk:
            yield chunk

    def _run(
        self,
        chunk: Mapping[str, Pixels],
        missing: Mapping[str, list[Detector]],
        keys: Mapping[str, str],
        change: str,
        found: dict[tuple[str, str, str], Answer],
    ) -> None:
        for detector in self.detectors:
            pictures = [picture for picture in chunk if detector in missing[picture]]
            rows = run_detectors(
                [detector], [chunk[one] for one in pictures], timeout=self.timeout * max(len(pictures), 1)
            )
            for picture, row in zip(pictures, rows, strict=True):
                found |= {(picture, one.detector, one.category): (one.score, one.reason) for one in row}
                scores = {one.category: one.score for one in row if one.score is not None}
                if len(scores) == len(row):
                    self.cache.put(keys[detector.name], picture, change, scores)
        self.cache.flush()


def hashed(data: DataSet, progress: Progress) -> tuple[str, ...]:
    """SHA-256 of each picture's file, in the order of the data set.

    Raises:
        EvaluationInvalid: a file cannot be read, or one picture stands there twice with different labels.
    """
    found, seen = [], dict[tuple[str, str], tuple[bool, int]]()
    for number, picture in enumerate(data.pictures, start=1):
        try:
            with (data.folder / picture.file).open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise EvaluationInvalid(
                f"{data.table}:{picture.line}: {picture.file!r} cannot be read: {error.strerror}.", remedy="Check it."
            ) from None
        for name, label in picture.labels.items():
            before, line = seen.setdefault((sha256, name), (label, picture.line))
            if before != label:
                raise EvaluationInvalid(
                    f"{data.table}:{picture.line}: the same picture as in line {line}, there with another {name!r}.",
                    remedy="Decide which label is right.",
                )
        found.append(sha256)
        progress("reading", number, len(data.pictures))
    return tuple(found)


def judged(
    data: DataSet, pictures: Sequence[str], targets: Sequence[Target], answers: Answers
) -> dict[Target, tuple[Judged, ...]]:
    """Every labelled picture with its score, by target, in the order of the data set."""
    found: dict[Target, tuple[Judged, ...]] = {}
    for target in targets:
        rows = []
        for picture, one in zip(pictures, data.pictures, strict=True):
            if target.label not in one.labels:
                continue
            score, reason = answers.get((picture, target.detector, target.category), (None, "it was not scored"))
            source = source_id(one.source or picture)
            rows.append(Judged(picture, one.file, source, one.labels[target.label], score, reason, dict(one.slices)))
        found[target] = tuple(rows)
    return found
