"""An evaluation from end to end: score, calculate, write. The command line is a thin skin over this.

In the output folder: `results.json`, `scores.csv`, `index.html`, `calibration.yaml`, and the scores kept for going on.
No picture is copied, and no file name is written unless it was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from limner_policy.concepts import Concept
from limner_policy.detectors.base import Detector
from limner_policy.detectors.registry import load_detectors
from limner_policy.detectors.settings import Place
from limner_policy.errors import DetectorError, EvaluationInvalid
from limner_policy.evaluation import results, score_files, snippet
from limner_policy.evaluation.analysing import Analysis, Settings, analyse
from limner_policy.evaluation.cache import Cache
from limner_policy.evaluation.changes import CHANGES
from limner_policy.evaluation.dataset import DataSet
from limner_policy.evaluation.judged import Judged, Stamp, Target, canonical, dataset_digest, to_column
from limner_policy.evaluation.requirements import Requirement
from limner_policy.evaluation.results import Evaluation
from limner_policy.evaluation.robustness import MOST, Changed, chosen, compare
from limner_policy.evaluation.scoring import Answers, Progress, Scorer, hashed, judged
from limner_policy.evaluation.snippet import Line

_SECONDS = 30.0
Rows = Mapping[Target, Sequence[Judged]]
_NO_SOURCES = (
    "Where a row names no source_id, each different file counts as a source picture of its own. If some were made from "
    "one picture, the intervals are too narrow: fill the column."
)


@runtime_checkable
class LineDetector(Protocol):
    """A detector of concepts that says how it makes scores of margins."""

    def lines(self) -> Mapping[str, tuple[float, float]]:
        """Scale and offset of each category that has a score."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be evaluated, and how.

    Args:
        settings: of the figures.
        made: the instant of this run, RFC 3339.
        requirements: what has to be reached.
        written: thresholds of packs by detector and category.
        definition: the packs' digests, for what their lists and concepts mean.
        concepts: the packs' concepts.
        changed: source pictures a category that are changed to see how robust a detector is; 0 for none.
        timeout: seconds that one picture may take.
        names: whether file names are written out.
    """

    settings: Settings
    made: str
    requirements: tuple[Requirement, ...] = ()
    written: Mapping[tuple[str, str], tuple[float, ...]] = field(default_factory=dict)
    definition: str = ""
    concepts: Mapping[str, Concept] = field(default_factory=dict)
    changed: int = MOST
    timeout: float = _SECONDS
    names: bool = False


@dataclass(frozen=True, slots=True)
class _Scores:
    """What is written beside the figures."""

    rows: Rows
    stamps: Mapping[str, Stamp]
    lines: Mapping[tuple[str, str], Line] = field(default_factory=dict)


def output_folder(path: Path) -> Path:
    """Make the output folder.

    Raises:
        EvaluationInvalid: it is a file, or cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvaluationInvalid(f"--output {path} cannot be made: {error.strerror}.", remedy="Name a folder.") from None
    return path


def whole(names: Iterable[str], settings: Mapping[str, Mapping[str, Any]], place: Place) -> tuple[Detector, ...]:
    """Detectors by name alone, without a pack, set as somebody wrote.

    Raises:
        DetectorError: there is no such detector, or its categories are written in a pack.
    """
    found = load_detectors(names, settings=settings, place=place)
    for one in found:
        if not getattr(one, "categories", ()):
            raise DetectorError(
                f"detector {one.name!r} looks for what a policy says: its lists or concepts.",
                remedy="Give the policy with --policy PACK.",
            )
    return found


def evaluate_pictures(
    data: DataSet,
    detectors: Sequence[Detector],
    targets: Sequence[Target],
    wanted: Wanted,
    output: Path,
    *,
    progress: Progress = lambda *_: None,
) -> Evaluation:
    """Score the pictures of a data set, and evaluate.

    Raises:
        EvaluationInvalid: a picture cannot be read, or has contradicting labels.
        DetectorError: a detector's weights are not there, or not the known ones.
        EvaluationUnavailable: scikit-learn or matplotlib is not installed.
    """
    used = tuple(one for one in detectors if one.name in {target.detector for target in targets})
    stamps = {one.name: Stamp(one.name, one.version, one.digest) for one in used}
    pictures = hashed(data, progress)
    files = {sha256: data.folder / one.file for sha256, one in zip(pictures, data.pictures, strict=True) if one.labels}
    with Cache(output_folder(output)) as cache:
        scorer = Scorer(used, wanted.definition, cache, wanted.timeout, progress)
        rows = judged(data, pictures, targets, scorer.score(files))
        analyses = _analyses(rows, stamps, wanted, progress)
        if wanted.changed:
            analyses = _with_changes(analyses, rows, files, scorer, wanted)
    labelled = {target.label for target in targets}
    found = _evaluation(
        *(rows, analyses, wanted),
        pictures=len(files),
        layout=data.layout,
        notes=data.notes + _notes(data),
        unlabelled=tuple(name for name in data.categories if name not in labelled),
    )
    lines = {(one.name, name): Line(*line) for one in used for name, line in _lines(one).items()}
    _write(found, _Scores(rows, stamps, lines), wanted, output, progress)
    return found


