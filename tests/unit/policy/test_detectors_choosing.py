"""Which detectors rules need, with their lists; credentials as evidence; given pictures judged as those made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner_policy.detectors import choosing, credentials
from limner_policy.detectors.base import Detector
from limner_policy.detectors.choosing import detectors_for
from limner_policy.detectors.near_duplicate import NearDuplicateDetector
from limner_policy.engine import judge
from limner_policy.errors import DetectorError
from limner_policy.loading import load_packs
from limner_policy.pack import Pack
from limner_policy.types import Evidence, PolicyInput, RequestFacts
from limner_policy.verdicts import Verdict

NOW = "2026-11-24T00:00:00Z"
PACK = """\
policy: {name}
version: 2026.11.1
title: House
owner: legal@example.com
{lists}
rules:
  - id: H-1
    title: Pictures
    says: Pictures like these are refused.
    why: A test.
    basis: [{{cite: A test}}]
    severity: high
    stage: {stage}
    {more}
    when: {when}
    then: {{verdict: deny}}
    if_unknown: review
"""
LISTS = "lists: {works: {terms: [" + "0f" * 32 + "]}}"


@pytest.fixture
def pack(tmp_path: Path) -> Any:
    def make(when: str, *, name: str = "house", lists: str = LISTS, stage: str = "image", more: str = "") -> Pack:
        file = tmp_path / f"{name}.policy.yaml"
        file.write_text(PACK.format(when=when, name=name, lists=lists, stage=stage, more=more))
        return load_packs([file])[0]

    return make


def near(category: str, detector: str = "near-duplicate", at_least: str = "0.75") -> str:
    return f'{{evidence: {{detector: {detector}, category: {category}, at_least: "{at_least}"}}}}'


def test_a_detector_of_lists_gets_the_lists_that_rules_name(pack: Any) -> None:
    """The category is the list's name, and a picture with that very hash would score 1."""
    (found,) = detectors_for([pack(near("works"))], "image", NOW)
    assert isinstance(found, NearDuplicateDetector)
    assert found.categories == ("works",)
    assert found._lists["works"].tolist() == [[15] * 32]


