"""Calibration and thresholds: what is told comes from pictures that had no say in it."""

from __future__ import annotations

import numpy as np
import pytest

from limner_policy.evaluation.calibrating import best, calibrate, logit, sigmoid
from limner_policy.evaluation.column import Column, column
from limner_policy.evaluation.thresholds import Band, band, choose, halves

ROUNDS = {"rounds": 100, "seed": 3}


def bent(count: int, seed: int, *, scale: float = 0.5, offset: float = -1.0, copies: int = 1) -> Column:
    """Scores whose true probability is sigmoid(scale·logit(score) + offset); copies share source, score and label."""
    chance = np.random.default_rng(seed)
    scores = np.round(sigmoid(chance.normal(0, 3, count)), 6)
    labels = chance.random(count) < sigmoid(scale * logit(scores) + offset)
    names = [f"s{number}" for number in range(count)]
    return column(np.tile(scores, copies).tolist(), np.tile(labels, copies).tolist(), names * copies)


def test_a_bent_line_is_found_again() -> None:
    """Scale and offset come out near what they were made with, and the calibrated error is small."""
    found = calibrate(bent(4000, 1), **ROUNDS)
    line = found["logistic"]
    assert line.scale == pytest.approx(0.5, abs=0.05)
    assert line.offset == pytest.approx(-1.0, abs=0.1)
    assert best(found) is line
    assert line.reliability.ece.value == pytest.approx(0, abs=0.03)
    assert found["isotonic"].reliability.ece.value == pytest.approx(0, abs=0.04)
    assert found["temperature"].offset == 0


def test_temperature_alone_is_enough_where_nothing_is_shifted() -> None:
    """Scores twice too sure of themselves are found to be so."""
    found = calibrate(bent(4000, 2, offset=0.0), **ROUNDS)
    assert found["temperature"].scale == pytest.approx(0.5, abs=0.05)


def test_nothing_is_told_from_pictures_that_were_fitted_on() -> None:
    """Where labels are chance, no method looks better than chance, though isotonic could learn them by heart."""
    chance = np.random.default_rng(5)
    scores, labels = np.round(chance.random(300), 6), chance.random(300) < 0.5
    of = column(
        np.repeat(scores, 3).tolist(), np.repeat(labels, 3).tolist(), [f"s{n}" for n in range(300) for _ in "abc"]
    )
    found = calibrate(of, **ROUNDS)["isotonic"]
    brier = found.reliability.brier.value
    assert brier is not None
    assert brier > 0.245
    learnt = np.interp(of.scores, *np.array(found.steps).T)
    assert ((learnt - of.labels) ** 2).mean() < brier - 0.005


def test_perfectly_parted_scores_give_a_finite_line() -> None:
    """A weak penalty keeps scale and offset finite."""
    of = column([0.9] * 60 + [0.1] * 60, [True] * 60 + [False] * 60, [f"s{n}" for n in range(120)])
    found = calibrate(of, **ROUNDS)["logistic"]
    assert found.scale is not None
    assert 0 < found.scale < 100


def test_halves_share_no_source_and_are_always_the_same() -> None:
    """Each source falls into one half, positives evenly, whatever the order of rows; another seed parts otherwise."""
    of = bent(301, 7, copies=2)
    one, two = halves(of, 3)
    assert set(one.names).isdisjoint(two.names)
    assert len(one) + len(two) == len(of)
    assert abs(one.distinct(one.labels) - two.distinct(two.labels)) <= 1
    turned = halves(of.take(np.ones(len(of), dtype=bool)), 3)[0]
    assert turned.names == one.names
    backwards = column(of.scores[::-1].tolist(), of.labels[::-1].tolist(), list(of.names[::-1]))
    assert set(halves(backwards, 3)[0].names) == set(one.names)
    assert set(halves(of, 4)[0].names) != set(one.names)


def test_a_threshold_is_chosen_on_one_half_and_told_on_the_other() -> None:
    """On the half it was chosen on it reaches its target exactly; what is told is of the other half."""
    of = bent(2000, 8, scale=1.5, offset=0.0)
    chosen = choose(of, "recall", 0.9, **ROUNDS)
    learnt, told = halves(of, 3)
    assert chosen.threshold is not None
    assert chosen.told is not None
    found = (learnt.scores[learnt.labels] >= chosen.threshold).mean()
    more = (learnt.scores[learnt.labels] > chosen.threshold).mean()
    assert found >= 0.9 > more
    expected = (told.scores[told.labels] >= chosen.threshold).mean()
    assert chosen.told.at[chosen.threshold].recall.value == pytest.approx(expected)
    precise = choose(of, "precision", 0.9, **ROUNDS)
    assert precise.threshold is not None
    flagged = learnt.scores >= precise.threshold
    assert learnt.labels[flagged].mean() >= 0.9


def test_a_target_out_of_reach_has_no_threshold() -> None:
    """The reason is said; and too few pictures in a half are a reason."""
    worse = column([0.5] * 200, [n % 2 == 0 for n in range(200)], [f"s{n}" for n in range(200)])
    found = choose(worse, "precision", 0.9, **ROUNDS)
    assert found.threshold is None
    assert "No threshold reaches a precision of 0.9" in found.why_not
    few = choose(bent(120, 1), "recall", 0.9, **ROUNDS)
    assert few.threshold is None
    assert "Too few" in few.why_not


def test_the_bands_promises_hold_as_often_as_they_say() -> None:
    """Of many data sets, the true share of missed positives exceeds its bound in about one of twenty."""
    broken = made = 0
    everything = bent(50_000, 99, scale=2.0, offset=0.0)
    for seed in range(40):
        found = band(bent(800, seed, scale=2.0, offset=0.0), recall=0.9, precision=0.8, seed=3)
        assert isinstance(found, Band)
        if found.low is None or found.missed is None or found.high is None or found.right is None:
            continue
        made += 1
        missed = (everything.scores[everything.labels] < found.low).mean()
        right = everything.labels[everything.scores >= found.high].mean()
        broken += (missed > found.missed) + (right < found.right)
    assert made > 30
    assert broken <= 0.12 * 2 * made


def test_a_band_counts_source_pictures_and_their_worst_picture() -> None:
    """A source with one picture below is missed; copies of it do not make the bound tighter."""
    names = [f"p{n}" for n in range(200)] + [f"n{n}" for n in range(200)]
    labels = [True] * 200 + [False] * 200
    scores = [0.9] * 200 + [0.1] * 200
    once = band(column(scores, labels, names), recall=0.95, precision=0.95, seed=3)
    thrice = band(column(scores * 3, labels * 3, names * 3), recall=0.95, precision=0.95, seed=3)
    assert isinstance(once, Band)
    assert isinstance(thrice, Band)
    assert (once.missed, once.right) == (thrice.missed, thrice.right)
    assert once.missed == pytest.approx(1 - 0.05 ** (1 / 100))
    assert once.shown


def test_a_detector_worse_than_chance_has_no_band() -> None:
    """Where high scores mean the contrary, no threshold is right often enough."""
    of = bent(2000, 11, scale=-1.0, offset=0.0)
    found = band(of, recall=0.95, precision=0.95, seed=3)
    assert isinstance(found, Band)
    assert found.high is None
    assert not found.shown
