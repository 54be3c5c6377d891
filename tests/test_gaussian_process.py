"""What a user relies on in the process: scikit-learn's beliefs, and hyperparameters that fit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from space_cases import MIXED

from metahpo_lite.gaussian_process import (
    NOISE,
    SCALE,
    SIGNAL,
    GaussianProcess,
    _negative_log_posterior,
    matern52,
    posterior,
    squared_differences,
)


def problem(seed):
    """Observations at random points, and hyperparameters."""
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(1, 40)), int(rng.integers(1, 8))
    return {
        "X": rng.random((n, d)),
        "y": rng.normal(size=n),
        "scales": np.exp(rng.normal(-0.5, 1, d)),
        "signal": math.exp(rng.normal()),
        "noise": math.exp(rng.normal(-4, 1)),
        "categorical": np.zeros(d, dtype=bool),
    }, rng.random((50, d))


# ------------------------------------------------------------------ the process


@pytest.mark.parametrize("seed", range(20))
def test_posterior_is_that_of_scikit_learn(seed):
    made, new = problem(seed)
    ours = GaussianProcess(**made)
    kernel = ConstantKernel(ours.signal) * Matern(ours.scales, nu=2.5)
    theirs = GaussianProcessRegressor(kernel, alpha=ours.noise, optimizer=None)
    theirs.fit(ours.X, ours.y)
    for got, wanted in zip(ours.predict(new), theirs.predict(new, return_std=True), strict=True):
        assert np.allclose(got, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_marginal_likelihood_is_that_of_scikit_learn(seed):
    made, _ = problem(seed)
    scales, signal, noise = made["scales"], made["signal"], made["noise"]
    kernel = ConstantKernel(signal) * Matern(scales, nu=2.5) + WhiteKernel(noise)
    y = np.column_stack([made["y"], made["y"][::-1]])  # two functions of one process
    theirs = GaussianProcessRegressor(kernel, alpha=0, optimizer=None).fit(made["X"], y)
    theta = np.log([*scales, signal, noise])
    medians = np.array([*[SCALE[0] * len(scales) ** 0.5] * len(scales), SIGNAL[0], NOISE[0]])
    spreads = np.array([*[SCALE[1]] * len(scales), SIGNAL[1], NOISE[1]])
    log_prior = -np.sum(((theta - np.log(medians)) / spreads) ** 2) / 2
    differences = squared_differences(made["X"], made["X"], made["categorical"])
    ours, _ = _negative_log_posterior(theta, differences, y)
    assert -ours == pytest.approx(theirs.log_marginal_likelihood_value_ + log_prior, abs=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_gradients_equal_finite_differences(seed):
    made, _ = problem(seed)
    made["categorical"][::3] = True
    theta = np.log([*made["scales"], made["signal"], made["noise"]])
    differences = squared_differences(made["X"], made["X"], made["categorical"])
    y = np.column_stack([made["y"], made["y"][::-1]])  # two functions of one process

    def value(theta):
        return _negative_log_posterior(theta, differences, y)[0]

    _, gradient = _negative_log_posterior(theta, differences, y)
    assert np.allclose(gradient, approx_fprime(theta, value, 1e-6), rtol=1e-4, atol=1e-3)


def test_posterior_by_hand():
    """Two observations, correlated by one half; a new point correlated by one half with each."""
    K, k = np.array([[1, 0.5], [0.5, 1]]), np.array([[0.5], [0.5]])
    mean, std = posterior(K, k, np.array([1.0, 0.5]))
    assert mean[0] == pytest.approx(0.5)  # a third of each
    assert std[0] ** 2 == pytest.approx(2 / 3)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_matern_is_a_correlation(seed):
    made, new = problem(seed)
    K = matern52(squared_differences(new, new, made["categorical"]), made["scales"])
    assert np.allclose(np.diag(K), 1)
    assert np.array_equal(K, K.T)
    assert ((K > 0) & (K <= 1)).all()
    assert np.linalg.eigvalsh(K).min() > -1e-10


def test_choices_are_equally_far_from_each_other():
    points = MIXED.encode([{"rate": 0.01, "layers": 2, "kind": k} for k in "ac"])
    between = squared_differences(points, points, np.array([False, False, True, False]))
    assert between[:, 0, 1].tolist() == [0, 0, 1, 0]


def test_fit_finds_what_made_the_observations():
    """Of a function that depends on one of three inputs: only this one has a short scale."""
    rng = np.random.default_rng(0)
    X = rng.random((60, 3))
    y = np.sin(9 * X[:, 0]) + 0.1 * rng.normal(size=60)
    fitted = GaussianProcess.fit(X, y)
    assert fitted.scales[0] < 0.5 < 1 < min(fitted.scales[1:])
    assert 0.05**2 < fitted.noise < 0.2**2
    new = rng.random((200, 3))
    mean, std = fitted.predict(new)
    assert np.abs(mean - np.sin(9 * new[:, 0])).max() < 0.3
    assert np.mean(np.abs(mean - np.sin(9 * new[:, 0])) < 2 * std) > 0.9


def test_fit_is_at_least_as_probable_as_where_it_began():
    for seed in range(10):
        made, _ = problem(seed)
        X, y = made["X"], made["y"]
        differences = squared_differences(X, X, made["categorical"])
        fitted = GaussianProcess.fit(X, y)
        again = GaussianProcess.fit(X, y, start=fitted)

        def cost(gp, differences=differences, y=y):
            theta = np.log([*gp.scales, gp.signal, gp.noise])
            return _negative_log_posterior(theta, differences, y[:, None])[0]

        begin = GaussianProcess(
            X, y, np.full(X.shape[1], SCALE[0] * X.shape[1] ** 0.5), SIGNAL[0], NOISE[0], None
        )
        assert cost(again) <= cost(fitted) + 1e-9 <= cost(begin) + 2e-9


def test_three_observations_are_not_overfitted():
    """On a line: by likelihood alone, the noise would go to 0 and the scales to infinity."""
    X = np.array([[0.2, 0.3], [0.5, 0.4], [0.8, 0.9]])
    fitted = GaussianProcess.fit(X, np.array([-1.2, 0.0, 1.2]))
    assert (fitted.scales < 5).all()
    assert fitted.noise > 1e-3
    _, std = fitted.predict(np.array([[0.0, 1.0]]))
    assert std[0] > 0.3  # far away it is still unsure


def test_two_scores_of_one_configuration():
    """The mean lies between them, and the noise is seen."""
    X = np.array([[0.5], [0.5], [0.1], [0.9]])
    fitted = GaussianProcess.fit(X, np.array([1.0, 0.0, -1.0, 0.0]))
    mean, _ = fitted.predict(X[:1])
    assert 0 < mean[0] < 1


def test_a_matrix_that_only_rounding_spoils_is_mended_and_another_refused():
    same = np.ones((3, 3))
    mean, std = posterior(same, np.ones((3, 1)), np.ones(3))
    assert mean[0] == pytest.approx(1, abs=1e-3)
    assert std[0] < 1e-3
    with pytest.raises(ValueError, match="K: got a matrix that is not positive definite"):
        posterior(np.array([[1.0, 2], [2, 1]]), np.ones((2, 1)), np.ones(2))


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (np.ones((2, 1)), [1, math.nan]),
        (np.ones((2, 1)), [1, math.inf]),
        (np.array([[1], [math.nan]]), [1, 2]),
        (np.ones((0, 1)), []),
        (np.ones((2, 1)), [1, 2, 3]),
        (np.ones(2), [1, 2]),
    ],
)
def test_bad_observations(X, y):
    with pytest.raises(ValueError, match="X, y: got"):
        GaussianProcess.fit(X, y)


def test_without_observations_the_prior_is_all_there_is():
    mean, std = posterior(np.zeros((0, 0)), np.zeros((0, 3)), np.zeros(0), prior=4.0)
    assert mean.tolist() == [0, 0, 0]
    assert std.tolist() == [2, 2, 2]
