"""What a user relies on in learned distances: no collapse, and trust that is earned."""

import numpy as np
import pandas as pd
import pytest
from experience_cases import dataset, made
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr

from metahpo_lite import MetaDataset, bootstrap_interval
from metahpo_lite.distances import TaskDistance, task_distances
from metahpo_lite.learned_distance import (
    OBJECTIVES,
    LearnedDistance,
    constrained,
    contrastive,
    fit_map,
    printed,
    pull,
    response_similarity,
    similarity,
    squared_distances,
)

SAME = settings(max_examples=50, deadline=None, derandomize=True)
vectors = arrays(float, (4, 3), elements=st.floats(-10, 10).map(lambda v: round(v, 3)))


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
