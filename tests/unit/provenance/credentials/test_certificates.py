"""Own certificates: everything C2PA would refuse later is refused at load."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from limner_provenance.credentials import certificate_signer, read_credentials, seal
from limner_provenance.credentials.certificates import load_key
from limner_provenance.errors import CertificateError

P = Encoding.PEM


@pytest.mark.parametrize("alg", ["es256", "ps256", "ed25519"])
def test_each_algorithm_seals_and_is_trusted(
    alg: str, authority: Any, new_key: Any, pem: Any, picture: Any, facts: Any
) -> None:
    """ES256, PS256 and Ed25519 chains sign images that verify as trusted under their root."""
    key = new_key(alg)
    signer = certificate_signer(authority.issue(key).public_bytes(P) + authority.pem, pem(key))
    data = picture()
    found = read_credentials(seal(data, facts(data), signer).data, trust=authority.pem)
    assert (signer.alg, found.algorithm) == (alg, alg)
    assert (found.state, found.failures, found.development) == ("trusted", (), False)
    assert found.common_name == signer.name == "Example signer"
    assert found.certificate_sha256 == signer.certificate_sha256


def test_files_work_as_bytes_do(tmp_path: Path, authority: Any, new_key: Any, pem: Any) -> None:
    """A chain without its root and a key file of mode 0600 are enough."""
    key = new_key("es256")
    (tmp_path / "chain.pem").write_bytes(authority.issue(key).public_bytes(P))
    (tmp_path / "key.pem").write_bytes(pem(key))
    (tmp_path / "key.pem").chmod(0o600)
    signer = certificate_signer(tmp_path / "chain.pem", tmp_path / "key.pem", timestamp="https://tsa.example")
    assert signer.timestamp_url == "https://tsa.example"


def test_a_readable_key_file_is_refused(tmp_path: Path, authority: Any, new_key: Any, pem: Any) -> None:
    """A private key of mode 0644 is refused before it is used."""
    key = new_key("es256")
    path = tmp_path / "key.pem"
    path.write_bytes(pem(key))
    path.chmod(0o644)
    with pytest.raises(CertificateError, match=r"key\.pem has mode 0644"):
        certificate_signer(authority.issue(key).public_bytes(P), path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    """A path that does not exist is named."""
    with pytest.raises(CertificateError, match=r"none\.pem cannot be read: No such file"):
        certificate_signer(tmp_path / "none.pem", tmp_path / "none.pem")


def test_dates_are_named(authority: Any, new_key: Any, pem: Any) -> None:
    """An expired and a future certificate name their date."""
    key = new_key("es256")
    old = authority.issue(key)
    end = old.not_valid_after_utc
    with pytest.raises(CertificateError, match=f"expired on {end:%Y-%m-%d}"):
        certificate_signer(old.public_bytes(P), pem(key), now=end + timedelta(days=1))
    with pytest.raises(CertificateError, match="not valid before"):
        certificate_signer(old.public_bytes(P), pem(key), now=old.not_valid_before_utc - timedelta(days=1))


def test_a_foreign_key_is_refused(authority: Any, new_key: Any, pem: Any) -> None:
    """A key that does not belong to the certificate is refused."""
    with pytest.raises(CertificateError, match="does not belong to the first certificate"):
        certificate_signer(authority.issue(new_key("es256")).public_bytes(P), pem(new_key("es256")))


def test_the_chains_order_is_checked(authority: Any, new_key: Any, pem: Any) -> None:
    """Certificates that do not issue one another are refused with their places."""
    key = new_key("es256")
    leaf, stranger = authority.issue(key), authority.issue(new_key("es256"))
    with pytest.raises(CertificateError, match="certificate 1 was not issued by certificate 2"):
        certificate_signer(leaf.public_bytes(P) + stranger.public_bytes(P), pem(key))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"ca": True}, "is a certificate authority"),
        ({"signs": False}, "lacks the key usage digitalSignature"),
        ({"purpose": None}, "lacks an extended key usage"),
        ({"purpose": ExtendedKeyUsageOID.SERVER_AUTH}, "lacks an extended key usage"),
    ],
)
def test_the_profile_is_checked(authority: Any, new_key: Any, pem: Any, fault: dict[str, Any], message: str) -> None:
    """Certificates outside the C2PA profile say what they lack."""
    key = new_key("es256")
    with pytest.raises(CertificateError, match=message):
        certificate_signer(authority.issue(key, **fault).public_bytes(P), pem(key))


def test_a_self_signed_certificate_is_refused(authority: Any, pem: Any) -> None:
    """A root cannot sign images itself."""
    with pytest.raises(CertificateError, match="self-signed"):
        certificate_signer(authority.pem, pem(authority.key))


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 1024)], ids=["p384", "rsa1024"]
)
def test_unsupported_keys_name_the_supported_ones(authority: Any, pem: Any, key: Any) -> None:
    """A key that is too weak or of another curve is refused with the list of what works."""
    with pytest.raises(CertificateError, match="unsupported kind") as caught:
        certificate_signer(authority.issue(key).public_bytes(P), pem(key))
    assert "Ed25519" in caught.value.remedy


def test_an_encrypted_key_says_so(authority: Any, new_key: Any) -> None:
    """A key with a pass phrase is told apart from a broken one."""
    key = new_key("es256")
    locked = key.private_bytes(P, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    with pytest.raises(CertificateError, match="is encrypted"):
        certificate_signer(authority.issue(key).public_bytes(P), locked)


@pytest.mark.parametrize("bad", [b"", b"junk", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_broken_pem_names_the_setting_and_not_the_content(new_key: Any, pem: Any, bad: bytes) -> None:
    """Malformed chains and keys are errors that name the setting only."""
    key = pem(new_key("es256"))
    with pytest.raises(CertificateError, match=r"signing\.certificate holds no readable PEM"):
        certificate_signer(bad, key)
    with pytest.raises(CertificateError, match=r"signing\.key holds no readable PEM"):
        load_key(b"junk-secret", "signing.key")


def test_what_only_the_library_objects_to_is_found_by_the_trial(authority: Any, new_key: Any, pem: Any) -> None:
    """A certificate that passes our checks but not c2pa's is refused at load, with the library's reason."""
    from cryptography import x509

    key = new_key("es256")
    good = authority.issue(key)
    builder = x509.CertificateBuilder(
        issuer_name=good.issuer,
        subject_name=good.subject,
        public_key=key.public_key(),
        serial_number=good.serial_number,
        not_valid_before=good.not_valid_before_utc,
        not_valid_after=good.not_valid_after_utc,
    )
    for extension in good.extensions:
        if not isinstance(extension.value, x509.ExtendedKeyUsage):
            builder = builder.add_extension(extension.value, extension.critical)
    purposes = [ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.TIME_STAMPING]
    mixed = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False).sign(authority.key, hashes.SHA256())
    with pytest.raises(CertificateError, match="C2PA does not accept"):
        certificate_signer(mixed.public_bytes(P), pem(key))


def test_a_time_stamp_address_must_be_one(authority: Any, new_key: Any, pem: Any) -> None:
    """A time-stamp setting that is no address is refused at load."""
    key = new_key("es256")
    with pytest.raises(CertificateError, match=r"signing\.timestamp"):
        certificate_signer(authority.issue(key).public_bytes(P), pem(key), timestamp="tsa.example")
