"""What is written into a manifest, before anything is signed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from limner_provenance.credentials import IngredientFacts, ModelFacts
from limner_provenance.credentials.manifest import definition


def _assertions(facts: Any) -> dict[str, Any]:
    return {item["label"]: item["data"] for item in definition(facts, instance_id="xmp.iid:1")["assertions"]}


def test_a_created_picture_names_model_source_and_time(picture: Any, facts: Any) -> None:
    """One created action carries source type, software agent, model digest and time in UTC."""
    actions = _assertions(facts(picture(), created=datetime.fromisoformat("2026-11-24T23:30:00+01:00")))
    (action,) = actions["c2pa.actions.v2"]["actions"]
    assert action["action"] == "c2pa.created"
    assert action["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert action["softwareAgent"] == {"name": "starter", "version": "1"}
    assert action["parameters"] == {"limner.model": {"name": "starter", "sha256": "ab" * 32}}
    assert action["when"] == "2026-11-24T22:30:00Z"


def test_the_test_provider_is_marked_plainly(picture: Any, facts: Any) -> None:
    """A test picture says in words that no model made it; an ordinary one carries no notice."""
    assert "limner.notice" not in _assertions(facts(picture()))
    notice = _assertions(facts(picture(), test_provider=True))["limner.notice"]
    assert notice["test_provider"] is True
    assert "no image model made this picture" in notice["says"][0]


def test_the_training_choice_is_written_only_when_made(picture: Any, facts: Any) -> None:
    """No choice states nothing; a choice covers all four uses."""
    assert "cawg.training-mining" not in _assertions(facts(picture()))
    entries = _assertions(facts(picture(), training_mining="notAllowed"))["cawg.training-mining"]["entries"]
    assert len(entries) == 4
    assert {use["use"] for use in entries.values()} == {"notAllowed"}


@pytest.mark.parametrize(
    ("value", "message"),
    [(0.5, "no floats"), (2**53, "written as text"), ("\ud800", "lone surrogate"), (b"x", "bytes is no JSON value")],
)
def test_a_record_that_is_not_canonical_is_refused(picture: Any, facts: Any, value: object, message: str) -> None:
    """The error names the place inside the record."""
    with pytest.raises(ValidationError, match=rf"limner\.record\.a\[1\]\.b: .*{message}"):
        facts(picture(), record={"a": [1, {"b": value}]})


def test_record_keys_are_ascii(picture: Any, facts: Any) -> None:
    """Keys outside ASCII would sort differently elsewhere and are refused."""
    with pytest.raises(ValidationError, match="keys are ASCII"):
        facts(picture(), record={"é": 1})


@settings(max_examples=50)
@given(st.dictionaries(st.text("abc", min_size=1), st.integers(-(2**53) + 1, 2**53 - 1) | st.text("xyä€😀")))
def test_any_canonical_record_is_taken_unchanged(picture: Any, facts: Any, record: dict[str, Any]) -> None:
    """Whole numbers and text pass through."""
    assert _assertions(facts(picture(), record=record))["limner.record"] == record


def test_there_is_one_parent_at_most(picture: Any, facts: Any) -> None:
    """Two parents are a contradiction."""
    parent = IngredientFacts(data=picture(), title="parent")
    with pytest.raises(ValidationError, match="at most one can be parentOf"):
        facts(picture(), ingredients=(parent, parent))


def test_time_needs_its_zone(picture: Any, facts: Any) -> None:
    """A time without a zone is refused."""
    with pytest.raises(ValidationError, match="created"):
        facts(picture(), created=datetime(2026, 1, 1))  # noqa: DTZ001 - the fault under test


def test_errors_show_no_values(picture: Any, facts: Any) -> None:
    """What a record holds never appears in an error message."""
    with pytest.raises(ValidationError) as caught:
        facts(picture(), record={"secret-like": "abc-123", "bad": 0.5})
    assert "abc-123" not in str(caught.value)
    assert "limner.record.bad" in str(caught.value)


def test_models_are_inputs_named_by_their_digests(picture: Any, facts: Any) -> None:
    """Model and LoRA are ingredients without a file: typed as models, named by digest, inputs of the main action."""
    models = (ModelFacts(title="model starter", sha256="ab" * 32), ModelFacts(title="LoRA ink", weight="0.5"))
    stated = definition(facts(picture(), models=models), instance_id="xmp.iid:1")
    (action,) = stated["assertions"][0]["data"]["actions"]
    assert action["parameters"]["ingredientIds"] == [item["label"] for item in stated["ingredients"]]
    assert [item["relationship"] for item in stated["ingredients"]] == ["inputTo", "inputTo"]
    assert ["ab" * 32 in item["description"] for item in stated["ingredients"]] == [True, False]
    assert "weight 0.5" in stated["ingredients"][1]["description"]
