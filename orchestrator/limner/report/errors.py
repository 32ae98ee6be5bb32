"""What can go wrong with a report.

LimnerError
└── ReportError              the report cannot be made: names what is wrong and what to do
    ├── ExtraMissing         polars or matplotlib is not installed
    └── LogNotClean          the log does not prove itself, so nothing is drawn; .findings
"""

from __future__ import annotations

from collections.abc import Sequence

from limner.errors import LimnerError


class ReportError(LimnerError):
    """The report cannot be made."""


class ExtraMissing(ReportError):
    """A library of the extra `notebooks` is missing."""

    def __init__(self, library: str) -> None:
        """Name the library."""
        super().__init__(f"{library} is not installed.", remedy="Install it: pip install 'limner[notebooks]'.")


class LogNotClean(ReportError):
    """The log does not prove itself: a figure made of it could look clean, so none is made.

    Attributes:
        findings: What does not fit, and where, as text.
    """

    def __init__(self, findings: Sequence[str]) -> None:
        """Show the first findings."""
        shown = "; ".join(findings[:3]) + (f"; and {len(findings) - 3} more" if len(findings) > 3 else "")
        super().__init__(
            f"THIS LOG IS NOT CLEAN, and no report is made of it. {shown}.".replace("..", "."),
            remedy="See all findings with `limner audit verify`, keep the database as it is, and ask who operates it.",
        )
        self.findings = tuple(findings)
