"""A sealed file held against the C2PA and COSE documents without the library that wrote it.

1. the COSE signature verifies over the claim under the leaf certificate; 2. the claim's hashes are those of its
assertions; 3. the data hash is that of the file without the manifest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from limner_provenance.credentials import Signer, seal
from limner_provenance.credentials.cbor import cose_parts, decode


def _boxes(data: bytes, path: tuple[str, ...] = ()) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield (label, whole content of the superbox, content of its payload box)."""
    position = 0
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        name, body = data[position + 4 : position + 8], data[position + 8 : position + length]
        if name == b"jumb":
            size = int.from_bytes(body[:4], "big")
            label = body[25:size].split(b"\0")[0].decode()
            rest = body[size:]
            if rest[4:8] == b"jumb":
                yield from _boxes(rest, (*path, label))
            else:
                yield label, body, rest[8:]
        position += length


def _head(kind: int, size: int) -> bytes:
    return bytes([kind << 5 | 25]) + size.to_bytes(2, "big")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_signature_claim_and_hashes_agree(kind: str, picture: Any, facts: Any, signer: Signer) -> None:
    """Every link from the certificate to the pixels holds when checked by hand."""
    data = picture(kind)
    stated = facts(data)
    sealed = seal(data, stated, signer)
    found = {label: (body, payload) for label, body, payload in _boxes(sealed.manifest)}
    claim = found["c2pa.claim.v2"][1]

    # 1. the signature, over COSE's Sig_structure ["Signature1", protected, "", claim]
    cose = found["c2pa.signature"][1]
    protected, unprotected = cose_parts(cose)
    header: Any = decode(unprotected)
    assert set(header) == {"pad"}
    signature = cose[-64:]
    signed = b"\x84\x6aSignature1" + _head(2, len(protected)) + protected + b"\x40" + _head(2, len(claim)) + claim
    leaf = x509.load_pem_x509_certificates(signer.chain)[0]
    public = leaf.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:]))
    public.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))

    # 2. the claim names the hash of each assertion's box
    assertions = {label for label in found if label not in {"c2pa.claim.v2", "c2pa.signature"}}
    assert assertions == {"c2pa.actions.v2", "c2pa.hash.data", "limner.record", "limner.notice"}
    for label in assertions:
        assert hashlib.sha256(found[label][0]).digest() in claim
    assert json.loads(found["limner.record"][1]) == stated.record

    # 3. the data hash leaves out exactly the manifest's own block
    stated_hash: Any = decode(found["c2pa.hash.data"][1])
    ((start, length),) = [tuple(item[key] for key in ("start", "length")) for item in stated_hash["exclusions"]]
    kept = sealed.data[:start] + sealed.data[start + length :]
    assert hashlib.sha256(kept).digest() == stated_hash["hash"]
    assert sealed.manifest[:40] in sealed.data[start : start + length]
