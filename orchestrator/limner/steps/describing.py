"""What a released picture's file and manifest say of how it came to be; both are written from here, so they agree.

Blocks for milliseconds: for a worker thread. Prompts are in clear only where the policy's duty `disclose_prompt` asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from limner.steps.asking import asked
from limner.steps.calls import produced, sent
from limner.steps.ingredients import Ingredients, of_request
from limner.versions import limner_version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limner.records import Record
    from limner.steps.pictures import Picture
    from limner_policy.verdicts import Duty
    from limner_provenance.credentials import DigitalSourceType, ModelFacts, PictureFields

DISCLOSABLE = ("prompt", "negative_prompt", "writer")
"""What `disclose_prompt: {fields: …}` can name; without `fields` it is the first two."""


def is_test(record: Record, picture: Picture) -> bool:
    """Say whether the `test` provider drew the picture: no image model made it."""
    return bool(sent(record, picture.attempt).data["test"])


def source_type(record: Record, picture: Picture) -> DigitalSourceType:
    """Say how the picture came to be, by the table of `credentials.source_types`."""
    from limner_provenance.credentials import source_type_for

    return source_type_for(start=ingredients(record).start, test_provider=is_test(record, picture))


def ingredients(record: Record) -> Ingredients:
    """Read what went into the record's pictures, once."""
    if "ingredients" not in record.memory:
        names = record.entry("accepted").payloads
        given = any(name in names for name in ("image", "reference-0", "control-0"))
        record.memory["ingredients"] = of_request(asked(record).request) if given else Ingredients()
    found: Ingredients = record.memory["ingredients"]
    return found


def models(record: Record, picture: Picture) -> tuple[ModelFacts, ...]:
    """Name the model and the LoRAs that made a picture; none for one that no model made."""
    from limner_provenance.credentials import ModelFacts

    if is_test(record, picture):
        return ()
    model = produced(record, picture.attempt).data["model"]
    loras = record.entry("accepted").data["request"].get("lora", ())
    return (
        ModelFacts(title=f"model {model['name']}", sha256=model["sha256"]),
        *(ModelFacts(title=f"LoRA {lora['name']}", weight=str(lora.get("weight", 1))) for lora in loras),
    )


def disclosed(duties: Iterable[Duty]) -> frozenset[str] | None:
    """Give the names that duties disclose; None where one names something that cannot be disclosed."""
    found: set[str] = set()
    for duty in duties:
        if duty.name == "disclose_prompt":
            stated = dict(duty.params).get("fields", "prompt, negative_prompt")
            found |= {name.strip() for name in stated.split(",") if name.strip()}
    return frozenset(found) if found <= set(DISCLOSABLE) else None


def fields(record: Record, picture: Picture, names: frozenset[str]) -> PictureFields:
    """Put together what the picture's XMP says; `names` are the ones to disclose."""
    from limner_provenance.credentials import PictureFields

    model: dict[str, Any] = produced(record, picture.attempt).data["model"]
    test = is_test(record, picture)
    return PictureFields(
        digital_source_type=source_type(record, picture).value,
        system=None if test else model["name"],
        system_version=f"sha256:{model['sha256']}" if model["sha256"] and not test else None,
        prompt=_prompt(record, names),
        prompt_writer=asked(record).context.user if "writer" in names else None,
        creator_tool=f"Limner {limner_version()}",
    )


def _prompt(record: Record, names: frozenset[str]) -> str | None:
    """Give the prompt as IPTC's field takes it: what was wished for, then what was not."""
    if not names & {"prompt", "negative_prompt"}:
        return None
    request = asked(record).request
    lines = [request.prompt] if "prompt" in names and request.prompt else []
    if "negative_prompt" in names and request.negative_prompt:
        lines.append(f"Negative prompt: {request.negative_prompt}")
    return "\n".join(lines) or None