def test_only_detectors_of_rules_in_force_are_made(pack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No rule at that stage, a rule that is off, or one that begins later: no detector, and nothing is loaded."""
    monkeypatch.setattr(
        choosing, "load_detectors", lambda names, **_: (_ for _ in names if pytest.fail(f"made {names}"))
    )
    for one in (
        pack("{terms: {any_of: [sword]}}"),
        pack(near("works"), more="mode: off"),
        pack(near("works"), more="effective: {from: 2027-01-01}"),
    ):
        assert detectors_for([one], "image", NOW) == ()
    assert detectors_for([pack(near("works"))], "release", NOW) == ()


def test_what_was_made_is_not_made_again(pack: Any) -> None:
    """The very object comes back, so that its weights stay loaded."""
    packs = [pack(near("works"))]
    (found,) = detectors_for(packs, "image", NOW)
    assert detectors_for(packs, "image", NOW, made={found.name: found}) == (found,)


def test_a_list_of_a_later_rule_is_there_already(pack: Any) -> None:
    """Detectors live as long as the packs: a rule that begins tomorrow finds its list in the detector of today."""
    both = [
        pack(near("works")),
        pack(
            near("others"),
            name="later",
            lists="lists: {others: {terms: [" + "aa" * 32 + "]}}",
            more="effective: {from: 2027-01-01}",
        ),
    ]
    assert [one.categories for one in detectors_for(both, "image", NOW)] == [("others", "works")]


def test_mistakes_are_told_with_rule_and_remedy(pack: Any) -> None:
    """A category that is no list or that the detector has not; lists that are no hashes; lists that contradict."""
    with pytest.raises(DetectorError, match=r"house/H-1 asks detector 'near-duplicate' for 'work'.*\(works\)"):
        detectors_for([pack(near("work"))], "image", NOW)
    with pytest.raises(DetectorError, match=r"list works: row 1 is no hash of 64 hex digits: sword"):
        detectors_for([pack(near("works"), lists="lists: {works: {terms: [sword]}}")], "image", NOW)
    other = pack(near("works"), name="other", lists="lists: {works: {terms: [" + "aa" * 32 + "]}}")
    with pytest.raises(DetectorError, match="packs house and other have different lists 'works'"):
        detectors_for([pack(near("works")), other], "image", NOW)
    same = pack(near("works"), name="same")
    assert len(detectors_for([pack(near("works")), same], "image", NOW)) == 1


def test_a_category_that_a_detector_has_not_is_told(pack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that could never be decided is a mistake of the pack, told before anything is spent."""

    class Bright:
        name, version, digest, stage, categories = "bright", "1", "", "image", ("bright",)

        def score(self, images: object) -> list[list[Evidence]]:
            return []

    offered: tuple[Detector, ...] = (Bright(),)
    monkeypatch.setattr(choosing, "load_detectors", lambda names, **_: offered)
    with pytest.raises(
        DetectorError, match=r"house/H-1 asks detector 'bright' for the category 'brite'\. It knows: bright"
    ):
        detectors_for([pack(near("brite", "bright"))], "image", NOW)


def test_credentials_are_no_detector_of_pixels(pack: Any) -> None:
    """A rule may ask for them, and nothing is loaded for it."""
    assert detectors_for([pack(near("invalid", "credentials", "1"))], "image", NOW) == ()


@pytest.mark.parametrize(
    ("state", "training", "true"),
    [
        ("absent", None, {"absent"}),
        ("valid", None, {"valid"}),
        ("valid", "allowed", {"valid"}),
        ("trusted", "notAllowed", {"valid", "trusted", "do-not-train"}),
        ("valid", "constrained", {"valid", "do-not-train"}),
        ("invalid", None, {"invalid"}),
        ("invalid", "notAllowed", {"invalid", "do-not-train"}),
    ],
)
def test_credentials_become_scores_of_0_and_1(state: Any, training: str | None, true: set[str]) -> None:
    """Every category is answered; anything but a plain permission counts as do-not-train."""
    found = credentials.from_credentials(state, training)
    assert {one.category: one.score == "1.000000" for one in found} == {
        one: one in true for one in credentials.CATEGORIES
    }
    assert all(one.status == "ok" for one in found)


def test_unreadable_credentials_are_unknown() -> None:
    """In every category, with the reason."""
    found = credentials.unreadable("the library is missing")
    assert {one.category for one in found} == set(credentials.CATEGORIES)
    assert {(one.status, one.score, one.reason) for one in found} == {("unknown", None, "the library is missing")}


def given(*evidence: Evidence, stage: Any = "request", inputs: tuple[str, ...] = ("image",)) -> PolicyInput:
    return PolicyInput(instant=NOW, stage=stage, request=RequestFacts(task="img2img", inputs=inputs), evidence=evidence)


def score(value: str, **more: Any) -> Evidence:
    return Evidence(detector="near-duplicate", category="works", score=value, of="input", **more)


def test_a_given_picture_is_judged_by_the_rules_of_pictures(pack: Any) -> None:
    """Denied at the threshold, allowed below it, the rule's if_unknown where unknown; the reason names the picture."""
    packs = [pack(near("works"))]
    denied = judge(packs, given(score("0.100000"), score("0.750000", image=1)))
    assert (denied.verdict, denied.stage) == (Verdict.DENY, "request")
    assert "scored 0.750000 on given picture 2 (threshold 0.750000" in denied.reasons[0]
    assert denied.to_leaf()["hits"][0]["evidence"] == [
        {
            "detector": "near-duplicate",
            "category": "works",
            "score": "0.750000",
            "image": 1,
            "of": "input",
            "threshold": "0.750000",
            "comparison": "reached",
        }
    ]
    assert judge(packs, given(score("0.749999"))).verdict is Verdict.ALLOW
    lost = Evidence(detector="near-duplicate", category="works", status="unknown", reason="lost", of="input")
    assert judge(packs, given(score("0.100000"), lost)).verdict is Verdict.REVIEW


def test_rules_of_pictures_that_ask_no_detector_wait_for_the_result(pack: Any) -> None:
    """They speak of the picture that leaves, not of the one that came."""
    packs = [pack("{task: {in: [img2img]}}")]
    assert judge(packs, given(score("0.900000"))).verdict is Verdict.ALLOW
    assert judge(packs, given(stage="image")).verdict is Verdict.DENY


def test_a_request_without_evidence_of_inputs_is_judged_as_ever(pack: Any) -> None:
    """Records of before, which have none, come out as they did; and their JSON has no new key."""
    packs = [pack(near("works"))]
    assert judge(packs, given()).verdict is Verdict.ALLOW
    made = Evidence(detector="near-duplicate", category="works", score="0.900000")
    assert judge(packs, given(made)).verdict is Verdict.ALLOW
    assert "of" not in given(made).to_json()["evidence"][0]
    back = PolicyInput.from_json(given(score("0.900000")).to_json())
    assert back.evidence[0].of == "input"


def test_the_runner_says_that_pictures_are_outputs(pack: Any) -> None:
    """A detector cannot mark its evidence as that of something else."""
    from limner_policy.detectors.running import run_detectors

    class Sly(NearDuplicateDetector):
        def score(self, images: Any) -> list[list[Evidence]]:
            return [
                [one.model_copy(update={"of": "input", "image": 7}) for one in row] for row in super().score(images)
            ]

    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    ((found,),) = run_detectors([Sly({"works": np.zeros((1, 32), np.uint8)})], [picture])
    assert (found.of, found.image) == ("output", 0)
