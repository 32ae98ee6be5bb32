"""Figures of the starter CLIP on made-up margins, whose right answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from limner_starter import clip_measures as measures

pytest.importorskip("sklearn")


def scored(positive: list[float], negative: list[float], views: int = 1) -> measures.Scored:
    """Each value is one name, seen ``views`` times."""
    margin = np.repeat(np.array([*positive, *negative]), views)
    shown = np.repeat(np.arange(len(positive) + len(negative)) < len(positive), views)
    return measures.Scored(margin, shown, np.repeat(np.arange(len(positive) + len(negative)), views))


def test_auroc_counts_pairs() -> None:
    """One of four pairs is the wrong way round, so the figure is three quarters."""
    assert measures.auroc(scored([0.3, 0.1], [0.2, 0.0])) == pytest.approx(0.75)


def test_calibration_rises_with_the_margin_and_is_even_between_the_groups() -> None:
    """More margin gives more score, and halfway between mirrored groups the score is one half."""
    calibration = measures.calibrated([scored([0.2, 0.3, 0.1], [-0.2, -0.3, -0.1])])
    assert calibration.scale > 0
    assert calibration.score(np.array([0.0]))[0] == pytest.approx(0.5, abs=0.01)


def test_many_negatives_do_not_move_the_middle() -> None:
    """Both answers weigh the same: a hundred times more pictures without the concept leave one half where it was."""
    calibration = measures.calibrated([scored([0.2, 0.1], [-0.1, -0.2] * 100)])
    assert calibration.score(np.array([0.0]))[0] == pytest.approx(0.5, abs=0.02)


def test_thresholds_reach_their_targets() -> None:
    """``deny`` keeps precision, ``review`` keeps recall, and review is never the stricter one."""
    rng = np.random.default_rng(3)
    part = scored(rng.normal(0.3, 0.15, 60).tolist(), rng.normal(-0.2, 0.2, 600).tolist())
    calibration = measures.calibrated([part])
    chosen = measures.thresholds([part], calibration)
    assert chosen["review"] <= chosen["deny"]
    deny, review = (measures.at_threshold(part, calibration, chosen[name]) for name in ("deny", "review"))
    assert deny["precision"]["value"] >= measures.PRECISION
    assert review["recall"]["value"] >= measures.RECALL


def test_a_target_that_cannot_be_reached_denies_nothing() -> None:
    """Where no score has the precision, the threshold is 1 and not a number that looks chosen."""
    part = scored([0.0, 0.1], [0.5, 0.6, 0.7])
    calibration = measures.Calibration(10.0, 0.0)
    assert measures.thresholds([part], calibration)["deny"] == 1.0


def test_intervals_hold_the_value_and_draw_names_not_views() -> None:
    """Ten views of a picture do not make the interval narrower than one view does."""
    values = ([0.3, 0.2, 0.1, -0.1], [-0.3, -0.2, 0.15, -0.1, -0.4])
    calibration = measures.Calibration(10.0, 0.0)
    once = measures.at_threshold(scored(*values), calibration, 0.5)
    often = measures.at_threshold(scored(*values, views=10), calibration, 0.5)
    low, high = once["recall"]["interval"]
    assert low <= once["recall"]["value"] <= high
    assert often["recall"] == once["recall"]
    assert high - low > 0.3


def test_too_few_pictures_have_no_interval() -> None:
    """Two pictures that show the concept bear no interval, and the figure says so."""
    few = measures.at_threshold(scored([0.3, 0.2], [-0.1, -0.2, -0.3]), measures.Calibration(10.0, 0.0), 0.5)
    assert few["recall"]["interval"] is None
    assert few["precision"]["interval"] is None
