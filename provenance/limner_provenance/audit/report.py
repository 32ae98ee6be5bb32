"""What a verification found, and where. Knows nothing of how it was found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "information"]
Progress = Callable[[str, int, int], None]
"""`on_progress(step, done, total)`: what is being checked, how many are done, of how many (0 where unknown)."""

MAX_FINDINGS = 1000
"""Findings kept of each severity; further ones are only counted, so that a ruined log cannot fill the memory."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit.

    Attributes:
        severity: error (the log is not what was written), warning (it should not be so, and an error may hide behind
            it), or information.
        what: one sentence.
        table: the table, or `anchor`, `checkpoint file`, `objects`, `keys.db/…` where it is outside the database.
        key: which row: index, id or size as text; empty for the whole.
        column: which column, where that is known.
    """

    severity: Severity
    what: str
    table: str
    key: str = ""
    column: str = ""

    def __str__(self) -> str:
        where = " ".join(part for part in (self.table, self.key) if part)
        column = f".{self.column}" if self.column else ""
        return f"{self.severity}: {where}{column}: {self.what}"


@dataclass(slots=True)
class AuditReport:
    """What a verification says.

    Attributes:
        origin: the log's name as entry 0 states it.
        vkey: the verifier key the signatures were checked with; the newest one where the log's key was rotated.
        rotations: how often it was.
        trust: `pinned` where that key was handed in by the caller, else `unpinned`.
        size: number of entries.
        root: the tree's root over all entries, hex.
        checkpoints: number of stored checkpoints with a good signature and the right root.
        payloads_opened: payloads that were decrypted and fit their commitment.
        payloads_not_opened: payloads whose ciphertext is unchanged and whose key is not at hand.
        payloads_erased: payloads that were erased, as the log says.
        findings: what does not fit, in the order it was found.
        counts: number of findings by severity, those beyond the kept ones included.
        seconds: how long it took.
    """

    origin: str = ""
    vkey: str = ""
    rotations: int = 0
    trust: Literal["pinned", "unpinned"] = "unpinned"
    size: int = 0
    root: str = ""
    checkpoints: int = 0
    payloads_opened: int = 0
    payloads_not_opened: int = 0
    payloads_erased: int = 0
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: {"error": 0, "warning": 0, "information": 0})
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return self.counts["error"] == 0

    @property
    def verdict(self) -> str:
        """VALID, VALID-WITH-ERASURE or INVALID."""
        if not self.ok:
            return "INVALID"
        return "VALID-WITH-ERASURE" if self.payloads_erased else "VALID"

    @property
    def first_error(self) -> Finding | None:
        """The first error, or None."""
        return next((finding for finding in self.findings if finding.severity == "error"), None)

    def add(self, severity: Severity, what: str, table: str, key: object = "", column: str = "") -> None:
        """Note a finding."""
        self.counts[severity] += 1
        if self.counts[severity] <= MAX_FINDINGS:
            self.findings.append(Finding(severity, what, table, str(key), column))

    def error(self, what: str, table: str, key: object = "", column: str = "") -> None:
        """Note an error."""
        self.add("error", what, table, key, column)
