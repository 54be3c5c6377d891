"""Metric-based meta-learning: which tasks are near a new one, and what they would try.

A distance between tasks is given (`TaskDistance`), or learned from how alike their responses are
(`LearnedDistance`). `NearestTasks` tries what is good on the near ones; after each trial the new
task itself says who is near: whoever ranks the tried configurations as it does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from scipy.stats import rankdata
from sklearn.neighbors import KNeighborsRegressor
from threadpoolctl import threadpool_limits

from metahpo_lite.bayes import Candidates, squared_differences
from metahpo_lite.metadata import MetaDataset
from metahpo_lite.model_based import TaskInputs, check_fitted, left_out_folds, normal_ranks
from metahpo_lite.spaces import (
    Config,
    SearchSpace,
    check_one_of,
    check_same_space,
    check_seed,
    whole_number,
)
from metahpo_lite.storage import config_key

METRICS = {"euclidean": "euclidean", "manhattan": "cityblock", "cosine": "cosine"}  # as scipy says
# Chosen on our own experience, families left out; twice or half of each changes little
RANK = 8  # dimensions of a learned map
RIDGE = 0.003  # on its weights
NEAR = (5, 10, 30)  # how many neighbours may be tried before all are taken to be alike
DOUBT = 0.3  # of the weight is the same for all tasks
STEPS = 300  # of training, where the map is a network
AGREEMENT = 2.0  # how fast trials of the new task outweigh the distance


# ---------------------------------------------------------------------- given distances


def task_distances(A: np.ndarray, B: np.ndarray, metric: str = "euclidean") -> np.ndarray:
    """Measure the distance of each pair of tasks.

    Parameters
    ----------
    A, B : arrays of shape (n, p) and (m, p)
        Numbers that describe tasks, on comparable scales.
    metric : {"euclidean", "manhattan", "cosine"}
        The root of the summed squares, the sum of the absolute differences, or one minus the
        cosine of the angle, which ignores how long the vectors are. A vector of zeros has no
        direction: its cosine distance is 1 to others, and 0 to another vector of zeros.

    Returns
    -------
    numpy.ndarray of shape (n, m)

    Raises
    ------
    ValueError
        If the metric is unknown, or a number is NaN or infinite.
    """
    check_one_of("metric", metric, tuple(METRICS))
    A, B = np.asarray(A, dtype=float), np.asarray(B, dtype=float)
    if not (np.isfinite(A).all() and np.isfinite(B).all()):
        raise ValueError("A, B: got NaN or infinity, accepted are finite numbers")
    distances = cdist(A, B, METRICS[metric])
    if metric == "cosine":
        none, other = ~np.any(A, axis=1), ~np.any(B, axis=1)
        distances[none], distances[:, other] = 1.0, 1.0
        distances[np.ix_(none, other)] = 0.0
        distances = np.clip(distances, 0, 2)  # but for rounding
    return distances


@dataclass(eq=False)
class TaskDistance:
    """A given distance between tasks, by their meta-features.

    Parameters
    ----------
    metric : {"euclidean", "manhattan", "cosine"}
        See `task_distances`.

    Raises
    ------
    ValueError
        If the metric is unknown.
    """

    metric: str = "euclidean"

    def __post_init__(self):
        check_one_of("metric", self.metric, tuple(METRICS))

    def fit(self, experience: MetaDataset) -> TaskDistance:
        """Learn the scales of the meta-features; return self.

        Each becomes its quantile among the training tasks, from -1 to 1, so that none counts more
        than another, and long tails do no harm. A missing one is in the middle.

        Raises
        ------
        ValueError
            If the experience has no meta-features.
        """
        _described(experience)
        self.inputs_ = TaskInputs(experience.meta_features, marks=False)
        self.points_, self.k_ = self.inputs_.of_training(experience), 10
        return self

    def embed(self, meta_features: pd.Series | pd.DataFrame) -> np.ndarray:
        """Return where tasks lie, shape (n_tasks, p): the distance is one between these points.

        Raises
        ------
        RuntimeError
            Before `fit`.
        TypeError, ValueError
            If the meta-features are not those of the experience.
        """
        check_fitted(self, "inputs_")
        return self.inputs_(meta_features)

    def __call__(self, meta_features: pd.Series | pd.DataFrame) -> np.ndarray:
        """Measure how far tasks are from the training tasks, shape (n_tasks, n_training_tasks)."""
        return task_distances(self.embed(meta_features), self.points_, self.metric)


def _described(experience: MetaDataset) -> None:
    if experience.meta_features is None:
        raise ValueError(
            "experience: got no meta-features, accepted is experience whose tasks are described"
        )


# ---------------------------------------------------------------------- learned distances


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
        _described(experience)
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


# ---------------------------------------------------------------------- transfer from neighbours


def neighbour_weights(distances: np.ndarray, k: int | None) -> np.ndarray:
    """Say how much each training task counts: exp(-(d / d_k)^2), d_k that of the k-th nearest.

    A part of the weight, `DOUBT`, is shared by all: trials can bring back who is far.

    Parameters
    ----------
    distances : array of shape (n_tasks, n_training_tasks)
        0 or more.
    k : int or None
        About so many count; None, or at least all: all tasks alike.

    Returns
    -------
    numpy.ndarray of shape (n_tasks, n_training_tasks)
        Each row with sum 1; uniform where the k nearest are all at distance 0 and none is farther.
    """
    n = distances.shape[1]
    if k is None or whole_number("k", k) >= n:
        return np.full(distances.shape, 1 / n)
    width = np.sort(distances, axis=1)[:, k - 1 : k]
    ratio = np.divide(distances, width, out=np.where(distances > 0, np.inf, 0.0), where=width > 0)
    weights = np.exp(-(ratio**2))
    return DOUBT / n + (1 - DOUBT) * weights / weights.sum(axis=1, keepdims=True)


def expected_regrets(weights: np.ndarray, regrets: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Average over tasks what the regret would be after one trial more.

    Parameters
    ----------
    weights : array of shape (n_tasks,)
        How much each task counts.
    regrets : array of shape (n_tasks, n_configs)
    best : array of shape (n_tasks,)
        The lowest regret of what was tried.

    Returns
    -------
    numpy.ndarray of shape (n_configs,)
    """
    return weights @ np.minimum(regrets, best[:, None])


def first_trials(weights: np.ndarray, regrets: np.ndarray, new: np.ndarray, n: int = 5) -> float:
    """Measure the mean regret of a new task over the first trials that weighted tasks propose.

    Parameters
    ----------
    weights : array of shape (n_tasks,)
    regrets : array of shape (n_tasks, n_configs)
    new : array of shape (n_configs,)
        The regrets of the new task.
    n : int
        The number of trials.
    """
    best, found = np.full(len(regrets), 2.0), []  # worse than the worst
    for _ in range(n):
        choice = int(expected_regrets(weights, regrets, best).argmin())
        best = np.minimum(best, regrets[:, choice])
        found.append(new[choice])
    return float(np.minimum.accumulate(found).mean())


def mean_of_neighbours(
    experience: MetaDataset, meta_features: pd.Series, distance: TaskDistance | LearnedDistance,
    k: int,
) -> Config:  # fmt: skip
    """Average the best configurations of the k nearest tasks, as points of the unit cube.

    The classical example, by scikit-learn's `KNeighborsRegressor`. Two good kernels average to a
    third: lessons 07 and 09 show it.

    Parameters
    ----------
    experience : MetaDataset
        That the distance was fitted to.
    meta_features : Series
        Of the new task.
    distance : TaskDistance or LearnedDistance
        A cosine distance is taken between points at length 1.
    k : int
        From 1 to the number of tasks.

    Returns
    -------
    dict
        A valid configuration.

    Raises
    ------
    ValueError
        If `k` is out of range, or the meta-features are not those of the experience.
    """
    points, new = distance.points_, distance.embed(meta_features)
    whole_number("k", k, 1, len(points))
    metric = METRICS[getattr(distance, "metric", "euclidean")]
    best = experience.points[experience.regrets.to_numpy().argmin(axis=1)]
    near = KNeighborsRegressor(n_neighbors=k, metric=metric).fit(points, best)
    with threadpool_limits(1):  # of one row, threads cost more than they save
        return experience.space.decode(near.predict(new))[0]


def first_weights(
    space: SearchSpace,
    rng: np.random.Generator,
    experience: MetaDataset,
    meta_features: pd.Series | None,
    distance: TaskDistance | LearnedDistance | None = None,
    k: int | None = None,
) -> np.ndarray:
    """Say how much each task counts before the first trial: see `neighbour_weights`.

    Parameters
    ----------
    space, rng, experience, meta_features, distance, k
        As for `NearestTasks`.

    Returns
    -------
    numpy.ndarray of shape (n_tasks,)

    Raises
    ------
    TypeError, ValueError
        As `NearestTasks` does.
    """
    check_same_space(space, experience.space)
    n_tasks = len(experience.tasks)
    if k is not None:
        whole_number("k", k, 1, n_tasks)
    if distance is None and experience.meta_features is not None:
        distance = LearnedDistance(seed=int(rng.integers(2**32))).fit(experience)
    if distance is None and meta_features is not None:
        raise ValueError("meta_features: got some, accepted is None: the experience has none")
    far = np.zeros((1, n_tasks)) if distance is None else distance(meta_features)
    if far.shape != (1, n_tasks):
        raise ValueError(
            f"distance: got one of {far.shape[0]} task(s) to {far.shape[1]}, accepted is one "
            f"of the new task to the {n_tasks} of the experience, which it was fitted to"
        )
    return neighbour_weights(far, getattr(distance, "k_", None) if k is None else k)[0]


class NearestTasks:
    """Tries what does best on near tasks, and asks after each trial who is near.

    Each task of the experience has a weight, by its distance (`neighbour_weights`). The next
    trial is the configuration that lowers the weighted mean of what the regret would be most, as
    in a greedy portfolio. After each trial a task's weight is multiplied by exp(beta sqrt(t) a):
    a, from -1 to 1, is the share of pairs of the t trials that it ranks as the new task does,
    minus the share of those that it ranks the other way (Kendall's tau).

    Parameters
    ----------
    space : SearchSpace
        That of the experience.
    rng : numpy.random.Generator
    experience : MetaDataset
        Of other families than the new task's.
    meta_features : Series or None
        Of the new task; None if the experience has none: then all tasks are as near, until trials
        tell.
    distance : TaskDistance or LearnedDistance, optional
        Fitted to the experience. If not given, a `LearnedDistance` is fitted.
    k : int, optional
        About how many near tasks count; that of the distance if not given.
    pool : sequence of dict, optional
        Search among these configurations alone: those that a replayed task knows.

    Attributes
    ----------
    weights : numpy.ndarray of shape (n_tasks,)
        How much each task counts now; with sum 1.

    Raises
    ------
    ValueError
        If the experience has another space or the distance was fitted to other tasks; `k` is out
        of range; or the pool is empty.
    TypeError, KeyError, ValueError
        If the meta-features or a configuration of the pool are not valid.
    """

    def __init__(
        self,
        space: SearchSpace,
        rng: np.random.Generator,
        experience: MetaDataset,
        meta_features: pd.Series | None,
        distance: TaskDistance | LearnedDistance | None = None,
        k: int | None = None,
        pool: Sequence[Config] | None = None,
    ):
        self.near = first_weights(space, rng, experience, meta_features, distance, k)
        self.weights = self.near
        self.space, self.candidates = space, Candidates(space, rng, pool)
        self.regrets, self.points = experience.regrets.to_numpy(), experience.points
        self.number = {config_key(config): i for i, config in enumerate(experience.configs)}
        self.agreement = np.zeros(len(self.near))  # pairs ranked alike minus pairs ranked otherwise
        self.tried: list[int] = []  # their numbers in the experience

    def suggest(self) -> Config:
        """Propose the most promising configuration; StopIteration when none is left."""
        best = self.regrets[:, self.tried].min(axis=1, initial=2.0)  # worse than the worst
        value = expected_regrets(self.weights, self.regrets, best)
        value[self.tried] = np.inf
        return self.candidates.nearest(self.points[int(value.argmin())])

    def update(self, config: Config, score: float) -> None:
        """Learn how a configuration did; NaN is a failed trial."""
        self.candidates.update(config, score)
        *_, point = self.candidates.points
        now = self.number.get(config_key(self.space.check(config)))
        if now is None:  # the experience does not know it: the nearest stands for it
            gaps = squared_differences(point[None], self.points, self.space.categorical)
            now = int(gaps.sum(axis=(0, 1)).argmin())
        ranks = rankdata(np.nan_to_num(self.candidates.scores, nan=-np.inf))
        here = np.sign(ranks[:-1] - ranks[-1])  # two failures are equal
        there = np.sign(self.regrets[:, [now]] - self.regrets[:, self.tried])
        self.agreement += there @ here
        self.tried.append(now)
        t = len(self.tried)
        if t > 1:
            tau = self.agreement / (t * (t - 1) / 2)
            self.weights = self.near * np.exp(AGREEMENT * np.sqrt(t) * (tau - tau.max()))
            self.weights = self.weights / self.weights.sum()
