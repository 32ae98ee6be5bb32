"""The layouts of two published data sets, UnsafeBench and I2P. Neither is fetched: an authorised operator brings them.

UnsafeBench (columns image, text, safety_label, category, source) is given as an image folder with `metadata.csv`, whose
column `file_name` names the picture. I2P is a table of prompts: the pictures are the operator's own, called by the
prompt's number (its `case_number`, else its place from 0), `12.png` or `12_0.png`, `12_1.png` for several.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from limner_policy.detectors.pictures import SUFFIXES
from limner_policy.errors import EvaluationInvalid
from limner_policy.evaluation.dataset import DataSet, Picture, check_file
from limner_policy.evaluation.tables import Problems, Row, Table

LAYOUTS = ("limner", "unsafebench", "i2p")
_USUAL = {"unsafebench": "metadata.csv", "i2p": "i2p_benchmark.csv"}
_SAFETY = {"safe": False, "unsafe": True}
ANY = "unsafe"
"""The category that every picture of UnsafeBench is labelled for: unsafe in any way, or not."""
_UNSAFEBENCH_NOTE = (
    "UnsafeBench labels a picture for the category it was looked for under, and for no other: each category's "
    "negatives are the safe pictures of that search, which are near misses. Rates on everyday pictures are lower."
)
_I2P_NOTE = (
    "I2P labels prompts: a picture counts as showing what its prompt was listed under, whatever an engine made of it. "
    "The figures say how detectors agree with the prompts' lists, not with people who looked at the pictures."
)


def usual_table(folder: Path, layout: str | None) -> str | None:
    """The table that a layout's folders usually have, where this one has it."""
    if layout is not None and layout not in LAYOUTS:
        raise EvaluationInvalid(f"there is no layout {layout!r}.", remedy=f"Layouts: {', '.join(LAYOUTS)}.")
    names = [_USUAL[layout]] if layout in _USUAL else list(_USUAL.values()) if layout is None else []
    if (folder / "labels.csv").is_file() and layout is None:
        return None
    return next((name for name in names if (folder / name).is_file()), None)


def layout_of(table: Table) -> str:
    """Tell a layout from its columns."""
    columns = set(table.columns)
    if {"safety_label", "category"} <= columns:
        return "unsafebench"
    if {"prompt", "categories"} <= columns and "file" not in columns:
        return "i2p"
    return "limner"


def read_unsafebench(folder: Path, table: Table) -> DataSet:
    """Read UnsafeBench as an image folder.

    Raises:
        EvaluationInvalid: a column is missing, a label is neither Safe nor Unsafe, or a picture is not there.
    """
    file = next((name for name in ("file_name", "image", "file") if name in table.columns), "file_name")
    table.need(file, "safety_label", "category")
    problems = Problems(table.file)
    pictures = []
    for row in table.rows:
        check_file(folder, row[file], row.line, file, problems)
        value = _SAFETY.get(row["safety_label"].lower())
        if value is None:
            problems.add(row.line, "safety_label", f"{row['safety_label']!r} is neither Safe nor Unsafe")
            continue
        slices = {"source": row["source"]} if row["source"] else {}
        labels = {name: value for name in (ANY, row["category"].lower()) if name}
        pictures.append(Picture(row[file], row.line, labels, row["source_id"], slices))
    problems.stop("Export it as an image folder: see docs/safety-evaluation.md.")
    return _whole(folder, table, "unsafebench", pictures, _UNSAFEBENCH_NOTE)


def read_i2p(folder: Path, table: Table) -> DataSet:
    """Read the prompts' table of I2P beside pictures that were made from them; prompts without a picture are left out.

    The pictures of one prompt count as one source.

    Raises:
        EvaluationInvalid: a column is missing, or no picture is called by a prompt's number.
    """
    table.need("prompt", "categories")
    files = _by_number(folder)
    named = {row.line: _split(row["categories"]) for row in table.rows}
    every = sorted({name for names in named.values() for name in names})
    pictures = []
    for place, row in enumerate(table.rows):
        number = _number(row, place, table)
        slices = {"hard": row["hard"]} if row["hard"] else {}
        labels = {name: name in named[row.line] for name in every}
        made = files.get(number, ())
        pictures += [Picture(file, row.line, labels, f"prompt {number}", slices) for file in made]
    if not pictures:
        raise EvaluationInvalid(
            f"{folder} holds no picture called by the number of a prompt of {table.file}.",
            remedy="Call them 0.png, 1.png, … or 0_0.png, 0_1.png, … by `case_number`, else by the place from 0.",
        )
    return _whole(folder, table, "i2p", pictures, _I2P_NOTE)


def _number(row: Row, place: int, table: Table) -> int:
    if not row["case_number"]:
        return place
    if not row["case_number"].isdecimal():
        raise EvaluationInvalid(
            f"{table.file}:{row.line}: column 'case_number': {row['case_number']!r} is no whole number.",
            remedy="Mend it, or take the column out.",
        )
    return int(row["case_number"])


def _split(categories: str) -> set[str]:
    return {name.strip().lower() for name in categories.split(",")} - {""}


def _by_number(folder: Path) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        number = path.stem.partition("_")[0]
        if path.suffix.lower() in SUFFIXES and number.isdecimal() and path.is_file():
            found.setdefault(int(number), []).append(path.relative_to(folder).as_posix())
    return found


def _whole(folder: Path, table: Table, layout: str, pictures: Iterable[Picture], note: str) -> DataSet:
    whole = tuple(pictures)
    categories = tuple(sorted({name for one in whole for name in one.labels}))
    return DataSet(folder, table.file, layout, categories, whole, (note,))
