"""What a user relies on in the statistics: regret between 0 and 1, intervals that cover."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metahpo_lite import Categorical, Float, Int, SearchSpace
from metahpo_lite.evaluation import (
    bootstrap_interval,
    expected_incumbent,
    explained_share,
    hyperparameter_importance,
    normalised_regret,
)

SAME = settings(max_examples=50, deadline=None, derandomize=True)  # the same examples each time
numbers = st.floats(-1e6, 1e6, allow_nan=False)
scores = st.lists(numbers, min_size=1, max_size=20)


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


# ------------------------------------------------------------------ bootstrap intervals


def interval(values, families, seed=0, **options):
    return bootstrap_interval(values, families, np.random.default_rng(seed), **options)


@given(scores, st.data())
@SAME
def test_mean_is_exact_and_the_interval_in_order(values, data):
    names = st.lists(st.sampled_from("abc"), min_size=len(values), max_size=len(values))
    mean, low, high = interval(values, data.draw(names), draws=200)
    assert mean == np.mean(values)
    assert low <= high
    slack = 1e-9 * max(map(abs, values), default=1)
    assert min(values) - slack <= low
    assert high <= max(values) + slack


def test_interval_shrinks_with_the_root_of_the_number_of_families():
    values = np.tile(np.random.default_rng(1).normal(size=100), 16)
    widths = {}
    for n in (100, 1600):
        _, low, high = interval(values[:n], range(n))
        widths[n] = high - low
        assert widths[n] == pytest.approx(2 * 1.96 * values[:n].std() / np.sqrt(n), rel=0.1)
    assert widths[100] / widths[1600] == pytest.approx(4, rel=0.1)


def test_one_family_says_nothing_about_others():
    mean, low, high = interval([1.0, 2.0, 4.0], ["a", "a", "a"])
    assert mean == pytest.approx(7 / 3, abs=1e-12)
    assert low == pytest.approx(mean, abs=1e-12)
    assert high == pytest.approx(mean, abs=1e-12)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_families_of_one_task_are_the_usual_bootstrap(level):
    values = np.random.default_rng(2).exponential(size=40)
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=level,
        n_resamples=20_000,
        method="percentile",
        random_state=np.random.default_rng(3),
    ).confidence_interval
    _, low, high = interval(values, range(40), level=level, draws=20_000)
    error = 4 * values.std() / np.sqrt(40) / np.sqrt(20_000 * (1 - level) / 2)
    assert low == pytest.approx(theirs.low, abs=2 * error)
    assert high == pytest.approx(theirs.high, abs=2 * error)


def test_copies_of_a_task_within_its_family_add_no_certainty():
    values = np.random.default_rng(4).normal(size=30)
    once = interval(values, range(30))
    thrice = interval(np.repeat(values, 3), np.repeat(range(30), 3))
    np.testing.assert_allclose(once, thrice, atol=1e-12)
    naive = interval(np.repeat(values, 3), range(90))
    assert naive[2] - naive[1] < 0.7 * (once[2] - once[1])  # what ignoring the families claims


def test_a_curve_is_its_trials_one_by_one():
    rng = np.random.default_rng(5)
    values, families = rng.normal(size=(25, 7)), rng.integers(0, 9, 25)
    mean, low, high = interval(values, families)
    assert mean.shape == low.shape == high.shape == (7,)
    for trial in range(7):
        np.testing.assert_allclose(
            interval(values[:, trial], families), (mean[trial], low[trial], high[trial]), atol=1e-12
        )


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(6)
    covered, repeats = 0, 400
    for _ in range(repeats):  # 30 families of 1 to 4 tasks that share an effect; the mean is 0
        families = np.repeat(range(30), rng.integers(1, 5, 30))
        values = rng.normal(size=30)[families] + 0.5 * rng.normal(size=len(families))
        _, low, high = bootstrap_interval(values, families, rng, draws=500)
        covered += low <= 0 <= high
    assert 0.90 <= covered / repeats <= 0.98  # percentile intervals are a little short


def test_families_may_be_of_any_kind():
    values, names = [1.0, 2.0, 3.0, 5.0], ["a", "b", "a", "c"]
    expected = interval(values, names)
    categories = pd.Series(pd.Categorical(names, categories=["never", "c", "b", "a"]))
    for families in (
        tuple(names),
        np.array(names),
        np.array(names, dtype=object),
        pd.Series(names, index=[9, 7, 7, 1]),
        pd.Index(names),
        categories,
        [0, 1, 0, 2],
    ):
        np.testing.assert_array_equal(interval(values, families), expected)
    np.testing.assert_array_equal(interval(pd.Series(values, index=list("wxyz")), names), expected)


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(7).normal(size=(20, 3))
    first, again = interval(values, range(20)), interval(values, range(20))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[1], interval(values, range(20), seed=1)[1])


@pytest.mark.parametrize(
    ("argument", "values", "families", "options"),
    [
        ("values", [], [], {}),
        ("values", np.empty((3, 0)), list("abc"), {}),
        ("values", 1.0, ["a"], {}),
        ("values", np.zeros((2, 2, 2)), ["a", "b"], {}),
        ("values", [1.0, np.nan], ["a", "b"], {}),
        ("values", [1.0, np.inf], ["a", "b"], {}),
        ("families", [1.0, 2.0], ["a"], {}),
        ("families", [1.0, 2.0], ["a", "b", "c"], {}),
        ("families", [1.0, 2.0], "ab", {}),
        ("families", [1.0, 2.0], ["a", None], {}),
        ("families", [1.0, 2.0], ["a", np.nan], {}),
        ("level", [1.0, 2.0], ["a", "b"], {"level": 0}),
        ("level", [1.0, 2.0], ["a", "b"], {"level": 1}),
        ("level", [1.0, 2.0], ["a", "b"], {"level": 95}),
        ("level", [1.0, 2.0], ["a", "b"], {"level": np.nan}),
        ("draws", [1.0, 2.0], ["a", "b"], {"draws": 0}),
        ("draws", [1.0, 2.0], ["a", "b"], {"draws": 1.5}),
    ],
)
def test_interval_refuses_what_it_cannot_average(argument, values, families, options):
    with pytest.raises(ValueError, match=rf"^{argument}: got .*accepted is "):
        interval(values, families, **options)


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


# ------------------------------------------------------------------ importance

SPACE = SearchSpace(
    [
        Float("a", 0, 1),
        Float("b", 1e-3, 1e3, log=True),
        Int("idle", 1, 9),
        Categorical("c", ["x", "y"]),
    ]
)


CONFIGS = SPACE.sample(np.random.default_rng(0), 300)


def test_importance_is_a_share_of_the_variance():
    # variances 27 and 1 of the two terms; what the forest cannot predict is in neither
    scores = [3 * np.log10(c["b"]) + 2 * (c["c"] == "x") for c in CONFIGS]
    a, b, idle, c = shares = hyperparameter_importance(SPACE, CONFIGS, scores)
    assert b == pytest.approx(27 / 28, abs=0.07)
    assert c == pytest.approx(1 / 28, abs=0.02)
    assert max(abs(a), abs(idle)) < 0.01 < c / 2
    assert 0.95 < explained_share(SPACE, CONFIGS, scores) <= 1
    np.testing.assert_array_equal(shares, hyperparameter_importance(SPACE, CONFIGS, scores))
    other = hyperparameter_importance(SPACE, CONFIGS, scores, seed=1)
    np.testing.assert_allclose(shares, other, atol=0.06)


def test_where_hyperparameters_interact_each_has_the_share():
    scores = [(c["c"] == "x") ^ (c["b"] > 1) for c in CONFIGS]
    a, b, idle, c = hyperparameter_importance(SPACE, CONFIGS, scores)
    assert min(b, c) > 0.8
    assert max(abs(a), abs(idle)) < 0.05


def test_noise_has_no_importance():
    noise = np.random.default_rng(1).normal(size=(300, 20))
    shares = hyperparameter_importance(SPACE, CONFIGS, noise)
    assert shares.shape == (20, 4)
    assert np.abs(shares.mean(axis=0)).max() < 0.05
    assert np.abs(shares).max() < 0.2
    assert explained_share(SPACE, CONFIGS, noise).max() < 0.1


def test_importance_of_a_table_of_tasks():
    """Each task in its own unit, in the order of the columns; one that does not differ has 0."""
    b, c = np.array([[np.log10(c["b"]), c["c"] == "x"] for c in CONFIGS]).T
    scores = np.stack([b, 1e3 * c - 7, np.full(300, 0.1)], axis=1)
    shares, explained = (
        f(SPACE, CONFIGS, scores) for f in (hyperparameter_importance, explained_share)
    )
    truth = np.array([[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    np.testing.assert_allclose(shares, truth, atol=0.1)
    np.testing.assert_allclose(explained, 1, atol=0.1)
    one = hyperparameter_importance(SPACE, CONFIGS, scores[:, :1])
    np.testing.assert_array_equal(one, [hyperparameter_importance(SPACE, CONFIGS, scores[:, 0])])


def test_a_failed_trial_counts_as_the_worst_of_its_task():
    scores = np.array([[c["a"], -c["a"]] for c in CONFIGS])
    failed = scores.copy()
    failed[scores[:, 0] > 0.7, 0] = np.nan
    worst = np.where(np.isnan(failed), np.nanmin(failed, axis=0), failed)
    np.testing.assert_array_equal(
        hyperparameter_importance(SPACE, CONFIGS, failed),
        hyperparameter_importance(SPACE, CONFIGS, worst),
    )


@pytest.mark.parametrize(
    "scores",
    [
        np.arange(299.0),
        np.arange(301.0),
        np.zeros((2, 300)),
        np.zeros((300, 0)),
        np.zeros((300, 2, 2)),
        3,
        np.where(np.arange(300) < 9, 1.0, np.nan),
        np.where(np.arange(600).reshape(300, 2) % 2, 1.0, np.nan),  # nothing of the first task
        np.where(np.arange(300) < 9, np.inf, 1.0),
    ],
)
@pytest.mark.parametrize("function", [hyperparameter_importance, explained_share])
def test_importance_refuses(function, scores):
    with pytest.raises(ValueError, match=r"^scores: got .*accepted"):
        function(SPACE, CONFIGS, scores)


def test_importance_refuses_no_configurations():
    with pytest.raises(ValueError, match=r"^scores: got .*accepted"):
        hyperparameter_importance(SPACE, [], [])
