"""Pictures that carry the Content Credentials of somebody else: other authorities, other claim generators."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image

from limner_provenance.credentials import (
    DigitalSourceType,
    ManifestFacts,
    SoftwareAgent,
    certificate_signer,
    seal,
    source_type_for,
)

PROVIDERS = (
    ("OpenAI OpCo, LLC", "gpt-image"),
    ("Google LLC", "Google C2PA Core Generator Library"),
    ("Adobe Inc.", "Adobe_Firefly"),
)
"""Organisations and claim generators as the large providers state them; the certificates are made here."""
_TRAINED = source_type_for().value
_OTHER_USES = (
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "encipher_only",
    "decipher_only",
)


def plain_png(colour: str = "teal", *, size: tuple[int, int] = (64, 48)) -> bytes:
    """Make a picture of one colour, of which nothing is known."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def text_added(data: bytes) -> bytes:
    """Write a comment into a signed PNG, as a careless tool does: its credentials no longer fit."""
    import zlib

    content = b"tEXtComment\0optimised"
    chunk = (len(content) - 4).to_bytes(4, "big") + content + zlib.crc32(content).to_bytes(4, "big")
    return data[:-12] + chunk + data[-12:]


@dataclass(frozen=True)
class Authority:
    """A certificate authority of an organisation: its key and its root certificate."""

    organisation: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls, organisation: str) -> Authority:
        """Make one that is in force for years."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        name = _name(organisation, f"{organisation} root")
        builder = _builder(name, name, key.public_key(), now - timedelta(days=400), now + timedelta(days=4000))
        return cls(organisation, key, _for_use(builder, key, ca=True).sign(key, hashes.SHA256()))

    @property
    def pem(self) -> bytes:
        """Its root certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(
        self, common: str, *, start: datetime | None = None, end: datetime | None = None
    ) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        """Issue a signing certificate, by default for a month from yesterday."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        start, end = start or now - timedelta(days=1), end or now + timedelta(days=30)
        builder = _builder(
            _name(self.organisation, common), self.certificate.subject, key.public_key(), start, end
        ).add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        return key, _for_use(builder, self.key, ca=False).sign(self.key, hashes.SHA256())


def foreign(organisation: str, generator: str, *, source: str = _TRAINED, data: bytes | None = None) -> bytes:
    """Sign a picture as the software of somebody else does: another authority, another claim generator."""
    authority = Authority.new(organisation)
    key, leaf = authority.issue(f"{organisation} Media")
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    facts = ManifestFacts(
        title="image.png",
        mime="image/png",
        software_agent=SoftwareAgent(name=generator),
        digital_source_type=DigitalSourceType(source),
        created=datetime.now(UTC),
        record={},
        generator=generator,
        generator_version="1",
    )
    signer = certificate_signer(leaf.public_bytes(Encoding.PEM) + authority.pem, private)
    return seal(data or plain_png(), facts, signer).data


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _for_use(
    builder: x509.CertificateBuilder, issuer: ec.EllipticCurvePrivateKey, *, ca: bool
) -> x509.CertificateBuilder:
    """Say what a certificate is for: to issue others, or to sign."""
    usage = dict.fromkeys(_OTHER_USES, False) | {"digital_signature": not ca, "key_cert_sign": ca, "crl_sign": ca}
    return (
        builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
    )


def _name(organisation: str, common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )
