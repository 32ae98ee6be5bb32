"""Drawing, near duplicates, lineage."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest


def test_the_data_stage_repeats_itself(shapes: Path, tmp_path: Path) -> None:
    """Two runs write the same lineage, and its digests are those of the pixels."""
    from limner_starter.pictures import prepare
    from limner_starter.workspace import Workspace

    first, second = Workspace(tmp_path / "one"), Workspace(tmp_path / "two")
    data = prepare(first, shapes)
    assert prepare(second, shapes).digest() == data.digest()
    assert first.lineage.read_bytes() == second.lineage.read_bytes()
    lines = [json.loads(line) for line in first.lineage.read_text(encoding="utf-8").splitlines()]
    assert [line["sha256_rgb64"] for line in lines] == [hashlib.sha256(x.tobytes()).hexdigest() for x in data.rgb]
    assert {line["licence"] for line in lines} == {"Apache-2.0"}


def test_pictures_show_what_was_drawn(shapes: Path, tmp_path: Path) -> None:
    """A red square is red in the middle, white at the rim, and transparent there in the picture with alpha."""
    from limner_starter.pictures import prepare
    from limner_starter.workspace import Workspace

    data = prepare(Workspace(tmp_path), shapes)
    square = data.names.index("red square")
    assert data.rgb[square, 32, 32].tolist() == [0xD3, 0x2F, 0x2F]
    assert data.rgb[square, 0, 0].tolist() == [255, 255, 255]
    assert data.rgba[square, 0, 0, 3] == 0
    assert data.rgb.shape[1:] == (64, 64, 3)
    assert data.rgba.shape[1:] == (128, 128, 4)


def test_near_duplicates_go_and_white_things_stay() -> None:
    """A picture like an earlier one is dropped; two white things differ although both vanish on white."""
    from limner_starter.pictures import distinct

    def disc(radius: float, colour: tuple[int, int, int]) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
        y, x = np.mgrid[:128, :128] - 63.5
        picture = np.zeros((128, 128, 4), np.uint8)
        picture[x * x + y * y < radius * radius] = (*colour, 255)
        return picture

    white = (255, 255, 255)
    pictures = np.stack([disc(50, (200, 0, 0)), disc(50.4, (202, 0, 0)), disc(20, white), disc(55, white)])
    assert distinct(pictures) == [0, 2, 3]


def test_an_empty_work_folder_says_what_to_do(tmp_path: Path) -> None:
    """Loading pictures that were never drawn names the command that draws them."""
    from limner_starter.errors import BadWorkFolder
    from limner_starter.pictures import load
    from limner_starter.workspace import Workspace

    with pytest.raises(BadWorkFolder, match="limner_starter data"):
        load(Workspace(tmp_path))


def test_names_and_pictures_must_belong_together(shapes: Path, tmp_path: Path) -> None:
    """A list of names of another length than the pictures is refused."""
    from limner_starter.errors import BadWorkFolder
    from limner_starter.pictures import load, prepare
    from limner_starter.workspace import Workspace, read_json, write_json

    workspace = Workspace(tmp_path)
    prepare(workspace, shapes)
    write_json(workspace.emoji, read_json(workspace.emoji)[1:])
    with pytest.raises(BadWorkFolder, match="run the data step again"):
        load(workspace)
