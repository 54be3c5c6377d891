"""Bayesian optimization: a Gaussian process says what it believes, expected improvement chooses.

Fit the process to the trials so far, ask it about candidates, try the one that promises most
(Jones et al., 1998). It works on points of the unit cube, with one length scale for each
hyperparameter; two choices of a categorical one are 0 or 1 apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import erfcx
from scipy.stats import norm

from metahpo_lite.hyperparameters import Categorical
from metahpo_lite.spaces import Config, SearchSpace, whole_number
from metahpo_lite.storage import config_key

# Priors of the logarithms, mean and standard deviation, for standardised scores: they keep three
# points from overfitting. Chosen on our own experience.
SCALE, SIGNAL, NOISE = (math.log(0.5), 1.0), (0.0, 1.0), (math.log(0.01), 1.5)


# ---------------------------------------------------------------------- the Gaussian process


def squared_differences(A: np.ndarray, B: np.ndarray, categorical: np.ndarray) -> np.ndarray:
    """Return the squared difference of each pair of points, by dimension.

    Parameters
    ----------
    A, B : arrays of shape (n, d) and (m, d)
        Points of the unit cube.
    categorical : bool array of shape (d,)
        Where it is true, the difference is 0 or 1.

    Returns
    -------
    numpy.ndarray of shape (d, n, m)
    """
    differences = (A.T[:, :, None] - B.T[:, None, :]) ** 2
    differences[categorical] = differences[categorical] > 0
    return differences


def matern52(differences: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Compute the correlation of each pair of points (Matern, 1960; smoothness 5/2).

    Parameters
    ----------
    differences : array of shape (d, n, m)
        As from `squared_differences`.
    scales : array of shape (d,)
        The length scales: how far one has to go until the function is another.

    Returns
    -------
    numpy.ndarray of shape (n, m), in (0, 1]
    """
    a = np.sqrt(5 * np.tensordot(scales**-2.0, differences, 1))  # (n, m)
    return (1 + a + a**2 / 3) * np.exp(-a)


def posterior(K, k, y, prior):
    """Condition a Gaussian process on observations (Rasmussen & Williams, 2006, algorithm 2.1).

    Parameters
    ----------
    K : array of shape (n, n)
        Covariance of the observations, noise included.
    k : array of shape (n, m)
        Covariance of the observations with the function at m new points.
    y : array of shape (n,)
        The observations.
    prior : float
        Variance of the function at a point, before any observation.

    Returns
    -------
    mean, std : numpy.ndarray of shape (m,)
        Of the function, without the noise.
    """
    L = safe_cholesky(K)
    V = solve_triangular(L, k, lower=True)  # (n, m)
    mean = V.T @ solve_triangular(L, y, lower=True)
    variance = prior - (V**2).sum(axis=0)
    return mean, np.sqrt(np.maximum(variance, 1e-12))  # rounding may go below 0


