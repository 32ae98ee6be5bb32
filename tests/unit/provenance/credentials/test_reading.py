"""Reading: every change is a state with codes, never an exception and never silence."""

from __future__ import annotations

import contextlib
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner_provenance.credentials import (
    Credentials,
    IngredientFacts,
    Signer,
    development_signer,
    manifest_store,
    read_credentials,
    seal,
)
from limner_provenance.credentials.development import issue_leaf
from limner_provenance.credentials.keys import Algorithm
from limner_provenance.credentials.keys import sign as sign_with
from limner_provenance.credentials.signer import LocalSigner
from limner_provenance.errors import CredentialError, ImageUnreadable


@pytest.fixture(scope="module")
def sealed(picture: Any, facts: Any, signer: Signer) -> dict[str, bytes]:
    """A sealed picture of each format."""
    return {kind: seal(picture(kind), facts(picture(kind)), signer).data for kind in ("PNG", "JPEG", "WEBP")}


def test_an_unsigned_image_is_absent(any_picture: bytes, trust: bytes) -> None:
    """No credentials is a state of its own."""
    found = read_credentials(any_picture, trust=trust)
    assert (found.state, found.failures, found.manifest_sha256) == ("absent", (), None)


def test_without_anchors_a_good_image_is_valid_only(sealed: dict[str, bytes]) -> None:
    """Nobody vouches for the signer: the code says so, and the state is valid."""
    found = read_credentials(sealed["PNG"])
    assert found.state == "valid"
    assert [item.code for item in found.failures] == ["signingCredential.untrusted"]


def test_foreign_anchors_do_not_make_it_trusted(sealed: dict[str, bytes], authority: Any) -> None:
    """Another authority's anchor changes nothing."""
    assert read_credentials(sealed["PNG"], trust=authority.pem).state == "valid"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_changed_picture_is_invalid_and_says_which_hash(sealed: dict[str, bytes], trust: bytes, kind: str) -> None:
    """One changed byte of the picture names the failed hash and where it stands in the manifest."""
    data = bytearray(sealed[kind])
    place = {"PNG": -16, "JPEG": -4, "WEBP": 30}[kind]
    data[place] ^= 1
    found = read_credentials(bytes(data), trust=trust)
    assert found.state == "invalid"
    (failure,) = [item for item in found.failures if item.code == "assertion.dataHash.mismatch"]
    assert failure.explanation
    assert failure.url is not None
    assert failure.url.endswith("c2pa.hash.data")


def test_a_file_is_read_from_its_path(sealed: dict[str, bytes], tmp_path: Path, trust: bytes) -> None:
    """A path reads as its bytes do; a missing one is a clear error."""
    path = tmp_path / "picture.png"
    path.write_bytes(sealed["PNG"])
    from_path, from_bytes = read_credentials(path, trust=trust), read_credentials(sealed["PNG"], trust=trust)
    assert from_path.model_dump() == from_bytes.model_dump()
    with pytest.raises(ImageUnreadable, match=r"none\.png cannot be read"):
        read_credentials(tmp_path / "none.png")


def test_a_truncated_file_is_unreadable_not_invalid(sealed: dict[str, bytes]) -> None:
    """A cut download is told apart from tampering."""
    with pytest.raises(ImageUnreadable, match="IEND is missing at offset"):
        read_credentials(sealed["PNG"][:-12])


def test_the_report_goes_into_json(sealed: dict[str, bytes], trust: bytes) -> None:
    """Everything but the raw report is JSON, and the raw report is at hand."""
    found = read_credentials(sealed["PNG"], trust=trust)
    again = Credentials.model_validate(json.loads(found.model_dump_json()))
    assert again.record == found.record
    assert found.raw["manifests"][0]["label"] == found.manifest


def test_a_later_date_shows_what_will_end(sealed: dict[str, bytes], trust: bytes, signer: Signer) -> None:
    """Judged after the certificate's end the image is invalid, and the sentence names the day."""
    found = read_credentials(sealed["PNG"], trust=trust, now=signer.not_after + timedelta(days=1))
    assert found.state == "invalid"
    (failure,) = found.failures
    assert failure.code == "signingCredential.expired"
    assert f"ended on {signer.not_after:%Y-%m-%d}" in failure.explanation
    assert found.stops_validating == signer.not_after


