"""The development certificate: made on first use, named as such everywhere, trusted by nobody else.

One file holds key and chain, so that a crash or a race leaves either all of it or nothing. The private key of the
development authority is thrown away: its anchor can then vouch for exactly one signing certificate, ever, and
nobody who reads the folder later can make others. A lost signing key means a new authority; old anchors are kept.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from limner_provenance.credentials.certificates import load_chain, load_key, make_signer, read_pem, require_private
from limner_provenance.credentials.keys import algorithm_of, pkcs8
from limner_provenance.credentials.signer import DEVELOPMENT_ORGANISATION
from limner_provenance.errors import CertificateError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    from limner_provenance.credentials.signer import Signer

LIFETIME = timedelta(days=3653)
_BUNDLE = "development-signer.pem"
_ANCHORS = "anchors"


def development_signer(keys: Path, *, timestamp: str | None = None) -> Signer:
    """Return the development signer of a keys folder, making it on first use.

    Args:
        keys: Folder of the keys; made with mode 0700 where it is missing. Several processes may come at once.
        timestamp: Address of an RFC 3161 time-stamp authority, or None.

    Returns:
        A signer with `development=True` and a leaf of ten years.

    Raises:
        CertificateError: the folder cannot be written, or its file is damaged or readable by others.
    """
    bundle = keys / _BUNDLE
    if not bundle.exists():
        _make(bundle)
    require_private(bundle)
    where = str(bundle)
    pem = read_pem(bundle, where)
    key, certificates = load_key(pem, where), load_chain(pem, where)
    alg = algorithm_of(key)
    if alg is None or certificates[0].public_key() != key.public_key():
        raise CertificateError(
            f"{where} is damaged: its key and certificate do not fit.",
            remedy="Move it away; a new one is made at the next start.",
        )
    _keep(keys, certificates[-1])
    return make_signer(certificates, key, alg, timestamp=timestamp)


def trust_anchors(keys: Path) -> bytes:
    """Return every anchor that was ever used with a keys folder, as PEM; empty where there is none.

    Raises:
        CertificateError: one cannot be read.
    """
    return b"".join(read_pem(path, str(path)) for path in sorted((keys / _ANCHORS).glob("*.pem")))


def keep_anchors(keys: Path, pem: bytes) -> None:
    """Keep anchors beside the keys, so that images signed under them stay trusted after a rotation.

    Args:
        keys: Folder of the keys.
        pem: One or more PEM certificates of authorities.

    Raises:
        CertificateError: they are unreadable, or the folder cannot be written.
    """
    for certificate in load_chain(pem, "the trust anchors"):
        _keep(keys, certificate)


def _keep(keys: Path, anchor: x509.Certificate) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    name = hashlib.sha256(anchor.public_bytes(Encoding.DER)).hexdigest()[:32]
    target = keys / _ANCHORS / f"{name}.pem"
    if not target.exists():
        _write_once(target, anchor.public_bytes(Encoding.PEM), mode=0o644)


def _make(bundle: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    now = datetime.now(UTC).replace(microsecond=0)
    authority_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = issue_authority(authority_key, now)
    leaf = issue_leaf(leaf_key, authority, authority_key, now)
    chain = leaf.public_bytes(Encoding.PEM) + authority.public_bytes(Encoding.PEM)
    _write_once(bundle, pkcs8(leaf_key) + chain, mode=0o600)  # whoever loses a race reads the winner's


def issue_authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    """Issue the self-signed certificate of a development authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    name = _name("Limner DEVELOPMENT authority")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        _builder(name, name, key, now, LIFETIME + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )


def issue_leaf(
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    now: datetime,
    *,
    lifetime: timedelta = LIFETIME,
) -> x509.Certificate:
    """Issue a development signing certificate that C2PA accepts."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID

    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        _builder(_name("Limner DEVELOPMENT signer"), authority.subject, key, now, lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    from cryptography import x509

    # An hour back, so that a verifier whose clock is a little slow does not call a fresh image invalid.
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + lifetime)
    )


def _name(common: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, DEVELOPMENT_ORGANISATION)
    return x509.Name([organisation, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not signs,
        crl_sign=not signs,
        encipher_only=False,
        decipher_only=False,
    )


def _write_once(target: Path, body: bytes, *, mode: int) -> None:
    """Create `target` whole or not at all; where somebody else was first, theirs stays."""
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _link_new(target, body, mode)
    except OSError as error:
        raise CertificateError(
            f"{target} cannot be written: {error.strerror or type(error).__name__}.",
            remedy="Make the keys folder writable, or configure signing.certificate and signing.key.",
        ) from error


def _link_new(target: Path, body: bytes, mode: int) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            Path(temporary).chmod(mode)
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        _take_name(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _take_name(temporary: str, target: Path) -> None:
    try:
        os.link(temporary, target)  # unlike rename, this never replaces what another process has made
    except FileExistsError:
        return
    except OSError:
        # A file system without hard links: the last of several processes wins, and the anchors of all are kept.
        if not target.exists():
            Path(temporary).replace(target)
