"""Pictures that a request brings are judged before anything is sent; what their credentials say is evidence."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from limner import Limner
from limner.config import Config
from limner.errors import PolicyDenied, ReviewRequired
from limner.policy_tools.explaining import explain
from limner.reading import open_log
from limner.records import Record
from limner.replaying import replay
from limner.steps import inspecting
from limner_policy.detectors import perceptual
from limner_policy.detectors.base import scored
from limner_policy.errors import DetectorError
from limner_policy.types import Evidence, PolicyInput
from limner_provenance.audit import verify as verify_log
from limner_providers.test import TestProvider

RULE = """\
  - id: {id}
    title: Rule {id}
    says: It is refused.
    why: A test.
    basis: [{{cite: A test}}]
    severity: high
    stage: {stage}
    when: {when}
    then: {{verdict: deny}}
    if_unknown: review
"""
PACK = """\
policy: house
version: 2026.11.1
title: House
owner: legal@example.com
lists: {{works: {{file: works.csv}}}}
rules:
"""
NEAR = '{evidence: {detector: near-duplicate, category: works, at_least: "0.80"}}'


def work(seed: int) -> Image.Image:
    """A picture of shapes by chance."""
    chance = np.random.default_rng(seed)
    image = Image.new("RGB", (96, 96), "white")
    pencil = ImageDraw.Draw(image)
    for _ in range(12):
        left, top, width, height = chance.integers(5, 60, 4).tolist()
        pencil.ellipse((left, top, left + width, top + height), fill=tuple(chance.integers(0, 256, 3).tolist()))
    return image


def png(image: Image.Image, form: str = "PNG", **more: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **more)
    return file.getvalue()


PROTECTED, FREE = work(1), work(2)
OPEN_MASK = np.where(np.arange(96)[:, None] < 48, 255, 0).repeat(96, axis=1).astype(np.uint8)

House = Callable[..., Config]


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Give a maker of configurations with the test provider and one pack of these conditions, by stage."""
    hashed = perceptual.hashes(np.asarray(PROTECTED))
    assert hashed is not None
    (tmp_path / "works.csv").write_text(f"term,note\n{perceptual.to_hex(hashed[0])},the protected work\n")

    def make(*conditions: str, stage: str = "image") -> Config:
        rules = [
            RULE.format(id=f"R-{number}", stage=stage, when=when) for number, when in enumerate(conditions, start=1)
        ]
        (tmp_path / "house.yaml").write_text(PACK.format() + "".join(rules))
        return Config.model_validate(
            {"providers": {"fake": {"kind": "test"}}, "policy": ["house.yaml"], "root": tmp_path}
        )

    return make


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the list of the tasks that reached the engine."""
    reached: list[str] = []
    real = TestProvider.generate

    async def generate(self: TestProvider, request: Any, *more: Any, **named: Any) -> Any:
        reached.append(request.task)
        return await real(self, request, *more, **named)

    monkeypatch.setattr(TestProvider, "generate", generate)
    return reached


@pytest.fixture
def near_only(house: House) -> Iterator[Limner]:
    with Limner.open(house(NEAR)) as opened:
        yield opened


def record_of(config: Config, record_id: str) -> Record:
    with open_log(config) as log:
        assert verify_log(log).ok
        return Record.load(log, record_id)


WAYS: dict[str, Callable[[Limner, bytes], Any]] = {
    "image": lambda limner, data: limner.edit(data, "a red apple", strength=0.5, seed=7),
    "mask": lambda limner, data: limner.edit(png(FREE), "a red apple", mask=data, seed=7),
}


@pytest.mark.parametrize("way", ["image", "mask"])
def test_a_denied_input_never_leaves(near_only: Limner, house: House, sent: list[str], way: str) -> None:
    """A mirrored, recompressed copy of a protected work is refused before any engine is asked, with score and place."""
    copy = PROTECTED.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    with pytest.raises(PolicyDenied) as refused:
        WAYS[way](near_only, png(copy, "JPEG", quality=70))
    assert sent == []
    (hit,) = refused.value.decision.deciding
    (used,) = hit.evidence
    number = {"image": 0, "mask": 1}[way]
    assert (used.evidence.of, used.evidence.image, used.threshold) == ("input", number, "0.800000")
    assert f"on given picture {number + 1} (threshold 0.800000" in refused.value.decision.reasons[0]
    assert refused.value.record_id is not None
    record = record_of(house(NEAR), refused.value.record_id)
    assert [entry.step for entry in record.entries] == ["accepted", "judged", "denied"]


def test_other_inputs_pass_and_their_scores_are_kept(near_only: Limner, house: House, sent: list[str]) -> None:
    """An own picture goes through; its evidence is recorded, as input and as output, and replays the same."""
    result = near_only.edit(png(FREE), "a red apple", mask=png(Image.fromarray(OPEN_MASK)), seed=7)
    assert len(sent) == 1
    config = house(NEAR)
    with open_log(config) as log:
        record = Record.load(log, result.record_id)
        judged = {entry.data["stage"]: entry for entry in record.all("judged")}
        request, image = (PolicyInput.from_json(log.payload(judged[s].payloads["input"])) for s in ("request", "image"))
        assert [(one.image, one.of) for one in request.evidence] == [(0, "input"), (1, "input")]
        assert request.request.inputs == ("image", "mask")
        assert [(one.image, one.of) for one in image.evidence] == [(0, "output")]
        assert judged["request"].data["detectors_us"] > 0
        assert replay(record, {"stage": "request"}).verdict.value == judged["request"].data["verdict"]


def test_a_denial_is_replayed_and_explained(near_only: Limner, house: House) -> None:
    """Years later the log still says which given picture, which score, which threshold."""
    with pytest.raises(PolicyDenied) as refused:
        near_only.edit(png(PROTECTED), "a red apple", seed=7)
    assert refused.value.record_id is not None
    with open_log(house(NEAR)) as log:
        record = Record.load(log, refused.value.record_id)
        assert replay(record, {"stage": "request"}).to_leaf() == refused.value.decision.to_leaf()
        told = repr(explain(log, refused.value.record_id))
    assert "1.000000" in told
    assert "'of': 'input'" in told


def test_what_is_hidden_under_transparent_pixels_is_seen(near_only: Limner, sent: list[str]) -> None:
    """A protected work that is wholly transparent looks white, and an engine that ignores alpha would use it."""
    hidden = PROTECTED.convert("RGBA")
    hidden.putalpha(0)
    with pytest.raises(PolicyDenied):
        near_only.edit(png(hidden), "a red apple", seed=7)
    assert sent == []


def test_a_request_without_pictures_asks_no_detector_before(near_only: Limner, house: House) -> None:
    """Its judgement is the one of before: no evidence, no time of detectors."""
    result = near_only.generate("a red apple", seed=7)
    record = record_of(house(NEAR), result.record_id)
    assert "detectors_us" not in record.entry("judged", stage="request").data


@pytest.mark.parametrize("status", ["raises", "nan", "unknown"])
def test_a_failing_detector_holds_the_input_up(
    near_only: Limner, sent: list[str], monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """Raising, NaN or unknown: the rule's if_unknown decides, and nothing is sent."""
    from limner_policy.detectors.near_duplicate import NearDuplicateDetector

    def score(self: NearDuplicateDetector, images: list[Any]) -> list[list[Evidence]]:
        if status == "raises":
            raise ValueError("it broke")
        if status == "nan":
            return [[scored(self, "works", float("nan"))] for _ in images]
        return [[] for _ in images]

    monkeypatch.setattr(NearDuplicateDetector, "score", score)
    with pytest.raises(ReviewRequired):
        near_only.edit(png(FREE), "a red apple", seed=7)
    assert sent == []


