"""Content Credentials over a picture's whole life: each task's source type, many generations, foreign credentials."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from foreign_credentials import PROVIDERS, foreign, plain_png, text_added
from PIL import Image

from limner import ImageRequest, Limner, verify_file
from limner.config import Config
from limner.errors import DutyUnfulfilled
from limner_provenance.credentials import DigitalSourceType, read_credentials, source_type_for
from limner_provenance.credentials.xmp import IPTC, RDF
from limner_providers import InputImage

House = Callable[..., Config]
TRAINED = source_type_for().value


def term(data: bytes) -> str:
    """Give the last word of the digital source type that a picture's credentials state."""
    return str(read_credentials(data).digital_source_type).rpartition("/")[2]


def xmp(data: bytes) -> dict[str, str | None]:
    """Read the IPTC fields as any other software would, by Pillow and an XML parser."""
    with Image.open(io.BytesIO(data)) as image:
        found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if not found:
        return {}
    described = ElementTree.fromstring(found).find(f"{{{RDF}}}RDF/{{{RDF}}}Description")
    assert described is not None
    return {child.tag.removeprefix(f"{{{IPTC}}}"): child.text for child in described if IPTC in child.tag}


STARTS: dict[str, Callable[[Limner, Any], Any]] = {
    "img2img": lambda limner, image: limner.edit(image, "a red apple", strength=0.5, seed=7),
    "inpaint": lambda limner, image: limner.edit(image, "a red apple", mask=plain_png("white"), seed=7),
    "outpaint": lambda limner, image: limner.outpaint(image, right=16, prompt="sea", seed=7),
    "variation": lambda limner, image: limner.variation(image, seed=7),
    "upscale": lambda limner, image: limner.upscale(image, 2.0, seed=7),
}


def _as_model(monkeypatch: pytest.MonkeyPatch) -> None:
    from limner.steps import describing

    monkeypatch.setattr(describing, "is_test", lambda record, picture: False)


@pytest.mark.parametrize("task", STARTS)
@pytest.mark.parametrize("engine", ["model", "test"])
def test_each_task_states_how_its_picture_came_to_be(
    limner: Limner, monkeypatch: pytest.MonkeyPatch, task: str, engine: str
) -> None:
    """Of a photograph every task makes a composite; of a model's own picture none; manifest and XMP agree."""
    if engine == "model":
        _as_model(monkeypatch)
    expected = {
        "model": ["compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia", "trainedAlgorithmicMedia"],
        "test": ["composite", "algorithmicMedia", "compositeWithTrainedAlgorithmicMedia"],
    }[engine]
    pattern = foreign("Example", "plotter", source=DigitalSourceType.ALGORITHMIC_MEDIA)
    given = [plain_png(), pattern, foreign("Example", "painter")]
    made = [STARTS[task](limner, image).images[0].data for image in given]
    assert [term(data) for data in made] == expected
    assert [str(xmp(data)["DigitalSourceType"]).rpartition("/")[2] for data in made] == expected


