"""What a user relies on in warm starts: good configurations first, and a searcher that learns."""

import numpy as np
import pandas as pd
import pytest

from metahpo_lite import Float, MetaDataset, RandomSearch, SearchSpace, run
from metahpo_lite.bayes import BayesianSearch
from metahpo_lite.warmstart import Portfolio, greedy_portfolio, warm_start

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
