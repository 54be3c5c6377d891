"""What a user relies on in regret: between 0 and 1, falling, and the same in any unit."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metahpo_lite import MetaDataset
from metahpo_lite.regret import (
    expected_incumbent,
    mean_regret,
    normalised_regret,
    race,
    regret_curve,
    score_gap,
)
from metahpo_lite.search import RandomSearch

SAME = settings(max_examples=50, deadline=None, derandomize=True)  # the same examples each time


@st.composite
def pools(draw):
    """The best score, the worst, and incumbents between them."""
    worst = draw(st.floats(-1e3, 1e3))
    best = worst + draw(st.floats(1e-3, 1e3))
    return best, worst, np.array(draw(st.lists(st.floats(worst, best), min_size=1, max_size=20)))


# ------------------------------------------------------------------ normalised regret


@given(pools())
@SAME
def test_regret_is_0_at_the_best_and_1_at_the_worst(pool):
    best, worst, incumbents = pool
    assert normalised_regret([best, worst], best, worst).tolist() == [0, 1]
    regret = normalised_regret(incumbents, best, worst)
    assert regret.shape == incumbents.shape
    assert ((regret >= 0) & (regret <= 1)).all()


@given(pools(), st.floats(0.1, 10), st.floats(-100, 100))
@SAME
def test_regret_does_not_depend_on_the_unit_of_the_score(pool, scale, shift):
    best, worst, incumbents = pool
    moved = normalised_regret(
        scale * incumbents + shift, scale * best + shift, scale * worst + shift
    )
    np.testing.assert_allclose(moved, normalised_regret(incumbents, best, worst), atol=1e-6)


@given(pools())
@SAME
def test_regret_falls_as_the_incumbent_rises(pool):
    best, worst, incumbents = pool
    regret = normalised_regret(np.maximum.accumulate(incumbents), best, worst)
    assert (np.diff(regret) <= 0).all()
    assert normalised_regret(best + 1, best, worst) < 0  # better than what was known


@given(pools(), st.integers(0, 5))
@SAME
def test_regret_before_the_first_success_is_that_of_the_worst(pool, failures):
    best, worst, incumbents = pool
    late = normalised_regret([np.nan] * failures + list(incumbents), best, worst)
    assert (late[:failures] == 1).all()
    np.testing.assert_array_equal(late[failures:], normalised_regret(incumbents, best, worst))


def test_regret_takes_any_shape_and_leaves_its_argument_alone():
    incumbents = np.array([[0.5, np.nan], [1.0, 0.0]])
    before = incumbents.copy()
    assert normalised_regret(incumbents, 1, 0).tolist() == [[0.5, 1.0], [0.0, 1.0]]
    np.testing.assert_array_equal(incumbents, before)
    assert normalised_regret(0.25, 1, 0) == 0.75
    assert normalised_regret(pd.Series([0.25]), 1, 0).tolist() == [0.75]


@pytest.mark.parametrize(
    ("best", "worst"), [(0, 1), (1, 1), (np.nan, 0), (1, np.nan), (np.inf, 0), (1, -np.inf)]
)
def test_regret_refuses_a_best_that_is_not_above_the_worst(best, worst):
    with pytest.raises(ValueError, match=r"best, worst: got .* accepted are finite numbers"):
        normalised_regret([0.5], best, worst)


# ------------------------------------------------------------------ curves


def test_regret_curve_by_hand():
    scores = [np.nan, 0.5, 0.25, np.nan, 0.75]
    assert regret_curve(scores, 1, 0).tolist() == [1, 0.5, 0.5, 0.5, 0.25]
    # a search that ended early keeps its last value; a longer one is cut
    assert regret_curve(scores, 1, 0, 7).tolist() == [1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]
    assert regret_curve(scores, 1, 0, 2).tolist() == [1, 0.5]
    assert regret_curve([np.nan], 1, 0, 3).tolist() == [1, 1, 1]
    assert regret_curve(pd.Series([0.5], index=[1]), 1, 0).tolist() == [0.5]


@given(pools(), st.data())
@SAME
def test_regret_curves_fall_and_stay_between_0_and_1(pool, data):
    best, worst, scores = pool
    failed = data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    scores[failed] = np.nan
    n_trials = data.draw(st.integers(1, 30))
    curve = regret_curve(scores, best, worst, n_trials)
    assert curve.shape == (n_trials,)
    assert (np.diff(curve) <= 0).all()
    assert ((curve >= 0) & (curve <= 1)).all()
    for t in range(n_trials):  # as defined, trial by trial
        seen = [s for s in scores[: t + 1] if not np.isnan(s)]
        assert curve[t] == normalised_regret(max(seen, default=worst), best, worst)


@pytest.mark.parametrize(
    ("argument", "scores", "options"),
    [
        ("scores", [], {}),
        ("scores", 0.5, {}),
        ("scores", [[0.5]], {}),
        ("scores", [0.5, np.inf], {}),
        ("scores", [0.5, -np.inf], {}),
        ("n_trials", [0.5], {"n_trials": 0}),
        ("n_trials", [0.5], {"n_trials": 2.5}),
    ],
)
def test_regret_curve_refuses(argument, scores, options):
    with pytest.raises(ValueError, match=rf"^{argument}: got .*accepted is "):
        regret_curve(scores, 1, 0, **options)
    with pytest.raises(ValueError, match="best, worst"):
        regret_curve([0.5], 0, 1)


def test_mean_regret_is_that_of_the_first_trials():
    curve = np.array([1, 0.5, 0.5, 0.25])
    assert mean_regret(curve, 2) == 0.75
    assert mean_regret(curve, 4) == 0.5625
    assert mean_regret([curve, 2 * curve], 2).tolist() == [0.75, 1.5]
    rng = np.random.default_rng(0)
    long = rng.random(80)
    assert mean_regret(long) == pytest.approx(long[:50].mean())


@pytest.mark.parametrize(
    ("argument", "curves", "n_trials"),
    [
        ("curves", np.ones(49), 50),
        ("curves", np.ones((3, 49)), 50),
        ("curves", [1, np.nan], 2),
        ("curves", [1, np.inf], 2),
        ("curves", [], 1),
        ("curves", 1.0, 1),
        ("curves", np.ones((2, 2, 2)), 2),
        ("n_trials", [1, 1], 0),
    ],
)
def test_mean_regret_refuses(argument, curves, n_trials):
    with pytest.raises(ValueError, match=rf"^{argument}: got .*accepted (is|are) "):
        mean_regret(curves, n_trials)


def test_score_gap_is_in_the_unit_of_the_score():
    assert score_gap([[70, 95.5], [100, 101]], 100).tolist() == [[30, 4.5], [0, -1]]
    assert np.isnan(score_gap([np.nan, 1], 2)).tolist() == [True, False]
    for incumbents, best, argument in (([1], np.nan, "best"), ([np.inf], 1, "incumbents")):
        with pytest.raises(ValueError, match=rf"^{argument}: got .*accepted "):
            score_gap(incumbents, best)


# ------------------------------------------------------------------ expected incumbent


def test_expected_incumbent_by_hand():
    # of two draws from 1, 2, 3 the best is 3 in two cases of three, else 2
    np.testing.assert_allclose(expected_incumbent([2, 3, 1]), [2, 8 / 3, 3])
    np.testing.assert_allclose(expected_incumbent([5.0]), [5])
    np.testing.assert_allclose(expected_incumbent([2, np.nan, 1]), [4 / 3, 5 / 3, 2])


@SAME
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=6))
def test_expected_incumbent_is_the_mean_over_all_orders(scores):
    orders = np.array(list(itertools.permutations(scores)))
    mean = np.maximum.accumulate(orders, axis=1).mean(axis=0)
    np.testing.assert_allclose(expected_incumbent(scores), mean, atol=1e-9)


def test_expected_incumbent_of_many_trials_stays_finite():
    scores = np.random.default_rng(0).normal(size=2000)
    curve = expected_incumbent(scores)
    assert np.isfinite(curve).all()
    assert (np.diff(curve) >= -1e-9).all()
    assert curve[0] == pytest.approx(scores.mean())
    assert curve[-1] == pytest.approx(scores.max())


@pytest.mark.parametrize("scores", [[], [np.nan], [1, np.inf], [[1, 2]], 3])
def test_expected_incumbent_refuses(scores):
    with pytest.raises(ValueError, match=r"^scores: .*accepted"):
        expected_incumbent(scores)


# ------------------------------------------------------------------ a race


def test_a_race_is_the_mean_of_searches():
    """Random search in the race comes near its exact expectation; runs and tasks draw anew."""
    experience = MetaDataset.load("svc")
    few = experience.subset(list(experience.tasks.index[:12]))
    found = race(lambda i, rng: RandomSearch(few.space, rng, few.configs), few, 10, n_runs=40)
    assert found.shape == (12, 40, 10)
    exact = [regret_curve(expected_incumbent(t.scores)[:10], t.best, t.worst)
             for t in map(few.replay, few.tasks.index)]  # fmt: skip
    assert np.allclose(found.mean(axis=(0, 1)), np.mean(exact, axis=0), rtol=0.1)
    again = race(lambda i, rng: RandomSearch(few.space, rng, few.configs), few, 10)
    assert np.array_equal(again[:, 0], found[:, 0])


def test_a_race_keeps_the_last_regret_of_a_searcher_that_stops():
    experience = MetaDataset.load("svc")
    few = experience.subset(list(experience.tasks.index[:2]))
    found = race(lambda i, rng: RandomSearch(few.space, rng, few.configs[i : i + 2]), few, 5)
    assert np.array_equal(found[:, :, 1:2].repeat(4, axis=2), found[:, :, 1:])


@pytest.mark.parametrize("kwargs", [{"n_trials": 0}, {"n_trials": 5, "n_runs": 0}])
def test_a_race_needs_a_trial(kwargs):
    experience = MetaDataset.load("svc")
    with pytest.raises(ValueError, match="whole number of at least 1"):
        race(lambda i, rng: None, experience, **kwargs)
