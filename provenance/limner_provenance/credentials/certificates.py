"""Load a certificate chain and its key, and refuse at once what C2PA would refuse at the first image.

Knows X.509 and the C2PA certificate profile. Must not know manifests; errors name files, never their content.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from limner_provenance.credentials.keys import Algorithm, algorithm_of, pkcs8
from limner_provenance.credentials.sealing import trial
from limner_provenance.credentials.signer import DEVELOPMENT_ORGANISATION, LocalSigner, require_in_force
from limner_provenance.errors import CertificateError, SealFailed

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_SUPPORTED = "an EC key on P-256 (ES256), an RSA key of at least 2048 bits (PS256) or an Ed25519 key"
# What c2pa accepts: e-mail protection, document signing, and the C2PA claim-signing purpose.
_PURPOSES = frozenset({"1.3.6.1.5.5.7.3.4", "1.3.6.1.5.5.7.3.36", "1.3.6.1.4.1.62558.2.1"})


def certificate_signer(
    chain: Path | bytes, key: Path | bytes, *, timestamp: str | None = None, now: datetime | None = None
) -> LocalSigner:
    """Make a signer of an own certificate.

    Args:
        chain: PEM certificates, leaf first, or the file that holds them.
        key: PEM private key, unencrypted, or its file (not readable by group or others).
        timestamp: Address of an RFC 3161 time-stamp authority, or None for no time-stamps.
        now: The moment it has to be in force at, aware; default the clock.

    Returns:
        A signer that has signed and read back a trial image, if it is in force today.

    Raises:
        CertificateError: naming the file, what is wrong with it and the remedy.
    """
    where, key_name = _origin(chain, "signing.certificate"), _origin(key, "signing.key")
    if isinstance(key, Path):
        require_private(key)
    certificates = load_chain(read_pem(chain, where), where)
    private = load_key(read_pem(key, key_name), key_name)
    alg = _require_fit(certificates[0], private, where, key_name)
    _require_order(certificates, where)
    _require_profile(certificates[0], where)
    signer = make_signer(certificates, private, alg, timestamp=_require_url(timestamp))
    today = datetime.now(UTC)
    require_in_force(where, signer.not_before, signer.not_after, now or today)
    if signer.not_before <= today <= signer.not_after:  # C2PA signs with no other
        _trial(signer, where)
    return signer


def make_signer(
    certificates: list[x509.Certificate], key: PrivateKeyTypes, alg: Algorithm, *, timestamp: str | None = None
) -> LocalSigner:
    """Put a checked chain and key together."""
    from cryptography.hazmat.primitives.serialization import Encoding

    leaf = certificates[0]
    return LocalSigner(
        name=common_name(leaf),
        alg=alg,
        chain=b"".join(item.public_bytes(Encoding.PEM) for item in certificates),
        private_key=pkcs8(key),
        certificate_sha256=hashlib.sha256(leaf.public_bytes(Encoding.DER)).hexdigest(),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        development=is_development(leaf),
        timestamp_url=timestamp,
    )


def load_chain(pem: bytes, where: str) -> list[x509.Certificate]:
    """Parse PEM certificates in the order of the file.

    Raises:
        CertificateError: there is none, or one is malformed.
    """
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise CertificateError(
            f"{where} holds no readable PEM certificates.",
            remedy="Give the certificate chain as PEM, the signing certificate first.",
        ) from error


def load_key(pem: bytes, where: str) -> PrivateKeyTypes:
    """Parse an unencrypted PEM private key.

    Raises:
        CertificateError: it is encrypted or no private key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(pem, None)
    except TypeError as error:
        raise CertificateError(
            f"The private key in {where} is encrypted.",
            remedy="Decrypt it into a file of mode 0600 (openssl pkey), or use a key service.",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{where} holds no readable PEM private key.", remedy=f"Give {_SUPPORTED}.") from error


def require_private(path: Path) -> None:
    """Refuse a key file that others can read.

    Raises:
        CertificateError: group or others have any right on it, or it is not there.
    """
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        raise _unreadable(str(path), error) from error
    if mode & 0o077 and os.name == "posix":  # elsewhere the mode says nothing about who may read
        raise CertificateError(
            f"The private key file {path} has mode {mode:04o}: others on this machine can reach it.",
            remedy=f"Run: chmod 600 {path}",
        )


def common_name(certificate: x509.Certificate) -> str:
    """Give the subject's common name, else its whole name."""
    return _attribute(certificate.subject, "2.5.4.3") or certificate.subject.rfc4514_string()


def is_development(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate is one of Limner's own development certificates."""
    return _attribute(certificate.issuer, "2.5.4.10") == DEVELOPMENT_ORGANISATION


def _attribute(name: x509.Name, oid: str) -> str | None:
    values = [str(item.value) for item in name if item.oid.dotted_string == oid]
    return values[0] if values else None


def _origin(source: Path | bytes, field: str) -> str:
    return str(source) if isinstance(source, Path) else field


def read_pem(source: Path | bytes, where: str) -> bytes:
    """Return given bytes, or a file's.

    Raises:
        CertificateError: the file cannot be read.
    """
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except OSError as error:
        raise _unreadable(where, error) from error


def _unreadable(where: str, error: OSError) -> CertificateError:
    return CertificateError(
        f"{where} cannot be read: {error.strerror or type(error).__name__}.", remedy="Check the path and its rights."
    )


def _require_url(timestamp: str | None) -> str | None:
    if timestamp and not timestamp.startswith(("http://", "https://")):
        raise CertificateError(
            "signing.timestamp is no http or https address.", remedy="Give the address of an RFC 3161 authority."
        )
    return timestamp or None


def _require_fit(leaf: x509.Certificate, key: PrivateKeyTypes, where: str, key_name: str) -> Algorithm:
    alg = algorithm_of(key)
    if alg is None:
        raise CertificateError(f"The private key in {key_name} is of an unsupported kind.", remedy=f"Use {_SUPPORTED}.")
    if leaf.public_key() != key.public_key():
        raise CertificateError(
            f"The private key in {key_name} does not belong to the first certificate in {where}.",
            remedy="Give the key that the certificate was requested with, and put the signing certificate first.",
        )
    return alg


def _require_order(certificates: list[x509.Certificate], where: str) -> None:
    from cryptography.exceptions import InvalidSignature

    for place, (child, parent) in enumerate(itertools.pairwise(certificates), start=1):
        try:
            child.verify_directly_issued_by(parent)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise CertificateError(
                f"The chain in {where} is out of order: certificate {place} was not issued by certificate {place + 1}.",
                remedy="Order it: signing certificate, intermediates, root.",
            ) from error


def _require_profile(leaf: x509.Certificate, where: str) -> None:
    from cryptography import x509

    problems = [
        (leaf.subject == leaf.issuer, "is self-signed, which C2PA refuses"),
        (_is_authority(leaf), "is a certificate authority, not a signing certificate"),
        (not _signs(leaf), "lacks the key usage digitalSignature"),
        (not _PURPOSES & set(_purposes(leaf)), "lacks an extended key usage that C2PA accepts (emailProtection)"),
        (leaf.version is not x509.Version.v3, "is not an X.509 v3 certificate"),
    ]
    for wrong, what in problems:
        if wrong:
            raise CertificateError(
                f"The signing certificate in {where} {what}.",
                remedy="Ask your authority for a C2PA claim-signing certificate.",
            )


def _is_authority(leaf: x509.Certificate) -> bool:
    from cryptography import x509

    try:
        return leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _signs(leaf: x509.Certificate) -> bool:
    from cryptography import x509

    try:
        return leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        return False


def _purposes(leaf: x509.Certificate) -> Iterable[str]:
    from cryptography import x509

    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return []
    return [item.dotted_string for item in usage]


def _trial(signer: LocalSigner, where: str) -> None:
    try:
        trial(signer)
    except SealFailed as error:
        raise CertificateError(
            f"C2PA does not accept the signing certificate in {where}: {error}",
            remedy="Ask your authority for a C2PA claim-signing certificate.",
        ) from error
