"""What a manifest says: typed facts in, the definition that c2pa signs out.

Pure and quick; knows C2PA labels and vocabulary. Must not know signing, files or the audit log: the record
assertion arrives ready.
"""

from __future__ import annotations

import functools
import re
from datetime import UTC
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from limner_provenance.credentials.images import Mime, sniff
from limner_provenance.credentials.source_types import DigitalSourceType

RECORD = "limner.record"
NOTICE = "limner.notice"
MODEL_TYPE = "c2pa.types.model"
ACTIONS = "c2pa.actions.v2"
TRAINING = "cawg.training-mining"
_TRAINING_USES = ("ai_generative_training", "ai_inference", "ai_training", "data_mining")
_MAX_INTEGER = 2**53 - 1
_SURROGATE = re.compile("[\ud800-\udfff]")
Relationship = Literal["parentOf", "componentOf", "inputTo"]


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SoftwareAgent(_Facts):
    """The model that made the picture.

    Attributes:
        name: Model name.
        version: Its version or revision, if it has one.
        sha256: Hex digest of its weights, if known.
    """

    name: str = Field(min_length=1)
    version: str | None = None
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class ModelFacts(_Facts):
    """A model or a LoRA that went into the picture, named by its digest where that is known.

    Attributes:
        title: What it is called, e.g. `model starter` or `LoRA ink`.
        sha256: Hex digest of its weights, if known.
        weight: How strongly a LoRA was applied, as text, if it is one.
    """

    title: str = Field(min_length=1)
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    weight: str | None = None


class IngredientFacts(_Facts):
    """A picture that went into this one.

    Attributes:
        data: Its bytes; credentials in them are kept, with the state they validate to.
        title: What to call it in the manifest.
        relationship: `parentOf` for the edited picture (one at most), `componentOf` for one that is visible in the
            result, `inputTo` for a reference, mask or control image.
    """

    data: bytes = Field(repr=False)
    title: str
    relationship: Relationship = "parentOf"

    @property
    def mime(self) -> Mime:
        """Media type by content."""
        return sniff(self.data)


class ManifestFacts(_Facts):
    """Everything that a manifest states about one picture.

    Attributes:
        title: Title of the asset; no prompt and no file name of a user unless policy discloses it.
        mime: Format of the picture.
        software_agent: The model.
        digital_source_type: How it was made; see `source_type_for`.
        created: When it was made, aware.
        record: The assertion `limner.record`: canonical JSON data, no floats, ASCII keys.
        generator: Name of the claim generator.
        generator_version: Its version; default that of the installed `limner`.
        test_provider: True marks plainly that no model made this picture.
        development: True marks plainly that the certificate is a development one (`seal` sets it by its signer).
        training_mining: Whether others may train on or mine this picture; None states nothing.
        ingredients: Pictures that went into it.
        models: Models and LoRAs that went into it; each becomes an ingredient without a file.
        unchanged: True where the parent was only opened, not edited: an image that its provider had signed.
        metadata_written: True where, beyond that, only metadata of the parent's file were written anew.
    """

    title: str
    mime: Mime
    software_agent: SoftwareAgent
    digital_source_type: DigitalSourceType
    created: AwareDatetime
    record: dict[str, Any]
    generator: str = "Limner"
    generator_version: str | None = None
    test_provider: bool = False
    development: bool = False
    training_mining: Literal["allowed", "notAllowed"] | None = None
    ingredients: tuple[IngredientFacts, ...] = ()
    models: tuple[ModelFacts, ...] = ()
    unchanged: bool = False
    metadata_written: bool = False

    @field_validator("record")
    @classmethod
    def _canonical(cls, value: dict[str, Any]) -> dict[str, Any]:
        _require_canonical(value, RECORD)
        return value

    @model_validator(mode="after")
    def _one_parent(self) -> ManifestFacts:
        if sum(item.relationship == "parentOf" for item in self.ingredients) > 1:
            raise ValueError("ingredients: at most one can be parentOf; make the others componentOf or inputTo")
        return self


