"""What a user relies on in warm starts: good configurations first, and a searcher that learns."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import multivariate_normal

from metahpo_lite import Float, MetaDataset, RandomSearch, SearchSpace, TaskDistance, race, run
from metahpo_lite.bayes import BayesianSearch, expected_improvement
from metahpo_lite.gaussian_process import matern52, posterior, squared_differences
from metahpo_lite.portfolio import Portfolio, greedy_portfolio, warm_start
from metahpo_lite.warmstart import (
    NOISE,
    OFFSET,
    OWN,
    SIZE,
    SMOOTH,
    Hypotheses,
    RankWeighted,
    View,
    WarmStart,
    log_regrets,
)

SPACE = SearchSpace([Float("x", 0, 1)])


def experience(scores):
    """Experience whose configurations are x = 0, .1, .2, ..."""
    scores = np.array(scores, dtype=float)
    task, config = np.indices(scores.shape)
    trials = pd.DataFrame(
        {"task": task.ravel().astype(str), "config": config.ravel(), "score": scores.ravel()}
    )
    tasks = pd.DataFrame(
        {"family": map(str, range(len(scores)))}, index=map(str, range(len(scores)))
    )
    return MetaDataset(SPACE, [{"x": i / 10} for i in range(scores.shape[1])], trials, tasks)


def test_greedy_portfolio_by_hand():
    """First what is good on all tasks, then what is best where that is not."""
    made = experience([[0, 10, 8, 0], [0, 10, 8, 0], [10, 0, 8, 0], [10, 0, 8, 1]])
    assert [c["x"] for c in greedy_portfolio(made, 4)] == [0.2, 0.0, 0.1, 0.3]
    assert len(greedy_portfolio(made, 99)) == 4


def test_greedy_portfolio_is_the_best_at_each_step():
    made = MetaDataset.load("svc")
    made = made.subset(list(made.tasks.index[::5]))
    regrets = made.regrets.to_numpy()
    chosen = [made.configs.index(c) for c in greedy_portfolio(made, 4)]
    for n in range(4):
        means = [regrets[:, [*chosen[:n], i]].min(axis=1).mean() for i in range(len(made.configs))]
        assert means[chosen[n]] == min(means)


def test_portfolio_is_a_searcher():
    made = MetaDataset.load("svc")
    task = made.replay(made.tasks.index[0])
    history = run(Portfolio(made.without(made.families.iloc[0]), 5), task, 50)
    assert len(history) == 5


def test_a_warm_start_comes_first_and_is_learned_from():
    pool = [{"x": i / 50} for i in range(51)]

    class Task:
        def evaluate(self, config):
            return -abs(config["x"] - 0.3)

    given = [pool[i] for i in (50, 40, 0, 20, 10)]
    searcher = BayesianSearch(SPACE, np.random.default_rng(0), pool)
    history = run(warm_start(searcher, given), Task(), 12)
    assert history["config"][:5].tolist() == given
    assert len({c["x"] for c in history["config"]}) == 12
    assert abs(history["config"].iloc[5]["x"] - 0.3) < 0.15  # no design: the model is asked at once
    assert history["incumbent"].iloc[-1] > -0.011


def test_a_warm_start_of_a_searcher_that_does_not_learn():
    history = run(warm_start(RandomSearch(SPACE, np.random.default_rng(0)), [{"x": 0.5}]),
                  type("T", (), {"evaluate": lambda self, c: c["x"]})(), 3)  # fmt: skip
    assert history["config"][1] == {"x": 0.5}
    assert len(history) == 3


def test_bad_size():
    with pytest.raises(ValueError, match="n: got 0"):
        greedy_portfolio(experience([[0, 1]]), 0)


def test_a_weighted_portfolio():
    made = experience([[0, 10, 8, 0], [0, 10, 8, 0], [10, 0, 8, 0], [10, 0, 8, 1]])
    assert [c["x"] for c in greedy_portfolio(made, 1, [0, 0, 1, 1])] == [0.0]
    assert Portfolio(made, 1, np.array([3, 3, 0.1, 0.1])).suggest() == {"x": 0.1}
    assert greedy_portfolio(made, 4, [2, 2, 2, 2]) == greedy_portfolio(made, 4)
    for wrong in ([1, 1], [-1, 1, 1, 1], [0, 0, 0, 0], [np.nan, 1, 1, 1]):
        with pytest.raises(ValueError, match="weights: got"):
            greedy_portfolio(made, 1, wrong)


# ------------------------------------------------------------------ the prior, and what trials say


def view_of(scores):
    """A view of configurations that have nothing in common but what the sources say of them."""
    points = np.linspace(0, 1, len(scores[0]))[:, None]
    return View.of(points, np.array([False]), np.array(scores, dtype=float))


def test_the_views_by_hand():
    assert np.allclose(log_regrets(np.array([[0, 1, 0.2]])), [[1, 0, 1 - np.log(2) / np.log(6)]])
    view = view_of([[0, 2], [2, 0]])
    assert np.allclose(view.mean, 1)
    assert np.allclose(view.deviations, [[-1, 1], [1, -1]])
    assert np.allclose(view_of(np.ones((2, 3))).deviations, 0)


def test_all_sources_together_vary_as_the_sources_do():
    """What the sources explain and what they do not add up to their covariance, and Matern's."""
    view = view_of(np.random.default_rng(0).normal(size=(30, 5)))
    own = view.covariance(view)[0] - OFFSET
    explained = np.cov(view.like_each().T, bias=True)
    C = view.deviations.T @ view.deviations / 30
    smooth = matern52(squared_differences(view.points, view.points, view.categorical), np.ones(1))
    assert np.isclose(np.trace(C) / 5, 1)
    assert np.allclose(explained + own, C + OWN**2 * SMOOTH * (smooth - C))
    assert np.allclose(np.diag(view.covariance(view)[0]), view.variance())


