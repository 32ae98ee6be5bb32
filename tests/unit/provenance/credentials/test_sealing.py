"""Sealing: what comes out reads back trusted, lean and complete."""

from __future__ import annotations

import hashlib
import io
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from limner_provenance.credentials import (
    IngredientFacts,
    Signer,
    certificate_signer,
    manifest_store,
    read_credentials,
    seal,
)
from limner_provenance.credentials.keys import sign as sign_with
from limner_provenance.credentials.store import without_store
from limner_provenance.errors import ImageUnreadable, SealFailed


def test_a_sealed_image_reads_back_trusted(any_picture: bytes, facts: Any, signer: Signer, trust: bytes) -> None:
    """Every format validates with no failure code, and all that was stated is read back."""
    stated = facts(any_picture, training_mining="notAllowed")
    sealed = seal(any_picture, stated, signer)
    found = read_credentials(sealed.data, trust=trust)
    assert (found.state, found.failures) == ("trusted", ())
    assert found.record == stated.record
    assert found.instance_id == sealed.instance_id
    assert found.manifest_sha256 == sealed.manifest_sha256 == hashlib.sha256(sealed.manifest).hexdigest()
    assert found.certificate_sha256 == sealed.certificate_sha256 == signer.certificate_sha256
    assert found.digital_source_type == stated.digital_source_type
    assert (found.software_agent, found.training_mining, found.title) == ("starter 1", "notAllowed", "picture")
    assert found.claim_generator is not None
    assert found.claim_generator.startswith("Limner ")
    assert found.stops_validating == signer.not_after
    assert (found.development, found.test_provider, found.timestamp) == (True, False, None)
    assert [item.code for item in found.informational] == ["signingCredential.ocsp.skipped"]


def _encode(mode: str, kind: str, **options: Any) -> bytes:
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(1).integers(0, 255, (19, 33, 3), dtype=np.uint8)
    if options.pop("animated", False):
        options |= {"save_all": True, "append_images": [Image.fromarray(noise[::-1].copy())]}
    buffer = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "P", "kind": "PNG"},
        {"mode": "RGBA", "kind": "PNG"},
        {"mode": "RGB", "kind": "PNG", "animated": True},
        {"mode": "CMYK", "kind": "JPEG"},
        {"mode": "L", "kind": "JPEG", "progressive": True},
        {"mode": "RGB", "kind": "JPEG", "comment": b"note", "icc_profile": b"\0" * 70_000},
        {"mode": "RGB", "kind": "JPEG", "xmp": b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"},
        {"mode": "RGB", "kind": "WEBP", "lossless": True},
        {"mode": "RGBA", "kind": "WEBP", "xmp": b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"},
        {"mode": "RGB", "kind": "WEBP", "animated": True},
    ],
    ids=lambda options: "-".join(str(value)[:9] for value in options.values()),
)
def test_unusual_files_are_sealed_too(options: dict[str, Any], facts: Any, signer: Signer, trust: bytes) -> None:
    """Palette, alpha, animation, CMYK, progressive scans, profiles and XMP all stay as they were, and validate."""
    data = _encode(**options)
    sealed = seal(data, facts(data), signer)
    assert read_credentials(sealed.data, trust=trust).state == "trusted"
    assert without_store(sealed.data, sealed.mime) == data


def test_manifests_are_lean(any_picture: bytes, facts: Any, signer: Signer) -> None:
    """No thumbnail is added: a manifest is a few kilobytes."""
    sealed = seal(any_picture, facts(any_picture), signer)
    assert len(sealed.data) - len(any_picture) < 6000
    assert b"thumbnail" not in sealed.data


@pytest.mark.parametrize("width", range(1, 6))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_manifests_digest_is_the_same_from_both_sides(
    picture: Any, facts: Any, signer: Signer, kind: str, width: int
) -> None:
    """Odd chunk sizes and paddings do not shift what counts as the manifest."""
    data = picture(kind, size=(width, 3))
    sealed = seal(data, facts(data, title="t" * width), signer)
    assert manifest_store(sealed.data, sealed.mime) == sealed.manifest
    assert read_credentials(sealed.data).manifest_sha256 == sealed.manifest_sha256


def test_a_manifest_over_64_kilobytes_spans_jpeg_segments(
    picture: Any, facts: Any, signer: Signer, trust: bytes
) -> None:
    """A store that needs several APP11 segments is put together again."""
    data = picture("JPEG")
    sealed = seal(data, facts(data, record={"v": 1, "long": "x" * 150_000}), signer)
    found = read_credentials(sealed.data, trust=trust)
    assert (found.state, found.failures) == ("trusted", ())
    assert len(sealed.manifest) > 150_000
    assert found.manifest_sha256 == sealed.manifest_sha256