def safe_cholesky(K: np.ndarray) -> np.ndarray:
    """Return L with L L' = K; points that nearly coincide need a little more on the diagonal."""
    for jitter in (0, 1e-10, 1e-8, 1e-6, 1e-4):
        try:
            return cholesky(K + jitter * np.mean(np.diag(K)) * np.eye(len(K)), lower=True)
        except LinAlgError:
            continue
    raise ValueError("K: not positive definite; accepted is a covariance matrix")


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """A belief about a function on the unit cube, given some observations.

    Attributes
    ----------
    X : array of shape (n, d)
        Where it was observed.
    y : array of shape (n,)
        What was observed: best standardised, since the belief has mean 0.
    scales : array of shape (d,)
        Length scales.
    signal, noise : float
        Variance of the function, and of an observation around it.
    categorical : bool array of shape (d,)
        Which dimensions have no order.
    """

    X: np.ndarray
    y: np.ndarray
    scales: np.ndarray
    signal: float
    noise: float
    categorical: np.ndarray

    @classmethod
    def fit(cls, X, y, categorical=None, start=None) -> GaussianProcess:
        """Choose scales, signal and noise that make the observations most probable."""
        d = X.shape[1]
        categorical = np.zeros(d, bool) if categorical is None else categorical
        mean, sd = np.array([*[SCALE] * d, SIGNAL, NOISE]).T
        start = mean if start is None else start
        differences = squared_differences(X, X, categorical)
        bounds = np.stack([mean - 4 * sd, mean + 4 * sd], axis=1)
        theta = minimize(
            negative_log_posterior, start, (differences, y), "L-BFGS-B", True,
            bounds=bounds, options={"maxiter": 30},
        ).x  # fmt: skip
        *scales, signal, noise = np.exp(theta)
        return cls(X, y, np.array(scales), signal, noise, categorical)

    @property
    def theta(self):
        return np.log([*self.scales, self.signal, self.noise])

    def predict(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of the function at the points `X`, (m, d)."""
        K, k = (
            self.signal * matern52(squared_differences(self.X, B, self.categorical), self.scales)
            for B in (self.X, X)
        )
        return posterior(K + self.noise * np.eye(len(K)), k, self.y, self.signal)


def negative_log_posterior(theta, differences, y):
    """Measure how badly hyperparameters explain the observations, with its gradient.

    Minus the log marginal likelihood (Rasmussen & Williams, 2006, equation 2.30), minus the log
    prior up to a constant.

    Parameters
    ----------
    theta : array of shape (d + 2,)
        Logarithms of the length scales, the signal and the noise variance.
    differences : array of shape (d, n, n)
    y : array of shape (n,)

    Returns
    -------
    value : float
    gradient : numpy.ndarray of shape (d + 2,)
    """
    scales, signal, noise = np.exp(theta[:-2]), math.exp(theta[-2]), math.exp(theta[-1])
    n, identity = len(y), np.eye(len(y))
    a = np.sqrt(5 * np.tensordot(scales**-2.0, differences, 1))
    decay = signal * np.exp(-a)
    F = decay * (1 + a + a**2 / 3)
    L = safe_cholesky(F + noise * identity)
    alpha = cho_solve((L, True), y)
    W = cho_solve((L, True), identity) - np.outer(alpha, alpha)  # derivative of -2 log p by K
    G = W * decay * (5 / 3) * (1 + a)  # dK / d log scale, without the squared difference
    by_scale = np.tensordot(differences, G, 2) / scales**2
    gradient = np.array([*by_scale, np.sum(W * F), noise * np.trace(W)]) / 2
    value = y @ alpha / 2 + np.log(np.diag(L)).sum() + n / 2 * math.log(2 * math.pi)
    mean, sd = np.array([*[SCALE] * len(scales), SIGNAL, NOISE]).T
    z = (theta - mean) / sd
    return value + z @ z / 2, gradient + z / sd


# ---------------------------------------------------------------------- what to try next


def expected_improvement(mean, std, best):
    """Expected gain over ``best`` under N(mean, std**2), elementwise (Jones et al., 1998)."""
    z = (mean - best) / std
    return (mean - best) * norm.cdf(z) + std * norm.pdf(z)


def log_expected_improvement(mean, std, best):
    """Logarithm of `expected_improvement`, also where that is 0 in floating point."""
    z = (mean - best) / std
    tail = np.minimum(z, -1)  # there pdf + z cdf cancels
    ratio = erfcx(-tail / math.sqrt(2)) * -tail * math.sqrt(math.pi / 2)  # -z cdf / pdf, below 1
    with np.errstate(divide="ignore", invalid="ignore"):
        far = norm.logpdf(tail) + np.where(
            tail > -1e4, np.log1p(-np.minimum(ratio, 1 - 1e-16)), -2 * np.log(-tail)
        )
        near = np.log(norm.pdf(z) + z * norm.cdf(z))
    return np.where(z > -1, near, far) + np.log(std)


def standardise(scores: np.ndarray) -> np.ndarray:
    """Clip disasters, then mean 0 and standard deviation 1."""
    worst = np.nanmin(scores, initial=np.inf)
    y = np.where(np.isnan(scores), worst if np.isfinite(worst) else 0.0, scores)
    middle = np.median(y)
    y = np.maximum(y, middle - 2 * (y.max() - middle))
    spread = y.std()
    return (y - y.mean()) / (spread if spread > 0 else 1)


class BayesianSearch:
    """Bayesian optimization with a Gaussian process and expected improvement."""

    def __init__(
        self,
        space: SearchSpace,
        rng: np.random.Generator,
        pool: Sequence[Config] | None = None,
        initial: int = 5,
    ):
        self.space, self.rng, self.initial = space, rng, whole_number("initial", initial)
        self.categorical = np.array([isinstance(h, Categorical) for h in space])
        self.pool = None if pool is None else {config_key(space.check(c)): c for c in pool}
        self.pool_points = None if pool is None else space.encode(list(self.pool.values()))
        self.tried: dict[str, None] = {}
        self.points: list[np.ndarray] = []
        self.scores: list[float] = []
        self.start = None

    def suggest(self) -> Config:
        configs, points = self._candidates()
        X = np.array(self.points).reshape(-1, len(self.space))
        if len(X) < self.initial:
            if not len(X):
                choice = int(self.rng.integers(len(configs)))
            else:
                far = squared_differences(X, points, self.categorical).sum(axis=0).min(axis=0)
                choice = int(far.argmax())
        else:
            y = standardise(np.array(self.scores))
            gp = GaussianProcess.fit(X, y, self.categorical, self.start)
            self.start = gp.theta
            choice = int(log_expected_improvement(*gp.predict(points), y.max()).argmax())
        self.tried[config_key(configs[choice])] = None
        return configs[choice]

    def update(self, config: Config, score: float) -> None:
        config = self.space.check(config)
        self.tried[config_key(config)] = None
        self.points.append(self.space.encode(config))
        self.scores.append(float(score))

    def _candidates(self):
        if self.pool is None:
            configs = self.space.sample(self.rng, 500)
            return configs, self.space.encode(configs)
        left = [i for i, key in enumerate(self.pool) if key not in self.tried]
        if not left:
            raise StopIteration
        configs = list(self.pool.values())
        return [configs[i] for i in left], self.pool_points[left]
