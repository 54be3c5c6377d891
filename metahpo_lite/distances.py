"""Given distances between tasks, and what the nearest of them weigh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from metahpo_lite.arguments import as_floats, check_one_of, whole_number
from metahpo_lite.inputs import TaskInputs, check_fitted
from metahpo_lite.metadata import MetaDataset

METRICS = {"euclidean": "euclidean", "manhattan": "cityblock", "cosine": "cosine"}  # as scipy says
DOUBT = 0.3  # of the weight is the same for all tasks


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
    A, B = as_floats("A", A), as_floats("B", B)
    if A.ndim != 2 or B.ndim != 2 or A.shape[1] != B.shape[1]:
        raise ValueError(f"A, B: got {A.shape} and {B.shape}, accepted are (n, p) and (m, p)")
    if not (np.isfinite(A).all() and np.isfinite(B).all()):
        raise ValueError("A, B: got NaN or infinity, accepted are finite numbers")
    if metric == "cosine":
        A, B = _long_enough(A), _long_enough(B)
    distances = cdist(A, B, METRICS[metric])
    if metric == "cosine":
        none, other = ~np.any(A, axis=1), ~np.any(B, axis=1)
        distances[none], distances[:, other] = 1.0, 1.0
        distances[np.ix_(none, other)] = 0.0
        distances = np.clip(distances, 0, 2)  # but for rounding
    return distances


def _long_enough(vectors: np.ndarray) -> np.ndarray:
    """Lengthen what is so short that its squares are zero to a computer; the others stay."""
    longest = np.abs(vectors).max(axis=1, initial=0.0, keepdims=True)
    return vectors / np.where((longest > 0) & (longest < 1e-100), longest, 1.0)


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
        check_described(experience)
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


def check_described(experience: MetaDataset) -> None:
    """Raise a ValueError if the tasks of the experience have no meta-features."""
    if not isinstance(experience, MetaDataset):
        raise TypeError(f"experience: got {type(experience).__name__}, accepted is a MetaDataset")
    if experience.meta_features is None:
        raise ValueError(
            "experience: got no meta-features, accepted is experience whose tasks are described"
        )


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
