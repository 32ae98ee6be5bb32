"""The data of the starter CLIP: designs, what is held out, lineage, words. Nothing here loads torch."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from limner_starter import clip_data, clip_words
from limner_starter.clip_designs import DESIGNS, HELD_OUT, Design, drawings
from limner_starter.errors import BadWorkFolder
from limner_starter.packages import NAMES, package
from limner_starter.workspace import read_json, write_json

FIRST = DESIGNS[0]
APART = HELD_OUT[0]


@pytest.fixture
def packages(shapes: Path) -> Path:
    """Our shapes as two designs: the first one, and the one that is held out, under its own licence."""
    source, copy = package(shapes, FIRST.package), package(shapes, APART.package)
    shutil.copytree(source, copy)
    about = {**read_json(copy / "package.json"), "license": APART.licence, "version": APART.version}
    write_json(copy / "package.json", about)
    return shapes


@pytest.fixture
def data(tmp_path: Path, packages: Path) -> clip_data.ClipData:
    return clip_data.prepare(tmp_path / "work", packages, (FIRST, APART))


def test_openmoji_is_held_out() -> None:
    """The one design that is never learned from is OpenMoji, the only share-alike one; the others are not copyleft."""
    assert [design.name for design in HELD_OUT] == ["openmoji"]
    assert {design.licence for design in DESIGNS if not design.held_out} == {"Apache-2.0", "MIT", "CC-BY-4.0"}


def test_rows_to_learn_from_hold_nothing_of_the_held_out_design(data: clip_data.ClipData) -> None:
    """The pictures to learn from and those of the held-out design are apart and together are all."""
    learned, apart = data.rows(held_out=False), data.rows(held_out=True)
    assert {data.designs[number] for number in data.design[learned]} == {FIRST.name}
    assert {data.designs[number] for number in data.design[apart]} == {APART.name}
    assert sorted([*learned, *apart]) == list(range(len(data.rgba)))


def test_the_digest_of_a_run_does_not_see_the_held_out_design(tmp_path: Path, packages: Path) -> None:
    """A run's data are the same whatever the held-out drawings look like, and others when a learned one changes."""

    def digest(design: Design, colour: str, work: str) -> str:
        file = package(packages, design.package) / "icons.json"
        file.write_text(file.read_text("utf-8").replace("#1976d2", colour), "utf-8")
        return clip_data.prepare(tmp_path / work, packages, (FIRST, APART)).digest()

    before = digest(APART, "#1976d2", "a")
    assert digest(APART, "#00ff00", "b") == before
    assert digest(FIRST, "#00ffff", "c") != before


def test_shipped_lineage_has_a_line_for_each_learned_picture(data: clip_data.ClipData, tmp_path: Path) -> None:
    """The compact lineage names source and licence once a design, then each learned picture; OpenMoji is not in it."""
    clip_data.write_compact_lineage(tmp_path / "work", tmp_path / "lineage.jsonl")
    head, *lines = [json.loads(line) for line in (tmp_path / "lineage.jsonl").read_text("utf-8").splitlines()]
    assert head["licence"] == FIRST.licence
    assert head["pictures"] == len(lines) == len(data.rows(held_out=False))
    assert all(line[0] == FIRST.name and len(line[3]) == 64 for line in lines)
    full = (tmp_path / "work" / "lineage.jsonl").read_text("utf-8").splitlines()
    assert sum(json.loads(line)["use"] == "evaluation only" for line in full) == len(data.rows(held_out=True))


def test_another_licence_is_refused(packages: Path, tmp_path: Path) -> None:
    """A package whose licence is not the one that was looked at stops the run before anything is learned."""
    file = package(packages, FIRST.package) / "package.json"
    write_json(file, {**read_json(file), "license": "CC-BY-NC-4.0"})
    with pytest.raises(BadWorkFolder, match=r"CC-BY-NC-4\.0.*expects Apache-2\.0"):
        clip_data.prepare(tmp_path / "work", packages, (FIRST,))


def test_icons_are_found_by_name_where_a_package_lists_no_characters(packages: Path) -> None:
    """A design without code points is matched by the icons' names, whatever their hyphens."""
    from limner_starter.selection import select

    folder = package(packages, APART.package)
    icons = read_json(folder / "icons.json")
    renamed = {name.replace("-", ""): icon for name, icon in icons["icons"].items()}
    write_json(folder / "icons.json", {**icons, "icons": renamed})
    write_json(folder / "chars.json", {})
    emoji = select(packages)
    assert len(drawings(APART, packages, emoji)) == len(emoji)


def test_pictures_and_names_must_belong_together(data: clip_data.ClipData, tmp_path: Path) -> None:
    """A work folder whose names were exchanged is refused, and an empty one says what to do."""
    about = read_json(tmp_path / "work" / "names.json")
    write_json(tmp_path / "work" / "names.json", {**about, "names": about["names"][:2]})
    with pytest.raises(BadWorkFolder, match="do not belong together"):
        clip_data.load(tmp_path / "work")
    with pytest.raises(BadWorkFolder, match="clip data"):
        clip_data.load(tmp_path / "nothing")


def test_every_name_of_the_tables_is_a_name_of_the_starter(shipped: Path) -> None:
    """Concepts and phrases speak only of pictures that exist: a typing error would silently teach nothing."""
    known = set((shipped / "names.txt").read_text("utf-8").splitlines())
    rows = clip_words.table()
    spoken = {name for row in rows["concept"].values() for name in (*row["names"], *row["unclear"])}
    assert spoken | {name for shown in rows["phrases"].values() for name in shown} <= known


def test_a_concept_is_shown_not_shown_or_unclear() -> None:
    """No name is both shown and unclear, no prompt both for and against, and each concept has what it needs."""
    for concept in clip_words.concepts():
        assert concept.names
        assert not concept.names & concept.unclear
        assert not set(concept.positive) & set(concept.contrast)
        assert concept.label(next(iter(concept.names))) is True
        assert concept.label("red apple") is False
        assert all(concept.label(name) is None for name in concept.unclear)


def test_captions_speak_of_words_of_their_picture(packages: Path) -> None:
    """Each caption holds the word that it comes with, and that word is one of its picture's."""
    names, tags = ("dagger", "beer mug"), (("weapon",), ("drink",))
    vocabulary = clip_words.words(names, tags, None)
    captioner, rng = clip_words.ClipCaptioner(names, vocabulary), random.Random(1)
    for index in (0, 1) * 40:
        caption, word = captioner.caption(index, rng)
        assert word in caption
        assert word in vocabulary[index]
    assert {"alcoholic drink", "beer"} <= set(vocabulary[1])


def test_words_of_groups_come_from_the_names_package(packages: Path) -> None:
    """With the packages at hand a picture is also learned with the word of its group."""
    label = read_json(package(packages, NAMES) / "en" / "data.json")[0]["label"]
    assert "person" in clip_words.words((label,), ((),), packages)[0]
