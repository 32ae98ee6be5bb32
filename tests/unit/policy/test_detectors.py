"""Running detectors: whatever goes wrong is unknown, and nothing hangs. Pictures here are tiny numpy arrays."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import numpy as np
import pytest

from limner_policy.detectors import registry, running
from limner_policy.detectors.base import Detector, Pixels, licence_parts, scored
from limner_policy.detectors.registry import load_detectors
from limner_policy.detectors.running import MAX_CALLS, run_detectors
from limner_policy.detectors.sending import inspect_in_turn
from limner_policy.errors import DetectorError
from limner_policy.types import Evidence

PICTURES = [np.full((4, 5, 3), value, dtype=np.uint8) for value in (0, 51, 255)]


class Brightness:
    """Scores how bright a picture is; `twist` changes its answer."""

    version = "1"
    digest = "ab"
    stage = "image"
    categories: tuple[str, ...] = ("bright",)

    def __init__(
        self, name: str = "brightness", twist: Callable[[list[list[Evidence]]], Any] = lambda rows: rows
    ) -> None:
        self.name = name
        self.twist = twist

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score each picture, then let `twist` have its way."""
        answer: list[list[Evidence]] = self.twist([[scored(self, "bright", image.mean() / 255)] for image in images])
        return answer


def statuses(detector: Detector, **more: Any) -> list[tuple[str, str]]:
    rows = run_detectors([detector], PICTURES, **more)
    assert [len(row) for row in rows] == [1, 1, 1]
    return [(row[0].status, row[0].score or row[0].reason) for row in rows]


def test_scores_come_back_by_picture_with_their_index() -> None:
    """One tuple a picture, sorted by detector, with 6 decimals, digest and image index."""
    rows = run_detectors([Brightness("z"), Brightness("a")], PICTURES)
    assert [[(e.detector, e.score, e.image, e.digest) for e in row] for row in rows] == [
        [("a", score, index, "ab"), ("z", score, index, "ab")]
        for index, score in enumerate(["0.000000", "0.200000", "1.000000"])
    ]
    assert run_detectors([Brightness()], []) == []
    assert run_detectors([], PICTURES) == [(), (), ()]


def _raise(_: object) -> None:
    raise ValueError("a secret path")


@pytest.mark.parametrize(
    ("twist", "reason"),
    [
        (_raise, "it raised ValueError"),
        (lambda rows: rows[:2], "it raised ValueError"),
        (lambda rows: None, "it raised TypeError"),
        (lambda rows: [[] for _ in rows], "it gave no score"),
        (lambda rows: [row * 2 for row in rows], "it gave several scores, or another detector's"),
        (lambda rows: [["safe"] for _ in rows], "it gave no score"),
        (
            lambda rows: [[Evidence(detector="other", category="bright", score="0.000000")] for _ in rows],
            "it gave several scores, or another detector's",
        ),
        (
            lambda rows: [
                [Evidence.model_construct(detector="brightness", category="bright", score="safe", status="ok")]
                for _ in rows
            ],
            "it raised ValidationError",
        ),
        (lambda rows: (_ for _ in ()).throw(SystemExit(0)), "it raised SystemExit"),
    ],
)
def test_a_wrong_answer_is_unknown_and_never_safe(twist: Any, reason: str) -> None:
    """Raising, wrong lengths, missing, doubled, foreign or forged evidence: unknown everywhere, with a reason."""
    assert statuses(Brightness(twist=twist)) == [("unknown", reason)] * 3


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.5, 1.5])
def test_a_score_that_is_no_fraction_is_unknown(value: float) -> None:
    """NaN, infinities and numbers outside 0…1 never become a score."""
    evidence = scored(Brightness(), "bright", value)
    assert (evidence.status, evidence.score, evidence.reason) == ("unknown", None, "the score is no number from 0 to 1")


def test_one_failing_detector_does_not_spoil_another() -> None:
    """Its neighbour's scores stand."""
    rows = run_detectors([Brightness("a", _raise), Brightness("b")], PICTURES)
    assert [[evidence.status for evidence in row] for row in rows] == [["unknown", "ok"]] * 3


