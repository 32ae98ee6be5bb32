"""What signs the images of a configuration, today and after a rotation, and the anchors that are kept for ever.

Certificates are loaded and tried at the first request; which of two signs is asked anew for each image.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from limner.errors import ConfigInvalid
from limner.verification_trust import configured_anchors

if TYPE_CHECKING:
    from limner.config import Config, SigningSection
    from limner_provenance.credentials.signer import Signer


@dataclass(frozen=True)
class Signing:
    """The signers of a configuration.

    Attributes:
        first: What signs until `starts`.
        then: What signs from then on; None where no rotation is planned.
        starts: The moment of change, aware UTC.
        warn_before: How long before a certificate's end to warn.
    """

    first: Signer
    then: Signer | None = None
    starts: datetime | None = None
    warn_before: timedelta = timedelta(days=30)

    def at(self, now: datetime) -> Signer:
        """Give what signs at a moment."""
        return self.then if self.then is not None and self.starts is not None and now >= self.starts else self.first

    def warnings(self, now: datetime) -> list[str]:
        """Check the dates before money is spent, and give warnings; none of an end that a rotation comes before.

        Raises:
            CertificateError: What would sign is not in force.
        """
        from limner_provenance.credentials import check

        signer = self.at(now)
        warning = check(signer, now, warn_before=self.warn_before)
        return [warning] if warning and (self.then is None or signer is self.then) else []


def open_signing(config: Config) -> Signing:
    """Load what signs, keep the configured anchors, and check a planned rotation.

    Raises:
        ConfigInvalid: Settings are missing or contradict each other.
        CertificateError: A certificate or key is wrong, or a rotation would leave a gap.
    """
    from limner_provenance.credentials import keep_anchors

    signing, keys = config.signing, config.state / "keys"
    _require_one(signing)
    for found in configured_anchors(config):
        keep_anchors(keys, found)
    first, warn = _first(config), timedelta(days=signing.warn_days)
    if signing.next is None:
        return Signing(first, warn_before=warn)
    starts = datetime.combine(signing.next.starts, time.min, UTC)
    then = _next(config, starts)
    _require_overlap(first, then, starts)
    return Signing(first, then, starts, warn)


def _require_one(signing: SigningSection) -> None:
    if (signing.certificate is None) != (signing.key is None):
        missing = "key" if signing.key is None else "certificate"
        raise ConfigInvalid(f"signing.{missing} is missing.", remedy="Give both certificate and key, or neither.")
    if signing.signer is not None and (signing.certificate is not None or signing.next is not None):
        raise ConfigInvalid(
            "signing.signer stands beside a certificate of one's own.",
            remedy="Give either signing.signer, or signing.certificate with signing.key (and signing.next).",
        )
    if signing.next is not None and signing.certificate is None:
        raise ConfigInvalid(
            "signing.next has nothing to follow.", remedy="Give the present signing.certificate and signing.key too."
        )


def _first(config: Config) -> Signer:
    from limner_provenance.credentials import certificate_signer, development_signer, load_signer

    signing = config.signing
    if signing.signer is not None:
        made = signing.signer
        return load_signer(made.kind, made.settings, timestamp=signing.timestamp, base_folder=config.root)
    if signing.certificate is None or signing.key is None:
        return development_signer(config.state / "keys", timestamp=signing.timestamp)
    now = None
    if signing.next is not None:
        # One that has handed over may have ended since; it stays configured as long as its owner likes.
        now = min(datetime.now(UTC), datetime.combine(signing.next.starts, time.min, UTC))
    return certificate_signer(config.path(signing.certificate), config.path(signing.key),
                              timestamp=signing.timestamp, now=now)  # fmt: skip


def _next(config: Config, starts: datetime) -> Signer:
    """Load the certificate that follows; it may not be in force yet."""
    from limner_provenance.credentials import certificate_signer

    following = config.signing.next
    assert following is not None
    return certificate_signer(
        config.path(following.certificate),
        config.path(following.key),
        timestamp=config.signing.timestamp,
        now=max(datetime.now(UTC), starts),
    )


def _require_overlap(first: Signer, then: Signer, starts: datetime) -> None:
    if not then.not_before <= starts <= first.not_after:
        raise ConfigInvalid(
            f"signing.next.from ({starts:%Y-%m-%d}) leaves a gap: {first.name!r} ends on {first.not_after:%Y-%m-%d}, "
            f"{then.name!r} begins on {then.not_before:%Y-%m-%d}.",
            remedy="Name a day on which both are in force.",
        )
