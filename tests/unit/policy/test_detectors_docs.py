"""The page on detectors: its pack loads and its examples hold, its detector conforms, and it names what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from limner_policy import check_examples, load_packs
from limner_policy.detectors import credentials, near_duplicate, registry
from limner_policy.detectors.choosing import detectors_for
from limner_policy.detectors.conformance import DetectorConformance

PAGE = Path(__file__).parents[3] / "docs" / "detectors.md"


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_pages_pack_loads_with_its_list(tmp_path: Path) -> None:
    """Its examples hold, and the detectors get the lists that it shows."""
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "works.csv").write_text(block("csv"))
    (tmp_path / "pictures.policy.yaml").write_text(block("yaml"))
    (pack,) = load_packs([tmp_path])
    assert check_examples(pack) == []
    hashes = near_duplicate.read_hashes(next(one for one in pack.lists if one.name == "protected-works"))
    assert hashes.shape == (1, 32)
    pytest.importorskip("rapidocr", reason="needs the extra safety")
    found = {one.name: one.categories for one in detectors_for([pack], "image", "2026-11-25T00:00:00Z")}
    assert found == {"text": ("rival-brands",), "near-duplicate": ("protected-works",)}


def _of_the_page() -> type[DetectorConformance]:
    names: dict[str, Any] = {}
    exec(compile(block("python"), str(PAGE), "exec"), names)
    found: type[DetectorConformance] = names["TestRedness"]
    return found


@pytest.mark.parametrize("test", sorted(name for name in dir(DetectorConformance) if name.startswith("test_")))
def test_the_pages_detector_conforms(test: str) -> None:
    """It passes every test of the kit that the page hands out."""
    getattr(_of_the_page()(), test)()


def test_the_page_names_what_there_is() -> None:
    """Every built-in detector and every category of credentials."""
    text = PAGE.read_text()
    words = (*registry.BUILT_IN, credentials.NAME, *credentials.CATEGORIES)
    assert [word for word in words if f"`{word}`" not in text] == []
