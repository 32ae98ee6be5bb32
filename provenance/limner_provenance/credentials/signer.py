"""The signer port, the signer over a local key, and the check that a certificate lasts.

A signer is a certificate chain and something that signs. It knows no image and no manifest; third parties offer
their own (a key service, an HSM) by the entry point `limner.signers`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from limner_provenance.credentials.keys import Algorithm, sign
from limner_provenance.errors import CertificateError

DEVELOPMENT_ORGANISATION = "Limner DEVELOPMENT (not trusted)"
"""Who issues the certificates that nobody outside this machine trusts, as they say themselves."""
WARN_BEFORE = timedelta(days=30)


@runtime_checkable
class Signer(Protocol):
    """Whatever can sign a manifest.

    Attributes:
        name: What people call it, in outputs and reports.
        alg: `es256` (ECDSA P-256), `ps256` (RSA-PSS, SHA-256, salt of 32 bytes) or `ed25519`.
        chain: PEM certificates, leaf first.
        certificate_sha256: SHA-256 of the leaf's DER, hex.
        not_before: Start of the leaf's validity, aware UTC.
        not_after: End of the leaf's validity, aware UTC.
        development: True for a certificate that nobody outside this machine trusts.
        timestamp_url: RFC 3161 authority to ask at each signature, or None.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - documented above
    @property
    def alg(self) -> Algorithm: ...  # noqa: D102
    @property
    def chain(self) -> bytes: ...  # noqa: D102
    @property
    def certificate_sha256(self) -> str: ...  # noqa: D102
    @property
    def not_before(self) -> datetime: ...  # noqa: D102
    @property
    def not_after(self) -> datetime: ...  # noqa: D102
    @property
    def development(self) -> bool: ...  # noqa: D102
    @property
    def timestamp_url(self) -> str | None: ...  # noqa: D102

    def sign(self, data: bytes) -> bytes:
        """Sign `data` (not yet hashed) with `alg`; may be called from several threads at once.

        For `es256` both forms are taken: r ‖ s (64 bytes) and the DER that key services return.
        """
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class LocalSigner:
    """A signer whose private key is in this process.

    Attributes:
        private_key: PKCS #8 PEM, unencrypted; never shown by `repr`.
    """

    name: str
    alg: Algorithm
    chain: bytes = field(repr=False)
    private_key: bytes = field(repr=False)
    certificate_sha256: str
    not_before: datetime
    not_after: datetime
    development: bool = False
    timestamp_url: str | None = None

    def sign(self, data: bytes) -> bytes:
        """Sign `data` with the local key; ES256 as DER."""
        return sign(self.private_key, self.alg, data)


def check(signer: Signer, now: datetime, *, warn_before: timedelta = WARN_BEFORE) -> str | None:
    """Say whether a certificate can sign now, before money is spent on an image.

    Args:
        signer: The signer that would be used.
        now: The present, aware.
        warn_before: How long before its end to warn.

    Returns:
        None where all is well, or a warning to show when it ends within that time.

    Raises:
        CertificateError: it is expired or not valid yet; the message names the date.
    """
    require_in_force(signer.name, signer.not_before, signer.not_after, now, development=signer.development)
    left = signer.not_after - now
    if left > warn_before:
        return None
    return (
        f"The signing certificate {signer.name!r} ends on {day(signer.not_after)}, in {left.days} days: "
        "renew it now, and configure signing.timestamp so that images stay valid beyond that date."
    )


def require_in_force(
    name: str, not_before: datetime, not_after: datetime, now: datetime, *, development: bool = False
) -> None:
    """Raise where `now` is outside a certificate's validity.

    Raises:
        CertificateError: naming the certificate, the date and the remedy.
    """
    if now > not_after:
        remedy = (
            "Move development-signer.pem out of the keys folder; a new one is made at the next start."
            if development
            else "Renew it and configure the new chain and key (signing.certificate, signing.key)."
        )
        raise CertificateError(f"The signing certificate {name!r} expired on {day(not_after)}.", remedy=remedy)
    if now < not_before:
        raise CertificateError(
            f"The signing certificate {name!r} is not valid before {day(not_before)}.",
            remedy="Check this machine's clock, or wait for that date.",
        )


def day(moment: datetime) -> str:
    """Write a moment as the day and UTC time that messages name."""
    return moment.strftime("%Y-%m-%d %H:%M UTC")