def hypotheses(S, t, pool=False):
    """Hypotheses with these covariances (g, n, n), after trials of the first t configurations."""
    view = view_of(np.zeros((1, S.shape[1])))

    def numbers(view):
        return np.rint(view.points[:, 0] * (S.shape[1] - 1)).astype(int)

    found = Hypotheses(
        len(S), lambda a, b, g: S[g][:, numbers(a)][:, :, numbers(b)],
        lambda a: S[0].diagonal()[numbers(a)], view if pool else None,
    )  # fmt: skip
    for i in range(t):
        found.add(view[: i + 1])
    return found, view


def covariances(rng, g, n):
    """Of g processes at n configurations, with variance 1."""
    A = rng.normal(size=(g, n, n))
    S = A @ A.transpose(0, 2, 1)
    std = np.sqrt(np.diagonal(S, axis1=1, axis2=2))
    return S / std[:, :, None] / std[:, None]


def test_weights_are_those_of_the_normal_distribution():
    rng = np.random.default_rng(1)
    S, means, z = covariances(rng, 2, 4), rng.normal(size=(3, 4)), rng.normal(size=4)
    found, _ = hypotheses(S, 4)
    logs = found.judge(means, z)
    for g in range(2):
        for k in range(3):

            def log_density(c, g=g, k=k):
                p = multivariate_normal(means[k], S[g] + NOISE * np.eye(4)).logpdf(c * z)
                return p + 4 * np.log(c) + SIZE * (np.log(c) - c**2 / 2)

            best = minimize_scalar(
                lambda log_c: -log_density(np.exp(log_c)), bounds=(-5, 5), method="bounded",
                options={"xatol": 1e-9},
            )  # fmt: skip
            assert np.isclose(found.c[g, k], np.exp(best.x), rtol=1e-5)
            assert np.isclose(logs[g, k], -best.fun + 2 * np.log(2 * np.pi))


