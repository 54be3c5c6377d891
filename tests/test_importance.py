"""What a user relies on in importance: shares of the variance, none for noise."""

import numpy as np
import pytest

from metahpo_lite import Categorical, Float, Int, SearchSpace
from metahpo_lite.importance import explained_share, hyperparameter_importance

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