def test_what_is_refused_for_its_words_asks_no_detector(
    house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A denied prompt costs no detector."""
    config = house(NEAR)
    text = (tmp_path / "house.yaml").read_text()
    (tmp_path / "house.yaml").write_text(
        text + RULE.format(id="R-9", stage="request", when="{terms: {any_of: [forbidden]}}")
    )
    monkeypatch.setattr(inspecting, "_run", lambda *_: pytest.fail("a detector was asked"))
    with Limner.open(config) as limner, pytest.raises(PolicyDenied):
        limner.edit(png(PROTECTED), "forbidden", seed=7)


def test_a_rule_that_names_no_list_is_told_before_anything_is_spent(house: House, sent: list[str]) -> None:
    """The mistake is named with rule and remedy at the first request."""
    config = house(NEAR.replace("works", "wroks"))
    with Limner.open(config) as limner, pytest.raises(DetectorError, match=r"house/R-1 asks .* 'wroks'"):
        limner.generate("a red apple", seed=7)
    assert sent == []


def stated(category: str) -> str:
    return f'{{evidence: {{detector: credentials, category: {category}, at_least: "1"}}}}'


@pytest.fixture
def signed(house: House, tmp_path: Path) -> bytes:
    """A picture with whole credentials."""
    with Limner.open(house("{terms: {any_of: [nothing]}}")) as limner:
        path = limner.generate("a red apple", seed=7).images[0].save(tmp_path / "signed.png")
    return Path(path).read_bytes()


def altered(data: bytes) -> bytes:
    """The same file with another pixel and the old credentials: a chunk more after the signature was made."""
    import struct
    import zlib

    chunk = b"tEXt" + b"Comment\0changed"
    return data[:-12] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[-12:]


@pytest.mark.parametrize(
    ("category", "kind", "denied"),
    [
        ("absent", "bare", True),
        ("absent", "signed", False),
        ("valid", "signed", True),
        ("valid", "altered", False),
        ("invalid", "altered", True),
        ("invalid", "signed", False),
        ("invalid", "bare", False),
        ("do-not-train", "signed", False),
        ("trusted", "signed", False),
    ],
)
def test_what_an_inputs_credentials_are_worth_is_evidence(
    house: House, signed: bytes, sent: list[str], category: str, kind: str, denied: bool
) -> None:
    """Whole, altered and none: each is its category, and a rule on it decides before anything is sent."""
    data = {"bare": png(FREE), "signed": signed, "altered": altered(signed)}[kind]
    sent.clear()
    with Limner.open(house(stated(category))) as limner:
        if denied:
            with pytest.raises(PolicyDenied):
                limner.edit(data, "a red apple", seed=7)
        else:
            limner.edit(data, "a red apple", seed=7)
    assert len(sent) == (not denied)


def test_a_refusal_of_training_is_evidence(house: House, sent: list[str]) -> None:
    """A picture whose credentials say do-not-train can be kept out by a rule."""
    from limner_provenance.credentials import DigitalSourceType, ManifestFacts, SoftwareAgent, development_signer, seal

    config = house(stated("do-not-train"))
    signer = development_signer(config.state / "keys")
    facts = ManifestFacts(
        title="own",
        mime="image/png",
        software_agent=SoftwareAgent(name="a camera"),
        digital_source_type=DigitalSourceType.TRAINED_ALGORITHMIC_MEDIA,
        created=datetime(2026, 11, 1, tzinfo=UTC),
        record={},
        training_mining="notAllowed",
    )
    data = seal(png(FREE), facts, signer).data
    with Limner.open(config) as limner, pytest.raises(PolicyDenied) as refused:
        limner.edit(data, "a red apple", seed=7)
    assert sent == []
    (hit,) = refused.value.decision.deciding
    assert [use.evidence.category for use in hit.evidence] == ["do-not-train"]


def test_a_request_without_pictures_states_nothing(house: House) -> None:
    """Neither absent nor anything else: a rule on given credentials does not hold up what brings none."""
    with Limner.open(house(*(stated(one) for one in ("absent", "invalid", "valid", "do-not-train")))) as limner:
        result = limner.generate("a red apple", seed=7)
    assert result.decision.verdict.value == "allow"
