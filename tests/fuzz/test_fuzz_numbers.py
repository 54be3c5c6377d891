"""Functions of arrays, with arrays of anything: a right answer, or a clear error."""

import numpy as np
import pytest
from harness import REFUSED, fuzz, judged
from hypothesis import strategies as st
from values import arrays, mostly, numbers, scalars

from metahpo_lite import (
    BayesianSearch,
    GaussianProcess,
    SearchSpace,
    average_seeds,
    bootstrap_interval,
    compare,
    expected_improvement,
    expected_incumbent,
    friedman,
    holm,
    hyperparameter_importance,
    mean_ranks,
    mean_regret,
    nemenyi_difference,
    normalised_regret,
    posterior,
    regret_curve,
    score_gap,
    task_distances,
)
from metahpo_lite.bayes import log_expected_improvement, standardise
from metahpo_lite.hyperparameters import Categorical, Float

rngs = mostly(st.integers(0, 9).map(np.random.default_rng))
rows = mostly(arrays((6,), (1,), (0,), (5,), (2, 3), ()))
shares = mostly(st.lists(st.floats(0, 1), min_size=6, max_size=6), rows)
tables = mostly(arrays((6, 3), (2, 2), (1, 3), (0, 2), (3, 0), (6,), (2, 2, 2)))
lows = mostly(st.sampled_from([-2.0, -1, 0.0]), numbers)
highs = mostly(st.sampled_from([0.5, 1, 2.0]), numbers)
levels = mostly(st.sampled_from([0.5, 0.95]), numbers)
counts = mostly(st.integers(1, 20), numbers)
families = mostly(
    st.lists(st.sampled_from("abc"), min_size=6, max_size=6), st.lists(scalars, max_size=6)
)


def size(values) -> np.ndarray:
    return np.abs(np.asarray(values, dtype=float))


def harmless(*given) -> bool:
    """Whether numbers can be added and squared without an overflow."""
    return all(np.max(size(x), initial=0, where=~np.isnan(size(x))) < 1e90 for x in given)


@fuzz(rows, highs, lows, mostly(st.none(), counts))
def test_regret(scores, best, worst, n_trials):
    def right(curve):
        if harmless(scores, best, worst):
            assert not np.isnan(curve).any()
            assert (np.diff(curve) <= 0).all()  # it never rises
            assert len(curve) == (len(scores) if n_trials is None else n_trials)
            assert curve[0] == 1 or not (np.isnan(scores[0]) or scores[0] == worst)

    judged(lambda: regret_curve(scores, best, worst, n_trials), right)


@fuzz(mostly(arrays((3,), (2, 2), (), (0,))), highs, lows)
def test_normalised_regret(incumbents, best, worst):
    def right(found):
        assert found.shape == np.shape(incumbents)
        if harmless(incumbents, best, worst):
            assert not np.isnan(found).any()

    judged(lambda: normalised_regret(incumbents, best, worst), right)
    judged(lambda: score_gap(incumbents, best), lambda gap: gap.shape == np.shape(incumbents))


@fuzz(rows)
def test_expected_incumbent(scores):
    def right(found):
        if harmless(scores):
            assert (np.diff(found) >= -1e-9 * np.nanmax(size(scores))).all()
            assert np.isclose(found[-1], np.nanmax(np.asarray(scores, dtype=float)))

    judged(lambda: expected_incumbent(scores), right)


@fuzz(mostly(arrays((6, 3), (9,), (1, 2), (0,))), mostly(st.integers(1, 4)))
def test_mean_regret(curves, n):
    judged(lambda: mean_regret(curves, n), lambda found: found.shape == np.shape(curves)[:-1])


@fuzz(tables, families, rngs, levels, mostly(st.just(50)))
def test_bootstrap_interval(values, families, rng, level, draws):
    def right(found):
        mean, low, high = found
        if harmless(values):
            assert (low <= high).all()
            assert (size(mean) <= size(values).max() * (1 + 1e-9)).all()

    judged(lambda: bootstrap_interval(values, families, rng, level, draws), right)


@fuzz(tables, mostly(families, st.lists(scalars, min_size=6, max_size=6)))
def test_average_seeds(values, tasks):
    def right(found):
        names, means = found
        assert len(names) == len(means) <= len(values)
        assert np.shape(means)[1:] == np.shape(values)[1:]

    judged(lambda: average_seeds(values, tasks), right)


@fuzz(shares, shares, families, rngs, levels, mostly(st.just(50)))
def test_compare(ours, theirs, families, rng, level, draws):
    def right(found):
        assert found.wins + found.ties + found.losses == len(ours)
        if harmless(ours, theirs):
            assert 0 <= found.p_value <= 1
            assert 0 <= found.low <= found.high

    judged(lambda: compare(ours, theirs, families, rng, level, draws), right)


@fuzz(shares)
def test_holm(p_values):
    def right(found):
        assert (found >= p_values).all()
        assert (found <= 1).all()

    judged(lambda: holm(p_values), right)


@fuzz(tables)
def test_ranks(values):
    def right(ranks):
        assert np.isclose(ranks.mean(), (np.shape(values)[1] + 1) / 2)

    judged(lambda: mean_ranks(values), right)
    judged(lambda: friedman(values), lambda f: 0 <= f.chi2_p_value <= 1 and 0 <= f.f_p_value <= 1)


