"""What a user relies on in transfer from neighbours: who is near, and what they would try."""

import math

import numpy as np
import pandas as pd
import pytest
from experience_cases import NEW, SPACE, dataset, described, made

from metahpo_lite import Float, MetaDataset, SearchSpace, race
from metahpo_lite.distances import TaskDistance
from metahpo_lite.learned_distance import LearnedDistance
from metahpo_lite.metric_based import NearestTasks, mean_of_neighbours
from metahpo_lite.portfolio import Portfolio, greedy_portfolio


def test_with_all_tasks_alike_the_first_trials_are_the_portfolio():
    experience = made(seed=2)
    distance, n = TaskDistance().fit(experience), len(experience.tasks)
    search = NearestTasks(SPACE, np.random.default_rng(0), experience, NEW, distance, n)
    for config in greedy_portfolio(experience, 3):
        assert search.suggest() == config
        search.update(config, math.nan)  # says nothing about who is near


def test_trials_say_who_is_near():
    """The meta-features point to tasks whose best x is .9; the trials say .1."""
    experience = made(60)
    search = NearestTasks(SPACE, np.random.default_rng(0), experience,
                          pd.Series({"where": 0.9, "noise": 0.0, "more": 0.0}), None, 10,
                          experience.configs)  # fmt: skip
    where = experience.meta_features["where"].to_numpy()
    assert search.weights @ where > 0.75
    for _ in range(10):
        config = search.suggest()
        search.update(config, 1 - (config["x"] - 0.1) ** 2)
    assert search.weights @ where < 0.4
    assert search.weights.sum() == pytest.approx(1)


def test_without_meta_features_trials_alone_say_who_is_near():
    experience = made(30)
    bare = described(experience, None)
    search = NearestTasks(SPACE, np.random.default_rng(0), bare, None, pool=bare.configs)
    assert np.allclose(search.weights, 1 / 30)
    for _ in range(5):
        config = search.suggest()
        search.update(config, 1 - (config["x"] - 0.1) ** 2)
    assert search.weights @ experience.meta_features["where"] < 0.4


def test_a_pool_is_tried_whole_and_nothing_twice():
    experience = made(20)
    search = NearestTasks(SPACE, np.random.default_rng(0), experience, NEW, pool=experience.configs)
    tried = []
    for i in range(len(experience.configs)):
        tried.append(search.suggest())
        search.update(tried[-1], math.nan if i % 3 == 0 else 1.0)
    assert len({str(config) for config in tried}) == len(experience.configs)
    with pytest.raises(StopIteration):
        search.suggest()


def test_in_the_whole_space_it_begins_with_what_is_known_and_goes_on():
    experience = made(20, 5)
    search = NearestTasks(SPACE, np.random.default_rng(0), experience, NEW)
    tried = []
    for _ in range(8):
        tried.append(SPACE.check(search.suggest()))
        search.update(tried[-1], 1.0)
    assert all(config in experience.configs for config in tried[:5])
    assert len({str(config) for config in tried}) == 8


def test_the_order_of_columns_does_not_matter_and_some_may_be_missing():
    experience = made()
    for distance in (TaskDistance().fit(experience), LearnedDistance().fit(experience)):
        assert np.array_equal(distance(NEW), distance(NEW[::-1]))
        assert np.isfinite(distance(NEW.replace(0.0, np.nan))).all()


def test_the_same_seed_gives_the_same_distance():
    a, b = (LearnedDistance(seed=3).fit(made()) for _ in "ab")
    assert np.array_equal(a(NEW), b(NEW))
    assert a.k_ == b.k_


@pytest.mark.parametrize("learner", ["svc", "hist_gradient_boosting", "mlp"])
def test_it_is_ahead_of_the_portfolio_on_our_experience(learner):
    experience = MetaDataset.load(learner)
    some = experience.subset(list(experience.tasks.index[::3]))
    known = experience.without(list(some.families))
    distance = LearnedDistance().fit(known)
    ours = race(
        lambda i, rng: NearestTasks(some.space, rng, known, some.meta_features.iloc[i], distance,
                                    pool=some.configs), some, 30)  # fmt: skip
    theirs = race(lambda i, rng: Portfolio(known, 30), some, 30)
    assert ours.mean() < 0.97 * theirs.mean()


def test_two_good_places_average_to_a_third():
    """Neighbours want x = 0 or x = 1: their mean is .5; what is nearest is one of theirs."""
    configs = [{"x": x, "kind": "a"} for x in (0.0, 0.5, 1.0)]
    scores = np.array([[1, 0, 0.5], [0.5, 0, 1], [1, 0, 0.4], [0.4, 0, 1]])
    features = pd.DataFrame({"where": [0.1, 0.2, 0.3, 0.4], "noise": 0.0, "more": 0.0})
    experience = dataset(configs, scores, features)
    distance = TaskDistance().fit(experience)
    assert mean_of_neighbours(experience, NEW, distance, 4)["x"] == pytest.approx(0.5)
    search = NearestTasks(SPACE, np.random.default_rng(0), experience, NEW, distance, 4, configs)
    assert search.suggest()["x"] in (0, 1)


def test_the_one_nearest_neighbour_gives_its_best():
    experience = made()
    distance = TaskDistance().fit(experience)
    for task in experience.tasks.index[:5]:
        config = mean_of_neighbours(experience, experience.meta_features.loc[task], distance, 1)
        best = experience.configs[experience.scores.loc[task].to_numpy().argmax()]
        assert config == {"x": pytest.approx(best["x"]), "kind": best["kind"]}


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: TaskDistance("city"), "metric: got 'city'"),
        (lambda: LearnedDistance("deep"), "kind: got 'deep'"),
        (lambda: LearnedDistance(objective="hope"), "objective: got 'hope'"),
        (lambda: LearnedDistance(seed=-1), "seed: got -1"),
        (lambda: LearnedDistance().fit(made(1)), "two families or more"),
        (lambda: search(k=0), "k: got 0, accepted is a whole number from 1 to 40"),
        (lambda: search(k=41), "k: got 41, accepted is a whole number from 1 to 40"),
        (lambda: search(distance=TaskDistance().fit(made(39))), "distance: got one of 1 task"),
        (lambda: search(new=NEW.drop("more")), "'more' is missing"),
        (lambda: search(new=NEW * np.nan), "all of a task are missing"),
        (lambda: search(space=SearchSpace([Float("x", 0, 1)])), "space: got"),
        (lambda: search(pool=[]), "pool: got no configuration"),
        (lambda: mean_of_neighbours(made(), NEW, TaskDistance().fit(made()), 41), "k: got 41"),
    ],
)
def test_bad_input(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def search(space=SPACE, new=NEW, distance=None, k=None, pool=None):
    return NearestTasks(space, np.random.default_rng(0), made(), new, distance, k, pool)
