"""Which emoji are learned, and under which names."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("label", "prompt"),
    [
        ("Christmas tree", "christmas tree"),
        ("person: beard", "person with beard"),
        ("twelve o’clock", "twelve o'clock"),
        ("Japanese “here” button", "japanese here button"),
        ("hot  beverage!", "hot beverage"),
    ],
)
def test_labels_become_plain_prompts(label: str, prompt: str) -> None:
    """A prompt is lower case, without typographic marks, and reads as English."""
    from limner_starter.selection import plain

    assert plain(label) == prompt


@pytest.mark.parametrize(
    ("label", "group", "subgroup", "kept"),
    [
        ("red apple", 4, 36, True),
        ("man: red hair", 1, 20, True),
        ("man: bald", 1, 20, False),
        ("woman astronaut", 1, 25, False),
        ("light skin tone", 2, 2, False),
        ("pirate flag", 9, 97, True),
        ("flag: Japan", 9, 98, False),
        ("right arrow", 8, 85, True),
        ("up-right arrow", 8, 85, False),
        ("keycap: 3", 8, 94, False),
        ("regional indicator A", None, None, False),
    ],
)
def test_the_rules_choose(label: str, group: int | None, subgroup: int | None, kept: bool) -> None:
    """Variants, lettering and country flags are left out; exceptions and listed flags stay."""
    from limner_starter.selection import rules

    assert rules().keep(label, group=group, subgroup=subgroup) is kept


def test_pictures_are_found_whatever_the_variation_selector(shapes: Path) -> None:
    """An emoji whose code point carries FE0F in one package and not in the other still gets its picture."""
    from limner_starter.packages import NAMES, package
    from limner_starter.selection import select
    from limner_starter.workspace import read_json, write_json

    table = package(shapes, NAMES) / "en" / "data.json"
    rows = read_json(table)
    rows[0]["hexcode"] += "-FE0F"
    rows[1]["hexcode"] = "1F9FF"
    write_json(table, rows)
    chosen = select(shapes)
    assert [emoji.name for emoji in chosen[:2]] == ["red circle", "red triangle"]
    assert len(chosen) == len(rows) - 1


def test_choosing_nothing_is_an_error(shapes: Path) -> None:
    """Packages of which no emoji is chosen are refused instead of training on nothing."""
    from limner_starter.errors import StarterError
    from limner_starter.packages import NAMES, package
    from limner_starter.selection import select
    from limner_starter.workspace import write_json

    write_json(package(shapes, NAMES) / "en" / "data.json", [])
    with pytest.raises(StarterError, match="no emoji was chosen"):
        select(shapes)
