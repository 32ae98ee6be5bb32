"""The way of one request, with the test provider: what is recorded, released, withheld and refused."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner import AsyncLimner, Limner, verify_file
from limner.config import Config
from limner.errors import (
    ConfigInvalid,
    DutyUnfulfilled,
    ImageUnreadable,
    InvalidRequest,
    ModelUnavailable,
    ModerationBlocked,
    OutcomeUnknown,
    PolicyDenied,
    ProviderError,
    RecordNotFound,
    RequestEnded,
    ReviewRequired,
    UnsupportedRequest,
    exit_code,
)
from limner.reading import open_log
from limner.records import Record
from limner_provenance.audit import verify as verify_log

House = Callable[..., Config]
Steps = Callable[[str], list[str]]


def entries(config: Config, record_id: str) -> Record:
    with open_log(config) as log:
        return Record.load(log, record_id)


def test_a_good_request_leaves_every_step(house: House, steps: Steps) -> None:
    """A delivered record has each step once, in the order of the pipeline."""
    with Limner.open(house()) as limner:
        result = limner.generate("red apple", seed=7)
    assert steps(result.record_id) == [
        "accepted", "judged", "planned", "attempted", "produced", "judged", "sealed", "delivered",
    ]  # fmt: skip
    assert result.decision.verdict.value == "allow"
    assert result.images[0].seed == 7
    assert result.cost is None
    assert any("DEVELOPMENT" in warning for warning in result.warnings)


def test_no_entry_holds_what_may_have_to_be_erased(house: House) -> None:
    """Prompts and claims are payloads: no leaf of the log repeats them."""
    claims = {"user": "ann.smith", "tenant": "acme-gmbh", "project": "secret-project", "tags": ("label-one",)}
    with Limner.open(house(), context=claims) as limner:
        limner.generate("a purple walrus", negative_prompt="blurry moustache", seed=1)
        with pytest.raises(PolicyDenied):
            limner.generate("a forbidden walrus")
    with open_log(house()) as log:
        leaves = "".join(entry.leaf for entry in log.entries())
    for word in ("walrus", "moustache", "ann.smith", "acme-gmbh", "secret-project", "label-one"):
        assert word not in leaves


def test_n_images_count_their_seeds_up(limner: Limner) -> None:
    """`seed=7, n=3` means the seeds 7, 8, 9, each picture as when made alone."""
    many = limner.generate("red apple", seed=7, n=3)
    assert [image.seed for image in many.images] == [7, 8, 9]
    alone = limner.generate("red apple", seed=8)
    with contextlib.ExitStack():
        from io import BytesIO

        from PIL import Image

        pixels = [Image.open(BytesIO(i.data)).tobytes() for i in (many.images[1], alone.images[0])]
    assert pixels[0] == pixels[1]


def test_a_drawn_seed_is_recorded(limner: Limner) -> None:
    """A request without a seed can be made again from its record."""
    result = limner.generate("red apple")
    seed = result.images[0].seed
    assert seed is not None
    assert 0 <= seed < 2**32


def test_get_fetches_the_same_bytes_again(house: House) -> None:
    """A later process gets what was handed out, and nothing is added to the record."""
    with Limner.open(house(), context={"user": "ann"}) as limner:
        first = limner.generate("red apple", seed=7, n=2)
    with Limner.open(house()) as limner:
        again = limner.get(first.record_id)
    assert [i.data for i in again.images] == [i.data for i in first.images]
    assert again.decision == first.decision
    assert (again.model, again.provider, again.parameters) == (first.model, first.provider, first.parameters)
    assert len(entries(house(), first.record_id).all("delivered")) == 1


def test_get_of_an_unknown_record(limner: Limner) -> None:
    """A record that is not there is said to be not there: exit code 1."""
    with pytest.raises(RecordNotFound) as caught:
        limner.get("01900000-0000-7000-8000-000000000000")
    assert exit_code(caught.value) == 1


def test_a_denied_prompt_is_recorded_and_never_sent(house: House, steps: Steps) -> None:
    """A denial names rule and record, and no engine is asked."""
    with Limner.open(house()) as limner:
        with pytest.raises(PolicyDenied) as caught:
            limner.generate("a FORBIDDEN thing")
        record_id = caught.value.record_id
        assert record_id is not None
        assert [h.rule for h in caught.value.decision.hits] == ["T-1"]
        assert "forbidden" not in caught.value.user_message.lower().replace("forbidden word", "")
        with pytest.raises(PolicyDenied) as again:
            limner.get(record_id)
    assert steps(record_id) == ["accepted", "judged", "denied"]
    assert again.value.decision == caught.value.decision


def test_a_review_keeps_the_record_open(house: House, steps: Steps, tmp_path: Path) -> None:
    """Until reviewing is built, `review` raises, and the record stays in_review."""
    with Limner.open(
        house(policy=policy().replace("verdict: deny", "verdict: review").replace("expect: deny", "expect: review"))
    ) as limner:
        with pytest.raises(ReviewRequired) as caught:
            limner.generate("a forbidden thing")
        record_id = str(caught.value.record_id)
        with pytest.raises(ReviewRequired):
            limner.get(record_id)
    assert steps(record_id) == ["accepted", "judged", "in_review"]


def policy() -> str:
    from pathlib import Path

    return (Path(__file__).parent / "house.policy.yaml").read_text(encoding="utf-8")


def test_an_image_is_denied_for_its_evidence(house: House, steps: Steps) -> None:
    """A rule of stage image decides on each produced picture; where none is released the call raises."""
    text = policy() + EVIDENCE.format(threshold="0.000000")
    with Limner.open(house(policy=text)) as limner, pytest.raises(PolicyDenied) as caught:
        limner.generate("red apple", seed=7, n=2)
    record_id = str(caught.value.record_id)
    assert steps(record_id)[-3:] == ["judged", "judged", "denied"]
    assert caught.value.decision.stage == "image"
    hit = caught.value.decision.hits[0]
    assert (hit.rule, hit.evidence[0].threshold) == ("T-2", "0.000000")
    assert hit.evidence[0].evidence.digest


EVIDENCE = """\
  - id: T-2
    title: Evidence
    says: A picture that the detector scores high is refused.
    why: The tests need an image rule.
    basis: [{{cite: "tests"}}]
    owner: tests
    severity: high
    stage: image
    mode: enforce
    when: {{evidence: {{detector: nsfw, category: nsfw, at_least: "{threshold}"}}}}
    then: {{verdict: deny}}
    if_unknown: deny
    examples:
      - {{evidence: [{{detector: nsfw, category: nsfw, score: "1.000000"}}], expect: deny}}
