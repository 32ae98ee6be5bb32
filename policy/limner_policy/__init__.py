"""Written policy: its language, its pure engine, and the detectors that give it evidence.

Importing this loads pydantic and nothing heavier; it must not know the orchestrator or another leaf.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner_policy.detectors.base import Detector
    from limner_policy.detectors.registry import load_detectors
    from limner_policy.detectors.running import run_detectors
    from limner_policy.engine import judge, required_detectors
    from limner_policy.errors import PolicyError, PolicyFileError
    from limner_policy.example_checks import check_examples
    from limner_policy.loading import embedded_pack, load_pack_bytes, load_packs
    from limner_policy.pack import Pack
    from limner_policy.types import CandidateFacts, ContextFacts, Evidence, PolicyInput, RequestFacts
    from limner_policy.verdicts import Decision, Duty, RuleHit, Verdict

_HOMES = {
    "CandidateFacts": "types",
    "ContextFacts": "types",
    "Decision": "verdicts",
    "Detector": "detectors.base",
    "Duty": "verdicts",
    "Evidence": "types",
    "Pack": "pack",
    "PolicyError": "errors",
    "PolicyFileError": "errors",
    "PolicyInput": "types",
    "RequestFacts": "types",
    "RuleHit": "verdicts",
    "Verdict": "verdicts",
    "check_examples": "example_checks",
    "embedded_pack": "loading",
    "judge": "engine",
    "load_detectors": "detectors.registry",
    "load_pack_bytes": "loading",
    "load_packs": "loading",
    "required_detectors": "engine",
    "run_detectors": "detectors.running",
}

__all__ = [
    "CandidateFacts",
    "ContextFacts",
    "Decision",
    "Detector",
    "Duty",
    "Evidence",
    "Pack",
    "PolicyError",
    "PolicyFileError",
    "PolicyInput",
    "RequestFacts",
    "RuleHit",
    "Verdict",
    "check_examples",
    "embedded_pack",
    "judge",
    "load_detectors",
    "load_pack_bytes",
    "load_packs",
    "required_detectors",
    "run_detectors",
]


def __getattr__(name: str) -> Any:
    """Bring a public name from its module when it is first asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
