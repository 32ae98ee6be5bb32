"""XMP in a picture's file: what it says, where it stands, and that the picture stays the picture."""

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_provenance.credentials import PictureFields, check_whole, seal, source_type_for, with_xmp, without_texts
from limner_provenance.credentials.reading import read_credentials
from limner_provenance.credentials.xmp import IPTC, RDF, packet
from limner_provenance.errors import CredentialError

FIELDS = PictureFields(
    digital_source_type=source_type_for().value,
    system="starter",
    system_version="1",
    prompt='red apple <on> a "table" & more – 苹果 🍎',
    prompt_writer="Ann",
    creator_tool="Limner 1",
)


def _properties(body: bytes) -> dict[str, str | None]:
    described = ElementTree.fromstring(body).find(f"{{{RDF}}}RDF/{{{RDF}}}Description")
    assert described is not None
    return {child.tag: child.text for child in described}


def _decoded(data: bytes) -> tuple[tuple[int, int], str, bytes]:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return image.size, image.mode, image.tobytes()


def _read_by_pillow(data: bytes) -> bytes:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        found = image.info.get("xmp") or image.info["XML:com.adobe.xmp"]
    return found.encode() if isinstance(found, str) else bytes(found)


def test_a_reader_of_others_finds_the_fields(any_picture: bytes) -> None:
    """Pillow finds the packet in each format, with the IPTC names, and the pixels are what they were."""
    written = with_xmp(any_picture, FIELDS)
    check_whole(written)
    assert _read_by_pillow(written) == packet(FIELDS)
    assert _decoded(written) == _decoded(any_picture)
    found = _properties(_read_by_pillow(written))
    assert found[f"{{{IPTC}}}DigitalSourceType"] == FIELDS.digital_source_type
    assert found[f"{{{IPTC}}}AISystemUsed"] == "starter"
    assert found[f"{{{IPTC}}}AISystemVersionUsed"] == "1"
    assert found[f"{{{IPTC}}}AIPromptInformation"] == FIELDS.prompt
    assert found[f"{{{IPTC}}}AIPromptWriterName"] == "Ann"


@pytest.mark.parametrize(
    ("mode", "options"),
    [("RGBA", {"lossless": True}), ("RGBA", {}), ("RGB", {"lossless": True}), ("RGB", {"icc_profile": b"x" * 129})],
)
def test_each_kind_of_webp_takes_it(mode: str, options: dict[str, Any]) -> None:
    """Lossy, lossless and extended WebP, with and without transparency, keep size, mode and pixels."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new(mode, (33, 17), (200, 30, 30, 100)[: len(mode)]).save(buffer, "WEBP", **options)
    written = with_xmp(buffer.getvalue(), FIELDS)
    check_whole(written)
    assert _read_by_pillow(written) == packet(FIELDS)
    assert _decoded(written) == _decoded(buffer.getvalue())


def test_taking_texts_out_takes_it_out(any_picture: bytes) -> None:
    """What `without_texts` removes is this packet too: written twice, it stands there once."""
    twice = with_xmp(without_texts(with_xmp(any_picture, FIELDS)).data, FIELDS)
    assert twice == with_xmp(any_picture, FIELDS)


def test_it_is_covered_by_the_signature(any_picture: bytes, facts: Any, signer: Any, trust: bytes) -> None:
    """Written first and sealed after, the file validates; one changed letter of it and it does not."""
    sealed = seal(with_xmp(any_picture, FIELDS), facts(any_picture), signer).data
    assert read_credentials(sealed, trust=trust).state == "trusted"
    assert read_credentials(sealed.replace(b">Ann<", b">Bob<"), trust=trust).state == "invalid"


def test_what_is_not_stated_is_not_written() -> None:
    """No prompt and no writer unless they are given."""
    plain = PictureFields(digital_source_type=source_type_for().value, system="starter")
    assert b"Prompt" not in packet(plain)
    assert set(_properties(packet(plain))) == {f"{{{IPTC}}}DigitalSourceType", f"{{{IPTC}}}AISystemUsed"}


def test_a_prompt_too_long_for_a_jpeg_is_refused(picture: Any) -> None:
    """A JPEG carries 64 KB of it; nothing is cut in silence, and a PNG takes it."""
    long = PictureFields(digital_source_type="x", system="starter", prompt="a" * 70_000)
    with pytest.raises(CredentialError, match="ask for PNG or WebP"):
        with_xmp(picture("JPEG"), long)
    assert _properties(_read_by_pillow(with_xmp(picture("PNG"), long)))[f"{{{IPTC}}}AIPromptInformation"] == "a" * 70000


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_prompt_is_well_formed(prompt: str) -> None:
    """Whatever a prompt holds, markup too, the packet is XML that gives it back but for what XML cannot carry."""
    body = packet(PictureFields(digital_source_type="x", system="s", prompt=prompt))
    found = _properties(body)[f"{{{IPTC}}}AIPromptInformation"] or ""
    lines = prompt.replace("\r\n", "\n").replace("\r", "\n")
    assert all(a == b or a == "\ufffd" for a, b in zip(found, lines, strict=True))
