"""Checkpoints: C2SP's own example, our round trip, and every change found."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_provenance.checkpoint import Signer, Verifier, parse_unverified
from limner_provenance.errors import KeyUnavailable, LogCorrupt, ProvenanceError

SIGNER = Signer("limner/test", bytes(range(32)))
NOTE = SIGNER.sign(7, bytes(32))

# The example key and note of Go's sumdb/note package, which the C2SP specification describes.
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"


def test_keys_are_those_of_go_notes() -> None:
    """A key made by Go's note package is read, and gives the same verifier key."""
    assert Signer.from_skey(GO_SKEY).vkey == GO_VKEY
    assert Verifier(GO_VKEY).origin == "PeterNeumann"


def test_signatures_are_those_of_go_notes() -> None:
    """Go's example signature over Go's example text comes out bit by bit (Ed25519 is deterministic)."""
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    signer = Signer.from_skey(GO_SKEY)
    signature = base64.b64encode(signer._hash + signer._key.sign(text.encode())).decode()
    assert signature == "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="


def test_round_trip() -> None:
    """A signed checkpoint is verified and says what was signed."""
    said = Verifier(SIGNER.vkey).verify(NOTE)
    assert (said.origin, said.size, said.root) == ("limner/test", 7, bytes(32))
    assert parse_unverified(NOTE) == said
    assert Signer.from_skey(SIGNER.skey()).vkey == SIGNER.vkey


@pytest.mark.parametrize("position", range(len(NOTE)))
def test_any_changed_character_is_found(position: int) -> None:
    """Changing any single character of a checkpoint makes it fail."""
    changed = NOTE[:position] + chr(ord(NOTE[position]) ^ 1) + NOTE[position + 1 :]
    with pytest.raises(LogCorrupt):
        Verifier(SIGNER.vkey).verify(changed)


def test_another_key_does_not_verify() -> None:
    """A checkpoint signed by another key of the same name is refused."""
    other = Signer("limner/test", bytes(32))
    with pytest.raises(LogCorrupt, match="not signed by the log's key"):
        Verifier(other.vkey).verify(NOTE)


def test_a_witness_signature_beside_ours_is_fine() -> None:
    """Additional signature lines of others are allowed, as C2SP says."""
    witness = base64.b64encode(b"abcd" + bytes(64)).decode()
    assert Verifier(SIGNER.vkey).verify(NOTE + f"— witness {witness}\n").size == 7


@given(st.text(max_size=300))
def test_reading_any_text_gives_our_errors_only(text: str) -> None:
    """Whatever is given as checkpoint or key ends in this package's errors."""
    for read in (parse_unverified, Verifier, Signer.from_skey):
        with pytest.raises(ProvenanceError):
            read(text)


@pytest.mark.parametrize("vkey", ["", "a+b", SIGNER.vkey[:-4], SIGNER.vkey.replace("limner/test", "limner/tesu")])
def test_a_wrong_key_is_refused(vkey: str) -> None:
    """A verifier key that is cut or changed is refused, and the message does not blame the log."""
    with pytest.raises(KeyUnavailable):
        Verifier(vkey)
