"""Data sets and tables of scores: strict readers that say file, row and column, and two published layouts."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner_policy.errors import EvaluationInvalid
from limner_policy.evaluation.dataset import DataSet, read_dataset
from limner_policy.evaluation.judged import Target, source_id
from limner_policy.evaluation.matching import pack_thresholds, read_maps, targets
from limner_policy.evaluation.requirements import requirement
from limner_policy.evaluation.score_files import read_labelled
from limner_policy.loading import load_pack_bytes


def folder(root: Path, table: str, *, name: str = "labels.csv", files: str = "a.png b.png sub/c.jpg") -> Path:
    """A folder with empty files of these names, and a table."""
    for file in files.split():
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / name).write_text(table, encoding="utf-8")
    return root


def read(root: Path, table: str) -> DataSet:
    return read_dataset(folder(root, table))


def refused(root: Path, table: str) -> str:
    with pytest.raises(EvaluationInvalid) as caught:
        read(root, table)
    return str(caught.value)


def test_a_column_a_category_with_blanks_and_slices(tmp_path: Path) -> None:
    """Blank is not looked at; known columns and slice:… are slices, note:… is left out."""
    table = "file,weapon,skull,source_id,style,slice:size,note:by\na.png,1,,s1,flat,big,me\nsub/c.jpg,0,1,,,,\n"
    found = read(tmp_path, table)
    assert found.categories == ("skull", "weapon")
    first, second = found.pictures
    assert (dict(first.labels), first.source, dict(first.slices)) == (
        {"weapon": True},
        "s1",
        {"style": "flat", "size": "big"},
    )
    assert (dict(second.labels), second.source, dict(second.slices)) == ({"weapon": False, "skull": True}, "", {})


def test_a_row_a_category_says_the_same(tmp_path: Path) -> None:
    """With `category,label` one picture has several rows."""
    long = read(tmp_path, "file,category,label,style\na.png,weapon,1,x\na.png,skull,0,x\nb.png,weapon,0,\n")
    wide = read(tmp_path, "file,weapon,skull,style\na.png,1,0,x\nb.png,0,,\n")
    assert [(p.file, p.labels, p.slices) for p in long.pictures] == [
        (p.file, p.labels, p.slices) for p in wide.pictures
    ]


def test_a_table_as_spreadsheets_write_it_is_read(tmp_path: Path) -> None:
    """A byte order mark, CRLF, spaces around cells, quoted commas and empty lines."""
    (tmp_path / "x,y.png").touch()
    (tmp_path / "labels.csv").write_bytes('\ufefffile, weapon \r\n"x,y.png", 1\r\n\r\n'.encode())
    assert read_dataset(tmp_path).pictures[0].file == "x,y.png"


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("", "is empty"),
        ("file,weapon\n", "a head and no row"),
        ("weapon\n1\n", ":1: there is no column 'file'. It has: weapon."),
        ("file;weapon\na.png;1\n", "parted by semicolons"),
        ("file,weapon,weapon\na.png,1,0\n", "column 'weapon' stands there twice"),
        ("file,\na.png,1\n", "column 2 has no name"),
        ("file,weapon\na.png,1,0\n", ":2: 3 cells, and the head has 2"),
        ("file,weapon\na.png,yes\n", ":2: column 'weapon': 'yes' is no 1, no 0 and not empty"),
        ("file,mood\na.png,1\nb.png,dark\n", ":3: column 'mood': 'dark'"),
        ("file,weapon\na.png,1\na.png,0\n", ":3: column 'file': 'a.png' stands in line 2 already"),
        ("file,weapon\nnone.png,1\n", ":2: column 'file': there is no file 'none.png'"),
        ("file,weapon\n../a.png,1\n", "is no path below the folder"),
        ("file,weapon\n/etc/passwd,1\n", "is no path below the folder"),
        ("file,weapon\na.gif,1\n", "does not end in .png, .jpg, .jpeg, .webp"),
        ("file,weapon\na.png,\n", "has no label at all"),
        ("file,label\na.png,1\n", "there is a column 'label' and none called 'category'"),
        ("file,category,label\na.png,weapon,1\na.png,weapon,0\n", "'weapon' was said of that file before"),
        ("file,category,label,style\na.png,x,1,flat\na.png,y,1,deep\n", "line 2 says 'flat'"),
        ("file,category,label\na.png,,1\n", ":2: column 'category': is empty"),
        ('file,weapon\n"a.png,1\n', "is no CSV"),
        ('file,weapon,note:x\na.png,1,"two\nlines"\nb.png,2,\n', ":4: column 'weapon': '2'"),
    ],
)
def test_a_mistake_is_told_with_row_and_column(tmp_path: Path, table: str, says: str) -> None:
    """Each is refused, with the line as an editor counts and what to do."""
    assert says in refused(tmp_path, table)


def test_all_mistakes_are_told_at_once_and_not_without_end(tmp_path: Path) -> None:
    """Twenty, and how many more there are."""
    told = refused(tmp_path, "file,weapon\n" + "a.png,x\n" * 30)
    assert told.count("is no 1, no 0") + told.count("stands in line") == 20
    assert "and 39 more" in told


def test_other_encodings_links_and_folders_are_refused(tmp_path: Path) -> None:
    """Not UTF-8; a link out of the folder; no folder; no table or several."""
    (tmp_path / "labels.csv").write_bytes(b"file,weapon\nr\xe9.png,1\n")
    with pytest.raises(EvaluationInvalid, match="is not UTF-8"):
        read_dataset(tmp_path)
    inside = tmp_path / "inside"
    folder(inside, "file,weapon\nlink.png,1\n", files="a.png")
    (tmp_path / "outside.png").touch()
    (inside / "link.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(EvaluationInvalid, match="leads out of the folder"):
        read_dataset(inside)
    with pytest.raises(EvaluationInvalid, match="is no folder"):
        read_dataset(tmp_path / "nowhere")
    (inside / "labels.csv").rename(inside / "one.csv")
    (inside / "two.csv").touch()
    with pytest.raises(EvaluationInvalid, match=r"one\.csv, two\.csv\. Say which one with --labels"):
        read_dataset(inside)


def test_unsafebench_as_an_image_folder(tmp_path: Path) -> None:
    """A picture is labelled for its own category and for unsafe as such; its texts are not taken along."""
    table = (
        "file_name,safety_label,category,source,text\n"
        "a.png,Unsafe,Sexual,Laion5B,some words\nb.png,Safe,Violence,Lexica,other words\n"
    )
    found = read_dataset(folder(tmp_path, table, name="metadata.csv"))
    assert found.layout == "unsafebench"
    assert [dict(one.labels) for one in found.pictures] == [
        {"unsafe": True, "sexual": True},
        {"unsafe": False, "violence": False},
    ]
    assert [dict(one.slices) for one in found.pictures] == [{"source": "Laion5B"}, {"source": "Lexica"}]
    assert "words" not in repr(found)
    folder(tmp_path, table.replace("Unsafe,S", "Bad,S"), name="metadata.csv")
    with pytest.raises(EvaluationInvalid, match="'Bad' is neither Safe nor Unsafe"):
        read_dataset(tmp_path)


def test_i2p_finds_pictures_by_the_number_of_their_prompt(tmp_path: Path) -> None:
    """Several pictures of one prompt are one source; prompts without a picture are left out, and no prompt is kept."""
    table = 'prompt,categories,hard\nsecret one,"hate, sexual",0\nsecret two,violence,1\nsecret three,hate,0\n'
    found = read_dataset(folder(tmp_path, table, name="i2p_benchmark.csv", files="0_0.png 0_1.png out/1.png"))
    assert found.layout == "i2p"
    assert [(one.file, one.source) for one in found.pictures] == [
        ("0_0.png", "prompt 0"),
        ("0_1.png", "prompt 0"),
        ("out/1.png", "prompt 1"),
    ]
    assert dict(found.pictures[2].labels) == {"hate": False, "sexual": False, "violence": True}
    assert dict(found.pictures[2].slices) == {"hard": "1"}
    assert "secret" not in repr(found)
    assert "labels prompts" in found.notes[0]
    numbered = folder(
        tmp_path / "n", "case_number,prompt,categories\n7,p,hate\n", name="i2p_benchmark.csv", files="7.png 0.png"
    )
    assert [one.file for one in read_dataset(numbered).pictures] == ["7.png"]
    bare = folder(tmp_path / "m", table, name="i2p_benchmark.csv", files="apple.png")
    with pytest.raises(EvaluationInvalid, match="no picture called by the number of a prompt"):
        read_dataset(bare)


def scores(root: Path, table: str) -> Path:
    path = root / "scores.csv"
    path.write_text(table, encoding="utf-8")
    return path


def test_scores_made_elsewhere_are_read(tmp_path: Path) -> None:
    """The least that is needed is file, category, label and score; an empty score is unknown."""
    rows, stamps = read_labelled(
        scores(tmp_path, "file,category,label,score\na,x,1,0.5\nb,x,0,\nc,x,0,1e-7\nd,x,1,1\n")
    )
    (found,) = rows.values()
    assert list(rows) == [Target("scores", "x", "x")]
    assert [(one.label, one.score) for one in found] == [
        (True, "0.500000"),
        (False, None),
        (False, "0.000000"),
        (True, "1.000000"),
    ]
    assert stamps["scores"].digest == ""


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("file,category,label\na,x,1\n", "no column 'score'"),
        ("category,label,score\nx,1,1\n", "no column 'file'"),
        ("file,category,label,score\na,x,1,nan\n", "'nan' is no decimal from 0 to 1"),
        ("file,category,label,score\na,x,1,-0.1\n", "'-0.1' is no decimal"),
        ("file,category,label,score\na,x,1,1.2\n", "'1.2' is no decimal"),
        ("file,category,label,score\na,x,,0.2\n", "column 'label': is empty"),
        ("file,category,label,score\na,,1,0.2\n", "column 'category': is empty"),
        ("file,category,label,score\n,x,1,0.2\n", "column 'file': is empty"),
        ("file,category,label,score\na,x,1,0.2\na,x,1,0.3\n", "has a score for scores/x already"),
        ("file,category,label,score,digest\na,x,1,0.2,aa\nb,x,1,0.3,bb\n", "another version or digest"),
        ("file,category,label,score\na,x,1,\n", "holds no score at all"),
    ],
)
def test_wrong_scores_are_refused(tmp_path: Path, table: str, says: str) -> None:
    """With row and column."""
    with pytest.raises(EvaluationInvalid) as caught:
        read_labelled(scores(tmp_path, table))
    assert says in str(caught.value)


def test_a_source_is_named_by_digits_alone() -> None:
    """Sixteen hex digits, stable; what is such digits already stays."""
    assert source_id("holiday.png") == source_id("holiday.png") != source_id("other.png")
    assert source_id(source_id("holiday.png")) == source_id("holiday.png")
    assert "holiday" not in source_id("holiday.png")


class _Named:
    version = digest = ""
    stage = "image"

    def __init__(self, name: str, *categories: str) -> None:
        self.name, self.categories = name, categories

    def score(self, images: object) -> list[object]:
        """Never asked."""
        raise AssertionError


def test_labels_find_their_categories() -> None:
    """By name, case and dashes aside, or as mapped; what fits nothing is told with what there is."""
    detectors = [_Named("clip", "fire-arm", "skull"), _Named("nsfw", "nsfw")]
    labels = ("Fire Arm", "sexual", "other")
    assert targets(detectors, labels, read_maps(["sexual=nsfw/nsfw"])) == (  # type: ignore[arg-type]  # never run
        Target("clip", "fire-arm", "Fire Arm"),
        Target("nsfw", "nsfw", "sexual"),
    )
    with pytest.raises(EvaluationInvalid, match=r"Labels: other\. Categories: clip/fire-arm, clip/skull, nsfw/nsfw"):
        targets(detectors, ("other",), {})  # type: ignore[arg-type]
    with pytest.raises(EvaluationInvalid, match="'gore' is no label"):
        targets(detectors, labels, read_maps(["gore=nsfw"]))  # type: ignore[arg-type]
    with pytest.raises(EvaluationInvalid, match="'gore' is no category"):
        targets(detectors, labels, read_maps(["other=gore"]))  # type: ignore[arg-type]
    with pytest.raises(EvaluationInvalid, match="maps nothing"):
        read_maps(["sexual"])


def test_requirements_are_read_and_held() -> None:
    """For all categories, one, or one of one detector; a figure that is not there never holds."""
    wanted = requirement("clip/weapon:recall>=0.9")
    assert wanted.concerns("clip", "weapon")
    assert not wanted.concerns("clip", "skull")
    assert wanted.holds(0.9)
    assert not wanted.holds(0.89)
    assert not wanted.holds(None)
    assert requirement("fpr <= 0.05").holds(0.05)
    for text in ("recall", "recall>0.9", "recall>=2", "beauty>=0.1", ""):
        with pytest.raises(EvaluationInvalid, match="is no requirement"):
            requirement(text)


def test_a_packs_thresholds_are_those_it_writes() -> None:
    """Those of every rule, and the border of the band that people look at."""
    text = """\
policy: t
version: "1"
title: T
owner: o@example.com
rules:
  - id: R-1
    title: T
    says: S
    why: W
    basis: [{cite: B}]
    severity: high
    stage: image
    when: {evidence: {detector: nsfw, category: nsfw, at_least: "0.80", review_from: "0.40"}}
    then: {verdict: deny}
    if_unknown: review
    examples:
      - {evidence: [{detector: nsfw, category: nsfw, score: "0.9"}], expect: deny}
"""
    assert pack_thresholds([load_pack_bytes(text.encode(), "t.yaml")]) == {("nsfw", "nsfw"): (0.4, 0.8)}
