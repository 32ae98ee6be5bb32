"""The page of an evaluation, `index.html`: sentences first, then tables and plots. One file that loads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from limner_policy.evaluation import plots, wording
from limner_policy.evaluation.analysing import Analysis
from limner_policy.evaluation.results import Evaluation
from limner_policy.evaluation.scoring import Progress
from limner_policy.evaluation.wording import estimate, percent, short
from limner_policy.tools.page import page, pairs, table, tag, text

_STYLE = """
main { max-width: 58rem; } figure { margin: 1rem 0; } figure svg { width: 100%; height: auto; display: block; }
figcaption { font: 500 .8rem/1.45 system-ui, "DejaVu Sans", sans-serif; color: var(--soft); margin-top: .3rem; }
td, th { padding-right: .8rem; } .good { color: var(--allow); font-weight: 600; }
.bad { color: var(--deny); font-weight: 600; } .scroll { overflow-x: auto; } .sum li { margin: .45rem 0; }
section { border-top: 1px solid var(--line); margin-top: 2.2rem; } h4 { margin: 1.3rem 0 .3rem; font-size: 1rem; }
.mono { word-break: break-all; }
"""


def report(found: Evaluation, progress: Progress = lambda *_: None) -> str:
    """The whole page."""
    body = [*_head(found), *_summary(found)]
    for number, one in enumerate(found.analyses):
        body.append(tag("section", *_category(one, number), anchor=f"c{number}"))
        progress("drawing", number + 1, len(found.analyses))
    return page("How good the detectors are", [*body, *_method(found)], style=_STYLE)


def _head(found: Evaluation) -> Iterator[str]:
    yield tag("h1", "How good the detectors are on these pictures")
    yield tag("p", text(wording.scope(found)), css="lead")
    for note in found.notes:
        yield tag("p", text(note), css="warn")


def _summary(found: Evaluation) -> Iterator[str]:
    yield tag("h2", "In short")
    yield tag("ul", *(tag("li", *_short(one, number)) for number, one in enumerate(found.analyses)), css="sum")
    unmet = found.unmet()
    if found.requirements or unmet:
        yield tag("h3", "What was asked for")
        met = [wanted.text for wanted in found.requirements if not any(one.startswith(wanted.text) for one in unmet)]
        yield tag(
            "ul",
            *(tag("li", tag("span", "met", css="good"), f": {text(one)}") for one in met),
            *(tag("li", tag("span", "not reached", css="bad"), f": {text(one)}") for one in unmet),
        )
    yield tag("h3", "At a glance")
    yield tag("div", _glance(found.analyses), css="scroll")


def _short(one: Analysis, number: int) -> Iterator[str]:
    yield f'<a href="#c{number}"><b>{text(one.target)}</b></a>: '
    yield text(" ".join(wording.sentences(one)))


def _glance(analyses: Sequence[Analysis]) -> str:
    rows = []
    for one in analyses:
        working = one.whole.at.get(one.thresholds[-1])
        counted = one.whole.counts
        known = (
            [estimate(e) for e in (working.recall, working.precision, working.f1, working.fpr)]
            if working
            else ["too few"] * 4
        )
        scored = f"{counted.positive_sources:,} / {counted.negative_sources:,}"
        unknown = f"{counted.unknown_positives + counted.unknown_negatives:,}"
        auroc = estimate(one.whole.auroc) if working else "too few"
        rows.append([text(one.target), scored, unknown, short(one.thresholds[-1]), *known, auroc])
    head = ("category", "distinct it / not it", "unknown", "threshold", "recall", "precision", "F1")
    return table((*head, "false positive rate", "AUROC"), rows)


def _category(one: Analysis, number: int) -> Iterator[str]:
    yield tag("h2", text(one.target))
    for sentence in wording.sentences(one):
        yield tag("p", text(sentence))
    if one.unknown:
        yield tag("h4", "Why scores are unknown")
        yield table(("reason", "pictures"), ([text(why), f"{count:,}"] for why, count in one.unknown.items()))
    if one.whole.counts.too_few:
        return
    yield _figure(plots.curves(one, 3 * number), wording.CURVES)
    yield tag("h4", "At thresholds")
    yield tag("div", _thresholds(one), css="scroll")
    yield from _chosen(one)
    yield from _band(one)
    yield from _calibration(one)
    yield from _slices(one, number)
    yield from _robustness(one, number)
    yield from _surprises(one)


def _figure(drawn: str, caption: str) -> str:
    return tag("figure", drawn, tag("figcaption", text(caption))) if drawn else ""


_WORKING = ("threshold", "recall", "precision", "F1", "false positive rate", "precision at 1 % positives")


def _thresholds(one: Analysis) -> str:
    rows = []
    for threshold, working in one.whole.at.items():
        figures = [estimate(e) for e in (working.recall, working.precision, working.f1, working.fpr)]
        rows.append([short(threshold), *figures, percent(working.rare_precision["0.01"])])
    return table(_WORKING, rows)


def _chosen(one: Analysis) -> Iterator[str]:
    yield tag("h4", "Thresholds for a target")
    yield tag("p", text(wording.CHOSEN), css="small")
    rows = []
    for chosen in one.chosen:
        working = next(iter(chosen.told.at.values()), None) if chosen.told else None
        aim = f"{chosen.aim} {percent(chosen.target)}"
        if chosen.threshold is None or working is None:
            rows.append([aim, text(chosen.why_not or "too few"), "", "", ""])
            continue
        figures = [estimate(e) for e in (working.recall, working.precision, working.fpr)]
        rows.append([aim, short(chosen.threshold), *figures])
    yield table(("target", "threshold", "recall", "precision", "false positive rate"), rows)


def _band(one: Analysis) -> Iterator[str]:
    yield tag("h4", "A band of scores for people to look at")
    yield tag("p", text(wording.band(one.band)))


def _calibration(one: Analysis) -> Iterator[str]:
    yield tag("h4", "Are the scores probabilities?")
    yield tag("p", text(wording.CALIBRATION), css="small")
    rows = []
    if one.reliability is not None:
        rows.append(["as scored", estimate(one.reliability.ece), estimate(one.reliability.brier), ""])
    for name, found in one.calibrations.items():
        steps = found.scale is None
        curve = "a curve of steps" if steps else f"scale {found.scale:.4f}, offset {found.offset:.4f}"
        rows.append([name, estimate(found.reliability.ece), estimate(found.reliability.brier), curve])
    yield table(("method", "calibration error", "Brier score", "curve on logit(score)"), rows)


def _slices(one: Analysis, number: int) -> Iterator[str]:
    if not one.slices:
        return
    yield tag("h4", "By slice")
    yield _figure(plots.slices(one, 3 * number + 1), wording.SLICES)
    rows = []
    for name, value, part in one.slices:
        sources = f"{part.counts.positive_sources:,} / {part.counts.negative_sources:,}"
        working = part.at.get(one.thresholds[-1])
        told = (working.recall, working.precision, working.fpr, part.auroc) if working else ()
        rows.append([text(f"{name}: {value}"), sources, *(map(estimate, told) if told else ["too few"] * 4)])
    head = ("slice", "distinct it / not it", "recall", "precision", "false positive rate", "AUROC")
    yield tag("div", table(head, rows), css="scroll")


def _robustness(one: Analysis, number: int) -> Iterator[str]:
    if not one.robustness:
        return
    yield tag("h4", "When pictures are changed")
    yield _figure(plots.robustness(one, 3 * number + 2), wording.ROBUSTNESS)
    rows = []
    for found in one.robustness:
        after, moved = found.after, found.moved
        cells = [estimate(after["recall"]), estimate(moved["recall"], sign=True), estimate(after["f1"])]
        cells += [estimate(moved["f1"], sign=True), estimate(moved["fpr"], sign=True)]
        rows.append([text(found.change), *(["too few"] * 5 if found.counts.too_few else cells)])
    head = ("change", "recall", "by", "F1", "by", "false positive rate by")
    yield tag("div", table(head, rows), css="scroll")


def _surprises(one: Analysis) -> Iterator[str]:
    if not one.surprises:
        return
    yield tag("h4", "Worth a look")
    yield tag("p", text(wording.SURPRISES), css="small")
    rows = (
        [text(what), row.score or "", tag("span", text(row.picture or "–"), css="mono")] for what, row in one.surprises
    )
    yield table(("what", "score", "picture"), rows)


def _method(found: Evaluation) -> Iterator[str]:
    yield tag("h2", "How this was calculated")
    yield from (tag("p", text(one)) for one in wording.METHOD)
    weights = [f"{one.stamp.name} {one.stamp.version} {one.stamp.digest}" for one in found.analyses]
    rows = [("evaluation", found.id), ("made", found.made), ("data set", f"{found.dataset} ({found.layout})")]
    rows += [("detector", one) for one in dict.fromkeys(weights)]
    rows += [("packs", found.definition)] if found.definition else []
    settings = found.settings
    rows.append(("bootstrap", f"{settings.rounds:,} rounds, seed {settings.seed}"))
    yield pairs((name, tag("span", text(value), css="mono")) for name, value in rows)