def evaluate_scores(
    rows: Rows, stamps: Mapping[str, Stamp], wanted: Wanted, output: Path, *, progress: Progress = lambda *_: None
) -> Evaluation:
    """Evaluate scores that were made before; there are no pictures, so nothing is tried on changed ones.

    Raises:
        EvaluationUnavailable: scikit-learn or matplotlib is not installed.
    """
    wanted = replace(wanted, changed=0)
    output_folder(output)
    analyses = _analyses(rows, stamps, wanted, progress)
    pictures = len({(row.picture, row.file) for some in rows.values() for row in some})
    found = _evaluation(rows, analyses, wanted, pictures=pictures, layout="scores")
    _write(found, _Scores(rows, stamps), wanted, output, progress)
    return found


def _lines(detector: Detector) -> Mapping[str, tuple[float, float]]:
    if not isinstance(detector, LineDetector):
        return {}
    try:
        return detector.lines()
    except DetectorError:
        return {}


def _notes(data: DataSet) -> tuple[str, ...]:
    if all(one.source for one in data.pictures):
        return ()
    return (_NO_SOURCES,)


def _analyses(rows: Rows, stamps: Mapping[str, Stamp], wanted: Wanted, progress: Progress) -> tuple[Analysis, ...]:
    found = []
    for number, (target, some) in enumerate(rows.items(), start=1):
        written = wanted.written.get((target.detector, target.category), ())
        found.append(analyse(target, stamps[target.detector], some, written, wanted.settings))
        progress("calculating", number, len(rows))
    return tuple(found)


def _with_changes(
    analyses: Sequence[Analysis], rows: Rows, files: Mapping[str, Path], scorer: Scorer, wanted: Wanted
) -> tuple[Analysis, ...]:
    """Each analysis with what changes of its pictures do."""
    settings = wanted.settings
    some = chosen({one.target: rows[one.target] for one in analyses}, wanted.changed, settings.seed)
    few = {one.target for one in analyses if one.whole.counts.too_few}
    needed = {row.picture: files[row.picture] for target, part in some.items() if target not in few for row in part}
    compared: dict[Target, list[Changed]] = {target: [] for target in some}
    for change, how in CHANGES.items() if needed else ():
        answers = scorer.score(needed, change, how)
        for one in analyses:
            if one.target not in few:
                before, after = to_column(some[one.target]), to_column(_again(some[one.target], one.target, answers))
                compared[one.target].append(
                    compare(*(before, after, change, one.working_threshold), rounds=settings.rounds, seed=settings.seed)
                )
    return tuple(replace(one, robustness=tuple(compared[one.target])) for one in analyses)


def _again(rows: Sequence[Judged], target: Target, answers: Answers) -> list[Judged]:
    """The rows with the scores of the changed pictures."""
    found = [answers[row.picture, target.detector, target.category] for row in rows]
    return [replace(row, score=score, reason=reason) for row, (score, reason) in zip(rows, found, strict=True)]


def _evaluation(
    rows: Rows,
    analyses: tuple[Analysis, ...],
    wanted: Wanted,
    *,
    pictures: int,
    layout: str,
    notes: tuple[str, ...] = (),
    unlabelled: tuple[str, ...] = (),
) -> Evaluation:
    return Evaluation(
        layout=layout,
        notes=notes,
        dataset=dataset_digest(rows),
        pictures=pictures,
        definition=wanted.definition,
        settings=wanted.settings,
        analyses=analyses,
        requirements=wanted.requirements,
        changes=tuple(CHANGES) if wanted.changed else (),
        changed_most=wanted.changed,
        unlabelled=unlabelled,
        made=wanted.made,
        names=wanted.names,
    )


def _write(found: Evaluation, scores: _Scores, wanted: Wanted, output: Path, progress: Progress) -> None:
    from limner_policy.evaluation.report_page import report

    score_files.write_scores(output / score_files.NAME, scores.rows, scores.stamps, names=wanted.names)
    _put(output / snippet.NAME, snippet.snippet(found, scores.lines, wanted.concepts))
    _put(output / "index.html", report(found, progress))
    _put(output / results.NAME, _pretty(found))


def _pretty(found: Evaluation) -> str:
    import json

    document = results.to_json(found)
    canonical(document)  # nothing in it that canonical JSON cannot carry
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _put(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(path)