@pytest.mark.parametrize("pool", [True, False])
def test_improvement_is_that_of_a_gaussian_process(pool):
    """Row by row comes to the same as all at once, for one hypothesis and for several."""
    rng = np.random.default_rng(2)
    S, M, z = covariances(rng, 2, 40), rng.normal(size=(2, 40)), rng.normal(size=20)
    found, view = hypotheses(S, 20, pool)  # more than there is room for at once
    found.judge(M[:, :20], z)
    belief, expected = np.array([[0.1, 0.2], [0.3, 0.4]]), 0
    for g in range(2):
        for k in range(2):
            c = found.c[g, k]
            K = S[g, :20, :20] + NOISE * np.eye(20)
            mean, std = posterior(K, S[g, :20], c * z - M[k, :20])
            gain = expected_improvement(M[k] + mean, np.sqrt(std**2 + NOISE), c * z.max())
            expected = expected + belief[g, k] * gain
    assert np.allclose(found.improvement(belief, M, view, z.max()), expected)


# ------------------------------------------------------------------ the searcher


@pytest.fixture(scope="module")
def svc():
    made = MetaDataset.load("svc")
    return made.subset(list(made.tasks.index[::3]))


def shuffled(experience, seed=0):
    """The same experience, the scores of each task in a random order of their own."""
    rng = np.random.default_rng(seed)
    new = experience.trials.groupby("task")["score"].transform(lambda s: rng.permutation(s))
    return replace(experience, trials=experience.trials.assign(score=new))


def searches(known, e, n_trials, tasks=10, **given):
    some = e.subset(list(e.tasks.index[:tasks]))
    return race(
        lambda i, rng: WarmStart(
            e.space, rng, known.without(some.families.iloc[i]), pool=e.configs, **given
        ),
        some, n_trials,
    )  # fmt: skip


def test_it_is_ahead_of_the_portfolio_and_of_cold_search(svc):
    known = MetaDataset.load("svc")  # all of it, as a user has it
    ours = searches(known, svc, 30, 50)
    lists = race(lambda i, _: Portfolio(known.without(svc.families.iloc[i]), 30), svc, 30)
    cold = race(lambda _, rng: BayesianSearch(svc.space, rng, svc.configs), svc, 30)
    assert ours.mean() < 0.85 * lists.mean()
    assert ours.mean() < 0.5 * cold.mean()


def test_useless_experience_does_no_harm_and_is_not_trusted(svc):
    cold = race(lambda _, rng: BayesianSearch(svc.space, rng, svc.configs), svc, 40)
    assert searches(shuffled(svc), svc, 40, 50).mean() < 1.15 * cold.mean()
    trust = {}
    for name, known in {"good": svc, "useless": shuffled(svc)}.items():
        trust[name] = []
        for task in svc.tasks.index[:8]:
            searcher = WarmStart(svc.space, np.random.default_rng(0), known.without(
                svc.families[task]), pool=svc.configs)  # fmt: skip
            assert 0.5 < searcher.trust_ < 1
            run(searcher, svc.replay(task), 30)
            trust[name].append(searcher.trust_)
    assert np.mean(trust["good"]) > np.mean(trust["useless"]) + 0.3


def test_the_unit_of_the_scores_does_not_matter(svc):
    known, (task, *_) = svc.without(svc.families.iloc[0]), svc.tasks.index

    def proposals(unit, level):
        searcher = WarmStart(svc.space, np.random.default_rng(3), known, pool=svc.configs)
        found = []
        for _ in range(15):
            found.append(searcher.suggest())
            searcher.update(found[-1], level + unit * svc.replay(task).evaluate(found[-1]))
        return found

    assert proposals(1, 0) == proposals(1000, -50)


def test_failures_equal_scores_and_the_end_of_the_pool():
    made = experience([[0, 10, 8, 0], [0, 9, 8, 0], [10, 0, 8, 0]])
    for score in (np.nan, 1.0):
        searcher = WarmStart(SPACE, np.random.default_rng(0), made, pool=made.configs)
        tried = []
        for _ in range(4):
            tried.append(searcher.suggest())
            searcher.update(tried[-1], score)
            assert 0 <= searcher.trust_ <= 1
        assert len({c["x"] for c in tried}) == 4
        with pytest.raises(StopIteration):
            searcher.suggest()