def test_a_detector_out_of_time_is_unknown_and_its_places_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hanging detector is given up at the limit; after a few such calls it gets no more threads, others do."""
    monkeypatch.setattr(running, "_places", {})
    release = threading.Event()

    def hang(rows: Any) -> Any:
        release.wait(60)
        return rows

    hanging = Brightness("hanging", hang)
    try:
        for _ in range(MAX_CALLS):
            assert statuses(hanging, timeout=0.05) == [("unknown", "it did not answer in time")] * 3
        assert statuses(hanging, timeout=0.05) == [("unknown", f"{MAX_CALLS} earlier calls have not come back")] * 3
        assert sum(thread.name == "limner-detector-hanging" for thread in threading.enumerate()) == MAX_CALLS
        assert statuses(Brightness())[2] == ("ok", "1.000000")
    finally:
        release.set()


def test_pictures_come_in_batches_and_a_failure_costs_its_own_batch() -> None:
    """No call gets more pictures than `batch`; where one call fails the scores of the others stand."""

    class Batched(Brightness):
        batch = 2

        def __init__(self) -> None:
            super().__init__()
            self.sizes: list[int] = []

        def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
            """Fail at the third picture."""
            self.sizes.append(len(images))
            if any(image.max() == 255 for image in images):
                raise ValueError
            return super().score(images)

    detector = Batched()
    assert statuses(detector) == [("ok", "0.000000"), ("ok", "0.200000"), ("unknown", "it raised ValueError")]
    assert detector.sizes == [2, 1]


def test_what_was_scored_in_time_stands() -> None:
    """A detector that hangs at its second picture has answered the first one; it is asked no more after the limit."""
    release, asked = threading.Event(), []

    class Slow(Brightness):
        batch = 1

        def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
            """Hang at the second picture."""
            asked.append(len(images))
            if len(asked) == 2:
                release.wait(60)
            return super().score(images)

    late = ("unknown", "it did not answer in time")
    assert statuses(Slow(), timeout=1.0) == [("ok", "0.000000"), late, late]
    release.set()
    for thread in threading.enumerate():
        if thread.name == "limner-detector-brightness":
            thread.join(60)
    assert asked == [1, 1]


@pytest.mark.parametrize("batch", [0, -1, "8", 2.0, True])
def test_a_batch_that_is_no_number_is_refused(batch: object) -> None:
    """The mistake is the detector's author's, and named."""
    detector = Brightness()
    detector.batch = batch  # type: ignore[attr-defined]
    with pytest.raises(DetectorError, match=r"detector 'brightness' has batch .* whole number from 1 on"):
        run_detectors([detector], PICTURES)


def test_no_detector_can_change_a_picture() -> None:
    """What is handed out cannot be written to, and the caller's own array still can."""
    picture = np.zeros((4, 4, 3), dtype=np.uint8)

    class Writing(Brightness):
        def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
            """Paint the picture white."""
            images[0][:] = 255
            return super().score(images)

    ((found,),) = run_detectors([Writing()], [picture])
    assert (found.status, found.reason) == ("unknown", "it raised ValueError")
    assert picture.max() == 0
    assert picture.flags.writeable


def test_a_hanging_detector_does_not_keep_the_process() -> None:
    """The interpreter ends although a detector's thread sleeps for ever."""
    program = """
import threading, numpy
from limner_policy.detectors.running import run_detectors
class Hanging:
    name, version, digest, stage, categories = "hanging", "1", "", "image", ("c",)
    def score(self, images):
        threading.Event().wait()
print(run_detectors([Hanging()], [numpy.zeros((2, 2, 3), dtype=numpy.uint8)], timeout=0.1)[0][0].reason)
"""
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stdout.strip() == "it did not answer in time"


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((4, 4), dtype=np.uint8),
        np.zeros((4, 4, 4), dtype=np.uint8),
        np.zeros((0, 4, 3), dtype=np.uint8),
        np.zeros((4, 4, 3), dtype=np.float32),
        b"png",
    ],
)
def test_what_is_no_picture_is_refused(picture: Any) -> None:
    """Grey, alpha, empty, float and undecoded pictures are the caller's mistake and named with shape and type."""
    with pytest.raises(DetectorError, match=r"picture 0 has shape .* Give uint8 arrays of shape \(height, width, 3\)"):
        run_detectors([Brightness()], [picture])


