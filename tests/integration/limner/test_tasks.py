"""Tasks that start from a picture: how they are asked, kept, judged, sealed, and found again in the record."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner import AsyncLimner, ImageRequest, Limner, verify_file
from limner.config import Config
from limner.errors import InvalidRequest, UnsupportedRequest
from limner.reading import open_log
from limner.records import Record
from limner.steps.asking import asked as asked_then
from limner_policy.types import PolicyInput
from limner_provenance.audit import verify as verify_log
from limner_provenance.credentials import DigitalSourceType, read_credentials
from limner_providers import ImageOrigin, InputImage
from limner_providers.test import TestProvider

House = Callable[..., Config]


def png(width: int = 64, height: int = 48, colour: str = "teal", mode: str = "RGB", form: str = "PNG") -> bytes:
    """Make a picture of one colour."""
    file = io.BytesIO()
    Image.new(mode, (width, height), colour).save(file, form)
    return file.getvalue()


def mask(width: int = 64, height: int = 48) -> bytes:
    """Make a mask whose left half changes."""
    pixels = np.zeros((height, width), np.uint8)
    pixels[:, : width // 2] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def entries(config: Config, record_id: str) -> Record:
    """Read a record back, after checking that its log proves itself."""
    with open_log(config) as log:
        assert verify_log(log).ok
        return Record.load(log, record_id)


TASKS: dict[str, Callable[[Limner], Any]] = {
    "img2img": lambda limner: limner.edit(png(), "a red apple", strength=0.5, seed=7),
    "inpaint": lambda limner: limner.edit(png(), "a red apple", mask=mask(), seed=7),
    "outpaint": lambda limner: limner.outpaint(png(), right=16, bottom=8, prompt="sea", seed=7),
    "variation": lambda limner: limner.variation(png(), seed=7, n=2),
    "upscale": lambda limner: limner.upscale(png(), 2.0, seed=7),
}


@pytest.mark.parametrize("task", TASKS)
def test_each_task_is_governed_sealed_and_can_be_verified(
    limner: Limner, house: House, task: str, tmp_path: Path
) -> None:
    """Every task goes the same way; its picture names the one it came from, and its record keeps that one."""
    result = TASKS[task](limner)
    record = entries(house(), result.record_id)
    accepted = record.entry("accepted")
    assert accepted.data["request"]["task"] == task
    assert "image" in accepted.payloads
    file = result.images[0].save(tmp_path / "a.png")
    found = verify_file(file, config=house())
    assert [s.result for s in found.steps] == ["good"] * 5
    credentials = read_credentials(file)
    assert credentials.record is not None
    assert credentials.record["task"] == task
    assert credentials.record["commitments"]["image"] == accepted.payloads["image"].commitment
    assert credentials.ingredients[0].relationship == "parentOf"
    assert [a["action"] for a in credentials.actions][:2] == ["c2pa.opened", "c2pa.edited"]
    assert limner.get(result.record_id).images[0].data == result.images[0].data


def test_the_request_can_be_read_back_whole(house: House, tmp_path: Path) -> None:
    """Everything that was asked, pictures and options included, comes out of the record as it went in."""
    (tmp_path / "style.png").write_bytes(png(colour="red"))
    request = ImageRequest(
        prompt="a red apple",
        negative_prompt="blur",
        task="inpaint",
        image=InputImage(png()),
        mask=InputImage(mask()),
        references=({"image": tmp_path / "style.png", "use": "style", "weight": 0.25},),
        control=({"image": png(colour="blue"), "kind": "canny", "weight": 0.5},),
        lora=({"name": "pixel", "weight": 0.5},),
        strength=0.75,
        extra={"test": {"pattern": 3}, "midjourney": {"chaos": 1.5}},
    )
    with Limner.open(house(), context={"user": "ann"}) as limner:
        result = limner.run(request, on_unsupported="adapt", timeout=12.5)
        with open_log(house()) as log:
            log.flush()
    from limner_provenance import AuditLog

    config = house()
    with AuditLog.open(config.audit_url, state=config.state, keys_url=config.keys_url) as log:
        found = asked_then(Record.load(log, result.record_id))
    assert found.request == request
    assert (found.on_unsupported, found.timeout, found.context.user) == ("adapt", 12.5, "ann")


def test_no_entry_holds_a_picture_or_an_option(limner: Limner, house: House) -> None:
    """Pictures and `extra` are payloads: erasing a user erases them too."""
    options: dict[str, dict[str, Any]] = {"test": {"pattern": 77}, "openai": {"user": "secret-person"}}
    result = limner.edit(png(), "a red apple", extra=options)
    with open_log(house()) as log:
        leaves = "".join(entry.leaf for entry in log.entries())
        payloads = Record.load(log, result.record_id).entry("accepted").payloads
    assert "secret-person" not in leaves
    assert payloads["image"].kind == "bytes"
    assert {"image", "extra", "prompt", "context"} <= set(payloads)


def test_policy_sees_which_pictures_were_given(limner: Limner, house: House) -> None:
    """A judgement's input names the pictures and writes nested parameters flat; both are replayed from the record."""
    result = limner.outpaint(png(), left=16, references=[{"image": png(), "use": "style"}])
    with open_log(house()) as log:
        record = Record.load(log, result.record_id)
        facts = [PolicyInput.from_json(log.payload(e.payloads["input"])) for e in record.all("judged")]
    assert [f.request.inputs for f in facts] == [("image", "reference-0")] * 2
    assert facts[0].request.parameters["margins.left"] == "16"
    assert facts[0].request.parameters["references.0.use"] == "style"


