"""Integrity first: the whole audit verify, before anything is counted or drawn.

Knows the provenance leaf's verification; must not know what is reported afterwards.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from limner.config import Config, load_config
from limner.errors import ConfigInvalid
from limner.reading import open_log
from limner.report.errors import LogNotClean
from limner_provenance.errors import ProvenanceError

if TYPE_CHECKING:
    from limner_provenance import AuditLog
    from limner_provenance.audit import AuditReport


@dataclass(frozen=True)
class Found:
    """One finding of the verification: its severity (error, warning, information), the place, and what is wrong."""

    severity: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}".removesuffix(".")


@dataclass(frozen=True)
class Integrity:
    """What the verification of a whole log said.

    Attributes:
        config: The configuration the log was opened by.
        verdict: VALID, VALID-WITH-ERASURE or INVALID.
        origin: The log's name, `limner/<uuid>`; empty where it could not be read.
        vkey: Its verifier key.
        trust: `pinned` where the reader gave the key, else `unpinned`.
        size: Number of entries verified.
        root: Root of the hash tree over them, hex.
        note: The signed checkpoint of that size.
        checkpoints: Number of stored checkpoints that hold.
        payloads: Payloads by what became of them: opened, not_opened, erased.
        compared: The file of the kept checkpoint that the log was held against, or None.
        findings: What does not fit, and where.
    """

    config: Config
    verdict: str
    origin: str = ""
    vkey: str = ""
    trust: str = "unpinned"
    size: int = 0
    root: str = ""
    note: str = ""
    checkpoints: int = 0
    payloads: tuple[tuple[str, int], ...] = ()
    compared: str | None = None
    findings: tuple[Found, ...] = ()

    @property
    def clean(self) -> bool:
        """True where no finding is an error."""
        return self.verdict != "INVALID"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the verifier key's text, hex: short to compare by telephone."""
        return hashlib.sha256(self.vkey.encode()).hexdigest() if self.vkey else ""

    def require_clean(self) -> None:
        """Pass where the log proves itself.

        Raises:
            LogNotClean: It does not; the message names the first findings.
        """
        if not self.clean:
            raise LogNotClean([str(found) for found in self.findings if found.severity == "error"])


def examine(
    config: str | Path | Config | None = None, *, checkpoint: str | Path | None = None, log_key: str | None = None
) -> Integrity:
    """Verify the configured log as a whole; whatever is wrong with it is a finding, never an exception.

    Args:
        config: A configuration file, a `Config`, or None: `limner.yaml` of the working folder.
        checkpoint: A file with a checkpoint kept elsewhere, to find a rewritten history.
        log_key: The log's key as the reader knows it; None: the one that the log states (`unpinned`).

    Raises:
        ConfigInvalid: The configuration, the key or the checkpoint file cannot be read.
    """
    settings = config if isinstance(config, Config) else load_config(config, engines=False)
    kept = None if checkpoint is None else _read(Path(checkpoint))
    _check_key(log_key)
    try:
        with open_log(settings) as log:
            return _examined(settings, log, kept, log_key, None if checkpoint is None else str(checkpoint))
    except ProvenanceError as error:
        return Integrity(settings, "INVALID", findings=(Found("error", type(error).__name__, str(error)),))


def _examined(config: Config, log: AuditLog, kept: str | None, log_key: str | None, name: str | None) -> Integrity:
    from limner_provenance.audit import verify

    report = verify(log, checkpoint=kept, vkey=log_key)
    return Integrity(
        config=config,
        verdict=report.verdict,
        origin=report.origin,
        vkey=report.vkey,
        trust=report.trust,
        size=report.size,
        root=report.root,
        note=log.checkpoint(report.size) or "",
        checkpoints=report.checkpoints,
        payloads=_payloads(report),
        compared=name,
        findings=tuple(_finding(one) for one in report.findings),
    )


def _payloads(report: AuditReport) -> tuple[tuple[str, int], ...]:
    names = ("opened", "not_opened", "erased")
    return tuple((name, int(getattr(report, f"payloads_{name}"))) for name in names)


def _finding(one: object) -> Found:
    """Take over one finding; its place is table, row and column, as far as they are known."""
    row = " ".join(str(getattr(one, part)) for part in ("table", "key") if getattr(one, part))
    column = getattr(one, "column", "")
    return Found(str(getattr(one, "severity", "error")), f"{row}.{column}" if column else row, str(one.what))  # type: ignore[attr-defined]


def _check_key(log_key: str | None) -> None:
    """Tell a key that is none from a log that is not the key's: the former is the reader's slip.

    Raises:
        ConfigInvalid: It is no verifier key.
    """
    from limner_provenance.checkpoint import Verifier

    try:
        if log_key is not None:
            Verifier(log_key)
    except ProvenanceError as error:
        raise ConfigInvalid(
            f"LOG_KEY={log_key!r} is no log key.", remedy="Write it as `limner init` printed it: NAME+HASH+KEY."
        ) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"CHECKPOINT={path} cannot be read.", remedy="Name a checkpoint file.") from error
