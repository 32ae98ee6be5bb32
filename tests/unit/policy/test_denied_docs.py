"""The page on denied pictures: its pack loads, its examples hold, and its words are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from limner_policy import check_examples
from limner_policy.handling import PICTURES
from limner_policy.loading import load_pack_bytes

PAGE = (Path(__file__).parents[3] / "docs" / "denied-pictures.md").read_text(encoding="utf-8")


def test_the_pages_pack_loads_and_its_examples_hold() -> None:
    """Thresholds, band and handling are as the page says."""
    (pack,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    loaded = load_pack_bytes(pack.encode(), "seen.policy.yaml")
    assert check_examples(loaded) == []
    assert loaded.rule("SE-2").handling.name == "suspected-abuse"


def test_the_page_names_every_treatment_and_outcome() -> None:
    """What can be written, and what a decision can say, stands on the page."""
    words = (*PICTURES, "reached", "between", "below", "unknown", "send_on", "tell", "days")
    assert [word for word in words if f"`{word}" not in PAGE] == []