def definition(facts: ManifestFacts, *, instance_id: str) -> dict[str, Any]:
    """Build the manifest definition that c2pa's Builder takes.

    Args:
        facts: What to say.
        instance_id: Unique id of the sealed file.

    Returns:
        JSON data; ingredients are named by `ingredient_label`.
    """
    version = facts.generator_version or generator_version()
    assertions = [_created(ACTIONS, {"actions": _actions(facts)})]
    assertions.append(_created(RECORD, facts.record) | {"kind": "Json"})
    if notice := _notice(facts):
        assertions.append(_created(NOTICE, notice) | {"kind": "Json"})
    if facts.training_mining:
        uses = {f"cawg.{use}": {"use": facts.training_mining} for use in _TRAINING_USES}
        assertions.append(_created(TRAINING, {"entries": uses}))
    return {
        "claim_generator_info": [{"name": facts.generator, "version": version}],
        "title": facts.title,
        "format": facts.mime,
        "instance_id": instance_id,
        "assertions": assertions,
        "ingredients": [_model_ingredient(place, model) for place, model in enumerate(facts.models)],
    }


def _model_ingredient(place: int, model: ModelFacts) -> dict[str, Any]:
    """State a model as an ingredient of the type that C2PA has for models; it carries no file, only a digest."""
    said = [f"SHA-256 of its weights: {model.sha256}" if model.sha256 else "the digest of its weights is not known"]
    said += [f"weight {model.weight}"] if model.weight else []
    return {
        "title": model.title,
        "relationship": "inputTo",
        "format": "application/octet-stream",
        "data_types": [{"type": MODEL_TYPE}],
        "description": "; ".join(said),
        "label": _model_label(place),
    }


def _model_label(place: int) -> str:
    return f"model-{place}"


def ingredient_label(place: int) -> str:
    """Name the ingredient at `place` in the facts, so that actions can point at it."""
    return f"ingredient-{place}"


@functools.cache
def generator_version() -> str:
    """Version of the installed distribution `limner`."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("limner")
    except PackageNotFoundError:
        return "0+unknown"


def _created(label: str, data: dict[str, Any]) -> dict[str, Any]:
    # `created` puts it among the assertions that the signer itself makes, not among those merely gathered.
    return {"label": label, "data": data, "created": True}


def _actions(facts: ManifestFacts) -> list[dict[str, Any]]:
    models = [_model_label(place) for place, _ in enumerate(facts.models)]
    parents, inputs = _labels(facts, "parentOf"), [*_labels(facts, "inputTo"), *models]
    placed = [{"action": "c2pa.placed", "parameters": {"ingredientIds": [it]}} for it in _labels(facts, "componentOf")]
    if not parents:
        return [_main_action(facts, "c2pa.created", inputs), *placed]
    opened: dict[str, Any] = {"action": "c2pa.opened", "parameters": {"ingredientIds": parents}}
    if facts.unchanged:
        opened["parameters"]["limner.model"] = _model(facts)
        written = [{"action": "c2pa.edited.metadata"}] if facts.metadata_written else []
        return [opened, *written, *placed]
    return [opened, _main_action(facts, "c2pa.edited", inputs), *placed]


def _labels(facts: ManifestFacts, kind: str) -> list[str]:
    return [ingredient_label(place) for place, item in enumerate(facts.ingredients) if item.relationship == kind]


def _main_action(facts: ManifestFacts, action: str, inputs: list[str]) -> dict[str, Any]:
    agent = facts.software_agent
    parameters: dict[str, Any] = {"limner.model": _model(facts)}
    if inputs:
        parameters["ingredientIds"] = inputs
    return {
        "action": action,
        "when": facts.created.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z",
        "digitalSourceType": facts.digital_source_type.value,
        "softwareAgent": _stated(name=agent.name, version=agent.version),
        "parameters": parameters,
    }


def _model(facts: ManifestFacts) -> dict[str, str]:
    return _stated(name=facts.software_agent.name, sha256=facts.software_agent.sha256)


def _stated(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _notice(facts: ManifestFacts) -> dict[str, Any] | None:
    says = []
    if facts.test_provider:
        says.append("Made by Limner's test provider: no image model made this picture.")
    if facts.development:
        says.append("Signed with a Limner DEVELOPMENT certificate: it shows integrity, not who signed.")
    if not says:
        return None
    return {"v": 1, "test_provider": facts.test_provider, "development": facts.development, "says": says}


def _require_canonical(value: object, path: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise ValueError(f"{path}: keys are ASCII text")
            _require_canonical(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            _require_canonical(item, f"{path}[{place}]")
    elif problem := _scalar_problem(value):
        raise ValueError(f"{path}: {problem}")


def _scalar_problem(value: object) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return "a lone surrogate cannot be written" if _SURROGATE.search(value) else None
    if isinstance(value, float):
        return "no floats; write numbers with a fraction as text"
    if isinstance(value, int):
        return "integers beyond 2**53-1 are written as text" if abs(value) > _MAX_INTEGER else None
    return f"{type(value).__name__} is no JSON value"
