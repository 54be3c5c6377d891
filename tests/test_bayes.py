"""What a user relies on in Bayesian optimization: right gains, and a search that is ahead."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from space_cases import MIXED, spaces

from metahpo_lite import Categorical, Float, Int, MetaDataset, RandomSearch, SearchSpace, run
from metahpo_lite.bayes import (
    BayesianSearch,
    expected_improvement,
    log_expected_improvement,
    standardise,
)

SPACE = SearchSpace([Float("x", -5, 10), Float("y", 0, 15)])


def branin(config):
    """Minus Branin's function: its best is -0.397887, at three places (Dixon & Szegö, 1978)."""
    x, y = config["x"], config["y"]
    a = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return -(a**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


class Task:
    """A task that any function is."""

    def __init__(self, evaluate):
        self.evaluate = evaluate


def search(score, space=SPACE, n=20, seed=0, **options):
    searcher = BayesianSearch(space, np.random.default_rng(seed), **options)
    return run(searcher, Task(score), n), searcher


# ------------------------------------------------------------------ expected improvement


@pytest.mark.parametrize("z", [-2.5, -1, -0.1, 0, 0.5, 2])
def test_expected_improvement_equals_monte_carlo(z):
    rng = np.random.default_rng(0)
    gains = np.maximum(rng.normal(1 + 0.3 * z, 0.3, 400_000) - 1, 0)
    error = gains.std() / math.sqrt(len(gains))
    assert expected_improvement(1 + 0.3 * z, 0.3, 1) == pytest.approx(gains.mean(), abs=4 * error)


def test_log_expected_improvement_is_the_logarithm():
    mean, std = np.meshgrid(np.linspace(-20, 20, 200), [0.3, 1, 5])
    gain = expected_improvement(mean, std, 1)
    fine = mean - 1 > -5 * std  # farther down, the plain formula cancels
    assert np.allclose(log_expected_improvement(mean, std, 1)[fine], np.log(gain[fine]))


@pytest.mark.parametrize(
    ("z", "log_gain"),
    # by 60 digits of mpmath: log(npdf(z) + z * ncdf(z))
    [
        (-5.0, -16.744301163),
        (-10.0, -55.553122036),
        (-40.0, -808.29856836),
        (-1e3, -500014.73445209),
    ],
)
def test_log_expected_improvement_far_below_the_best(z, log_gain):
    assert log_expected_improvement(z, 1.0, 0.0) == pytest.approx(log_gain, rel=1e-7)


def test_log_expected_improvement_is_finite_and_falls():
    z = -np.logspace(1, 8, 2000)
    log_gain = log_expected_improvement(z, np.ones_like(z), 0)
    assert np.isfinite(log_gain).all()
    assert (np.diff(log_gain) < 0).all()
    assert np.isfinite(log_expected_improvement(np.array([-40.0, -38.0]), 1.0, 0.0)).all()
    assert expected_improvement(-40.0, 1.0, 0.0) == 0  # why the logarithm is needed


@given(st.floats(-6, 6), st.floats(0.01, 10), st.floats(-5, 5))
def test_more_uncertainty_or_a_better_mean_never_promises_less(mean, std, best):
    gain = expected_improvement(mean, std, best)
    assert gain >= max(mean - best, 0) - 1e-12
    assert expected_improvement(mean, 2 * std, best) >= gain
    assert expected_improvement(mean + 1, std, best) >= gain


# ------------------------------------------------------------------ scores


@given(st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=1, max_size=30))
def test_standardised_scores(scores):
    y = standardise(scores)
    assert np.isfinite(y).all()
    if y.any():
        assert y.mean() == pytest.approx(0, abs=1e-6)
        assert y.std() == pytest.approx(1)
    known = np.isfinite(scores)
    if known.any():
        ranked = np.argsort(np.where(known, scores, -np.inf), kind="stable")
        assert (np.diff(y[ranked]) >= -1e-9).all()  # the order stays
        assert y[np.nanargmax(scores)] == y.max()


def test_a_disaster_does_not_hide_the_differences_at_the_top():
    y = standardise([0.90, 0.92, 0.94, 0.1])
    assert y[2] - y[0] > 1
    assert standardise([0.9, 0.9, 0.9, 0.1])[3] < -1  # where most are best, it is not clipped away


def test_a_failed_trial_counts_as_the_worst():
    y = standardise([0.5, math.nan, 0.9, 0.7])
    assert y[1] == y[0] == y.min()
    assert not standardise([math.nan, math.nan]).any()
    assert not standardise([0.4, math.nan, math.nan]).any()


# ------------------------------------------------------------------ the search


def test_it_finds_the_known_optimum_of_branin():
    bests = [search(branin, n=40, seed=seed)[0]["incumbent"].iloc[-1] for seed in range(3)]
    assert min(bests) > -0.45  # random search: about -1.5
    assert max(bests) <= -0.397887 + 1e-6


