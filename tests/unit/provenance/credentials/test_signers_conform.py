"""The signers pass the kit that third parties run, and a third party's is found by its entry point and tried."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from limner_provenance.credentials import Signer, certificate_signer, development_signer, load_signer, trust_anchors
from limner_provenance.credentials.conformance import SignerConformance
from limner_provenance.credentials.keys import sign
from limner_provenance.errors import CertificateError


class TestDevelopmentSigner(SignerConformance):
    """The development signer."""

    @pytest.fixture(autouse=True)
    def _folder(self, keys: Path) -> None:
        self.keys = keys

    def make(self) -> Signer:
        """The development signer."""
        return development_signer(self.keys)

    def trust(self) -> bytes:
        """Its anchors."""
        development_signer(self.keys)
        return trust_anchors(self.keys)


class _Own(SignerConformance):
    alg = "es256"

    @pytest.fixture(autouse=True)
    def _authority(self, authority: Any, new_key: Any, pem: Any) -> None:
        key = new_key(self.alg)
        self.root: bytes = authority.pem
        from cryptography.hazmat.primitives.serialization import Encoding

        self.chain = authority.issue(key).public_bytes(Encoding.PEM) + authority.pem
        self.key: bytes = pem(key)

    def make(self) -> Signer:
        return certificate_signer(self.chain, self.key)

    def trust(self) -> bytes:
        return self.root


class TestES256(_Own):
    """An own certificate with an EC key."""


class TestPS256(_Own):
    """An own certificate with an RSA key."""

    alg = "ps256"


class TestEd25519(_Own):
    """An own certificate with an Ed25519 key."""

    alg = "ed25519"


class Vault:
    """A key service: holds the key and gives signatures, DER for es256 as such services do."""

    def __init__(self, *, name: str, chain: bytes, key: bytes, timestamp: str | None = None) -> None:
        from cryptography.hazmat.primitives.serialization import Encoding
        from cryptography.x509 import load_pem_x509_certificates

        leaf = load_pem_x509_certificates(chain)[0]
        self._key = key
        self.name, self.alg, self.chain, self.timestamp_url = name, "es256", chain, timestamp
        self.certificate_sha256 = hashlib.sha256(leaf.public_bytes(Encoding.DER)).hexdigest()
        self.not_before: datetime = leaf.not_valid_before_utc
        self.not_after: datetime = leaf.not_valid_after_utc
        self.development = False

    def sign(self, data: bytes) -> bytes:
        """Sign with the key that stays here."""
        return sign(self._key, "es256", data)


class TestVault(_Own):
    """A third party's signer passes the same kit."""

    def make(self) -> Signer:
        """The key service."""
        made: Signer = Vault(name="vault", chain=self.chain, key=self.key)  # type: ignore[assignment]
        return made


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed distribution that offers signers by entry points, one of them to something that is not there."""
    info = tmp_path / "vault_signer-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vault-signer\nVersion: 1.0\n")
    offers = {"vault": "vault_signer:Vault", "gone": "vault_signer:Gone", "nothing": "vault_signer:nothing"}
    lines = "\n".join(f"{name} = {value}" for name, value in offers.items())
    (info / "entry_points.txt").write_text(f"[limner.signers]\n{lines}\n")
    (tmp_path / "vault_signer.py").write_text("def nothing():\n    return object()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = __import__("vault_signer")
    monkeypatch.setattr(module, "Vault", Vault, raising=False)
    yield
    sys.modules.pop("vault_signer", None)


@pytest.fixture
def settings(authority: Any, new_key: Any, pem: Any) -> dict[str, Any]:
    """What the key service needs."""
    from cryptography.hazmat.primitives.serialization import Encoding

    key = new_key("es256")
    return {
        "name": "house key",
        "chain": authority.issue(key).public_bytes(Encoding.PEM) + authority.pem,
        "key": pem(key),
    }


@pytest.mark.usefixtures("installed")
def test_a_third_partys_signer_is_found_made_and_tried(settings: dict[str, Any]) -> None:
    """The entry point's factory gets its settings and the time-stamp authority, and what it makes signs."""
    signer = load_signer("vault", settings, timestamp="http://127.0.0.1:9/")
    assert (signer.name, signer.timestamp_url) == ("house key", "http://127.0.0.1:9/")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("kind", "change", "says"),
    [
        (
            "vualt",
            {},
            r"no installed package offers the kind 'vualt'\. Did you mean 'vault'\? Known: gone, nothing, vault",
        ),
        ("gone", {}, "cannot be loaded"),
        ("nothing", {"name": None, "chain": None, "key": None}, "makes a object, which is no signer"),
        ("vault", {"nmae": "x"}, r"has no setting 'nmae'\. Did you mean 'name'\?"),
        ("vault", {"key": None}, "needs the setting 'key'"),
        ("vault", {"key": b"secret-key-material"}, "signed a trial image that C2PA does not accept"),
        ("vault", {"chain": b"secret-chain"}, "cannot be made: ValueError"),
    ],
)
def test_what_is_wrong_with_a_signer_is_said(
    settings: dict[str, Any], kind: str, change: dict[str, Any], says: str
) -> None:
    """Kind, setting and fault are named with a remedy; a setting's value, which may be a secret, never is."""
    given = {name: value for name, value in (settings | change).items() if value is not None}
    with pytest.raises(CertificateError, match=says) as caught:
        load_signer(kind, given)
    assert "secret" not in str(caught.value)
    assert caught.value.remedy
