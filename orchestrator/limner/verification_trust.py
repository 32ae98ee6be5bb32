"""The trust anchors that a verification starts from: given by the caller, configured, and every own one ever used."""

from __future__ import annotations

from pathlib import Path

from limner.config import Config
from limner.errors import ConfigInvalid


def anchors(config: Config, trust: str | Path | None = None) -> bytes | None:
    """Collect the trust anchors: those of the call, of the configuration, and every own one ever used here.

    Args:
        config: The configuration.
        trust: A PEM file of further ones.

    Returns:
        PEM, or None where there is none.

    Raises:
        ConfigInvalid: A file cannot be read or holds no certificate.
    """
    from limner_provenance.credentials import trust_anchors

    found = [_read(Path(trust), "--trust")] if trust else []
    found += configured_anchors(config)
    try:
        own = trust_anchors(config.state / "keys")
    except PermissionError:  # they are their owner's; for everybody else the credentials are valid and not trusted
        own = None
    return b"\n".join([*found, *([own] if own else [])]) or None


def configured_anchors(config: Config) -> list[bytes]:
    """Read the PEM files of `signing.trust`, none to many.

    Raises:
        ConfigInvalid: One cannot be read or holds no certificate.
    """
    return [_read(config.path(file), "signing.trust") for file in config.signing.trust_files]


def _read(file: Path, where: str) -> bytes:
    """Read a PEM file of trust anchors; what is wrong with it names `where` it was given."""
    try:
        found = file.read_bytes()
    except OSError as error:
        raise ConfigInvalid(
            f"{where}: {file} cannot be read: {error.strerror}.", remedy="Name a PEM file of trust anchors."
        ) from error
    if b"-----BEGIN CERTIFICATE-----" not in found:
        raise ConfigInvalid(f"{where}: {file} holds no certificate.", remedy="Name a PEM file of trust anchors.")
    return found
