"""A small run of the evasion benchmark: each class of disguise is found, and harmless prompts are let through."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from limner_policy import load_packs

FILE = Path(__file__).parents[3] / "benchmarks" / "evasion.py"


@pytest.fixture(scope="module")
def evasion() -> ModuleType:
    """The benchmark as a module."""
    spec = importlib.util.spec_from_file_location("evasion_benchmark", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


NAMES = (
    "homoglyphs",
    "zero width",
    "leetspeak",
    "spacing",
    "case",
    "right-to-left override",
    "case + homoglyphs + zero width",
)


@pytest.mark.parametrize("name", NAMES)
def test_disguises_of_the_packs_terms_are_found(evasion: ModuleType, name: str) -> None:
    """One disguise of every term of every pack, of this class: a recall of 0.98 at least."""
    found = evasion.probes(load_packs([evasion.PACKS]))
    hits, tried, missed = evasion.recall(found, evasion.classes(evasion.LOOK_ALIKES)[name], each=1, seed=3)
    assert tried > 200
    assert hits / tried >= 0.98, missed[:10]


def test_inflections_are_found(evasion: ModuleType) -> None:
    """Plurals and verb forms, written out by hand."""
    hits, tried, missed = evasion.inflection_recall()
    assert hits / tried >= 0.98, missed


def test_harmless_prompts_pass(evasion: ModuleType) -> None:
    """Of 600 harmless prompts full of words that look like others at most 3 are held up."""
    wrong = evasion.false_hits(load_packs([evasion.PACKS]), evasion.benign(600))
    assert len(wrong) <= 3, wrong


def test_the_benchmark_can_fail(evasion: ModuleType) -> None:
    """Without its condition's term a disguise is not found, and a term itself is no harmless prompt."""
    packs = load_packs([evasion.PACKS])
    probe = evasion.probes(packs)[0]
    hits, tried, _ = evasion.recall([probe], lambda term, _: f"x{term}x".replace(" ", ""), each=3, seed=1)
    assert (hits, tried) == (0, 3)
    assert len(evasion.false_hits(packs, ["a naked man"])) == 1


def test_the_classes_are_these(evasion: ModuleType) -> None:
    """Every class of the benchmark is tested here."""
    assert tuple(evasion.classes(evasion.LOOK_ALIKES)) == NAMES
