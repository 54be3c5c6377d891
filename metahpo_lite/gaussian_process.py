"""The Gaussian process: what is believed of scores that were not seen.

It works on points of the unit cube, with one length scale for each hyperparameter; two choices of
a categorical one are 0 or 1 apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from metahpo_lite.arguments import as_floats

# What is believed of a process before it is fitted, with standardised scores: the median of each
# of its numbers, and the standard deviation of the logarithm. Keeps three points from overfitting.
# Length scales are in units of sqrt(d), as distances in the cube are (Hvarfner et al., 2024).
SCALE, SIGNAL, NOISE = (0.15, 1.0), (1.0, 1.0), (0.01, 1.5)


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
    scales : array of shape (d,), or (g, d) for g sets of them
        The length scales: how far one has to go until the function is another.

    Returns
    -------
    numpy.ndarray of shape (n, m), or (g, n, m), in (0, 1]
    """
    a = np.sqrt(5 * np.tensordot(scales**-2.0, differences, 1))  # (n, m)
    return (1 + a + a**2 / 3) * np.exp(-a)


def posterior(
    K: np.ndarray, k: np.ndarray, y: np.ndarray, prior: float | np.ndarray = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Condition a Gaussian process on observations (Rasmussen & Williams, 2006, algorithm 2.1).

    Parameters
    ----------
    K : array of shape (n, n)
        Covariance of the observations, noise included.
    k : array of shape (n, m)
        Covariance of the observations with the function at m new points.
    y : array of shape (n,), or (n, t)
        The observations, of t functions.
    prior : float
        Variance of the function at a point, before any observation.

    Returns
    -------
    mean, std : numpy.ndarray of shape (m,)
        Of the function, without the noise.

    Raises
    ------
    ValueError
        If `K` is not positive definite, a number is not finite, or the shapes do not fit.
    """
    K, k, y = as_floats("K", K), as_floats("k", k), as_floats("y", y)
    n = len(y) if y.ndim in (1, 2) else -1  # none is accepted: then the prior is all there is
    if n < 0 or K.shape != (n, n) or k.ndim != 2 or len(k) != n:
        raise ValueError(
            f"K, k, y: got shapes {K.shape}, {k.shape} and {y.shape}, accepted are (n, n), "
            "(n, m), and (n,) or (n, t)"
        )
    if not (np.isfinite(K).all() and np.isfinite(k).all() and np.isfinite(y).all()):
        raise ValueError("K, k, y: got NaN or infinity, accepted are finite numbers")
    prior = as_floats("prior", prior)  # one, or one for each new point
    if prior.shape not in ((), k.shape[1:]) or not np.isfinite(prior).all():
        raise ValueError(f"prior: got {prior!r}, accepted is a finite number")
    L = _cholesky(K)
    V = solve_triangular(L, k, lower=True)  # (n, m)
    mean = V.T @ solve_triangular(L, y, lower=True)
    variance = prior - (V**2).sum(axis=0)
    return mean, np.sqrt(np.maximum(variance, 1e-12))  # rounding may go below 0


def _cholesky(K: np.ndarray) -> np.ndarray:
    """Return L with L L' = K; points that nearly coincide need a little more on the diagonal."""
    for extra in (0, 1e-10, 1e-8, 1e-6):
        try:
            return cholesky(K + extra * np.diag(np.diag(K)), lower=True)
        except LinAlgError:
            continue
    raise ValueError("K: got a matrix that is not positive definite, accepted is a covariance")


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """A belief about a function on the unit cube, given some observations.

    Parameters
    ----------
    X : array of shape (n, d)
        Where it was observed.
    y : array of shape (n,), or (n, t) for t functions that share all that follows
        What was observed: best standardised, since the belief without observations is a mean of 0.
    scales : array of shape (d,)
        Length scales.
    signal, noise : float
        Variance of the function, and of an observation around it.
    categorical : bool array of shape (d,)
        Which dimensions have no order.
    offset : float
        Variance of a level that is the same everywhere, beside the signal: large leaves it free.
    """

    X: np.ndarray
    y: np.ndarray
    scales: np.ndarray
    signal: float
    noise: float
    categorical: np.ndarray
    offset: float = 0.0

    @classmethod
    def fit(
        cls,
        X: np.ndarray,
        y: np.ndarray,
        categorical: np.ndarray | None = None,
        start: GaussianProcess | None = None,
    ) -> GaussianProcess:
        """Choose scales, signal and noise by what makes the observations probable.

        The maximum of the posterior: marginal likelihood times prior (`SCALE`, `SIGNAL`,
        `NOISE`), found by gradients.

        Parameters
        ----------
        X, y, categorical
            As for the class; no dimension is categorical if not given.
        start : GaussianProcess, optional
            Where to begin: one fitted to fewer observations saves time.

        Raises
        ------
        ValueError
            If there is no observation, one is NaN or infinite, or the shapes do not fit.
        """
        X, y = as_floats("X", X), as_floats("y", y)
        if X.ndim != 2 or y.ndim not in (1, 2) or len(y) != len(X) or not y.size:
            raise ValueError(
                f"X, y: got shapes {X.shape} and {y.shape}, accepted are (n, d) and (n,), or "
                "(n, t) for t functions, n >= 1"
            )
        if not (np.isfinite(X).all() and np.isfinite(y).all()):
            raise ValueError("X, y: got NaN or infinity, accepted are finite numbers")
        d = X.shape[1]
        categorical = np.zeros(d, dtype=bool) if categorical is None else categorical
        if np.shape(categorical) != (d,) or np.asarray(categorical).dtype != bool:
            raise ValueError(f"categorical: got {categorical!r}, accepted are {d} booleans")
        categorical = np.asarray(categorical)
        differences = squared_differences(X, X, categorical)
        median, spread = _prior(d)
        begin = median if start is None else np.log([*start.scales, start.signal, start.noise])
        bounds = np.transpose([median - 4 * spread, median + 4 * spread])
        theta = minimize(
            _negative_log_posterior, begin, (differences, y.reshape(len(y), -1)), jac=True,
            bounds=bounds,
            method="L-BFGS-B", options={"maxiter": 30},
        ).x  # fmt: skip
        signal, noise = np.exp(theta[d:])
        return cls(X, y, np.exp(theta[:d]), signal, noise, categorical)

    def predict(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Say what is believed of the function at some points.

        Parameters
        ----------
        X : array of shape (m, d)

        Returns
        -------
        mean, std : numpy.ndarray of shape (m,)
            Of the function, without the noise; of t functions the mean has shape (m, t).
        """
        K = self.covariance(self.X) + self.noise * np.eye(len(self.X))
        X = as_floats("X", X)
        if X.ndim != 2 or X.shape[1] != self.X.shape[1] or not np.isfinite(X).all():
            raise ValueError(
                f"X: got shape {X.shape}, accepted is (m, {self.X.shape[1]}), of finite numbers"
            )
        k = self.covariance(X)
        return posterior(K, k, self.y, self.signal + self.offset)

    def covariance(self, X: np.ndarray) -> np.ndarray:
        """Of the function where it was observed with itself at points (m, d), shape (n, m)."""
        differences = squared_differences(self.X, X, self.categorical)
        return self.signal * matern52(differences, self.scales) + self.offset


def _prior(d: int) -> tuple[np.ndarray, np.ndarray]:
    """Median and spread of the logarithms of d length scales, the signal and the noise."""
    scale = (SCALE[0] * math.sqrt(d), SCALE[1])
    median, spread = np.transpose([*[scale] * d, SIGNAL, NOISE])
    return np.log(median), spread


def _negative_log_posterior(
    theta: np.ndarray, differences: np.ndarray, y: np.ndarray
) -> tuple[float, np.ndarray]:
    """Measure how improbable hyperparameters are, given the observations; with the gradient.

    Minus the log marginal likelihood (Rasmussen & Williams, 2006, equations 2.30 and 5.9) and
    minus the log prior, up to a constant.

    Parameters
    ----------
    theta : array of shape (d + 2,)
        Logarithms of the length scales, the signal and the noise.
    differences : array of shape (d, n, n)
    y : array of shape (n, t)
        Observations of t functions.
    """
    scales, (signal, noise) = np.exp(theta[:-2]), np.exp(theta[-2:])
    (n, t), identity = y.shape, np.eye(len(y))
    a = np.sqrt(5 * np.tensordot(scales**-2.0, differences, 1))
    decay = signal * np.exp(-a)
    F = decay * (1 + a + a**2 / 3)
    L = _cholesky(F + noise * identity)
    alpha = cho_solve((L, True), y)  # K^-1 y
    W = t * cho_solve((L, True), identity) - alpha @ alpha.T
    slope = W * decay * (1 + a) * 5 / 3  # of F by the log of a scale, per squared difference
    by_scale = np.tensordot(differences, slope, 2) / scales**2
    gradient = np.array([*by_scale, np.sum(W * F), noise * np.trace(W)]) / 2
    value = np.sum(y * alpha) / 2 + t * (n * math.log(2 * math.pi) / 2 + np.log(np.diag(L)).sum())
    median, spread = _prior(len(scales))
    z = (theta - median) / spread
    return value + z @ z / 2, gradient + z / spread
