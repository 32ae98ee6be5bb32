"""What becomes of denied pictures, what decisions say of scores, and detectors that fail, through the SDK and commands.

The detectors come as a distribution of a third party does: by entry points.
"""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner import Limner
from limner.config import Config
from limner.errors import PolicyDenied, ReviewRequired
from limner.evidence import make_evidence
from limner.reading import open_log
from limner.records import Record
from limner.recovery import recover
from limner.replaying import replay
from limner.steps import disposing
from limner_provenance import AuditLog
from limner_provenance.audit import verify as verify_log
from limner_provenance.errors import ErasureHeld, PayloadErased

MODULE = '''\
"""Detectors whose scores the tests set."""

import time

from limner_policy.detectors.base import scored

SCORES = [0.0]
FAULT = ""
SEEN = []


class Eye:
    name, version, digest, stage, categories, batch, remote = "eye", "7", "ab" * 32, "image", ("x",), 1, False

    def score(self, images):
        SEEN.extend([self.name] * len(images))
        if FAULT == "raises":
            raise ValueError("a red apple was seen")
        if FAULT == "hangs":
            time.sleep(2)
        value = float("nan") if FAULT == "nan" else SCORES[(len(SEEN) - 1) % len(SCORES)]
        return [[scored(self, "x", value)] for _ in images]


class Cloud(Eye):
    name, remote = "cloud", True
'''
POLICY = """\
policy: house
version: 1
title: House
owner: legal@example.com
{handling}
rules:
  - id: EY-1
    title: Nothing that the eye sees
    says: It is refused.
    why: A test.
    basis: [{{cite: A test}}]
    severity: critical
    stage: image
    when: {when}
    then: {then}
    if_unknown: {if_unknown}
"""
EYE = '{evidence: {detector: eye, category: x, at_least: "0.80", review_from: "0.50"}}'
CSAM = """\
handling:
  csam: {pictures: preserve, days: 365, send_on: never, tell: the child-safety desk, says: Nobody looks at it here.}
"""

Open = Callable[..., Config]
Write = Callable[..., Config]


@pytest.fixture
def eyes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Install the detectors, and give their module."""
    site = tmp_path / "site"
    info = site / "limner_eyes-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "limner_test_eyes.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: limner-eyes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[limner.detectors]\neye = limner_test_eyes:Eye\ncloud = limner_test_eyes:Cloud\n"
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "limner_test_eyes", raising=False)
    import limner_test_eyes  # type: ignore[import-not-found]

    found: ModuleType = limner_test_eyes
    return found


@pytest.fixture
def house_of(house: Open, eyes: ModuleType) -> Write:
    """Give a maker of configurations: `house_of(handling=…, when=…, then=…, if_unknown=…)`."""
    del eyes

    def make(
        handling: str = "", *, when: str = EYE, then: str = "{verdict: deny}", if_unknown: str = "deny", **more: Any
    ) -> Config:
        return house(policy=POLICY.format(handling=handling, when=when, then=then, if_unknown=if_unknown), **more)

    return make


def loaded(config: Config, record_id: str | None) -> Record:
    """Read a record back."""
    with open_log(config) as log:
        return Record.load(log, str(record_id))


def opened(config: Config, record_id: str | None, step: str, name: str) -> Any:
    """Open a payload of a record; None where it was erased."""
    with open_log(config) as log:
        ref = Record.load(log, str(record_id)).entry(step).payloads[name]
        try:
            return log.payload(ref)
        except PayloadErased:
            return None


def writable(config: Config) -> AuditLog:
    """Open the log for writing."""
    return AuditLog.open(config.audit_url, state=config.state, keys_url=config.keys_url, assets_url=config.assets_url)


def objects(config: Config) -> int:
    """Count the stored objects beside the packs' own bytes."""
    with open_log(config) as log:
        packs = len(list(log.entries(steps=["policy_loaded"])))
    return sum(path.is_file() for path in (config.state / "assets").rglob("*")) - packs


def clean(config: Config) -> bool:
    """Verify the log, and say whether nothing at all was found but information."""
    with open_log(config) as log:
        report = verify_log(log)
    return report.ok and not [one for one in report.findings if one.severity != "information"]