def test_pictures_are_read_in_another_thread(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading and decoding a picture never holds up the event loop."""
    real, threads = InputImage.__init__, set()

    def read(self: InputImage, *args: Any, **rest: Any) -> None:
        threads.add(threading.get_ident())
        real(self, *args, **rest)

    monkeypatch.setattr(InputImage, "__init__", read)

    async def scenario() -> int:
        async with AsyncLimner.open(house()) as limner:
            await limner.edit(png(), "a red apple")
        return threading.get_ident()

    assert asyncio.run(scenario()) not in threads
    assert threads


def _with_credentials_of(signed: bytes, other: bytes) -> bytes:
    """Put one PNG's manifest into another one, as somebody would who wants to pass a photograph off as made."""
    at = signed.index(b"caBX") - 4
    chunk = signed[at : at + 12 + int.from_bytes(signed[at : at + 4], "big")]
    return other[:33] + chunk + other[33:]


@pytest.mark.parametrize(
    ("parent", "expected"),
    [
        (None, DigitalSourceType.COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA),
        ("ours", DigitalSourceType.TRAINED_ALGORITHMIC_MEDIA),
        ("changed", DigitalSourceType.COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA),
    ],
)
def test_the_source_type_follows_the_parent(
    house: House, monkeypatch: pytest.MonkeyPatch, parent: str | None, expected: DigitalSourceType
) -> None:
    """A picture without whole credentials may be a photograph; one that a model made, and says so, is none."""
    monkeypatch.setattr(TestProvider, "is_test", False)
    with Limner.open(house()) as limner:
        source = png()
        if parent:
            made = limner.generate("an apple", size="64x48").images[0].data
            assert read_credentials(made).digital_source_type == DigitalSourceType.TRAINED_ALGORITHMIC_MEDIA
            source = made if parent == "ours" else _with_credentials_of(made, png())
        result = limner.edit(source, "a red apple")
    assert read_credentials(result.images[0].data).digital_source_type == expected


def test_masks_and_references_are_inputs(limner: Limner) -> None:
    """What only steers a picture is `inputTo`, not a part of it, and no title names a file."""
    result = limner.edit(
        png(), "a red apple", mask=mask(), references=[{"image": png()}, {"image": png(), "use": "style"}]
    )
    told = [(i.title, i.relationship) for i in read_credentials(result.images[0].data).ingredients]
    assert told == [
        ("image to start from", "parentOf"),
        ("mask", "inputTo"),
        ("reference 1", "inputTo"),
        ("reference 2", "inputTo"),
    ]


def test_a_picture_that_its_engine_signed_stays_signed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine's own credentials are kept as those of the parent, which was opened and not changed."""
    import dataclasses

    with Limner.open(house()) as limner:
        signed = limner.generate("an apple").images[0].data
        real = TestProvider.generate

        async def generate(self: TestProvider, *args: Any, **rest: Any) -> Any:
            answer = await real(self, *args, **rest)
            one = dataclasses.replace(answer.images[0], data=signed, pixels=None)
            return dataclasses.replace(answer, images=(one,))

        monkeypatch.setattr(TestProvider, "generate", generate)
        result = limner.edit(png(), "a red apple", mask=mask())
    found = read_credentials(result.images[0].data)
    assert found.state in {"valid", "trusted"}
    assert [(i.title, i.relationship) for i in found.ingredients] == [
        ("as received from the engine", "parentOf"),
        ("image to start from", "inputTo"),
        ("mask", "inputTo"),
    ]
    assert found.ingredients[0].record is not None
    assert [a["action"] for a in found.actions] == ["c2pa.opened"]


def test_an_input_with_an_odd_container_costs_no_picture(limner: Limner) -> None:
    """A file that decodes and is no whole container is written anew for the manifest; the paid picture is sealed."""
    result = limner.edit(png()[:-12], "a red apple")
    assert [i.relationship for i in read_credentials(result.images[0].data).ingredients] == ["parentOf"]


def test_metadata_of_the_engine_is_kept_apart(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A revised prompt is shown with its picture, and stands in no entry."""
    import dataclasses

    real = TestProvider.generate

    async def generate(self: TestProvider, *args: Any, **rest: Any) -> Any:
        answer = await real(self, *args, **rest)
        told = {"revised_prompt": "a shiny walrus", "größe": "\ud800"}
        return dataclasses.replace(
            answer,
            images=tuple(dataclasses.replace(i, metadata=told) for i in answer.images),
            usage={"input_tokens": 5},
        )

    monkeypatch.setattr(TestProvider, "generate", generate)
    with Limner.open(house()) as limner:
        result = limner.generate("red apple")
        again = limner.get(result.record_id)
    assert result.images[0].metadata["revised_prompt"] == "a shiny walrus"
    assert again.images[0].metadata == result.images[0].metadata
    with open_log(house()) as log:
        assert "walrus" not in "".join(entry.leaf for entry in log.entries())
        assert Record.load(log, result.record_id).entry("produced").data["usage"] == {"input_tokens": 5}


# -- pictures by their engine's name for them ------------------------------------------------------------------------


def test_a_picture_of_a_result_takes_its_origin_along(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine that made a picture is told its own name for it; another one gets the picture alone."""
    config = house(providers={"one": {"tells": ("job",)}, "other": {}})
    real, seen = TestProvider.generate, []

    async def generate(self: TestProvider, request: ImageRequest, **rest: Any) -> Any:
        seen.append((self.name, request.origin, request.image is not None))
        return await real(self, request, **rest)

    monkeypatch.setattr(TestProvider, "generate", generate)
    with Limner.open(config) as limner:
        made = limner.generate("red apple", n=2).images[1]
        assert made.origin is not None
        limner.variation(made)
        limner.variation(made, provider="other")
        origin = ImageOrigin(provider="one", job="j", index=1)
        with pytest.raises(UnsupportedRequest, match="one keeps") as caught:
            limner.run(ImageRequest(task="variation", origin=origin), provider="other")
    assert seen[1:] == [("one", made.origin, True), ("other", None, True)]
    assert caught.value.field == "origin"


def test_a_withheld_picture_cannot_be_started_from(limner: Limner) -> None:
    """What was not released has no bytes, and that is said."""
    import dataclasses

    made = dataclasses.replace(limner.generate("red apple").images[0], data=b"")
    with pytest.raises(InvalidRequest, match="not released"):
        limner.variation(made)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda limner: limner.edit("nowhere.png", "x"), "image"),
        (lambda limner: limner.edit(b"<html>", "x"), "image"),
        (lambda limner: limner.edit(png(), "x", mask=mask(32, 32)), "mask"),
        (lambda limner: limner.inpaint(png(), None, "x"), "mask"),
        (lambda limner: limner.outpaint(png()), "margins"),
        (lambda limner: limner.upscale(png(), 99.0), "scale"),
        (lambda limner: limner.generate("x", image=png()), "image"),
        (lambda limner: limner.generate("x", colour="red"), "colour"),
        (lambda limner: limner.generate("x", size="8x8", aspect_ratio="1:1"), "aspect_ratio"),
        (lambda limner: limner.edit(None, "x"), "image"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_recorded(
    limner: Limner, house: House, call: Callable[[Limner], Any], field: str
) -> None:
    """Whatever is wrong with a picture or a field is an error that names it, before a record begins."""
    with pytest.raises(InvalidRequest) as caught:
        call(limner)
    assert caught.value.field.startswith(field)
    with open_log(house()) as log:
        assert not list(log.entries(steps=["accepted"]))
