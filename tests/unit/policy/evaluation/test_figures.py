"""Figures of an evaluation, held against scikit-learn, closed forms and simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from limner_policy.evaluation.bootstrap import above, below, exact, interval, weightings
from limner_policy.evaluation.column import Column, column
from limner_policy.evaluation.curves import Ranking
from limner_policy.evaluation.measures import LEAST, measure
from limner_policy.evaluation.reliability import reliability


def drawn(seed: int, *, sources: int = 120, copies: int = 1, apart: float = 1.0, spread: float = 0.0) -> Column:
    """A column of `copies` pictures a source; scores are normal, their means `apart`, squeezed into 0…1."""
    chance = np.random.default_rng(seed)
    labels = np.arange(sources) % 2 == 0
    means = np.repeat(chance.normal(0, 1, sources) + apart * labels, copies)
    values = means + spread * chance.normal(0, 1, sources * copies)
    names = [f"s{number}" for number in range(sources) for _ in range(copies)]
    return column((1 / (1 + np.exp(-values))).tolist(), np.repeat(labels, copies).tolist(), names)


@pytest.mark.parametrize("decimals", [1, 6])
def test_figures_are_those_of_scikit_learn(decimals: int) -> None:
    """AUROC, average precision, precision, recall and F1, weighted, with many equal scores and with few."""
    of = drawn(1)
    scores, weights = np.round(of.scores, decimals), np.random.default_rng(2).integers(0, 4, len(of)).astype(float)
    part = Ranking(scores, of.labels).weighted(weights)
    found, at = part.figures(), part.at(0.6)
    assert found.auroc[0] == pytest.approx(metrics.roc_auc_score(of.labels, scores, sample_weight=weights))
    assert found.auprc[0] == pytest.approx(metrics.average_precision_score(of.labels, scores, sample_weight=weights))
    flagged = scores >= 0.6
    for name, peer in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f1", metrics.f1_score),
    ):
        assert getattr(at, name)[0] == pytest.approx(peer(of.labels, flagged, sample_weight=weights)), name
    rates, found_rates, _ = metrics.roc_curve(of.labels, scores, sample_weight=weights, drop_intermediate=False)
    assert found.fpr_at_tpr[0] == pytest.approx(rates[np.argmax(found_rates >= 0.95)])


def test_many_weightings_at_once_are_each_on_its_own() -> None:
    """A block of weightings gives what each gives alone."""
    of = drawn(3)
    ranking, weights = (
        Ranking(of.scores, of.labels),
        np.random.default_rng(4).integers(0, 3, (5, len(of))).astype(float),
    )
    together = ranking.weighted(weights)
    for number, one in enumerate(weights):
        alone = ranking.weighted(one)
        assert together.figures().auroc[number] == alone.figures().auroc[0]
        assert together.at(0.3).f1[number] == alone.at(0.3).f1[0]


def test_thresholds_above_all_scores_flag_nothing() -> None:
    """Recall is 0 and precision has nothing to divide by; at the lowest score everything is flagged."""
    ranking = Ranking(np.array([0.2, 0.8]), np.array([False, True])).weighted(np.ones(2))
    assert ranking.at(0.9).recall[0] == 0
    assert math.isnan(ranking.at(0.9).precision[0])
    assert ranking.at(0.8).recall[0] == 1
    assert ranking.at(0.2).fpr[0] == 1


def test_a_source_is_drawn_with_all_its_pictures() -> None:
    """Pictures of one source always weigh the same, each round draws as many sources as there are, and again alike."""
    sources = np.array([0, 0, 0, 1, 2, 2])
    blocks = np.concatenate(list(weightings(sources, 500, 9)))
    assert blocks.shape == (500, 6)
    assert (blocks[:, 0] == blocks[:, 1]).all()
    assert (blocks[:, [0, 3, 4]].sum(axis=1) == 3).all()
    assert (blocks == np.concatenate(list(weightings(sources, 500, 9)))).all()
    assert not (blocks == np.concatenate(list(weightings(sources, 500, 10)))).all()


@pytest.mark.parametrize(("hits", "count"), [(0, 50), (47, 50), (50, 50), (1, 3)])
def test_exact_bounds_are_those_of_clopper_and_pearson(hits: int, count: int) -> None:
    """As scipy calculates them for whole numbers."""
    peer = stats.binomtest(hits, count).proportion_ci(0.95, "exact")
    assert exact(hits / count, count) == pytest.approx((peer.low, peer.high))


def test_no_miss_in_fifty_is_no_promise() -> None:
    """The rule of three: without a miss in 50, up to 5.8 % may be missed with 95 % confidence."""
    assert above(0.0, 50, 0.05) == pytest.approx(1 - 0.05 ** (1 / 50))
    assert below(1.0, 50, 0.05) == pytest.approx(0.05 ** (1 / 50))


def test_perfect_figures_still_have_an_interval() -> None:
    """Where every positive outranks every negative, recall, false alarms and AUROC are not said to be certain."""
    of = column([0.9] * 60 + [0.1] * 60, [True] * 60 + [False] * 60, [f"s{n}" for n in range(120)])
    found = measure(of, [0.5], rounds=200, seed=1)
    working = found.at[0.5]
    assert (working.recall.value, working.recall.high) == (1, 1)
    assert working.recall.low == pytest.approx(0.025 ** (1 / 60))
    assert working.fpr.high == pytest.approx(1 - 0.025 ** (1 / 60))
    assert found.auroc.low == pytest.approx(0.025 ** (1 / 60))
    assert working.f1.low is None, "a bootstrap that saw no variation tells no interval"


def test_intervals_hold_as_often_as_they_say() -> None:
    """Of 100 data sets with three pictures a source, the true AUROC lies in most intervals."""
    # Means one standard deviation apart, scores spread by 1 between sources and by 0.5 between their pictures.
    true = stats.norm.cdf(1 / math.sqrt(2 * (1 + 0.25)))
    held = narrow = 0
    for seed in range(100):
        of = drawn(seed, copies=3, spread=0.5)
        found = measure(of, [], rounds=200, seed=1).auroc
        assert found.low is not None
        assert found.high is not None
        held += found.low <= true <= found.high
        alone = Column(of.scores, of.labels, np.arange(len(of)), of.names)
        naive = measure(alone, [], rounds=200, seed=1).auroc
        assert naive.low is not None
        assert naive.high is not None
        narrow += naive.low <= true <= naive.high
    assert held >= 0.88 * 100, held
    assert narrow < held - 10, "drawing pictures instead of sources would promise too much"


@pytest.mark.parametrize(("positives", "negatives"), [(LEAST - 1, 80), (80, LEAST - 1)])
def test_below_fifty_distinct_pictures_no_figure_is_given(positives: int, negatives: int) -> None:
    """Copies do not help; one more source does."""

    def of(more: int) -> Column:
        names = [f"p{n}" for n in range(positives + more)] * 3 + [f"n{n}" for n in range(negatives + more)] * 3
        labels = [name.startswith("p") for name in names]
        return column([0.6 if label else 0.4 for label in labels], labels, names)

    refused = measure(of(0), [0.5], rounds=100, seed=1)
    assert "49 distinct" in refused.counts.too_few
    assert refused.at == {}
    assert refused.auroc.value is None
    assert measure(of(1), [0.5], rounds=100, seed=1).auroc.value == 1


def test_unknown_is_counted_apart_and_never_as_safe() -> None:
    """Figures are of known scores; required recall counts a positive without a score as missed."""
    of = column([None] * 20 + [0.9] * 60 + [0.1] * 60, [True] * 80 + [False] * 60, [f"s{n}" for n in range(140)])
    found = measure(of, [0.5], rounds=100, seed=1)
    assert (found.counts.unknown_positives, found.counts.positive_sources) == (20, 60)
    assert found.at[0.5].recall.value == 1
    assert found.at[0.5].worst_recall == 0.75
    assert found.at[0.5].counted == (60, 0, 0, 60)


def test_precision_at_rare_positives_is_by_the_rule_of_bayes() -> None:
    """From recall 0.5 and false positive rate 0.1, one positive in a hundred: 1 right of 20.8."""
    scores = [0.9] * 30 + [0.1] * 30 + [0.9] * 6 + [0.1] * 54
    of = column(scores, [True] * 60 + [False] * 60, [f"s{n}" for n in range(120)])
    rare = measure(of, [0.5], rounds=100, seed=1).at[0.5].rare_precision
    assert rare["0.01"] == pytest.approx(0.005 / (0.005 + 0.099))


def test_slices_are_parts_of_the_whole() -> None:
    """Each value of a slice is a part; pictures without one are in none."""
    of = column([0.5] * 4, [True] * 4, ["a", "b", "c", "d"], {"style": ["x", "y", "", "x"]})
    assert [(name, value, part.names) for name, value, part in of.parts()] == [
        ("style", "x", ("a", "d")),
        ("style", "y", ("b",)),
    ]


def test_reliability_is_what_its_definition_says() -> None:
    """Two bins by hand, and the Brier score of scikit-learn."""
    scores, labels = np.array([0.05, 0.05, 0.75, 0.75]), np.array([False, True, True, True])
    found = reliability(scores, labels, np.arange(4), rounds=100, seed=1)
    assert [(one.count, one.share) for one in found.bins] == [(2, 0.5), (2, 1.0)]
    assert found.ece.value == pytest.approx((0.45 * 2 + 0.25 * 2) / 4)
    assert found.brier.value == pytest.approx(metrics.brier_score_loss(labels, scores))
    assert found.log_loss == pytest.approx(metrics.log_loss(labels, scores))


def test_rounds_that_cannot_be_calculated_give_no_interval() -> None:
    """Where most rounds have no positives, or all are alike, there is a figure and no interval."""
    assert interval(0.5, np.array([np.nan, np.nan, np.nan, 0.5])).low is None
    assert interval(0.5, np.full(10, 0.5)).low is None
    assert interval(math.nan, np.ones(10)).value is None
