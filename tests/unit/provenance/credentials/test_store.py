"""The readers of manifest boxes and COSE headers, fed with hostile bytes."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner_provenance.credentials import Signer, manifest_store, seal
from limner_provenance.credentials.cbor import cose_parts, decode
from limner_provenance.credentials.store import alterations, certificate_chain


@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        ("1818", 24),
        ("3903e7", -1000),
        ("43010203", b"\1\2\3"),
        ("63c3a961", "éa"),
        ("8301820203f6", [1, [2, 3], None]),
        ("a201f5616120", {1: True, "a": -1}),
        ("c11a514b67b0", 1363896240),
    ],
)
def test_cbor_reads_the_examples_of_its_rfc(encoded: str, value: object) -> None:
    """Values in the form of RFC 8949's appendix A decode as they should."""
    assert decode(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize(
    "encoded", ["", "18", "42ff", "9fff", "f93c00", "a2010101", "0000", "81" * 40 + "00", "5bffffffffffffffff"]
)
def test_cbor_refuses_what_headers_do_not_use(encoded: str) -> None:
    """Cut, indefinite, floating, doubled, trailing and bottomless items are value errors."""
    with pytest.raises(ValueError, match=r"\w"):
        decode(bytes.fromhex(encoded))


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_cbor_never_fails_otherwise(data: bytes) -> None:
    """Random bytes decode or are a value error."""
    with contextlib.suppress(ValueError):
        decode(data)
    with contextlib.suppress(ValueError):
        cose_parts(b"\xd2\x84" + data)


@given(place=st.integers(0, 4400), insert=st.binary(max_size=40), length=st.integers(0, 40))
@settings(max_examples=150, deadline=None)
def test_spliced_stores_are_told_not_raised(
    picture: Any, facts: Any, signer: Signer, place: int, insert: bytes, length: int
) -> None:
    """Whatever stands in the store of a file, reading it gives findings and perhaps no certificates."""
    sealed = seal(picture(), facts(picture()), signer)
    store = sealed.manifest[:place] + insert + sealed.manifest[place + length :]
    chunk = len(store).to_bytes(4, "big") + b"caBX" + store + b"\0\0\0\0"
    data = picture()[:33] + chunk + picture()[33:]
    assert manifest_store(data, "image/png") == store
    assert all(isinstance(text, str) for text in alterations(data, "image/png"))
    assert all(isinstance(certificate, bytes) for certificate in certificate_chain(store))
    assert alterations(sealed.data, sealed.mime) == []
