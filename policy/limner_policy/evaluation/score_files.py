"""Tables of scores: written beside the results, and read back, so that figures can be made where no picture is."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from limner_policy.errors import EvaluationInvalid
from limner_policy.evaluation.dataset import SLICES, truth
from limner_policy.evaluation.judged import Judged, Stamp, Target, source_id
from limner_policy.evaluation.tables import Problems, Row, read_table

NAME = "scores.csv"
_FIXED = ("picture", "source_id", "detector", "version", "digest", "category", "label_name", "label", "score", "reason")
_DECIMAL = re.compile(r"([01](\.\d*)?|\.\d+|[1-9](\.\d*)?[eE]-\d{1,3})", re.ASCII)

Table = dict[Target, tuple[Judged, ...]]


def write_scores(
    path: Path, judged: Mapping[Target, Sequence[Judged]], stamps: Mapping[str, Stamp], *, names: bool
) -> None:
    """Write every row; the files' names only where asked for."""
    slices = sorted({name for rows in judged.values() for row in rows for name in row.slices})
    head = [*_FIXED, *(name if name in SLICES else f"slice:{name}" for name in slices), *(["file"] if names else [])]
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(head)
        for target, rows in judged.items():
            stamp = stamps[target.detector]
            for row in rows:
                fixed = [row.picture, row.source_id, target.detector, stamp.version, stamp.digest, target.category]
                fixed += [target.label, str(int(row.label)), row.score or "", row.reason]
                table.writerow([*fixed, *(row.slices.get(name, "") for name in slices), *([row.file] if names else [])])


def read_scores(path: Path) -> tuple[Table, dict[str, Stamp]]:
    """Read a table of scores: at least `file` or `picture`, `category`, `label`, `score`; empty is unknown.

    `detector` defaults to `scores`, `label_name` to the category, `source_id` to the picture; `version`, `digest`,
    `reason` and slices are as in a data set.

    Raises:
        EvaluationInvalid: a wrong cell with row and column, one picture twice, one detector with two versions.
    """
    table = read_table(path)
    table.need("picture" if "picture" in table.columns else "file", "category", "label", "score")
    problems = Problems(table.file)
    found: dict[Target, dict[str, Judged]] = {}
    stamps: dict[str, Stamp] = {}
    for row in table.rows:
        target = Target(row["detector"] or "scores", row["category"], row["label_name"] or row["category"])
        stamp = Stamp(target.detector, row["version"], row["digest"])
        if stamps.setdefault(target.detector, stamp) != stamp:
            problems.add(row.line, "digest", f"detector {target.detector!r} has another version or digest further up")
        one = _judged(row, table.columns, problems)
        place = f"{one.picture} {one.file}"
        if place in found.setdefault(target, {}):
            problems.add(row.line, "file", f"that picture has a score for {target} already")
        found[target][place] = one
    problems.stop("A score is a decimal from 0 to 1, or empty where there is none; a label is 1 or 0.")
    return {target: tuple(rows.values()) for target, rows in sorted(found.items())}, stamps


def _judged(row: Row, columns: Sequence[str], problems: Problems) -> Judged:
    name = row["picture"] or row["file"]
    if not name:
        problems.add(row.line, "file", "is empty")
    if not row["category"]:
        problems.add(row.line, "category", "is empty")
    label = truth(row, "label", problems)
    if not row["label"]:
        problems.add(row.line, "label", "is empty; leave rows without a label out")
    slices = {c.removeprefix("slice:"): row[c] for c in columns if (c in SLICES or c.startswith("slice:")) and row[c]}
    score = _score(row, problems)
    reason = "" if score is not None else row["reason"] or "no score was given"
    source = source_id(row["source_id"] or name)
    return Judged(row["picture"], row["file"], source, bool(label), score, reason, slices)


def _score(row: Row, problems: Problems) -> str | None:
    text = row["score"]
    if not text:
        return None
    if not _DECIMAL.fullmatch(text) or Decimal(text) > 1:
        problems.add(row.line, "score", f"{text!r} is no decimal from 0 to 1")
        return None
    return f"{Decimal(text):.6f}"


def read_labelled(path: Path) -> tuple[Table, dict[str, Stamp]]:
    """Read a table of scores and ask that it holds at least one.

    Raises:
        EvaluationInvalid: see `read_scores`; or every score in it is empty.
    """
    table, stamps = read_scores(path)
    if not any(row.score for rows in table.values() for row in rows):
        raise EvaluationInvalid(f"{path} holds no score at all.", remedy="Fill the column score.")
    return table, stamps