def test_two_detectors_of_one_name_are_refused() -> None:
    """Evidence under one name has one origin."""
    with pytest.raises(DetectorError, match="two detectors are called 'brightness'"):
        run_detectors([Brightness(), Brightness()], PICTURES)


def test_licence_facts_are_asked_about_code_and_weights() -> None:
    """A detector names its parts; without that it is looked up by its own name. No folder is among them."""
    from limner_policy.detectors.clip_files import ClipSettings

    class Two(Brightness):
        licence_parts = ("brightness", "org/weights")

    assert licence_parts(Brightness()) == ("brightness",)
    assert licence_parts(Two()) == ("brightness", "org/weights")
    named = [ClipSettings(), ClipSettings(model="ViT-B-32", pretrained="laion2b"), ClipSettings(model="/a/b/own")]
    assert [one.weights_name for one in named] == ["limner-starter-clip", "ViT-B-32/laion2b", "own"]


def test_a_detector_that_sends_pictures_is_asked_last_and_not_about_what_was_stopped() -> None:
    """The others' evidence decides for each picture; the one that was not asked is unknown and says why."""
    asked: list[int] = []

    class Far(Brightness):
        remote = True

        def score(self, images: Any) -> Any:
            asked.append(len(images))
            return super().score(images)

    def stop(number: int, evidence: Any) -> bool:
        assert {one.detector for one in evidence} == {"brightness"}
        return number == 0

    first, second = inspect_in_turn([Far("far"), Brightness()], PICTURES[:2], stop)
    assert asked == [1]
    assert [(one.detector, one.status, one.image) for one in second.evidence] == [
        ("brightness", "ok", 1),
        ("far", "ok", 1),
    ]
    (told,) = (one for one in first.evidence if one.detector == "far")
    assert (told.status, told.reason) == ("unknown", "it was not asked: no picture is sent on")
    assert inspect_in_turn([Brightness()], PICTURES, lambda *_: pytest.fail("nobody sends anything"))


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    """A rule that names a detector nobody offers is an error with a remedy."""
    with pytest.raises(DetectorError, match=r"no detector is called 'clpi'. Known: .*nsfw"):
        load_detectors(["clpi"])


def test_detectors_of_other_distributions_come_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the name is loaded; two, one in place of a built-in, a misnamed one and a non-detector are refused."""

    def offer(*points: tuple[str, str]) -> None:
        found = EntryPoints(EntryPoint(name, value, registry.GROUP) for name, value in points)
        monkeypatch.setattr(registry, "entry_points", lambda group: found)

    module = type(sys)("offered_detectors")
    module.Brightness, module.Number = Brightness, int  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "offered_detectors", module)
    offer(("brightness", "offered_detectors:Brightness"), ("brightness", "offered_detectors:Brightness"))
    (found,) = load_detectors({"brightness"})
    assert isinstance(found, Brightness)
    offer(("other", "offered_detectors:Brightness"))
    with pytest.raises(DetectorError, match="calls itself 'brightness'"):
        load_detectors(["other"])
    offer(("brightness", "offered_detectors:Brightness"), ("brightness", "offered_detectors:Number"))
    with pytest.raises(DetectorError, match="two detectors are called"):
        load_detectors(["brightness"])
    offer(("near-duplicate", "offered_detectors:Brightness"))
    with pytest.raises(DetectorError, match="two detectors are called 'near-duplicate': limner_policy"):
        load_detectors(["near-duplicate"])
    offer(("number", "offered_detectors:Number"))
    with pytest.raises(DetectorError, match="is no detector"):
        load_detectors(["number"])
