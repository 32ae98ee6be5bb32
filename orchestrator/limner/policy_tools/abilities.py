"""What this version can do of what policies ask for: duties it carries out, detectors that are installed."""

from __future__ import annotations

EXECUTED_DUTIES = frozenset({"disclose_prompt"})
"""Duties that `steps/marking.py` carries out; every other one blocks the release of its picture there."""


def installed_detectors() -> frozenset[str]:
    """Give the names of the detectors that this installation offers; none of them is loaded."""
    from importlib.metadata import entry_points

    from limner_policy.detectors import credentials
    from limner_policy.detectors.registry import BUILT_IN, GROUP

    return frozenset({credentials.NAME, *BUILT_IN, *(point.name for point in entry_points(group=GROUP))})
