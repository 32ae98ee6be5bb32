"""Perceptual hashes: near pictures are near, others are not, and lists of hashes are read or refused with their row."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from limner_policy.detectors import perceptual, phash
from limner_policy.detectors.base import Pixels
from limner_policy.detectors.near_duplicate import NearDuplicateDetector, read_hashes
from limner_policy.detectors.running import run_detectors
from limner_policy.errors import DetectorError
from limner_policy.wordlists import WordList


def drawn(seed: int, side: int = 256) -> Image.Image:
    """A picture of ellipses and rectangles by chance."""
    chance = np.random.default_rng(seed)
    image = Image.new("RGB", (side, side), tuple(chance.integers(0, 256, 3).tolist()))
    pencil = ImageDraw.Draw(image)
    for number in range(14):
        left, top = chance.integers(0, side, 2).tolist()
        width, height = chance.integers(side // 8, side // 2, 2).tolist()
        fill = tuple(chance.integers(0, 256, 3).tolist())
        shape = pencil.ellipse if number % 2 else pencil.rectangle
        shape((left, top, left + width, top + height), fill=fill)
    return image


def bits(image: Image.Image) -> Pixels:
    found = perceptual.hashes(np.asarray(image.convert("RGB")))
    assert found is not None
    return found


def distance(one: Image.Image, other: Image.Image) -> int:
    return int(perceptual.distances(bits(one), bits(other)[:1]).min())


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


PICTURES = [drawn(seed) for seed in range(12)]


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.resize((97, 97)),
        lambda image: image.resize((700, 700)),
        lambda image: jpeg(image, 20),
        lambda image: image.filter(ImageFilter.GaussianBlur(2)),
        lambda image: image.point(lambda value: value * 0.7 + 30),
        lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        lambda image: image.transpose(Image.Transpose.ROTATE_90),
        lambda image: image.transpose(Image.Transpose.TRANSVERSE),
        lambda image: image.transpose(Image.Transpose.ROTATE_180),
    ],
)
def test_a_changed_copy_is_near(change: object) -> None:
    """Resized, compressed, blurred, dimmed, mirrored or turned by quarters: within 32 of 256 bits of the original."""
    assert max(distance(change(image), image) for image in PICTURES) <= 32  # type: ignore[operator]


def test_other_pictures_are_far() -> None:
    """Of 66 pairs of different pictures, in eight forms each, none comes within 64 bits."""
    pairs = [(one, other) for number, one in enumerate(PICTURES) for other in PICTURES[:number]]
    assert len(pairs) == 66
    assert min(distance(one, other) for one, other in pairs) > 64


def test_the_eight_forms_are_those_of_the_turned_pictures() -> None:
    """The forms computed from the frequencies are those of really mirrored and turned pictures, to 4 bits."""
    image = PICTURES[0]
    turned = [image, *(image.transpose(how) for how in Image.Transpose)]
    forms = bits(image)
    for one in turned:
        assert int(perceptual.distances(forms, bits(one)[:1]).min()) <= 4
    nearest = {int(perceptual.distances(forms, bits(one)[:1]).argmin()) for one in turned}
    assert nearest == set(range(8))


def test_distances_are_counted_by_bits() -> None:
    """Hand-made hashes: none, one and all bits apart; the score falls from 1 to 0 at 128 bits."""
    zero, one, full = np.zeros((1, 32), np.uint8), np.eye(1, 32, dtype=np.uint8), np.full((1, 32), 255, np.uint8)
    assert perceptual.distances(np.vstack([zero, full]), np.vstack([zero, one, full])).tolist() == [
        [0, 1, 256],
        [256, 255, 0],
    ]
    assert [perceptual.likeness(bits) for bits in (0, 32, 128, 256)] == [1.0, 0.75, 0.0, 0.0]


def test_a_picture_of_one_colour_is_like_nothing() -> None:
    """It has no hash, scores 0 against every list, and the maker of lists refuses it."""
    flat = np.full((64, 64, 3), 200, dtype=np.uint8)
    assert perceptual.hashes(flat) is None
    detector = NearDuplicateDetector({"works": bits(PICTURES[0])[:1]})
    assert detector.score([flat])[0][0].score == "0.000000"


def listed(*terms: str) -> WordList:
    return WordList(name="works", terms=terms, file="lists/works.csv")


def test_scores_by_list() -> None:
    """Each list is a category with the score of its nearest hash; a mirrored copy of a listed work scores high."""
    works, others = (
        WordList(name=name, terms=tuple(perceptual.to_hex(bits(one)[0]) for one in chosen))
        for name, chosen in (("works", PICTURES[:6]), ("others", PICTURES[6:11]))
    )
    detector = NearDuplicateDetector().with_lists({"works": works, "others": others})
    assert detector.categories == ("others", "works")
    copy = np.asarray(PICTURES[2].transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    ((first, second), (_, third)) = run_detectors([detector], [copy, np.asarray(PICTURES[11])])
    assert [first.category, second.category] == ["others", "works"]
    assert [one.status for one in (first, second, third)] == ["ok"] * 3
    assert float(second.score or 0) > 0.95
    assert float(first.score or 1) < 0.5
    assert float(third.score or 1) < 0.5


@pytest.mark.parametrize("row", ["sword", "ab" * 31, "zz" * 32, "ab" * 33])
def test_a_row_that_is_no_hash_is_refused(row: str) -> None:
    """The error names list, file, row, value and the command that makes lists."""
    with pytest.raises(DetectorError, match=r"list works \(lists/works.csv\): row 2 is no hash .*phash FOLDER"):
        read_hashes(listed("ab" * 32, row))


def test_the_maker_writes_a_list_that_the_detector_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder becomes a table of hashes and names; equal pictures stand once, broken and flat ones are told."""
    PICTURES[0].save(tmp_path / "a.png")
    (tmp_path / "below").mkdir()
    PICTURES[1].save(tmp_path / "below" / "b, c.webp", lossless=True)
    PICTURES[0].save(tmp_path / "copy.png")
    assert phash.main([str(tmp_path)]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0] == "term,note"
    assert [row.partition(",")[2] for row in rows[1:]] == ["a.png", '"below/b, c.webp"']
    assert read_hashes(listed(*(row[:64] for row in rows[1:]))).shape == (2, 32)
    assert rows[1].startswith(perceptual.to_hex(bits(PICTURES[0])[0]))
    Image.new("RGB", (9, 9), "red").save(tmp_path / "flat.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    assert phash.main([str(tmp_path), "--no-names"]) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == "term"
    assert "flat.png shows one colour only" in shown.err
    assert "torn.png is no whole picture" in shown.err


def test_crops_find_the_middle_of_a_listed_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A list made with --crops finds a copy that lost 12 % or 25 % of each side; one made without does not."""
    PICTURES[4].save(tmp_path / "a.png")
    found = {}
    for flag in ([], ["--crops"]):
        assert phash.main([str(tmp_path), *flag]) == 0
        rows = capsys.readouterr().out.splitlines()[1:]
        found[len(rows)] = NearDuplicateDetector().with_lists({"works": listed(*(row[:64] for row in rows))})
    assert set(found) == {1, 1 + len(phash.CROPS)}
    side = PICTURES[4].width
    for share in (0.12, 0.25):
        cut = round(side * share / 2)
        part = np.asarray(PICTURES[4].crop((cut, cut, side - cut, side - cut)))
        plain, cropped = (float(found[count].score([part])[0][0].score or 0) for count in sorted(found))
        assert plain < 0.6
        assert cropped > 0.8


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["--help"], ["no such folder"]])
def test_the_maker_refuses_wrong_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Wrong arguments and a folder that is none are exit code 2 with a word on what to give."""
    monkeypatch.chdir(tmp_path)
    assert phash.main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "FOLDER" in shown.err or "is no folder" in shown.err


def test_the_maker_refuses_a_folder_without_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty list would protect nothing: exit code 2."""
    (tmp_path / "notes.txt").write_text("no picture")
    assert phash.main([str(tmp_path)]) == 2
    assert "holds no picture" in capsys.readouterr().err