"""


def test_a_duty_without_executor_blocks_the_release(house: House) -> None:
    """Nothing is released whose duty cannot be carried out: exit code 1, and the pictures are kept."""
    text = policy().replace("then: {verdict: deny}", "then: {verdict: allow_with_duties, duties: [watermark]}")
    text = text.replace("expect: deny", "expect: allow_with_duties")
    with Limner.open(house(policy=text)) as limner, pytest.raises(DutyUnfulfilled) as caught:
        limner.generate("a forbidden thing")
    assert exit_code(caught.value) == 1
    assert entries(house(), str(caught.value.record_id)).standing == "judged"


@pytest.mark.parametrize(
    ("fault", "error", "ending"),
    [
        ("refused", ProviderError, "failed"),
        ("failed", ProviderError, "failed"),
        ("blocked", ProviderError, "failed"),
        ("moderation", ModerationBlocked, "failed"),
        ("garbage", ProviderError, "failed"),
        ("truncated", ProviderError, "failed"),
        ("unknown", OutcomeUnknown, "unknown"),
    ],
)
def test_a_failing_engine_ends_the_record(
    house: House, steps: Steps, fault: str, error: type[Exception], ending: str
) -> None:
    """Every attempt and how it ended stand in the record; the error names it."""
    with Limner.open(house(fail=fault, routing={"retries": 0})) as limner:
        with pytest.raises(error) as caught:
            limner.generate("red apple", n=2)
        record_id = str(getattr(caught.value, "record_id", None))
        with pytest.raises((RequestEnded, OutcomeUnknown)):
            limner.get(record_id)
    assert steps(record_id)[3:] == ["attempted", "attempt_failed", ending]
    assert exit_code(caught.value) == 3


def test_surplus_pictures_are_sealed_too(house: House) -> None:
    """What was paid for is signed and kept, and is not among the pictures that were asked for."""
    with Limner.open(house(call_gives=4)) as limner:
        result = limner.generate("red apple", n=2, seed=7)
        again = limner.get(result.record_id)
    assert [i.index for i in result.images] == [0, 1]
    assert [i.index for i in result.surplus] == [2, 3]
    assert [i.seed for i in (*result.images, *result.surplus)] == [7, 8, 9, 10]
    assert all(i.data for i in result.surplus)
    assert [i.data for i in again.surplus] == [i.data for i in result.surplus]
    assert len(entries(house(), result.record_id).all("sealed")) == 4


def test_a_withheld_surplus_picture_is_counted_and_not_handed_out(house: House, monkeypatch: Any) -> None:
    """A surplus picture that policy does not release is in neither list; a warning says that it is there."""
    from limner_policy.engine import judge as real
    from limner_policy.verdicts import Decision, Verdict

    def judge(packs: Any, facts: Any) -> Decision:
        decided = real(packs, facts)
        seen.append(facts.stage)
        denied = facts.stage == "image" and seen.count("image") == 3
        return dataclasses.replace(decided, verdict=Verdict.DENY) if denied else decided

    seen: list[str] = []
    monkeypatch.setattr("limner.steps.judging.judge", judge)
    with Limner.open(house(call_gives=3)) as limner:
        result = limner.generate("red apple", n=2)
    assert (len(result.images), len(result.surplus), result.withheld) == (2, 0, ())
    assert "1 of 1 surplus images are withheld by policy" in result.warnings


def test_no_candidate_fits(house: House, steps: Steps) -> None:
    """What no configured engine can do is said by field, and recorded as failed."""
    with Limner.open(house()) as limner:
        with pytest.raises(UnsupportedRequest) as caught:
            limner.generate("red apple", size="4096x4096")
        assert caught.value.field == "size"
        with pytest.raises(ModelUnavailable, match="limner-test"):
            limner.generate("red apple", model="no-such-model")
        with pytest.raises(ConfigInvalid, match="fake"):
            limner.generate("red apple", provider="nobody")
    assert steps(str(caught.value.record_id))[-2:] == ["planned", "failed"]


def test_a_wrong_request_is_refused_before_a_record_begins(limner: Limner, house: House) -> None:
    """Bad fields are named with value and remedy; the log stays as it is."""
    for wrong in ({"prompt": ""}, {"n": 0}, {"size": "0x0"}, {"prompt": "\ud800"}, {"seed": -1}, {"scheduler": ""}):
        with pytest.raises(InvalidRequest):
            limner.generate(**{"prompt": "red apple", **wrong})  # type: ignore[arg-type]
    with open_log(house()) as log:
        assert not list(log.entries(steps=["accepted"]))


def test_a_cancelled_caller_loses_no_paid_picture(house: House) -> None:
    """From the attempt on the work goes on; closing waits for it, and `get` fetches it."""

    async def scenario() -> str:
        async with AsyncLimner.open(house(delay=1.0)) as limner:
            task = asyncio.create_task(limner.generate("red apple", seed=7))
            with open_log(house()) as log:
                while not list(log.entries(steps=["attempted"])):
                    await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        with open_log(house()) as log:
            return str(next(iter(log.entries(steps=["sealed"]))).record)

    record_id = asyncio.run(scenario())
    with Limner.open(house()) as limner:
        assert limner.get(record_id).images[0].seed == 7


def test_sixteen_requests_at_a_time(house: House) -> None:
    """Concurrent requests share one log, and it proves itself afterwards."""

    async def scenario() -> list[Any]:
        async with AsyncLimner.open(house()) as limner:
            return await asyncio.gather(*(limner.generate("red apple", seed=i) for i in range(16)))

    results = asyncio.run(scenario())
    assert len({r.record_id for r in results}) == 16
    with open_log(house()) as log:
        assert verify_log(log).ok


def test_a_sealed_file_verifies_and_any_change_is_found(limner: Limner, house: House, tmp_path: Path) -> None:
    """All five steps are good for the file itself; a change of any byte is bad, whatever the credentials say."""
    file = limner.generate("red apple", seed=7).images[0].save(tmp_path / "a.png")
    found = verify_file(file, config=house())
    assert [s.result for s in found.steps] == ["good"] * 5
    assert found.verdict == "trusted"
    data = file.read_bytes()
    for place in range(40, len(data), max(1, len(data) // 60)):
        changed = tmp_path / "b.png"
        changed.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with contextlib.suppress(ImageUnreadable):  # a file that is no whole picture any more is found too
            assert not verify_file(changed, config=house()).good, place


def test_the_manifest_says_who_made_it_and_hides_the_prompt(limner: Limner, house: House) -> None:
    """The test provider is marked in the manifest, and the prompt is there only as its commitment."""
    from limner_provenance.credentials import read_credentials

    result = limner.generate("a purple walrus", seed=7)
    credentials = read_credentials(result.images[0].data)
    record = entries(house(), result.record_id)
    assert credentials.record is not None
    assert credentials.record["commitments"] == {"prompt": record.entry("accepted").payloads["prompt"].commitment}
    assert credentials.record["produced"] == record.entry("produced").leaf_hash.hex()
    assert b"walrus" not in result.images[0].data
    assert "test provider" in json.dumps(
        credentials.to_json() if hasattr(credentials, "to_json") else str(credentials.raw)
    )


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_each_format_is_sealed(limner: Limner, house: House, tmp_path: Path, output_format: str) -> None:
    """PNG, JPEG and WebP carry credentials that verify."""
    result = limner.generate("red apple", seed=7, output_format=output_format)
    file = result.images[0].save(tmp_path / "picture")
    assert result.images[0].mime == f"image/{output_format}"
    assert verify_file(file, config=house()).good


def test_production_refuses_the_test_provider(house: House) -> None:
    """What is for development does not reach production."""
    with pytest.raises(ConfigInvalid, match="'test'"):
        Limner.open(house(environment="production"))


def test_policy_and_what_is_in_force_are_in_the_log(house: House) -> None:
    """Each pack is kept byte for byte, once; `opened` is written when something changed."""
    for _ in range(2):
        with Limner.open(house()) as limner:
            limner.generate("red apple", seed=7)
    with open_log(house()) as log:
        loaded = list(log.entries(steps=["policy_loaded"]))
        assert len(loaded) == 1
        assert log.payload(loaded[0].payloads["source"]) == (house().root / "house.yaml").read_bytes()
        assert len(list(log.entries(steps=["opened"]))) == 1


def test_a_broken_policy_opens_nothing(house: House) -> None:
    """A policy file with a wrong key is refused with its place; no log is made."""
    from limner.errors import PolicyFileError

    config = house(policy=policy().replace("severity:", "severty:"))
    with pytest.raises(PolicyFileError, match="severity"):
        Limner.open(config)


def test_costs_are_recorded_exactly(house: House) -> None:
    """A price is a decimal with its currency, in the result and in the record."""
    with Limner.open(house(cost="0.011")) as limner:
        result = limner.generate("red apple", seed=7, n=3)
    assert result.cost is not None
    assert (str(result.cost.amount), result.cost.currency) == ("0.033", "USD")
    assert entries(house(), result.record_id).entry("produced").data["cost"] == {"amount": "0.033", "currency": "USD"}


def test_the_kept_manifest_is_the_one_that_was_sealed(limner: Limner, house: House) -> None:
    """The payload `manifest` holds the manifest store in base64, and the entry its SHA-256."""
    result = limner.generate("red apple", seed=7)
    with open_log(house()) as log:
        sealed = Record.load(log, result.record_id).entry("sealed")
        manifest = base64.b64decode(log.payload(sealed.payloads["manifest"]), validate=True)
    assert hashlib.sha256(manifest).hexdigest() == sealed.data["manifest_sha256"]