def test_one_source_whose_scores_are_all_the_same():
    searcher = WarmStart(SPACE, np.random.default_rng(0), experience([[1, 1, 1, 1]]))
    for _ in range(5):
        searcher.update(config := searcher.suggest(), config["x"])


def smooth_tasks(n_tasks=20, width=0.2):
    """The best x is somewhere from .2 on, and a meta-feature; told at 40 configurations."""
    space, rng = SearchSpace([Float("x", 0, 1), Float("y", 0, 1)]), np.random.default_rng(0)
    configs = space.sample(rng, 40)
    best = 0.2 + width * rng.random(n_tasks)
    rows = [
        (f"t{i}", j, -((c["x"] - b) ** 2) - 0.1 * (c["y"] - 0.5) ** 2)
        for i, b in enumerate(best) for j, c in enumerate(configs)
    ]  # fmt: skip
    names = [f"t{i}" for i in range(n_tasks)]
    trials = pd.DataFrame(rows, columns=["task", "config", "score"])
    features = pd.DataFrame({"best": best, "noise": rng.random(n_tasks)}, index=names)
    tasks = pd.DataFrame({"family": names}, index=names)
    return MetaDataset(space, configs, trials, tasks, features)


def test_the_whole_space_and_another_pool():
    known = smooth_tasks()
    other = known.space.sample(np.random.default_rng(7), 60)  # configurations no source has seen
    for pool in (None, other):
        searcher = WarmStart(known.space, np.random.default_rng(0), known, pool=pool)
        scores = []
        for _ in range(12):
            config = searcher.suggest()
            known.space.check(config)
            assert pool is None or config in pool
            scores.append(-((config["x"] - 0.25) ** 2) - 0.1 * (config["y"] - 0.5) ** 2)
            searcher.update(config, scores[-1])
        assert scores[0] > -0.03  # as the sources have it
        assert max(scores) > (-0.002 if pool is None else -0.01)
    assert searcher.trust_ > 0.5


def test_meta_features_say_where_to_begin():
    known = smooth_tasks(40, 0.6)
    low, high = known.meta_features["best"].idxmin(), known.meta_features["best"].idxmax()
    distance = {t: TaskDistance().fit(known.without(t)) for t in (low, high)}
    x = {}
    for task in (low, high):
        searcher = WarmStart(
            known.space, np.random.default_rng(0), known.without(task),
            known.meta_features.loc[task], known.configs, distance[task],
        )  # fmt: skip
        x[task] = searcher.suggest()["x"]
    assert x[low] < x[high]


def test_same_seed_same_proposals(svc):
    a, b = (searches(svc, svc, 10, 3) for _ in range(2))
    assert np.array_equal(a, b)


def test_rank_weighted_needs_no_meta_features(svc):
    known = svc.without(svc.families.iloc[0])
    searcher = RankWeighted(svc.space, np.random.default_rng(0), known, svc.configs)
    assert np.ptp(searcher.weights) == 0
    run(searcher, svc.replay(svc.tasks.index[0]), 5)
    assert np.ptp(searcher.weights) > 0


def test_bad_input(svc):
    known, new = smooth_tasks(), np.random.default_rng(0)
    with pytest.raises(ValueError, match="space: got"):
        WarmStart(SPACE, new, known)
    with pytest.raises(ValueError, match="pool: got no"):
        WarmStart(known.space, new, known, pool=[])
    with pytest.raises(ValueError, match="meta_features"):
        WarmStart(known.space, new, known, pd.Series({"other": 1.0}))
    distance = TaskDistance().fit(known.without("t0"))
    with pytest.raises(ValueError, match="distance: got"):
        WarmStart(known.space, new, known, known.meta_features.loc["t0"], distance=distance)
    described = known.meta_features.loc["t0"]
    with pytest.raises(ValueError, match="meta_features"):
        WarmStart(known.space, new, replace(known, meta_features=None), described)
