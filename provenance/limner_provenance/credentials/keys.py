"""Sign bytes with a private key, tell a key's algorithm, and bring signatures into the form COSE wants.

The only place that touches private keys. Must not know files, certificates or manifests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

Algorithm = Literal["es256", "ps256", "ed25519"]


def algorithm_of(key: PrivateKeyTypes | PublicKeyTypes) -> Algorithm | None:
    """Name the C2PA algorithm of a private or public key, or None where we sign with none of its kind."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return "es256" if isinstance(key.curve, ec.SECP256R1) else None
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return "ps256" if key.key_size >= 2048 else None
    if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        return "ed25519"
    return None


def pkcs8(key: PrivateKeyTypes) -> bytes:
    """Serialise a private key as unencrypted PKCS #8 PEM."""
    from cryptography.hazmat.primitives import serialization as s

    return key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())


def sign(pem: bytes, alg: Algorithm, data: bytes) -> bytes:
    """Sign `data` with the private key in `pem` (PKCS #8).

    Returns:
        The signature: DER for es256, as key services give it; raw for the others.
    """
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

    key = serialization.load_pem_private_key(pem, None)
    if alg == "es256":
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key.sign(data, ec.ECDSA(hashes.SHA256()))
    if alg == "ps256":
        assert isinstance(key, rsa.RSAPrivateKey)
        return key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return key.sign(data)


def cose_signature(alg: Algorithm, signature: bytes) -> bytes:
    """Bring a signature into COSE's form: r ‖ s for ECDSA, unchanged for the others.

    Raises:
        ValueError: an ECDSA signature is neither 64 bytes nor DER.
    """
    if alg != "es256" or len(signature) == 64:
        return signature
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    r, s = decode_dss_signature(signature)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")
