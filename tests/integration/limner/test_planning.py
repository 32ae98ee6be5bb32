"""The plan: who is looked at, who is left out and why, what is adapted, and what is said when nobody is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from limner import Limner
from limner.config import Config
from limner.errors import (
    ConfigurationInvalid,
    EngineUnavailable,
    GenerationFailed,
    ModelRetired,
    ModelUnavailable,
    PolicyDenied,
    UnsupportedRequest,
    exit_code,
)
from limner.reading import open_log
from limner.records import Record
from limner_provenance.audit import verify as verify_log
from limner_providers.test import TestProvider

House = Callable[..., Config]


def planned(config: Config, record_id: object) -> dict[str, Any]:
    """Give what the log says of a plan, after checking that it proves itself."""
    with open_log(config) as log:
        assert verify_log(log).ok
        return Record.load(log, str(record_id)).entry("planned").data


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        ({"kind": "diffusers", "model": "/nowhere/at/all"}, "nowhere"),
        ({"kind": "no-such-kind"}, "no-such-kind"),
        ({"kind": "test", "colour": "red"}, "colour"),
    ],
)
def test_a_broken_provider_breaks_no_plan(house: House, broken: dict[str, Any], word: str) -> None:
    """A provider whose files or settings are wrong is left out with the reason, and the next one does it."""
    config = house(providers={"bad": broken, "good": {}})
    with Limner.open(config) as limner:
        result = limner.generate("red apple")
        again = limner.get(result.record_id)
    assert result.provider == "good"
    assert [c.provider for c in result.plan] == ["bad", "good"]
    assert word in result.plan[0].left_out[0]
    assert result.plan[0].model == ""
    assert again.plan == result.plan
    data = planned(config, result.record_id)
    assert [c["provider"] for c in data["candidates"]] == ["good"]
    assert [(b["place"], b["provider"]) for b in data["broken"]] == [(0, "bad")]


def test_nobody_left_raises_the_true_cause(house: House) -> None:
    """Where the only one that could is broken its own error is raised, and the others' reasons are with it."""
    config = house(providers={"bad": {"kind": "test", "colour": "red"}, "poor": {"tasks": ["variation"]}})
    with Limner.open(config) as limner, pytest.raises(ConfigurationInvalid, match="colour") as caught:
        limner.generate("red apple")
    assert any(note.startswith("poor: task=") for note in caught.value.__notes__)
    assert exit_code(caught.value) == 2


