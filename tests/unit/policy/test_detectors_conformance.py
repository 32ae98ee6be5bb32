"""The conformance class finds what is wrong: a good detector passes all of it, each mutant fails the right test."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from limner_policy.detectors.base import Detector, Pixels, scored, unknown
from limner_policy.detectors.conformance import DetectorConformance
from limner_policy.detectors.near_duplicate import NearDuplicateDetector
from limner_policy.errors import DetectorError
from limner_policy.types import Evidence

TESTS = sorted(name for name in dir(DetectorConformance) if name.startswith("test_"))


class Good:
    """Scores brightness and redness."""

    name = "good"
    version = "1"
    digest = ""
    stage = "image"
    categories: Any = ("bright", "red")

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score each picture by its means."""
        return [
            [scored(self, "bright", one.mean() / 255), scored(self, "red", one[..., 0].mean() / 255)] for one in images
        ]


class TestGood(DetectorConformance):
    """A plain detector passes."""

    def make(self) -> Detector:
        """A new one."""
        return Good()


class TestNearDuplicate(DetectorConformance):
    """The built-in detector of near-duplicates passes with lists."""

    def make(self) -> Detector:
        """One with two lists."""
        chance = np.random.default_rng(3)
        return NearDuplicateDetector(
            {name: chance.integers(0, 256, (9, 32), dtype=np.uint8) for name in ("works", "blocked")}
        )


_turn = itertools.count()


class Drifting(Good):
    """Never gives the same score twice."""

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score them, wrongly."""
        shift = next(_turn) / 1e5
        return [[scored(self, "bright", shift), scored(self, "red", 0)] for _ in images]


class OfTheBatch(Good):
    """Scores the batch and not the picture."""

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score them, wrongly."""
        mean = np.mean([one.mean() for one in images]) / 255 if images else 0
        return [[scored(self, "bright", float(mean)), scored(self, "red", 0)] for _ in images]


class Writing(Good):
    """Changes the pictures."""

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score them, wrongly."""
        for one in images:
            one[0, 0] ^= 255
        return super().score(images)


class Silent(Good):
    """Never answers."""

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score them, wrongly."""
        return [[unknown(self.name, one, "no idea", self.version) for one in self.categories] for _ in images]


class Doubled(Good):
    """Answers one category twice."""

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score them, wrongly."""
        return [row[:1] * 2 for row in super().score(images)]


class Foreign(Good):
    """Answers as another detector."""

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score them, wrongly."""
        return [[one.model_copy(update={"detector": "other"}) for one in row] for row in super().score(images)]


class Forged(Good):
    """Goes round the validation of evidence."""

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score them, wrongly."""
        return [[one.model_copy(update={"score": "safe"}) for one in row] for row in super().score(images)]


class Talking(Good):
    """Asks for a name."""

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score them, wrongly."""
        with contextlib.suppress(OSError):
            socket.getaddrinfo("example.org", 443)
        return super().score(images)


class Short(Good):
    """Answers one picture."""

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score them, wrongly."""
        return super().score(images)[:1]


class Eager(Good):
    """Answers where nothing was asked."""

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score them, wrongly."""
        return super().score(images or [np.zeros((1, 1, 3), np.uint8)])


class Unsafe(Good):
    """Answers only the first of four threads that are inside together."""

    def __init__(self) -> None:
        self.meeting = threading.Barrier(4)

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score them, wrongly."""
        first = self.meeting.wait(60) == 0
        return super().score(images) if first else Silent().score(images)


class NewDigest(Good):
    """Has another digest each time."""

    @property
    def digest(self) -> str:  # type: ignore[override]
        """Another one."""
        return f"{next(_turn):064x}"


def _with(**changes: object) -> Callable[[], Detector]:
    return type("Changed", (Good,), changes)


def _first_good_then_unsafe() -> Callable[[], Detector]:
    made = iter([Good, Unsafe])
    return lambda: next(made)()  # noqa: PLW0108 -- next(made) alone would use up the first


MUTANTS: list[tuple[str, Callable[[], Any], str]] = [
    ("no detector", object, "test_it_is_a_detector_with_a_name_and_categories"),
    ("capital name", _with(name="My Detector"), "test_it_is_a_detector_with_a_name_and_categories"),
    ("no version", _with(version=""), "test_it_is_a_detector_with_a_name_and_categories"),
    ("other stage", _with(stage="request"), "test_it_is_a_detector_with_a_name_and_categories"),
    ("no categories", _with(categories=()), "test_it_is_a_detector_with_a_name_and_categories"),
    ("doubled categories", _with(categories=("a", "a")), "test_it_is_a_detector_with_a_name_and_categories"),
    ("batch of none", _with(batch=0), "test_it_is_a_detector_with_a_name_and_categories"),
    ("batch of text", _with(batch="8"), "test_it_is_a_detector_with_a_name_and_categories"),
    ("short digest", _with(digest="abc"), "test_the_digest_is_a_sha256_and_stays"),
    ("new digest", NewDigest, "test_the_digest_is_a_sha256_and_stays"),
    ("drifting", Drifting, "test_the_same_picture_has_the_same_score"),
    ("of the batch", OfTheBatch, "test_the_same_picture_has_the_same_score"),
    ("writing", Writing, "test_it_leaves_the_pictures_as_they_are"),
    ("silent", Silent, "test_it_answers_its_own_pictures"),
    ("doubled", Doubled, "test_every_picture_has_one_evidence_a_category"),
    ("foreign", Foreign, "test_every_picture_has_one_evidence_a_category"),
    ("forged", Forged, "test_every_picture_has_one_evidence_a_category"),
    ("short", Short, "test_every_picture_has_one_evidence_a_category"),
    ("eager", Eager, "test_no_picture_no_evidence"),
    ("unsafe", _first_good_then_unsafe(), "test_it_serves_several_threads"),
    ("talking", Talking, "test_it_needs_no_network"),
]


@pytest.mark.parametrize(("make", "test"), [row[1:] for row in MUTANTS], ids=[row[0] for row in MUTANTS])
def test_a_mutant_fails_the_test_that_is_meant_for_it(make: Callable[[], Any], test: str) -> None:
    """What is wrong with it is found, by name."""
    kit = type("Kit", (DetectorConformance,), {"make": lambda self: make()})()
    with pytest.raises((AssertionError, ValueError, DetectorError)):
        getattr(kit, test)()


def test_every_test_of_the_kit_has_a_mutant() -> None:
    """But the one on odd pictures, which the runner makes true for all that do not hang."""
    assert {row[2] for row in MUTANTS} == {*TESTS} - {"test_odd_pictures_are_answered_or_unknown"}


def test_make_has_to_be_written() -> None:
    """A subclass without `make` says what is missing."""
    with pytest.raises(NotImplementedError, match="write make"):
        DetectorConformance().make()
