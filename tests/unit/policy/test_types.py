"""The judgement's input: what it accepts, and that it comes back from its JSON exactly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from limner_policy.errors import PolicyInputError
from limner_policy.types import CandidateFacts, ContextFacts, Evidence, PolicyInput, RequestFacts

texts = st.text(max_size=40)
keys = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)
maybe = st.none() | texts
micros = st.integers(0, 1_000_000).map(lambda value: f"{value // 1_000_000}.{value % 1_000_000:06d}")
evidence = st.builds(Evidence, detector=texts, version=texts, digest=texts, category=texts, score=micros) | st.builds(
    Evidence, detector=texts, category=texts, status=st.just("unknown"), reason=texts, image=st.integers(0, 9)
)
inputs = st.builds(
    PolicyInput,
    instant=st.just("2026-11-24T22:10:00.5Z"),
    stage=st.sampled_from(["request", "candidate", "image", "release"]),
    request=st.builds(
        RequestFacts,
        prompt=texts,
        negative_prompt=texts,
        task=texts,
        size=maybe,
        parameters=st.dictionaries(keys, texts),
    ),
    context=st.builds(ContextFacts, tenant=maybe, user=maybe, region=maybe, tags=st.tuples(texts)),
    candidate=st.none() | st.builds(CandidateFacts, provider=maybe, licence=maybe, facts=st.dictionaries(keys, texts)),
    evidence=st.lists(evidence, max_size=3).map(tuple),
    counters=st.dictionaries(keys, st.integers(-(2**53) + 1, 2**53 - 1)),
)


@given(inputs)
def test_an_input_comes_back_from_its_json_exactly(value: PolicyInput) -> None:
    """to_json, JSON text and from_json give the same input and, again, the same JSON."""
    text = json.dumps(value.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    back = PolicyInput.from_json(json.loads(text))
    assert back == value
    assert back.to_json() == value.to_json()


@given(inputs)
def test_an_inputs_json_is_canonical_data(value: PolicyInput) -> None:
    """No floats, ASCII keys only, and text that UTF-8 can carry."""

    def check(part: Any) -> None:
        assert isinstance(part, str | int | bool | dict | list)
        for key, child in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
            assert isinstance(key, int) or key.isascii()
            check(child)

    check(value.to_json())
    json.dumps(value.to_json(), ensure_ascii=False).encode()


def test_a_recorded_input_of_today_stays_readable() -> None:
    """The bytes that version 1 recorded are read, and written again unchanged, whatever fields were added since."""
    recorded = (
        '{"candidate":{"kind":"diffusers","licence":"apache-2.0","model":"starter","provider":"local","sha256":"ab"},'
        '"context":{"purpose":"advertising","tags":["x"],"tenant":"acme"},"counters":{"today":3},'
        '"evidence":[{"category":"nsfw","detector":"nsfw","digest":"cd","score":"0.061000","version":"1"}],'
        '"instant":"2026-11-24T22:10:00Z","request":{"prompt":"red apple","size":"64x64","task":"txt2img"},'
        '"stage":"image","v":1}'
    )
    back = PolicyInput.from_json(json.loads(recorded))
    assert back.request.n == "1"
    assert json.dumps(back.to_json(), sort_keys=True, separators=(",", ":")) == recorded


@pytest.mark.parametrize(
    "instant",
    ["2026-11-24", "2026-11-24T22:10:00", "2026-11-24T22:10:00+01:00", "2026-13-01T00:00:00Z", "٢٠٢٦-11-24T22:10:00Z"],
)
def test_an_instant_is_utc_in_one_spelling(instant: str) -> None:
    """Local times, offsets, days and impossible dates are refused."""
    with pytest.raises(ValidationError):
        PolicyInput(instant=instant, stage="request", request=RequestFacts(task="txt2img"))


@pytest.mark.parametrize(
    "broken",
    [
        {"score": "0.5"},
        {"score": "1.000001"},
        {"score": "nan"},
        {"score": None},
        {"score": "0.500000", "status": "unknown"},
        {"score": 0.5},
    ],
)
def test_evidence_is_a_score_or_unknown(broken: dict[str, Any]) -> None:
    """A score is a text of 6 decimals from 0 to 1, and it is missing exactly where the status is unknown."""
    with pytest.raises(ValidationError):
        Evidence(detector="d", category="c", **broken)


def test_errors_do_not_repeat_the_prompt() -> None:
    """Neither building nor reading an input shows a prompt in its error."""
    secret = "a very secret prompt"
    with pytest.raises(ValidationError) as built:
        RequestFacts(prompt=secret, task=7, bad=secret)  # type: ignore[call-arg]
    with pytest.raises(PolicyInputError) as read:
        PolicyInput.from_json({"v": 1, "instant": "x", "stage": "request", "request": {"prompt": [secret]}})
    assert secret not in str(built.value)
    assert secret not in str(read.value)
    assert "instant" in str(read.value)


def test_a_newer_format_and_lone_surrogates_are_refused() -> None:
    """What this version cannot read or canonical JSON cannot carry is an error, not a guess."""
    with pytest.raises(PolicyInputError, match="newer Limner"):
        PolicyInput.from_json({"v": 2})
    with pytest.raises(ValidationError):
        RequestFacts(prompt="\ud800", task="txt2img")
    with pytest.raises(ValidationError):
        PolicyInput(
            instant="2026-11-24T22:10:00Z", stage="request", request=RequestFacts(task="t"), counters={"ключ": 1}
        )