def png(value: int = 90, size: int = 96) -> bytes:
    """A grey picture."""
    file = io.BytesIO()
    Image.fromarray(np.full((size, size, 3), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_a_denied_picture_is_not_stored_and_what_it_scored_is(house_of: Write, eyes: ModuleType) -> None:
    """Key, ciphertext and salt are gone, commitment and score stay, and the log verifies."""
    eyes.SCORES[:] = [0.9]
    config = house_of()
    with Limner.open(config, context={"user": "ann"}) as limner:
        with pytest.raises(PolicyDenied) as caught:
            limner.generate("red apple", seed=7)
        with pytest.raises(PolicyDenied):
            limner.get(str(caught.value.record_id))
    record = loaded(config, caught.value.record_id)
    leaf = record.entry("judged", stage="image").data
    assert leaf["handling"] == {"names": ["house/denied"], "pictures": "destroy"}
    assert leaf["evidence"] == [
        {
            "detector": "eye",
            "version": "7",
            "digest": "ab" * 32,
            "category": "x",
            "score": "0.900000",
            "rules": [
                {
                    "rule": "EY-1",
                    "pack": "house",
                    "mode": "enforce",
                    "threshold": "0.800000",
                    "review_from": "0.500000",
                    "comparison": "reached",
                }
            ],
        }
    ]
    assert record.entry("produced").payloads["image-0"].commitment
    assert opened(config, record.id, "produced", "image-0") is None
    assert opened(config, record.id, "accepted", "prompt") == "red apple"
    assert objects(config) == 0
    assert clean(config)
    with open_log(config) as log:
        again = replay(Record.load(log, record.id), {"stage": "image", "image": 0})
    assert again.to_leaf() == {k: v for k, v in leaf.items() if k not in {"image", "detectors_us"}}


def test_an_allowed_picture_says_its_scores_too(house_of: Write, eyes: ModuleType) -> None:
    """In the entry, the result and the evidence file: every detector that ran, with threshold and comparison."""
    eyes.SCORES[:] = [0.1]
    config = house_of()
    with Limner.open(config) as limner:
        result = limner.generate("red apple")
    (weighed,) = loaded(config, result.record_id).entry("judged", stage="image").data["evidence"]
    assert (weighed["score"], weighed["rules"][0]["comparison"]) == ("0.100000", "below")
    assert result.images[0].decision.to_leaf()["evidence"] == [weighed]
    document = json.loads(make_evidence(result.record_id, config=config).document)
    assert '"comparison":"below"' in json.dumps(document).replace(" ", "").replace("\\", "")


def test_among_several_only_the_denied_one_is_destroyed(house_of: Write, eyes: ModuleType) -> None:
    """The released ones are sealed and fetched again; the withheld one has a decision and no bytes."""
    eyes.SCORES[:] = [0.1, 0.9, 0.1]
    config = house_of()
    with Limner.open(config) as limner:
        result = limner.generate("red apple", n=3, seed=7)
        again = limner.get(result.record_id)
    assert [image.index for image in result.images] == [0, 2]
    assert [image.index for image in result.withheld] == [1]
    assert [image.data for image in again.images] == [image.data for image in result.images]
    assert again.withheld[0].decision == result.withheld[0].decision
    gone = [opened(config, result.record_id, "produced", f"image-{n}") is None for n in range(3)]
    assert gone == [False, True, False]
    with open_log(config) as log:
        assert len(list(log.entries(steps=["erased"]))) == 1
    assert clean(config)


def test_a_score_in_the_band_waits_for_a_person_and_is_kept(house_of: Write, eyes: ModuleType) -> None:
    """A review destroys nothing: the person has to see the picture."""
    eyes.SCORES[:] = [0.6]
    config = house_of()
    with Limner.open(config) as limner, pytest.raises(ReviewRequired) as caught:
        limner.generate("red apple")
    assert "a person decides, as eye/x scored 0.6" in str(caught.value)
    assert opened(config, caught.value.record_id, "produced", "image-0")


def test_pictures_that_a_denied_request_brought_are_destroyed_too(house_of: Write, eyes: ModuleType) -> None:
    """Whether the picture itself was refused or what was made of it; a released picture keeps what went into it."""
    config = house_of()
    with Limner.open(config) as limner:
        for scores, step in (([0.9], "request"), ([0.1, 0.9], "image")):
            eyes.SCORES[:] = scores
            eyes.SEEN.clear()
            with pytest.raises(PolicyDenied) as caught:
                limner.edit(png(), "a quiet lake", strength=0.5)
            record = loaded(config, caught.value.record_id)
            assert record.entry("denied").data["where"]["stage"] == step
            assert opened(config, record.id, "accepted", "image") is None
        assert objects(config) == 0
        eyes.SCORES[:] = [0.1]
        result = limner.edit(png(), "a quiet lake", strength=0.5)
    assert opened(config, result.record_id, "accepted", "image") == png()
    assert clean(config)


def test_a_denial_for_words_alone_keeps_no_given_picture_either(house_of: Write) -> None:
    """Nothing that was brought with a denied request stays."""
    config = house_of()
    file = config.root / "house.yaml"
    words = file.read_text().split("rules:\n")[1].replace("EY-1", "W-1").replace("stage: image", "stage: request")
    file.write_text(file.read_text() + words.replace(EYE, "{terms: {any_of: [sword]}}"))
    with Limner.open(config) as limner, pytest.raises(PolicyDenied) as caught:
        limner.edit(png(), "a sword", strength=0.5)
    assert opened(config, caught.value.record_id, "accepted", "image") is None


def test_a_pack_may_keep_denied_pictures_and_their_owner_may_have_them_erased(
    house_of: Write, eyes: ModuleType
) -> None:
    """`keep` is encrypted, dated, and goes with the user's erasure."""
    eyes.SCORES[:] = [0.9]
    config = house_of("handling: {denied: {pictures: keep, days: 30}}")
    with Limner.open(config, context={"user": "ann"}) as limner, pytest.raises(PolicyDenied) as caught:
        limner.generate("red apple")
    record_id = caught.value.record_id
    assert opened(config, record_id, "produced", "image-0")
    with writable(config) as log:
        log.erase(subject="ann")
    assert opened(config, record_id, "produced", "image-0") is None


def test_what_is_kept_goes_when_its_days_are_over(
    house_of: Write, eyes: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`recover --finish` destroys kept pictures after their days, and not a moment before."""
    eyes.SCORES[:] = [0.9]
    config = house_of("handling: {denied: {pictures: keep, days: 30}}")
    with Limner.open(config) as limner, pytest.raises(PolicyDenied) as caught:
        limner.generate("red apple")
    record = loaded(config, caught.value.record_id)
    due = datetime.fromisoformat(record.entry("denied").time) + timedelta(days=30)
    for moment, kept in ((due - timedelta(minutes=1), True), (due + timedelta(minutes=1), False)):
        monkeypatch.setattr(disposing, "now", lambda at=moment: f"{at:%Y-%m-%dT%H:%M:%S.%f}Z")
        found = recover(config, finish=True)
        assert bool(found) is not kept
        assert (opened(config, record.id, "produced", "image-0") is not None) is kept
    assert clean(config)
    assert recover(config, finish=True) == []


def test_suspected_material_is_preserved_told_and_out_of_reach(
    house_of: Write, eyes: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    """The record says what was decided, a hold stands against erasure, the operator is told, the user is not."""
    eyes.SCORES[:] = [0.9]
    config = house_of(CSAM, then="{verdict: deny, handling: csam}")
    with (
        caplog.at_level(logging.CRITICAL, "limner.handling"),
        Limner.open(config, context={"user": "ann"}) as limner,
        pytest.raises(PolicyDenied) as caught,
    ):
        limner.generate("red apple")
    told = (
        "Nobody looks at it here. Its pictures are preserved, encrypted, for 365 days: do not open, copy or send them."
    )
    assert told in str(caught.value)
    assert "desk" not in caught.value.user_message
    assert "preserve" not in caught.value.user_message
    (line,) = caplog.messages
    assert line.startswith(
        f"Record {caught.value.record_id}, image 0: denied by house/EY-1. {told} Tell the child-safety"
    )
    assert "apple" not in line
    record = loaded(config, caught.value.record_id)
    assert record.entry("judged", stage="image").data["handling"]["pictures"] == "preserve"
    with writable(config) as log:
        (hold,) = log.holds()
        assert (hold.record, hold.reason) == (
            record.id,
            "preserved for an authority under the policy's handling house/csam",
        )
        judged = datetime.fromisoformat(record.entry("judged", stage="image").time)
        assert hold.until is not None
        assert datetime.fromisoformat(hold.until) - judged == timedelta(days=365)
        with pytest.raises(ErasureHeld):
            log.erase(subject="ann")
    assert opened(config, record.id, "produced", "image-0")
    with Limner.open(config) as limner, pytest.raises(PolicyDenied):
        limner.get(record.id)
    with open_log(config) as log:
        assert len(log.holds()) == 1


def test_suspected_material_goes_to_no_detector_that_sends_pictures(house_of: Write, eyes: ModuleType) -> None:
    """Where `send_on: never` applies, a remote detector does not see the picture, made or given; else it does."""
    cloud = '{evidence: {detector: cloud, category: x, at_least: "0.80"}}'
    config = house_of(CSAM, then="{verdict: deny, handling: csam}")
    file = config.root / "house.yaml"
    other = file.read_text().split("rules:\n")[1].replace("EY-1", "CL-1").replace(EYE, cloud)
    file.write_text(file.read_text() + other.replace(", handling: csam", ""))
    with Limner.open(config) as limner:
        eyes.SCORES[:] = [0.1]
        limner.generate("red apple")
        assert sorted(eyes.SEEN) == ["cloud", "eye"]
        eyes.SCORES[:] = [0.9]
        eyes.SEEN.clear()
        with pytest.raises(PolicyDenied) as caught:
            limner.generate("red apple")
        with pytest.raises(PolicyDenied):
            limner.edit(png(), "a lake", strength=0.5)
        assert eyes.SEEN == ["eye", "eye"]
        # A local detector that fails found nothing; all the same nothing is sent on.
        vars(eyes)["FAULT"] = "raises"
        with pytest.raises(PolicyDenied):
            limner.generate("red apple")
        assert eyes.SEEN == ["eye", "eye", "eye"]
    told = loaded(config, caught.value.record_id).entry("judged", stage="image").data["evidence"]
    assert [one.get("reason") for one in told if one["detector"] == "cloud"] == [
        "it was not asked: no picture is sent on"
    ]


def test_a_hold_on_the_user_keeps_a_denied_picture_and_says_so(house_of: Write, eyes: ModuleType) -> None:
    """What a court wants kept is not destroyed by a policy's default."""
    eyes.SCORES[:] = [0.1]
    config = house_of()
    with Limner.open(config, context={"user": "ann"}) as limner:
        limner.generate("red apple")
    with writable(config) as log:
        log.hold(subject="ann", reason="case 7")
    eyes.SCORES[:] = [0.1, 0.9]
    eyes.SEEN.clear()
    with Limner.open(config, context={"user": "ann"}) as limner:
        result = limner.generate("red apple", n=2)
    assert any("denied pictures were not destroyed: hold" in one for one in result.warnings)
    assert opened(config, result.record_id, "produced", "image-1")


@pytest.mark.parametrize("at", ["discard", "denied"])
def test_a_crash_between_judgement_and_destruction_is_finished_by_recover(
    house_of: Write, eyes: ModuleType, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """The picture lies encrypted until somebody recovers or fetches the record; then it goes, and the record ends."""
    eyes.SCORES[:] = [0.9]
    config = house_of()

    class Dead(Exception):
        """The machine dies."""

    real = Record.add

    async def add(self: Record, step: str, *args: Any, **more: Any) -> Any:
        if step == "denied":
            await self.settle()
            raise Dead
        return await real(self, step, *args, **more)

    async def discard(*_: Any) -> None:
        raise Dead

    with monkeypatch.context() as patch:
        if at == "denied":
            patch.setattr(Record, "add", add)
        else:
            patch.setattr(disposing, "_destroy", discard)
        with Limner.open(config) as limner, pytest.raises(Dead):
            limner.generate("red apple")
    assert objects(config) == (1 if at == "discard" else 0)
    (found,) = recover(config, finish=True)
    assert found.outcome == "denied: PolicyDenied"
    assert objects(config) == 0
    assert clean(config)


@pytest.mark.parametrize("fault", ["raises", "hangs", "nan"])
@pytest.mark.parametrize(("if_unknown", "code"), [("deny", 1), ("review", 1)])
def test_a_detector_that_fails_never_lets_a_picture_pass(
    house_of: Write,
    eyes: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fault: str,
    if_unknown: str,
    code: int,
) -> None:
    """Raising, hanging and NaN are `unknown` with a reason, the rule's if_unknown decides, and the command says no."""
    from limner.cli import run
    from limner_policy.detectors import running

    vars(eyes)["FAULT"] = fault
    monkeypatch.setattr(running.inspect_pictures, "__kwdefaults__", {"timeout": 0.3})
    config = house_of(if_unknown=if_unknown)
    (config.root / "limner.yaml").write_text("providers: {fake: {kind: test}}\npolicy: [house.yaml]\n")
    monkeypatch.chdir(config.root)
    assert run(["generate", "red apple", "--json"]) == code
    told = json.loads(capsys.readouterr().out)
    assert told["error"] == {"deny": "PolicyDenied", "review": "ReviewRequired"}[if_unknown]
    (one,) = told["decision"]["evidence"]
    reasons = {"raises": "it raised ValueError", "hangs": "it did not answer in time", "nan": "the score is no number"}
    assert (one["status"], one["rules"][0]["comparison"]) == ("unknown", "unknown")
    assert one["reason"].startswith(reasons[fault])
    assert "apple was seen" not in json.dumps(told)
    assert not list(config.root.glob("*.png"))


def test_commands_show_detector_version_score_and_threshold(
    house_of: Write, eyes: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`generate`, `--explain`, `--json` and `audit show` tell an operator what was measured against what."""
    from limner.cli import run

    config = house_of()
    (config.root / "limner.yaml").write_text("providers: {fake: {kind: test}}\npolicy: [house.yaml]\n")
    monkeypatch.chdir(config.root)
    eyes.SCORES[:] = [0.25]
    assert run(["generate", "red apple", "--explain"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"image 1 +eye/x +7 +0\.250000 +below 0\.800000, review from 0\.500000 +house/EY-1", shown)
    eyes.SCORES[:] = [0.9]
    assert run(["generate", "red apple", "--explain"]) == 1
    failed = capsys.readouterr().err
    assert "eye/x scored 0.900000 (review from 0.500000, threshold 0.800000, version 7, weights abababababab)" in failed
    assert run(["generate", "red apple", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    (hit,) = told["decision"]["hits"]
    assert hit["evidence"][0]["comparison"] == "reached"
    assert run(["audit", "show", told["record_id"]]) == 0
    listed = capsys.readouterr().out
    assert '"comparison": "reached"' in listed
    assert re.search(r"payload image-0: \(.*erased", listed)
    assert run(["policy", "explain", told["record_id"]]) == 0
    explained = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "eye/x (7) 0.900000, threshold 0.800000, a person decides from 0.500000: reached" in explained
    assert "pictures" in explained


def test_a_detectors_licence_is_judged_like_that_of_any_part(house_of: Write, eyes: ModuleType) -> None:
    """A detector of which no licence is known stops an engine where a rule asks for known licences; ours do not."""
    eyes.SCORES[:] = [0.1]
    config = house_of()
    file = config.root / "house.yaml"
    text = file.read_text()
    rule = text.split("rules:\n")[1].replace("EY-1", "LI-1").replace("stage: image", "stage: candidate")
    rule = rule.replace(EYE, "{all: [{provider: {in: [fake]}}, {licence: {known: no}}]}")
    file.write_text(text + rule)
    with Limner.open(config) as limner, pytest.raises(PolicyDenied, match="eye") as caught:
        limner.generate("red apple")
    assert caught.value.decision.stage == "candidate"
    file.write_text((text + rule).replace(EYE, '{evidence: {detector: nsfw, category: nsfw, at_least: "1"}}'))
    with Limner.open(config) as limner:
        result = limner.generate("red apple")
    with open_log(config) as log:
        facts = log.payload(Record.load(log, result.record_id).entry("judged", stage="image").payloads["input"])
    assert ("detector", "nsfw") in {(part["role"], part["name"]) for part in facts["candidate"]["parts"]}