@pytest.mark.parametrize("error", [EngineUnavailable("the key top-secret"), RuntimeError("token top-secret")])
def test_an_engine_that_cannot_be_looked_at(house: House, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """A foreign error becomes one of ours, whose text repeats nothing of it; one of ours is raised as it is."""

    async def identify(self: TestProvider, model: str | None = None) -> Any:
        raise error

    monkeypatch.setattr(TestProvider, "identify", identify)
    with Limner.open(house()) as limner, pytest.raises((EngineUnavailable, GenerationFailed)) as caught:
        limner.generate("red apple")
    if isinstance(error, RuntimeError):
        assert type(caught.value) is GenerationFailed
        assert "top-secret" not in str(caught.value)
        assert caught.value.__cause__ is error
    with open_log(house()) as log:
        assert "top-secret" not in "".join(entry.leaf for entry in log.entries())


def test_a_pinned_model_is_looked_for_at_every_provider(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """`model=` asks whoever has it; who has not is left out with that reason."""
    real = TestProvider._check_model

    def check(self: TestProvider, model: str | None) -> None:
        if self.name == "one":
            real(self, "another" if model else None)

    monkeypatch.setattr(TestProvider, "_check_model", check)
    config = house(providers={"one": {}, "other": {}})
    with Limner.open(config) as limner:
        result = limner.generate("red apple", model="limner-test")
    assert result.provider == "other"
    assert "no model" in result.plan[0].left_out[0]


def test_a_model_that_nobody_has(house: House) -> None:
    """The provider's own words say so, with what it has instead."""
    config = house(providers={"one": {}, "other": {}})
    with Limner.open(config) as limner, pytest.raises(ModelUnavailable, match="limner-test") as caught:
        limner.generate("red apple", model="no-such-model")
    assert "other: other has no model" in caught.value.__notes__[0]
    assert planned(config, caught.value.record_id)["candidates"] == []


def test_a_retired_model_names_its_successor(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """That its vendor switched it off is said before that others never had it."""

    async def identify(self: TestProvider, model: str | None = None) -> Any:
        if self.name == "vendor":
            raise ModelRetired(f"{model} was switched off.", successor="new", provider=self.name)
        raise ModelUnavailable(f"no model {model}", provider=self.name)

    monkeypatch.setattr(TestProvider, "identify", identify)
    with Limner.open(house(providers={"one": {}, "vendor": {}})) as limner, pytest.raises(ModelRetired) as caught:
        limner.generate("red apple", model="old")
    assert caught.value.successor == "new"


def test_who_could_do_it_is_named(house: House) -> None:
    """`UnsupportedRequest` names the field, and the configured providers that could honour it."""
    config = house(providers={"one": {"tasks": ["txt2img"]}, "many": {}, "few": {"max_n": 2}})
    with Limner.open(config) as limner:
        with pytest.raises(UnsupportedRequest) as caught:
            limner.generate("red apple", n=5, provider="few")
        assert (caught.value.field, caught.value.able) == ("n", ("one", "many"))
        assert 'on_unsupported="adapt"' in str(caught.value)
        with pytest.raises(UnsupportedRequest) as caught:
            limner.variation(_picture(), provider="one")
        assert (caught.value.field, caught.value.able) == ("task", ("many", "few"))


def test_kinds_that_could_do_it_are_named_where_nothing_configured_can(house: House) -> None:
    """Where no configured provider can, the kinds are named that one could configure; never the test provider."""
    with Limner.open(house(tasks=["txt2img"])) as limner, pytest.raises(UnsupportedRequest) as caught:
        limner.upscale(_picture())
    assert caught.value.able
    assert all(name.startswith("a provider of kind ") for name in caught.value.able)
    assert "a provider of kind test" not in caught.value.able


def _picture() -> Any:
    import numpy as np

    return np.zeros((48, 64, 3), np.uint8)


def test_nothing_is_adapted_without_leave(house: House) -> None:
    """Without `adapt` the first one that can honour all of it is asked, and nothing is changed."""
    config = house(providers={"few": {"max_n": 2}, "many": {}})
    with Limner.open(config) as limner:
        strict = limner.generate("red apple", n=3)
        loose = limner.generate("red apple", n=3, on_unsupported="adapt")
    assert (strict.provider, strict.adaptations) == ("many", ())
    assert strict.plan[0].left_out[0].startswith("n=3")
    assert (loose.provider, [a.field for a in loose.adaptations]) == ("few", ["n"])
    leaf = planned(config, loose.record_id)["candidates"][0]
    assert leaf["adaptations"] == [{"field": "n", "asked": "3", "used": "calls of 2 + 1"}]
    assert leaf["calls"] == [2, 1]


def test_an_adapted_picture_says_so_in_its_manifest(house: House) -> None:
    """The record in the manifest lists the fields that were not honoured to the letter."""
    from limner_provenance.credentials import read_credentials

    with Limner.open(house(seed="none")) as limner:
        result = limner.generate("red apple", seed=7, on_unsupported="adapt")
    found = read_credentials(result.images[0].data).record
    assert found is not None
    assert found["adaptations"] == ["seed"]


def test_a_denied_candidate_is_left_out_with_its_rule(house: House) -> None:
    """Policy judges each candidate; who is denied is passed over, and alone it is a denial."""
    text = house().root.joinpath("house.yaml").read_text()
    text = text.replace("stage: request", "stage: candidate")
    text = text.replace("when: {terms: {any_of: [forbidden], fields: [prompt]}}", "when: {provider: {in: [one]}}")
    text = text[: text.index("    examples:")] + EXAMPLES
    with Limner.open(house(providers={"one": {}, "other": {}}, policy=text)) as limner:
        result = limner.generate("red apple")
        assert result.provider == "other"
        assert result.plan[0].left_out
        with pytest.raises(PolicyDenied) as caught:
            limner.generate("red apple", provider="one")
        with pytest.raises(PolicyDenied):
            limner.get(str(caught.value.record_id))


EXAMPLES = """\
    examples:
      - {provider: one, prompt: "red apple", expect: deny}
      - {provider: other, prompt: "red apple", expect: allow}
"""


def test_reasons_outlive_the_process_until_they_are_erased(house: House) -> None:
    """`get` shows the plan with its reasons in words; what the leaf says stays when they are erased."""
    config = house(providers={"few": {"max_n": 1}, "many": {}})
    with Limner.open(config) as limner:
        result = limner.generate("red apple", n=2)
    with Limner.open(config) as limner:
        again = limner.get(result.record_id)
    assert again.plan == result.plan
    with open_log(config) as log:
        leaf = Record.load(log, result.record_id).entry("planned")
    assert leaf.data["candidates"][0]["unmet"] == ["n"]
    assert "reasons" in leaf.payloads
