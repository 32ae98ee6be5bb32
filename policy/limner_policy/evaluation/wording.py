"""What an evaluation's page says in words. No calculation, no markup."""

from __future__ import annotations

from collections.abc import Iterator

from limner_policy.evaluation.analysing import Analysis
from limner_policy.evaluation.bootstrap import Estimate
from limner_policy.evaluation.measures import Working
from limner_policy.evaluation.results import Evaluation
from limner_policy.evaluation.thresholds import Band

CURVES = (
    "Top left: what scores pictures of either label get; lines are thresholds, the shaded part is the proposed review "
    "band. Top right: how much precision costs recall. Bottom left: recall against false alarms. Bottom right: on the "
    "dotted line a score of 0.8 is right eight times of ten; the calibrated points are of pictures not fitted on."
)
SLICES = "Dots are the figures, bars their intervals of 95 %. Slices with too few pictures are in the table alone."
ROBUSTNESS = "How far each figure moves on the same pictures, with its interval of 95 %. Left of the line is worse."
CHOSEN = (
    "Each threshold was chosen on one half of the source pictures; the figures are those of the other half, which had "
    "no say in it."
)
CALIBRATION = (
    "The error is the mean distance between score and share of positives; 0 is perfect. Methods were fitted on four "
    "fifths of the source pictures and measured on the last, in turn. Probabilities hold for as many positives as here."
)
SURPRISES = "The lowest scores of positives and the highest of negatives: a wrong label is found here first."
_INTERVALS = (
    "Intervals hold in 95 of 100 repetitions. They come from drawing distinct source pictures anew, each with all "
    "pictures made from it, so that copies of one picture do not count as evidence of their own. Shares never get a "
    "narrower interval than the exact one of Clopper and Pearson on the number of source pictures."
)
_REFUSED = (
    "No figure is given below 50 distinct positive and 50 distinct negative source pictures; that holds for slices and "
    "halves too."
)
_UNKNOWN = (
    "A picture without a score is unknown: it is left out of the figures, counted apart, and never taken as harmless. "
    "Where a recall is required, it counts as missed."
)
_RARE = (
    "Precision depends on how many positives there are. The column for 1 % says what it would be where one picture of "
    "a hundred is positive, by the same recall and false positive rate."
)
METHOD = (_INTERVALS, _REFUSED, _UNKNOWN, _RARE)


def short(threshold: float) -> str:
    """A threshold with as many decimals as it has, six at most."""
    return f"{threshold:.6f}".rstrip("0").rstrip(".") or "0"


def percent(value: float | None) -> str:
    """A share as percent."""
    return "–" if value is None else f"{100 * value:.1f} %"


def estimate(found: Estimate, *, sign: bool = False) -> str:
    """A figure with its interval."""
    if found.value is None:
        return "–"
    form = "{:+.3f}" if sign else "{:.3f}"
    value = form.format(found.value)
    if found.low is None or found.high is None:
        return value
    return f"{value} ({form.format(found.low)} to {form.format(found.high)})"


def scope(found: Evaluation) -> str:
    """What was looked at, as one sentence."""
    detectors = sorted({one.stamp.name for one in found.analyses})
    count = len(found.analyses)
    what = f"{count} categories" if count > 1 else "1 category"
    return f"{found.pictures:,} labelled pictures, {what} of {', '.join(detectors)}."


def sentences(one: Analysis) -> Iterator[str]:
    """A category in sentences."""
    counted = one.whole.counts
    yield (
        f"{counted.positives:,} pictures show it and {counted.negatives:,} do not, made from "
        f"{counted.sources:,} distinct pictures."
    )
    lost = counted.unknown_positives + counted.unknown_negatives
    if lost:
        yield f"{lost:,} have no score ({counted.unknown_positives:,} of them show it), and are never cleared."
    if counted.too_few:
        yield counted.too_few
        return
    yield from _working(one.whole.at[one.thresholds[-1]])
    yield f"A picture that shows it outranks one that does not in {percent(one.whole.auroc.value)} of pairs."


def _working(working: Working) -> Iterator[str]:
    recall, fpr = working.recall, working.fpr
    yield (
        f"At the threshold {short(working.threshold)} it finds {percent(recall.value)} of what shows it (between "
        f"{percent(recall.low)} and {percent(recall.high)}) and wrongly flags {percent(fpr.value)} of the others "
        f"(between {percent(fpr.low)} and {percent(fpr.high)})."
    )
    rare = working.rare_precision["0.01"]
    if rare is not None:
        yield f"If one picture in a hundred showed it, {percent(rare)} of the flagged would be right."


def band(found: Band | str) -> str:
    """The band in sentences."""
    if isinstance(found, str):
        return found or "There is none."
    if found.high is None:
        return f"No threshold reaches {percent(found.aim_right)} right among the flagged with 95 % confidence: no band."
    high, looked = short(found.high), f"{percent(found.review_positives)} of what shows it"
    looked += f" and {percent(found.review_negatives)} of the rest"
    if not found.low:
        text = f"No score is low enough to let pass. From {high} on act, and below let a person look: that is {looked}."
    else:
        text = (
            f"Below {short(found.low)} let pass, from {high} on act, and between let a person look: that is {looked}."
        )
    text += (
        f" With 95 % confidence at most {percent(found.missed)} of the source pictures that show it fall below "
        f"(aim {percent(found.aim_missed)}), and at least {percent(found.right)} of the flagged ones are right "
        f"(aim {percent(found.aim_right)})."
    )
    if not found.shown:
        text += " The aims are not reached: more pictures, or a better detector, would be needed to promise them."
    return text
