"""What a user relies on in metric-based meta-learning: distances, and what they transfer."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import distance as scipy_distance
from scipy.stats import spearmanr

from metahpo_lite import Categorical, Float, MetaDataset, SearchSpace, bootstrap_interval, race
from metahpo_lite.metric_based import (
    OBJECTIVES,
    LearnedDistance,
    NearestTasks,
    TaskDistance,
    constrained,
    contrastive,
    expected_regrets,
    fit_map,
    mean_of_neighbours,
    neighbour_weights,
    printed,
    pull,
    response_similarity,
    similarity,
    squared_distances,
    task_distances,
)
from metahpo_lite.warmstart import Portfolio, greedy_portfolio

SAME = settings(max_examples=50, deadline=None, derandomize=True)
SPACE = SearchSpace([Float("x", 0, 1), Categorical("kind", ["a", "b"])])
vectors = arrays(float, (4, 3), elements=st.floats(-10, 10).map(lambda v: round(v, 3)))
SCIPY = {"euclidean": scipy_distance.euclidean, "manhattan": scipy_distance.cityblock,
         "cosine": scipy_distance.cosine}  # fmt: skip


def dataset(configs, scores: np.ndarray, features: pd.DataFrame | None) -> MetaDataset:
    names = [f"t{i}" for i in range(len(scores))]
    trials = pd.DataFrame(
        [(name, i, s) for name, row in zip(names, scores, strict=True) for i, s in enumerate(row)],
        columns=["task", "config", "score"],
    )
    tasks = pd.DataFrame({"family": names}, index=pd.Index(names, name="task"))
    if features is not None:
        features = features.set_axis(tasks.index)
    return MetaDataset(SPACE, configs, trials, tasks, features)


def described(experience: MetaDataset, features: pd.DataFrame | None) -> MetaDataset:
    return dataset(experience.configs, experience.scores.to_numpy(), features)


def made(n_tasks=40, n_configs=30, seed=0, shuffled=False) -> MetaDataset:
    """The first of three meta-features says where the best x is; the others are noise."""
    rng = np.random.default_rng(seed)
    where = rng.random(n_tasks)
    configs = SPACE.sample(rng, n_configs)
    x = np.array([config["x"] for config in configs])
    scores = 1 - (x - where[:, None]) ** 2 + 0.02 * rng.normal(size=(n_tasks, n_configs))
    features = pd.DataFrame(
        {"where": where, "noise": rng.normal(size=n_tasks), "more": rng.normal(size=n_tasks)}
    )
    if shuffled:
        features = features.iloc[rng.permutation(n_tasks)]
    return dataset(configs, scores, features)


# ------------------------------------------------------------------ given distances


@pytest.mark.parametrize("metric", SCIPY)
@pytest.mark.parametrize("seed", range(5))
def test_given_distances_are_those_of_scipy(metric, seed):
    A, B = np.random.default_rng(seed).normal(size=(2, 7, 5))
    wanted = [[SCIPY[metric](a, b) for b in B] for a in A]
    assert np.allclose(task_distances(A, B, metric), wanted, rtol=0, atol=1e-12)


@given(vectors)
@SAME
@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_given_distances_are_metrics(metric, A):
    D = task_distances(A, A, metric)
    assert np.allclose(D, D.T, atol=1e-9)
    assert (np.diag(D) == 0).all()
    assert (D[:, None] <= D[:, :, None] + D[None] + 1e-9).all()  # i to k, by way of j


def test_a_vector_of_zeros_has_no_direction():
    A, B = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    assert np.allclose(task_distances(A, B, "cosine"), [[0, 1, 1], [1, 0, 1]])


def test_distances_of_what_is_no_number():
    with pytest.raises(ValueError, match="NaN or infinity"):
        task_distances(np.array([[np.nan]]), np.zeros((1, 1)))
    with pytest.raises(ValueError, match="metric: got 'city'"):
        task_distances(np.zeros((1, 1)), np.zeros((1, 1)), "city")


def test_a_long_tail_does_not_decide_who_is_near():
    experience = made()
    before = TaskDistance().fit(experience)(experience.meta_features.iloc[[3]])
    stretched = experience.meta_features.assign(noise=np.exp(5 * experience.meta_features["noise"]))
    far = TaskDistance().fit(described(experience, stretched))
    assert np.allclose(far(stretched.iloc[[3]]), before, atol=0.05)


# ------------------------------------------------------------------ objectives


def test_response_similarity_is_a_rank_correlation():
    experience = made(6)
    found = response_similarity(experience)
    y = experience.scores.to_numpy()
    assert np.allclose(found, found.T)
    assert np.allclose(np.diag(found), 1)
    ranked = spearmanr(y, axis=1)[0]
    assert np.corrcoef(found.ravel(), ranked.ravel())[0, 1] > 0.98  # normal ranks, not ranks


def test_similarity_of_a_task_without_differences():
    experience = made(4)
    flat = experience.scores.to_numpy().copy()
    flat[1] = 0.5
    found = response_similarity(dataset(experience.configs, flat, None))
    assert found[1].tolist() == [0, 1, 0, 0]


def test_objectives_by_hand():
    """Two tasks, squared distance 4, similarity 1/2: both pairs count alike."""
    D, S = np.array([[0.0, 4.0], [4.0, 0.0]]), np.array([[1.0, 0.5], [0.5, 1.0]])
    assert printed(D, S)[0] == pytest.approx(4)
    assert constrained(D, S)[0] == pytest.approx(1)
    assert contrastive(D / 16, S)[0] == pytest.approx(0.5 / 4 + 0.5 / 4)  # distance 1/2
    assert similarity(D, S)[0] == pytest.approx(0)  # the constant takes it all


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("seed", range(3))
def test_gradients_equal_finite_differences(name, seed):
    rng = np.random.default_rng(seed)
    Z, S = rng.normal(scale=0.5, size=(6, 2)), rng.uniform(-0.5, 1, (6, 6))
    S = (S + S.T) / 2
    objective = OBJECTIVES[name]
    gradient = pull(Z, objective(squared_distances(Z), S)[1])
    for where in np.ndindex(*Z.shape):
        step = np.zeros_like(Z)
        step[where] = 1e-6
        up, down = (objective(squared_distances(Z + s * step), S)[0] for s in (1, -1))
        assert gradient[where] == pytest.approx((up - down) / 2e-6, rel=1e-4, abs=1e-6)


def mean_distance(X, S, kind, objective):
    """Of the mapped tasks, over that of the first weights."""
    rng = np.random.default_rng(0)
    start = rng.normal(scale=X.shape[1] ** -0.5, size=(X.shape[1], 8))
    phi = fit_map(X, S, kind, objective, np.random.default_rng(0))
    return np.sqrt(squared_distances(phi(X))).mean() / np.sqrt(squared_distances(X @ start)).mean()


@pytest.mark.parametrize("kind", ["diagonal", "low_rank"])
def test_the_printed_objective_collapses_and_each_repair_does_not(kind):
    experience = MetaDataset.load("svc")
    X, S = TaskDistance().fit(experience).points_, response_similarity(experience)
    assert mean_distance(X, S, kind, printed) < 1e-3
    for repair in (constrained, contrastive, similarity):
        assert mean_distance(X, S, kind, repair) > 0.05


def test_weights_that_are_all_zero_move_nothing():
    D, S = np.array([[0.0, 4.0], [4.0, 0.0]]), np.array([[1.0, -0.5], [-0.5, 1.0]])
    value, gradient = printed(D, S)
    assert value == 0
    assert not gradient.any()


# ------------------------------------------------------------------ learned distances


@pytest.mark.parametrize("kind", ["diagonal", "low_rank"])
@given(vectors)
@SAME
def test_a_learned_linear_map_gives_a_metric(kind, A):
    table = pd.DataFrame(A, columns=["where", "noise", "more"])
    fitted = FITTED.setdefault(kind, LearnedDistance(kind).fit(made()))
    Z = fitted.embed(table)
    D = task_distances(Z, Z)
    assert np.allclose(D, D.T, atol=1e-9)
    assert (np.diag(D) == 0).all()
    assert (D[:, None] <= D[:, :, None] + D[None] + 1e-9).all()


FITTED: dict = {}


@pytest.mark.parametrize("kind", ["diagonal", "low_rank", "network"])
def test_it_finds_the_meta_feature_that_matters(kind):
    if kind == "network":
        pytest.importorskip("tensorflow")
    fitted = LearnedDistance(kind).fit(made())
    new = made(20, seed=1)
    where = (
        new.meta_features["where"].to_numpy()[:, None] - made().meta_features["where"].to_numpy()
    )
    found = [
        spearmanr(a, np.abs(b))[0] for a, b in zip(fitted(new.meta_features), where, strict=True)
    ]
    plain = TaskDistance().fit(made())(new.meta_features)
    given_ = [spearmanr(a, np.abs(b))[0] for a, b in zip(plain, where, strict=True)]
    assert np.mean(found) > 0.8 > np.mean(given_) + 0.1
    assert fitted.k_ is not None


def test_meta_features_that_say_nothing_are_not_trusted():
    assert [LearnedDistance(seed=s).fit(made(shuffled=True, seed=s)).k_ for s in range(3)] == [
        None
    ] * 3


@pytest.mark.parametrize("learner", ["svc", "hist_gradient_boosting", "mlp"])
def test_it_predicts_similarity_on_families_it_has_not_seen(learner):
    """Ahead of Euclidean and cosine; paired by task, the interval excludes 0."""
    experience = MetaDataset.load(learner)
    S, found = response_similarity(experience), {}
    for k in range(3):
        out = np.arange(len(S)) % 3 == k
        known = experience.without(list(experience.families[out]))
        for name, distance in {"learned": LearnedDistance(), "euclidean": TaskDistance(),
                               "cosine": TaskDistance("cosine")}.items():  # fmt: skip
            D = distance.fit(known)(experience.meta_features[out])
            pairs = zip(D, S[np.ix_(out, ~out)], strict=True)
            found.setdefault(name, []).extend(-spearmanr(d, s)[0] for d, s in pairs)
    for given_ in ("euclidean", "cosine"):
        gain = np.array(found["learned"]) - np.array(found[given_])
        _, low, _ = bootstrap_interval(gain, range(len(gain)), np.random.default_rng(0))
        assert low > 0.1


# ------------------------------------------------------------------ transfer


def test_weights_by_hand():
    weights = neighbour_weights(np.array([[0.0, 1.0, 2.0, 4.0]]), 3)
    raw = np.exp([0, -1 / 4, -1, -4])
    assert np.allclose(weights, 0.3 / 4 + 0.7 * raw / raw.sum())


@pytest.mark.parametrize(
    ("distances", "k"), [([2.0, 2, 2], 1), ([0.0, 0, 0], 2), ([1.0, 2, 3], None), ([1.0, 2, 3], 3),
                         ([1.0, 2, 3], 99)]
)  # fmt: skip
def test_all_tasks_alike(distances, k):
    assert np.allclose(neighbour_weights(np.array([distances]), k), 1 / 3)


def test_tasks_at_distance_zero_share_all_weight_among_k():
    assert neighbour_weights(np.array([[0.0, 0, 5]]), 2)[0, :2].tolist() == [0.35 + 0.3 / 3] * 2


def test_expected_regrets_by_hand():
    regrets = np.array([[0.5, 0.2], [0.1, 0.9]])
    assert np.allclose(expected_regrets(np.array([0.75, 0.25]), regrets, np.array([0.4, 0.4])),
                       [0.75 * 0.4 + 0.25 * 0.1, 0.75 * 0.2 + 0.25 * 0.4])  # fmt: skip


def test_with_all_tasks_alike_the_first_trials_are_the_portfolio():
    experience = made(seed=2)
    distance, n = TaskDistance().fit(experience), len(experience.tasks)
    search = NearestTasks(SPACE, np.random.default_rng(0), experience, NEW, distance, n)
    for config in greedy_portfolio(experience, 3):
        assert search.suggest() == config
        search.update(config, math.nan)  # says nothing about who is near


NEW = pd.Series({"where": 0.3, "noise": 0.0, "more": 0.0})


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


# ------------------------------------------------------------------ bad input


def test_a_prediction_before_fit():
    for distance in (TaskDistance(), LearnedDistance()):
        with pytest.raises(RuntimeError, match="not fitted yet"):
            distance(NEW)


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


def test_experience_without_meta_features_has_no_distance():
    experience = made(5)
    bare = described(experience, None)
    for distance in (TaskDistance(), LearnedDistance()):
        with pytest.raises(ValueError, match="no meta-features"):
            distance.fit(bare)


def test_one_task_is_at_distance_zero():
    distance = TaskDistance().fit(made(1))
    assert distance(NEW).tolist() == [[0.0]]


def test_distances_of_tables():
    A = pd.DataFrame({"a": [0.0, 3.0], "b": [0.0, 4.0]})
    assert np.allclose(task_distances(A, A), [[0, 5], [5, 0]])
