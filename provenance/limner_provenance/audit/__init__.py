"""`audit verify`: everything stored is checked against everything else, and whatever does not fit is located."""

from __future__ import annotations

from limner_provenance.audit.report import AuditReport, Finding, Progress
from limner_provenance.audit.verifying import verify

__all__ = ["AuditReport", "Finding", "Progress", "verify"]