@fuzz(mostly(st.integers(2, 20), numbers), mostly(st.integers(2, 99), numbers), levels, share=0.5)
def test_nemenyi(n_methods, n_tasks, level):
    judged(lambda: nemenyi_difference(n_methods, n_tasks, level), lambda found: found > 0)


SPACE = SearchSpace([Float("x", 0, 1), Categorical("c", ["a", "b"])])
CONFIGS = SPACE.sample(np.random.default_rng(0), 12)


@fuzz(mostly(arrays((12,), (12, 2), (11,), (12, 0), ())), mostly(st.just(CONFIGS)),
      mostly(st.just(0)), share=0.1)  # fmt: skip
def test_importance(scores, configs, seed):
    def right(found):
        assert found.shape == (*np.shape(scores)[1:], 2)
        assert not harmless(scores) or np.isfinite(found).all()

    judged(lambda: hyperparameter_importance(SPACE, configs, scores, seed), right)


@fuzz(
    mostly(arrays((4,), (0,), ())),
    mostly(st.lists(st.floats(1e-6, 9), min_size=4, max_size=4)),
    highs,
)
def test_expected_improvement(mean, std, best):
    judged(lambda: expected_improvement(mean, std, best), lambda gain: np.all(gain >= 0))
    judged(lambda: log_expected_improvement(mean, std, best), lambda g: not np.isnan(g).any())


@fuzz(rows)
def test_standardise(scores):
    def right(y):
        assert y.shape == np.shape(scores)
        assert not harmless(scores) or np.isfinite(y).all()

    judged(lambda: standardise(scores), right)


@fuzz(
    mostly(arrays((4, 2), (1, 2), (0, 2), (4, 3), (4,))),
    mostly(arrays((4,), (4, 2), (1,), ())),
    mostly(st.one_of(st.none(), st.just([True, False]))),
    mostly(arrays((3, 2), (1, 3), (2,))),
)
def test_gaussian_process(X, y, categorical, new):
    process = judged(lambda: GaussianProcess.fit(X, y, categorical))
    if process is REFUSED:
        return

    def right(found):
        assert found[1].shape == (len(new),)
        assert not harmless(X, y, new) or np.isfinite(found[0]).all()
        assert (found[1] > 0).all()

    judged(lambda: process.predict(new), right)


@fuzz(
    mostly(st.just(np.eye(2) + 0.5), arrays((2, 2), (2,), (0, 0))),
    mostly(arrays((2, 3), (2,), (1, 3))),
    mostly(arrays((2,), (2, 2), (1,))),
    mostly(st.just(1.0)),
)
def test_posterior(K, k, y, prior):
    judged(lambda: posterior(K, k, y, prior))


@fuzz(
    mostly(arrays((3, 2), (1, 2), (0, 2), (2,), (2, 3))),
    mostly(arrays((2, 2), (0, 2), (2,))),
    mostly(st.sampled_from(["euclidean", "manhattan", "cosine"])),
)
def test_task_distances(A, B, metric):
    def right(found):
        assert found.shape == (len(A), len(B))
        assert (found >= 0).all()

    judged(lambda: task_distances(A, B, metric), right)


@fuzz(
    rngs,
    mostly(st.one_of(st.none(), st.just(CONFIGS))),
    mostly(st.integers(1, 3)),
    st.lists(mostly(st.floats(-1, 1), numbers), max_size=6),
    mostly(st.just(SPACE)),
    share=0.3,
)
def test_bayesian_search(rng, pool, initial, scores, space):
    """It never proposes what is not of the space, whatever the scores are."""
    search = judged(lambda: BayesianSearch(space, rng, pool, initial))
    if search is REFUSED:
        return
    for score in scores:
        config = judged(search.suggest, lambda c: SPACE.check(c) == c)
        if config is REFUSED:
            return
        judged(lambda c=config, s=score: search.update(c, s))


# ---- what once went wrong

ONE = np.ones(3)
MENDED = {
    "no spread": lambda: expected_improvement(ONE, 0 * ONE, 1.0),
    "no incumbent": lambda: log_expected_improvement(ONE, ONE, np.nan),
    "complex scores": lambda: regret_curve(ONE * 1j, 1, 0),
    "texts for scores": lambda: expected_incumbent(["1", "2"]),
    "dates for scores": lambda: score_gap(np.array(["2024-01-01"], dtype="M8[D]"), 1.0),
    "numbers whose sum overflows": lambda: mean_regret([1e308, 1e308], 2),
    "a million methods": lambda: nemenyi_difference(10**6, 10),
    "a range next to nothing": lambda: normalised_regret(ONE, 5e-324, 0.0),
    "an endless curve": lambda: regret_curve(ONE, 1.0, 0.0, 2**40),
    "a million first trials": lambda: BayesianSearch(SPACE, np.random.default_rng(0), None, 2**31),
    "a level next to nothing": lambda: nemenyi_difference(2, 2, 1e-20),
    "no categories for a dimension": lambda: GaussianProcess.fit(np.eye(2), [0, 1], [True]),
    "a row for a table": lambda: task_distances(ONE, ONE),
    "texts for a level": lambda: compare(ONE, ONE, "abc", np.random.default_rng(0), "0.9"),
}


@pytest.mark.parametrize("name", MENDED)
def test_what_is_refused(name):
    assert judged(MENDED[name]) is REFUSED
