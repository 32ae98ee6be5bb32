"""Encrypted payloads: opened only with their key, found when changed, committed to as the design says."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_provenance.canonical import canonical
from limner_provenance.envelope import DataKey, key_id_of, open_payload, seal_payload
from limner_provenance.errors import EntryInvalid, PayloadCorrupt

KEY = DataKey.new()


@given(st.binary(max_size=200) | st.text(st.characters(exclude_categories=["Cs"])) | st.lists(st.integers(0, 9)))
def test_round_trip(value: object) -> None:
    """Bytes and JSON come back as they were, and the commitment follows from what comes back."""
    sealed = seal_payload("field", value, KEY)
    opened = open_payload(sealed.blob, KEY)
    assert opened.value() == value
    assert opened.commitment == sealed.commitment
    assert sealed.id == sha256(sealed.blob).hexdigest()
    assert key_id_of(sealed.blob) == KEY.id


def test_commitment_is_the_design_s() -> None:
    """The commitment to JSON, and to bytes, is SHA-256 over exactly the bytes that the format fixes."""
    sealed = seal_payload("prompt", "apple", KEY)
    salt = open_payload(sealed.blob, KEY).salt
    assert sealed.commitment == sha256(b"limner.commit.v1\nprompt\n" + salt + b'"apple"').hexdigest()
    sealed = seal_payload("image", b"abc", KEY)
    salt = open_payload(sealed.blob, KEY).salt
    facts = f'{{"length":3,"sha256":"{sha256(b"abc").hexdigest()}"}}'
    assert sealed.commitment == sha256(b"limner.commit.v1\nimage\n" + salt + facts.encode()).hexdigest()


def test_equal_values_look_different() -> None:
    """Two payloads of one value share neither commitment nor ciphertext: nobody can tell that they are equal."""
    one, two = seal_payload("prompt", "apple", KEY), seal_payload("prompt", "apple", KEY)
    assert one.commitment != two.commitment
    assert one.blob != two.blob


def test_every_changed_byte_is_found() -> None:
    """A blob with any byte changed does not open."""
    blob = seal_payload("prompt", "apple", KEY).blob
    for position in range(len(blob)):
        changed = blob[:position] + bytes([blob[position] ^ 1]) + blob[position + 1 :]
        with pytest.raises(PayloadCorrupt):
            open_payload(changed, KEY)


@pytest.mark.parametrize("blob", [b"", b"lmnr\x01", b"x" * 100])
def test_foreign_bytes_are_refused(blob: bytes) -> None:
    """What is no blob of ours is refused."""
    with pytest.raises(PayloadCorrupt):
        open_payload(blob, KEY)


def test_a_payload_without_canonical_form_is_refused_by_name() -> None:
    """A float in a payload is refused with the path to it."""
    with pytest.raises(EntryInvalid, match=r"payloads\.scores\.nsfw"):
        seal_payload("scores", {"nsfw": 0.5}, KEY)


def test_a_data_key_does_not_print_itself() -> None:
    """The representation of a key does not hold its secret."""
    assert KEY.secret.hex() not in repr(KEY)
    assert repr(KEY.secret) not in repr(KEY)
    assert canonical(KEY.id) in repr(KEY).replace("'", '"')
