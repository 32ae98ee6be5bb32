"""The page for lawyers: its files load, its examples hold, its tables name the whole vocabulary."""

from __future__ import annotations

import re
from pathlib import Path

from limner_policy.example_checks import check_examples
from limner_policy.licences import Answers, Organisation, load_book, parts_of
from limner_policy.licences.conditions import QUESTIONS
from limner_policy.licences.reading import SUBJECT
from limner_policy.licences.terms import TERMS
from limner_policy.loading import load_pack_bytes

PAGE = Path(__file__).parents[3] / "docs" / "licences.md"


def blocks() -> tuple[str, str]:
    first, second = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return first, second


def test_the_pages_facts_load_and_answer(tmp_path: Path) -> None:
    """The facts file of the page is one, and a revenue at its border is over."""
    (tmp_path / "own.facts.yaml").write_text(blocks()[0], encoding="utf-8")
    parts, unknown = parts_of(["portrait", "starter"], book=load_book([tmp_path / "own.facts.yaml"]))
    assert unknown == ()

    def allowed(revenue: int, *holds: str) -> bool | None:
        organisation = Organisation(annual_revenue_usd=revenue, holds=frozenset(holds))
        return Answers(parts, organisation).allowed("commercial_use").truth

    assert (allowed(4_999_999), allowed(5_000_000), allowed(5_000_000, "studio-enterprise")) == (True, False, True)
    assert Answers(parts).excluded("US").truth is None
    assert Answers(parts).excluded("US-CA").truth is True


def test_the_pages_pack_loads_and_its_examples_hold() -> None:
    """The policy pack of the page passes its own examples."""
    pack = load_pack_bytes(blocks()[1].encode(), "house.policy.yaml")
    assert pack.organisation is not None
    assert pack.organisation.claimed_by == "cfo@example.com"
    assert [str(failure) for failure in check_examples(pack)] == []


def test_the_page_names_the_whole_vocabulary() -> None:
    """Every term, every question and every key of a subject stands on the page."""
    text = PAGE.read_text("utf-8")
    words = [*TERMS, *QUESTIONS, *(key for key in SUBJECT.keys if key not in ("id", "note", "role", "aliases"))]
    assert [word for word in words if f"`{word}" not in text and f"{word}:" not in text] == []
