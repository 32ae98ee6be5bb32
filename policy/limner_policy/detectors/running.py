"""Runs detectors beside each other under one time limit; whatever goes wrong becomes evidence that is `unknown`.

Knows the detector port and threads, not the policy. Threads are daemons and bounded: a detector that hangs costs its
own places only, and never keeps the process from ending.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from limner_policy.detectors.base import Detector, Pixels, batch_of, unknown
from limner_policy.detectors.embeddings import Embedding, EmbeddingDetector, Vectors
from limner_policy.errors import DetectorError
from limner_policy.types import Evidence

MAX_CALLS = 4
"""Most calls of one detector at a time, the hanging ones included."""

DEFAULT_TIMEOUT = 30.0

_places: dict[str, threading.BoundedSemaphore] = {}
_places_lock = threading.Lock()


class Inspection(NamedTuple):
    """What came of looking at one picture: the evidence, and the vectors it rests on where a detector has some."""

    evidence: tuple[Evidence, ...]
    embeddings: tuple[Embedding, ...] = ()


def run_detectors(
    detectors: Sequence[Detector], images: Sequence[Pixels], *, timeout: float = DEFAULT_TIMEOUT
) -> list[tuple[Evidence, ...]]:
    """Score all pictures with all detectors: the evidence of `inspect_pictures`, which says what is raised."""
    return [one.evidence for one in inspect_pictures(detectors, images, timeout=timeout)]


def inspect_pictures(
    detectors: Sequence[Detector], images: Sequence[Pixels], *, timeout: float = DEFAULT_TIMEOUT
) -> list[Inspection]:
    """Score all pictures with all detectors.

    Args:
        detectors: each name once.
        images: uint8 arrays of shape (height, width, 3), RGB.
        timeout: seconds for all of it together, more than 0.

    Returns:
        For each picture the evidence of every detector and category, sorted by detector and category, `image` set. A
        detector that raises, runs out of time, gives a NaN or an answer of a wrong length is `unknown` there: for the
        pictures of that call of it (see `batch_of`); what it answered before stands.

    Raises:
        DetectorError: two detectors have one name, a batch is no number, or something is no picture.
    """
    names = [detector.name for detector in detectors]
    if len(set(names)) < len(names):
        raise DetectorError(
            f"two detectors are called {max(names, key=names.count)!r}.", remedy="Give each its own name."
        )
    for index, image in enumerate(images):
        _check_picture(index, image)
    if not images:
        return []
    # Views that cannot be written to: no detector changes what another one, or the seal, gets.
    shown = [image.view() for image in images]
    for view in shown:
        view.flags.writeable = False
    deadline = time.monotonic() + timeout
    calls = [_Call(detector, shown, deadline) for detector in detectors]
    answers = [call.answer() for call in calls]
    return [
        Inspection(
            tuple(
                sorted(
                    (evidence.model_copy(update={"image": index}) for answer in answers for evidence in answer[index]),
                    key=lambda evidence: (evidence.detector, evidence.category),
                )
            ),
            tuple(embedding for call in calls for embedding in call.embedding(index)),
        )
        for index in range(len(images))
    ]


def _check_picture(index: int, image: Any) -> None:
    shape, kind = getattr(image, "shape", None), str(getattr(image, "dtype", ""))
    if shape is None or len(shape) != 3 or shape[2] != 3 or 0 in shape or kind != "uint8":
        raise DetectorError(
            f"picture {index} has shape {shape} and type {kind or type(image).__name__}.",
            remedy="Give uint8 arrays of shape (height, width, 3), RGB.",
        )


class _Call:
    """One detector's work on all pictures, in its own daemon thread, a batch at a time."""

    def __init__(self, detector: Detector, images: Sequence[Pixels], deadline: float) -> None:
        self._detector = detector
        self._images = images
        self._deadline = deadline
        self._batch = batch_of(detector)
        self._categories = tuple(detector.categories)
        self._done = threading.Event()
        self._rows: dict[int, list[Evidence]] = {}
        self._reasons: dict[int, str] = {}
        self._seen: dict[int, Vectors] = {}
        self._refused = ""
        place = _place_of(detector.name)
        if place.acquire(timeout=max(0.0, min(deadline - time.monotonic(), 1.0))):
            name = f"limner-detector-{detector.name}"
            threading.Thread(target=self._run, args=(place,), name=name, daemon=True).start()
        else:
            self._refused = f"{MAX_CALLS} earlier calls have not come back"
            self._done.set()

    def _run(self, place: threading.BoundedSemaphore) -> None:
        try:
            for start in range(0, len(self._images), self._batch):
                if time.monotonic() >= self._deadline:
                    return
                self._run_batch(range(start, min(start + self._batch, len(self._images))))
        finally:
            place.release()
            self._done.set()

    def _run_batch(self, numbers: range) -> None:
        try:
            answer = self._look(numbers)
            self._rows.update(
                zip(numbers, _checked(self._detector, self._categories, answer, len(numbers)), strict=True)
            )
        except BaseException as error:  # noqa: BLE001 -- a detector's failure is evidence; its text may hold anything
            self._reasons.update(dict.fromkeys(numbers, f"it raised {type(error).__name__}"))

    def _look(self, numbers: range) -> list[list[Evidence]]:
        images = [self._images[number] for number in numbers]
        if not isinstance(self._detector, EmbeddingDetector):
            return self._detector.score(images)
        vectors = self._detector.embed(images)
        seen = zip(numbers, vectors, strict=True)
        self._seen.update((number, found) for number, found in seen if found is not None)
        return self._detector.score_vectors(vectors)

    def embedding(self, number: int) -> tuple[Embedding, ...]:
        """What it saw in a picture that it answered for."""
        if number not in self._rows or number not in self._seen:
            return ()
        one = self._detector
        return (Embedding(one.name, one.version, one.digest, self._seen[number], image=number),)

    def answer(self) -> list[list[Evidence]]:
        """What it gave by the deadline; `unknown` for every other picture, for each category."""
        self._done.wait(max(0.0, self._deadline - time.monotonic()))
        rows, reasons = self._rows.copy(), self._reasons.copy()
        return [
            rows.get(number) or self._unknown(self._refused or reasons.get(number, "it did not answer in time"))
            for number in range(len(self._images))
        ]

    def _unknown(self, reason: str) -> list[Evidence]:
        return [unknown(self._detector.name, category, reason) for category in self._categories]


def _place_of(name: str) -> threading.BoundedSemaphore:
    with _places_lock:
        return _places.setdefault(name, threading.BoundedSemaphore(MAX_CALLS))


def _checked(detector: Detector, categories: tuple[str, ...], answer: Any, count: int) -> list[list[Evidence]]:
    """The answer with one evidence a picture and category, under the detector's own name and digest."""
    rows = list(answer)
    if len(rows) != count:
        raise ValueError("an answer of wrong length")
    return [[_of_category(detector, category, list(row)) for category in categories] for row in rows]


def _of_category(detector: Detector, category: str, row: list[Any]) -> Evidence:
    found = [one for one in row if isinstance(one, Evidence) and one.category == category]
    stamp = {"detector": detector.name, "version": detector.version, "digest": detector.digest, "of": "output"}
    if len(found) == 1 and found[0].detector == detector.name:
        # Made again, so that evidence built around validation (model_construct) cannot smuggle in a score.
        return Evidence.model_validate({**found[0].model_dump(), **stamp})
    reason = "it gave no score" if not found else "it gave several scores, or another detector's"
    return unknown(
        reason=reason, category=category, name=stamp["detector"], version=stamp["version"], digest=stamp["digest"]
    )
