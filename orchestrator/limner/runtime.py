"""What a request needs around it: configuration, log, policy, detectors, providers and signer, opened once.

Everything heavy is opened at the first request that needs it; reading a log opens no model and no detector.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import anyio

from limner.errors import ConfigInvalid, StorageUnavailable
from limner.versions import limner_version
from limner_provenance.entries import now

if TYPE_CHECKING:
    from limner.config import Config
    from limner.signing import Signing
    from limner_policy import Detector, Pack
    from limner_policy.types import Stage
    from limner_provenance import AuditLog
    from limner_provenance.credentials.signer import Signer
    from limner_providers.base import Provider

_ROOM = 64 * 1024 * 1024
"""Free bytes that must be left on the state's disk before money is spent."""


class Runtime:
    """The opened parts of one configuration; one per client, shared by its requests."""

    sleep: Callable[[float], Awaitable[None]] = staticmethod(anyio.sleep)
    """Waits so many seconds before a call is made again; tests put a clock of their own here."""

    def __init__(self, config: Config, log: AuditLog) -> None:
        """Keep the configuration and the opened log; `open` is the usual way."""
        self.config = config
        self.log = log
        self.packs: tuple[Pack, ...] = self._load_packs()
        self._detector_settings = _detector_settings(config)
        self._providers: dict[str, Provider] = {}
        self._detectors: dict[str, Detector] = {}
        self._announced = ""  # the certificate that was in force then
        self._announcing = threading.Lock()
        self._preparing = threading.Lock()  # a model is loaded once, however many requests begin together

    @classmethod
    def open(cls, config: Config) -> Runtime:
        """Open the audit log and load the policy.

        Raises:
            ConfigInvalid: The configuration contradicts itself.
            PolicyFileError: A policy file is wrong.
            ProvenanceError: The log, a key or a folder cannot be opened.
        """
        from limner_provenance import AuditLog

        _refuse_in_production(config)
        log = AuditLog.open(
            config.audit_url,
            state=config.state,
            keys_url=config.keys_url,
            kek=config.keys.kek,
            assets_url=config.assets_url,
        )
        try:
            return cls(config, log)
        except BaseException:
            log.close()
            raise

    def _load_packs(self) -> tuple[Pack, ...]:
        from limner_policy import load_packs

        return load_packs(self.config.policy_paths())

    @cached_property
    def signing(self) -> Signing:
        """What signs the images: configured certificates or signer, else the development one made on first use."""
        from limner.signing import open_signing

        return open_signing(self.config)

    @property
    def signer(self) -> Signer:
        """What signs the images now."""
        return self.signing.at(datetime.now(UTC))

    @cached_property
    def trust(self) -> bytes | None:
        """The configured trust anchors as PEM; None where there are none."""
        from limner.verification_trust import configured_anchors

        return b"\n".join(configured_anchors(self.config)) or None

    def provider(self, name: str) -> Provider:
        """Give a configured provider, made at its first use.

        Raises:
            ConfigInvalid: No provider has this name.
            ConfigurationInvalid: Its kind or its settings are wrong.
        """
        if name not in self._providers:
            self._providers[name] = build_provider(self.config, name)
        return self._providers[name]

    def detectors(self, stage: Stage, instant: str) -> tuple[Detector, ...]:
        """Give the detectors that active rules of this stage name, with the packs' lists, loaded at their first use.

        Raises:
            PolicyError: A detector that a rule needs cannot be loaded, or a list of a pack does not fit it.
        """
        from limner_policy.detectors.choosing import detectors_for
        from limner_policy.detectors.settings import Place

        place = Place(folder=self.config.root, cache=self.config.state / "cache" / "detectors")
        with self._preparing:
            found = detectors_for(
                self.packs,
                stage,
                instant,
                made=self._detectors,
                settings=self._detector_settings,
                place=place,
            )
            self._detectors.update({detector.name: detector for detector in found})
        return found

    def check_before_spending(self) -> list[str]:
        """Check the signer's dates and the disk before money is spent, and give warnings.

        Raises:
            CertificateError: The certificate is not valid today.
            StorageUnavailable: Too little room is left.
        """
        warnings = self.signing.warnings(datetime.now(UTC))
        free = shutil.disk_usage(self.config.state).free
        if free < _ROOM:
            raise StorageUnavailable(
                f"Only {free >> 20} MiB are free under {self.config.state}.", remedy="Make room; 64 MiB are the least."
            )
        return warnings

    def announce(self) -> None:
        """Write into the log what is in force: each pack byte for byte, and `opened` where something changed."""
        with self._announcing:
            certificate = self.signer.certificate_sha256
            if self._announced != certificate:
                self._announce()
                self._announced = certificate

    def _announce(self) -> None:
        """Write it down before a request begins: a judgement is worth the pack it can be replayed with."""
        pending = []
        known = {e.data["sha256"] for e in self.log.entries(steps=["policy_loaded"])}
        for pack in self.packs:
            if pack.sha256 not in known:
                data = {"name": pack.name, "version": pack.version, "sha256": pack.sha256}
                pending.append(self.log.append("policy_loaded", data=data, payloads={"source": pack.source}))
        opened = self._opened()
        before = [e.data for e in self.log.entries(steps=["opened"])]
        if not before or before[-1] != opened:
            pending.append(self.log.append("opened", data=opened))
        for entry in pending:
            entry.wait()

    def _opened(self) -> dict[str, Any]:
        return {
            "version": limner_version(),
            "config": self.config.digest,
            "packs": sorted(pack.sha256 for pack in self.packs),
            "environment": self.config.environment,
            "signer": {
                "name": self.signer.name,
                "certificate": self.signer.certificate_sha256,
                "development": self.signer.development,
            },
            "detectors": [
                {"name": d.name, "version": d.version, "sha256": d.digest} for d in self.detectors("image", now())
            ],
        }

    async def close(self) -> None:
        """Close providers and write what waits in the log."""
        for provider in self._providers.values():
            await provider.close()
        self.log.close()