class _BackDated:
    """Signs with a certificate that has ended, which the library refuses to do.

    The library is shown a certificate in force; what is signed names the ended one of the same key and length.
    """

    name, timestamp_url, development = "ended", None, True
    alg: Algorithm = "es256"

    def __init__(self, shown: LocalSigner, ended: LocalSigner, replace: tuple[bytes, bytes]) -> None:
        self.chain, self.certificate_sha256 = shown.chain, ended.certificate_sha256
        self.not_before, self.not_after = ended.not_before, ended.not_after
        self.key, self.replace = shown.private_key, replace

    def sign(self, data: bytes) -> bytes:
        assert self.replace[0] in data
        return sign_with(self.key, self.alg, data.replace(*self.replace))


def test_an_image_whose_certificate_has_ended_says_so(picture: Any, facts: Any) -> None:
    """A truly expired signature is invalid with the library's code and the precise day."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    from limner_provenance.credentials.certificates import make_signer
    from limner_provenance.credentials.development import issue_authority

    now = datetime.now(UTC).replace(microsecond=0)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = issue_authority(root_key, now - timedelta(days=60))
    good = issue_leaf(key, root, root_key, now, lifetime=timedelta(days=1))
    size = len(good.public_bytes(Encoding.DER))
    while True:  # serial numbers and signatures vary by a byte in length
        ended = issue_leaf(key, root, root_key, now - timedelta(days=30), lifetime=timedelta(days=10))
        if len(ended.public_bytes(Encoding.DER)) == size:
            break
    swap = (good.public_bytes(Encoding.DER), ended.public_bytes(Encoding.DER))
    signer = _BackDated(make_signer([good, root], key, "es256"), make_signer([ended, root], key, "es256"), swap)
    data = picture("JPEG")
    old = seal(data, facts(data), signer).data.replace(*swap)
    found = read_credentials(old, trust=root.public_bytes(Encoding.PEM))
    assert found.state == "invalid"
    explained = {item.code: item.explanation for item in found.failures}
    assert "claimSignature.mismatch" not in explained
    assert f"ended on {now - timedelta(days=20):%Y-%m-%d}" in explained["signingCredential.expired"]
    assert found.certificate_sha256 == signer.certificate_sha256


@pytest.fixture
def remote(picture: Any, facts: Any, signer: Signer) -> bytes:
    """A PNG that names a manifest elsewhere and embeds none."""
    import io

    import c2pa

    from limner_provenance.credentials.engine import sealing_context
    from limner_provenance.credentials.manifest import definition

    data, output = picture(), io.BytesIO()
    builder = c2pa.Builder(definition(facts(data), instance_id="xmp.iid:1"), context=sealing_context())
    builder.set_no_embed()
    builder.set_remote_url("http://127.0.0.1:9/manifest.c2pa")
    assert isinstance(signer, LocalSigner)
    info = c2pa.C2paSignerInfo(alg="es256", sign_cert=signer.chain, private_key=signer.private_key, ta_url=None)
    builder.sign(c2pa.Signer.from_info(info), "image/png", io.BytesIO(data), output)
    return output.getvalue()


def test_a_remote_manifest_is_not_fetched(remote: bytes) -> None:
    """A file that only names a manifest elsewhere is absent, with a word about it."""
    found = read_credentials(remote)
    assert found.state == "absent"
    assert [item.code for item in found.informational] == ["limner.manifest.remote"]


def test_an_ingredient_with_a_remote_manifest_is_absent_with_its_reason(
    remote: bytes, picture: Any, facts: Any, signer: Signer, trust: bytes
) -> None:
    """Nothing is fetched for an ingredient either; the tree says that its manifest was out of reach."""
    data = picture(colour=50)
    parts = (IngredientFacts(data=remote, title="elsewhere"),)
    found = read_credentials(seal(data, facts(data, ingredients=parts), signer).data, trust=trust)
    assert (found.state, found.failures) == ("trusted", ())
    assert found.ingredients[0].state == "absent"
    assert [item.code for item in found.ingredients[0].failures] == ["manifest.inaccessible"]


def test_nonsense_anchors_are_refused(sealed: dict[str, bytes]) -> None:
    """Trust that is no PEM is an error, not an empty list."""
    with pytest.raises(CredentialError, match="trust anchors"):
        read_credentials(sealed["PNG"], trust=b"not a certificate")


def _padding(data: bytes) -> int:
    return data.index(b"\0" * 200) + 100


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_changed_padding_is_found_although_no_signature_covers_it(
    sealed: dict[str, bytes], trust: bytes, kind: str
) -> None:
    """COSE padding is unsigned: the library still trusts such a file, we do not."""
    data = bytearray(sealed[kind])
    data[_padding(sealed[kind])] = 7
    found = read_credentials(bytes(data), trust=trust)
    assert found.state == "invalid"
    assert found.failures[-1].code == "limner.manifest.altered"


def _renamed(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new)


@pytest.mark.parametrize("label", [b"c2pa.assertions", b"c2pa.claim.v2", b"c2pa.signature"])
def test_renamed_boxes_are_found(sealed: dict[str, bytes], trust: bytes, label: bytes) -> None:
    """Labels of the manifest's own boxes are unsigned too, and held to their names."""
    data = _renamed(sealed["JPEG"], label + b"\0\0", label[:-1] + b"X\0\0")
    found = read_credentials(data, trust=trust)
    assert found.state == "invalid"