def test_each_seal_is_unique(picture: Any, facts: Any, signer: Signer) -> None:
    """Two seals of one picture have different ids."""
    data = picture()
    first, second = seal(data, facts(data), signer), seal(data, facts(data), signer)
    assert first.instance_id != second.instance_id
    assert first.manifest_sha256 != second.manifest_sha256


def test_marks_of_test_provider_and_development_are_read_back(picture: Any, facts: Any, signer: Signer) -> None:
    """A test picture under the development certificate says both in its manifest."""
    data = picture()
    found = read_credentials(seal(data, facts(data, test_provider=True), signer).data)
    assert found.test_provider
    assert found.development
    notice = found.raw["manifests"][0]["assertions"]["limner.notice"]
    assert len(notice["says"]) == 2


def test_threads_share_a_signer(picture: Any, facts: Any, signer: Signer, trust: bytes) -> None:
    """Eight threads seal and read at once without disturbing each other."""
    pictures = [picture(colour=value) for value in range(40)]

    def work(data: bytes) -> str:
        return read_credentials(seal(data, facts(data), signer).data, trust=trust).state

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, pictures)) == {"trusted"}


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_can_seal(picture: Any, facts: Any, signer: Signer) -> None:
    """A process forked after the first seal (Celery, gunicorn) seals too."""
    data = picture()
    seal(data, facts(data), signer)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if read_credentials(seal(data, facts(data), signer).data).state == "valid" else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_wrong_format_is_refused(picture: Any, facts: Any, signer: Signer) -> None:
    """Facts about a PNG do not fit a JPEG."""
    with pytest.raises(SealFailed, match="image/png, but the bytes are image/jpeg"):
        seal(picture("JPEG"), facts(picture("PNG")), signer)


def test_a_truncated_picture_is_not_sealed(any_picture: bytes, facts: Any, signer: Signer) -> None:
    """What is not whole is refused before signing."""
    with pytest.raises(ImageUnreadable):
        seal(any_picture[:-5], facts(any_picture), signer)


class _KeyService:
    """A signer of a third party: only the port, the key elsewhere."""

    def __init__(self, local: Any, *, broken: bool = False) -> None:
        self.local, self.broken, self.calls = local, broken, 0
        self.name, self.alg, self.chain = "key service", local.alg, local.chain
        self.certificate_sha256, self.development = local.certificate_sha256, False
        self.not_before, self.not_after, self.timestamp_url = local.not_before, local.not_after, None

    def sign(self, data: bytes) -> bytes:
        self.calls += 1
        if self.broken:
            raise ConnectionError("token=SECRET")
        return sign_with(self.local.private_key, self.alg, data)


@pytest.mark.parametrize("alg", ["es256", "ps256", "ed25519"])
def test_a_third_partys_signer_works(
    alg: str, authority: Any, new_key: Any, pem: Any, picture: Any, facts: Any
) -> None:
    """Anything with the port's attributes signs, with ECDSA signatures as DER too."""
    from cryptography.hazmat.primitives.serialization import Encoding

    key, data = new_key(alg), picture()
    service = _KeyService(certificate_signer(authority.issue(key).public_bytes(Encoding.PEM), pem(key)))
    assert isinstance(service, Signer)
    found = read_credentials(seal(data, facts(data), service).data, trust=authority.pem)
    assert (found.state, found.failures, service.calls) == ("trusted", (), 1)


def test_a_signer_that_fails_is_named_and_leaks_nothing(picture: Any, facts: Any, signer: Signer) -> None:
    """The error names signer and cause; the cause's text stays out of the message."""
    data = picture()
    with pytest.raises(SealFailed, match="'key service' failed: ConnectionError") as caught:
        seal(data, facts(data), _KeyService(signer, broken=True))
    assert "SECRET" not in str(caught.value)
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_an_edit_keeps_its_parent_and_inputs(
    any_picture: bytes, picture: Any, facts: Any, signer: Signer, trust: bytes
) -> None:
    """Opened, edited and placed point at parent, reference and component, several generations deep."""
    first = seal(any_picture, facts(any_picture), signer).data
    second = _edit(first, picture, facts, signer)
    third = read_credentials(_edit(second, picture, facts, signer), trust=trust)
    assert (third.state, third.failures) == ("trusted", ())
    assert [action["action"] for action in third.actions] == ["c2pa.opened", "c2pa.edited", "c2pa.placed"]
    kinds = [(node.relationship, node.state) for node in third.ingredients]
    assert kinds == [("parentOf", "trusted"), ("inputTo", "absent"), ("componentOf", "absent")]
    grandparent = third.ingredients[0].ingredients[0]
    assert grandparent.relationship == "parentOf"
    assert grandparent.digital_source_type == facts(any_picture).digital_source_type
    assert grandparent.ingredients == ()
    assert grandparent.record == facts(any_picture).record