def _detector_settings(config: Config) -> dict[str, dict[str, Any]]:
    """Check the settings of detectors, whether or not a rule names them.

    Raises:
        ConfigInvalid: No detector has such a name, or a setting is unknown or wrong.
    """
    from limner_policy.detectors.registry import check_settings
    from limner_policy.errors import DetectorError

    settings = config.detector_settings()
    try:
        check_settings(settings)
    except DetectorError as error:
        raise ConfigInvalid(str(error)) from None
    return settings


def build_provider(config: Config, name: str) -> Provider:
    """Make a configured provider; nothing is loaded or contacted yet.

    Raises:
        ConfigInvalid: No provider has this name.
        ConfigurationInvalid: Its kind or its settings are wrong.
    """
    from limner_providers.registry import make_provider

    sections = config.provider_sections()
    if name not in sections:
        raise ConfigInvalid(f"No provider is called {name!r}.", remedy=f"Use one of: {', '.join(sections)}.")
    if name in config.unset:
        variable = config.unset[name]
        raise ConfigInvalid(
            f"providers.{name} needs the variable {variable}, which is not set.",
            remedy=f"Set it, e.g. `export {variable}=…`.",
        )
    section = sections[name]
    settings = section.settings
    model = settings.get("model")
    if section.kind == "diffusers" and isinstance(model, str) and (candidate := config.path(model)).exists():
        # A relative model folder or file counts from the configuration file, as every path there.
        settings = {**settings, "model": str(candidate)}
    return make_provider(name, section.kind, settings, base_folder=config.root)


def _refuse_in_production(config: Config) -> None:
    """Keep what is for development out of production.

    Raises:
        ConfigInvalid: A test provider is configured, or no own certificate.
    """
    if config.environment != "production":
        return
    for name, section in config.provider_sections().items():
        if section.kind == "test":
            raise ConfigInvalid(
                f"providers.{name} is of kind 'test', which production refuses.",
                remedy="Remove it, or set environment: development.",
            )
    if config.signing.certificate is None and config.signing.signer is None:
        raise ConfigInvalid(
            "signing.certificate is missing, and production refuses the development certificate.",
            remedy="Configure certificate and key under signing, or a signer.",
        )
