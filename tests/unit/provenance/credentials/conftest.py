"""Pictures, facts and certificates for the tests of Content Credentials."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from limner_provenance.credentials import (
    ManifestFacts,
    Signer,
    SoftwareAgent,
    development_signer,
    sniff,
    source_type_for,
    trust_anchors,
)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
NOW = datetime.now(UTC).replace(microsecond=0)
FORMATS = ("PNG", "JPEG", "WEBP")


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of development keys."""
    return tmp_path_factory.mktemp("state") / "keys"


@pytest.fixture(scope="session")
def signer(keys: Path) -> Signer:
    """The development signer."""
    return development_signer(keys)


@pytest.fixture(scope="session")
def trust(keys: Path, signer: Signer) -> bytes:
    """The development signer's anchors."""
    return trust_anchors(keys)


class MakePicture(Protocol):
    """Encode a picture of a size and a colour."""

    def __call__(self, kind: str = "PNG", *, size: tuple[int, int] = (16, 16), colour: int = 200) -> bytes:
        """Return the file."""
        ...


@pytest.fixture(scope="session")
def picture() -> MakePicture:
    """A maker of whole pictures."""
    from PIL import Image

    def make(kind: str = "PNG", *, size: tuple[int, int] = (16, 16), colour: int = 200) -> bytes:
        buffer = io.BytesIO()
        Image.new("RGB", size, (colour, 30, 30)).save(buffer, kind)
        return buffer.getvalue()

    return make


@pytest.fixture(params=FORMATS)
def any_picture(request: pytest.FixtureRequest, picture: MakePicture) -> bytes:
    """A picture in each of the three formats."""
    return picture(request.param)


class MakeFacts(Protocol):
    """Facts about some bytes, with changes."""

    def __call__(self, data: bytes, **changes: Any) -> ManifestFacts:
        """Return the facts."""
        ...


@pytest.fixture(scope="session")
def facts() -> MakeFacts:
    """A maker of plausible facts."""

    def make(data: bytes, **changes: Any) -> ManifestFacts:
        values: dict[str, Any] = {
            "title": "picture",
            "mime": sniff(data),
            "software_agent": SoftwareAgent(name="starter", version="1", sha256="ab" * 32),
            "digital_source_type": source_type_for(),
            "created": NOW,
            "record": {"v": 1, "log": "limner/x", "seed": "18446744073709551615", "image": 0, "list": [1, 2, 3]},
        }
        return ManifestFacts(**(values | changes))

    return make


@dataclass
class Authority:
    """A certificate authority of somebody who is not Limner."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        """Its certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(
        self,
        key: Key,
        *,
        start: datetime = NOW - timedelta(days=30),
        end: datetime = NOW + timedelta(days=300),
        purpose: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.EMAIL_PROTECTION,
        signs: bool = True,
        ca: bool = False,
    ) -> x509.Certificate:
        """Issue a signing certificate, or one with a fault."""
        builder = (
            _builder(_name("Example signer"), self.certificate.subject, key, start, end)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(_usage(signs=signs), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if purpose is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        return builder.sign(self.key, hashes.SHA256())


@pytest.fixture(scope="session")
def authority() -> Authority:
    """An authority other than the development one."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Example authority")
    certificate = (
        _builder(name, name, key, NOW - timedelta(days=4000), NOW + timedelta(days=4000))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(key, certificate)


@pytest.fixture(scope="session")
def pem() -> Callable[[Key], bytes]:
    """A writer of private keys."""
    return lambda key: key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture(scope="session")
def new_key() -> Callable[[str], Key]:
    """A maker of keys by C2PA algorithm."""
    makers: dict[str, Callable[[], Key]] = {
        "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "ps256": lambda: rsa.generate_private_key(65537, 2048),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
    }
    return lambda alg: makers[alg]()


def _name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=not signs,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not signs,
        crl_sign=not signs,
        encipher_only=False,
        decipher_only=False,
    )