def test_words_alone_make_trained_media(limner: Limner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text to image is trained media of a named model, or plainly algorithmic where the test provider drew it."""
    test = limner.generate("red apple", seed=7).images[0].data
    assert (term(test), "AISystemUsed" in xmp(test)) == ("algorithmicMedia", False)
    _as_model(monkeypatch)
    made = limner.generate("red apple", seed=7).images[0].data
    assert (term(made), "AISystemUsed" in xmp(made)) == ("trainedAlgorithmicMedia", True)
    assert b"red apple" not in made  # no duty discloses it


def test_everything_that_went_in_is_named(limner: Limner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Picture, mask, reference, control image, model and LoRA each stand in the manifest with their part in it."""
    _as_model(monkeypatch)
    request = ImageRequest(
        prompt="a red apple",
        task="inpaint",
        image=InputImage(plain_png()),
        mask=InputImage(plain_png("white")),
        references=({"image": plain_png("red"), "use": "style"},),
        control=({"image": plain_png("blue"), "kind": "canny"},),
        lora=({"name": "ink", "weight": 0.5},),
    )
    found = read_credentials(limner.run(request).images[0].data)
    named = [(node.title, node.relationship, node.model) for node in found.ingredients]
    model = found.ingredients[-2].title
    assert str(model).startswith("model ")
    assert named == [
        ("image to start from", "parentOf", False),
        ("mask", "inputTo", False),
        ("reference 1", "inputTo", False),
        ("control image 1", "inputTo", False),
        (model, "inputTo", True),
        ("LoRA ink", "inputTo", True),
    ]
    assert "weight 0.5" in str(found.ingredients[-1].description)


def test_an_edit_of_an_edit_of_an_edit_shows_its_line(limner: Limner, house: House, tmp_path: Path) -> None:
    """Four generations deep each picture is in the tree with its own record, whole, down to the first."""
    result = limner.generate("red apple", seed=7)
    records = [result.record_id]
    for step in range(3):
        result = limner.edit(result.images[0].data, f"more {step}", strength=0.5, seed=7)
        records.append(result.record_id)
    file = result.images[0].save(tmp_path / "a.png")
    found = verify_file(file, config=house())
    assert found.good
    line, nodes = [], found.made_from
    while nodes:
        line.append((nodes[0].state, (nodes[0].record or {})["record"]))
        nodes = nodes[0].ingredients
    assert line == [("trusted", record) for record in reversed(records[:-1])]


@pytest.mark.parametrize(("organisation", "generator"), PROVIDERS)
def test_inbound_credentials_are_kept_with_their_state(
    limner: Limner, house: House, tmp_path: Path, organisation: str, generator: str
) -> None:
    """A provider's own credentials are validated, kept as the parent's, and named: who signed, and that it is whole."""
    inbound = foreign(organisation, generator)
    result = limner.edit(inbound, "a red apple", strength=0.5, seed=7)
    found = verify_file(result.images[0].save(tmp_path / "a.png"), config=house())
    (parent,) = found.made_from
    assert (found.good, found.verdict) == (True, "trusted")
    assert (parent.state, parent.signed_by) == ("valid", f"{organisation} Media")
    assert parent.digital_source_type == TRAINED
    told = found.to_json()["made_from"][0]
    assert (told["state"], told["signed_by"], told["source_type"]) == (
        "valid", f"{organisation} Media", "trainedAlgorithmicMedia"
    )  # fmt: skip


@pytest.mark.parametrize(("organisation", "generator"), PROVIDERS)
def test_broken_inbound_credentials_are_kept_and_said_to_be_broken(
    limner: Limner, house: House, tmp_path: Path, organisation: str, generator: str
) -> None:
    """A picture that a tool wrote into after signing is an invalid parent, with the code, of a whole picture."""
    inbound = text_added(foreign(organisation, generator))
    result = limner.edit(inbound, "a red apple", strength=0.5, seed=7)
    found = verify_file(result.images[0].save(tmp_path / "a.png"), config=house())
    (parent,) = found.made_from
    assert found.good
    assert (parent.state, parent.signed_by) == ("invalid", f"{organisation} Media")
    assert "assertion.dataHash.mismatch" in {failure.code for failure in parent.failures}
    assert term(result.images[0].data) == "composite"  # what is broken is not believed


def _disclosing(fields: str | None) -> str:
    duty = "disclose_prompt" if fields is None else f'{{disclose_prompt: {{fields: "{fields}"}}}}'
    return (
        "policy: open\nversion: '1'\ntitle: Open prompts\nowner: tests\nrules:\n"
        "  - id: O-1\n    title: Prompts are open\n    says: A prompt stands in the file.\n    why: Tests.\n"
        "    basis: [{cite: tests}]\n    owner: tests\n    severity: low\n    stage: request\n    mode: enforce\n"
        "    when: {terms: {any_of: [apple], fields: [prompt]}}\n"
        f"    then: {{verdict: allow_with_duties, duties: [{duty}]}}\n"
        "    examples:\n      - {prompt: an apple, expect: allow_with_duties}\n      - {prompt: sea, expect: allow}\n"
    )


@pytest.mark.parametrize(
    ("fields", "prompt", "writer"),
    [
        (None, "red <apple>\nNegative prompt: blur", None),
        ("prompt", "red <apple>", None),
        ("prompt, writer", "red <apple>", "ann"),
        ("negative_prompt", "Negative prompt: blur", None),
    ],
)
@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_a_prompt_stands_in_the_file_only_where_policy_says_so(
    house: House, tmp_path: Path, form: str, fields: str | None, prompt: str, writer: str | None
) -> None:
    """The duty `disclose_prompt` writes what it names and no more, in each format, under the signature."""
    with Limner.open(house(policy=_disclosing(fields)), context={"user": "ann"}) as limner:
        request: dict[str, Any] = {"negative_prompt": "blur", "output_format": form, "size": "64x64"}
        result = limner.generate("red <apple>", **request)
        other = limner.generate("the sea", **request)
    found = xmp(result.images[0].data)
    assert (found.get("AIPromptInformation"), found.get("AIPromptWriterName")) == (prompt, writer)
    assert not any("Prompt" in name for name in xmp(other.images[0].data))
    assert verify_file(result.images[0].save(tmp_path / f"a.{form}"), config=house()).good


def test_a_field_that_cannot_be_disclosed_blocks_the_release(house: House) -> None:
    """An unknown name in the duty is a duty that nobody can carry out."""
    with Limner.open(house(policy=_disclosing("prompt, seed"))) as limner, pytest.raises(DutyUnfulfilled):
        limner.generate("red apple")


def test_a_signed_picture_is_disclosed_in_a_file_of_its_own(
    house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What an engine signed stays as it came, as the parent; the prompt is written into a new file above it."""
    from limner.steps.pictures import Picture

    signed = foreign("OpenAI OpCo, LLC", "gpt-image")
    of = Picture.of.__func__  # type: ignore[attr-defined]

    def received(cls: type[Picture], /, index: int, image: Any, **more: Any) -> Picture:
        made: Picture = of(cls, index, image, **more)
        made.data = signed
        return made

    monkeypatch.setattr(Picture, "of", classmethod(received))
    with Limner.open(house(policy=_disclosing(None))) as limner:
        disclosed, kept = (limner.generate(prompt, size="64x48").images[0] for prompt in ("red apple", "the sea"))
    found = verify_file(disclosed.save(tmp_path / "a.png"), config=house())
    assert (found.good, found.made_from[0].state) == (True, "valid")
    assert [a["action"] for a in found.credentials.actions] == ["c2pa.opened", "c2pa.edited.metadata"]
    assert xmp(disclosed.data)["AIPromptInformation"] == "red apple"
    assert term(disclosed.data) == "trainedAlgorithmicMedia"
    assert xmp(kept.data) == {}
    assert [a["action"] for a in read_credentials(kept.data).actions] == ["c2pa.opened"]
