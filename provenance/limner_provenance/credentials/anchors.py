"""Which of the given trust anchors a signing certificate leads to, so that a report can name it.

Whether the credentials are trusted is the library's judgement; this only finds the anchor behind it. Must not judge.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from limner_provenance.credentials.report import Anchor
from limner_provenance.credentials.signer import DEVELOPMENT_ORGANISATION

if TYPE_CHECKING:
    from cryptography import x509

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@functools.lru_cache(maxsize=64)
def anchor_of(chain: tuple[bytes, ...], trust: bytes) -> Anchor | None:
    """Find the anchor that a chain leads to.

    Args:
        chain: DER certificates as the signature carries them, the signing one first.
        trust: PEM of the given anchors.

    Returns:
        The anchor that is, or has issued, the first certificate of the chain that one fits; None where none does.
    """
    anchors = list(_anchors(trust))
    for certificate in _parsed(chain):
        for anchor in anchors:
            if certificate == anchor or _issued(certificate, anchor):
                return _described(anchor)
    return None


def _anchors(trust: bytes) -> Iterator[x509.Certificate]:
    from cryptography import x509

    for block in _PEM.findall(trust):
        try:
            yield x509.load_pem_x509_certificate(block)
        except ValueError:
            continue


def _parsed(chain: Sequence[bytes]) -> Iterator[x509.Certificate]:
    from cryptography import x509

    for der in chain:
        try:
            yield x509.load_der_x509_certificate(der)
        except ValueError:
            return


def _issued(certificate: x509.Certificate, anchor: x509.Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature

    if certificate.issuer != anchor.subject:
        return False
    try:
        certificate.verify_directly_issued_by(anchor)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _described(anchor: x509.Certificate) -> Anchor:
    from cryptography.hazmat.primitives.serialization import Encoding

    names = {item.oid.dotted_string: str(item.value) for item in anchor.subject}
    organisation = names.get("2.5.4.10")
    return Anchor(
        name=names.get("2.5.4.3") or anchor.subject.rfc4514_string(),
        organisation=organisation,
        sha256=hashlib.sha256(anchor.public_bytes(Encoding.DER)).hexdigest(),
        ends=anchor.not_valid_after_utc,
        development=organisation == DEVELOPMENT_ORGANISATION,
    )
