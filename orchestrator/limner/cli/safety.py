"""`limner safety eval`: how good detectors are on a folder of labelled pictures, with figures that can be held up."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.cli.output import Interrupted, emit_json, err, out, plain, table

if TYPE_CHECKING:
    from limner_policy import Detector, Pack
    from limner_policy.evaluation.evaluating import Wanted
    from limner_policy.evaluation.results import Evaluation

app = typer.Typer(help="How good detectors are on your pictures.", no_args_is_help=True)


@app.callback()
def safety() -> None:
    """Keep `eval` a command of its own."""


@app.command("eval")
def evaluate(
    context: typer.Context,
    dataset: Annotated[
        Path | None, typer.Argument(help="A folder of pictures with a CSV of labels; none with --scores.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for results, page and scores.", metavar="DIR")] = Path(
        "safety-evaluation"
    ),
    detector: Annotated[list[str] | None, typer.Option(help="A detector; may be repeated.", metavar="NAME")] = None,
    policy: Annotated[
        list[Path] | None,
        typer.Option(help="A policy: what its rules ask of detectors, at their thresholds; may be repeated."),
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(help="A CSV of scores made before, instead of pictures.", metavar="FILE")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="The CSV of the folder; else labels.csv, else the only one.", metavar="NAME")
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="limner, unsafebench or i2p; else told from the columns.", metavar="LAYOUT")
    ] = None,
    maps: Annotated[
        list[str] | None,
        typer.Option("--map", help="Hold a category against a label of another name; may be repeated.", metavar="L=C"),
    ] = None,
    target_precision: Annotated[
        float | None, typer.Option(help="Choose a threshold for it (0.95).", metavar="P", min=0.01, max=1)
    ] = None,
    target_recall: Annotated[
        float | None, typer.Option(help="Choose a threshold for it (0.95).", metavar="R", min=0.01, max=1)
    ] = None,
    at: Annotated[
        list[float] | None, typer.Option(help="Tell figures at this threshold too.", metavar="SCORE", min=0, max=1)
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(help="Exit code 1 unless met: 'recall>=0.9', 'weapon:fpr<=0.05'.", metavar="FIGURE>=X"),
    ] = None,
    changed: Annotated[
        int,
        typer.Option(
            help="Source pictures a category that are changed to test robustness; 0: none.", min=0, metavar="N"
        ),
    ] = 200,
    bootstrap: Annotated[int, typer.Option(help="Rounds of the bootstrap.", min=100, max=100_000, metavar="N")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap, and of how halves are parted.", min=0)] = 7,
    timeout: Annotated[float, typer.Option(help="Seconds that one picture may take.", min=0.1, metavar="S")] = 30.0,
    names: Annotated[bool, typer.Option("--names", help="Write file names into scores.csv and results.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as one JSON document.")] = False,
) -> None:
    """Evaluate detectors: figures with intervals, calibration, thresholds, robustness, as JSON and a page.

    Exit code 0; 1 where a requirement is not met or pictures are too few; 2 for wrong input.
    """
    from limner_policy.evaluation.analysing import Settings
    from limner_policy.evaluation.evaluating import Wanted
    from limner_policy.evaluation.requirements import requirement
    from limner_provenance.entries import now

    packs = _packs(policy)
    settings = Settings(target_precision or 0.95, target_recall or 0.95, tuple(sorted(set(at or ()))), bootstrap, seed)
    wanted = Wanted(
        settings=settings,
        made=now(),
        requirements=tuple(map(requirement, require or ())),
        changed=changed,
        timeout=timeout,
        names=names,
        **_of_packs(packs),
    )
    with _progress(quiet=as_json) as told, _interruptible(output):
        if scores is not None:
            found = _from_scores(scores, dataset, detector, wanted, output, told)
        else:
            ready = _detectors(context, detector, packs)
            found = _from_pictures(dataset, (labels, layout, maps or ()), ready, wanted, output, told)
    _show(found, output, as_json=as_json)
    asked = {aim for aim, value in (("precision", target_precision), ("recall", target_recall)) if value is not None}
    if found.unmet() or _not_chosen(found, asked):
        raise typer.Exit(1)


def _packs(paths: Sequence[Path] | None) -> tuple[Pack, ...]:
    from limner_policy import load_packs

    return load_packs(paths) if paths else ()


def _of_packs(packs: Sequence[Pack]) -> dict[str, Any]:
    """What packs say of thresholds, lists and concepts."""
    from limner_policy.evaluation.matching import pack_thresholds

    named = sorted(f"{pack.name} {pack.version} {pack.sha256}" for pack in packs)
    concepts = {concept.name: concept for pack in packs for concept in pack.concepts}
    return {"written": pack_thresholds(packs), "definition": ", ".join(named), "concepts": concepts}


def _detectors(context: typer.Context, names: Sequence[str] | None, packs: Sequence[Pack]) -> tuple[Detector, ...]:
    """Make the detectors that are named, and those that rules of the packs name, as the configuration sets them.

    Raises:
        EvaluationInvalid: There is none, no detector has that name, or it needs a pack.
    """
    from limner.config import load_config
    from limner_policy.detectors.choosing import detectors_for
    from limner_policy.detectors.settings import Place
    from limner_policy.errors import DetectorError, DetectorUnavailable, EvaluationInvalid, WeightsMismatch
    from limner_policy.evaluation.evaluating import whole
    from limner_provenance.entries import now

    if not names and not packs:
        raise EvaluationInvalid(
            "Nothing says what to evaluate.", remedy="Name a detector (--detector nsfw) or a policy (--policy PACK)."
        )
    config = load_config(context.obj, engines=False)
    settings = config.detector_settings()
    place = Place(folder=config.root)
    try:
        found = {one.name: one for one in detectors_for(packs, "image", now(), settings=settings, place=place)}
        found |= {one.name: one for one in whole(set(names or ()) - found.keys(), settings, place)}
    except (DetectorUnavailable, WeightsMismatch):
        raise
    except DetectorError as error:
        raise EvaluationInvalid(str(error)) from None
    if not found:
        raise EvaluationInvalid(
            "No rule in force of these policies asks a detector about pictures.", remedy="Name another, or --detector."
        )
    return tuple(found.values())


def _from_pictures(
    dataset: Path | None,
    reading: tuple[str | None, str | None, Sequence[str]],
    detectors: Sequence[Detector],
    wanted: Wanted,
    output: Path,
    told: Callable[[str, int, int], object],
) -> Evaluation:
    from limner_policy.errors import EvaluationInvalid
    from limner_policy.evaluation.dataset import read_dataset
    from limner_policy.evaluation.evaluating import evaluate_pictures
    from limner_policy.evaluation.matching import read_maps, targets

    if dataset is None:
        raise EvaluationInvalid("There is no data set.", remedy="Name a folder of pictures, or give --scores FILE.")
    labels, layout, maps = reading
    data = read_dataset(dataset, table=labels, layout=layout)
    wished = targets(detectors, data.categories, read_maps(maps))
    return evaluate_pictures(data, detectors, wished, wanted, output, progress=told)


def _from_scores(
    scores: Path,
    dataset: Path | None,
    detectors: Sequence[str] | None,
    wanted: Wanted,
    output: Path,
    told: Callable[[str, int, int], object],
) -> Evaluation:
    from limner_policy.errors import EvaluationInvalid
    from limner_policy.evaluation.evaluating import evaluate_scores
    from limner_policy.evaluation.score_files import read_labelled

    if dataset is not None:
        raise EvaluationInvalid(
            "--scores needs no data set: its rows hold the labels.", remedy=f"Leave {dataset} out, or --scores."
        )
    rows, stamps = read_labelled(scores)
    if detectors:
        rows = {target: some for target, some in rows.items() if target.detector in detectors}
        if not rows:
            raise EvaluationInvalid(
                f"{scores} has no scores of {', '.join(detectors)}.", remedy=f"It has: {', '.join(stamps)}."
            )
    return evaluate_scores(rows, stamps, wanted, output, progress=told)


def _not_chosen(found: Evaluation, asked: set[str]) -> bool:
    """Whether a threshold that was asked for could not be chosen."""
    return any(one.threshold is None for some in found.analyses for one in some.chosen if one.aim in asked)


def _show(found: Evaluation, output: Path, *, as_json: bool) -> None:
    from limner_policy.evaluation import results, wording

    if as_json:
        emit_json(results.to_json(found) | {"output": str(output)})
        return
    out().print(plain(wording.scope(found)), markup=False)
    out().print(table("", ("category", "it / not it", "unknown", "at", *_HEAD), map(_row, found.analyses)))
    for note in found.notes:
        out().print(plain(note), markup=False)
    for sentence in found.unmet():
        err().print(plain(sentence), markup=False, style="red")
    out().print(f"{output / 'index.html'} is the page; results.json, scores.csv and calibration.yaml lie beside it.")


_HEAD = ("recall", "precision", "false positive rate", "AUROC")


def _row(one: Any) -> tuple[object, ...]:
    from limner_policy.evaluation.wording import estimate, short

    counted, working = one.whole.counts, one.whole.at.get(one.thresholds[-1])
    sources = f"{counted.positive_sources:,} / {counted.negative_sources:,}"
    unknown = counted.unknown_positives + counted.unknown_negatives
    figures = (
        tuple(estimate(e) for e in (working.recall, working.precision, working.fpr, one.whole.auroc))
        if working
        else ("too few",) * len(_HEAD)
    )
    return (one.target, sources, unknown, short(one.thresholds[-1]), *figures)


@contextmanager
def _interruptible(output: Path) -> Iterator[None]:
    """Say after Ctrl-C what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(
            f"Stopped. What was scored is kept in {output}: the same command goes on from there."
        ) from None


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], object]]:
    """Show on standard error what is being done: a bar on a terminal, else a line each tenth."""
    from rich.progress import Progress

    console = err()
    if quiet or not console.is_terminal:
        yield _Lines(quiet=quiet)
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total or None)


class _Lines:
    """Progress for logs: one line each tenth of a piece of work."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._last = ("", -1)

    def __call__(self, what: str, done: int, total: int) -> None:
        tenth = 10 * done // total if total else 10
        if not self._quiet and (what, tenth) != self._last and (tenth == 10 or what == self._last[0]):
            sys.stderr.write(f"{re.sub(r'[^ -~]', '', what)}: {done:,} of {total:,}\n")
            sys.stderr.flush()
        self._last = (what, tenth)
