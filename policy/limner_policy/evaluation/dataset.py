"""A data set: pictures of a folder, and a CSV that says what each one shows. Opens no picture.

Columns: `file`; one column a category with 1, 0 or nothing (not looked at), or `category` and `label` with a row for
each; optional `source_id` (the distinct picture that this one was made from), and slices: `source`, `style`,
`provider`, `region`, `model`, or any column called `slice:NAME`. A column called `note:NAME` is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from limner_policy.detectors.pictures import SUFFIXES
from limner_policy.errors import EvaluationInvalid
from limner_policy.evaluation.tables import Problems, Row, Table, read_table

SLICES = ("source", "style", "provider", "region", "model", "audience", "language")
"""Columns that are slices by their name alone."""
_OTHER = frozenset({"file", "category", "label", "source_id"})
_VALUES = {"1": True, "0": False}
_REMEDY = (
    "Write 1 (it shows it), 0 (it does not) or nothing. A slice is a column called slice:NAME, a remark note:NAME."
)


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its file below the folder, its labels by category, what it was made from, and its slices."""

    file: str
    line: int
    labels: Mapping[str, bool]
    source: str = ""
    slices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DataSet:
    """What a folder and its table say; `notes` are what a reader of the figures has to know about the labels."""

    folder: Path
    table: str
    layout: str
    categories: tuple[str, ...]
    pictures: tuple[Picture, ...]
    notes: tuple[str, ...] = ()


def find_table(folder: Path, name: str | None) -> Path:
    """The CSV of a folder: the one named, else `labels.csv`, else the only one.

    Raises:
        EvaluationInvalid: there is no such folder, or no such table, or several.
    """
    if not folder.is_dir():
        raise EvaluationInvalid(f"{folder} is no folder.", remedy="Name a folder with pictures and a CSV.")
    if name is not None:
        return folder / name
    if (folder / "labels.csv").is_file():
        return folder / "labels.csv"
    found = sorted(folder.glob("*.csv"))
    if len(found) != 1:
        told = ", ".join(one.name for one in found) or "none"
        raise EvaluationInvalid(
            f"{folder} has no labels.csv, and of other tables: {told}.", remedy="Say which one with --labels NAME."
        )
    return found[0]


def read_own(folder: Path, table: Table, *, pictures_needed: bool = True) -> DataSet:
    """Read our own layout.

    Raises:
        EvaluationInvalid: each wrong cell with row and column; a file that is missing or lies outside the folder.
    """
    table.need("file")
    problems = Problems(table.file)
    labels = _long(table, problems) if "category" in table.columns else _wide(table, problems)
    slices = {column: column.removeprefix("slice:") for column in table.columns if _is_slice(column)}
    pictures = []
    for first, found in labels:
        if pictures_needed:
            check_file(folder, first["file"], first.line, "file", problems)
        given = {name: first[column] for column, name in slices.items() if first[column]}
        pictures.append(Picture(first["file"], first.line, found, first["source_id"], given))
    problems.stop(_REMEDY)
    categories = tuple(sorted({name for one in pictures for name in one.labels}))
    if not categories:
        raise EvaluationInvalid(
            f"{table.file} has no label at all.", remedy="Add a column for each category. " + _REMEDY
        )
    return DataSet(folder, table.file, "limner", categories, tuple(pictures))


def check_file(folder: Path, file: str, line: int, column: str, problems: Problems) -> None:
    """Note a name that is no picture below the folder."""
    path = PurePosixPath(file)
    if not file or path.is_absolute() or ".." in path.parts or "\x00" in file:
        problems.add(line, column, f"{file!r} is no path below the folder")
    elif path.suffix.lower() not in SUFFIXES:
        problems.add(line, column, f"{file!r} does not end in {', '.join(SUFFIXES)}")
    elif not (folder / path).is_file():
        problems.add(line, column, f"there is no file {file!r} below {folder}")
    elif not (folder / path).resolve().is_relative_to(folder.resolve()):
        problems.add(line, column, f"{file!r} is a link that leads out of the folder")


def truth(row: Row, column: str, problems: Problems) -> bool | None:
    """A cell as a label: 1, 0, or None for an empty one; anything else is noted."""
    if row[column] and row[column] not in _VALUES:
        problems.add(row.line, column, f"{row[column]!r} is no 1, no 0 and not empty")
    return _VALUES.get(row[column])


def _is_slice(column: str) -> bool:
    return column in SLICES or column.startswith("slice:")


def _wide(table: Table, problems: Problems) -> Iterable[tuple[Row, dict[str, bool]]]:
    if "label" in table.columns:
        raise EvaluationInvalid(
            f"{table.file}:1: there is a column 'label' and none called 'category'.",
            remedy="Name the column by what it says yes or no to, or add 'category'.",
        )
    columns = [c for c in table.columns if c not in _OTHER and not _is_slice(c) and not c.startswith("note:")]
    seen: dict[str, int] = {}
    for row in table.rows:
        if row["file"] in seen:
            problems.add(row.line, "file", f"{row['file']!r} stands in line {seen[row['file']]} already")
        seen[row["file"]] = row.line
        found = {column: truth(row, column, problems) for column in columns}
        yield row, {column: value for column, value in found.items() if value is not None}


def _long(table: Table, problems: Problems) -> Iterable[tuple[Row, dict[str, bool]]]:
    table.need("label")
    first: dict[str, Row] = {}
    labels: dict[str, dict[str, bool]] = {}
    known = {"file", "category", "label"}
    for row in table.rows:
        same = first.setdefault(row["file"], row)
        for column in table.columns:
            if column not in known and not column.startswith("note:") and row[column] != same[column]:
                problems.add(
                    row.line, column, f"{row[column]!r}, and line {same.line} says {same[column]!r} of that file"
                )
        found = labels.setdefault(row["file"], {})
        if not row["category"]:
            problems.add(row.line, "category", "is empty")
        elif row["category"] in found:
            problems.add(row.line, "category", f"{row['category']!r} was said of that file before")
        value = truth(row, "label", problems)
        if value is not None:
            found[row["category"]] = value
    return [(row, labels[file]) for file, row in first.items()]


def read_dataset(folder: Path, *, table: str | None = None, layout: str | None = None) -> DataSet:
    """Read a data set of any layout; without `layout` it is told from the columns.

    Raises:
        EvaluationInvalid: see `read_own` and `layouts`.
    """
    from limner_policy.evaluation import layouts

    found = read_table(find_table(folder, table or layouts.usual_table(folder, layout)))
    name = layout or layouts.layout_of(found)
    if name == "unsafebench":
        return layouts.read_unsafebench(folder, found)
    if name == "i2p":
        return layouts.read_i2p(folder, found)
    return read_own(folder, found)