@pytest.mark.parametrize("bit", [0x20, 0x40, 0x80])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_reserved_bits_of_descriptions_are_found(sealed: dict[str, bytes], trust: bytes, kind: str, bit: int) -> None:
    """No box's description may set a reserved bit: neither the store's, the manifest's, nor any in it."""
    places = [found.end() + 16 for found in re.finditer(b"jumd", sealed[kind])]
    assert len(places) >= 8
    for place in places:
        changed = bytearray(sealed[kind])
        changed[place] ^= bit
        with contextlib.suppress(ImageUnreadable):
            assert read_credentials(bytes(changed), trust=trust).state == "invalid", place


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@given(place=st.integers(0, 10**6), flip=st.integers(1, 255))
@settings(max_examples=80, deadline=None)
def test_no_changed_byte_reads_as_whole(
    sealed: dict[str, bytes], trust: bytes, kind: str, place: int, flip: int
) -> None:
    """Whatever byte is changed, the file is invalid, absent or unreadable; JPEG's two free bytes are the exception."""
    original = sealed[kind]
    place %= len(original)  # sealed files differ in length from run to run, and so would a strategy's bounds
    changed = bytearray(original)
    changed[place] ^= flip
    free = range(26, 28) if kind == "JPEG" else range(0)
    if place in free:
        return
    with contextlib.suppress(ImageUnreadable):
        assert read_credentials(bytes(changed), trust=trust).state in {"invalid", "absent"}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@given(cuts=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 64), st.binary(max_size=64)), max_size=4))
@settings(max_examples=60, deadline=None)
def test_hostile_files_never_crash(
    sealed: dict[str, bytes], trust: bytes, kind: str, cuts: list[tuple[int, int, bytes]]
) -> None:
    """Splices, cuts and insertions end in a state or in ImageUnreadable; unchanged bytes stay trusted."""
    changed = sealed[kind]
    for place, length, insert in cuts:
        changed = changed[:place] + insert + changed[place + length :]
    try:
        state = read_credentials(changed, trust=trust).state
    except ImageUnreadable:
        return
    # Bytes behind the end marker of the container are covered as well; JPEG's free bytes are put back to compare.
    if kind == "JPEG":
        changed = changed[:26] + sealed[kind][26:28] + changed[28:]
    assert (state in {"trusted", "valid"}) == (changed == sealed[kind])


def test_a_manifest_moved_to_another_picture_is_invalid(sealed: dict[str, bytes], picture: Any, trust: bytes) -> None:
    """Credentials cut out of one file do not fit another."""
    store = manifest_store(sealed["PNG"], "image/png")
    assert store is not None
    head = 33
    other = picture("PNG", colour=10)
    moved = other[:head] + sealed["PNG"][head : head + len(store) + 12] + other[head:]
    assert read_credentials(moved, trust=trust).state == "invalid"


def test_reading_needs_no_keys(tmp_path: Path, sealed: dict[str, bytes]) -> None:
    """Another machine's development anchor does not vouch for this one's images."""
    other = development_signer(tmp_path)
    assert read_credentials(sealed["WEBP"], trust=other.chain).state == "valid"
