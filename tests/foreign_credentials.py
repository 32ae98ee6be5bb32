"""Pictures that carry the Content Credentials of somebody else: other authorities, other claim generators."""

from __future__ import annotations

import io
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


def foreign(organisation: str, generator: str, *, source: str = _TRAINED, data: bytes | None = None) -> bytes:
    """Sign a picture as the software of somebody else does: another authority, another claim generator."""
    now = datetime.now(UTC)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority, leaf = _name(organisation, f"{organisation} Root"), _name(organisation, f"{organisation} Media")

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey, *, ca: bool) -> x509.CertificateBuilder:
        usage = dict.fromkeys(_OTHER_USES, False)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **usage), critical=True
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), False)
        )

    root = builder(authority, authority_key.public_key(), ca=True).sign(authority_key, hashes.SHA256())
    certificate = (
        builder(leaf, key.public_key(), ca=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    chain = certificate.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    facts = ManifestFacts(
        title="image.png",
        mime="image/png",
        software_agent=SoftwareAgent(name=generator),
        digital_source_type=DigitalSourceType(source),
        created=now,
        record={},
        generator=generator,
        generator_version="1",
    )
    return seal(data or plain_png(), facts, certificate_signer(chain, private)).data


def _name(organisation: str, common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )
