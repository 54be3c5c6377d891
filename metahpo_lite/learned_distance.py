"""A learned distance: small between tasks whose responses are alike.

min over phi of sum_ij w_ij d_phi(x_i, x_j), with what keeps it from collapsing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from metahpo_lite.arguments import check_one_of, check_seed
from metahpo_lite.distances import check_described, first_trials, neighbour_weights, task_distances
from metahpo_lite.inputs import TaskInputs, check_fitted, left_out_folds, normal_ranks
from metahpo_lite.metadata import MetaDataset

# Chosen on our own experience, families left out; twice or half of each changes little
RANK = 8  # dimensions of a learned map
RIDGE = 0.003  # on its weights
NEAR = (5, 10, 30)  # how many neighbours may be tried before all are taken to be alike
STEPS = 300  # of training, where the map is a network


def response_similarity(experience: MetaDataset) -> np.ndarray:
    """Compare how tasks respond: the correlation of their normal ranks over all configurations.

    Parameters
    ----------
    experience : MetaDataset
        With a table of shared configurations.

    Returns
    -------
    numpy.ndarray of shape (n_tasks, n_tasks)
        From -1 to 1, 1 on the diagonal; 0 for a task on which all scores are the same.
    """
    y = normal_ranks(experience.scores.to_numpy())
    y = y - y.mean(axis=1, keepdims=True)
    length = np.linalg.norm(y, axis=1, keepdims=True)
    y = np.divide(y, length, out=np.zeros_like(y), where=length > 1e-9)
    similarity = y @ y.T
    np.fill_diagonal(similarity, 1.0)
    return np.clip(similarity, -1, 1)


def printed(D: np.ndarray, S: np.ndarray) -> tuple[float, np.ndarray]:
    """The objective as it is usually printed: the mean of w_ij d_ij, w_ij how alike i and j are.

    With no repulsion, it is least where all tasks fall on one point: the distance collapses.

    Parameters
    ----------
    D : array of shape (n, n)
        Squared distances.
    S : array of shape (n, n)
        Similarities of responses; the weights are what of them is above 0.

    Returns
    -------
    value : float
    gradient : numpy.ndarray of shape (n, n)
        The derivative of the value by each entry of `D`.
    """
    w = _pairs(np.maximum(S, 0))
    return float(np.sum(w * D)), w


def constrained(D: np.ndarray, S: np.ndarray) -> tuple[float, np.ndarray]:
    """The printed objective with the mean squared distance held at 1.

    The constraint of Laplacian eigenmaps (Belkin & Niyogi, 2003), by division: so it cannot
    collapse. Parameters and return values as for `printed`.
    """
    one = _pairs(np.ones_like(D))
    (value, w), mean = printed(D, S), np.sum(one * D) + 1e-12
    return value / mean, w / mean - value / mean**2 * one


def contrastive(D: np.ndarray, S: np.ndarray) -> tuple[float, np.ndarray]:
    """Pull like tasks together, push unlike ones at least 1 apart (Hadsell et al., 2006).

    Parameters and return values as for `printed`.
    """
    w, one = np.maximum(S, 0), _pairs(np.ones_like(D))
    d = np.sqrt(D + 1e-9)
    short = np.maximum(1 - d, 0)
    value = np.sum(one * (w * D + (1 - w) * short**2))
    return float(value), one * (w - (1 - w) * short / d)


def similarity(D: np.ndarray, S: np.ndarray) -> tuple[float, np.ndarray]:
    """Squared error of 1 - S, how unlike the responses are, predicted as D plus a constant.

    The constant, how unlike tasks with equal meta-features are, is the best one for `D`.
    Parameters and return values as for `printed`.
    """
    one = _pairs(np.ones_like(D))
    error = D - (1 - S)
    error = error - np.sum(one * error)
    return float(np.sum(one * error**2)), 2 * one * error


def _pairs(w: np.ndarray) -> np.ndarray:
    """Weights of pairs of two different tasks, with sum 1."""
    w = w * (1 - np.eye(len(w)))
    return w / max(w.sum(), 1e-12)


OBJECTIVES = {f.__name__: f for f in (printed, constrained, contrastive, similarity)}


def squared_distances(Z: np.ndarray) -> np.ndarray:
    """Return the squared Euclidean distance of each pair of rows of `Z`, shape (n, n)."""
    return cdist(Z, Z, "sqeuclidean")


def pull(Z: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Turn the derivative by squared distances into that by the points `Z`, shape (n, r)."""
    both = gradient + gradient.T
    return 2 * (both.sum(axis=1)[:, None] * Z - both @ Z)


@threadpool_limits.wrap(limits=1)  # of small matrices, threads cost more than they save
def fit_map(
    X: np.ndarray, S: np.ndarray, kind: str, objective: Callable, rng: np.random.Generator
) -> Callable[[np.ndarray], np.ndarray]:
    """Learn phi: the map of described tasks to points whose squared distances suit an objective.

    Parameters
    ----------
    X : array of shape (n, p)
        What describes the tasks.
    S : array of shape (n, n)
        Similarities of their responses.
    kind : {"diagonal", "low_rank", "network"}
        A weight for each meta-feature; a matrix of shape (p, `RANK`); or a Keras network with a
        hidden layer of 32 units and `RANK` outputs.
    objective : function of (D, S)
        As `printed` or `similarity`. A ridge is added where the objective decides the scale.
    rng : numpy.random.Generator
        Draws the first weights.

    Returns
    -------
    function
        Maps an array of shape (m, p) to points.
    """
    if kind == "network":
        return _fit_network(X, S, objective, rng)
    p, ridge = X.shape[1], RIDGE if objective in (contrastive, similarity) else 0.0
    shape = (p,) if kind == "diagonal" else (p, RANK)

    def placed(theta, X):
        return X * theta if kind == "diagonal" else X @ theta.reshape(shape)

    def value(theta):
        Z = placed(theta, X)
        found, gradient = objective(squared_distances(Z), S)
        by_point = pull(Z, gradient)
        by_theta = (X * by_point).sum(axis=0) if kind == "diagonal" else X.T @ by_point
        return found + ridge * theta @ theta, by_theta.ravel() + 2 * ridge * theta

    begin = rng.normal(scale=max(p, 1) ** -0.5, size=shape).ravel()  # of one task none varies
    begin = np.abs(begin) if kind == "diagonal" else begin  # a weight has no sign
    theta = minimize(value, begin, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    return lambda X: placed(theta, X)


def _fit_network(X, S, objective, rng) -> Callable[[np.ndarray], np.ndarray]:
    import keras
    import tensorflow as tf

    first = keras.initializers.GlorotUniform
    network = keras.Sequential([
        keras.Input((X.shape[1],)),
        keras.layers.Dense(32, "relu", kernel_initializer=first(int(rng.integers(2**31)))),
        keras.layers.Dense(RANK, kernel_initializer=first(int(rng.integers(2**31)))),
    ])  # fmt: skip
    optimizer, weights = keras.optimizers.AdamW(0.003), network.trainable_variables
    optimizer.build(weights)
    tasks = tf.constant(X, tf.float32)
    for _ in range(STEPS):
        with tf.GradientTape() as tape:
            Z = network(tasks)
        points = Z.numpy().astype(float)
        _, gradient = objective(squared_distances(points), S)
        by_point = tf.constant(pull(points, gradient), tf.float32)
        optimizer.apply_gradients(zip(tape.gradient(Z, weights, by_point), weights, strict=True))
    (V, a), (W, b) = (layer.get_weights() for layer in network.layers)
    return lambda X: np.maximum(X @ V + a, 0) @ W + b


@dataclass(eq=False)
class LearnedDistance:
    """A distance between tasks, learned from experience: min over phi of sum_ij w_ij d_phi.

    Tasks are put where their Euclidean distances say how unlike their responses are. How many
    neighbours may speak (`k_`) is learned too: source families are left out, the map is learned
    without them, and their first trials decide. If neighbours do not help these by more than
    chance, all tasks count alike (`k_` is None).

    Parameters
    ----------
    kind : {"low_rank", "diagonal", "network"}
        What the map phi is: see `fit_map`.
    objective : {"similarity", "contrastive", "constrained", "printed"}
        What it minimises: the functions of these names.
    seed : int

    Raises
    ------
    ValueError
        If an argument is not accepted.
    """

    kind: str = "low_rank"
    objective: str = "similarity"
    seed: int = 0

    def __post_init__(self):
        check_one_of("kind", self.kind, ("low_rank", "diagonal", "network"))
        check_one_of("objective", self.objective, tuple(OBJECTIVES))
        check_seed(self.seed)

    def fit(self, experience: MetaDataset) -> LearnedDistance:
        """Learn the map, and how far it is to be trusted; return self.

        Raises
        ------
        ValueError
            If the experience has no meta-features, or fewer than two families.
        """
        check_described(experience)
        rng = np.random.default_rng(self.seed)
        regrets, S = experience.regrets.to_numpy(), response_similarity(experience)
        found = {k: np.empty(len(S)) for k in (None, *NEAR)}  # regret of a task's first trials
        for out in left_out_folds(experience.families, rng):
            inputs, phi = self._learn(experience.meta_features, S, ~out, rng)
            Z = phi(inputs(experience.meta_features))
            distances = task_distances(Z[out], Z[~out])
            for k, regret in found.items():
                weights = neighbour_weights(distances, k)
                regret[out] = [first_trials(w, regrets[~out], r) for w, r in
                               zip(weights, regrets[out], strict=True)]  # fmt: skip
        self.k_ = min(found, key=lambda k: found[k].mean())
        gain = found[None] - found[self.k_]
        if gain.mean() <= gain.std() / np.sqrt(len(gain)):
            self.k_ = None
        everyone = np.ones(len(S), dtype=bool)
        self.inputs_, self.map_ = self._learn(experience.meta_features, S, everyone, rng)
        self.points_ = self.embed(experience.meta_features)
        return self

    def _learn(self, table: pd.DataFrame, S: np.ndarray, some: np.ndarray, rng) -> tuple:
        """Fit scales and map to some of the tasks alone."""
        inputs = TaskInputs(table[some], marks=False)
        X, objective = inputs(table[some]), OBJECTIVES[self.objective]
        return inputs, fit_map(X, S[np.ix_(some, some)], self.kind, objective, rng)

    def embed(self, meta_features: pd.Series | pd.DataFrame) -> np.ndarray:
        """Return where tasks lie, shape (n_tasks, r): the distance is one between these points.

        Raises
        ------
        RuntimeError
            Before `fit`.
        TypeError, ValueError
            If the meta-features are not those of the experience.
        """
        check_fitted(self, "map_")
        return self.map_(self.inputs_(meta_features))

    def __call__(self, meta_features: pd.Series | pd.DataFrame) -> np.ndarray:
        """Measure how far tasks are from the training tasks, shape (n_tasks, n_training_tasks)."""
        return task_distances(self.embed(meta_features), self.points_)