def _edit(parent: bytes, picture: Any, facts: Any, signer: Signer) -> bytes:
    result = picture("PNG", colour=90)
    parts = (
        IngredientFacts(data=parent, title="parent"),
        IngredientFacts(data=picture("JPEG"), title="mask", relationship="inputTo"),
        IngredientFacts(data=picture("WEBP"), title="logo", relationship="componentOf"),
    )
    return seal(result, facts(result, ingredients=parts), signer).data


def test_a_broken_parent_is_kept_and_said_to_be_broken(picture: Any, facts: Any, signer: Signer, trust: bytes) -> None:
    """A parent whose pixels were changed stays in the tree as invalid; the new image itself is trusted."""
    parent = bytearray(seal(picture(), facts(picture()), signer).data)
    parent[-20] ^= 1
    found = read_credentials(_edit(bytes(parent), picture, facts, signer), trust=trust)
    assert found.state == "trusted"
    assert found.ingredients[0].state == "invalid"
    assert "assertion.dataHash.mismatch" in {item.code for item in found.ingredients[0].failures}


def test_inbound_credentials_are_never_dropped(
    any_picture: bytes, facts: Any, signer: Signer, trust: bytes, authority: Any, new_key: Any, pem: Any
) -> None:
    """An image that its provider signed becomes the parent by itself, opened and not edited."""
    from cryptography.hazmat.primitives.serialization import Encoding

    key = new_key("es256")
    provider = certificate_signer(authority.issue(key).public_bytes(Encoding.PEM), pem(key))
    inbound = seal(any_picture, facts(any_picture), provider).data
    found = read_credentials(seal(inbound, facts(inbound), signer).data, trust=trust)
    assert (found.state, found.failures) == ("trusted", ())
    assert [action["action"] for action in found.actions] == ["c2pa.opened"]
    (parent,) = found.ingredients
    assert (parent.relationship, parent.state, parent.signed_by) == ("parentOf", "valid", "Example signer")
    assert found.digital_source_type == parent.digital_source_type == facts(any_picture).digital_source_type


def _spoiled(data: bytes, what: bytes) -> bytes:
    place = data.rindex(what)
    return data[:place] + b"\xff" + data[place + 1 :]


@pytest.mark.parametrize("what", [b"instanceID", b'{"v":1'], ids=["claim", "assertion"])
def test_a_parent_broken_beyond_reading_never_costs_the_picture(
    any_picture: bytes, facts: Any, picture: Any, signer: Signer, trust: bytes, what: bytes
) -> None:
    """Where a parent's manifest no longer decodes, the image is sealed and the tree says so with its digests."""
    spoiled = _spoiled(seal(any_picture, facts(any_picture), signer).data, what)
    assert read_credentials(spoiled).state == "invalid"
    for sealed in (_edit(spoiled, picture, facts, signer), seal(spoiled, facts(spoiled), signer).data):
        found = read_credentials(sealed, trust=trust)
        assert (found.state, found.failures) == ("trusted", ())
        parent = found.ingredients[0]
        assert (parent.relationship, parent.state) == ("parentOf", "invalid")
        assert [item.code for item in parent.failures] == ["limner.manifest.unreadable"]
        assert hashlib.sha256(spoiled).hexdigest() in (parent.description or "")


def test_taking_the_manifest_out_gives_the_picture_back(any_picture: bytes, facts: Any, signer: Signer) -> None:
    """Sealing adds one block to the container and changes nothing else."""
    sealed = seal(any_picture, facts(any_picture), signer)
    assert without_store(sealed.data, sealed.mime) == any_picture


def test_a_signer_of_an_unknown_algorithm_is_refused(picture: Any, facts: Any, signer: Signer) -> None:
    """An algorithm that C2PA does not know is a failure to seal, not a crash."""
    data, service = picture(), _KeyService(signer)
    service.alg = "rot13"
    with pytest.raises(SealFailed):
        seal(data, facts(data), service)


def test_inputs_beside_inbound_credentials_are_kept(picture: Any, facts: Any, signer: Signer, trust: bytes) -> None:
    """A signed image made with a reference carries both: itself as parent and the reference as input."""
    inbound = seal(picture(), facts(picture()), signer).data
    reference = IngredientFacts(data=picture("JPEG"), title="reference", relationship="inputTo")
    found = read_credentials(seal(inbound, facts(inbound, ingredients=(reference,)), signer).data, trust=trust)
    assert (found.state, found.failures) == ("trusted", ())
    assert sorted(node.relationship for node in found.ingredients) == ["inputTo", "parentOf"]
