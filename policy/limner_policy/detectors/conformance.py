"""What every detector has to do, as a test class that its author subclasses; the built-in ones pass it.

```python
from limner_policy.detectors.conformance import DetectorConformance

class TestMyDetector(DetectorConformance):
    def make(self):
        return MyDetector()
```

Needs numpy, no test library: any runner that collects methods called `test_…` runs it.
"""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Sequence
from typing import Any
from unittest import mock

from limner_policy.detectors.base import Detector, Pixels, batch_of
from limner_policy.detectors.running import run_detectors
from limner_policy.types import Evidence

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_TIMEOUT = 120.0


class DetectorConformance:
    """Subclass it and write `make`; override `pictures` where your detector should meet others."""

    def make(self) -> Detector:
        """A new detector, ready to score; one of lists with its lists."""
        raise NotImplementedError("write make() of your subclass: it returns a new detector")

    def pictures(self) -> list[Pixels]:
        """Pictures that the detector can answer: uint8 arrays of shape (height, width, 3), RGB."""
        import numpy as np

        chance = np.random.default_rng(7)
        ramp = np.linspace(0, 255, 96, dtype=np.uint8)
        noise = chance.integers(0, 256, (64, 80, 3), dtype=np.uint8)
        shape = np.full((120, 100, 3), 240, dtype=np.uint8)
        shape[30:90, 20:70] = (200, 30, 30)
        return [np.repeat(np.tile(ramp, (64, 1))[..., None], 3, axis=2), noise, shape]

    def test_it_is_a_detector_with_a_name_and_categories(self) -> None:
        """Name, version, digest, stage, categories and batch have the form that the log and rules rest on."""
        detector = self.make()
        assert isinstance(detector, Detector), "it needs name, version, digest, stage, categories and score()"
        assert _NAME.fullmatch(detector.name), f"the name {detector.name!r} is not of small letters, digits, . _ and -"
        assert detector.version, "without a version a score is not pinned"
        assert detector.stage == "image", f"detectors of pictures have stage 'image' and not {detector.stage!r}"
        _check_categories(detector.categories)
        assert batch_of(detector) >= 1

    def test_the_digest_is_a_sha256_and_stays(self) -> None:
        """The digest of the weights is the same before and after scoring, and for another detector of the kind."""
        detector = self.make()
        before = detector.digest
        assert before == "" or re.fullmatch("[0-9a-f]{64}", before), (
            "the digest is a SHA-256 in lower-case hex, or empty"
        )
        detector.score(self.pictures()[:1])
        assert detector.digest == before == self.make().digest, "the digest changed"

    def test_every_picture_has_one_evidence_a_category(self) -> None:
        """In the pictures' order, each category once, under the detector's own name, version and digest."""
        detector, pictures = self.make(), self.pictures()
        rows = _scores(detector, pictures)
        assert len(rows) == len(pictures), "it did not answer for every picture"
        for row in rows:
            assert sorted(one.category for one in row) == sorted(detector.categories), (
                "a category is missing or doubled"
            )
            for one in row:
                stamp = (one.detector, one.version, one.digest)
                assert stamp == (detector.name, detector.version, detector.digest), f"evidence is stamped {stamp}"
                assert Evidence.model_validate(one.model_dump()) == one, "evidence built around its validation"

    def test_it_answers_its_own_pictures(self) -> None:
        """Not one of `pictures()` is unknown: a detector that never answers would hold everything up."""
        detector = self.make()
        for row in run_detectors([detector], self.pictures(), timeout=_TIMEOUT):
            assert all(one.status == "ok" for one in row), f"unknown: {[one.reason for one in row if one.reason]}"

    def test_the_same_picture_has_the_same_score(self) -> None:
        """Again, alone, in another order and by another detector of the kind: the recorded score can be found again."""
        detector, pictures = self.make(), self.pictures()
        together = _values(detector, pictures)
        assert _values(detector, pictures) == together, "scoring again gives other scores"
        assert [_values(detector, [one])[0] for one in pictures] == together, "a score depends on the other pictures"
        assert _values(detector, pictures[::-1])[::-1] == together, "a score depends on the order"
        assert _values(self.make(), pictures) == together, "another detector of the kind gives other scores"

    def test_it_leaves_the_pictures_as_they_are(self) -> None:
        """It reads pictures that cannot be written to, and writes into none that can."""
        pictures = [picture.copy() for picture in self.pictures()]
        before = [hashlib.sha256(picture.tobytes()).digest() for picture in pictures]
        detector = self.make()
        detector.score(pictures)
        assert [hashlib.sha256(one.tobytes()).digest() for one in pictures] == before, "it wrote into a picture"
        for picture in pictures:
            picture.flags.writeable = False
        detector.score(pictures)

    def test_odd_pictures_are_answered_or_unknown(self) -> None:
        """1×1, 3000×1, 1×3000, all black, all white: a score or a reason, each by itself, and no other answer."""
        detector = self.make()
        for picture in _odd():
            row = run_detectors([detector], [picture], timeout=_TIMEOUT)[0]
            assert [one.category for one in row] == sorted(detector.categories)
            assert all(one.status == "ok" or one.reason for one in row), "unknown without a reason"

    def test_no_picture_no_evidence(self) -> None:
        """An empty list is answered with an empty one."""
        assert _scores(self.make(), []) == [], "nothing was asked, and something answered"

    def test_it_serves_several_threads(self) -> None:
        """Four threads on one new detector get what one gets, the first call of all included."""
        pictures = self.pictures()
        alone, detector = _values(self.make(), pictures), self.make()
        found: list[Any] = []
        threads = [threading.Thread(target=lambda: found.append(_values(detector, pictures))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_TIMEOUT)
        assert found == [alone] * 4, "threads disturb each other"

    def test_it_needs_no_network(self) -> None:
        """Making and scoring open no connection: pictures and what they show stay on this machine."""
        asked: list[object] = []

        def refuse(*address: object) -> None:
            asked.append(address)
            raise OSError("no network here")

        with (
            mock.patch.object(socket.socket, "connect", refuse),
            mock.patch.object(socket.socket, "connect_ex", refuse),
            mock.patch.object(socket, "getaddrinfo", refuse),
        ):
            _scores(self.make(), self.pictures())
        assert not asked, "it asked for the network"


def _check_categories(categories: object) -> None:
    assert isinstance(categories, tuple), "categories are a tuple"
    assert categories, "a detector has one category at least; make one of lists with its lists"
    assert all(isinstance(one, str) and one for one in categories), "a category is a text"
    assert len(set(categories)) == len(categories), "a category stands twice"


def _scores(detector: Detector, pictures: Sequence[Pixels]) -> list[list[Evidence]]:
    rows = [list(row) for row in detector.score(pictures)]
    assert all(isinstance(one, Evidence) for row in rows for one in row), "score() gives lists of Evidence"
    return rows


def _values(detector: Detector, pictures: Sequence[Pixels]) -> list[dict[str, tuple[str | None, str]]]:
    return [{one.category: (one.score, one.status) for one in row} for row in _scores(detector, pictures)]


def _odd() -> list[Pixels]:
    import numpy as np

    shapes = [(1, 1), (1, 3000), (3000, 1)]
    odd = [np.full((*shape, 3), 127, dtype=np.uint8) for shape in shapes]
    return [*odd, np.zeros((64, 64, 3), dtype=np.uint8), np.full((64, 64, 3), 255, dtype=np.uint8)]