@given(spaces(), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_every_space_is_searched_without_a_double(space, seed):
    rng = np.random.default_rng(seed)
    history, _ = search(lambda config: rng.normal(), space, n=8, seed=seed)
    configs = [repr(space.check(config)) for config in history["config"]]
    assert len(set(configs)) == len(configs)
    if len(configs) < 8:  # it ends when nothing is left
        assert all(h.n_values < math.inf or h.when for h in space)


def test_a_small_space_is_tried_whole():
    space = SearchSpace([Categorical("a", [1, 2, 3]), Int("b", 1, 4)])
    history, _ = search(lambda c: c["a"] * c["b"], space, n=50)
    assert len(history) == 12
    first = history["score"].idxmax()
    assert first <= 9


@pytest.mark.parametrize("initial", [1, 2, 5, 30])
def test_a_pool_is_tried_whole_and_then_it_ends(initial):
    pool = MIXED.sample(np.random.default_rng(1), 20)
    history, searcher = search(
        lambda c: -abs(math.log10(c["rate"]) + 2), MIXED, n=50, pool=[*pool, *pool], initial=initial
    )
    assert len(history) == 20
    assert all(config in pool for config in history["config"])
    with pytest.raises(StopIteration):
        searcher.suggest()


def test_the_first_trials_are_spread_and_know_no_score():
    one, _ = search(lambda c: 0.0, n=5, seed=3)
    other, _ = search(branin, n=5, seed=3)
    assert one["config"].tolist() == other["config"].tolist()
    points = SPACE.encode(one["config"].tolist())
    for j in range(2):
        assert len({int(4 * u) for u in points[:4, j]}) == 4  # each quarter once: Sobol
    assert search(branin, n=5, seed=4)[0]["config"].tolist() != one["config"].tolist()


def test_the_first_trials_of_a_pool_are_drawn_like_the_pool():
    """A kernel with many hyperparameters of its own is not nearer to the points of the design."""
    experience = MetaDataset.load("svc")
    pool, proposed = experience.configs, []
    for seed in range(100):
        searcher = BayesianSearch(experience.space, np.random.default_rng(seed), pool)
        for _ in range(5):
            proposed.append(searcher.suggest())
            searcher.update(proposed[-1], 0.0)
    for kernel in experience.space["kernel"].choices:
        ours, theirs = ([c["kernel"] for c in some].count(kernel) for some in (proposed, pool))
        assert ours / len(proposed) == pytest.approx(theirs / len(pool), abs=0.05), kernel


def test_the_same_seed_gives_the_same_search():
    def score(config):
        return -math.log10(config["rate"]) - config["layers"] + (config["kind"] == "b")

    first, second = (search(score, MIXED, n=15, seed=1)[0] for _ in range(2))
    assert first["config"].tolist() == second["config"].tolist()


def test_the_unit_of_the_score_does_not_matter():
    pool = SPACE.sample(np.random.default_rng(0), 100)
    configs = [
        search(lambda c, a=a, b=b: a * branin(c) + b, n=20, pool=pool)[0]["config"].tolist()
        for a, b in [(1, 0), (1e-3, 5), (1e4, -1e5)]
    ]
    assert configs[0] == configs[1] == configs[2]


def test_failed_trials_are_avoided_and_do_no_harm():
    def score(config):
        if config["x"] < 2:
            raise RuntimeError("out of memory")
        return branin(config)

    history, _ = search(score, n=40)
    failed = history["status"] != "ok"
    assert failed[:10].mean() > failed[20:].mean()
    assert failed[20:].mean() < 0.4  # of the space it is 0.47
    assert history["incumbent"].iloc[-1] > -0.6


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, 0.7, 1e155, -1e308, 10**400])
def test_scores_that_say_nothing(score):
    """All trials fail, or all score the same: the search goes on, to other configurations."""
    history, searcher = search(lambda config: score, n=10)
    assert len(history) == 10
    assert len({repr(config) for config in history["config"]}) == 10
    config = searcher.suggest()
    searcher.update(config, score)  # without `run`, which makes NaN of what is too large
    searcher.suggest()


def test_trials_of_others_count():
    """Told of five trials, it does not begin with a design; and proposes none of the five again."""
    pool = SPACE.sample(np.random.default_rng(0), 50)
    searcher = BayesianSearch(SPACE, np.random.default_rng(0), pool)
    for config in pool[:5]:
        searcher.update(config, branin(config))
    proposed = searcher.suggest()
    assert proposed not in pool[:5]
    assert searcher.process is not None
    assert searcher.suggest() != proposed  # not even before it is told how that did


def test_a_configuration_that_was_tried_twice():
    searcher = BayesianSearch(SPACE, np.random.default_rng(0), initial=2)
    for score in (0.2, 0.8, 0.5):
        searcher.update({"x": 1.0, "y": 2.0}, score)
    assert SPACE.check(searcher.suggest())


def test_it_beats_random_search_on_our_experience():
    experience = MetaDataset.load("svc")
    regrets = {BayesianSearch: [], RandomSearch: []}
    for i, name in enumerate(experience.tasks.index[::10]):
        task = experience.replay(name)
        for kind, found in regrets.items():
            searcher = kind(experience.space, np.random.default_rng(i), task.pool)
            curve = run(searcher, task, 40)["incumbent"][5:]
            found.append(np.mean(task.best - curve) / (task.best - task.worst))
    assert np.mean(regrets[BayesianSearch]) < 0.85 * np.mean(regrets[RandomSearch])


@pytest.mark.parametrize("initial", [0, -1, 2.5, None, True])
def test_bad_initial(initial):
    with pytest.raises(ValueError, match="initial: got"):
        BayesianSearch(SPACE, np.random.default_rng(0), initial=initial)


def test_bad_pool_and_bad_update():
    with pytest.raises(ValueError, match="pool: got no configuration"):
        BayesianSearch(SPACE, np.random.default_rng(0), pool=[])
    with pytest.raises(KeyError, match="is missing"):
        BayesianSearch(SPACE, np.random.default_rng(0), pool=[{"x": 1.0}])
    searcher = BayesianSearch(SPACE, np.random.default_rng(0))
    with pytest.raises(ValueError, match="x: got"):
        searcher.update({"x": 99.0, "y": 1.0}, 0.5)
    assert not len(searcher.candidates.scores)
    for a, b in itertools.pairwise(SPACE.encode([searcher.suggest() for _ in range(3)])):
        assert not np.array_equal(a, b)
